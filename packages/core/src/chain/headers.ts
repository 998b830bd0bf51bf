/**
 * Judges a run of headers against those on record: connected, mined, with the difficulty, time and version that the network's rules
 * give. Whoever shows them need not be trusted: nothing takes a header away but more work.
 */
import {
  equalBytes,
  HEADER_AT,
  HEADER_BYTES,
  hash256,
  meetsTarget,
  targetBytes,
  targetOfCompact,
  txidToHex,
  workOfTarget,
} from '@countersign/bitcoin';
import type { Warning } from '../context.ts';
import {
  CHAIN_ID,
  type ChainRecord,
  chainRecords,
  type HeaderRecord,
  headerRecords,
  heightId,
} from '../records/chain.ts';
import { refuse } from '../refusal.ts';
import type { Draft } from '../state.ts';
import { expectedBits, type HeaderAt, type Timed } from './difficulty.ts';
import type { ChainPlace } from './input.ts';
import { ChainJudgement } from './judgement.ts';
import {
  type ChainParams,
  chainParams,
  FUTURE_SECONDS_MAX,
  MEDIAN_HEADERS,
  RETARGET_BLOCKS,
  TIMEWARP_SECONDS_MAX,
} from './params.ts';
import { chainValidated } from './rules.ts';

/** Two periods: enough to compute the difficulty after the deepest reorg that a policy admits. */
export const HEADERS_KEPT = 2 * RETARGET_BLOCKS;
/** As in a `headers` message of the peer-to-peer protocol. */
export const RUN_HEADERS_MAX = 2000;

/** What a run of valid headers would change. */
export interface JudgedHeaders {
  /** The last block of our chain that stays. */
  readonly forkHeightBlocks: number;
  /** Headers after the fork; empty when the run does not have more work than ours, and then nothing changes. */
  readonly records: readonly HeaderRecord[];
  /** Where the rule is set to `warn`. */
  readonly warnings: readonly Warning[];
}

/** Big-endian, as records have it. */
export const workBytes = (work: bigint): Uint8Array => targetBytes(work).reverse();

export function workOf({ work }: HeaderRecord): bigint {
  const view = new DataView(work.buffer, work.byteOffset, 32);
  return [0, 8, 16, 24].reduce((sum, at) => (sum << 64n) | view.getBigUint64(at), 0n);
}

/** What difficulty and time rules read of a header on record. */
export function timedOf({ header }: HeaderRecord): Timed {
  const view = new DataView(header.buffer, header.byteOffset, HEADER_BYTES);
  return { timeSeconds: view.getUint32(HEADER_AT.time, true), bits: view.getUint32(HEADER_AT.bits, true) };
}

/** The middle of up to eleven times; Bitcoin Core takes the upper one of an even number. */
export function medianTime(times: readonly number[]): number {
  return [...times].sort((a, b) => a - b)[times.length >>> 1]!;
}

/**
 * Times of the last eleven headers up to that height. Those below a checkpoint are not on record and count as the oldest
 * there are, so that the median is never above the true one.
 */
export function recentTimes(headerAt: HeaderAt, heightBlocks: number): number[] {
  const count = Math.min(MEDIAN_HEADERS, heightBlocks + 1);
  const first = heightBlocks - count + 1;
  return Array.from({ length: count }, (_, i) => headerAt(first + i)?.timeSeconds ?? 0);
}

/** Headers on record by height; each is read once. */
export function recordedHeaders(draft: Draft): HeaderAt {
  const known = new Map<number, Timed | null>();
  return (heightBlocks) => {
    const found = known.get(heightBlocks);
    if (found !== undefined) return found;
    const record = heightBlocks < 0 ? null : draft.get(headerRecords, heightId(heightBlocks));
    const timed = record === null ? null : timedOf(record);
    known.set(heightBlocks, timed);
    return timed;
  };
}

/** A run taken apart: own copy, nobody can change it while it is judged. */
class HeaderRun {
  readonly count: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array, countMax: number) {
    this.count = bytes.length / HEADER_BYTES;
    if (!Number.isInteger(this.count) || this.count < 1 || this.count > countMax) {
      refuse(chainValidated, 'a run of headers has 80 bytes for each, and not too many', {
        bytes: bytes.length,
        headers_max: countMax,
      });
    }
    this.#bytes = new Uint8Array(bytes);
    this.#view = new DataView(this.#bytes.buffer);
  }

  header(index: number): Uint8Array {
    return this.#bytes.subarray(HEADER_BYTES * index, HEADER_BYTES * (index + 1));
  }
  previous(index: number): Uint8Array {
    const at = HEADER_BYTES * index;
    return this.#bytes.subarray(at + HEADER_AT.previous, at + HEADER_AT.merkleRoot);
  }
  version(index: number): number {
    return this.#view.getInt32(HEADER_BYTES * index + HEADER_AT.version, true);
  }
  timed(index: number): Timed {
    const at = HEADER_BYTES * index;
    return {
      timeSeconds: this.#view.getUint32(at + HEADER_AT.time, true),
      bits: this.#view.getUint32(at + HEADER_AT.bits, true),
    };
  }
}

