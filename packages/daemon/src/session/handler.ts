/**
 * A node's requests as they come over a link or VLS's stream: decoded, judged, answered in bytes. A refusal is an answer, and
 * fails that request only. Nothing the node sends makes it reject; what does is a bug, and ends the process.
 */
import { FormError } from '@countersign/bitcoin';
import {
  type ClientIdentity,
  malformedRefusal,
  type Network,
  PERMISSION,
  type Refusal,
  type RefusalCode,
} from '@countersign/core';
import {
  answerForPlace,
  type FeedDesk,
  type FeedSession,
  type Negotiated,
  PROTOCOL_VERSION_MAX,
  type Signer,
  toLinkRefusal,
} from '@countersign/host';
import type { LinkAnswer, LinkClient, LinkRefusal, RequestHandler } from '@countersign/transport';
import {
  decodeMessage,
  definitionOf,
  encodeMessage,
  isRequestName,
  type MessageOf,
  messageNames,
  type Reply,
  type Request,
} from '@countersign/wire';
import type { Observer } from '../observe/observer.ts';
import { type Initializer, introduce } from './introduction.ts';

type Preinit = MessageOf<'hsmd_dev_preinit'>;

/** Feeders that one node side may have at a time, as on `node.sock`: each may have a block in memory. */
export const FEEDS_MAX = 16;

export interface HandlerOptions extends Initializer {
  readonly signer: Signer;
  readonly network: Network;
  readonly feed: FeedDesk;
  readonly messageBytesMax: number;
  readonly observer: Observer;
  readonly monotonicMs: () => number;
  readonly randomBytes: (count: number) => Uint8Array;
  /** A bug of ours: the process must end. */
  readonly onBug: (error: unknown) => void;
  readonly onInitialized: (negotiated: Negotiated) => void;
  /** For the operator's log. */
  readonly onRefused: (refusal: LinkRefusal) => void;
}

export class SignerHandler implements RequestHandler {
  readonly #options: HandlerOptions;
  readonly #feeds = new Map<number, FeedSession>();
  #preinit: Preinit | null = null;
  #isInitialized = false;
  #isStopping = false;
  #inFlight = 0;
  #onIdle: (() => void) | null = null;

  constructor(options: HandlerOptions) {
    this.#options = options;
  }

  /** Whether a node has introduced itself since the start. */
  get isInitialized(): boolean {
    return this.#isInitialized;
  }

