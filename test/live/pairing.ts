/** Two sides of a link that know each other's keys, without the token of a real pairing. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { openIdentity, PinStore } from '@countersign/transport';
import { linkFiles } from '../../packages/cln/src/remote/link-files.ts';

export const NODE_NAME = 'node';
export const SIGNER_NAME = 'signer';

/** The signer's own side of it. */
export interface SignerFiles {
  readonly identity: string;
  readonly pins: string;
}

export function signerFiles(directory: string): SignerFiles {
  return { identity: join(directory, 'identity.pem'), pins: join(directory, 'nodes.json') };
}

/** `node_state`: the state directory of the node's hsmd; `signer_directory`: any place for the signer's side. */
export function pairByFiles(node_state: string, signer_directory: string): void {
  mkdirSync(node_state, { recursive: true, mode: 0o700 });
  mkdirSync(signer_directory, { recursive: true, mode: 0o700 });
  const node = linkFiles(node_state);
  const signer = signerFiles(signer_directory);
  const node_pin = openIdentity(node.identity).pin;
  const signer_pin = openIdentity(signer.identity).pin;
  PinStore.open(node.pins).add(SIGNER_NAME, signer_pin);
  PinStore.open(signer.pins).add(NODE_NAME, node_pin);
}
