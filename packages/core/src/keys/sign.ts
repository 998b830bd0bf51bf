/**
 * Signatures over transaction sighashes, one function per kind of key. Each takes a 32-byte hash and returns 64 bytes
 * (compact ECDSA, or BIP 340); nothing here looks at a transaction: what may be signed is decided before.
 */
import {
  deriveRevocationPrivateKey,
  FormError,
  hasLowR,
  type Secp256k1,
  sha256,
  taprootPrivateKey,
} from '@countersign/bitcoin';
import type { ChannelRef } from './channel-keys.ts';
import { channelKeys, type KeyRing, withWalletKey } from './keyring.ts';
import { reveal, type Secret, withTemporary } from './secret.ts';

/** No auxiliary randomness: CLN and libwally sign BIP 340 with 32 zero bytes. */
export const AUX_ZERO: Uint8Array = new Uint8Array(32);

/**
 * Low-R as CLN grinds it: RFC 6979 with 32 bytes of extra entropy from the first try, zeros at first, then a
 * little-endian counter in the first four.
 */
export function signLowR(secp: Secp256k1, hash: Uint8Array, key: Uint8Array): Uint8Array {
  return grind(secp, hash, key, 0);
}

/** Low-R as libwally (inside PSBTs) and Bitcoin Core grind it: the first try is plain RFC 6979, then the counter from 1. */
export function signLowRPlainFirst(secp: Secp256k1, hash: Uint8Array, key: Uint8Array): Uint8Array {
  const plain = secp.signEcdsa(hash, key);
  return hasLowR(plain) ? plain : grind(secp, hash, key, 1);
}

function grind(secp: Secp256k1, hash: Uint8Array, key: Uint8Array, from: number): Uint8Array {
  const extraEntropy = new Uint8Array(32);
  const view = new DataView(extraEntropy.buffer);
  for (let counter = from; ; counter++) {
    view.setUint32(0, counter, true);
    const signature = secp.signEcdsa(hash, key, extraEntropy);
    if (hasLowR(signature)) return signature;
  }
}

/** Our funding key: commitments of either side, mutual closes, splices, and BOLT 7 channel_announcement. */
export function signFunding(ring: KeyRing, channel: ChannelRef, sighash: Uint8Array): Uint8Array {
  return signLowR(ring.secp256k1, sighash, reveal(channelKeys(ring, channel).secrets.funding));
}

/** Our funding key again, for the anchor output: it is signed inside a PSBT. */
export function signAnchor(ring: KeyRing, channel: ChannelRef, sighash: Uint8Array): Uint8Array {
  return signLowRPlainFirst(ring.secp256k1, sighash, reveal(channelKeys(ring, channel).secrets.funding));
}

/** Our HTLC key in the commitment that `perCommitmentPoint` belongs to, ours or the peer's. */
export function signHtlc(
  ring: KeyRing,
  channel: ChannelRef,
  perCommitmentPoint: Uint8Array,
  sighash: Uint8Array,
): Uint8Array {
  const { secrets, basepoints } = channelKeys(ring, channel);
  return withTemporary(
    commitmentKey(ring.secp256k1, secrets.htlc, basepoints.htlc, perCommitmentPoint),
    (key) => signLowR(ring.secp256k1, sighash, key),
  );
}

/** Our delayed payment key, for outputs of our own commitment and of its HTLC transactions. */
export function signDelayed(
  ring: KeyRing,
  channel: ChannelRef,
  perCommitmentPoint: Uint8Array,
  sighash: Uint8Array,
): Uint8Array {
  const { secrets, basepoints } = channelKeys(ring, channel);
  return withTemporary(
    commitmentKey(ring.secp256k1, secrets.delayedPayment, basepoints.delayedPayment, perCommitmentPoint),
    (key) => signLowR(ring.secp256k1, sighash, key),
  );
}

/** The revocation key of a commitment of the peer, whose secret it has revealed. */
export function signRevocation(
  ring: KeyRing,
  channel: ChannelRef,
  perCommitmentSecret: Uint8Array,
  sighash: Uint8Array,
): Uint8Array {
  const { revocation } = channelKeys(ring, channel).secrets;
  return withTemporary(
    deriveRevocationPrivateKey(ring.secp256k1, reveal(revocation), perCommitmentSecret),
    (key) => signLowR(ring.secp256k1, sighash, key),
  );
}

/**
 * The key of our to_remote output in the peer's commitment, signed inside a PSBT. `perCommitmentPoint` only for
 * channels without option_static_remotekey.
 */
export function signToRemote(
  ring: KeyRing,
  channel: ChannelRef,
  sighash: Uint8Array,
  perCommitmentPoint?: Uint8Array,
): Uint8Array {
  const { secrets, basepoints } = channelKeys(ring, channel);
  if (perCommitmentPoint === undefined) {
    return signLowRPlainFirst(ring.secp256k1, sighash, reveal(secrets.payment));
  }
  return withTemporary(
    commitmentKey(ring.secp256k1, secrets.payment, basepoints.payment, perCommitmentPoint),
    (key) => signLowRPlainFirst(ring.secp256k1, sighash, key),
  );
}

/** The wallet's key at `index` for its p2wpkh and p2sh-p2wpkh outputs, signed inside a PSBT. */
export function signWallet(ring: KeyRing, index: number, sighash: Uint8Array): Uint8Array {
  return withWalletKey(ring, index, (key) => signLowRPlainFirst(ring.secp256k1, sighash, key));
}

/** The wallet's key at `index` for its p2tr outputs: BIP 341 key path without scripts (BIP 86), BIP 340 with zero aux. */
export function signWalletTaproot(ring: KeyRing, index: number, sighash: Uint8Array): Uint8Array {
  const secp = ring.secp256k1;
  return withWalletKey(ring, index, (key) =>
    withTemporary(taprootPrivateKey(secp, key), (outputKey) =>
      secp.signSchnorr(sighash, outputKey, AUX_ZERO),
    ),
  );
}

/** BOLT 3: basepoint_secret + SHA256(per_commitment_point ‖ basepoint), with the basepoint already known. */
function commitmentKey(
  secp: Secp256k1,
  basepointSecret: Secret,
  basepoint: Uint8Array,
  perCommitmentPoint: Uint8Array,
): Uint8Array {
  if (!secp.isPublicKey(perCommitmentPoint)) throw new FormError('per-commitment point is no point');
  return secp.privateKeyTweakAdd(reveal(basepointSecret), sha256(perCommitmentPoint, basepoint));
}
