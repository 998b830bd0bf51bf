/**
 * The node side for a signer that speaks VLS's protocol: VLS's `vlsd`, or any other. It dials in and is asked. What was asked is
 * asked again, in order, when it comes back; what it fails for good fails alone; nothing it sends ends anything but its stream.
 */
import { status } from '@grpc/grpc-js';
import { type LinkClock, type RandomBytes, systemClock, systemRandom } from '../link/clock.ts';
import { LinkError } from '../link/error.ts';
import type { GreetingAsk } from '../link/node-side.ts';
import type { LinkAnswer, LinkClient, LinkFeed, LinkState, SignerLink } from '../link/protocol.ts';
import { delayAfter } from './backoff.ts';
import { contextOf, MASTER_CLIENT } from './client-of.ts';
import { answerOf, foreignRefusal, nameOf } from './foreign-answer.ts';
import { Greeting } from './greeting.ts';
import { GrpcListener } from './listener.ts';
import { type GrpcLog, limitedLog, reasonOf } from './log.ts';
import { isChainMessage } from './message-type.ts';
import type { SignerResponse } from './messages.ts';
import { type GrpcLimits, limitsOf } from './node-limits.ts';
import { Outstanding, type Waiting } from './outstanding.ts';
import type { SignerStream } from './signer-stream.ts';
import type { GrpcTls } from './tls.ts';

export interface GrpcNodeSideOptions {
  /** VLS's own default is 127.0.0.1, port 7701. Without TLS anyone who reaches it is the signer. */
  readonly host: string;
  readonly port: number;
  readonly tls: GrpcTls | null;
  /**
   * Called with each connection of a signer, before anything else is asked of it: VLS wants INIT on each. A rejection sends the
   * signer away, and what is outstanding waits for the next.
   */
  readonly greet: (ask: GreetingAsk, signer: string) => Promise<void>;
  readonly log: GrpcLog;
  readonly clock?: LinkClock;
  readonly random?: RandomBytes;
  readonly limits?: Partial<GrpcLimits>;
}

/** A stream that is in use. */
interface Current {
  readonly stream: SignerStream;
  /** Null once it is over: until then nothing else goes out. */
  greeting: Greeting | null;
  isFull: boolean;
  /** Still to be sent on this stream, lowest number first. */
  readonly unsent: Waiting[];
}

export class GrpcNodeSide implements SignerLink {
  readonly #options: GrpcNodeSideOptions;
  readonly #limits: GrpcLimits;
  readonly #clock: LinkClock;
  readonly #random: RandomBytes;
  readonly #log: GrpcLog;
  readonly #outstanding: Outstanding;
  readonly #listeners = new Set<(state: LinkState) => void>();
  readonly #retries = new Set<() => void>();
  #listener: GrpcListener | null = null;
  #state: LinkState = 'waiting';
  #current: Current | null = null;
  /** Told already: who is sent away dials again and again. */
  #complaint = '';

  private constructor(options: GrpcNodeSideOptions) {
    this.#options = options;
    this.#limits = limitsOf(options.limits ?? {});
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
    this.#log = limitedLog(options.log, this.#clock);
    this.#outstanding = new Outstanding(this.#limits);
  }

