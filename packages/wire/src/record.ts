/**
 * Combinators for state records rather than messages: maps, tagged variants, hex keys and version bytes. Every value has
 * exactly one encoding, so equal states are equal bytes.
 */
import { compareBytes, FormError, fromHex, invariant, toHex } from '@countersign/bitcoin';
import type { Codec, Fields, Reads, Shape, StructValue } from './codec.ts';
import { struct } from './codec.ts';
import { encodeValue } from './encode.ts';

/** The longest key of a map, in bytes. */
const KEY_BYTES_MAX = 1024;

/** The value seen through a pair of functions; both may throw `FormError`. */
export function mapped<Inner, Outer>(
  of: Codec<Inner>,
  decode: (inner: Inner) => Outer,
  encode: (outer: Outer) => Inner,
  describe: Shape = of.describe,
): Codec<Outer> {
  return {
    read: (reader) => decode(of.read(reader)),
    write: (writer, value) => of.write(writer, encode(value)),
    describe,
    bytesMin: of.bytesMin,
  };
}

/** One of the names, as its u8 number. */
export function choice<const N extends Readonly<Record<string, number>>>(
  numbers: N,
  what: string,
): Codec<keyof N & string> {
  type Name = keyof N & string;
  const names = new Map(Object.entries(numbers).map(([name, number]) => [number, name as Name]));
  return {
    read(reader) {
      const number = reader.u8(what);
      const name = names.get(number);
      if (name === undefined) throw new FormError(`${what}: unknown value`, { value: number });
      return name;
    },
    write(writer, name) {
      const number = Object.hasOwn(numbers, name) ? numbers[name] : undefined;
      if (number === undefined) throw new FormError(`${what}: unknown name`);
      writer.u8(number);
    },
    describe: { kind: 'choice', values: [...names.values()] },
    bytesMin: 1,
  };
}

/** `length` bytes as lower-case hex text: for map keys and identifiers. */
export function hexBytes(length: number): Codec<string> {
  return {
    read: (reader) => toHex(reader.view(length)),
    write(writer, value) {
      if (value.length !== 2 * length || value !== value.toLowerCase())
        throw new FormError('wrong hex text', { needed_bytes: length });
      writer.put(fromHex(value));
    },
    describe: { kind: 'hex', length },
    bytesMin: length,
  };
}

/** u32 count, then pairs in ascending order of the keys' bytes; any other order, or a key twice, is refused. */
export function map<K extends string | number | bigint, V>(
  key: Codec<K>,
  value: Codec<V>,
): Codec<ReadonlyMap<K, V>> {
  const pairBytesMin = key.bytesMin + value.bytesMin;
  invariant(pairBytesMin > 0, 'a map needs pairs of at least one byte');
  const keyBytes = (k: K): Uint8Array => encodeValue(key, k, KEY_BYTES_MAX);
  return {
    read(reader) {
      const count = reader.u32be('count');
      if (count * pairBytesMin > reader.remaining)
        throw new FormError('truncated: map', { count, left: reader.remaining });
      const entries = new Map<K, V>();
      let previous: Uint8Array | undefined;
      for (let i = 0; i < count; i++) {
        const at = reader.offset;
        const k = key.read(reader);
        const bytes = reader.bytes.subarray(at, reader.offset);
        if (previous !== undefined && compareBytes(previous, bytes) >= 0)
          throw new FormError('map keys not ascending', { index: i });
        previous = bytes;
        entries.set(k, value.read(reader));
      }
      return entries;
    },
    write(writer, entries) {
      const sorted = [...entries].map(([k, v]) => ({ bytes: keyBytes(k), v }));
      sorted.sort((a, b) => compareBytes(a.bytes, b.bytes));
      writer.u32be(sorted.length);
      for (const { bytes, v } of sorted) {
        writer.put(bytes);
        value.write(writer, v);
      }
    },
    describe: { kind: 'map', key: key.describe, value: value.describe },
    bytesMin: 4,
  };
}

/** Name → [u8 number, fields]. */
export type VariantCases = Readonly<Record<string, readonly [number: number, fields: Fields]>>;
export type VariantValue<Tag extends string, C extends VariantCases> = {
  readonly [N in keyof C & string]: { readonly [T in Tag]: N } & StructValue<C[N][1]>;
}[keyof C & string];

/** A discriminated union on the property `tag`: the case's number as u8, then its fields. */
export function variant<const Tag extends string, const C extends VariantCases>(
  tag: Tag,
  cases: C,
): Codec<VariantValue<Tag, C>> {
  const compiled = Object.entries(cases).map(([name, [number, fields]]) => ({
    name,
    number,
    codec: struct(fields),
  }));
  const byNumber = new Map(compiled.map((one) => [one.number, one]));
  const byName = new Map(compiled.map((one) => [one.name, one]));
  invariant(byNumber.size === compiled.length, 'variant numbers are unique', { tag });
  return {
    read(reader) {
      const number = reader.u8(tag);
      const one = byNumber.get(number);
      if (one === undefined) throw new FormError(`${tag}: unknown variant`, { number });
      return { [tag]: one.name, ...one.codec.read(reader) } as VariantValue<Tag, C>;
    },
    write(writer, value) {
      const one = byName.get(value[tag]);
      if (one === undefined) throw new FormError(`${tag}: unknown variant`);
      writer.u8(one.number);
      one.codec.write(writer, value);
    },
    describe: {
      kind: 'variant',
      tag,
      cases: compiled.map(({ name, number, codec }) => ({ name, number, shape: codec.describe })),
    },
    bytesMin: 1 + Math.min(...compiled.map(({ codec }) => codec.bytesMin)),
  };
}

/** Reads an older form and brings it to the newer one. */
export function upgrade<Old, New>(of: Reads<Old>, toNew: (old: Old) => New): Reads<New> {
  return { read: (reader) => toNew(of.read(reader)) };
}

/**
 * A version byte before the value. Writes `version`; reads it and the `older` ones. Any other version, a newer one
 * above all, throws `FormError`: there is no silent downgrade.
 */
export function versioned<T>(
  version: number,
  of: Codec<T>,
  older: Readonly<Record<number, Reads<T>>> = {},
): Codec<T> {
  return {
    read(reader) {
      const found = reader.u8('version');
      const reads = found === version ? of : Object.hasOwn(older, found) ? older[found] : undefined;
      if (reads === undefined)
        throw new FormError('unknown record version', { version: found, version_newest: version });
      return reads.read(reader);
    },
    write(writer, value) {
      writer.u8(version);
      of.write(writer, value);
    },
    describe: { kind: 'versioned', version, of: of.describe },
    bytesMin: 1,
  };
}
