/** All attacks, in the order in which the demo tries them: the plainest first. */
import type { Attack } from './attack.ts';
import { FALSE_CHAIN, HIDDEN_SPEND, WITHDRAW } from './beside.ts';
import { CLOSE_TO_THIEF, EARLY_SECRET, GIVE_ALL, OLD_STATE, ROLLBACK, UNAPPROVED } from './channel.ts';

export const ATTACKS: readonly Attack[] = [
  GIVE_ALL,
  WITHDRAW,
  OLD_STATE,
  UNAPPROVED,
  CLOSE_TO_THIEF,
  EARLY_SECRET,
  ROLLBACK,
  HIDDEN_SPEND,
  FALSE_CHAIN,
];
