/**
 * How grpc-js gets from a TCP connection to one it may speak on: with TLS of ours, where the pin is checked before a byte of HTTP/2,
 * or with none. It remembers each connection, so that an attempt that is given up leaves none behind.
 */
import type { Socket } from 'node:net';
import { CallCredentials, ChannelCredentials, type experimental } from '@grpc/grpc-js';
import { type GrpcTls, startTls } from './tls.ts';

export class DialCredentials extends ChannelCredentials {
  readonly #tls: GrpcTls | null;
  readonly #host: string;
  readonly #sockets = new Set<Socket>();
  #isClosed = false;
  #wasReached = false;
  #failure: unknown = null;

  constructor(tls: GrpcTls | null, host: string) {
    super();
    this.#tls = tls;
    this.#host = host;
  }

  /** What the last handshake failed of: grpc-js tells only that there is no connection. */
  get failure(): unknown {
    return this.#failure;
  }

  /** A connection was there, and TLS where it is wanted. */
  get wasReached(): boolean {
    return this.#wasReached;
  }

  /** Cuts every connection made with these. */
  close(): void {
    this.#isClosed = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  override _isSecure(): boolean {
    return this.#tls !== null;
  }

  override _equals(other: ChannelCredentials): boolean {
    return other === this;
  }

  override _createSecureConnector(): experimental.SecureConnector {
    return {
      connect: (socket) => this.#secured(socket),
      waitForReady: async () => {},
      getCallCredentials: () => CallCredentials.createEmpty(),
      destroy: () => {},
    };
  }

  async #secured(socket: Socket): Promise<experimental.SecureConnectResult> {
    this.#keep(socket);
    try {
      const tls = this.#tls;
      const over = tls === null ? socket : await startTls(tls, socket, this.#host);
      this.#wasReached = true;
      return { socket: over, secure: tls !== null };
    } catch (error) {
      this.#failure = error;
      socket.destroy();
      throw error;
    }
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => this.#sockets.delete(socket));
    if (this.#isClosed) socket.destroy();
  }
}
