/**
 * What a commitment of LDK contains, out of the bytes LDK writes it in: its bindings hide the HTLCs. The form is LDK's TLV stream
 * (rust-lightning 0.1 `CommitmentTransaction`, `HTLCOutputInCommitment`), read strictly: an unknown even type, a
 * length that does not fit or bytes left over are a `FormError`.
 */
import { ByteReader, FormError } from '@countersign/bitcoin';

export interface LdkHtlc {
  /** By the one who may publish the commitment. */
  readonly isOfferedByBroadcaster: boolean;
  readonly amountMsat: bigint;
  readonly cltvExpiryBlocks: number;
  readonly paymentHash: Uint8Array;
  readonly outputIndex: number;
}

export interface LdkCommitment {
  /** Counts up from 0, as BOLT 3 does. */
  readonly number: bigint;
  /** Of outputs, after fee and trimming; 0 where there is none. */
  readonly toBroadcasterSat: bigint;
  readonly toCountersignatorySat: bigint;
  readonly feeratePerKw: number;
  readonly perCommitmentPoint: Uint8Array;
  /** Internal byte order. */
  readonly txid: Uint8Array;
  readonly htlcs: readonly LdkHtlc[];
}

export interface LdkHolderCommitment extends LdkCommitment {
  readonly counterpartySignature: Uint8Array;
  /** In the order of the outputs. */
  readonly counterpartyHtlcSignatures: readonly Uint8Array[];
}

/** LDK counts commitments down from here. */
export const LDK_FIRST_INDEX = (1n << 48n) - 1n;

export const numberOf = (ldkIndex: bigint): bigint => LDK_FIRST_INDEX - ldkIndex;

const HTLCS_MAX = 966;
const RECORD_BYTES_MAX = 200_000;

/** BOLT 1: minimal, big-endian. A bigint only beyond 32 bits. */
function readBigSize(reader: ByteReader, what: string): number | bigint {
  const first = reader.u8(what);
  if (first < 0xfd) return first;
  const [value, min] =
    first === 0xfd
      ? [reader.u16be(what), 0xfd]
      : first === 0xfe
        ? [reader.u32be(what), 0x1_0000]
        : [reader.u64be(what), 0x1_0000_0000];
  if (value < min) throw new FormError(`not minimal: ${what}`, { value });
  return value;
}

function readLength(reader: ByteReader, what: string): number {
  const value = readBigSize(reader, what);
  if (value > RECORD_BYTES_MAX) throw new FormError(`too long: ${what}`, { bytes: value });
  return Number(value);
}

/** A stream behind its length, as a map; `known` lists what may stand in it. The values are views: `field` copies what is kept. */
function readTlvs(reader: ByteReader, known: readonly number[], what: string): Map<number, Uint8Array> {
  const stream = new ByteReader(reader.view(readLength(reader, what), what));
  const found = new Map<number, Uint8Array>();
  let last: number | bigint = -1;
  while (stream.remaining > 0) {
    const type = readBigSize(stream, what);
    if (type <= last) throw new FormError(`types out of order: ${what}`, { type });
    last = type;
    const value = stream.view(readLength(stream, what), what);
    if (known.includes(Number(type))) found.set(Number(type), value);
    else if (BigInt(type) % 2n === 0n) throw new FormError(`unknown even type: ${what}`, { type });
  }
  return found;
}

/** One of a fixed length is a copy; one of any length is read further, and not kept. */
function field(
  tlvs: ReadonlyMap<number, Uint8Array>,
  type: number,
  bytes: number | null,
  what: string,
): Uint8Array {
  const value = tlvs.get(type);
  if (value === undefined || (bytes !== null && value.length !== bytes))
    throw new FormError(`no such field: ${what}`, { type, bytes: value?.length ?? -1 });
  return bytes === null ? value : value.slice();
}

