/**
 * The sockets beside a running signer, in its state directory: `node.sock` for the node side, `admin.sock` for the
 * operator. One that cannot be opened is told and left out: the signer itself does not depend on them.
 */
import { join } from 'node:path';
import { SocketError, type UnixListener } from '@countersign/transport';
import { AdminDesk } from '../admin/desk.ts';
import { type Operated, operatorSide } from '../admin/operator.ts';
import { ADMIN_SOCKET } from '../admin/protocol.ts';
import { openAdminSocket } from './admin-socket.ts';
import type { ChainDesk } from './chain-session.ts';
import { NODE_SOCKET, openNodeSocket } from './node-socket.ts';

export interface SocketsOptions extends Operated {
  /** Ours alone, and locked. */
  readonly stateDirectory: string;
  /** Whether the node side is on this machine: then it brings preimages and blocks over `node.sock`. */
  readonly hasNodeSide: boolean;
  /** Takes headers and blocks from the node side; without one it may bring none. */
  readonly chain?: ChainDesk | null;
  /** Why a socket could not be opened, for the operator. */
  readonly onProblem: (text: string) => void;
  /** A bug of ours: the process must end. */
  readonly onBug: (error: unknown) => void;
}

export interface Sockets {
  /** Removes the files and closes what is open. */
  close(): Promise<void>;
}

/** Never rejects for what the file system does. */
export async function openSockets(options: SocketsOptions): Promise<Sockets> {
  const { stateDirectory, signer, hasNodeSide, chain = null, onBug } = options;
  const desk = new AdminDesk(operatorSide(options));
  const nodePath = join(stateDirectory, NODE_SOCKET);
  const opened = await Promise.all([
    hasNodeSide ? tried(options, openNodeSocket({ path: nodePath, signer, chain, onBug })) : null,
    tried(options, openAdminSocket({ path: join(stateDirectory, ADMIN_SOCKET), desk, onBug })),
  ]);
  return {
    close: async () => {
      await Promise.all(opened.map((listener) => listener?.close()));
    },
  };
}

async function tried(
  { onProblem }: SocketsOptions,
  opening: Promise<UnixListener>,
): Promise<UnixListener | null> {
  try {
    return await opening;
  } catch (error) {
    if (!(error instanceof SocketError)) throw error;
    const cause = error.cause instanceof Error ? `: ${error.cause.message}` : '';
    onProblem(`${error.message}${cause} (${error.code})`);
    return null;
  }
}
