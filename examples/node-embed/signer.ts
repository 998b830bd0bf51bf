/**
 * The signer inside of a Node.js application: opened once, asked through a door that answers before the call returns. What this
 * file does is all that an application needs.
 */
import { mkdirSync } from 'node:fs';
import { loadSecp256k1 } from '@countersign/bitcoin';
import { MASTER_PERMISSIONS, networkByName, openHsmSecretSync, PERMISSION } from '@countersign/core';
import { DEFAULT_CONFIG, type EmbeddedSigner, openEmbeddedSigner } from '@countersign/host';
import { decodeMessage, encodeMessage, type Request } from '@countersign/wire';
import type { Ask, Outcome } from '../shared/ask.ts';
import { DBID } from '../shared/channel.ts';

const ALL_PERMISSIONS = Object.values(PERMISSION).reduce((all, one) => all | one, 0n);

/** The curve: native libsecp256k1. Where it does not load, nothing starts. */
export const secp = loadSecp256k1();

/** `hsmSecret` is a file as CLN and `newHsmSecret` write it; the application keeps it as safe as money. */
export async function openSigner(stateDirectory: string, hsmSecret: Uint8Array): Promise<EmbeddedSigner> {
  mkdirSync(stateDirectory, { recursive: true, mode: 0o700 });
  const { seed } = openHsmSecretSync(hsmSecret);
  try {
    return await openEmbeddedSigner({
      secp,
      seed,
      network: networkByName('regtest')!,
      // The rules of a wallet: nothing is paid that the owner did not approve.
      config: { ...DEFAULT_CONFIG, preset: 'wallet', stateDirectory },
      log: (level, text) => {
        if (level === 'broken') console.error(text);
      },
      onBug: (error) => {
        throw error;
      },
    });
  } finally {
    seed.wipe();
  }
}

/** Requests as bytes through the door, as LDK's adapter does it. */
export function askThrough({ door }: EmbeddedSigner, peerId: Uint8Array): Ask {
  const node = { peerId: null, dbid: 0n, permissions: MASTER_PERMISSIONS };
  const channel = { peerId, dbid: DBID, permissions: ALL_PERMISSIONS };
  return async (speaker, request) =>
    read(door.ask(speaker === 'node' ? node : channel, encodeMessage(request)));
}

/** A refusal is a reply too: `vls_signer_error`, whose text is the rule's tag, the reason, and facts in brackets. */
function read(body: Uint8Array): Outcome {
  const decoded = decodeMessage(body, 'reply');
  if (!decoded.ok) throw decoded.error;
  const { message } = decoded;
  if (message.name === 'unknown') throw new TypeError(`a reply of type ${message.type}`);
  if (message.name !== 'vls_signer_error') return { ok: true, reply: message };
  const [tag = '', ...rest] = message.message.split(': ');
  return { ok: false, tag, message: rest.join(': ').replace(/ \[.*/s, '') };
}

/** The owner says yes: what the wallet asked for is on the signer's list, and the owner's door has an answer for it. */
export async function payApproved(
  { signer }: EmbeddedSigner,
  ask: Ask,
  request: Extract<Request, { name: 'hsmd_preapprove_keysend' }>,
): Promise<void> {
  const asked = await ask('node', request);
  if (asked.ok) return;
  const id = Buffer.from(request.paymentHash).toString('hex');
  const answer = await signer.administer({ op: 'approve', id, amountMsat: null, expirySeconds: null });
  if (!answer.ok) throw new Error(answer.error.message);
}
