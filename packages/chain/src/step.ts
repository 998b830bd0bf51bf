/**
 * One step of a catch-up: headers until the signer has the source's chain, then some blocks. Keeps nothing: what is next
 * follows from what the signer has. At most one block and two runs of headers are in memory.
 */
import { concat, equalBytes, hash256, invariant } from '@countersign/bitcoin';
import { headerAt, linkedTo } from './headers.ts';
import type { CatchUpPhase } from './progress.ts';
import type { ChainSink, HeaderRange, SinkAnswer, SinkTip } from './sink.ts';
import { type ChainPoint, type ChainSource, HEADER_BYTES, SourceError } from './source.ts';

/** After so many the source is asked for its tip again. */
export const BLOCKS_PER_STEP_MAX = 100;

export type StepOutcome =
  /** The signer has all the source has. */
  | { readonly kind: 'done' }
  /** There are more blocks. */
  | { readonly kind: 'more' }
  | Waiting
  | Refused;

/** The source has nothing that the signer could use now; why, for the operator. */
export interface Waiting {
  readonly kind: 'waiting';
  readonly message: string;
}

/** The signer will not have it. */
export interface Refused {
  readonly kind: 'refused';
  readonly temporary: boolean;
  readonly message: string;
}

export interface StepInput {
  readonly sink: ChainSink;
  readonly source: ChainSource;
  readonly best: ChainPoint;
  readonly birthdayHeightBlocks: number | null;
  readonly signal: AbortSignal;
  readonly onProgress: (phase: CatchUpPhase, heightBlocks: number, targetHeightBlocks: number) => void;
  /** The signer's chain lost its blocks above this height. */
  readonly onReorg: (forkHeightBlocks: number, fromHeightBlocks: number) => void;
}

/** Rejects with `SourceError`, or with what the sink rejects with. */
export async function step(input: StepInput): Promise<StepOutcome> {
  const begun = await begin(input);
  if ('kind' in begun) return begun;
  const stopped = await syncHeaders(input, begun);
  if (stopped?.kind === 'refused') return stopped;
  // Blocks of the signer's own chain are wanted also while the source's is no better.
  const fed = await feedBlocks(input, stopped !== null);
  return fed.kind === 'done' && stopped !== null ? stopped : fed;
}

async function begin(input: StepInput): Promise<SinkTip | Refused | Waiting> {
  const { sink, source, best, birthdayHeightBlocks, signal } = input;
  const before = await sink.tip();
  if (before !== null) return before;
  const start = { birthdayHeightBlocks, sourceHeightBlocks: best.heightBlocks };
  const needs = await sink.beginNeeds(start);
  if (needs !== null && needs.lastHeightBlocks > best.heightBlocks) {
    const where = `${source.name} ends at height ${best.heightBlocks}, the signer begins at ${needs.lastHeightBlocks}`;
    return waiting(`${where}: the source is still catching up itself`);
  }
  const headers = needs === null ? new Uint8Array(0) : await rangeOf(source, needs, signal);
  const answer = await sink.begin(start, headers);
  if (!answer.ok) return refused('the chain cannot begin', answer);
  const tip = await sink.tip();
  invariant(tip !== null, 'a chain that has begun has a tip');
  return tip;
}

/** Null: the signer has the source's chain now. */
async function syncHeaders(input: StepInput, tip: SinkTip): Promise<Refused | Waiting | null> {
  const { sink, source, best, onReorg } = input;
  if (equalBytes(best.hash, tip.tipHash)) return null;
  const fork = await findFork(input, tip);
  if (fork === null) return waiting(noCommonBlock(input, tip));
  if (fork.heightBlocks < best.heightBlocks) {
    const stopped = await sendHeaders(input, fork);
    if (stopped !== null) return stopped;
  }
  const now = await sink.tip();
  if (now !== null && equalBytes(now.tipHash, best.hash)) {
    if (fork.heightBlocks < tip.tipHeightBlocks) onReorg(fork.heightBlocks, tip.tipHeightBlocks);
    return null;
  }
  const message = `${source.name} ends at height ${best.heightBlocks} with a chain that has no more work than the one known up to ${now?.tipHeightBlocks}`;
  return waiting(message);
}

/**
 * The last block that both have. Looks back in runs that grow fast: nearly always the signer's tip is it, and a reorg is
 * short.
 */
