/**
 * The keys of commitments, derived once: an update asks for the same ones several times (for the commitment, for the penalty against
 * it once it is revoked), and those of the next one can be derived before it comes. Public values only, which are the same whenever
 * they are derived: what is kept of them decides nothing.
 */
import {
  type CommitmentKeySources,
  type CommitmentKeys,
  deriveCommitmentKeys,
  equalBytes,
  toHex,
} from '@countersign/bitcoin';
import type { KeyPlace, KeyView } from '../context.ts';

/** Of one signer, over all channels: some four commitments of each are in use at a time. The oldest go first. */
export const DERIVED_KEPT_MAX = 256;

interface DerivedKeys {
  readonly sources: CommitmentKeySources;
  readonly keys: CommitmentKeys;
}

/** By the per-commitment point: both sides have their own. */
const derived = new WeakMap<KeyView, Map<string, DerivedKeys>>();

function isSame(one: CommitmentKeySources, other: CommitmentKeySources): boolean {
  const [a, b] = [one.broadcaster, other.broadcaster];
  const [c, d] = [one.countersignatory, other.countersignatory];
  return (
    equalBytes(one.perCommitmentPoint, other.perCommitmentPoint) &&
    equalBytes(a.delayedPayment, b.delayedPayment) &&
    equalBytes(a.htlc, b.htlc) &&
    equalBytes(c.revocation, d.revocation) &&
    equalBytes(c.payment, d.payment) &&
    equalBytes(c.htlc, d.htlc)
  );
}

/** As `deriveCommitmentKeys`. */
export function derivedKeys({ keys: view, secp }: KeyPlace, sources: CommitmentKeySources): CommitmentKeys {
  let kept = derived.get(view);
  if (kept === undefined) {
    kept = new Map();
    derived.set(view, kept);
  }
  const point = toHex(sources.perCommitmentPoint);
  const known = kept.get(point);
  if (known !== undefined && isSame(known.sources, sources)) return known.keys;
  const keys = deriveCommitmentKeys(secp, sources);
  kept.delete(point);
  kept.set(point, { sources, keys });
  if (kept.size > DERIVED_KEPT_MAX) {
    const [oldest] = kept.keys();
    kept.delete(oldest!);
  }
  return keys;
}
