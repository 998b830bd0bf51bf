/** The guide of every rule, by its tag. */
import { CHAIN_GUIDE } from './chain.ts';
import { COMMITMENT_GUIDE } from './commitments.ts';
import type { Guide, Guides } from './guide.ts';
import { ONCHAIN_GUIDE } from './onchain.ts';
import { OPENING_GUIDE } from './opening.ts';
import { PAYMENT_GUIDE } from './payments.ts';

export type { Guide } from './guide.ts';

/** By tag; every rule has one. */
export const GUIDES: Guides = {
  ...OPENING_GUIDE,
  ...ONCHAIN_GUIDE,
  ...COMMITMENT_GUIDE,
  ...PAYMENT_GUIDE,
  ...CHAIN_GUIDE,
};

/** What to tell people of a refusal; undefined for a tag that is no rule’s. */
export function guideOf(tag: string): Guide | undefined {
  return GUIDES[tag];
}
