/**
 * Everything of `keys/` that hands out secret bytes: one function per kind, named for what it gives away. The caller
 * has decided that it may; nothing else in this folder returns private bytes.
 */
import { equalBytes, FormError, hkdfSha256 } from '@countersign/bitcoin';
import type { ChannelRef } from './channel-keys.ts';
import { channelKeys, type KeyRing, ringSecrets } from './keyring.ts';
import { reveal, Secret } from './secret.ts';

const EMPTY = new Uint8Array(0);

/** BOLT 3 per_commitment_secret of our commitment: whoever knows it can punish that commitment. 32 bytes. */
export function releasePerCommitmentSecret(
  ring: KeyRing,
  channel: ChannelRef,
  commitmentNumber: number | bigint,
): Uint8Array {
  return channelKeys(ring, channel).perCommitment.derive(commitmentNumber);
}

/** Shared secret of the node key and `point` (BOLT 4 onions, BOLT 8 handshakes): SHA-256 of the compressed product. */
export function ecdh(ring: KeyRing, point: Uint8Array): Uint8Array {
  return ring.secp256k1.ecdh(point, reveal(ringSecrets(ring).node));
}

/** What an LDK node asks for the key of its own payment requests by. */
export const LDK_INBOUND_PAYMENT_INFO = 'ldk inbound payment key';

/**
 * CLN's `makesecret` and its own "bolt12-invoice-base", "node-alias-base", "commando": 32 bytes for any `info`. In LDK's style
 * one of them is `KeysManager`'s own, so that invoices of before stay valid.
 */
export function deriveSecret(ring: KeyRing, info: Uint8Array): Uint8Array {
  const { inboundPayment } = ringSecrets(ring);
  if (inboundPayment !== null && equalBytes(info, new TextEncoder().encode(LDK_INBOUND_PAYMENT_INFO)))
    return reveal(inboundPayment).slice();
  return hkdfSha256(reveal(ringSecrets(ring).derived), EMPTY, info, 32);
}

/** BOLT 2 data loss protection: is `suggested` the secret of our commitment? Compared in constant time; reveals one bit. */
export function checkFutureSecret(
  ring: KeyRing,
  channel: ChannelRef,
  commitmentNumber: number | bigint,
  suggested: Uint8Array,
): boolean {
  if (suggested.length !== 32)
    throw new FormError('secret of the wrong length', { length_bytes: suggested.length });
  const ours = Secret.own(releasePerCommitmentSecret(ring, channel, commitmentNumber), 32);
  try {
    return ours.equals(suggested);
  } finally {
    ours.wipe();
  }
}
