/**
 * Where signers dial in: a TCP address, with TLS or without, that speaks `hsmd.Hsmd`. Strangers get little room and little time,
 * and with TLS they never reach HTTP/2. Each connection may have one stream.
 */
import { createServer, type Server as NetServer, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import type { LinkClock } from '../link/clock.ts';
import { LinkError } from '../link/error.ts';
import { RefusalLog } from '../link/log.ts';
import { type GrpcLog, reasonOf } from './log.ts';
import type { Ping, SignerRequest, SignerResponse } from './messages.ts';
import { Room } from './room.ts';
import { commonOptions, HSMD_SERVICE } from './service.ts';
import { SignerStream } from './signer-stream.ts';
import { checkTls, type GrpcTls, pinOfPeer, serverTlsOptions } from './tls.ts';

export interface ListenerLimits {
  /** Connections in the handshake of TLS. */
  readonly handshakesMax: number;
  readonly handshakeMs: number;
  /** Connections without a stream: each may cost a few times `messageBytesMax`. */
  readonly strangersMax: number;
  /** How long a connection may take to open its stream. */
  readonly streamWaitMs: number;
  readonly messageBytesMax: number;
  readonly keepaliveMs: number;
}

export interface ListenerOptions {
  readonly host: string;
  /** 0: one that is free. */
  readonly port: number;
  readonly tls: GrpcTls | null;
  readonly limits: ListenerLimits;
  readonly clock: LinkClock;
  readonly log: GrpcLog;
  readonly onStream: (stream: SignerStream) => void;
}

/** A greeting is repeated up to this length. */
export const PING_CHARACTERS_MAX = 1024;
/** The stream, the greeting, and one in reserve. */
const STREAMS_MAX = 3;

interface Connection {
  readonly socket: Socket;
  readonly pin: string | null;
  hasStream: boolean;
}

export class GrpcListener {
  readonly #options: ListenerOptions;
  readonly #server: NetServer;
  readonly #grpc: Server;
  readonly #inject: (socket: Socket) => void;
  readonly #handshakes: Room;
  readonly #strangers: Room;
  readonly #refusals: RefusalLog;
  /** What lies below TLS that is not done yet, by the same name as the others. */
  readonly #unsecured = new Map<string, Socket>();
  /** By `address:port` of the peer, as grpc-js names it. */
  readonly #connections = new Map<string, Connection>();

  private constructor(options: ListenerOptions) {
    const { clock, limits, log, tls } = options;
    this.#options = options;
    this.#refusals = new RefusalLog(({ text }) => log('unusual', text), clock);
    this.#handshakes = new Room(clock, limits.handshakesMax, limits.handshakeMs);
    this.#strangers = new Room(clock, limits.strangersMax, limits.streamWaitMs);
    this.#grpc = new Server({
      ...commonOptions(limits.messageBytesMax, limits.keepaliveMs),
      'grpc.max_concurrent_streams': STREAMS_MAX,
    });
    this.#grpc.addService(HSMD_SERVICE, {
      ping: (call: ServerUnaryCall<Ping, Ping>, done: sendUnaryData<Ping>) => answerPing(call.request, done),
      signerStream: (call: ServerDuplexStream<SignerResponse, SignerRequest>) => this.#onCall(call),
    });
    // TLS is done before, with a bound on those who do not finish it.
    const injector = this.#grpc.createConnectionInjector(ServerCredentials.createInsecure());
    this.#inject = (socket) => injector.injectConnection(socket);
    this.#server = tls === null ? this.#plain() : this.#secure(tls);
  }

  /** Rejects with `link-listen-failed`, or `link-stranger` for TLS that would let anyone in. */
  static async open(options: ListenerOptions): Promise<GrpcListener> {
    if (options.tls !== null) checkTls(options.tls);
    const listener = new GrpcListener(options);
    await listener.#listen();
    return listener;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  get connections(): number {
    return this.#handshakes.size + this.#connections.size;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#handshakes.clear();
    for (const { socket } of [...this.#connections.values()]) socket.destroy();
    this.#grpc.forceShutdown();
    await closed;
  }

  #listen(): Promise<void> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once('error', (cause) =>
        reject(
          new LinkError('link-listen-failed', `cannot listen at ${host}:${port}`, { host, port }, { cause }),
        ),
      );
      this.#server.listen({ host, port }, () => {
        // Out of descriptors for a while: those who are connected go on.
        this.#server.on('error', (error) => this.#options.log('broken', `listening: ${reasonOf(error)}`));
        resolve();
      });
    });
  }

  #plain(): NetServer {
    return createServer({ noDelay: true }, (socket) => this.#admit(socket, null));
  }

  #secure(tls: GrpcTls): NetServer {
    const { handshakeMs } = this.#options.limits;
    const server = createTlsServer({ ...serverTlsOptions(tls, handshakeMs), noDelay: true });
    server.on('connection', (socket: Socket) => {
      const address = addressOf(socket);
      socket.on('error', () => {});
      // Who comes again from the same address may be here before the end of its last connection is told.
      socket.once('close', () => {
        if (this.#unsecured.get(address) === socket) this.#unsecured.delete(address);
      });
      this.#unsecured.set(address, socket);
      this.#handshakes.enter(socket);
    });
    server.on('secureConnection', (socket) => this.#onSecured(socket, tls));
    server.on('tlsClientError', (error, socket) => {
      this.#refused(socket, reasonOf(error));
      socket.destroy();
    });
    return server;
  }

  #onSecured(socket: TLSSocket, tls: GrpcTls): void {
    const below = this.#unsecured.get(addressOf(socket));
    if (below !== undefined) this.#handshakes.leave(below);
    try {
      this.#admit(socket, pinOfPeer(socket, tls));
    } catch (error) {
      if (!(error instanceof LinkError)) throw error;
      this.#refused(socket, reasonOf(error));
      socket.destroy();
    }
  }

  #refused(socket: Socket, why: string): void {
    // Nobody knows where one was that is gone already.
    const at = socket.remoteAddress === undefined ? '' : ` at ${addressOf(socket)}`;
    this.#refusals.refused('link-refused', `a stranger${at} was refused: ${why}`, {});
  }

  #admit(socket: Socket, pin: string | null): void {
    const address = addressOf(socket);
    const connection: Connection = { socket, pin, hasStream: false };
    this.#connections.set(address, connection);
    socket.on('error', () => {});
    socket.once('close', () => {
      if (this.#connections.get(address) === connection) this.#connections.delete(address);
    });
    this.#strangers.enter(socket);
    this.#inject(socket);
  }

  #onCall(call: ServerDuplexStream<SignerResponse, SignerRequest>): void {
    const address = call.getPeer();
    const connection = this.#connections.get(address);
    if (connection === undefined || connection.hasStream) {
      const details = 'a connection has one stream';
      call.emit('error', { code: status.RESOURCE_EXHAUSTED, details, name: 'refused', message: details });
      return;
    }
    const { socket, pin } = connection;
    connection.hasStream = true;
    this.#strangers.leave(socket);
    const cut = (): void => void socket.destroy();
    this.#options.onStream(new SignerStream(call, { address, pin, cut }, this.#options.clock));
  }
}

function answerPing({ message }: Ping, done: sendUnaryData<Ping>): void {
  if (message.length <= PING_CHARACTERS_MAX) done(null, { message });
  else done({ code: status.INVALID_ARGUMENT, details: 'the greeting is too long' });
}

function addressOf(socket: Socket): string {
  return `${socket.remoteAddress}:${socket.remotePort}`;
}
