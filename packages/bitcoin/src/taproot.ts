/**
 * BIP 341 output keys and their private keys, for outputs that are spent by the key path. The tweak commits to the
 * internal key and, where there is a script tree, to its Merkle root.
 */
import { concat } from './bytes.ts';
import { FormError } from './error.ts';
import { taggedHash } from './hash.ts';
import type { Secp256k1 } from './secp256k1.ts';

const EVEN = Uint8Array.of(0x02);
const NO_MERKLE_ROOT = new Uint8Array(0);

/** The x coordinate of a compressed public key. `FormError` unless 33 bytes with an 02 or 03 in front. */
export function xOnlyKey(publicKey: Uint8Array): Uint8Array {
  if (publicKey.length !== 33 || (publicKey[0] !== 0x02 && publicKey[0] !== 0x03)) {
    throw new FormError('not a compressed public key', { bytes: publicKey.length });
  }
  return publicKey.slice(1);
}

/**
 * The `TapTweak` hash of a 32-byte internal key; without `merkleRoot` (32 bytes) the output has no script path
 * (BIP 341, BIP 86).
 */
export function tapTweak(internalKey: Uint8Array, merkleRoot: Uint8Array = NO_MERKLE_ROOT): Uint8Array {
  if (internalKey.length !== 32 || (merkleRoot.length !== 0 && merkleRoot.length !== 32)) {
    throw new FormError('tap tweak: wrong length', {
      internal_key_bytes: internalKey.length,
      merkle_root_bytes: merkleRoot.length,
    });
  }
  return taggedHash('TapTweak', internalKey, merkleRoot);
}

export interface TaprootOutputKey {
  /** 32 bytes, x-only: what `p2trScript` takes. */
  readonly outputKey: Uint8Array;
  /** The parity of the point's y. */
  readonly parity: 0 | 1;
}

/** The output key of a 32-byte internal key. Throws `FormError` when that is not the x of a point. */
export function taprootOutputKey(
  curve: Secp256k1,
  internalKey: Uint8Array,
  merkleRoot: Uint8Array = NO_MERKLE_ROOT,
): TaprootOutputKey {
  const tweak = tapTweak(internalKey, merkleRoot);
  const point = curve.publicKeyTweakAdd(concat(EVEN, internalKey), tweak);
  return { outputKey: point.slice(1), parity: point[0] === 0x03 ? 1 : 0 };
}

/**
 * The private key that signs for `taprootOutputKey` of the given internal private key: negated first when its point
 * has an odd y. Throws `FormError` for an invalid key. Whoever holds the result wipes it.
 */
export function taprootPrivateKey(
  curve: Secp256k1,
  privateKey: Uint8Array,
  merkleRoot: Uint8Array = NO_MERKLE_ROOT,
): Uint8Array {
  const publicKey = curve.publicKey(privateKey);
  const tweak = tapTweak(xOnlyKey(publicKey), merkleRoot);
  if (publicKey[0] === 0x02) return curve.privateKeyTweakAdd(privateKey, tweak);
  const negated = curve.privateKeyNegate(privateKey);
  const tweaked = curve.privateKeyTweakAdd(negated, tweak);
  negated.fill(0);
  return tweaked;
}
