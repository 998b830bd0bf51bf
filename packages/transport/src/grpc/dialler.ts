/**
 * Our signer at VLS's node side: it dials, answers one request after the other, and dials again whatever happens, until it is
 * closed. What it was asked when the connection broke is asked again by the node side, and decided again with the same result.
 */
import { type LinkClock, type RandomBytes, systemClock, systemRandom } from '../link/clock.ts';
import { LinkError } from '../link/error.ts';
import type { LinkState, RequestHandler } from '../link/protocol.ts';
import { Answerer, type AnswererOptions } from './answerer.ts';
import { delayAfter } from './backoff.ts';
import { serveOnce } from './connection.ts';
import { type GrpcLog, limitedLog, reasonOf } from './log.ts';
import type { SignerRequest, SignerResponse } from './messages.ts';
import { KEEPALIVE_MS_DEFAULT, MESSAGE_BYTES_MAX_DEFAULT } from './service.ts';
import { checkTls, type GrpcTls } from './tls.ts';

export interface DiallerLimits {
  readonly messageBytesMax: number;
  readonly keepaliveMs: number;
  readonly connectMs: number;
  readonly writeMs: number;
  readonly redialFirstMs: number;
  readonly redialLongestMs: number;
  readonly temporaryFailuresMax: number;
}

const DEFAULTS: DiallerLimits = {
  messageBytesMax: MESSAGE_BYTES_MAX_DEFAULT,
  keepaliveMs: KEEPALIVE_MS_DEFAULT,
  connectMs: 10_000,
  writeMs: 30_000,
  redialFirstMs: 250,
  redialLongestMs: 5_000,
  temporaryFailuresMax: 3,
};

export interface SignerDiallerOptions
  extends Pick<AnswererOptions, 'handler' | 'refusalReply' | 'networkName' | 'chainTip'> {
  /** VLS's node side: 127.0.0.1, port 7701 unless it is told otherwise. */
  readonly host: string;
  readonly port: number;
  /** VLS has none; for a proxy in front of it, or our own node side. */
  readonly tls: GrpcTls | null;
  readonly log: GrpcLog;
  /** The handler rejected: a bug, and the process must end. The dialler is closed by then. */
  readonly onBug: (error: unknown) => void;
  readonly clock?: LinkClock;
  readonly random?: RandomBytes;
  readonly limits?: Partial<DiallerLimits>;
}

/** What the handler rejected with, on its way through grpc-js. */
class HandlerBug extends Error {
  constructor(cause: unknown) {
    super('the handler rejected', { cause });
  }
}

export class SignerDialler {
  readonly #options: SignerDiallerOptions;
  readonly #limits: DiallerLimits;
  readonly #clock: LinkClock;
  readonly #random: RandomBytes;
  readonly #log: GrpcLog;
  readonly #handler: RequestHandler;
  readonly #answerer: Answerer;
  readonly #listeners = new Set<(state: LinkState) => void>();
  readonly #abort = new AbortController();
  #state: LinkState = 'waiting';
  #run: Promise<void> | null = null;
  #failures = 0;
  #stream = 0;
  #isAnswering = false;

  /** Throws `LinkError` for TLS that would take anyone for the node side. */
  constructor(options: SignerDiallerOptions) {
    if (options.tls !== null) checkTls(options.tls);
    this.#options = options;
    this.#limits = { ...DEFAULTS, ...options.limits };
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
    this.#log = limitedLog(options.log, this.#clock);
    this.#handler = options.handler;
    const { temporaryFailuresMax } = this.#limits;
    this.#answerer = new Answerer({ ...options, temporaryFailuresMax });
  }

  get state(): LinkState {
    return this.#state;
  }

  /** A request has come whose answer has not left yet. */
  get isAnswering(): boolean {
    return this.#isAnswering;
  }

  onState(listener: (state: LinkState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Begin to dial. Once only. */
  start(): void {
    this.#run ??= this.#loop();
  }

  /** Resolves when the connection is gone. What is being answered is not waited for: whoever wants it to arrive waits before. */
  async close(): Promise<void> {
    this.#setState('closed');
    this.#abort.abort();
    await this.#run;
    this.#listeners.clear();
  }

  async #loop(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      try {
        await this.#once();
        this.#lost('info', 'the node side ended the stream');
      } catch (error) {
        if (!(error instanceof LinkError)) {
          this.#bug(error);
          return;
        }
        // Once is enough while nobody is there.
        this.#lost(this.#failures === 0 ? 'unusual' : 'debug', reasonOf(error));
      }
      if (!signal.aborted) await this.#wait(delayAfter(this.#failures++, this.#redial(), this.#random));
    }
  }

  #redial() {
    return { firstMs: this.#limits.redialFirstMs, longestMs: this.#limits.redialLongestMs };
  }

  async #once(): Promise<void> {
    const { host, port, tls } = this.#options;
    const session = ++this.#stream;
    try {
      await serveOnce({
        ...this.#limits,
        host,
        port,
        tls,
        clock: this.#clock,
        signal: this.#abort.signal,
        onOpen: () => this.#opened(),
        answer: (request) => this.#answer(request, session),
        onAnswered: () => {
          this.#isAnswering = false;
        },
      });
    } finally {
      this.#isAnswering = false;
      this.#handler.feedEnded(session);
    }
  }

  #opened(): void {
    const { host, port } = this.#options;
    this.#log('info', `connected to the node side at ${host}:${port}`);
    this.#setState('up');
  }

  async #answer(request: SignerRequest, session: number): Promise<SignerResponse | null> {
    // Something sensible was asked: the next failure is the first again.
    this.#failures = 0;
    this.#isAnswering = true;
    try {
      return await this.#answerer.answer(request, session);
    } catch (error) {
      throw new HandlerBug(error);
    }
  }

  #lost(level: 'info' | 'unusual' | 'debug', why: string): void {
    if (this.#abort.signal.aborted) return;
    const { host, port } = this.#options;
    this.#log(level, `no node side at ${host}:${port}: ${why}`);
    if (this.#state === 'up') this.#setState('down');
  }

  #bug(error: unknown): void {
    this.#setState('closed');
    this.#abort.abort();
    this.#options.onBug(error instanceof HandlerBug ? error.cause : error);
  }

  #wait(delayMs: number): Promise<void> {
    const { signal } = this.#abort;
    return new Promise((resolve) => {
      const done = (): void => {
        cancel();
        signal.removeEventListener('abort', done);
        resolve();
      };
      const cancel = this.#clock.after(delayMs, done);
      signal.addEventListener('abort', done);
    });
  }

  #setState(state: LinkState): void {
    if (this.#state === state || this.#state === 'closed') return;
    this.#state = state;
    for (const listener of [...this.#listeners]) listener(state);
  }
}
