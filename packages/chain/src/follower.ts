/**
 * Follows a source and feeds a signer, for as long as the process lives: catches up, waits for the next block, brings the
 * signer's transactions to the network. Keeps no state of its own, so it may be stopped or killed at any moment. Nothing
 * the source says or does ends it.
 */
import type { CountersignError, Facts } from '@countersign/bitcoin';
import { Backoff } from './backoff.ts';
import type { ChainLog } from './log.ts';
import { Problems } from './problems.ts';
import { type Progress, ProgressMeter } from './progress.ts';
import { Publisher } from './publisher.ts';
import type { ChainSink } from './sink.ts';
import { type ChainPoint, type ChainSource, NEEDS_OPERATOR, SourceError } from './source.ts';
import { type StepOutcome, step } from './step.ts';
import { type Sleep, sleep } from './wait.ts';

export interface FollowerOptions {
  readonly sink: ChainSink;
  readonly source: ChainSource;
  /** The first block whose content counts; null: the signer's choice. Of use only when the chain begins. */
  readonly birthdayHeightBlocks: number | null;
  /** Whether the signer's transactions are handed to the source. */
  readonly publishes: boolean;
  readonly log: ChainLog;
  /** The sink rejected, or a bug of ours: nothing is followed any more. */
  readonly onFailure: (error: unknown) => void;
  readonly monotonicMs: () => number;
  /** From 0 up to and without 1. */
  readonly random: () => number;
  /** Default: timers of the process. */
  readonly sleep?: Sleep;
}

export interface FollowerStatus {
  readonly source: string;
  /** What the source said last; null before it said anything. */
  readonly sourceHeightBlocks: number | null;
  /** Null while there is nothing to catch up with. */
  readonly progress: Progress | null;
  /** Why the follower does not get on; null while it does. */
  readonly problem: string | null;
}

/** A source that fails, or a signer that will not have something now. */
const RETRY = { minMs: 1_000, maxMs: 60_000 };
/** A signer that will never have it. The source may come to better mind, or the operator. */
const REFUSED_RETRY = { minMs: 15_000, maxMs: 300_000 };
/** How long `catchUp` may hold its caller up. */
export const CATCH_UP_MS = 3_000;

/** What follows a round. */
type Next =
  /** Another one. */
  | { readonly kind: 'more' }
  | { readonly kind: 'pause'; readonly ms: number }
  | { readonly kind: 'news'; readonly after: ChainPoint };

export class Follower {
  readonly #options: FollowerOptions;
  readonly #sleep: Sleep;
  readonly #stop = new AbortController();
  readonly #retry: Backoff;
  readonly #refusedRetry: Backoff;
  readonly #meter: ProgressMeter;
  readonly #problems: Problems;
  readonly #publisher: Publisher;
  #best: ChainPoint | null = null;
  #askedAtMs = 0;
  #toldHeightBlocks = -1;
  /** Asked for once a block. */
  #feeratesAtBlocks = -1;
  #running: Promise<void> | null = null;
  /** The one call that waits for a block, over several rounds if it must: a node holds a thread for each. */
  #news: Promise<unknown> | null = null;
  /** Told at the end of the next round that finds no more blocks. */
  #waiters: (() => void)[] = [];
  #wake: () => void = () => {};

  constructor(options: FollowerOptions) {
    const { sink, source, log, monotonicMs, random } = options;
    this.#options = options;
    this.#sleep = options.sleep ?? sleep;
    this.#retry = new Backoff(RETRY, random);
    this.#refusedRetry = new Backoff(REFUSED_RETRY, random);
    this.#meter = new ProgressMeter(monotonicMs, (text) => log('info', text));
    this.#problems = new Problems(monotonicMs, log);
    this.#publisher = new Publisher(sink, source, log, monotonicMs);
  }

  get status(): FollowerStatus {
    return {
      source: this.#options.source.name,
      sourceHeightBlocks: this.#best?.heightBlocks ?? null,
      progress: this.#meter.current,
      problem: this.#problems.current,
    };
  }

  /** Once only. */
  start(): void {
    this.#running ??= this.#run();
  }

