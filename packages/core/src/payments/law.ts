/**
 * Law 3: each payment conserves value. It will count each payment hash over all channels; preapprovals come to it.
 */
import type { LawDefinition } from '../policy/law.ts';

export const payments: LawDefinition = {
  number: 3,
  title: 'payments',
  promise: 'Each payment conserves value, over all channels: out ≤ in + approved.',
  operations: ['cc', 'hc', 'rev', 'fc', 'pay'],
};