  /** Requests not answered yet. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /**
   * Takes nothing any more; resolves when all that was taken is answered. What comes now gets no answer at all: a refusal would
   * fail it, while the node's side asks the next process again.
   */
  async stop(): Promise<void> {
    this.#isStopping = true;
    if (this.#inFlight === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onIdle = resolve;
    await promise;
  }

  ask(client: LinkClient, body: Uint8Array): Promise<LinkAnswer> {
    if (this.#isStopping) return NEVER;
    return this.#measured(nameOf(body), () => this.#ask(client, body));
  }

  feed(session: number, body: Uint8Array): Promise<LinkAnswer> {
    if (this.#isStopping) return NEVER;
    return this.#measured('feed', () => this.#feed(session, body));
  }

  feedEnded(session: number): void {
    this.#feeds.get(session)?.close();
    this.#feeds.delete(session);
  }

  async #measured(name: string, answer: () => Promise<LinkAnswer>): Promise<LinkAnswer> {
    const { observer, monotonicMs, onBug, onRefused } = this.#options;
    const beganMs = monotonicMs();
    this.#inFlight += 1;
    try {
      const answered = await answer();
      const refusal = answered.kind === 'refused' ? answered.refusal : null;
      if (refusal !== null) onRefused(refusal);
      observer.answered({ name, refusal, seconds: (monotonicMs() - beganMs) / 1000 });
      return answered;
    } catch (error) {
      onBug(error);
      throw error;
    } finally {
      this.#inFlight -= 1;
      if (this.#inFlight === 0) this.#onIdle?.();
    }
  }

  async #ask(client: LinkClient, body: Uint8Array): Promise<LinkAnswer> {
    const identity = identityOf(client);
    const decoded = decodeMessage(body, 'request', { messageBytesMax: this.#options.messageBytesMax });
    if (!decoded.ok) return this.#malformed(decoded.error.message, decoded.error.facts);
    const { message } = decoded;
    if (message.name === 'unknown') return this.#malformed('unknown request', { message_type: message.type });
    if (message.name === 'hsmd_dev_preinit' || message.name === 'hsmd_init') {
      if (!isNode(identity)) return this.#refuseHere(permissionRefusal(message));
      return message.name === 'hsmd_init' ? this.#init(message) : this.#takePreinit(message);
    }
    const ownAnswer = this.#answerForPlace(identity, message);
    if (ownAnswer !== null) return ownAnswer;
    if (!this.#isInitialized) return this.#refuseHere(notInitialized(message));
    const answer = await this.#options.signer.answer(identity, message);
    return answer.kind === 'reply' ? this.#reply(answer.reply) : refused(answer.refusal, answer.id);
  }

  /** VLS's messages for LDK about the signer itself. Null for every request that is for the signer to decide. */
  #answerForPlace(identity: ClientIdentity, request: Request): LinkAnswer | null {
    const { randomBytes, signer, onInitialized } = this.#options;
    const answer = answerForPlace(this.#options, randomBytes, request);
    if (answer === null) return null;
    if (!isNode(identity)) return this.#refuseHere(permissionRefusal(request));
    if (answer.kind === 'refused') return this.#refuseHere(answer.refusal);
    if (request.name === 'vls_hsmd_init2') {
      const negotiated = { protocolVersion: PROTOCOL_VERSION_MAX, failPreapprovals: false };
      signer.negotiate(negotiated);
      this.#isInitialized = true;
      onInitialized(negotiated);
    }
    return this.#reply(answer.reply);
  }

  /** It has no reply, so an empty body says that it came. What it may ask for is judged with INIT. */
  #takePreinit(preinit: Preinit): LinkAnswer {
    this.#preinit = preinit;
    return { kind: 'reply', body: NO_BYTES };
  }

  #init(init: MessageOf<'hsmd_init'>): LinkAnswer {
    const preinit = this.#preinit;
    this.#preinit = null;
    const { signer, onInitialized, onRefused } = this.#options;
    const outcome = introduce(this.#options, init, preinit);
    if (outcome.ok) {
      signer.negotiate(outcome.negotiated);
      this.#isInitialized = true;
      onInitialized(outcome.negotiated);
    } else {
      onRefused(toLinkRefusal(outcome.refusal, signer.recordRefusal(outcome.refusal)));
    }
    return this.#reply(outcome.reply);
  }

  async #feed(session: number, body: Uint8Array): Promise<LinkAnswer> {
    const open = this.#feeds.get(session) ?? this.#openFeed(session);
    if (open === null) return this.#malformed('too many feeders', { feeders: this.#feeds.size });
    const { reply, isEnd } = await open.answer(body);
    if (isEnd) this.feedEnded(session);
    return this.#reply(reply);
  }

  #openFeed(session: number): FeedSession | null {
    if (this.#feeds.size >= FEEDS_MAX) return null;
    const opened = this.#options.feed.open();
    this.#feeds.set(session, opened);
    return opened;
  }

  #malformed(message: string, facts: Refusal['facts']): LinkAnswer {
    return this.#refuseHere(malformedRefusal('unknown', null, message, facts));
  }

  /** What was refused before there was a request to decide on. */
  #refuseHere(refusal: Refusal): LinkAnswer {
    return refused(refusal, this.#options.signer.recordRefusal(refusal));
  }

  /** A PSBT grows by its signatures: a reply that no frame holds becomes a refusal, and nothing of it leaves. */
  #reply(reply: Reply): LinkAnswer {
    try {
      const { messageBytesMax } = this.#options;
      return { kind: 'reply', body: encodeMessage(reply, NO_BYTES, { messageBytesMax }) };
    } catch (error) {
      if (!(error instanceof FormError)) throw error;
      return this.#refuseHere(malformedRefusal(reply.name, null, `the reply: ${error.message}`, error.facts));
    }
  }
}

const NO_BYTES = new Uint8Array(0);
const NEVER = new Promise<never>(() => {});

/** As lightningd's clients: who has no channel speaks for the node, with the permissions it was given. */
function identityOf({ peerId, dbid, permissions }: LinkClient): ClientIdentity {
  const channel = peerId === null || dbid === 0n ? null : { peerId, dbid };
  return { channel, permissions };
}

/** lightningd itself, of all its clients. */
function isNode({ channel, permissions }: ClientIdentity): boolean {
  return channel === null && (permissions & PERMISSION.MASTER) === PERMISSION.MASTER;
}

/** For the metrics, by the type number: names of the table only, so that a node cannot make up more of them. */
function nameOf(body: Uint8Array): string {
  const name = body.length < 2 ? undefined : REQUEST_NAMES.get((body[0]! << 8) | body[1]!);
  return name ?? 'unknown';
}

const REQUEST_NAMES: ReadonlyMap<number, string> = new Map(
  messageNames.filter(isRequestName).map((name) => [definitionOf(name).number, name]),
);

function refused(refusal: Refusal, auditId: number | null): LinkAnswer {
  return { kind: 'refused', refusal: toLinkRefusal(refusal, auditId) };
}

function refusalOf(code: RefusalCode, request: string, message: string, temporary: boolean): Refusal {
  const facts = {};
  return {
    code,
    tag: code,
    law: 'setup',
    severity: 'error',
    temporary,
    message,
    facts,
    request,
    channel: null,
  };
}

const notInitialized = ({ name }: Request): Refusal =>
  refusalOf('not-initialized', name, 'a request before INIT', true);
const permissionRefusal = ({ name }: Request): Refusal =>
  refusalOf('permission', name, 'only the node itself may ask this', false);
