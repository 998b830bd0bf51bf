/**
 * `admin.sock`: the operator's lines in, answers out, one request at a time on each connection. Lines, connections and
 * idle time are bounded; a line that is no request gets an answer, one that never ends closes its connection.
 */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { UnixListener } from '@countersign/transport';
import { type AdminDesk, badRequest, replyLine } from '../admin/desk.ts';
import { ADMIN_LINE_BYTES_MAX } from '../admin/protocol.ts';

export const ADMIN_CONNECTIONS_MAX = 16;
export const ADMIN_IDLE_MS = 60_000;

export interface AdminSocketOptions {
  readonly path: string;
  readonly desk: Pick<AdminDesk, 'answer'>;
  /** A bug of ours: the process must end. */
  readonly onBug: (error: unknown) => void;
  readonly idleMs?: number;
}

/** Rejects with `SocketError`. */
export function openAdminSocket(options: AdminSocketOptions): Promise<UnixListener> {
  const idleMs = options.idleMs ?? ADMIN_IDLE_MS;
  return UnixListener.open({
    path: options.path,
    connectionsMax: ADMIN_CONNECTIONS_MAX,
    idleMs,
    onConnection: (socket) => void serve(socket, options, idleMs),
  });
}

async function serve(socket: Socket, { desk, onBug }: AdminSocketOptions, idleMs: number): Promise<void> {
  const gone = new AbortController();
  socket.once('close', () => gone.abort());
  const send = async (line: string): Promise<void> => {
    if (socket.destroyed || socket.write(`${line}\n`)) return;
    await once(socket, 'drain', { signal: gone.signal });
  };
  try {
    for await (const line of linesOf(socket)) {
      if (line === null) {
        await send(replyLine(null, badRequest(`a line has at most ${ADMIN_LINE_BYTES_MAX} bytes`)));
        continue;
      }
      // A long answer is no idleness.
      socket.setTimeout(0);
      const reply = await answer(desk, line, onBug);
      socket.setTimeout(idleMs);
      if (reply === undefined) break;
      await send(reply);
    }
    socket.end();
  } catch {
    // The connection broke, or gave up waiting: nobody is left to be answered.
    socket.destroy();
  }
}

async function answer(
  desk: AdminSocketOptions['desk'],
  line: string,
  onBug: (error: unknown) => void,
): Promise<string | undefined> {
  try {
    return await desk.answer(line);
  } catch (error) {
    onBug(error);
    return undefined;
  }
}

/** Lines as they come; null, and then the end, when one is too long. What follows the last newline is dropped. */
async function* linesOf(socket: Socket): AsyncGenerator<string | null, void, undefined> {
  let parts: Buffer[] = [];
  let bytes = 0;
  // Leaving the loop must not close the socket: an answer may still have to leave.
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    let rest: Buffer = chunk;
    for (let end = rest.indexOf(0x0a); end >= 0; end = rest.indexOf(0x0a)) {
      if (bytes + end >= ADMIN_LINE_BYTES_MAX) {
        yield null;
        return;
      }
      yield Buffer.concat([...parts, rest.subarray(0, end)]).toString('utf8');
      parts = [];
      bytes = 0;
      rest = rest.subarray(end + 1);
    }
    parts.push(rest);
    bytes += rest.length;
    if (bytes >= ADMIN_LINE_BYTES_MAX) {
      yield null;
      return;
    }
  }
}
