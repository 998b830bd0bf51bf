/** All mutants, and the attacks that need none: what cannot move the owner's wealth in this game, and why. */
import { LAW_1 } from './law1.ts';
import { LAW_2 } from './law2.ts';
import { LAW_3 } from './law3.ts';
import { LAW_4 } from './law4.ts';
import { LAW_5 } from './law5.ts';
import type { Mutant } from './mutant.ts';
import { REMEDIES } from './remedies.ts';

export const MUTANTS: readonly Mutant[] = [...LAW_1, ...LAW_2, ...LAW_3, ...LAW_4, ...LAW_5, ...REMEDIES];

export function mutantById(id: string): Mutant | undefined {
  return MUTANTS.find((one) => one.id === id);
}

/** Attacks that no single weakening turns into a theft here. */
export const EXCUSED: ReadonlyMap<string, string> = new Map([
  [
    'A15',
    'a second-level signature of a revoked commitment moves nothing while the commitment itself cannot be published: revoked-for-broadcast',
  ],
  [
    'A27c',
    'only dust has an output in one view and none in the other, and each way of losing it is dust outflow: dust-outflow-unlimited',
  ],
  [
    'A56',
    'what pays to a key of the wallet is the owner’s for the referee, at whatever index somebody has to look',
  ],
  ['A58', 'the owner of this game has no team peer whose outputs could be taken for ours'],
  [
    'A60',
    'a sweep has one input, so no sequence of another can stand for it; a wrong one makes the sweep invalid',
  ],
  [
    'A65',
    'an anchor signature fits no other script, and whatever is spent with it pays to the wallet: bump-to-anybody',
  ],
  ['A72', 'blocks of regtest come when somebody mines one, so silence means nothing, and the rule is off'],
  ['A75', 'the owner of this game has no oracles'],
]);
