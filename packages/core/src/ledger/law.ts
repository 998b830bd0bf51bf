/**
 * Law 2: each channel conserves value. It will keep exact ledgers of both views; the commitments it compares are on
 * record already (`channel/record.ts`).
 */
import type { LawDefinition } from '../policy/law.ts';

export const ledger: LawDefinition = {
  number: 2,
  title: 'the ledger',
  promise: 'Each channel conserves value: every change of balance is explained by HTLCs.',
  operations: ['setup', 'cc', 'hc', 'rev', 'fc', 'htlc', 'mc'],
};
