/**
 * Whether the promise holds under a policy. It rests on every hard rule, which nobody can turn down, and on the soft rules
 * marked so; turning one of those down voids it, and that is said wherever the policy is.
 */
import { type Policy, SETTLED_PREIMAGE_TAG } from '@countersign/core';
import type { EffectiveOverride, EffectiveRule } from './effective.ts';
import type { SignerFacts } from './facts.ts';

/**
 * `kept`: every rule it rests on refuses. `limited`: what this signer can't judge yet, or its node does not deliver, is
 * missing. `void`: the preset or a line of the file has turned a rule down that it rests on.
 */
export interface EffectivePromise {
  readonly state: 'kept' | 'limited' | 'void';
  readonly reasons: readonly string[];
}

export function promiseOf(
  policy: Policy,
  facts: SignerFacts,
  rules: readonly EffectiveRule[],
  overrides: readonly EffectiveOverride[],
): EffectivePromise {
  const reasons = [
    ...(policy.preset === 'permissive' ? ['the preset permissive only warns and approves everything'] : []),
    ...(policy.approvals.auto === 'all' ? ['auto = "all" approves everything'] : []),
    ...rules
      .filter(({ voidsPromise, origin }) => voidsPromise && origin.kind === 'file')
      .map(({ tag, does }) => `${tag} is at ${does}`),
    ...overrides.flatMap(({ of, id, rules: own }) =>
      own
        .filter(({ voidsPromise }) => voidsPromise)
        .map(({ tag, does }) => `${tag} is at ${does} for ${of} ${id}`),
    ),
  ];
  if (reasons.length > 0) return { state: 'void', reasons };
  const missing = limitations(facts, rules);
  return { state: missing.length > 0 ? 'limited' : 'kept', reasons: missing };
}

function limitations(facts: SignerFacts, rules: readonly EffectiveRule[]): readonly string[] {
  const missing: string[] = [];
  if (rules.some(({ tag, does }) => tag === SETTLED_PREIMAGE_TAG && does !== 'error')) {
    missing.push(
      `${SETTLED_PREIMAGE_TAG} only warns: the node side does not deliver preimages, so an approved payment may be taken as settled without proof that its payee was paid`,
    );
  }
  if (!facts.hasChainView) {
    missing.push(
      'no chain view ([chain] names no source): whether fundings are buried and unspent, and how far expiries are away, is not judged',
    );
  }
  return missing;
}
