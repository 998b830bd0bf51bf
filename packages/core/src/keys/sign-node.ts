/**
 * Signatures of the node's own key over messages that are not transactions, and the two that use other keys in the
 * same way (BOLT 12 payer keys, BIP 137). Hashes come from `digests.ts`; grinding differs by message as in CLN.
 */
import { hkdfSha256, sha256 } from '@countersign/bitcoin';
import { heartbeatDigest } from './digests.ts';
import { type KeyRing, ringSecrets, withWalletKey } from './keyring.ts';
import { reveal, withTemporary } from './secret.ts';
import { AUX_ZERO, signLowR } from './sign.ts';

/** A signature from which the key can be found again. */
export interface RecoverableSignature {
  /** 64 bytes compact. */
  readonly signature: Uint8Array;
  /** 0–3. */
  readonly recoveryId: number;
}

/** BOLT 7 gossip, low-R as commitments are. */
export function signGossip(ring: KeyRing, digest: Uint8Array): Uint8Array {
  return signLowR(ring.secp256k1, digest, reveal(ringSecrets(ring).node));
}

/** A liquidity lease (`leaseDigest`): plain RFC 6979, not ground. */
export function signLease(ring: KeyRing, digest: Uint8Array): Uint8Array {
  return ring.secp256k1.signEcdsa(digest, reveal(ringSecrets(ring).node));
}

/** BOLT 11 invoices and `signmessage`: plain RFC 6979 with the recovery id. */
export function signNodeRecoverable(ring: KeyRing, digest: Uint8Array): RecoverableSignature {
  return ring.secp256k1.signEcdsaRecoverable(digest, reveal(ringSecrets(ring).node));
}

/** BIP 137, with the wallet's key at `index`. */
export function signWalletRecoverable(
  ring: KeyRing,
  index: number,
  digest: Uint8Array,
): RecoverableSignature {
  return withWalletKey(ring, index, (key) => ring.secp256k1.signEcdsaRecoverable(digest, key));
}

/**
 * A heartbeat, 64 bytes, BIP 340. Takes the text and not a hash: what this function signs is a heartbeat or nothing. It
 * proves to others how the signer is, and authenticates to nobody.
 */
export function signHeartbeat(ring: KeyRing, payload: string): Uint8Array {
  return ring.secp256k1.signSchnorr(heartbeatDigest(payload), reveal(ringSecrets(ring).node), AUX_ZERO);
}

/** BOLT 12 with the node key itself. 64 bytes, BIP 340. */
export function signBolt12(ring: KeyRing, digest: Uint8Array): Uint8Array {
  return ring.secp256k1.signSchnorr(digest, reveal(ringSecrets(ring).node), AUX_ZERO);
}

/**
 * BOLT 12 with a payer key as SIGN_BOLT12 (25) tweaks it: the BOLT 12 key plus SHA256(its public key ‖ `publicTweak`).
 * An empty tweak is none: the node key signs.
 */
export function signBolt12Payer(ring: KeyRing, digest: Uint8Array, publicTweak: Uint8Array): Uint8Array {
  if (publicTweak.length === 0) return signBolt12(ring, digest);
  const tweak = sha256(ring.identity.bolt12, publicTweak);
  const { bolt12 } = ringSecrets(ring);
  return withTemporary(ring.secp256k1.privateKeyTweakAdd(reveal(bolt12), tweak), (key) =>
    ring.secp256k1.signSchnorr(digest, key, AUX_ZERO),
  );
}

/**
 * BOLT 12 with an alias of the node key as SIGN_BOLT12_2 (41) tweaks it: the node key plus
 * SHA256(derived secret of `info` ‖ `tweakMessage`). An empty message is none: the node key signs.
 */
export function signBolt12Alias(
  ring: KeyRing,
  digest: Uint8Array,
  info: Uint8Array,
  tweakMessage: Uint8Array,
): Uint8Array {
  if (tweakMessage.length === 0) return signBolt12(ring, digest);
  const { node, derived } = ringSecrets(ring);
  const tweak = withTemporary(hkdfSha256(reveal(derived), new Uint8Array(0), info, 32), (base) =>
    sha256(base, tweakMessage),
  );
  return withTemporary(ring.secp256k1.privateKeyTweakAdd(reveal(node), tweak), (key) =>
    ring.secp256k1.signSchnorr(digest, key, AUX_ZERO),
  );
}
