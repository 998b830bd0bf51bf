/**
 * The wallet's keys at its first indices. Of a seed that was an LDK node's they are its destination and shutdown key, and no
 * children of the account key. A signer shows such a key only by its signatures: of a text (BIP 137), from which it is recovered.
 */
import { FormError, hash256, type Secp256k1 } from '@countersign/bitcoin';
import type { SignerClient } from '../client.ts';

/** Nothing new is received at these. */
export const FIRST_KEYS = 2;

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);
const TEXT = ascii('which key is this');
/** Magic and length, as BIP 137 hashes them before the text. */
const HEAD = ascii('\x18Bitcoin Signed Message:\n');
const DIGEST = hash256(HEAD, Uint8Array.of(TEXT.length), TEXT);

/** @throws {FormError} when the signer does not show them: there is no wallet without. */
export function firstKeys(client: SignerClient, secp: Secp256k1): Uint8Array[] {
  return Array.from({ length: FIRST_KEYS }, (_, keyidx) => {
    const name = 'hsmd_bip137_sign_message';
    const asked = client.ask<typeof name>('open', null, { name, msg: TEXT, keyidx });
    if (!asked.ok)
      throw new FormError(`the signer does not show the keys of its wallet: ${asked.refusal.text}`);
    const { signature, recoveryId } = asked.reply.sig;
    const key = secp.recoverEcdsa(DIGEST, signature, recoveryId);
    if (key === null) throw new FormError('a signature of the wallet names no key', { index: keyidx });
    return key;
  });
}
