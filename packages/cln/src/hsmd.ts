/**
 * The session with lightningd: its master socket, the clients it opens for its daemons, and the form in which a
 * refusal reaches each of them. Decides nothing about money; that is the signer's.
 */
import { type CountersignError, FormError } from '@countersign/bitcoin';
import {
  type ClientIdentity,
  MASTER_PERMISSIONS,
  malformedRefusal,
  type Refusal,
  refusalText,
} from '@countersign/core';
import { errorText, LOG_TEXT_BYTES_MAX, refusalReply, statusText } from '@countersign/host';
import {
  DescriptorError,
  FrameError,
  type FrameErrorCode,
  type FrameSocket,
  prepareDescriptors,
} from '@countersign/transport';
import {
  decodeMessage,
  encodeMessage,
  MESSAGES,
  type MessageOf,
  type Reply,
  type Request,
} from '@countersign/wire';
import { type OpenedClient, openClient } from './descriptors.ts';
import type { Door, DoorReply, Init, OpenDoor, Surroundings } from './door.ts';
import type { StatusChannel } from './status.ts';

/** Open clients; lightningd has one for each channel daemon and three without a channel. */
export const CLIENTS_MAX = 20_000;
/** Clients without a channel besides the master, as in CLN. */
export const UNBOUND_CLIENTS_MAX = 2;

/** lightningd hung up: CLN's hsmd ends with this status. */
export const EXIT_MASTER_GONE = 2;

interface Client {
  readonly identity: ClientIdentity;
  /** As lightningd names it in its log; zeros for the master. */
  readonly nodeId: Uint8Array;
  readonly frames: FrameSocket;
}

export interface HsmdOptions {
  /** To the signer; or why there is none: then INIT fails with it, so that lightningd shows it to its operator. */
  readonly openDoor: OpenDoor | CountersignError;
  readonly messageBytesMax: number;
  /** Answers may be long in coming: once lightningd is gone, the process does not wait for them. */
  readonly endsAtHangUp: boolean;
  readonly isDeveloper: boolean;
  readonly status: StatusChannel;
  readonly master: FrameSocket;
  /** Ends the process. Called at most once. */
  readonly exit: (status: number) => void;
}

export class Hsmd {
  readonly #options: HsmdOptions;
  readonly #master: Client;
  readonly #clients = new Map<string, Client>();
  #unboundClients = 0;
  /** Every client without a channel has a key of its own: they replace nobody. */
  #unboundOpened = 0;
  #preinit: Init['preinit'] = null;
  #door: Door | null = null;
  #hasEnded = false;
  /** What the process ends with once the master socket is closed. */
  #exitStatus = EXIT_MASTER_GONE;

