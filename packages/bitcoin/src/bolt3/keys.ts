/**
 * BOLT 3 "Key Derivation": the keys of one commitment from basepoints and the per-commitment point. Pure; every
 * curve operation goes through the given `Secp256k1`, which throws `FormError` for bytes that are no key.
 */
import { publicSha256 } from '../hash.ts';
import { once } from '../once.ts';
import type { Secp256k1 } from '../secp256k1.ts';

/** The basepoints one party announces at opening (BOLT 2), 33 bytes each. */
export interface Basepoints {
  readonly revocation: Uint8Array;
  readonly payment: Uint8Array;
  readonly delayedPayment: Uint8Array;
  readonly htlc: Uint8Array;
}

/** The public keys in one commitment and its HTLC transactions. The broadcaster is who may publish it. */
export interface CommitmentKeys {
  /** `revocationpubkey`: usable by the countersignatory once the per-commitment secret is out. */
  readonly revocation: Uint8Array;
  /** `local_delayedpubkey` of the broadcaster. */
  readonly broadcasterDelayed: Uint8Array;
  /** `local_htlcpubkey`. */
  readonly broadcasterHtlc: Uint8Array;
  /** `remote_htlcpubkey`. */
  readonly countersignatoryHtlc: Uint8Array;
  /** `remotepubkey`: the countersignatory's payment basepoint itself (option_static_remotekey). */
  readonly countersignatoryPayment: Uint8Array;
}

export interface CommitmentKeySources {
  readonly perCommitmentPoint: Uint8Array;
  readonly broadcaster: Pick<Basepoints, 'delayedPayment' | 'htlc'>;
  readonly countersignatory: Pick<Basepoints, 'revocation' | 'payment' | 'htlc'>;
}

/** basepoint + SHA256(per_commitment_point || basepoint)·G. */
export function derivePublicKey(
  secp: Secp256k1,
  basepoint: Uint8Array,
  perCommitmentPoint: Uint8Array,
): Uint8Array {
  return secp.publicKeyTweakAdd(basepoint, publicSha256(perCommitmentPoint, basepoint));
}

/** basepoint_secret + SHA256(per_commitment_point || basepoint). A new array, secret. */
export function derivePrivateKey(
  secp: Secp256k1,
  basepointSecret: Uint8Array,
  perCommitmentPoint: Uint8Array,
): Uint8Array {
  const basepoint = secp.publicKey(basepointSecret);
  return secp.privateKeyTweakAdd(basepointSecret, publicSha256(perCommitmentPoint, basepoint));
}

/** The two blinding factors of the revocation key: one for the basepoint, one for the per-commitment point. */
function revocationTweaks(revocationBasepoint: Uint8Array, perCommitmentPoint: Uint8Array) {
  return {
    basepoint: publicSha256(revocationBasepoint, perCommitmentPoint),
    perCommitment: publicSha256(perCommitmentPoint, revocationBasepoint),
  };
}

/** `revocationpubkey`: neither side alone can know its private key before the revocation. */
export function deriveRevocationPublicKey(
  secp: Secp256k1,
  revocationBasepoint: Uint8Array,
  perCommitmentPoint: Uint8Array,
): Uint8Array {
  const tweaks = revocationTweaks(revocationBasepoint, perCommitmentPoint);
  return secp.publicKeyCombine([
    secp.publicKeyTweakMul(revocationBasepoint, tweaks.basepoint),
    secp.publicKeyTweakMul(perCommitmentPoint, tweaks.perCommitment),
  ]);
}

/** `revocationprivkey`: needs the secret the other side reveals when it revokes. A new array, secret. */
export function deriveRevocationPrivateKey(
  secp: Secp256k1,
  revocationBasepointSecret: Uint8Array,
  perCommitmentSecret: Uint8Array,
): Uint8Array {
  const tweaks = revocationTweaks(
    secp.publicKey(revocationBasepointSecret),
    secp.publicKey(perCommitmentSecret),
  );
  const ours = secp.privateKeyTweakMul(revocationBasepointSecret, tweaks.basepoint);
  const theirs = secp.privateKeyTweakMul(perCommitmentSecret, tweaks.perCommitment);
  const key = secp.privateKeyTweakAdd(ours, theirs);
  ours.fill(0);
  theirs.fill(0);
  return key;
}

/**
 * Every key of one commitment: four curve operations and the payment basepoint unchanged. Those of HTLCs are derived when they
 * are first read: every other commitment of a payment has none.
 */
export function deriveCommitmentKeys(secp: Secp256k1, sources: CommitmentKeySources): CommitmentKeys {
  const { perCommitmentPoint, broadcaster, countersignatory } = sources;
  const htlcKey = (basepoint: Uint8Array): (() => Uint8Array) =>
    once(() => derivePublicKey(secp, basepoint, perCommitmentPoint));
  const broadcasterHtlc = htlcKey(broadcaster.htlc);
  const countersignatoryHtlc = htlcKey(countersignatory.htlc);
  return {
    revocation: deriveRevocationPublicKey(secp, countersignatory.revocation, perCommitmentPoint),
    broadcasterDelayed: derivePublicKey(secp, broadcaster.delayedPayment, perCommitmentPoint),
    get broadcasterHtlc() {
      return broadcasterHtlc();
    },
    get countersignatoryHtlc() {
      return countersignatoryHtlc();
    },
    countersignatoryPayment: countersignatory.payment,
  };
}
