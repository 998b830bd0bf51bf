/**
 * The attacks of the catalogue (docs/attacks.md) as openings: few moves that bring about what the attack needs, and then make it.
 * Numbers that are not named are left to chance, so that each opening is a family; what follows is up to the search.
 */
import { Dice } from '../player/dice.ts';
import type { Move } from '../player/moves.ts';
import { honestDealer } from '../player/run.ts';

/** A move, with the numbers that matter to the attack. */
export type OpeningMove = Pick<Move, 'kind'> & Partial<Move>;

export interface Opening {
  /** Of the catalogue. */
  readonly attack: string;
  readonly moves: readonly OpeningMove[];
}

const PAYMENTS: readonly OpeningMove[] = [
  { kind: 'receive', a: 0 },
  { kind: 'receive', a: 0 },
  { kind: 'quiesce' },
  { kind: 'quiesce' },
  { kind: 'resolve-incoming' },
  { kind: 'resolve-incoming' },
  { kind: 'quiesce' },
  { kind: 'quiesce' },
];

/** One move, by itself. */
const alone = (attack: string, kind: string, numbers: Partial<Move> = {}): Opening => ({
  attack,
  moves: [{ kind, ...numbers }],
});

/** While payments are under way. */
const amid = (attack: string, kind: string, numbers: Partial<Move> = {}): Opening => ({
  attack,
  moves: [...PAYMENTS, { kind, ...numbers }],
});

/** One after the other. `c: 0` is when what is rare comes. */
const series = (attack: string, ...kinds: readonly (string | OpeningMove)[]): Opening => ({
  attack,
  moves: kinds.map((one) => (typeof one === 'string' ? { kind: one, c: 0 } : one)),
});

