/**
 * Declarative codecs: one value says how bytes are read, how they are written, and what they look like. Whatever a
 * codec reads it writes back byte for byte, and both directions refuse a value of the wrong form with `FormError`.
 */
import { type ByteReader, type ByteWriter, FormError, invariant } from '@countersign/bitcoin';

/** What a codec's bytes look like: the source of the message documents and of the tests' arbitrary values. */
export type Shape =
  | {
      readonly kind: 'uint';
      readonly bits: 8 | 16 | 32;
      readonly endian: 'be' | 'le';
      readonly values?: readonly number[];
    }
  | { readonly kind: 'u64'; readonly max: bigint }
  /** Two's complement. */
  | { readonly kind: 'i64'; readonly min: bigint; readonly max: bigint }
  | { readonly kind: 'bool' }
  | { readonly kind: 'bytes'; readonly length: number; readonly firstByte?: readonly number[] }
  | { readonly kind: 'octets'; readonly prefixBits: 16 | 32; readonly lengthMax: number }
  | { readonly kind: 'hex'; readonly length: number }
  | { readonly kind: 'rest' }
  | { readonly kind: 'text'; readonly bytesMax: number }
  | { readonly kind: 'constant'; readonly value: string }
  | { readonly kind: 'choice'; readonly values: readonly string[] }
  | { readonly kind: 'option'; readonly of: Shape }
  | { readonly kind: 'list'; readonly prefixBits: 16 | 32; readonly countMax: number; readonly of: Shape }
  | { readonly kind: 'map'; readonly key: Shape; readonly value: Shape }
  | { readonly kind: 'struct'; readonly fields: readonly { readonly name: string; readonly shape: Shape }[] }
  | {
      readonly kind: 'tlv';
      readonly records: readonly { readonly name: string; readonly type: bigint; readonly shape: Shape }[];
    }
  | {
      readonly kind: 'variant';
      readonly tag: string;
      readonly cases: readonly { readonly name: string; readonly number: number; readonly shape: Shape }[];
    }
  | { readonly kind: 'versioned'; readonly version: number; readonly of: Shape }
  | { readonly kind: 'transaction' }
  | { readonly kind: 'psbt' }
  /** A shape that carries a name of its own (`node_id`, `hsm_utxo`); `secret` values never enter logs. */
  | { readonly kind: 'named'; readonly name: string; readonly secret: boolean; readonly of: Shape };

/** Only the reading half: enough for records of older versions. */
export interface Reads<T> {
  /** Throws `FormError` when the bytes don't have this form. */
  read(reader: ByteReader): T;
}

export interface Codec<T> extends Reads<T> {
  /** Throws `FormError` when the value cannot be expressed in this form. */
  write(writer: ByteWriter, value: T): void;
  readonly describe: Shape;
  /** The least number of bytes any value takes: lets a count be checked before anything is allocated. */
  readonly bytesMin: number;
}

export type ValueOf<C> = C extends Reads<infer T> ? T : never;

/** Field name → codec, in the order of the bytes. */
export type Fields = Readonly<Record<string, Codec<unknown>>>;
export type StructValue<F extends Fields> = { readonly [K in keyof F]: ValueOf<F[K]> };

const COUNT_MAX_U16 = 0xffff;
const COUNT_MAX_U32 = 0xffff_ffff;
const U64_MAX = 0xffff_ffff_ffff_ffffn;

/** The same failure, with the name of the field it happened in put before its path. */
function inField(error: unknown, name: string): unknown {
  if (!(error instanceof FormError)) return error;
  const inner = error.facts.field;
  const field = inner === undefined ? name : `${name}.${String(inner)}`;
  return new FormError(error.message, { ...error.facts, field });
}

function checkUint(value: number, max: number): void {
  if (!Number.isInteger(value) || value < 0 || value > max)
    throw new FormError('integer out of range', { value: Number(value), max });
}

// Numbers

export const u8: Codec<number> = {
  read: (reader) => reader.u8(),
  write(writer, value) {
    checkUint(value, 0xff);
    writer.u8(value);
  },
  describe: { kind: 'uint', bits: 8, endian: 'be' },
  bytesMin: 1,
};

export const u16: Codec<number> = {
  read: (reader) => reader.u16be(),
  write(writer, value) {
    checkUint(value, COUNT_MAX_U16);
    writer.u16be(value);
  },
  describe: { kind: 'uint', bits: 16, endian: 'be' },
  bytesMin: 2,
};

