/**
 * Brings the signer's transactions to the network: each one once a block, until it is no longer wanted. What the network
 * refuses is told once for each reason and tried again.
 */
import type { ChainLog } from './log.ts';
import type { ChainSink } from './sink.ts';
import type { BroadcastAnswer, ChainSource } from './source.ts';

interface Tried extends BroadcastAnswer {
  readonly heightBlocks: number;
}

export class Publisher {
  readonly #sink: ChainSink;
  readonly #source: ChainSource;
  readonly #log: ChainLog;
  /** By id; only of what is still wanted. */
  #tried = new Map<string, Tried>();

  constructor(sink: ChainSink, source: ChainSource, log: ChainLog) {
    this.#sink = sink;
    this.#source = source;
    this.#log = log;
  }

  /** Rejects with `SourceError` when the source cannot be asked, and with whatever the sink rejects with. */
  async publish(heightBlocks: number, signal: AbortSignal): Promise<void> {
    const wanted = await this.#sink.toPublish();
    const ids = new Set(wanted.map(({ id }) => id));
    this.#tried = new Map([...this.#tried].filter(([id]) => ids.has(id)));
    for (const { id, raw, reason } of wanted) {
      const before = this.#tried.get(id);
      // A mempool may lose what it had, so it gets everything once a block.
      if (before?.accepted === true && before.heightBlocks === heightBlocks) continue;
      const answer = await this.#source.broadcast(raw, signal);
      this.#tried.set(id, { ...answer, heightBlocks });
      this.#tell(`${id} (${reason})`, answer, before);
    }
  }

  #tell(what: string, answer: BroadcastAnswer, before: Tried | undefined): void {
    const isNews = before?.accepted !== answer.accepted || before.reason !== answer.reason;
    if (!isNews) this.#log('debug', `offered ${what} to the network again`);
    else if (answer.accepted) this.#log('info', `published ${what}`);
    else this.#log('error', `the network refuses ${what}: ${answer.reason ?? 'no reason given'}`);
  }
}
