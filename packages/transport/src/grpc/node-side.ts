/**
 * The node side for a signer that speaks VLS's protocol: VLS's `vlsd`, or any other. It dials in and is asked. What was asked is
 * asked again, in order, when it comes back; what it fails for good fails alone; nothing it sends ends anything but its stream.
 */
import { status } from '@grpc/grpc-js';
import type { LinkClock, RandomBytes } from '../link/clock.ts';
import { LinkError } from '../link/error.ts';
import type { LinkAnswer, LinkClient, LinkFeed, LinkState, SignerLink } from '../link/protocol.ts';
import { delayAfter } from './backoff.ts';
import { foreignRefusal, nameOf } from './foreign-refusal.ts';
import { InitReplay, initForVls, isInit, typeOf } from './init-replay.ts';
import { GrpcListener } from './listener.ts';
import { foreignText, type GrpcLog, reasonOf } from './log.ts';
import { type RequestContext, type SignerResponse, U64_MAX } from './messages.ts';
import { type GrpcLimits, limitsOf } from './node-limits.ts';
import { Outstanding, type Waiting } from './outstanding.ts';
import type { SignerStream } from './signer-stream.ts';
import type { GrpcTls } from './tls.ts';

export interface GrpcNodeSideOptions {
  /** VLS's own default is 127.0.0.1, port 7701. Without TLS anyone who reaches it is the signer. */
  readonly host: string;
  readonly port: number;
  readonly tls: GrpcTls | null;
  readonly clock: LinkClock;
  readonly random: RandomBytes;
  readonly log: GrpcLog;
  readonly limits?: Partial<GrpcLimits>;
}

/** A stream that is in use. */
interface Current {
  readonly stream: SignerStream;
  /** INIT was said again and not answered yet: nothing else goes out. */
  isReady: boolean;
  isFull: boolean;
  /** Still to be sent on this stream, lowest number first. */
  readonly unsent: Waiting[];
  readonly cancelWait: () => void;
}

const MASTER: LinkClient = { peerId: null, dbid: 0n, permissions: 0n };

export class GrpcNodeSide implements SignerLink {
  readonly #options: GrpcNodeSideOptions;
  readonly #limits: GrpcLimits;
  readonly #outstanding: Outstanding;
  readonly #listeners = new Set<(state: LinkState) => void>();
  readonly #retries = new Set<() => void>();
  #listener: GrpcListener | null = null;
  #state: LinkState = 'waiting';
  #current: Current | null = null;
  #init: InitReplay | null = null;

  private constructor(options: GrpcNodeSideOptions) {
    this.#options = options;
    this.#limits = limitsOf(options.limits ?? {});
    this.#outstanding = new Outstanding(this.#limits);
  }

