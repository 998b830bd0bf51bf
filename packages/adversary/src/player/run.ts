/** Plays moves, and deals them: the dealer's weights keep most steps near states that a channel really gets into. */
import { Dice } from './dice.ts';
import { HONEST } from './honest/index.ts';
import { begunChannels } from './honest/opening.ts';
import { type Move, PLAYS, type Play } from './moves.ts';
import type { World } from './world.ts';

/** Without a block for so long, one comes. */
const SILENCE_SECONDS = 5400;

export async function playMove(world: World, move: Move): Promise<void> {
  world.move += 1;
  world.dice.mix(move.b, move.c);
  if (world.nowSeconds - world.chain.lastBlockSeconds > SILENCE_SECONDS) await world.chain.mine(1);
  if (!move.kind.startsWith('sleep')) world.isIdle &&= world.dice.chance(95);
  begunChannels(world);
  const play = PLAYS[move.kind];
  const living = world.channels.filter(({ phase }) => phase !== 'closed');
  const channel = living[move.channel % Math.max(living.length, 1)];
  await play?.play(world, channel, move);
}

/** An endless deal of moves out of a seed. */
export class Dealer {
  readonly #dice: Dice;
  readonly #kinds: readonly string[];

  constructor(seed: number, plays: Readonly<Record<string, Play>> = PLAYS) {
    this.#dice = new Dice(seed);
    this.#kinds = Object.entries(plays).flatMap(([kind, { weight }]) => new Array<string>(weight).fill(kind));
  }

  next(): Move {
    const dice = this.#dice;
    const kind = dice.of(this.#kinds)!;
    return { kind, channel: dice.roll(64), a: dice.roll(1024), b: dice.roll(1024), c: dice.roll(1024) };
  }
}

export const honestDealer = (seed: number): Dealer => new Dealer(seed, HONEST);
