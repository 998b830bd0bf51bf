/**
 * All rules. Registering is what loading a file of rules does, so whoever asks for all of them loads them all, also in a bundle of
 * which nothing else of core is part. A bundle test compares.
 */
import '../chain/rules.ts';
import '../channel/setup-rules.ts';
import '../form.ts';
import '../ledger/rules.ts';
import '../payments/approval-rules.ts';
import '../payments/rules.ts';
import '../ratchet/form-rules.ts';
import '../ratchet/rules.ts';
import '../spending/claim-rules.ts';
import '../spending/rules.ts';
import '../time/rules.ts';
import './init-binding.ts';
import { type Rule, registeredRules } from './registry.ts';

/** All rules, in the order of their tags. */
export function allRules(): readonly Rule[] {
  return [...registeredRules().values()].sort((a, b) => (a.tag < b.tag ? -1 : 1));
}

/** By its tag. */
export function findRule(tag: string): Rule | undefined {
  return registeredRules().get(tag);
}
