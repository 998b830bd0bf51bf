/**
 * Law 4: time. It will judge expiries, delays and the burial of fundings by a chain view the signer has verified itself.
 */
import type { LawDefinition } from '../policy/law.ts';

export const time: LawDefinition = {
  number: 4,
  title: 'time',
  promise: 'What is claimed must still be claimable in time, by the signer’s own view of the chain.',
  operations: ['cc', 'hc', 'rev', 'fc', 'setup', 'rpc'],
};
