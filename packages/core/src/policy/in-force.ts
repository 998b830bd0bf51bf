/**
 * Which laws this version enforces. What a law does not yet judge is never passed off as judged: outside
 * `permissive` such a request is refused, so a missing rule costs availability and not money.
 */
import { refuse } from '../refusal.ts';
import { type Law, type Operation, rule } from './registry.ts';
import type { Policy } from './settings.ts';

const LAWS_IN_FORCE: Readonly<Record<1 | 2 | 3 | 4 | 5, boolean>> = {
  1: true,
  2: false,
  3: false,
  4: false,
  5: false,
};

export const lawNotInForce = rule({
  tag: 'policy-law-not-in-force',
  law: 'setup',
  severity: 'soft',
  operations: ['all'],
  documentation:
    'The request is one that laws 2 to 5 judge (balances, payments, time, destinations) and this version does not ' +
    'enforce that law yet. Every preset but `permissive` refuses it rather than sign what nothing has checked.',
});

/** Laws of `laws` that this version does not enforce. */
export function lawsMissing(laws: readonly Law[]): readonly Law[] {
  return laws.filter((law) => typeof law === 'number' && !LAWS_IN_FORCE[law]);
}

/** The seam of laws 2 to 5: called by every handler whose request they will judge. */
export function requireLaws(policy: Policy, operation: Operation, ...laws: readonly Law[]): void {
  if (policy.preset === 'permissive') return;
  const missing = lawsMissing(laws);
  if (missing.length === 0) return;
  refuse(lawNotInForce, 'this version does not judge such a request yet', {
    operation,
    laws_missing: missing.join(','),
    preset: policy.preset,
  });
}
