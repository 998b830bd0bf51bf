/** The guide of every rule, by its tag. */
import { CHAIN_GUIDE } from './chain.ts';
import { COMMITMENT_GUIDE } from './commitments.ts';
import type { Guide, Guides } from './guide.ts';
import { ONCHAIN_GUIDE } from './onchain.ts';
import { OPENING_GUIDE } from './opening.ts';
import { PAYMENT_GUIDE } from './payments.ts';

export type { Guide } from './guide.ts';

export const GUIDES: Guides = {
  ...OPENING_GUIDE,
  ...ONCHAIN_GUIDE,
  ...COMMITMENT_GUIDE,
  ...PAYMENT_GUIDE,
  ...CHAIN_GUIDE,
};

export function guideOf(tag: string): Guide | undefined {
  return GUIDES[tag];
}
