/** Two sides of a link that know each other's keys, without the token of a real pairing. */
import { mkdirSync } from 'node:fs';
import { linkFiles as nodeFiles } from '@countersign/cln';
import { NODE_PIN_NAME, linkFiles as signerFiles } from '@countersign/daemon';
import { openIdentity, PinStore } from '@countersign/transport';

export const SIGNER_NAME = 'signer';

/** `node_state`: the state directory of the node's hsmd; `signer_node`: the node's directory at the signer. */
export function pairByFiles(node_state: string, signer_node: string): void {
  for (const directory of [node_state, signer_node]) mkdirSync(directory, { recursive: true, mode: 0o700 });
  const node = nodeFiles(node_state);
  const signer = signerFiles(signer_node);
  const node_pin = openIdentity(node.identity).pin;
  const signer_pin = openIdentity(signer.identity).pin;
  PinStore.open(node.pins).add(SIGNER_NAME, signer_pin);
  PinStore.open(signer.pins).add(NODE_PIN_NAME, node_pin);
}