  /** Rejects with `link-listen-failed`. */
  static async open(options: GrpcNodeSideOptions): Promise<GrpcNodeSide> {
    const side = new GrpcNodeSide(options);
    const { host, port, tls, clock, log } = options;
    const onStream = (stream: SignerStream): void => side.#onStream(stream);
    side.#listener = await GrpcListener.open({
      host,
      port,
      tls,
      clock,
      log,
      limits: side.#limits,
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
      this.#current?.unsent.push(waiting);
      this.#pump();
    });
  }

  /** VLS's own messages about the chain go to the signer; it knows none of ours, and gets no preimages. */
  openFeed(): LinkFeed {
    return {
      ask: async (body) => {
        const type = typeOf(body);
        if (type >= 2002 && type <= 2009) return this.ask(MASTER, body);
        const text = 'a signer of VLS takes no such message';
        return foreignRefusal(MASTER, body, { code: 'malformed', text, temporary: false });
      },
      close: () => {},
    };
  }

  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    this.#setState('closed');
    for (const cancel of this.#retries) cancel();
    this.#current?.cancelWait();
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
    const said = isInit(body) ? initForVls(body) : body;
    const fresh = { id: null, sentOn: null, losses: 0, failures: 0, waitedMs: 0 };
    const waiting: Waiting = { client, body: said, answered, failed, ...fresh };
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
      this.#options.log('unusual', `a second signer at ${address} was refused: one is connected`);
      stream.refuse(status.UNAVAILABLE, 'another signer is connected');
    } else {
      // The same signer again: it knows better than we do that its old connection is gone.
      this.#lose(before, 'it connected again');
      before.stream.refuse(status.ABORTED, 'the signer connected again');
      this.#begin(stream);
    }
  }

  #begin(stream: SignerStream): void {
    const init = this.#init;
    const { clock, log } = this.#options;
    const giveUp = (): void => this.#drop(current, status.DEADLINE_EXCEEDED, 'INIT was not answered in time');
    const current: Current = {
      stream,
      isReady: init === null,
      isFull: false,
      unsent: this.#outstanding.inOrder(),
      cancelWait: init === null ? () => {} : clock.after(this.#limits.initMs, giveUp),
    };
    this.#current = current;
    stream.start({
      response: (response) => this.#onResponse(current, response),
      drained: () => {
        current.isFull = false;
        this.#pump();
      },
      ended: (why) => this.#lose(current, why),
    });
    log('info', `a signer connected from ${stream.peer.address}`);
    if (init === null) this.#ready(current);
    else current.isFull = !stream.send({ requestId: U64_MAX, context: null, message: init.body });
  }

  #ready(current: Current): void {
    current.isReady = true;
    current.cancelWait();
    if (current.unsent.length > 0)
      this.#options.log('info', `${current.unsent.length} requests are sent to the signer again`);
    this.#setState('up');
    this.#pump();
  }

  #pump(): void {
    const current = this.#current;
    if (current === null || !current.isReady) return;
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
    if (this.#current !== current) return;
    const { requestId, error, isTemporaryFailure } = response;
    const isReplay = requestId === U64_MAX && !current.isReady;
    const waiting = isReplay ? undefined : this.#outstanding.find(requestId);
    if (isReplay) this.#onReplay(current, response);
    else if (waiting?.sentOn !== current.stream)
      this.#drop(current, status.INVALID_ARGUMENT, 'an answer to what was not asked');
    else if (isTemporaryFailure) this.#onTemporary(waiting, error);
    else if (error !== '') this.#refused(waiting, { code: 'policy', text: error, temporary: false });
    else this.#onReply(waiting, response);
  }

  #onReply(waiting: Waiting, { message }: SignerResponse): void {
    if (message.length < 2) {
      this.#refused(waiting, { code: 'malformed', text: 'a reply without a type', temporary: false });
      return;
    }
    if (isInit(waiting.body)) this.#init ??= InitReplay.from(waiting.body, message);
    // A view of it would keep everything alive that came in the same chunk.
    this.#settle(waiting, { kind: 'reply', body: Uint8Array.from(message) });
  }

  #onReplay(current: Current, { error, message }: SignerResponse): void {
    try {
      if (error !== '') throw new LinkError('link-stranger', `INIT was refused: ${foreignText(error)}`);
      this.#init?.check(message);
    } catch (fault) {
      if (!(fault instanceof LinkError)) throw fault;
      this.#drop(current, status.FAILED_PRECONDITION, fault.message);
      return;
    }
    this.#ready(current);
  }

  /** Ask the same again, a little later, as long as it may take in all. */
  #onTemporary(waiting: Waiting, text: string): void {
    const { clock, random } = this.#options;
    const { retryTotalMs, retryFirstMs, retryLongestMs } = this.#limits;
    const bounds = { firstMs: retryFirstMs, longestMs: retryLongestMs };
    const delayMs = delayAfter(waiting.failures, bounds, random);
    if (waiting.waitedMs + delayMs > retryTotalMs) {
      this.#refused(waiting, { code: 'policy', text, temporary: true });
      return;
    }
    waiting.failures += 1;
    waiting.waitedMs += delayMs;
    this.#outstanding.hold(waiting);
    const cancel = clock.after(delayMs, () => {
      this.#retries.delete(cancel);
      this.#outstanding.renumber(waiting);
      this.#current?.unsent.push(waiting);
      this.#pump();
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
    this.#options.log('broken', `the signer at ${current.stream.peer.address} was cut off: ${why}`);
    this.#lose(current, why);
    current.stream.refuse(code, why);
  }

  #lose(current: Current, why: string): void {
    if (this.#current !== current) return;
    current.cancelWait();
    this.#current = null;
    this.#options.log('unusual', `the signer is gone: ${reasonOf(new Error(why))}`);
    this.#setState('down');
    const sent = this.#outstanding.inOrder().filter(({ sentOn }) => sentOn === current.stream);
    for (const waiting of sent) waiting.sentOn = null;
    const [oldest] = sent;
    if (oldest !== undefined) this.#countLoss(oldest);
  }

  /**
   * VLS answers one after the other, and ends at a request it did not foresee. The same request would end it for ever: at
   * some point it is the request that fails, not the signer.
   */
  #countLoss(oldest: Waiting): void {
    oldest.losses += 1;
    if (oldest.losses < this.#limits.lossesMax) return;
    const text = `the signer went away ${oldest.losses} times over this request`;
    this.#options.log('broken', `${nameOf(oldest.body)} is given up: ${text}`);
    this.#refused(oldest, { code: 'policy', text, temporary: false });
  }

  #setState(state: LinkState): void {
    if (this.#state === state || this.#state === 'closed') return;
    this.#state = state;
    for (const listener of [...this.#listeners]) listener(state);
  }
}

/** VLS knows lightningd by the absence of a context, and enforces no permissions. */
function contextOf({ peerId, dbid }: LinkClient): RequestContext | null {
  return peerId === null ? null : { peerId, dbid, capabilities: 0n };
}

function closedError(): LinkError {
  return new LinkError('link-closed', 'the link to the signer was closed');
}
