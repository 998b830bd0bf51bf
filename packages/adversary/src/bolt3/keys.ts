/** The keys of a channel and of each of its commitments: BOLT 3, "Key Derivation". */
import { concatBytes } from '../bitcoin/bytes.ts';
import { sha256 } from '../bitcoin/hash.ts';
import { addPoints, multiplyKey, multiplyPoint, publicKeyOf, tweakKey, tweakPoint } from '../bitcoin/keys.ts';

/** What one side tells the other when a channel opens. */
export interface ChannelPoints {
  readonly funding: Uint8Array;
  readonly revocation: Uint8Array;
  readonly payment: Uint8Array;
  readonly delayedPayment: Uint8Array;
  readonly htlc: Uint8Array;
}

/** The private keys of `ChannelPoints`, and the seed of the per-commitment secrets. */
export interface ChannelSecrets extends ChannelPoints {
  readonly seed: Uint8Array;
}

const PARTS = ['funding', 'revocation', 'payment', 'delayedPayment', 'htlc'] as const;

/** All the secrets of one side of a channel out of one; for the peers played here, so any derivation will do. */
export function makeChannelSecrets(secret: Uint8Array): ChannelSecrets {
  const part = (name: string): Uint8Array => sha256(concatBytes(secret, new TextEncoder().encode(name)));
  const [funding, revocation, payment, delayedPayment, htlc] = PARTS.map(part) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  return { funding, revocation, payment, delayedPayment, htlc, seed: part('seed') };
}

export function channelPoints(secrets: ChannelSecrets): ChannelPoints {
  return {
    funding: publicKeyOf(secrets.funding),
    revocation: publicKeyOf(secrets.revocation),
    payment: publicKeyOf(secrets.payment),
    delayedPayment: publicKeyOf(secrets.delayedPayment),
    htlc: publicKeyOf(secrets.htlc),
  };
}

/** pubkey = basepoint + SHA256(per_commitment_point || basepoint) * G */
export const derivePublicKey = (basepoint: Uint8Array, perCommitmentPoint: Uint8Array): Uint8Array =>
  tweakPoint(basepoint, sha256(concatBytes(perCommitmentPoint, basepoint)));

/** privkey = basepoint_secret + SHA256(per_commitment_point || basepoint) */
export const derivePrivateKey = (basepointSecret: Uint8Array, perCommitmentPoint: Uint8Array): Uint8Array =>
  tweakKey(basepointSecret, sha256(concatBytes(perCommitmentPoint, publicKeyOf(basepointSecret))));

/** The two factors of the revocation key: of the basepoint, and of the per-commitment point. */
function revocationFactors(basepoint: Uint8Array, point: Uint8Array): readonly [Uint8Array, Uint8Array] {
  return [sha256(concatBytes(basepoint, point)), sha256(concatBytes(point, basepoint))];
}

/** Of the commitment with this point; the basepoint is that of the side which may punish. */
export function deriveRevocationPublicKey(basepoint: Uint8Array, perCommitmentPoint: Uint8Array): Uint8Array {
  const [ofBase, ofPoint] = revocationFactors(basepoint, perCommitmentPoint);
  return addPoints(multiplyPoint(basepoint, ofBase), multiplyPoint(perCommitmentPoint, ofPoint));
}

export function deriveRevocationPrivateKey(
  basepointSecret: Uint8Array,
  perCommitmentSecret: Uint8Array,
): Uint8Array {
  const [ofBase, ofPoint] = revocationFactors(publicKeyOf(basepointSecret), publicKeyOf(perCommitmentSecret));
  return tweakKey(multiplyKey(basepointSecret, ofBase), multiplyKey(perCommitmentSecret, ofPoint));
}

/** The keys in the scripts of one commitment. The broadcaster is who may publish it; `other` countersigned it. */
export interface CommitmentKeys {
  readonly perCommitmentPoint: Uint8Array;
  readonly revocation: Uint8Array;
  readonly broadcasterDelayed: Uint8Array;
  readonly broadcasterHtlc: Uint8Array;
  readonly otherHtlc: Uint8Array;
  /** Not derived: option_static_remotekey. */
  readonly otherPayment: Uint8Array;
  readonly broadcasterFunding: Uint8Array;
  readonly otherFunding: Uint8Array;
}

export function commitmentKeys(
  broadcaster: ChannelPoints,
  other: ChannelPoints,
  perCommitmentPoint: Uint8Array,
): CommitmentKeys {
  return {
    perCommitmentPoint,
    revocation: deriveRevocationPublicKey(other.revocation, perCommitmentPoint),
    broadcasterDelayed: derivePublicKey(broadcaster.delayedPayment, perCommitmentPoint),
    broadcasterHtlc: derivePublicKey(broadcaster.htlc, perCommitmentPoint),
    otherHtlc: derivePublicKey(other.htlc, perCommitmentPoint),
    otherPayment: other.payment,
    broadcasterFunding: broadcaster.funding,
    otherFunding: other.funding,
  };
}
