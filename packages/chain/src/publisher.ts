/**
 * Brings the signer's transactions to the network: each one once a block, until it is no longer wanted. What the network
 * refuses is told once for each reason, and tried again every minute.
 */
import type { ChainLog } from './log.ts';
import type { ChainSink } from './sink.ts';
import type { BroadcastAnswer, ChainSource } from './source.ts';

interface Tried extends BroadcastAnswer {
  readonly heightBlocks: number;
  readonly atMs: number;
}

/** Between two offers of what was refused, while no block comes. */
export const REFUSED_RETRY_MS = 60_000;

/** Somebody else's transaction spends the same already: the other side's close, or what the node published. */
const OUTDONE = /conflict|missingorspent|rejecting replacement/;

export class Publisher {
  readonly #sink: ChainSink;
  readonly #source: ChainSource;
  readonly #log: ChainLog;
  readonly #monotonicMs: () => number;
  /** By id; only of what is still wanted. */
  #tried = new Map<string, Tried>();

  constructor(sink: ChainSink, source: ChainSource, log: ChainLog, monotonicMs: () => number) {
    this.#sink = sink;
    this.#source = source;
    this.#log = log;
    this.#monotonicMs = monotonicMs;
  }

  /** Rejects with `SourceError` when the source cannot be asked, and with whatever the sink rejects with. */
  async publish(heightBlocks: number, signal: AbortSignal): Promise<void> {
    const wanted = await this.#sink.toPublish();
    const ids = new Set(wanted.map(({ id }) => id));
    this.#tried = new Map([...this.#tried].filter(([id]) => ids.has(id)));
    for (const { id, raw, reason } of wanted) {
      const before = this.#tried.get(id);
      const atMs = this.#monotonicMs();
      // A mempool may lose what it had, so it gets everything once a block.
      const isTooEarly =
        before?.accepted === true || (before !== undefined && atMs - before.atMs < REFUSED_RETRY_MS);
      if (isTooEarly && before?.heightBlocks === heightBlocks) continue;
      const answer = await this.#source.broadcast(raw, signal);
      this.#tried.set(id, { ...answer, heightBlocks, atMs });
      this.#tell(`${id} (${reason})`, answer, before);
    }
  }

  #tell(what: string, answer: BroadcastAnswer, before: Tried | undefined): void {
    const isNews = before?.accepted !== answer.accepted || before.reason !== answer.reason;
    if (!isNews) this.#log('debug', `offered ${what} to the network again`);
    else if (answer.accepted) this.#log('info', `published ${what}`);
    else {
      const reason = answer.reason ?? 'no reason given';
      this.#log(OUTDONE.test(reason) ? 'warn' : 'error', `the network refuses ${what}: ${reason}`);
    }
  }
}
