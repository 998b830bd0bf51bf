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
import {
  type Beside,
  type Config,
  errorText,
  negotiateVersion,
  type OpenedSigner,
  openBeside,
  PROTOCOL_VERSION_MAX,
  PROTOCOL_VERSION_MIN,
  type Signer,
  type StartInput,
  startInPlace,
} from '@countersign/host';
import type { Journal } from '@countersign/store';
import {
  DescriptorError,
  FrameError,
  type FrameErrorCode,
  type FrameSocket,
  prepareDescriptors,
} from '@countersign/transport';
import { decodeMessage, encodeMessage, type MessageOf, type Reply, type Request } from '@countersign/wire';
import { type OpenedClient, openClient } from './descriptors.ts';
import { refusalReply } from './refusal-form.ts';
import { LOG_TEXT_BYTES_MAX, type StatusChannel, statusText } from './status.ts';

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

export interface HsmdOptions extends Pick<StartInput, 'secp' | 'randomBytes' | 'monotonicMs' | 'nowSeconds'> {
  /** Or why it could not be read: then INIT fails with it, so that lightningd shows it to its operator. */
  readonly config: Config | CountersignError;
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
  #preinit: MessageOf<'hsmd_dev_preinit'> | null = null;
  #signer: Signer | null = null;
  #journal: Journal | null = null;
  #beside: Beside | null = null;
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
    await this.#beside?.close();
    this.#signer?.end();
    if (this.#journal !== null) {
      const { commits, batches, records } = this.#journal.stats;
      this.#options.status.log('debug', `countersign stats ${JSON.stringify({ commits, batches, records })}`);
      try {
        await this.#journal.close();
      } catch (error) {
        this.#options.status.log('broken', `closing the store: ${String(error)}`);
      }
    }
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
    const decoded = decodeMessage(body, 'request', this.#limits());
    if (this.#signer === null) return this.#beforeInit(body, decoded);
    if (decoded.ok && decoded.message.name === 'hsmd_client_hsmfd') return this.#openClient(decoded.message);
    if (decoded.ok && decoded.message.name === 'hsmd_dev_memleak' && this.#options.isDeveloper) {
      return this.#send(this.#master, { name: 'hsmd_dev_memleak_reply', leak: false });
    }
    return this.#serve(this.#master, body, decoded);
  }

  #limits() {
    const { config } = this.#options;
    return { messageBytesMax: 'messageBytesMax' in config ? config.messageBytesMax : 4 * 1024 * 1024 };
  }

  async #beforeInit(body: Uint8Array, decoded: Decoded): Promise<void> {
    const type = body.length >= 2 ? (body[0]! << 8) | body[1]! : -1;
    if (decoded.ok && decoded.message.name === 'hsmd_dev_preinit' && this.#options.isDeveloper) {
      this.#preinit = decoded.message;
      return;
    }
    if (decoded.ok && decoded.message.name === 'hsmd_init') return this.#init(decoded.message);
    if (type === 11) return this.#badInit('could not parse request');
    this.#fail('masterIo', `hsmd was not initialized correctly, expected message type 11, got ${type}`);
  }

  /** Never with the bytes of INIT: it can carry a passphrase. */
  #badInit(why: string): void {
    this.#options.status.log('broken', why);
    this.#fail('masterIo', `Error parsing 11: ${why}`);
  }

  async #init(init: MessageOf<'hsmd_init'>): Promise<void> {
    const { config, status } = this.#options;
    const version = negotiateVersion(init);
    if (version === null) {
      const { hsmWireMinVersion: min, hsmWireMaxVersion: max } = init;
      return this.#badInit(
        `Version ${min}-${max} not valid: we need ${PROTOCOL_VERSION_MIN}-${PROTOCOL_VERSION_MAX}`,
      );
    }
    if ('code' in config) return this.#initFailed(20, `countersign: ${config.message}`, 242);
    const { secp, randomBytes, monotonicMs, nowSeconds } = this.#options;
    const log = (level: 'debug' | 'info' | 'unusual' | 'broken', text: string) => status.log(level, text);
    const preinit = this.#preinit;
    const started = await startInPlace(
      { init, preinit, config, secp, randomBytes, monotonicMs, nowSeconds, log },
      version,
    );
    if (!started.ok) return this.#initFailed(started.errorCode, started.errorMessage, started.exitStatus);
    this.#signer = started.signer;
    this.#journal = started.journal;
    // Before lightningd goes on: its plugins find the sockets there.
    this.#beside = await this.#openBeside(started, config);
    this.#send(this.#master, started.reply);
    // Loads the native library now, so that the first client does not wait for it.
    prepareDescriptors();
  }

  #openBeside(opened: OpenedSigner, config: Config): Promise<Beside> {
    const { status, nowSeconds, monotonicMs, randomBytes } = this.#options;
    return openBeside({
      opened,
      config,
      nodeSide: 'socket',
      nowSeconds,
      monotonicMs,
      random: () => new DataView(randomBytes(4).buffer).getUint32(0) / 2 ** 32,
      log: (level, text) => status.log(level, text),
      onProblem: (text) => status.log('broken', `countersign: ${text}`),
      onBug: (error) => this.#bug(error),
    });
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
    return this.#serve(client, body, decodeMessage(body, 'request', this.#limits()));
  }

  async #serve(client: Client, body: Uint8Array, decoded: Decoded): Promise<void> {
    if (!decoded.ok) {
      const { message, facts } = decoded.error;
      return this.#badRequest(client, body, malformedRefusal('unknown', null, message, facts));
    }
    const { message } = decoded;
    if (message.name === 'unknown') {
      const facts = { message_type: message.type };
      return this.#badRequest(client, body, malformedRefusal('unknown', null, 'unknown request', facts));
    }
    if (this.#signer === null) throw new FormError('a client before INIT');
    const answer = await this.#signer.answer(client.identity, message);
    if (answer.kind === 'reply') return this.#send(client, answer.reply);
    const { refusal, id } = answer;
    if (refusal.code === 'permission') return this.#badRequest(client, body, refusal, id);
    this.#refuse(client, refusal, message, id);
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
    return this.#signer?.recordRefusal(refusal) ?? null;
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

type Decoded = ReturnType<typeof decodeMessage<'request'>>;