const u64 = (bytes: Uint8Array): bigint => new ByteReader(bytes).u64be();
const u32 = (bytes: Uint8Array): number => new ByteReader(bytes).u32be();

function readHtlc(reader: ByteReader): LdkHtlc {
  const tlvs = readTlvs(reader, [0, 2, 4, 6, 8], 'HTLC');
  return {
    isOfferedByBroadcaster: field(tlvs, 0, 1, 'offered')[0] === 1,
    amountMsat: u64(field(tlvs, 2, 8, 'amount')),
    cltvExpiryBlocks: u32(field(tlvs, 4, 4, 'expiry')),
    paymentHash: field(tlvs, 6, 32, 'payment hash'),
    outputIndex: u32(field(tlvs, 8, 4, 'output index')),
  };
}

const COMMITMENT_FIELDS = [0, 1, 2, 4, 6, 8, 10, 12, 14, 15];

function readCommitmentFrom(reader: ByteReader): LdkCommitment {
  const tlvs = readTlvs(reader, COMMITMENT_FIELDS, 'commitment');
  const keys = readTlvs(new ByteReader(field(tlvs, 8, null, 'keys')), [0, 2, 4, 6, 8], 'keys');
  const built = readTlvs(new ByteReader(field(tlvs, 10, null, 'transaction')), [0, 2], 'transaction');
  const htlcBytes = new ByteReader(tlvs.get(12) ?? new Uint8Array(0));
  const htlcs: LdkHtlc[] = [];
  while (htlcBytes.remaining > 0) {
    if (htlcs.length >= HTLCS_MAX) throw new FormError('too many HTLCs', { htlcs_max: HTLCS_MAX });
    htlcs.push(readHtlc(htlcBytes));
  }
  return {
    // The index that LDK counts down is obscured nowhere: it is the plain one.
    number: numberOf(u48(field(tlvs, 0, null, 'number'))),
    toBroadcasterSat: u64(field(tlvs, 2, 8, 'value of the broadcaster')),
    toCountersignatorySat: u64(field(tlvs, 4, 8, 'value of the other')),
    feeratePerKw: u32(field(tlvs, 6, 4, 'fee rate')),
    perCommitmentPoint: field(keys, 0, 33, 'per-commitment point'),
    txid: field(built, 2, 32, 'txid'),
    htlcs,
  };
}

/** Written as a u64. */
function u48(bytes: Uint8Array): bigint {
  const value = u64(bytes);
  if (value > LDK_FIRST_INDEX) throw new FormError('no commitment has this number', { value });
  return value;
}

export function readCommitment(bytes: Uint8Array): LdkCommitment {
  const reader = new ByteReader(bytes);
  const commitment = readCommitmentFrom(reader);
  if (reader.remaining > 0) throw new FormError('bytes after the commitment', { bytes: reader.remaining });
  return commitment;
}

const SIGNATURE_BYTES = 64;

/** The commitment, and the peer's signatures on it. */
export function readHolderCommitment(bytes: Uint8Array): LdkHolderCommitment {
  const tlvs = readTlvs(new ByteReader(bytes), [0, 2, 4, 6], 'holder commitment');
  const inner = readCommitment(field(tlvs, 0, null, 'commitment'));
  const signatures = field(tlvs, 6, null, 'HTLC signatures');
  return {
    ...inner,
    counterpartySignature: field(tlvs, 2, SIGNATURE_BYTES, 'signature'),
    counterpartyHtlcSignatures: readSignatures(signatures, inner.htlcs.length),
  };
}

function readSignatures(bytes: Uint8Array, count: number): Uint8Array[] {
  if (bytes.length !== count * SIGNATURE_BYTES)
    throw new FormError('another number of HTLC signatures than HTLCs', {
      bytes: bytes.length,
      htlcs: count,
    });
  return Array.from({ length: count }, (_, i) => bytes.slice(SIGNATURE_BYTES * i, SIGNATURE_BYTES * (i + 1)));
}
