/**
 * The door of a node that cannot wait to a signer elsewhere: a call blocks until the signer on its own machine has answered, for a
 * bounded time. What travels, and what survives a lost connection, is the link's business in a thread or process beside.
 */
import type { Facts } from '@countersign/bitcoin';
import { encodeSignerError } from '@countersign/wire';
import type { PresenceLogLevel } from '../link/presence.ts';
import {
  ownClient,
  REQUESTS_TOGETHER_MAX,
  type SyncDoor,
  type SyncDoorClient,
  SyncDoorError,
  type SyncDoorRequest,
} from '../sync-door.ts';
import type { BlockingCaller } from './carrier.ts';
import { type BridgeHost, startProcess, startThread } from './host.ts';
import {
  askHead,
  askTogether,
  type BridgeKeyStyle,
  type BridgeListen,
  type FromBridge,
  type RemoteIdentity,
  readAnswer,
  readAnswers,
} from './messages.ts';

export interface RemoteDoorOptions {
  /** The application's own: the link's key and the signers it knows are kept below it. For `countersign pair` too. */
  readonly directory: string;
  /** Where the signer comes in. It dials; nothing here does. */
  readonly listen: BridgeListen;
  /** `bitcoin`, `testnet`, `testnet4`, `signet` or `regtest`: the signer's keys must belong to it. */
  readonly network: string;
  /** `key_style` of the node in the signer's configuration. Default `cln`. */
  readonly keyStyle?: BridgeKeyStyle;
  /** A thread with shared memory (default), or a process with FIFOs. */
  readonly bridge?: 'worker' | 'fifo';
  /** How long a call may block. Default 10 s; while the signer is away for longer than that, calls fail at once. */
  readonly patienceMs?: number;
  /** How long to wait for the first signer. Default null: until it comes. */
  readonly startPatienceMs?: number | null;
  /** Longest message in either direction. Default 4 MiB. */
  readonly messageBytesMax?: number;
  readonly log?: (level: PresenceLogLevel, text: string) => void;
  /**
   * Called once when the bridge has ended and nobody closed it: every call fails from then on with this error
   * (`sync-door-broken`). The application opens a new door, and its node anew over that; or ends, to be started again.
   */
  readonly onBroken?: (error: SyncDoorError) => void;
}

const PATIENCE_MS_DEFAULT = 10_000;
const MESSAGE_BYTES_MAX_DEFAULT = 4 * 1024 * 1024;
/** The bridge keeps the time itself; beyond it something is wrong with the bridge. */
const BRIDGE_GRACE_MS = 1_000;
/** For its last words to the signer. */
const CLOSE_MS = 3_000;

interface Waiting {
  readonly resolve: (body: Uint8Array) => void;
  readonly reject: (error: Error) => void;
}

/** Resolves when a signer serves this node. Rejects with `SyncDoorError`: nothing stays open then. */
export async function openRemoteDoor(options: RemoteDoorOptions): Promise<RemoteDoor> {
  const door = new RemoteDoor(options);
  try {
    await door.opened;
    return door;
  } catch (error) {
    await door.close();
    throw error;
  }
}

export class RemoteDoor implements SyncDoor {
  readonly #host: BridgeHost;
  readonly #log: NonNullable<RemoteDoorOptions['log']>;
  readonly #onBroken: NonNullable<RemoteDoorOptions['onBroken']>;
  readonly #patienceMs: number;
  readonly #messageBytesMax: number;
  readonly #opened = Promise.withResolvers<RemoteIdentity>();
  readonly #ended = Promise.withResolvers<void>();
  readonly #feeds = new Map<number, Waiting>();
  #identity: RemoteIdentity | null = null;
  #caller: BlockingCaller | null = null;
  #feedIds = 0;
  /** Why nothing is to be had any more. */
  #gone: string | null = null;
  #closing: Promise<void> | null = null;

