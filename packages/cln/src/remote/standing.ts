/**
 * How the link stands, for the operator's commands: `link.sock` in the state directory tells whoever opens it, in one line of JSON,
 * and hangs up. It takes nothing and ends with the process, so what it says is never an old truth.
 */
import { connect } from 'node:net';
import {
  type ConnectedSigner,
  checkSocketPath,
  type LinkState,
  SocketError,
  UnixListener,
} from '@countersign/transport';

export const LINK_SOCKET = 'link.sock';

export interface LinkStanding {
  readonly state: LinkState;
  /** Requests without an answer. */
  readonly pending: number;
  readonly signers: readonly ConnectedSigner[];
}

const CONNECTIONS_MAX = 8;
const ANSWER_BYTES_MAX = 64 * 1024;
const ANSWER_MS = 2_000;
/** Longer than an orderly end takes. */
const ENDING_MS = 3_000;
const ENDING_LOOK_MS = 100;

/** Rejects with `SocketError`. */
export function openStandingSocket(path: string, standing: () => LinkStanding): Promise<UnixListener> {
  return UnixListener.open({
    path,
    connectionsMax: CONNECTIONS_MAX,
    idleMs: ANSWER_MS,
    onConnection: (socket) => {
      socket.resume();
      socket.end(`${JSON.stringify({ version: 1, ...standing() })}\n`);
    },
  });
}

/** Null when no node side runs there, or none that says it in words we know. */
export async function readStanding(path: string): Promise<LinkStanding | null> {
  try {
    checkSocketPath(path);
    return parse(await readAll(path));
  } catch (error) {
    if (error instanceof SocketError || error instanceof SyntaxError || isSystemError(error)) return null;
    throw error;
  }
}

/**
 * Whether another process is the node side there, and stays: one that lightningd has left behind is on its way out. Two would take
 * each other's preimages for their own.
 */
export async function isTaken(path: string, waitMs = ENDING_MS): Promise<boolean> {
  const endMs = performance.now() + waitMs;
  while ((await readStanding(path)) !== null) {
    if (performance.now() >= endMs) return true;
    await new Promise<void>((resolve) => void setTimeout(resolve, ENDING_LOOK_MS));
  }
  return false;
}

function readAll(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect({ path }).setEncoding('utf8');
    socket.setTimeout(ANSWER_MS, () => socket.destroy());
    socket.on('data', (chunk: string) => {
      text += chunk;
      if (text.length > ANSWER_BYTES_MAX) socket.destroy();
    });
    socket.once('error', reject);
    socket.once('close', () => resolve(text));
  });
}

const isSystemError = (error: unknown): boolean => error instanceof Error && 'syscall' in error;

/** Throws `SyntaxError` for what is no JSON. */
function parse(text: string): LinkStanding | null {
  const content: unknown = JSON.parse(text);
  if (typeof content !== 'object' || content === null) return null;
  const { version, state, pending, signers } = content as Readonly<Record<string, unknown>>;
  if (version !== 1 || !isState(state) || typeof pending !== 'number') return null;
  return Array.isArray(signers) && signers.every(isSigner) ? { state, pending, signers } : null;
}

function isState(value: unknown): value is LinkState {
  return value === 'waiting' || value === 'up' || value === 'down' || value === 'closed';
}

function isSigner(value: unknown): value is ConnectedSigner {
  if (typeof value !== 'object' || value === null) return false;
  const { name, address, sinceSeconds, role } = value as Readonly<Record<string, unknown>>;
  const isRole = role === 'active' || role === 'greeted' || role === 'standby';
  return (
    typeof name === 'string' && typeof address === 'string' && Number.isSafeInteger(sinceSeconds) && isRole
  );
}
