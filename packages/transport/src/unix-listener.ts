/**
 * A listening Unix socket for this user only: mode 0600, a bounded number of connections, the file of a process that
 * died replaced, its own removed at the end. Whoever opens one holds the lock on the directory it lies in.
 */
import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { platform } from 'node:os';
import { CountersignError, type Facts } from '@countersign/bitcoin';

export type SocketErrorCode =
  /** The kernel's sockaddr_un holds no path this long. */
  | 'socket-path-too-long'
  /** Something that is no socket lies at the path. */
  | 'socket-path-taken'
  /** The system call failed; the cause says how. */
  | 'socket-listen-failed';

export class SocketError extends CountersignError {
  declare readonly code: SocketErrorCode;

  constructor(code: SocketErrorCode, message: string, facts: Facts = {}, options?: { cause?: unknown }) {
    super(code, message, facts, options);
    this.name = 'SocketError';
  }
}

/** Bytes of a path without its closing zero: sun_path is 108 bytes on Linux, 104 on the BSDs and macOS. */
export const SOCKET_PATH_BYTES_MAX = platform() === 'linux' ? 107 : 103;

/** Throws `SocketError` for a path that no socket can have. */
export function checkSocketPath(path: string): void {
  const bytes = Buffer.byteLength(path);
  if (bytes <= SOCKET_PATH_BYTES_MAX) return;
  throw new SocketError(
    'socket-path-too-long',
    `the path of a socket has at most ${SOCKET_PATH_BYTES_MAX} bytes, this one ${bytes}: ${path}`,
    { path_bytes: bytes, path_bytes_max: SOCKET_PATH_BYTES_MAX },
  );
}

export interface UnixListenerOptions {
  readonly path: string;
  /** Connections beyond it are closed at once. */
  readonly connectionsMax: number;
  /** Without a byte in either direction for so long, a connection is closed. */
  readonly idleMs: number;
  /** A new connection; an error of it has a listener already. */
  readonly onConnection: (socket: Socket) => void;
}

export class UnixListener {
  readonly path: string;
  readonly #server: Server;
  readonly #connections = new Set<Socket>();

  private constructor(options: UnixListenerOptions, server: Server) {
    const { path, connectionsMax, idleMs, onConnection } = options;
    this.path = path;
    this.#server = server;
    server.maxConnections = connectionsMax;
    server.on('connection', (socket) => {
      this.#connections.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => this.#connections.delete(socket));
      socket.setTimeout(idleMs, () => socket.destroy());
      onConnection(socket);
    });
  }

  /** Rejects with `SocketError`. */
  static async open(options: UnixListenerOptions): Promise<UnixListener> {
    const { path } = options;
    checkSocketPath(path);
    removeStale(path);
    const server = createServer({ allowHalfOpen: true });
    const listener = new UnixListener(options, server);
    await listen(server, path);
    // The process lives as long as lightningd's sockets, not these.
    server.unref();
    server.on('error', () => {});
    return listener;
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** Removes the file, closes what is open. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#connections) socket.destroy();
    await closed;
  }
}

/** A socket left by a process that died; anything else there is somebody's file. */
function removeStale(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new SocketError('socket-path-taken', `something that is no socket lies at ${path}: remove it`);
  }
  unlinkSync(path);
}

async function listen(server: Server, path: string): Promise<void> {
  const failed = (cause: unknown): SocketError =>
    new SocketError('socket-listen-failed', `cannot listen at ${path}`, {}, { cause });
  const listening = new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(failed(cause)));
    server.once('listening', resolve);
  });
  server.listen({ path });
  try {
    // Bound within the call above; until now the directory kept others out.
    if (server.listening) chmodSync(path, 0o600);
  } catch (cause) {
    server.close();
    throw failed(cause);
  }
  await listening;
}
