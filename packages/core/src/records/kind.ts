/**
 * How a record becomes bytes and back: a kind has a name, a schema version, one codec, and migrations from the
 * versions before. A record of a newer, unknown version is never guessed at: it stops the signer.
 */
import { ByteReader, ByteWriter, CountersignError } from '@countersign/bitcoin';
import type { Codec } from '@countersign/wire';

/** A kind of record: its name, its form, and what it takes to read older ones. */
export interface RecordKind<T> {
  /** Key prefix in the journal, and its name in errors. */
  readonly name: string;
  /** 1–255; written in front of every record. */
  readonly schemaVersion: number;
  readonly codec: Codec<T>;
  /** From the bytes of an older schema version to today's value. */
  readonly migrations: Readonly<Record<number, (bytes: Uint8Array) => T>>;
}

/** Largest encoded record: a channel with 966 HTLCs in 8 variants stays well below. */
export const RECORD_BYTES_MAX = 4 * 1024 * 1024;

/** A record as the journal stores it: its schema version, then its fields. */
export function encodeRecord<T>(kind: RecordKind<T>, value: T): Uint8Array {
  const writer = new ByteWriter(512, RECORD_BYTES_MAX);
  writer.u8(kind.schemaVersion);
  kind.codec.write(writer, value);
  return writer.finish();
}

/** Throws `CountersignError` `record-newer-schema` or `record-unreadable`; both mean: do not go on. */
export function decodeRecord<T>(kind: RecordKind<T>, bytes: Uint8Array): T {
  const version = bytes[0] ?? 0;
  if (version > kind.schemaVersion) {
    throw new CountersignError(
      'record-newer-schema',
      `a ${kind.name} record was written by a newer version of Countersign`,
      {
        schema_version: version,
        schema_version_known: kind.schemaVersion,
      },
    );
  }
  try {
    if (version !== kind.schemaVersion) {
      const migrate = kind.migrations[version];
      if (migrate === undefined) throw new Error(`no migration from schema version ${version}`);
      return migrate(bytes.subarray(1));
    }
    const reader = new ByteReader(bytes.subarray(1));
    const value = kind.codec.read(reader);
    reader.end(`${kind.name} record`);
    return value;
  } catch (cause) {
    throw new CountersignError(
      'record-unreadable',
      `a ${kind.name} record can't be read`,
      { bytes: bytes.length },
      { cause },
    );
  }
}