export const u32: Codec<number> = {
  read: (reader) => reader.u32be(),
  write(writer, value) {
    checkUint(value, COUNT_MAX_U32);
    writer.u32be(value);
  },
  describe: { kind: 'uint', bits: 32, endian: 'be' },
  bytesMin: 4,
};

/** Little-endian, as in Bitcoin's own serializations. */
export const u32le: Codec<number> = {
  read: (reader) => reader.u32le(),
  write(writer, value) {
    checkUint(value, COUNT_MAX_U32);
    writer.u32le(value);
  },
  describe: { kind: 'uint', bits: 32, endian: 'le' },
  bytesMin: 4,
};

export const u64: Codec<bigint> = {
  read: (reader) => reader.u64be(),
  write(writer, value) {
    if (typeof value !== 'bigint' || value < 0n || value > U64_MAX)
      throw new FormError('integer out of range', { max: U64_MAX });
    writer.u64be(value);
  },
  describe: { kind: 'u64', max: U64_MAX },
  bytesMin: 8,
};

/** Two's complement, `min` … `max`. */
export function i64(min: bigint, max: bigint): Codec<bigint> {
  const check = (value: bigint): bigint => {
    if (typeof value !== 'bigint' || value < min || value > max)
      throw new FormError('integer out of range', { min, max });
    return value;
  };
  return {
    read: (reader) => check(BigInt.asIntN(64, reader.u64be())),
    write: (writer, value) => void writer.u64be(BigInt.asUintN(64, check(value))),
    describe: { kind: 'i64', min, max },
    bytesMin: 8,
  };
}

/** A u8 that may only hold one of `values`. */
export function oneOf(values: readonly number[], what: string): Codec<number> {
  const check = (value: number): number => {
    if (!values.includes(value)) throw new FormError(`${what}: unknown value`, { value });
    return value;
  };
  return {
    read: (reader) => check(reader.u8(what)),
    write: (writer, value) => void writer.u8(check(value)),
    describe: { kind: 'uint', bits: 8, endian: 'be', values },
    bytesMin: 1,
  };
}

/** One byte, 0 or 1; anything else is refused, as CLN does. */
export const bool: Codec<boolean> = {
  read(reader) {
    const value = reader.u8('bool');
    if (value > 1) throw new FormError('bool is neither 0 nor 1', { value });
    return value === 1;
  },
  write(writer, value) {
    if (typeof value !== 'boolean') throw new FormError('not a bool');
    writer.u8(value ? 1 : 0);
  },
  describe: { kind: 'bool' },
  bytesMin: 1,
};

// Bytes

/** Exactly `length` bytes; with `firstByte`, the first must be one of those. */
export function bytes(length: number, firstByte?: readonly number[]): Codec<Uint8Array> {
  const what = `${length} bytes`;
  const check = (value: Uint8Array): Uint8Array => {
    if (firstByte !== undefined && !firstByte.includes(value[0]!))
      throw new FormError('unknown first byte', { length });
    return value;
  };
  return {
    read: (reader) => check(reader.take(length, what)),
    write(writer, value) {
      if (!(value instanceof Uint8Array) || value.length !== length)
        throw new FormError('wrong number of bytes', { length: value.length, needed: length });
      writer.put(check(value));
    },
    describe: { kind: 'bytes', length, ...(firstByte === undefined ? {} : { firstByte }) },
    bytesMin: length,
  };
}

function lengthPrefixed(prefixBits: 16 | 32, lengthMax: number): Codec<Uint8Array> {
  const check = (length: number): void => {
    if (length > lengthMax) throw new FormError('too many bytes', { length, max: lengthMax });
  };
  return {
    read(reader) {
      const length = prefixBits === 16 ? reader.u16be('length') : reader.u32be('length');
      check(length);
      return reader.take(length);
    },
    write(writer, value) {
      if (!(value instanceof Uint8Array)) throw new FormError('not bytes');
      check(value.length);
      if (prefixBits === 16) writer.u16be(value.length);
      else writer.u32be(value.length);
      writer.put(value);
    },
    describe: { kind: 'octets', prefixBits, lengthMax },
    bytesMin: prefixBits / 8,
  };
}