  /** Resolves when nothing of it goes on: calls to the source are broken off, one to the sink is waited for. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#wake();
    await this.#running;
    this.#options.source.close();
  }

  /**
   * Look for blocks now. Resolves when the signer has what the source has at this moment, or at once or after
   * `CATCH_UP_MS` where that takes longer.
   */
  async catchUp(): Promise<void> {
    const isFar = (this.#meter.current?.secondsLeft ?? 0) * 1000 > CATCH_UP_MS;
    if (this.#running === null || this.#stop.signal.aborted || this.#problems.current !== null || isFar)
      return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiters.push(resolve);
    this.#wake();
    const late = setTimeout(resolve, CATCH_UP_MS);
    await promise;
    clearTimeout(late);
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    try {
      while (!signal.aborted) {
        const waiters = this.#waiters.splice(0);
        const next = await this.#round();
        if (next.kind === 'more') this.#waiters.unshift(...waiters);
        else for (const resolve of waiters) resolve();
        if (!signal.aborted) await this.#until(next);
      }
    } catch (error) {
      this.#options.onFailure(error);
    } finally {
      // After a failure nobody is to wait for a round that will not come.
      this.#stop.abort();
      for (const resolve of this.#waiters.splice(0)) resolve();
    }
  }

  async #round(): Promise<Next> {
    const { source, monotonicMs } = this.#options;
    const { signal } = this.#stop;
    try {
      this.#askedAtMs = monotonicMs();
      const best = await source.bestTip(signal);
      this.#best = best;
      const outcome = await this.#step(best);
      if (signal.aborted) return { kind: 'more' };
      if (outcome.kind === 'refused') return this.#refused(outcome);
      if (this.#options.publishes) await this.#publish(outcome);
      this.#settled(outcome);
      return outcome.kind === 'more' ? outcome : { kind: 'news', after: best };
    } catch (error) {
      return this.#failed(error);
    }
  }

  #step(best: ChainPoint): Promise<StepOutcome> {
    const { sink, source, birthdayHeightBlocks, log } = this.#options;
    return step({
      sink,
      source,
      best,
      birthdayHeightBlocks,
      signal: this.#stop.signal,
      onProgress: (phase, heightBlocks, targetHeightBlocks) => {
        // What comes in is a sign of life, however long all of it takes.
        this.#retry.reset();
        this.#meter.advance(phase, heightBlocks, targetHeightBlocks);
      },
      onReorg: (fork, from) => log('warn', `reorg: ${from - fork} blocks above height ${fork} were replaced`),
    });
  }

  async #publish(outcome: StepOutcome): Promise<void> {
    const { sink, source } = this.#options;
    const { signal } = this.#stop;
    const tip = await sink.tip();
    if (tip === null) return;
    if (outcome.kind === 'done' && tip.provenHeightBlocks !== this.#feeratesAtBlocks) {
      const feerates = await source.feerates(signal);
      if (feerates !== null) sink.setFeerates(feerates);
      this.#feeratesAtBlocks = tip.provenHeightBlocks;
    }
    await this.#publisher.publish(tip.provenHeightBlocks, signal);
  }

  #settled(outcome: Exclude<StepOutcome, { kind: 'refused' }>): void {
    this.#retry.reset();
    this.#refusedRetry.reset();
    if (outcome.kind === 'waiting') this.#problems.report('warn', outcome.message);
    else this.#problems.over();
    if (outcome.kind !== 'done' || this.#best === null) return;
    const { heightBlocks } = this.#best;
    this.#meter.finish(heightBlocks);
    if (heightBlocks !== this.#toldHeightBlocks)
      this.#options.log('debug', `proven up to height ${heightBlocks}`);
    this.#toldHeightBlocks = heightBlocks;
  }

  async #until(next: Next): Promise<void> {
    const { signal } = this.#stop;
    if (next.kind === 'pause') return this.#sleep(next.ms, signal);
    if (next.kind === 'more') return;
    this.#news ??= this.#options.source.changed(next.after, signal).then(
      () => null,
      (error: unknown) => error,
    );
    const failure = await Promise.race([this.#news, this.#woken()]);
    if (failure !== WOKEN) this.#news = null;
    if (failure === WOKEN || failure === null) return this.#sleepUntilAllowed();
    const pause = this.#failed(failure);
    if (!signal.aborted && pause.kind === 'pause') await this.#sleep(pause.ms, signal);
  }

  /** Resolves when somebody asks for blocks, or has done so meanwhile. */
  #woken(): Promise<typeof WOKEN> {
    if (this.#waiters.length > 0) return Promise.resolve(WOKEN);
    return new Promise((resolve) => {
      this.#wake = () => resolve(WOKEN);
    });
  }

  /** A source that says at once that something changed, or a caller that asks again and again, is no reason to hurry. */
  async #sleepUntilAllowed(): Promise<void> {
    const { source, monotonicMs } = this.#options;
    const leftMs = this.#askedAtMs + source.askedAgainMsMin - monotonicMs();
    if (leftMs > 0) await this.#sleep(leftMs, this.#stop.signal);
  }

  #refused({ temporary, message }: Extract<StepOutcome, { kind: 'refused' }>): Next {
    this.#problems.report(temporary ? 'warn' : 'error', message);
    return { kind: 'pause', ms: (temporary ? this.#retry : this.#refusedRetry).next() };
  }

  #failed(error: unknown): Next {
    if (this.#stop.signal.aborted) return { kind: 'more' };
    if (!(error instanceof SourceError)) throw error;
    this.#problems.report(NEEDS_OPERATOR.has(error.code) ? 'error' : 'warn', errorText(error));
    return { kind: 'pause', ms: Math.max(this.#retry.next(), error.retryAfterMs ?? 0) };
  }
}

const WOKEN = Symbol('woken');

/** The message with its facts and code, on one line. */
function errorText({ message, code, facts }: CountersignError): string {
  return `${message}${factsText(facts)} (${code})`;
}

function factsText(facts: Facts): string {
  const list = Object.entries(facts).map(([name, value]) => `${name}=${value}`);
  return list.length === 0 ? '' : ` [${list.join(' ')}]`;
}
