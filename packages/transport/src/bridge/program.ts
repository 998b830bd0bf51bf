/**
 * The life of a bridge in its thread or process: opened by the first message, ended by the last, or with whoever started it.
 */
import { CountersignError } from '@countersign/bitcoin';
import { Bridge } from './bridge.ts';
import type { AnsweringEnd } from './carrier.ts';
import { FifoEnd } from './fifo.ts';
import { MailboxEnd } from './mailbox.ts';
import type { FromBridge, ToBridge } from './messages.ts';

export interface BridgePort {
  send(message: FromBridge): void;
  /** The last word was said: the thread or process may end. */
  end(): void;
}

export class BridgeProgram {
  readonly #port: BridgePort;
  readonly #onBug: (error: unknown) => void;
  #bridge: Bridge | null = null;
  #carrier: AnsweringEnd | null = null;

  constructor(port: BridgePort, onBug: (error: unknown) => void) {
    this.#port = port;
    this.#onBug = onBug;
  }

  /** Handles one message. Rejects only for a bug of ours. */
  async take(message: ToBridge): Promise<void> {
    switch (message.kind) {
      case 'open':
        return this.#open(message);
      case 'feed':
        return this.#feed(message);
      case 'close':
        return this.close();
    }
  }

  /** Whoever blocks learns of it at once. */
  async close(): Promise<void> {
    this.#carrier?.end();
    await this.#bridge?.close();
    this.#port.send({ kind: 'closed' });
    this.#port.end();
  }

  /** A bug ends the thread: whoever blocks must not sleep until its time is over. */
  abandon(): void {
    this.#carrier?.end();
  }

  async #open({ settings, carrier }: Extract<ToBridge, { kind: 'open' }>): Promise<void> {
    const bridge = new Bridge(settings, (level, text) => this.#port.send({ kind: 'log', level, text }));
    this.#bridge = bridge;
    this.#carrier =
      carrier.kind === 'shared'
        ? new MailboxEnd(carrier.memory, bridge.answer, this.#onBug)
        : new FifoEnd(carrier, settings.messageBytesMax, bridge.answer, this.#onBug);
    this.#port.send({ kind: 'ready' });
    try {
      this.#port.send({ kind: 'opened', identity: await bridge.open() });
    } catch (error) {
      if (!(error instanceof CountersignError)) throw error;
      this.#port.send({ kind: 'failed', why: textOf(error) });
    }
  }

  async #feed({ id, body }: Extract<ToBridge, { kind: 'feed' }>): Promise<void> {
    try {
      if (this.#bridge === null) throw new CountersignError('sync-door-closed', 'the bridge is not open');
      const fed = await this.#bridge.feed(body);
      // A copy of its own: what a thread is sent of a larger buffer takes all of that with it.
      this.#port.send({ kind: 'fed', id, body: Uint8Array.from(fed) });
    } catch (error) {
      if (!(error instanceof CountersignError)) throw error;
      this.#port.send({ kind: 'feed-failed', id, why: error.message });
    }
  }
}

/** The causes of a failed listening are the system's words, and worth reading. */
function textOf(error: CountersignError): string {
  const { message, cause } = error;
  return cause instanceof Error ? `${message}: ${cause.message}` : message;
}