export const parseHeaderRun = (bytes: Uint8Array, countMax: number): HeaderRun =>
  new HeaderRun(bytes, countMax);
export type { HeaderRun };

/** The target of a compact form and what it proves, kept while the form stays the same. */
class Targets {
  readonly #limit: bigint;
  #bits = -1;
  #target: { readonly bytes: Uint8Array; readonly work: bigint } | null = null;

  constructor({ limitBits }: ChainParams) {
    this.#limit = targetOfCompact(limitBits)!;
  }

  /** Null for a form that is no target, or one above the network's limit. */
  of(bits: number): { readonly bytes: Uint8Array; readonly work: bigint } | null {
    if (bits === this.#bits) return this.#target;
    const target = targetOfCompact(bits);
    const isUsable = target !== null && target > 0n && target <= this.#limit;
    this.#bits = bits;
    this.#target = isUsable ? { bytes: targetBytes(target), work: workOfTarget(target) } : null;
    return this.#target;
  }
}

/**
 * Where the run meets our chain, and how many of its headers are on record already. Looks no deeper than the headers that
 * stay on record in any case: whoever shows runs that lead nowhere costs no more.
 */
function connect(
  draft: Draft,
  chain: ChainRecord,
  run: HeaderRun,
): { forkHeightBlocks: number; known: number } {
  // Between base and tip every height has its record.
  const recordAt = (height: number): HeaderRecord => draft.get(headerRecords, heightId(height))!;
  const previous = run.previous(0);
  const floor = Math.max(chain.baseHeightBlocks, chain.tipHeightBlocks - HEADERS_KEPT + 1);
  let fork = chain.tipHeightBlocks;
  while (fork >= floor && !equalBytes(recordAt(fork).hash, previous)) fork--;
  if (fork < floor && !equalBytes(recordAt(floor).hash, hash256(run.header(0)))) {
    refuse(chainValidated, 'the headers do not connect to any on record', {
      previous: txidToHex(previous),
      first_height_blocks: floor,
      tip_height_blocks: chain.tipHeightBlocks,
      tip: txidToHex(chain.tipHash),
    });
  }
  let known = 0;
  while (known < run.count) {
    const record = fork < chain.tipHeightBlocks ? recordAt(fork + 1) : null;
    if (record === null || !equalBytes(record.header, run.header(known))) break;
    fork++;
    known++;
  }
  return { forkHeightBlocks: fork, known };
}

/** Walks a run upwards from a header on record. */
class HeaderWalk {
  readonly #nowSeconds: number;
  readonly #params: ChainParams;
  readonly #judgement: ChainJudgement;
  readonly #targets: Targets;
  readonly #headerAt: HeaderAt;
  readonly #walked: Timed[] = [];
  readonly #recent: number[];
  readonly #forkHeightBlocks: number;
  #previousHash: Uint8Array;
  #work: bigint;

  constructor(
    place: Pick<ChainPlace, 'draft' | 'policy' | 'nowSeconds'>,
    params: ChainParams,
    judgement: ChainJudgement,
    forkHeightBlocks: number,
  ) {
    this.#nowSeconds = place.nowSeconds;
    this.#params = params;
    this.#judgement = judgement;
    this.#targets = new Targets(params);
    this.#forkHeightBlocks = forkHeightBlocks;
    const recorded = recordedHeaders(place.draft);
    this.#headerAt = (height) =>
      height > forkHeightBlocks ? this.#walked[height - forkHeightBlocks - 1]! : recorded(height);
    this.#recent = recentTimes(recorded, forkHeightBlocks);
    const fork = place.draft.get(headerRecords, heightId(forkHeightBlocks))!;
    this.#previousHash = fork.hash;
    this.#work = workOf(fork);
  }

  get work(): bigint {
    return this.#work;
  }

