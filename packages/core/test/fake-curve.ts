/**
 * A stand-in for the curve where a property needs a hundred thousand steps and no signature matters: a group in which
 * everybody can divide. Derivations agree on both sides as on the curve, and signatures tell keys and hashes apart.
 */
import { FormError, type Secp256k1, sha256 } from '@countersign/bitcoin';

const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const GENERATOR = 0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798n;

const read = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
const scalar = (value: bigint): Uint8Array => Uint8Array.from(Buffer.from(hex(value), 'hex'));
const point = (value: bigint): Uint8Array => Uint8Array.from(Buffer.from(`02${hex(value)}`, 'hex'));
const hex = (value: bigint): string => (((value % ORDER) + ORDER) % ORDER).toString(16).padStart(64, '0');

const logarithm = (key: Uint8Array): bigint => read(key.subarray(1));
const publicKey = (privateKey: Uint8Array): Uint8Array => point(read(privateKey) * GENERATOR);

/** The key, and a hash of what is signed with it. */
const seal = (hash: Uint8Array, key: Uint8Array): Uint8Array =>
  Uint8Array.from([...key.subarray(1), ...sha256(hash, key)]);

const absent = (): never => {
  throw new FormError('the stand-in for the curve has no such operation');
};

export const fakeCurve: Secp256k1 = {
  name: 'a stand-in for tests',
  isPrivateKey: (key) => key.length === 32 && read(key) > 0n && read(key) < ORDER,
  isPublicKey: (key) => key.length === 33 && (key[0] === 2 || key[0] === 3),
  publicKey,
  signEcdsa: (hash, privateKey) => seal(hash, publicKey(privateKey)),
  signEcdsaRecoverable: (hash, privateKey) => ({
    signature: seal(hash, publicKey(privateKey)),
    recoveryId: 0,
  }),
  verifyEcdsa: (hash, signature, key) => Buffer.from(signature).equals(seal(hash, key)),
  recoverEcdsa(hash, signature) {
    const key = Uint8Array.from([2, ...signature.subarray(0, 32)]);
    return Buffer.from(signature).equals(seal(hash, key)) ? key : null;
  },
  ecdh: absent,
  privateKeyTweakAdd: (key, tweak) => scalar(read(key) + read(tweak)),
  privateKeyTweakMul: (key, tweak) => scalar(read(key) * read(tweak)),
  privateKeyNegate: (key) => scalar(-read(key)),
  publicKeyTweakAdd: (key, tweak) => point(logarithm(key) + read(tweak) * GENERATOR),
  publicKeyTweakMul: (key, tweak) => point(logarithm(key) * read(tweak)),
  publicKeyCombine: (keys) => point(keys.reduce((sum, key) => sum + logarithm(key), 0n)),
  signSchnorr: absent,
  verifySchnorr: absent,
};