  /** Rejects with `link-listen-failed`. */
  static async open(options: GrpcNodeSideOptions): Promise<GrpcNodeSide> {
    const side = new GrpcNodeSide(options);
    const { host, port, tls } = options;
    const onStream = (stream: SignerStream): void => side.#onStream(stream);
    const address = { host, port, tls };
    side.#listener = await GrpcListener.open({
      ...address,
      clock: side.#clock,
      limits: side.#limits,
      log: side.#log,
      onStream,
    });
    return side;
  }

  get state(): LinkState {
    return this.#state;
  }

  /** The port listened at. */
  get port(): number {
    return this.#listener?.port ?? 0;
  }

  /** Of the signer and of strangers. */
  get connections(): number {
    return this.#listener?.connections ?? 0;
  }

  /** Requests not answered yet. */
  get outstanding(): number {
    return this.#outstanding.count;
  }

  onState(listener: (state: LinkState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  ask(client: LinkClient, body: Uint8Array): Promise<LinkAnswer> {
    return new Promise((answered, failed) => {
      const waiting = this.#admit(client, body, answered, failed);
      this.#enqueue(waiting);
    });
  }

  /** VLS's own messages about the chain go to the signer; it knows none of ours, and gets no preimages. */
  openFeed(): LinkFeed {
    return {
      ask: async (body) => {
        if (isChainMessage(body)) return this.ask(MASTER_CLIENT, body);
        const text = 'a signer of VLS takes no such message';
        return foreignRefusal(MASTER_CLIENT, body, { code: 'malformed', text, temporary: false });
      },
      close: () => {},
    };
  }

  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    this.#setState('closed');
    for (const cancel of this.#retries) cancel();
    this.#current?.greeting?.end();
    this.#current = null;
    for (const { failed } of this.#outstanding.clear()) failed(closedError());
    await this.#listener?.close();
    this.#listeners.clear();
  }

  /** Throws `LinkError` for what cannot wait here. */
  #admit(
    client: LinkClient,
    body: Uint8Array,
    answered: (answer: LinkAnswer) => void,
    failed: (error: LinkError) => void,
  ): Waiting {
    if (this.#state === 'closed') throw closedError();
    const { messageBytesMax } = this.#limits;
    if (body.length > messageBytesMax) {
      const facts = { message_bytes: body.length, max_bytes: messageBytesMax };
      throw new LinkError('link-request-too-large', 'a request that no message can hold', facts);
    }
    const fresh = { id: null, sentOn: null, losses: 0, failures: 0, waitedMs: 0 };
    const waiting: Waiting = { client, body, answered, failed, ...fresh };
    this.#outstanding.add(waiting);
    return waiting;
  }

  #onStream(stream: SignerStream): void {
    const { address, pin } = stream.peer;
    const before = this.#current;
    if (this.#state === 'closed') {
      stream.refuse(status.UNAVAILABLE, 'the node side is ending');
    } else if (before === null) {
      this.#begin(stream);
    } else if (before.stream.peer.pin !== pin) {
      this.#complain('unusual', 'a second signer was refused: one is connected', address);
      stream.refuse(status.UNAVAILABLE, 'another signer is connected');
    } else {
      // The same signer again: it knows better than we do that its old connection is gone. Of a process that ended we had heard.
      this.#log('unusual', 'the signer is gone: it connected again');
      this.#leave(before);
      before.stream.refuse(status.ABORTED, 'the signer connected again');
      this.#begin(stream);
    }
  }

  #begin(stream: SignerStream): void {
    const greeting = new Greeting(stream, this.#clock, this.#limits.initMs);
    const current: Current = { stream, greeting, isFull: false, unsent: [] };
    this.#current = current;
    stream.start({
      response: (response) => this.#onResponse(current, response),
      drained: () => {
        current.isFull = false;
        this.#pump();
      },
      ended: (why) => this.#lose(current, why),
    });
    this.#log('info', `a signer connected from ${stream.peer.address}`);
    void this.#greet(current, greeting);
  }

  async #greet(current: Current, greeting: Greeting): Promise<void> {
    try {
      await this.#options.greet(greeting.ask, nameOfSigner(current.stream));
    } catch (error) {
      if (this.#current === current) this.#drop(current, status.FAILED_PRECONDITION, reasonOf(error));
      return;
    } finally {
      greeting.end();
    }
    if (this.#current === current) this.#ready(current);
  }

  #ready(current: Current): void {
    current.greeting = null;
    this.#complaint = '';
    current.unsent.push(...this.#outstanding.inOrder());
    if (current.unsent.length > 0)
      this.#log('info', `${current.unsent.length} requests waited for the signer`);
    this.#setState('up');
    this.#pump();
  }

  /** A signer that is being greeted gets it with the others, afterwards. */
  #enqueue(waiting: Waiting): void {
    const current = this.#current;
    if (current === null || current.greeting !== null) return;
    current.unsent.push(waiting);
    this.#pump();
  }

  #pump(): void {
    const current = this.#current;
    if (current === null) return;
    while (!current.isFull) {
      const waiting = current.unsent.shift();
      if (waiting === undefined) return;
      const { id, client, body } = waiting;
      if (id === null || !this.#outstanding.has(waiting)) continue;
      waiting.sentOn = current.stream;
      current.isFull = !current.stream.send({ requestId: id, context: contextOf(client), message: body });
    }
  }

  #onResponse(current: Current, response: SignerResponse): void {
    const { requestId, error, isTemporaryFailure, message } = response;
    if (current.greeting?.answered(response) === true) return;
    const waiting = this.#outstanding.find(requestId);
    if (waiting?.sentOn !== current.stream)
      this.#drop(current, status.INVALID_ARGUMENT, 'an answer to what was not asked');
    else if (isTemporaryFailure) this.#onTemporary(waiting, error);
    else this.#settle(waiting, answerOf(waiting.client, waiting.body, error, message));
  }

  /** Ask the same again, a little later, as long as it may take in all. */
  #onTemporary(waiting: Waiting, text: string): void {
    const { retryTotalMs, retryFirstMs, retryLongestMs } = this.#limits;
    const bounds = { firstMs: retryFirstMs, longestMs: retryLongestMs };
    const delayMs = delayAfter(waiting.failures, bounds, this.#random);
    if (waiting.waitedMs + delayMs > retryTotalMs) {
      this.#refused(waiting, { code: 'policy', text, temporary: true });
      return;
    }
    waiting.failures += 1;
    waiting.waitedMs += delayMs;
    this.#outstanding.hold(waiting);
    const cancel = this.#clock.after(delayMs, () => {
      this.#retries.delete(cancel);
      this.#outstanding.renumber(waiting);
      this.#enqueue(waiting);
    });
    this.#retries.add(cancel);
  }

  #refused(waiting: Waiting, foreign: Parameters<typeof foreignRefusal>[2]): void {
    const { client, body } = waiting;
    this.#settle(waiting, foreignRefusal(client, body, foreign));
  }

  #settle(waiting: Waiting, answer: LinkAnswer): void {
    this.#outstanding.remove(waiting);
    waiting.answered(answer);
  }

  /** The signer broke the protocol, or is another. */
  #drop(current: Current, code: status, why: string): void {
    if (this.#current !== current) return;
    this.#complain('broken', `the signer was cut off: ${why}`, current.stream.peer.address);
    this.#leave(current);
    this.#countLoss(current);
    current.stream.refuse(code, why);
  }

  #complain(level: 'unusual' | 'broken', complaint: string, address: string): void {
    this.#log(complaint === this.#complaint ? 'debug' : level, `${complaint} (${address})`);
    this.#complaint = complaint;
  }

  #lose(current: Current, why: string): void {
    if (this.#current !== current) return;
    this.#log('unusual', `the signer is gone: ${reasonOf(new Error(why))}`);
    this.#leave(current);
    this.#countLoss(current);
  }

  #leave(current: Current): void {
    this.#current = null;
    current.greeting?.end();
    // One that was not greeted yet was never up.
    if (this.#state === 'up') this.#setState('down');
  }

  /**
   * VLS answers one after the other, and ends at a request it did not foresee. The same request would end it for ever: at
   * some point it is the request that fails, not the signer.
   */
  #countLoss({ stream }: Current): void {
    const oldest = this.#outstanding.inOrder().find(({ sentOn }) => sentOn === stream);
    if (oldest === undefined) return;
    oldest.losses += 1;
    if (oldest.losses < this.#limits.lossesMax) return;
    const text = `the signer went away ${oldest.losses} times over this request`;
    this.#log('broken', `${nameOf(oldest.body)} is given up: ${text}`);
    this.#refused(oldest, { code: 'policy', text, temporary: false });
  }

  #setState(state: LinkState): void {
    if (this.#state === state || this.#state === 'closed') return;
    this.#state = state;
    for (const listener of [...this.#listeners]) listener(state);
  }
}

/** A port says nothing: it is another with each connection. */
function nameOfSigner({ peer }: SignerStream): string {
  return peer.pin ?? peer.address.replace(/:\d+$/, '');
}

function closedError(): LinkError {
  return new LinkError('link-closed', 'the link to the signer was closed');
}
