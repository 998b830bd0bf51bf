/**
 * The node side's open port. Before anybody is known by a pinned key, there is nothing but a TLS handshake here: so many at a
 * time, so many of one address, for so long; the oldest give way to new ones, so that a flood cannot keep the
 * signer out. Whoever fails is dropped, counted and logged.
 */
import { createServer, isIPv6, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from 'node:tls';
import type { LinkClock } from './clock.ts';
import { LinkError } from './error.ts';
import type { LinkIdentity } from './identity.ts';
import type { LinkLimits } from './limits.ts';
import type { RefusalLog } from './log.ts';
import { contextOf, peerOf, serverOptions, type TlsPeer, type TlsProtocol } from './tls.ts';

/** Somebody whose handshake is done. Nothing was read of it. */
export interface Visitor {
  readonly socket: TLSSocket;
  readonly peer: TlsPeer;
  readonly address: string;
  /** It is known, and has said hello: it no longer counts as waiting at the door, nor is it hurried. */
  admit(): void;
}

export interface DoormanOptions {
  readonly host: string;
  readonly port: number;
  readonly identity: LinkIdentity;
  readonly protocols: readonly TlsProtocol[];
  readonly limits: LinkLimits;
  readonly clock: LinkClock;
  readonly refusals: RefusalLog;
  readonly onVisitor: (visitor: Visitor) => void;
}

interface Waiting {
  /** What to close: the TLS socket once there is one. Closing below it, in a call of its own, is a crash of Node.js. */
  top: Socket;
  isVisitor: boolean;
  readonly address: string;
  readonly end: string;
  readonly cancel: () => void;
}

export class Doorman {
  readonly #options: DoormanOptions;
  readonly #server: Server;
  readonly #tls: TlsServer;
  /** In the order of their arrival. */
  readonly #waiting = new Map<Socket, Waiting>();
  readonly #perAddress = new Map<string, number>();
  readonly #byEnd = new Map<string, Socket>();

  private constructor(options: DoormanOptions) {
    this.#options = options;
    const { identity, protocols, limits } = options;
    this.#tls = createTlsServer(serverOptions(identity, protocols, limits.handshakeMs));
    this.#tls.on('secureConnection', (socket) => this.#onSecure(socket));
    this.#tls.on('tlsClientError', (error, socket) => {
      const raw = this.#rawOf(socket);
      if (raw !== undefined) this.#refuse(raw, 'code' in error ? String(error.code) : error.message, socket);
    });
    this.#server = createServer({ noDelay: true }, (socket) => this.#onConnection(socket));
    this.#server.on('error', () => {});
  }

  /** Rejects with `link-listen-failed`. */
  static async open(options: DoormanOptions): Promise<Doorman> {
    const doorman = new Doorman(options);
    const { host, port } = options;
    await new Promise<void>((resolve, reject) => {
      doorman.#server.once('listening', resolve);
      doorman.#server.once('error', (cause) =>
        reject(
          new LinkError('link-listen-failed', `cannot listen at ${host}:${port}`, { host, port }, { cause }),
        ),
      );
      doorman.#server.listen({ host, port });
    });
    return doorman;
  }

  /** The port that is listened at. */
  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** Connections nobody has vouched for yet. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** New connections see this key. */
  setIdentity(identity: LinkIdentity): void {
    this.#tls.setSecureContext(contextOf(identity));
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const [socket, waiting] of [...this.#waiting]) this.#drop(socket, waiting);
    await closed;
  }

  #onConnection(socket: Socket): void {
    const address = networkOf(socket.remoteAddress ?? 'unknown');
    const { limits, clock } = this.#options;
    socket.on('error', () => {});
    // Who left after its handshake is judged by whom it came to.
    socket.on('close', () => {
      if (this.#waiting.get(socket)?.isVisitor === true) this.#release(socket);
      else this.#refuse(socket, 'it hung up');
    });
    const cancel = clock.after(limits.handshakeMs, () => this.#refuse(socket, 'no handshake in time'));
    const end = endOf(socket);
    this.#waiting.set(socket, { address, end, cancel, top: socket, isVisitor: false });
    this.#byEnd.set(end, socket);
    const ofAddress = (this.#perAddress.get(address) ?? 0) + 1;
    this.#perAddress.set(address, ofAddress);
    if (ofAddress > limits.pendingPerAddressMax) this.#evict(address);
    else if (this.#waiting.size > limits.pendingMax) this.#evict(this.#busiest());
    if (this.#waiting.has(socket)) this.#tls.emit('connection', socket);
  }

  #busiest(): string {
    let busiest = '';
    let most = 0;
    for (const [address, count] of this.#perAddress) {
      if (count <= most) continue;
      most = count;
      busiest = address;
    }
    return busiest;
  }

  /** The oldest of an address had the most time already. */
  #evict(address: string): void {
    for (const [socket, waiting] of this.#waiting) {
      if (waiting.address !== address) continue;
      this.#refuse(socket, 'too many connections at once');
      return;
    }
  }

  #onSecure(socket: TLSSocket): void {
    socket.on('error', () => {});
    const raw = this.#rawOf(socket);
    const waiting = raw === undefined ? undefined : this.#waiting.get(raw);
    if (raw === undefined || waiting === undefined) {
      socket.destroy();
      return;
    }
    const { address } = waiting;
    waiting.top = socket;
    waiting.isVisitor = true;
    try {
      const peer = peerOf(socket);
      this.#options.onVisitor({ socket, peer, address, admit: () => this.#release(raw) });
    } catch (error) {
      if (!(error instanceof LinkError)) throw error;
      this.#refuse(raw, error.message);
    }
  }

  /** Node's TLS server keeps the socket below to itself, but both name the same other end. */
  #rawOf(socket: TLSSocket): Socket | undefined {
    return this.#byEnd.get(endOf(socket));
  }

  #refuse(socket: Socket, reason: string, top?: TLSSocket): void {
    const waiting = this.#waiting.get(socket);
    if (waiting === undefined) return;
    if (top !== undefined) waiting.top = top;
    this.#drop(socket, waiting);
    const { address } = waiting;
    this.#options.refusals.refused('link-refused', `a connection from ${address} was refused: ${reason}`, {
      address,
      reason,
    });
  }

  #drop(socket: Socket, waiting: Waiting): void {
    this.#release(socket);
    waiting.top.destroy();
  }

  #release(socket: Socket): void {
    const waiting = this.#waiting.get(socket);
    if (waiting === undefined) return;
    this.#waiting.delete(socket);
    this.#byEnd.delete(waiting.end);
    waiting.cancel();
    const left = (this.#perAddress.get(waiting.address) ?? 1) - 1;
    if (left === 0) this.#perAddress.delete(waiting.address);
    else this.#perAddress.set(waiting.address, left);
  }
}

function endOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

/** One who has an IPv6 address has 2^64 of them. */
export function networkOf(remoteAddress: string): string {
  const address = remoteAddress.replace(/^::ffff:/, '');
  if (!isIPv6(address)) return address;
  const [head = '', tail] = address.split('::');
  const groups = head === '' ? [] : head.split(':');
  // What `::` stands for is zero, and so is nothing else that is left out.
  const zeros = tail === undefined ? 0 : 4;
  return `${[...groups, ...Array<string>(zeros).fill('0')].slice(0, 4).join(':')}::/64`;
}