export const CORPUS: readonly Opening[] = [
  amid('A01', 'sign-old'),
  amid('A02', 'go-on-after-signing', { c: 0 }),
  amid('A03', 'go-on-after-signing', { c: 0 }),
  amid('A04', 'revoke-early'),
  amid('A05', 'wrong-signature'),
  amid('A06', 'variant-of-owners'),
  amid('A07', 'variant'),
  alone('A07', 'variant-then-fail'),
  amid('A07', 'two-points'),
  series('A07b', ...Array.from({ length: 9 }, () => ({ kind: 'variant', channel: 0 }))),
  amid('A08', 'skip-ahead'),
  amid('A08', 'sign-peers-again'),
  alone('A09', 'revoke-falsely'),
  alone('A09', 'unchained', { c: 0 }),
  amid('A10', 'go-on-after-close', { c: 0 }),
  amid('A11', 'begin-again', { c: 0 }),
  amid('A12', 'roll-back'),
  amid('A13', 'replay'),
  amid('A14', 'replay'),
  amid('A15', 'second-level-of-old'),
  amid('A16', 'publish-unjudged', { c: 0 }),
  alone('A17', 'splice', { a: 0, b: 1, c: 0 }),
  alone('A17', 'splice', { a: 0, b: 1, c: 3 }),
  alone('A17', 'splice', { a: 0, c: 6 }),
  series('A18', 'second-round'),
  alone('A18', 'two-rounds', { a: 2, b: 0, c: 0 }),
  alone('A18', 'two-rounds', { a: 0, b: 0, c: 0 }),
  alone('A18', 'two-rounds', { a: 0, b: 3, c: 0 }),
  alone('A18', 'two-rounds', { b: 2, c: 8 }),
  alone('A18', 'splice-of-gift'),
  amid('A19', 'forget', { c: 0 }),
  amid('A20', 'shift'),
  amid('A21', 'settle-unseen'),
  amid('A22', 'fail-received'),
  amid('A22', 'fail-paid-forward'),
  alone('A23', 'twins-of-ours'),
  alone('A24', 'grind-into-fee'),
  alone('A24', 'grind', { a: 49, b: 0, c: 0 }),
  alone('A25', 'trim-by-fee'),
  amid('A25', 'extreme-fee'),
  amid('A26', 'wrong-form'),
  amid('A27', 'lying-list'),
  alone('A27b', 'grind', { a: 49, b: 1, c: 0 }),
  series('A27c', 'dust-storm', 'dust-storm'),
  amid('A28', 'wrong-form'),
  alone('A29', 'unfair-first', { a: 1, b: 1, c: 3 }),
  alone('A29', 'unfair-first', { c: 0 }),
  alone('A30', 'pay-out'),
  alone('A31', 'forward-more'),
  alone('A32', 'pay-again'),
  alone('A32', 'pay-twice'),
  alone('A33', 'pay-over-two'),
  alone('A33', 'pay-twice', { b: 3 }),
  amid('A34', 'fail-received'),
  alone('A34', 'variant-then-fail'),
  amid('A35', 'fail-paid-forward'),
  alone('A35', 'claim-much-then-fail'),
  alone('A36', 'one-view'),
  alone('A37', 'zero-conf', { b: 4, c: 0 }),
  alone('A38', 'cover-too-late'),
  alone('A38', 'late-cover'),
  amid('A38', 'forward-wrongly'),
  amid('A39', 'forward-wrongly'),
  alone('A40', 'false-approval'),
  alone('A41', 'burn-slowly'),
  alone('A42', 'false-approval', { c: 3 }),
  alone('A43', 'pay-again'),
  alone('A43', 'pay-twice', { b: 2 }),
  alone('A44', 'leave-on-chain', { a: 0, b: 1 }),
  alone('A44', 'leave-on-chain', { a: 1, b: 1 }),
  alone('A44', 'leave-on-chain'),
  alone('A44', 'forward-much', { a: 0 }),
  alone('A44', 'outlast'),
  amid('A45', 'pay-out'),
  alone('A46', 'fake-funding', { c: 0 }),
  alone('A46', 'gift-round', { b: 0 }),
  alone('A46', 'gift-round', { b: 1 }),
  alone('A47', 'zero-conf', { b: 4, c: 0 }),
  alone('A48', 'claim-much-then-fail'),
  alone('A48', 'forward-much', { a: 0 }),
  alone('A48', 'leave-on-chain'),
  alone('A49', 'false-approval', { a: 7 }),
  alone('A50', 'wrong-delays', { c: 0 }),
  alone('A51', 'wrong-funding', { b: 3, c: 0 }),
  alone('A51', 'wrong-funding', { c: 0 }),
  alone('A52', 'wrong-funding', { b: 0, c: 0 }),
  alone('A53', 'spend-abroad'),
  alone('A54', 'spend-other'),
  alone('A55', 'false-amounts'),
  alone('A56', 'spend-abroad', { a: 1 }),
  alone('A57', 'wrong-close', { c: 0 }),
  alone('A58', 'wrong-close', { c: 0 }),
  series('A59', 'end-badly', 'wrong-sweep', 'wrong-sweep', 'steal-to-remote'),
  series('A60', 'end-badly', 'wrong-sweep', 'wrong-sweep'),
  series('A61', 'end-badly', 'drain-by-anchor', 'drain-by-anchor'),
  alone('A62', 'signed-text'),
  alone('A62', 'crafted-message'),
  alone('A63', 'splice', { a: 1, b: 1, c: 0 }),
  alone('A63', 'splice-of-coin'),
  alone('A64', 'loose-sighash'),
  alone('A65', 'smuggle-funding'),
  alone('A66', 'signed-gossip'),
  alone('A67', 'crafted-message'),
  alone('A59', 'pair-claims'),
  alone('A64', 'carry-claim'),
  alone('A68', 'raise-fees'),
  amid('A69', 'drain-by-mingle'),
  alone('A69', 'pair-with-own'),
  alone('A73', 'claim-then-reorganize'),
  alone('A73', 'close-then-reorganize'),
  amid('A73', 'fail-then-reorganize'),
  alone('A73', 'zero-conf', { c: 0 }),
  series('A73', 'reorg-out'),
  alone('A74', 'forward-much', { a: 1, b: 0 }),
  alone('A74', 'publish-then-fail'),
  alone('A74', 'publish-then-forward'),
  amid('A74', 'publish-then-revoke', { c: 0 }),
];

/** Of these attacks; of all of them when none is named. */
export const openingsOf = (attacks: readonly string[]): readonly Opening[] =>
  attacks.length === 0 ? CORPUS : CORPUS.filter(({ attack }) => attacks.includes(attack));

const NUMBER_SIDES = 1024;

/** The opening as moves, with its open numbers rolled. */
export function movesOf({ moves }: Opening, dice: Dice): Move[] {
  return moves.map((one) => ({
    channel: dice.roll(64),
    a: dice.roll(NUMBER_SIDES),
    b: dice.roll(NUMBER_SIDES),
    c: dice.roll(NUMBER_SIDES),
    ...one,
  }));
}

/** Honest moves before an opening, at most. */
const WARM_UP_MAX = 24;

/** A script: sometimes what an honest node does first, then the opening. */
export function scriptOf(opening: Opening, seed: number): Move[] {
  const dice = new Dice(seed);
  const dealer = honestDealer(seed);
  const warmUp = Array.from({ length: dice.chance(40) ? dice.roll(WARM_UP_MAX) : 0 }, () => dealer.next());
  return [...warmUp, ...movesOf(opening, dice)];
}
