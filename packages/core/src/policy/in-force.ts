/**
 * Which laws this version enforces. What a law does not yet judge is never passed off as judged: outside
 * `permissive` such a request is refused, so a missing rule costs availability and not money.
 */
import { ledger } from '../ledger/law.ts';
import { payments } from '../payments/law.ts';
import { ratchet } from '../ratchet/law.ts';
import { refuse } from '../refusal.ts';
import { spending } from '../spending/law.ts';
import { time } from '../time/law.ts';
import type { LawDefinition, LawNumber } from './law.ts';
import { type Operation, rule } from './registry.ts';
import type { Policy } from './settings.ts';

/** The five laws, in their order. */
export const LAWS: readonly LawDefinition[] = [ratchet, ledger, payments, time, spending];

export const lawNotInForce = rule({
  tag: 'policy-law-not-in-force',
  law: 'setup',
  severity: 'soft',
  operations: ['all'],
  documentation:
    'The request is one that laws 2 to 5 judge (balances, payments, time, destinations) and this version does not ' +
    'enforce that law yet. Every preset but `permissive` refuses it rather than sign what nothing has checked.',
});

/** The numbers among `laws` that this version does not enforce; of all five when none are named. */
export function lawsMissing(
  laws: readonly LawNumber[] = LAWS.map((law) => law.number),
): readonly LawNumber[] {
  return laws.filter((number) => !LAWS.some((law) => law.number === number && law.isInForce));
}

/** The seam of laws 2 to 5: called by every handler whose request they will judge. */
export function requireLaws(policy: Policy, operation: Operation, ...laws: readonly LawNumber[]): void {
  if (policy.preset === 'permissive') return;
  const missing = lawsMissing(laws);
  if (missing.length === 0) return;
  refuse(lawNotInForce, 'this version does not judge such a request yet', {
    operation,
    laws_missing: missing.join(','),
    preset: policy.preset,
  });
}
