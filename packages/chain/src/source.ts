/**
 * Where blocks come from: a Bitcoin node or a server of the operator's choice. Nothing it says is believed; whoever takes the
 * bytes judges them. A source promises bounded time and memory for every call, and `SourceError` for everything that
 * goes wrong.
 */
import { CountersignError, type Facts } from '@countersign/bitcoin';

/** A block's place; hashes are in internal byte order everywhere in this package. */
export interface ChainPoint {
  readonly heightBlocks: number;
  readonly hash: Uint8Array;
}

export interface BroadcastAnswer {
  /** In its mempool, or in a block already. */
  readonly accepted: boolean;
  /** Why not, in the source's words. */
  readonly reason: string | null;
}

/** What transactions pay now, in satoshi for 1000 weight units. */
export interface SourceFeerates {
  /** For one that has hours. */
  readonly normalPerKw: number;
  /** For one of the next blocks. */
  readonly urgentPerKw: number;
}

export interface ChainSource {
  /** For people: kind and address, never a password. */
  readonly name: string;
  /** Headers that one call of `headers` may ask for. */
  readonly headersPerRunMax: number;
  /** Not asked for its tip more often, whoever wants to know. */
  readonly askedAgainMsMin: number;
  bestTip(signal: AbortSignal): Promise<ChainPoint>;
  /** The headers of `count` heights, 80 bytes each, in ascending order. */
  headers(fromHeightBlocks: number, count: number, signal: AbortSignal): Promise<Uint8Array>;
  /** The whole block with its witnesses. */
  block(hash: Uint8Array, signal: AbortSignal): Promise<Uint8Array>;
  broadcast(raw: Uint8Array, signal: AbortSignal): Promise<BroadcastAnswer>;
  /** Null when it has no estimate. */
  feerates(signal: AbortSignal): Promise<SourceFeerates | null>;
  /** Resolves when the tip may be another than `known`, at the latest after the source's polling interval. */
  changed(known: ChainPoint, signal: AbortSignal): Promise<void>;
  /** Gives up its connections. */
  close(): void;
}

export type SourceErrorCode =
  /** No connection, or none that lasted: refused, reset, too slow. */
  | 'chain-source-unreachable'
  /** It does not let us in. */
  | 'chain-source-unauthorized'
  /** An answer that is none: too long, malformed, or contradicting itself. */
  | 'chain-source-answer'
  /** Not yet: it starts, catches up itself, or wants fewer requests. */
  | 'chain-source-busy'
  /** It follows another network. */
  | 'chain-source-network'
  /** It has thrown a block away that the signer still needs. */
  | 'chain-source-pruned'
  /** It does not have (or no longer has) what was asked for, as after a reorg. */
  | 'chain-source-missing';

export class SourceError extends CountersignError {
  declare readonly code: SourceErrorCode;
  /** Not asked again earlier, if the source named a time. */
  readonly retryAfterMs: number | null;

  constructor(
    code: SourceErrorCode,
    message: string,
    facts: Facts = {},
    options: { cause?: unknown; retryAfterMs?: number | null } = {},
  ) {
    super(code, message, facts, options);
    this.name = 'SourceError';
    this.retryAfterMs = options.retryAfterMs ?? null;
  }
}

/** Codes that stay until the operator has done something. */
export const NEEDS_OPERATOR: ReadonlySet<SourceErrorCode> = new Set([
  'chain-source-unauthorized',
  'chain-source-network',
  'chain-source-pruned',
]);

/** BIP 141: at most 4,000,000 weight units, and a byte has at least one. */
export const BLOCK_BYTES_MAX = 4_000_000;
/** Targets of an estimate, in blocks. */
export const NORMAL_TARGET_BLOCKS = 12;
export const URGENT_TARGET_BLOCKS = 2;
export const HEADER_BYTES = 80;
export const HASH_BYTES = 32;
