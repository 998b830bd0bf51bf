/**
 * The command line's end of `admin.sock`: one line asks, one line answers, and whatever goes wrong says what to do.
 */
import { connect, type Socket } from 'node:net';
import {
  ADMIN_LINE_BYTES_MAX,
  ADMIN_PROTOCOL_VERSION,
  type AdminRequestLine,
  type Json,
} from '@countersign/host';
import { checkSocketPath, SocketError } from '@countersign/transport';
import { CommandError } from '../command-error.ts';
import { SignerAnswer } from './answer.ts';

const ANSWER_WAIT_MS = 60_000;
/** A verification reads the whole audit log. */
const LONG_WAIT_MS = 3_600_000;

type WithoutHead<R> = R extends unknown ? Omit<R, 'v' | 'id'> : never;
export type Ask = WithoutHead<AdminRequestLine>;

export class AdminClient {
  readonly #socket: Socket;
  readonly #path: string;
  #id = 0;
  #buffer = '';
  #onLine: ((line: string | Error) => void) | null = null;

  private constructor(socket: Socket, path: string) {
    this.#socket = socket;
    this.#path = path;
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => this.#onData(text));
    socket.on('error', (error) => this.#settle(error));
    socket.on('close', () => this.#settle(new Error('the connection was closed')));
  }

  static open(path: string): Promise<AdminClient> {
    checkPath(path);
    return new Promise((resolve, reject) => {
      const socket = connect(path);
      socket.once('error', (error) => reject(unreachable(path, error)));
      socket.once('connect', () => {
        socket.removeAllListeners('error');
        resolve(new AdminClient(socket, path));
      });
    });
  }

  /** The result; throws `CommandError` for everything else. */
  async ask(asked: Ask): Promise<SignerAnswer> {
    this.#id += 1;
    const line = JSON.stringify({ v: ADMIN_PROTOCOL_VERSION, id: this.#id, ...asked });
    if (Buffer.byteLength(line) >= ADMIN_LINE_BYTES_MAX) {
      throw new CommandError('usage', 'this is too long for one request', 'Give less at a time.');
    }
    const reply = this.#parse(
      await this.#exchange(line, asked.op === 'audit-verify' ? LONG_WAIT_MS : ANSWER_WAIT_MS),
    );
    if (reply.flag('ok') && reply.has('result')) return reply.at('result');
    throw refusedOperation(reply.at('error'));
  }

  /** All pages of a list. */
  async all(asked: Extract<Ask, { offset?: number | undefined }>): Promise<SignerAnswer[]> {
    const items: SignerAnswer[] = [];
    for (let offset: number | null = 0; offset !== null; ) {
      const page: SignerAnswer = await this.ask({ ...asked, offset });
      items.push(...page.list('items'));
      offset = page.numberOrNull('next');
    }
    return items;
  }

  close(): void {
    this.#socket.destroy();
  }

  #exchange(line: string, waitMs: number): Promise<string> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => this.#settle(new Error(`no answer within ${waitMs / 1000} s`)), waitMs);
      this.#onLine = (answer) => {
        clearTimeout(late);
        if (answer instanceof Error) reject(unreachable(this.#path, answer));
        else resolve(answer);
      };
      this.#socket.write(`${line}\n`);
    });
  }

  #onData(text: string): void {
    this.#buffer += text;
    const end = this.#buffer.indexOf('\n');
    if (end >= 0) {
      const line = this.#buffer.slice(0, end);
      this.#buffer = this.#buffer.slice(end + 1);
      this.#settle(line);
    } else if (this.#buffer.length > ADMIN_LINE_BYTES_MAX) {
      this.#settle(new Error('an answer without end'));
    }
  }

  #settle(answer: string | Error): void {
    const onLine = this.#onLine;
    this.#onLine = null;
    onLine?.(answer);
  }

  #parse(line: string): SignerAnswer {
    let value: Json;
    try {
      value = JSON.parse(line);
    } catch {
      throw notOurs(this.#path);
    }
    const reply = new SignerAnswer(value, 'the answer');
    if (reply.numberOrNull('v') !== ADMIN_PROTOCOL_VERSION || reply.numberOrNull('id') !== this.#id)
      throw notOurs(this.#path);
    return reply;
  }
}

function checkPath(path: string): void {
  try {
    checkSocketPath(path);
  } catch (error) {
    if (!(error instanceof SocketError)) throw error;
    throw new CommandError(
      'usage',
      error.message,
      'Change into its directory and give a relative path: --state-directory .',
    );
  }
}

function notOurs(path: string): CommandError {
  return new CommandError(
    'signer-answer',
    `what listens at ${path} does not speak this version's protocol`,
    'Use the countersign command that came with the running signer.',
  );
}

const ADVICE: Readonly<Record<string, string>> = {
  ENOENT:
    "Is the node running? Give the signer's state directory with --state-directory (by default countersign in lightningd's network directory).",
  ECONNREFUSED: 'The signer that made this socket has ended. Is the node running?',
  EACCES: "The socket belongs to the node's user: run this as that user.",
  ENOTSOCK: 'That is no socket. Give the admin.sock of the state directory.',
};

function unreachable(path: string, cause: Error): CommandError {
  const code = 'code' in cause ? String(cause.code) : '';
  const advice = ADVICE[code] ?? 'Is the node still running? Its log says what the signer did last.';
  const reason = code === 'ENOENT' ? 'there is no such socket' : cause.message;
  return new CommandError(
    'signer-unreachable',
    `cannot reach the signer at ${path}: ${reason}`,
    advice,
    {},
    { cause },
  );
}

function refusedOperation(error: SignerAnswer): CommandError {
  const facts = Object.entries(error.object('facts')).map(([name, value]) => `${name}=${String(value)}`);
  const list = facts.length === 0 ? '' : ` [${facts.join(' ')}]`;
  const code = error.text('code');
  return new CommandError('operation-refused', `${error.text('message')}${list}`, adviceFor(code));
}

function adviceFor(code: string): string {
  switch (code) {
    case 'not-found':
      return 'The lists show what there is: countersign approvals list, countersign allowlist list.';
    case 'amount-needed':
      return 'Say how much may be paid: --amount-msat N.';
    case 'store-failed':
      return "The signer's store failed, so it has stopped. Its log says why; restart the node when that is repaired.";
    case 'bad-request':
      return 'Use the countersign command that came with the running signer.';
    default:
      return `Nothing was changed (${code}).`;
  }
}