  step(run: HeaderRun, index: number): HeaderRecord {
    const heightBlocks = this.#forkHeightBlocks + this.#walked.length + 1;
    const header = run.header(index);
    const hash = hash256(header);
    const timed = run.timed(index);
    if (!equalBytes(run.previous(index), this.#previousHash)) {
      refuse(chainValidated, 'a header does not connect to the one before it', {
        height_blocks: heightBlocks,
        previous: txidToHex(run.previous(index)),
        expected: txidToHex(this.#previousHash),
      });
    }
    this.#work += this.#requireWork(heightBlocks, hash, timed.bits);
    this.#requireDifficulty(heightBlocks, timed);
    this.#requireTime(heightBlocks, timed);
    this.#requireVersion(heightBlocks, run.version(index));
    this.#walked.push(timed);
    this.#recent.push(timed.timeSeconds);
    if (this.#recent.length > MEDIAN_HEADERS) this.#recent.shift();
    this.#previousHash = hash;
    return { header, hash, work: workBytes(this.#work) };
  }

  #requireWork(heightBlocks: number, hash: Uint8Array, bits: number): bigint {
    const target = this.#targets.of(bits);
    if (target === null) {
      refuse(chainValidated, 'the header claims a target that the network does not have', {
        height_blocks: heightBlocks,
        bits: hexBits(bits),
        limit_bits: hexBits(this.#params.limitBits),
      });
    }
    if (!meetsTarget(hash, target.bytes)) {
      refuse(chainValidated, 'the header does not have the proof of work it claims', {
        height_blocks: heightBlocks,
        hash: txidToHex(hash),
        bits: hexBits(bits),
      });
    }
    return target.work;
  }

  #requireDifficulty(heightBlocks: number, { timeSeconds, bits }: Timed): void {
    const expected =
      expectedBits(this.#params, this.#headerAt, heightBlocks, timeSeconds) ??
      this.#bitsAfterCheckpoint(heightBlocks);
    if (expected === bits) return;
    if (expected === null) {
      this.#judgement.violation(chainValidated, 'the difficulty depends on headers that are not on record', {
        height_blocks: heightBlocks,
      });
      return;
    }
    this.#judgement.violation(chainValidated, 'the header has another difficulty than the chain demands', {
      height_blocks: heightBlocks,
      bits: hexBits(bits),
      expected_bits: hexBits(expected),
    });
  }

  #bitsAfterCheckpoint(heightBlocks: number): number | null {
    const found = this.#params.checkpoints.find(
      (one) => one.heightBlocks === heightBlocks - 1 && equalBytes(one.hash, this.#previousHash),
    );
    return found?.nextBits ?? null;
  }

  #requireTime(heightBlocks: number, { timeSeconds }: Timed): void {
    const median = medianTime(this.#recent);
    const facts = { height_blocks: heightBlocks, time_seconds: timeSeconds };
    if (timeSeconds <= median) {
      this.#judgement.violation(
        chainValidated,
        'the header is not younger than the median of those before it',
        {
          ...facts,
          median_seconds: median,
        },
      );
    }
    const parentSeconds = this.#recent[this.#recent.length - 1]!;
    if (
      this.#params.enforcesBip94 &&
      heightBlocks % RETARGET_BLOCKS === 0 &&
      timeSeconds < parentSeconds - TIMEWARP_SECONDS_MAX
    ) {
      this.#judgement.violation(chainValidated, 'the period begins before the one before it ends (BIP 94)', {
        ...facts,
        parent_seconds: parentSeconds,
        overlap_seconds_max: TIMEWARP_SECONDS_MAX,
      });
    }
    const nowSeconds = this.#nowSeconds;
    if (timeSeconds > nowSeconds + FUTURE_SECONDS_MAX) {
      const message = 'the header is from the future by the signer’s clock';
      const ahead = { now_seconds: nowSeconds, ahead_seconds_max: FUTURE_SECONDS_MAX };
      this.#judgement.violation(chainValidated, message, { ...facts, ...ahead }, true);
    }
  }

  /** BIP 34, 66 and 65. */
  #requireVersion(heightBlocks: number, version: number): void {
    const required = 1 + this.#params.versionHeights.filter((height) => heightBlocks >= height).length;
    if (version >= required) return;
    this.#judgement.violation(chainValidated, 'the header has a version that its height no longer admits', {
      height_blocks: heightBlocks,
      version,
      version_min: required,
    });
  }
}

const hexBits = (bits: number): string => bits.toString(16).padStart(8, '0');

/**
 * Judges `headers`, 80 bytes each, at most `RUN_HEADERS_MAX`, in the order of their heights. The first connects to a header on
 * record; those at the beginning that are on record already are skipped. Leaves with a refusal, or says what to put on record.
 */
export function judgeHeaders(
  place: Pick<ChainPlace, 'draft' | 'policy' | 'nowSeconds'>,
  headers: Uint8Array,
): JudgedHeaders {
  return judgeHeadersBy(chainParams(place.policy.network), place, headers);
}

/** As `judgeHeaders`, by the consensus of `params`. */
export function judgeHeadersBy(
  params: ChainParams,
  place: Pick<ChainPlace, 'draft' | 'policy' | 'nowSeconds'>,
  headers: Uint8Array,
): JudgedHeaders {
  const { draft, policy } = place;
  const run = new HeaderRun(headers, RUN_HEADERS_MAX);
  const chain = draft.get(chainRecords, CHAIN_ID);
  if (chain === null) refuse(chainValidated, 'no chain has begun');
  const { forkHeightBlocks, known } = connect(draft, chain, run);
  const judgement = new ChainJudgement(policy);
  const walk = new HeaderWalk(place, params, judgement, forkHeightBlocks);
  const records: HeaderRecord[] = [];
  for (let index = known; index < run.count; index++) records.push(walk.step(run, index));
  const tip = draft.get(headerRecords, heightId(chain.tipHeightBlocks))!;
  const hasMoreWork = walk.work > workOf(tip);
  return { forkHeightBlocks, records: hasMoreWork ? records : [], warnings: judgement.warnings };
}
