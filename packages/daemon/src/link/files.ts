/** The files of the signer's end of a link, below a node's directory: shared by the daemon and the commands beside it. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PairingAddress } from '@countersign/transport';
import * as v from 'valibot';
import { DaemonError } from '../error.ts';

/** The name under which the one node of a link is pinned. */
export const NODE_PIN_NAME = 'node';

export interface LinkFiles {
  /** Its key and certificate. */
  readonly identity: string;
  /** The node it knows. */
  readonly pins: string;
  /** Where pairing found the node. */
  readonly address: string;
}

/** Makes the directory, for this user only, when there is none. */
export function linkFiles(nodeDirectory: string): LinkFiles {
  const directory = join(nodeDirectory, 'link');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return {
    identity: join(directory, 'identity.pem'),
    pins: join(directory, 'nodes.json'),
    address: join(directory, 'address.json'),
  };
}

const addressForm = v.strictObject({ host: v.string(), port: v.number() });

/** Null before pairing. Throws `DaemonError` for what is no such file. */
export function readAddress({ address }: LinkFiles): PairingAddress | null {
  let text: string;
  try {
    text = readFileSync(address, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw unusable(address, error);
  }
  try {
    return v.parse(addressForm, JSON.parse(text));
  } catch (error) {
    throw unusable(address, error);
  }
}

export function writeAddress({ address }: LinkFiles, { host, port }: PairingAddress): void {
  const next = `${address}.new`;
  writeFileSync(next, `${JSON.stringify({ host, port })}\n`, { mode: 0o600 });
  renameSync(next, address);
}

function unusable(path: string, cause: unknown): DaemonError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new DaemonError('node-start-failed', `cannot use ${path}: ${reason}`, {}, { cause });
}