async function findFork({ sink, source, best, signal }: StepInput, tip: SinkTip): Promise<ChainPoint | null> {
  let high = Math.min(best.heightBlocks, tip.tipHeightBlocks);
  for (let count = 1; high >= 0; count = Math.min(16 * count, source.headersPerRunMax)) {
    const low = Math.max(0, high - count + 1);
    const headers = await runOf(source, low, high - low + 1, signal);
    for (let heightBlocks = high; heightBlocks >= low; heightBlocks--) {
      const ours = await sink.headerHash(heightBlocks);
      if (ours === null) return null;
      if (equalBytes(ours, hash256(headerAt(headers, heightBlocks - low))))
        return { heightBlocks, hash: ours };
    }
    high = low - 1;
  }
  return null;
}

function noCommonBlock({ source, best }: StepInput, tip: SinkTip): string {
  const where = `${source.name} ends at height ${best.heightBlocks}, the signer's records at ${tip.tipHeightBlocks}`;
  return best.heightBlocks < tip.tipHeightBlocks
    ? `${where}: the source is still catching up itself, or follows another chain`
    : `${where}, and no block on record is in the source's chain: it follows another chain, or forked deeper than the records go`;
}

/** The next run is on its way while the signer judges one. */
async function sendHeaders(input: StepInput, fork: ChainPoint): Promise<Refused | null> {
  const { sink, source, best, signal, onProgress } = input;
  let previous = fork.hash;
  let from = fork.heightBlocks + 1;
  let coming = prefetch(input, from);
  while (coming !== null) {
    const headers = await coming;
    if (signal.aborted) return null;
    previous = linkedTo(previous, headers, source.name);
    from += headers.length / HEADER_BYTES;
    coming = prefetch(input, from);
    const answer = await sink.acceptHeaders(headers);
    if (!answer.ok) return refused(`headers up to height ${from - 1} are refused`, answer);
    onProgress('headers', from - 1, best.heightBlocks);
  }
  return null;
}

function prefetch({ source, best, signal }: StepInput, from: number): Promise<Uint8Array> | null {
  const count = Math.min(source.headersPerRunMax, best.heightBlocks - from + 1);
  if (count < 1) return null;
  const run = runOf(source, from, count, signal);
  // Whoever waits for it sees the failure; if a refusal comes first, nobody does.
  run.catch(() => {});
  return run;
}

async function rangeOf(source: ChainSource, range: HeaderRange, signal: AbortSignal): Promise<Uint8Array> {
  const { firstHeightBlocks, lastHeightBlocks } = range;
  const runs: Uint8Array[] = [];
  for (let from = firstHeightBlocks; from <= lastHeightBlocks; from += source.headersPerRunMax) {
    runs.push(
      await runOf(source, from, Math.min(source.headersPerRunMax, lastHeightBlocks - from + 1), signal),
    );
  }
  return concat(...runs);
}

async function runOf(
  source: ChainSource,
  from: number,
  count: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const headers = await source.headers(from, count, signal);
  if (headers.length === count * HEADER_BYTES) return headers;
  throw new SourceError(
    'chain-source-answer',
    `${source.name}: it gave another number of headers than asked for`,
  );
}

/** `isBehind`: the source need not have every block of the signer's chain. */
async function feedBlocks(input: StepInput, isBehind: boolean): Promise<StepOutcome> {
  const { sink, source, signal, onProgress } = input;
  for (let fed = 0; fed < BLOCKS_PER_STEP_MAX; fed++) {
    const tip = await sink.tip();
    if (tip === null || signal.aborted) return { kind: 'done' };
    const next = tip.provenHeightBlocks + 1;
    if (next > tip.tipHeightBlocks) return { kind: 'done' };
    const hash = await sink.headerHash(next);
    invariant(hash !== null, 'no header of the block after the last proven one', { height_blocks: next });
    const raw = await blockOf(source, hash, isBehind, signal);
    if (raw === null) return { kind: 'done' };
    const answer = await sink.acceptBlock(raw);
    if (!answer.ok) return refused(`block ${next} is refused`, answer);
    onProgress('blocks', next, tip.tipHeightBlocks);
  }
  return { kind: 'more' };
}

async function blockOf(
  source: ChainSource,
  hash: Uint8Array,
  isBehind: boolean,
  signal: AbortSignal,
): Promise<Uint8Array | null> {
  try {
    const raw = await source.block(hash, signal);
    if (equalBytes(hash256(raw.subarray(0, HEADER_BYTES)), hash)) return raw;
    throw new SourceError('chain-source-answer', `${source.name}: it gave another block than asked for`);
  } catch (error) {
    if (isBehind && error instanceof SourceError && error.code === 'chain-source-missing') return null;
    throw error;
  }
}

const waiting = (message: string): Waiting => ({ kind: 'waiting', message });

function refused(what: string, { temporary, message }: Extract<SinkAnswer, { ok: false }>): Refused {
  return { kind: 'refused', temporary, message: `${what}: ${message}` };
}
