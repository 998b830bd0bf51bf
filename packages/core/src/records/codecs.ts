/** Codecs that the stored forms share: amounts, numbers, keys, and what may be absent. */
import { type Msat, msat, type OutPoint, type Sat, sat } from '@countersign/bitcoin';
import { bytes, type Codec, i64, mapped, octets, option, struct, u32, u64 } from '@countersign/wire';

export const nullable = <T>(codec: Codec<T>): Codec<T | null> =>
  mapped(
    option(codec),
    (value) => value ?? null,
    (value) => value ?? undefined,
  );

export const satoshis: Codec<Sat> = mapped(u64, sat, (value) => value);
export const millisatoshis: Codec<Msat> = mapped(u64, msat, (value) => value);
/** A sum or a difference of millisatoshis: no single amount of bitcoin, so neither bounded by the supply nor positive. */
export const signedMsat: Codec<bigint> = i64(-(2n ** 63n), 2n ** 63n - 1n);
/** Sums beyond what a record holds are refused, not stored: no real channels come near. */
export const isStorableMsat = (value: bigint): boolean => BigInt.asIntN(64, value) === value;
/** Numbers up to 2^53 − 1: commitment numbers, seconds. */
export const exactNumber: Codec<number> = mapped(u64, Number, BigInt);
export const key33 = bytes(33);
export const hash32 = bytes(32);
export const signature64 = bytes(64);
export const outpoint: Codec<OutPoint> = struct({ txid: hash32, vout: u32 });

const textEncoder = new TextEncoder();
const textDecoder = new TextDecoder('utf-8', { fatal: true });
/** UTF-8, at most 65,535 bytes. */
export const text: Codec<string> = mapped(
  octets,
  (value) => textDecoder.decode(value),
  (value) => textEncoder.encode(value),
);
