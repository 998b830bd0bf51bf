/** The attacker's best play as steps that a person can follow: what it publishes, where it shows preimages, what is left. */
import type { Place, Strategy } from '../referee/problem.ts';
import type { StrategyStep } from './result.ts';

const HASH_CHARS = 12;

/** Places where the attacker does nothing are left out; the largest losses first where the strategy tells them apart. */
export function strategySteps(strategy: Strategy, places: readonly Place[]): readonly StrategyStep[] {
  const steps: StrategyStep[] = places.flatMap(({ name, options }, i) => {
    const option = options[strategy.choices[i]!];
    if (option === undefined) return [];
    const isOnlyChoice = options.length === 1 && option.htlcs.length === 0;
    if (isOnlyChoice && name === 'coins') return [];
    const open = option.htlcs.length === 0 ? '' : `, ${option.htlcs.map(htlcWords).join(', ')}`;
    return [{ where: name, what: `ends with ${option.name}${open}`, ownerSat: option.directSat }];
  });
  const shown = [...strategy.reveals].map(([hash, revealBlocks]): StrategyStep => {
    const what = `its preimage is shown on the chain at block ${revealBlocks}, the last moment`;
    return { where: `payment ${hash.slice(0, HASH_CHARS)}`, what, ownerSat: 0 };
  });
  return [...steps, ...shown];
}

function htlcWords(htlc: Place['options'][number]['htlcs'][number]): string {
  const { direction, valueSat, expiryBlocks, hash, isOwnable } = htlc;
  const lost = isOwnable ? '' : ', which the owner cannot take';
  return `${direction} ${valueSat} sat until block ${expiryBlocks} (${hash.slice(0, HASH_CHARS)})${lost}`;
}
