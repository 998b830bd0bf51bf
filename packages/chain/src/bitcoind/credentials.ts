/**
 * What lets us into a node's RPC: its cookie, which it writes anew at every start, or a user with a password file. Read when
 * needed, never logged, and kept no longer than the connection's owner.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { SourceError } from '../source.ts';

export type BitcoindCredentials =
  | { readonly kind: 'cookie'; readonly file: string }
  | { readonly kind: 'password'; readonly user: string; readonly passwordFile: string };

const FILE_BYTES_MAX = 1024;

/** The value of an Authorization header. Throws `SourceError`. */
export function authorization(credentials: BitcoindCredentials): string {
  const pair =
    credentials.kind === 'cookie'
      ? firstLine(credentials.file, 'the cookie of the Bitcoin node (is the node running?)')
      : `${credentials.user}:${firstLine(credentials.passwordFile, "the password of the Bitcoin node's RPC")}`;
  return `Basic ${Buffer.from(pair, 'utf8').toString('base64')}`;
}

function firstLine(file: string, what: string): string {
  const line = beginningOf(file, what).split('\n', 1)[0]!.trimEnd();
  if (line === '') throw new SourceError('chain-source-unauthorized', `${what}: ${file} is empty`);
  return line;
}

function beginningOf(file: string, what: string): string {
  const bytes = Buffer.alloc(FILE_BYTES_MAX);
  try {
    const descriptor = openSync(file, 'r');
    try {
      return bytes.toString('utf8', 0, readSync(descriptor, bytes, 0, FILE_BYTES_MAX, 0));
    } finally {
      closeSync(descriptor);
    }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SourceError('chain-source-unauthorized', `cannot read ${what}: ${reason}`, {}, { cause });
  }
}
