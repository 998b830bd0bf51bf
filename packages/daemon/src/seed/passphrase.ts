/**
 * Where the passphrase of a seed file comes from: the service manager's credentials, a file, a descriptor that is already open,
 * or the terminal. Never an argument and never the environment, which others on the machine can read.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { ReadStream } from 'node:tty';
import { DaemonError } from '../error.ts';

export type PassphraseSource =
  /** Asked for on the terminal. */
  | { readonly kind: 'terminal' }
  /** By name, in the directory that systemd's LoadCredential= makes (CREDENTIALS_DIRECTORY). */
  | { readonly kind: 'credential'; readonly name: string }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'descriptor'; readonly descriptor: number };

export const PASSPHRASE_BYTES_MAX = 1024;

export interface PassphrasePlace {
  /** systemd's directory of credentials; undefined where it gave none. */
  readonly credentialsDirectory: string | undefined;
  /** Reads a line without showing it; the question goes to the terminal. Null where there is none. */
  readonly ask: ((question: string) => Promise<Uint8Array>) | null;
  /** For the operator: what works, and should not stay so. */
  readonly warn: (text: string) => void;
}

/** Without the end of its line; the caller wipes it. Rejects with `DaemonError`. */
export async function readPassphrase(
  source: PassphraseSource,
  place: PassphrasePlace,
  question: string,
): Promise<Uint8Array> {
  switch (source.kind) {
    case 'terminal':
      if (place.ask === null) throw missing('there is no terminal to ask on');
      return checked(await place.ask(question), 'what was typed');
    case 'credential':
      return readAll(credentialPath(source.name, place.credentialsDirectory));
    case 'file':
      return readAll(source.path, (descriptor) => warnOfReaders(source.path, descriptor, place.warn));
    case 'descriptor':
      return checked(firstLine(readFrom(source.descriptor)), `descriptor ${source.descriptor}`);
  }
}

export function credentialPath(name: string, directory: string | undefined): string {
  if (directory === undefined || directory === '') {
    throw missing('the service manager gave no credentials: is LoadCredential= in the unit?');
  }
  if (basename(name) !== name || name === '..' || name === '.') {
    throw new DaemonError('passphrase-unusable', 'a credential has a name, not a path', { name });
  }
  return join(directory, name);
}

function missing(why: string): DaemonError {
  return new DaemonError(
    'passphrase-missing',
    `${why}. Give passphrase_credential, passphrase_file or passphrase_fd`,
  );
}

/** Not an error: the secrets of containers come with such modes, in places where nobody else is. */
function warnOfReaders(path: string, descriptor: number, warn: PassphrasePlace['warn']): void {
  const found = fstatSync(descriptor);
  if (found.isFile() && (found.mode & 0o044) !== 0)
    warn(`others on this machine may read the passphrase in ${path}: give it mode 600`);
}

function readAll(path: string, look: (descriptor: number) => void = () => {}): Uint8Array {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DaemonError('passphrase-missing', `cannot read the passphrase: ${reason}`, {}, { cause });
  }
  try {
    look(descriptor);
    return checked(firstLine(readFrom(descriptor)), path);
  } finally {
    closeSync(descriptor);
  }
}

/** At most as many bytes as a passphrase has, and one more; blocks until the other end has written them. */
function readFrom(descriptor: number): Uint8Array {
  const room = new Uint8Array(PASSPHRASE_BYTES_MAX + 2);
  try {
    let length = 0;
    while (length < room.length) {
      const count = readSync(descriptor, room, length, room.length - length, null);
      if (count === 0) break;
      length += count;
    }
    return room.slice(0, length);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DaemonError('passphrase-missing', `cannot read the passphrase: ${reason}`, {}, { cause });
  } finally {
    room.fill(0);
  }
}

/** An editor ends a file with a newline, and a pipe from `echo` too; a passphrase holds none. */
function firstLine(bytes: Uint8Array): Uint8Array {
  const end = bytes.indexOf(0x0a);
  if (end === -1) return bytes;
  const isRest = bytes.subarray(end + 1).some((byte) => byte !== 0x0a && byte !== 0x0d);
  if (isRest) throw new DaemonError('passphrase-unusable', 'the passphrase has more than one line');
  const line = bytes.slice(0, end > 0 && bytes[end - 1] === 0x0d ? end - 1 : end);
  bytes.fill(0);
  return line;
}

function checked(bytes: Uint8Array, what: string): Uint8Array {
  if (bytes.length === 0) throw new DaemonError('passphrase-unusable', `${what} is empty`);
  if (bytes.length <= PASSPHRASE_BYTES_MAX) return bytes;
  bytes.fill(0);
  throw new DaemonError('passphrase-unusable', `${what} is longer than a passphrase may be`, {
    bytes_max: PASSPHRASE_BYTES_MAX,
  });
}

const [ENTER, NEWLINE, INTERRUPT, END, BACKSPACE, DELETE] = [0x0d, 0x0a, 0x03, 0x04, 0x08, 0x7f];
const ENDS = [ENTER, NEWLINE, INTERRUPT, END];

/** Reads from the terminal itself, so that input and output may be redirected. Null where there is none. */
export function terminalAsk(
  write: (text: string) => void = (text) => void process.stderr.write(text),
  ending?: AbortSignal,
): PassphrasePlace['ask'] {
  if (process.stdin.isTTY !== true) return null;
  return (question) => askHidden(process.stdin, question, write, ending);
}

/** Nothing typed is shown. Rejects when it is interrupted, or the terminal or the process ends. */
export function askHidden(
  input: Pick<ReadStream, 'setRawMode' | 'on' | 'off' | 'resume' | 'pause'>,
  question: string,
  write: (text: string) => void,
  ending?: AbortSignal,
): Promise<Uint8Array> {
  if (ending?.aborted === true) return Promise.reject(missing('the process is to end'));
  const typed: number[] = [];
  // First: what is typed as soon as the question is there must not be echoed.
  input.setRawMode(true);
  write(question);
  input.resume();
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void): void => {
      input.off('data', onData);
      input.off('end', onEnd);
      ending?.removeEventListener('abort', onEnd);
      input.setRawMode(false);
      input.pause();
      write('\n');
      settle();
      typed.fill(0);
    };
    const onEnd = (): void => finish(() => reject(missing('the terminal was closed')));
    const onData = (chunk: Uint8Array): void => {
      const end = chunk.findIndex((byte) => ENDS.includes(byte));
      for (const byte of end === -1 ? chunk : chunk.subarray(0, end)) {
        if (byte === BACKSPACE || byte === DELETE) dropLast(typed);
        else typed.push(byte);
      }
      const isEntered = chunk[end] === ENTER || chunk[end] === NEWLINE;
      chunk.fill(0);
      if (end === -1) return;
      finish(() => {
        if (isEntered) resolve(Uint8Array.from(typed));
        else reject(missing('nothing was typed'));
      });
    };
    input.on('data', onData);
    input.on('end', onEnd);
    ending?.addEventListener('abort', onEnd);
  });
}

/** A character of UTF-8, whose bytes after the first begin with the bits 10. */
function dropLast(typed: number[]): void {
  while (typed.length > 0) {
    const byte = typed.pop() ?? 0;
    if ((byte & 0xc0) !== 0x80) return;
  }
}
