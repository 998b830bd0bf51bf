/**
 * Moves: what a run is made of, as data. Small numbers, resolved against the world when they are played; a move that finds
 * nothing to act on does nothing, and none throws. So lists of moves can be cut down, and replayed.
 */
import { ATTACKS } from './attack/index.ts';
import type { Channel } from './channel.ts';
import { HONEST } from './honest/index.ts';
import type { World } from './world.ts';

export interface Move {
  readonly kind: string;
  readonly channel: number;
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

/** What a kind of move does; `channel` is the one that it names, if there is any. */
export interface Play {
  /** How often it comes, against the others. */
  readonly weight: number;
  /** Of attacks.md; empty for honest moves. */
  readonly attacks: readonly string[];
  play(world: World, channel: Channel | undefined, move: Move): Promise<void>;
}

/** By which honest moves come more often beside attacks: most states should be near those of honest channels. */
const HONEST_SHARE = 2;

const oftener = Object.entries(HONEST).map(([kind, play]): [string, Play] => [
  kind,
  { ...play, weight: play.weight * HONEST_SHARE },
]);

/** An attacker's: those of an honest node, and attacks. */
export const PLAYS: Readonly<Record<string, Play>> = { ...Object.fromEntries(oftener), ...ATTACKS };
