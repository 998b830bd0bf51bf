/**
 * Block headers: the 80 bytes, the compact form of a target (arith_uint256 of Bitcoin Core), and the work a header
 * proves. Pure arithmetic: which target a chain demands is for whoever knows the chain.
 */
import { FormError } from './error.ts';
import { hash256 } from './hash.ts';

export const HEADER_BYTES = 80;

/** Where the fields stand, for those who read runs of headers in place. */
export const HEADER_AT = { version: 0, previous: 4, merkleRoot: 36, time: 68, bits: 72, nonce: 76 } as const;

export interface BlockHeader {
  /** Signed 32-bit. */
  readonly version: number;
  /** Internal byte order, 32 bytes. */
  readonly previous: Uint8Array;
  readonly merkleRoot: Uint8Array;
  readonly timeSeconds: number;
  /** The target in compact form. */
  readonly bits: number;
  readonly nonce: number;
}

/** Copies what it keeps. `FormError` unless 80 bytes. */
export function parseBlockHeader(bytes: Uint8Array): BlockHeader {
  if (bytes.length !== HEADER_BYTES) {
    throw new FormError('a block header has 80 bytes', { bytes: bytes.length });
  }
  const own = new Uint8Array(bytes);
  const view = new DataView(own.buffer);
  return {
    version: view.getInt32(HEADER_AT.version, true),
    previous: own.subarray(HEADER_AT.previous, HEADER_AT.merkleRoot),
    merkleRoot: own.subarray(HEADER_AT.merkleRoot, HEADER_AT.time),
    timeSeconds: view.getUint32(HEADER_AT.time, true),
    bits: view.getUint32(HEADER_AT.bits, true),
    nonce: view.getUint32(HEADER_AT.nonce, true),
  };
}

/** Internal byte order. */
export const blockHash = (header: Uint8Array): Uint8Array => hash256(header);

/**
 * The target a compact form stands for; null where Bitcoin Core's `SetCompact` reports a negative or overflowing one.
 * Not every form is the shortest: only `compactOfTarget` makes canonical ones.
 */
export function targetOfCompact(bits: number): bigint | null {
  const size = bits >>> 24;
  const mantissa = bits & 0x7f_ffff;
  const word = size <= 3 ? mantissa >>> (8 * (3 - size)) : mantissa;
  if (word === 0) return 0n;
  if ((bits & 0x80_0000) !== 0) return null;
  if (size > 34 || (word > 0xff && size > 33) || (word > 0xffff && size > 32)) return null;
  return size <= 3 ? BigInt(word) : BigInt(word) << BigInt(8 * (size - 3));
}

/** The compact form, rounded down to its 23 bits, as `GetCompact`. */
export function compactOfTarget(target: bigint): number {
  const digits = target.toString(16).length;
  let size = target === 0n ? 0 : (digits + 1) >>> 1;
  let word = Number(size <= 3 ? target << BigInt(8 * (3 - size)) : target >> BigInt(8 * (size - 3)));
  if ((word & 0x80_0000) !== 0) {
    word >>>= 8;
    size++;
  }
  return ((size << 24) | word) >>> 0;
}

/** Expected hashes for a block of that target: 2^256 / (target + 1). */
export const workOfTarget = (target: bigint): bigint => (1n << 256n) / (target + 1n);

/** A 256-bit number as 32 bytes in internal (little-endian) order, to compare with hashes. */
export function targetBytes(target: bigint): Uint8Array {
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < 4; i++) view.setBigUint64(8 * i, BigInt.asUintN(64, target >> BigInt(64 * i)), true);
  return bytes;
}

/** Whether a hash, read as a number, is at most the target (both internal order). */
export function meetsTarget(hash: Uint8Array, target: Uint8Array): boolean {
  for (let i = 31; i >= 0; i--) {
    const difference = hash[i]! - target[i]!;
    if (difference !== 0) return difference < 0;
  }
  return true;
}
