/**
 * BIP 32 derivation on the curve backend: private children, public children, and the 78-byte public serialization.
 * No base58 and no path text: paths are lists of indices.
 */
import { ByteWriter, FormError, hash160, hmacSha512, type Secp256k1 } from '@countersign/bitcoin';
import { reveal, Secret } from './secret.ts';

/** Added to an index for a hardened child; also the bound of normal indices. */
export const HARDENED = 0x8000_0000;
const DEPTH_MAX = 255;

/** The public half of a node. All of it is told to the Lightning node, so none of it is secret. */
export interface ExtendedPublicKey {
  /** 33 bytes. */
  readonly publicKey: Uint8Array;
  /** 32 bytes. */
  readonly chainCode: Uint8Array;
  readonly depth: number;
  /** First four bytes of the parent's HASH160; zeros for a master key. */
  readonly parentFingerprint: Uint8Array;
  /** u32, hardened ones from 2^31. */
  readonly childNumber: number;
}

export interface ExtendedPrivateKey {
  readonly publicNode: ExtendedPublicKey;
  readonly privateKey: Secret;
}

const MASTER_KEY = new TextEncoder().encode('Bitcoin seed');

/** BIP 32 "Master key generation". `FormError` for the seeds (1 in 2^127) that have no valid key. */
export function masterKey(secp: Secp256k1, seed: Uint8Array): ExtendedPrivateKey {
  const mac = hmacSha512(MASTER_KEY, seed);
  const privateKey = Secret.copy(mac.subarray(0, 32), 32);
  const chainCode = mac.slice(32);
  mac.fill(0);
  const publicKey = secp.publicKey(reveal(privateKey));
  return {
    publicNode: { publicKey, chainCode, depth: 0, parentFingerprint: new Uint8Array(4), childNumber: 0 },
    privateKey,
  };
}

/** BIP 32 CKDpriv. `childNumber` u32; from `HARDENED` up the private key is hashed. `FormError` when the child has no key. */
export function derivePrivateChild(
  secp: Secp256k1,
  parent: ExtendedPrivateKey,
  childNumber: number,
): ExtendedPrivateKey {
  const { publicNode } = parent;
  const data = new Uint8Array(37);
  if (childNumber >= HARDENED) data.set(reveal(parent.privateKey), 1);
  else data.set(publicNode.publicKey);
  const { tweak, chainCode } = childMac(publicNode, data, childNumber);
  data.fill(0);
  const privateKey = Secret.own(secp.privateKeyTweakAdd(reveal(parent.privateKey), tweak), 32);
  tweak.fill(0);
  const publicKey = secp.publicKey(reveal(privateKey));
  return { publicNode: childNode(publicNode, childNumber, publicKey, chainCode), privateKey };
}

/** BIP 32 CKDpub, normal children only (`FormError` for a hardened one). */
export function derivePublicChild(
  secp: Secp256k1,
  parent: ExtendedPublicKey,
  childNumber: number,
): ExtendedPublicKey {
  requireNormalIndex(childNumber);
  const data = new Uint8Array(37);
  data.set(parent.publicKey);
  const { tweak, chainCode } = childMac(parent, data, childNumber);
  return childNode(parent, childNumber, secp.publicKeyTweakAdd(parent.publicKey, tweak), chainCode);
}

/** Wipes the keys between; `from` stays the caller's. */
export function derivePrivatePath(
  secp: Secp256k1,
  from: ExtendedPrivateKey,
  path: readonly number[],
): ExtendedPrivateKey {
  let node = from;
  for (const childNumber of path) {
    const child = derivePrivateChild(secp, node, childNumber);
    if (node !== from) node.privateKey.wipe();
    node = child;
  }
  return node;
}

/** BIP 32 "Serialization format", public: 78 bytes. `version` is u32, 0x0488B21E on mainnet, 0x043587CF on test networks. */
export function serializePublic(node: ExtendedPublicKey, version: number): Uint8Array {
  return new ByteWriter(78, 78)
    .u32be(version)
    .u8(node.depth)
    .put(node.parentFingerprint)
    .u32be(node.childNumber)
    .put(node.chainCode)
    .put(node.publicKey)
    .finish();
}

/** `FormError` unless 0 … 2^31−1. */
export function requireNormalIndex(index: number): void {
  if (!Number.isInteger(index) || index < 0 || index >= HARDENED) {
    throw new FormError('key index out of range', { index, index_max: HARDENED - 1 });
  }
}

/** `data` is 33 bytes of key and room for the index. */
function childMac(parent: ExtendedPublicKey, data: Uint8Array, childNumber: number) {
  if (!Number.isInteger(childNumber) || childNumber < 0 || childNumber > 0xffff_ffff) {
    throw new FormError('child number out of range', { child_number: childNumber });
  }
  new DataView(data.buffer, data.byteOffset, data.length).setUint32(33, childNumber);
  const mac = hmacSha512(parent.chainCode, data);
  const tweak = mac.slice(0, 32);
  const chainCode = mac.slice(32);
  mac.fill(0);
  return { tweak, chainCode };
}

function childNode(
  parent: ExtendedPublicKey,
  childNumber: number,
  publicKey: Uint8Array,
  chainCode: Uint8Array,
): ExtendedPublicKey {
  if (parent.depth >= DEPTH_MAX) throw new FormError('derivation too deep', { depth_max: DEPTH_MAX });
  return {
    publicKey,
    chainCode,
    depth: parent.depth + 1,
    parentFingerprint: hash160(parent.publicKey).slice(0, 4),
    childNumber,
  };
}
