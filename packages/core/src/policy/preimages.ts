/**
 * What policy-commitment-payment-settled-preimage does unless the operator says otherwise: it refuses from the moment the
 * node side delivers preimages. Before that a stock node could settle no payment of its own, so it warns.
 */
import { type Policy, type PolicyScope, type Severity, severitySet } from './settings.ts';

/** The rule that wants the preimage of a payment before it counts as made. */
export const SETTLED_PREIMAGE_TAG = 'policy-commitment-payment-settled-preimage';

/** `deliversPreimages` is the node record's: true from the first preimage that came from the node side. */
export function preimageSeverity(
  policy: Policy,
  deliversPreimages: boolean,
  scope: PolicyScope | null,
): Severity {
  const set = severitySet(policy, SETTLED_PREIMAGE_TAG, scope);
  if (set !== undefined) return set;
  return deliversPreimages && policy.preset !== 'permissive' ? 'error' : 'warn';
}