  /** For `openRemoteDoor`. Throws `SyncDoorError`. */
  constructor(options: RemoteDoorOptions) {
    const { bridge = 'worker', log = () => {}, messageBytesMax = MESSAGE_BYTES_MAX_DEFAULT } = options;
    const { patienceMs = PATIENCE_MS_DEFAULT, startPatienceMs = null, keyStyle = 'cln' } = options;
    this.#log = log;
    this.#onBroken = options.onBroken ?? (() => {});
    this.#patienceMs = patienceMs;
    this.#messageBytesMax = messageBytesMax;
    const start = bridge === 'worker' ? startThread : startProcess;
    this.#host = start(messageBytesMax, {
      message: (message) => this.#take(message),
      ended: (why) => this.#onEnded(why),
    });
    const { directory, listen, network } = options;
    const settings = { directory, listen, network, keyStyle, messageBytesMax, patienceMs, startPatienceMs };
    this.#host.post({ kind: 'open', settings, carrier: this.#host.carrier });
  }

  /** Resolves with the first signer. */
  get opened(): Promise<RemoteIdentity> {
    return this.#opened.promise;
  }

  /** Of the signer; the same for as long as this door is open. */
  get identity(): RemoteIdentity {
    if (this.#identity === null) throw new TypeError('the door is not open yet');
    return this.#identity;
  }

  ask(client: SyncDoorClient, request: Uint8Array): Uint8Array {
    const caller = this.#requireOpen();
    const own = ownClient(client);
    if (own === null) return malformed('a client that no node has', {});
    if (request.length > this.#messageBytesMax) return tooLong(request.length, this.#messageBytesMax);
    return replyIn(this.#exchange(caller, askHead(own), request));
  }

  askTogether(requests: readonly SyncDoorRequest[]): readonly Uint8Array[] {
    const caller = this.#requireOpen();
    const asked = requests.flatMap(({ client, request }) => {
      const own = ownClient(client);
      return own === null || request.length > this.#messageBytesMax ? [] : [{ client: own, request }];
    });
    // What cannot go has an answer of its own: one after another, then.
    if (asked.length < requests.length || asked.length > REQUESTS_TOGETHER_MAX)
      return requests.map(({ client, request }) => this.ask(client, request));
    const { head, body } = askTogether(asked);
    const replies = readAnswers(this.#exchange(caller, head, body)).map(replyIn);
    if (replies.length !== asked.length) throw unreachable('the bridge did not answer all');
    return replies;
  }

  #requireOpen(): BlockingCaller {
    if (this.#closing !== null) throw closed();
    if (this.#gone !== null) throw broken(this.#gone);
    if (this.#caller === null) throw unreachable('the door is not open yet');
    return this.#caller;
  }

  #exchange(caller: BlockingCaller, head: Uint8Array, body: Uint8Array): Uint8Array {
    const timeoutMs = this.#patienceMs + BRIDGE_GRACE_MS;
    const exchange = caller.exchange(head, body, timeoutMs);
    if (exchange.kind === 'gone') throw broken(exchange.why);
    if (exchange.kind === 'silent')
      throw unreachable(`the bridge did not answer within ${timeoutMs / 1000} s`);
    return exchange.body;
  }

  async feed(request: Uint8Array): Promise<Uint8Array> {
    if (this.#closing !== null) throw closed();
    if (this.#gone !== null) throw broken(this.#gone);
    const id = ++this.#feedIds;
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
    this.#feeds.set(id, { resolve, reject });
    this.#host.hold(true);
    this.#host.post({ kind: 'feed', id, body: request });
    return promise;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#caller?.end();
    this.#host.hold(true);
    this.#host.post({ kind: 'close' });
    const timer = setTimeout(() => void this.#host.kill(), CLOSE_MS);
    await this.#ended.promise;
    clearTimeout(timer);
  }

  #take(message: FromBridge): void {
    switch (message.kind) {
      case 'ready':
        this.#connect();
        return;
      case 'opened':
        this.#identity = message.identity;
        this.#opened.resolve(message.identity);
        this.#letGo();
        return;
      case 'failed':
        this.#opened.reject(unreachable(message.why));
        return;
      case 'log':
        this.#log(message.level, message.text);
        return;
      case 'fed':
        this.#fed(message.id)?.resolve(message.body);
        return;
      case 'feed-failed':
        this.#fed(message.id)?.reject(unreachable(message.why));
        return;
      case 'closed':
        return;
    }
  }

  #connect(): void {
    try {
      this.#caller = this.#host.connect(() => performance.now());
    } catch (cause) {
      // It is gone already, and its end will say so.
      this.#opened.reject(
        new SyncDoorError('sync-door-unreachable', 'the bridge cannot be reached', {}, { cause }),
      );
    }
  }

  #fed(id: number): Waiting | undefined {
    const waiting = this.#feeds.get(id);
    this.#feeds.delete(id);
    this.#letGo();
    return waiting;
  }

  #letGo(): void {
    if (this.#feeds.size === 0 && this.#closing === null) this.#host.hold(false);
  }

  #onEnded(why: string): void {
    this.#gone = `the bridge is gone: ${why}`;
    const error = this.#closing === null ? broken(this.#gone) : closed();
    this.#opened.reject(error);
    // Nobody may wait for it any more.
    this.#opened.promise.catch(() => {});
    for (const { reject } of this.#feeds.values()) reject(error);
    this.#feeds.clear();
    this.#ended.resolve();
    if (this.#closing !== null) return;
    this.#log('broken', `countersign: ${this.#gone}`);
    // `openRemoteDoor` has told of it where there was no door yet.
    if (this.#identity !== null) this.#onBroken(error);
  }
}

const closed = (): SyncDoorError =>
  new SyncDoorError('sync-door-closed', 'the door to the signer was closed');
const unreachable = (why: string): SyncDoorError => new SyncDoorError('sync-door-unreachable', why);
const broken = (why: string): SyncDoorError => new SyncDoorError('sync-door-broken', why);

function replyIn(bytes: Uint8Array): Uint8Array {
  const answer = readAnswer(bytes);
  if (answer.kind === 'unreachable') throw unreachable(answer.why);
  return answer.body;
}

/** As a signer in the node's own process refuses it. */
function malformed(message: string, facts: Facts): Uint8Array {
  return encodeSignerError('malformed', { tag: 'policy-generic-error', message, facts, temporary: false });
}

function tooLong(bytes: number, bytesMax: number): Uint8Array {
  return malformed('a request is longer than this side sends (messageBytesMax)', {
    bytes,
    bytes_max: bytesMax,
  });
}
