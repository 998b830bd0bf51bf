/**
 * Law 5: every satoshi has a destination. How an input may be signed is enforced already (`rules.ts`); where its value
 * goes, and what is left as fee, will be.
 */
import type { LawDefinition } from '../policy/law.ts';

export const spending: LawDefinition = {
  number: 5,
  title: 'spending',
  promise: 'Every satoshi has a destination: ours, allowlisted, a funding, approved, or a fee in range.',
  operations: ['onchain', 'fc', 'htlc', 'mc', 'sweep'],
};
