/**
 * What an hsmd says on its status socket (CLN common/status_wire.csv): its version, log lines, and why it gives up.
 */
import { ByteReader } from '@countersign/bitcoin';

export type StatusMessage =
  | { readonly kind: 'version'; readonly version: string }
  /** `level`: 3 debug, 4 info, 5 unusual, 6 broken. */
  | { readonly kind: 'log'; readonly level: number; readonly text: string }
  | { readonly kind: 'fail'; readonly text: string }
  /** The hsmd closed a client's socket because of what it asked. */
  | { readonly kind: 'bad-request'; readonly text: string }
  | { readonly kind: 'other'; readonly type: number };

const STATUS_LOG = 0xfff0;
const STATUS_FAIL = 0xfff2;
const STATUS_VERSION = 0xfff6;
const CLIENT_BAD_REQUEST = 1000;
const NODE_ID_BYTES = 33;

/** wirestring: bytes up to a NUL. */
function text(reader: ByteReader): string {
  const rest = reader.rest();
  const end = rest.indexOf(0);
  return new TextDecoder().decode(end === -1 ? rest : rest.subarray(0, end));
}

/** Throws `FormError` on a message too short for what it claims to be. */
export function readStatus(body: Uint8Array): StatusMessage {
  const reader = new ByteReader(body);
  const type = reader.u16be('status type');
  switch (type) {
    case STATUS_VERSION:
      return { kind: 'version', version: text(reader) };
    case STATUS_LOG: {
      const level = reader.u8('log level');
      if (reader.u8('peer present') === 1) reader.take(NODE_ID_BYTES, 'peer');
      return { kind: 'log', level, text: text(reader) };
    }
    case STATUS_FAIL:
      reader.u8('fail reason');
      return { kind: 'fail', text: text(reader) };
    case CLIENT_BAD_REQUEST:
      reader.take(NODE_ID_BYTES, 'client');
      return { kind: 'bad-request', text: text(reader) };
    default:
      return { kind: 'other', type };
  }
}

/** What countersign-hsmd did to its store, as its last log line tells. */
export interface StoreStatistics {
  /** Decisions made durable. */
  readonly commits: number;
  /** Transactions of the store; decisions that arrive together share one. */
  readonly batches: number;
  readonly records: number;
}

const STATISTICS_PREFIX = 'countersign stats ';

/** The statistics in a log line that carries them; undefined for every other line. */
export function readStatistics(line: string): StoreStatistics | undefined {
  if (!line.startsWith(STATISTICS_PREFIX)) return undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(line.slice(STATISTICS_PREFIX.length));
  } catch {
    return undefined;
  }
  if (typeof parsed !== 'object' || parsed === null) return undefined;
  const count = (name: string): number => {
    const value: unknown = Reflect.get(parsed, name);
    return typeof value === 'number' ? value : 0;
  };
  return { commits: count('commits'), batches: count('batches'), records: count('records') };
}