/** Bytes behind a u16 length: the csv's `u8` array with its length field. */
export const octets: Codec<Uint8Array> = lengthPrefixed(16, COUNT_MAX_U16);

/** Bytes behind a u32 length of at most `lengthMax`. */
export const largeOctets = (lengthMax: number = COUNT_MAX_U32): Codec<Uint8Array> =>
  lengthPrefixed(32, lengthMax);

/** Everything that is left. Only as the last field. */
export const rest: Codec<Uint8Array> = {
  read: (reader) => reader.rest(),
  write: (writer, value) => void writer.put(value),
  describe: { kind: 'rest' },
  bytesMin: 0,
};

// Containers

/** One byte 0 for absent, or 1 and the value: the csv's `?`. */
export function option<T>(of: Codec<T>): Codec<T | undefined> {
  return {
    read: (reader) => (bool.read(reader) ? of.read(reader) : undefined),
    write(writer, value) {
      bool.write(writer, value !== undefined);
      if (value !== undefined) of.write(writer, value);
    },
    describe: { kind: 'option', of: of.describe },
    bytesMin: 1,
  };
}

function counted<T>(of: Codec<T>, prefixBits: 16 | 32, countMax: number): Codec<readonly T[]> {
  const { bytesMin } = of;
  invariant(bytesMin > 0, 'a list needs items of at least one byte');
  const check = (count: number): void => {
    if (count > countMax) throw new FormError('too many items', { count, max: countMax });
  };
  return {
    read(reader) {
      const count = prefixBits === 16 ? reader.u16be('count') : reader.u32be('count');
      check(count);
      if (count * bytesMin > reader.remaining)
        throw new FormError('truncated: list', { count, needed: count * bytesMin, left: reader.remaining });
      const items = new Array<T>(count);
      for (let i = 0; i < count; i++) items[i] = of.read(reader);
      return items;
    },
    write(writer, items) {
      check(items.length);
      if (prefixBits === 16) writer.u16be(items.length);
      else writer.u32be(items.length);
      for (const item of items) of.write(writer, item);
    },
    describe: { kind: 'list', prefixBits, countMax, of: of.describe },
    bytesMin: prefixBits / 8,
  };
}

/** Items behind a u16 count, at most `countMax`: every array of the hsmd protocol. */
export const array = <T>(of: Codec<T>, countMax: number = COUNT_MAX_U16): Codec<readonly T[]> =>
  counted(of, 16, countMax);

/** Items behind a u32 count of at most `countMax`: for state records. */
export const list = <T>(of: Codec<T>, countMax: number = COUNT_MAX_U32): Codec<readonly T[]> =>
  counted(of, 32, countMax);

/** Nothing on the wire; always `value` in the object. Gives a decoded message its `name`. */
export function constant<const V extends string>(value: V): Codec<V> {
  return { read: () => value, write: () => undefined, describe: { kind: 'constant', value }, bytesMin: 0 };
}

/** The fields one after the other, in the order of the object's keys. */
export function struct<F extends Fields>(fields: F): Codec<StructValue<F>> {
  const entries = Object.entries(fields);
  const names = entries.map(([name]) => name);
  const codecs = entries.map(([, codec]) => codec);
  return {
    read(reader) {
      const value: Record<string, unknown> = {};
      let i = 0;
      try {
        for (; i < codecs.length; i++) value[names[i]!] = codecs[i]!.read(reader);
      } catch (error) {
        throw inField(error, names[i]!);
      }
      return value as StructValue<F>;
    },
    write(writer, value) {
      let i = 0;
      try {
        for (; i < codecs.length; i++) codecs[i]!.write(writer, value[names[i]!]);
      } catch (error) {
        throw inField(error, names[i]!);
      }
    },
    describe: { kind: 'struct', fields: entries.map(([name, codec]) => ({ name, shape: codec.describe })) },
    bytesMin: codecs.reduce((sum, codec) => sum + codec.bytesMin, 0),
  };
}

/** The same bytes under a name of the protocol, for documents. */
export function named<T>(name: string, of: Codec<T>): Codec<T> {
  return { ...of, describe: { kind: 'named', name, secret: false, of: of.describe } };
}

/** As `named`, for values that may never enter a log. */
export function secretNamed<T>(name: string, of: Codec<T>): Codec<T> {
  return { ...of, describe: { kind: 'named', name, secret: true, of: of.describe } };
}
