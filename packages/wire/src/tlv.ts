/**
 * BOLT 1 "Type-Length-Value Format" streams: BigSize numbers in their shortest form, types strictly ascending, an
 * unknown even type refused, an unknown odd one ignored by the caller but kept, so that the stream is written back whole.
 */
import { ByteReader, type ByteWriter, FormError, invariant } from '@countersign/bitcoin';
import type { Codec, ValueOf } from './codec.ts';
import { encodeValue } from './encode.ts';

/** The longest value of one record that is written. */
const TLV_BYTES_MAX = 1024 * 1024;
const U64_MAX = 0xffff_ffff_ffff_ffffn;

/** BOLT 1 "Appendix A: BigSize": big-endian, shortest form only. */
export const bigsize = {
  read(reader: ByteReader): bigint {
    const first = reader.u8('bigsize');
    if (first < 0xfd) return BigInt(first);
    const value =
      first === 0xfd
        ? BigInt(reader.u16be('bigsize'))
        : first === 0xfe
          ? BigInt(reader.u32be('bigsize'))
          : reader.u64be('bigsize');
    const least = first === 0xfd ? 0xfdn : first === 0xfe ? 0x1_0000n : 0x1_0000_0000n;
    if (value < least) throw new FormError('bigsize not in its shortest form', { value });
    return value;
  },
  write(writer: ByteWriter, value: bigint): void {
    if (value < 0n || value > U64_MAX) throw new FormError('bigsize out of range', { max: U64_MAX });
    if (value < 0xfdn) writer.u8(Number(value));
    else if (value < 0x1_0000n) writer.u8(0xfd).u16be(Number(value));
    else if (value < 0x1_0000_0000n) writer.u8(0xfe).u32be(Number(value));
    else writer.u8(0xff).u64be(value);
  },
} as const;

export interface UnknownTlv {
  /** Odd. */
  readonly type: bigint;
  readonly value: Uint8Array;
}

/** Name → [type, codec of the whole value]. */
export type TlvRecords = Readonly<Record<string, readonly [type: number, codec: Codec<unknown>]>>;

/** Absent records have no key; `unknown` is absent when there are none, else in ascending order. */
export type TlvValue<R extends TlvRecords> = {
  readonly [K in keyof R]?: ValueOf<R[K][1]> | undefined;
} & { readonly unknown?: readonly UnknownTlv[] | undefined };

interface KnownRecord {
  readonly name: string;
  readonly type: bigint;
  readonly codec: Codec<unknown>;
}

function readValue(record: KnownRecord, bytes: Uint8Array): unknown {
  const reader = new ByteReader(bytes);
  const value = record.codec.read(reader);
  reader.end(record.name);
  return value;
}

/** A TLV stream up to the end of the bytes. Only as the last field. */
export function tlvStream<R extends TlvRecords>(records: R): Codec<TlvValue<R>> {
  const known = Object.entries(records)
    .map(([name, [type, codec]]): KnownRecord => ({ name, type: BigInt(type), codec }))
    .sort((a, b) => Number(a.type - b.type));
  const byType = new Map(known.map((record) => [record.type, record]));
  invariant(byType.size === known.length && !('unknown' in records), 'TLV types and names are unique');

  return {
    read(reader) {
      const value: Record<string, unknown> = {};
      const unknown: UnknownTlv[] = [];
      let previous = -1n;
      while (reader.remaining > 0) {
        const type = bigsize.read(reader);
        if (type <= previous) throw new FormError('TLV types not ascending', { type, previous });
        previous = type;
        const length = bigsize.read(reader);
        if (length > BigInt(reader.remaining))
          throw new FormError('truncated: TLV record', { type, needed: length, left: reader.remaining });
        const bytes = reader.take(Number(length));
        const record = byType.get(type);
        if (record !== undefined) value[record.name] = readValue(record, bytes);
        else if (type % 2n === 0n) throw new FormError('unknown even TLV type', { type });
        else unknown.push({ type, value: bytes });
      }
      if (unknown.length > 0) value.unknown = unknown;
      return value as TlvValue<R>;
    },
    write(writer, value) {
      const out: UnknownTlv[] = [];
      for (const record of known) {
        const field = value[record.name];
        if (field !== undefined)
          out.push({ type: record.type, value: encodeValue(record.codec, field, TLV_BYTES_MAX) });
      }
      for (const extra of value.unknown ?? []) {
        if (extra.type % 2n === 0n || byType.has(extra.type))
          throw new FormError('not an unknown odd TLV type', { type: extra.type });
        out.push(extra);
      }
      out.sort((a, b) => (a.type < b.type ? -1 : a.type > b.type ? 1 : 0));
      let previous = -1n;
      for (const { type, value: bytes } of out) {
        if (type === previous) throw new FormError('TLV type given twice', { type });
        previous = type;
        bigsize.write(writer, type);
        bigsize.write(writer, BigInt(bytes.length));
        writer.put(bytes);
      }
    },
    describe: {
      kind: 'tlv',
      records: known.map(({ name, type, codec }) => ({ name, type, shape: codec.describe })),
    },
    bytesMin: 0,
  };
}