  constructor(options: HsmdOptions) {
    this.#options = options;
    this.#master = {
      identity: { channel: null, permissions: MASTER_PERMISSIONS },
      nodeId: new Uint8Array(33),
      frames: options.master,
    };
  }

  run(): void {
    this.#options.master.start({
      frame: (body) => this.#guard(() => this.#onMasterFrame(body)),
      oversized: (bytes) => this.#onOversized(this.#master, bytes),
      hungUp: () => {
        if (this.#options.endsAtHangUp) void this.#end(this.#exitStatus);
      },
      closed: (end) => {
        if (end.how === 'failed') {
          this.#options.status.log('broken', `master socket: ${errorText(end.error)}`);
        }
        void this.#end(this.#exitStatus);
      },
    });
  }

  /** A signal: what was decided becomes durable, the store is closed, then the process exits. lightningd ends too. */
  stop(signal: string, exitStatus: number): void {
    if (this.#hasEnded) return;
    this.#options.status.log('unusual', `ended by ${signal}`);
    void this.#end(exitStatus);
  }

  /** Orderly end: nothing enqueued is lost, no client gets a reply that is not durable. */
  async #end(status: number): Promise<void> {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    for (const { frames } of this.#clients.values()) void frames.close();
    await this.#door?.close();
    this.#options.status.flush(100);
    this.#options.exit(status);
  }

  /** A bug of ours ends the process rather than go on in an unknown state. */
  async #guard(action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      this.#bug(error);
    }
  }

  #bug(error: unknown): void {
    this.#fail('internalError', error instanceof Error ? `${error.name}: ${error.message}` : String(error));
  }

  #fail(reason: 'masterIo' | 'internalError', text: string): void {
    if (this.#hasEnded) return;
    const status = this.#options.status.fail(reason, text);
    void this.#end(status);
  }

  async #onMasterFrame(body: Uint8Array): Promise<void> {
    if (this.#hasEnded) return;
    if (this.#door === null) return this.#beforeInit(body);
    const own = OWN_REQUESTS.includes(typeOf(body)) ? this.#requestIn(body) : null;
    if (own?.name === 'hsmd_client_hsmfd') return this.#openClient(own);
    if (own?.name === 'hsmd_dev_memleak' && this.#options.isDeveloper) {
      return this.#send(this.#master, { name: 'hsmd_dev_memleak_reply', leak: false });
    }
    return this.#serve(this.#master, this.#door, body);
  }

  #limits() {
    const { messageBytesMax } = this.#options;
    return { messageBytesMax };
  }

  /** Null for bytes that are no request. */
  #requestIn(body: Uint8Array): Request | null {
    const decoded = decodeMessage(body, 'request', this.#limits());
    return decoded.ok && decoded.message.name !== 'unknown' ? decoded.message : null;
  }

  async #beforeInit(body: Uint8Array): Promise<void> {
    const message = this.#requestIn(body);
    if (message?.name === 'hsmd_dev_preinit' && this.#options.isDeveloper) {
      this.#preinit = { message, body };
      return;
    }
    if (message?.name === 'hsmd_init') return this.#init({ message, body, preinit: this.#preinit });
    const type = typeOf(body);
    if (type === MESSAGES.hsmd_init.number) return this.#badInit('could not parse request');
    this.#fail('masterIo', `hsmd was not initialized correctly, expected message type 11, got ${type}`);
  }

  /** Never with the bytes of INIT: it can carry a passphrase. */
  #badInit(why: string): void {
    this.#options.status.log('broken', why);
    this.#fail('masterIo', `Error parsing 11: ${why}`);
  }

  async #init(init: Init): Promise<void> {
    const { openDoor, status } = this.#options;
    if (typeof openDoor !== 'function') return this.#initFailed(20, `countersign: ${openDoor.message}`, 242);
    const surroundings: Surroundings = {
      log: (level, text) => status.log(level, text),
      onBug: (error) => this.#bug(error),
    };
    const opening = await openDoor(init, surroundings);
    if (!opening.ok) {
      if (opening.how === 'bad-init') return this.#badInit(opening.why);
      return this.#initFailed(opening.errorCode, opening.errorMessage, opening.exitStatus);
    }
    this.#door = opening.door;
    this.#reply(this.#master, opening.reply);
    // Loads the native library now, so that the first client does not wait for it.
    prepareDescriptors();
  }

  /** lightningd prints the text for its operator and exits. */
  #initFailed(errorCode: number, reason: string, exitStatus: 0 | 242): void {
    const errorMessage = statusText(reason, LOG_TEXT_BYTES_MAX);
    this.#send(this.#master, { name: 'hsmd_init_reply_failure', errorCode, errorMessage });
    this.#exitStatus = exitStatus;
    if (exitStatus !== 0) {
      this.#options.status.log('broken', errorMessage);
      this.#exitStatus = this.#options.status.fail('internalError', errorMessage);
    }
    // Closing flushes the reply; `closed` then ends the process.
    void this.#master.frames.close();
  }

  async #openClient(request: MessageOf<'hsmd_client_hsmfd'>): Promise<void> {
    const isBound = request.dbid !== 0n;
    const key = isBound ? `${request.dbid}` : `unbound ${this.#unboundOpened++}`;
    const tooMany = isBound ? this.#clients.size >= CLIENTS_MAX : this.#unboundClients >= UNBOUND_CLIENTS_MAX;
    if (tooMany) {
      return this.#refuse(
        this.#master,
        malformedRefusal(request.name, null, 'too many clients', { clients: this.#clients.size }),
      );
    }
    const opened = this.#tryOpenClient();
    if (opened instanceof DescriptorError) {
      const { message, facts } = opened;
      return this.#refuse(this.#master, malformedRefusal(request.name, null, message, facts));
    }
    const { frames, passed } = opened;
    const client: Client = {
      identity: {
        channel: isBound ? { peerId: request.id, dbid: request.dbid } : null,
        permissions: request.permissions,
      },
      nodeId: request.id,
      frames,
    };
    // A daemon that died is replaced: its old socket closes, as in CLN.
    const replaced = this.#clients.get(key);
    this.#clients.set(key, client);
    if (!isBound) this.#unboundClients += 1;
    replaced?.frames.destroy();
    frames.start({
      frame: (body) => this.#guard(() => this.#onClientFrame(client, body)),
      oversized: (bytes) => this.#onOversized(client, bytes),
      closed: (end) => {
        if (end.how === 'failed') this.#onClientFailed(client, end.error);
        if (this.#clients.get(key) !== client) return;
        this.#clients.delete(key);
        if (!isBound) this.#unboundClients -= 1;
      },
    });
    await passed;
  }

  /** A request larger than any this signer takes: refused like a malformed one, its bytes are dropped as they come. */
  #onOversized(client: Client, announcedBytes: number): void {
    const facts = { message_bytes: announcedBytes, max_bytes: this.#limits().messageBytesMax };
    const refusal = malformedRefusal(
      'unknown',
      null,
      'the request is larger than message_bytes_max in countersign.toml allows',
      facts,
    );
    this.#badRequest(client, NO_BYTES, refusal);
  }

  /** Frames beyond the limits are the client's fault; an end in the middle of one is that of a daemon killed. */
  #onClientFailed(client: Client, error: Error): void {
    const { status } = this.#options;
    const isAtFault = error instanceof FrameError && CLIENT_FAULTS.includes(error.code);
    if (isAtFault) status.clientBadRequest(client.nodeId, errorText(error), NO_BYTES);
    else status.log('debug', `client socket: ${errorText(error)}`, client.nodeId);
  }

  /** Out of descriptors is no reason to end: the clients there are go on. */
  #tryOpenClient(): OpenedClient | DescriptorError {
    try {
      return openClient(this.#master.frames, {
        frames: { frameBytesMax: this.#limits().messageBytesMax },
      });
    } catch (error) {
      if (error instanceof DescriptorError) return error;
      throw error;
    }
  }

  async #onClientFrame(client: Client, body: Uint8Array): Promise<void> {
    if (this.#door === null) throw new FormError('a client before INIT');
    return this.#serve(client, this.#door, body);
  }

  async #serve(client: Client, door: Door, body: Uint8Array): Promise<void> {
    const answer = await door.ask(client.identity, body);
    if (answer.kind !== 'refused') return this.#reply(client, answer);
    const { refusal, id } = answer;
    const request = this.#requestIn(body);
    if (request === null || refusal.code === 'permission') {
      return this.#badRequest(client, body, refusal, id);
    }
    this.#refuse(client, refusal, request, id);
  }

  /** The daemon is broken or hostile: it gets its refusal, lightningd is told, and its socket closes. */
  #badRequest(client: Client, body: Uint8Array, refusal: Refusal, id = this.#recordRefusal(refusal)): void {
    this.#refuse(client, refusal, null, id);
    if (client === this.#master) return;
    // Its type and no more: requests carry secrets, and this goes into lightningd's log.
    this.#options.status.clientBadRequest(client.nodeId, refusalText(refusal), body.subarray(0, 2));
    void client.frames.close();
  }

  /** A reply of a type nobody waits for, with the reason as text: lightningd and its daemons show it in their logs. */
  #refuse(
    client: Client,
    refusal: Refusal,
    request: Request | null = null,
    id = this.#recordRefusal(refusal),
  ): void {
    const text = refusalText(refusal);
    const nodeId = client === this.#master ? undefined : client.nodeId;
    const level = refusal.code === 'policy' ? 'unusual' : 'broken';
    const number = id === null ? '' : ` (refusal ${id})`;
    this.#options.status.log(level, `refused ${refusal.request}: ${text}${number}`, nodeId);
    this.#send(client, refusalReply(request, refusal));
  }

  /** What was refused here and not by the signer. */
  #recordRefusal(refusal: Refusal): number | null {
    return this.#door?.recordRefusal(refusal) ?? null;
  }

  #reply(client: Client, answer: DoorReply): void {
    if (answer.kind === 'reply') this.#send(client, answer.reply);
    else client.frames.send(answer.body);
  }

  /** A PSBT grows by its signatures: a reply that no frame holds becomes a refusal, and nothing of it leaves. */
  #send(client: Client, reply: Reply): void {
    const body = this.#encode(reply);
    if (body instanceof FormError) {
      this.#refuse(client, malformedRefusal(reply.name, null, `the reply: ${body.message}`, body.facts));
    } else {
      client.frames.send(body);
    }
  }

  #encode(reply: Reply): Uint8Array | FormError {
    try {
      return encodeMessage(reply, NO_BYTES, this.#limits());
    } catch (error) {
      if (error instanceof FormError) return error;
      throw error;
    }
  }
}

/** How a client breaks its own connection; every other failure is the end of its process. */
const CLIENT_FAULTS: readonly FrameErrorCode[] = ['frame-too-large', 'send-queue-full'];
const NO_BYTES = new Uint8Array(0);

/** What the session answers itself; all else goes through the door as it comes. */
const OWN_REQUESTS: readonly number[] = [MESSAGES.hsmd_client_hsmfd.number, MESSAGES.hsmd_dev_memleak.number];

/** -1 without one. */
function typeOf(body: Uint8Array): number {
  return body.length >= 2 ? (body[0]! << 8) | body[1]! : -1;
}
