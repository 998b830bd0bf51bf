/** A funding that is none: its output is the attacker's, who funds another channel with it, and takes that back by a reorg. */
import { Match } from '@countersign/adversary';
import { expect, it } from 'vitest';
import { gameOf } from './game.ts';

const SETUP = { seed: 2, channels: 5, isHonest: false, mutant: null, subject: 'memory' } as const;

it('counts nothing of a shallow channel whose funding the attacker alone has made', async () => {
  const game = gameOf(SETUP);
  const match = await Match.begin({ ...game, config: { ...game.config, seed: 2 } });
  // To the attacker's own script; then a funding with a push, one block deep, which gives way to its rival.
  await match.play({ kind: 'reorganize', channel: 0, a: 0, b: 0, c: 0 });
  await match.play({ kind: 'fake-funding', channel: 0, a: 0, b: 758, c: 0 });
  await match.play({ kind: 'zero-conf', channel: 25, a: 779, b: 746, c: 753 });
  expect(match.readings.length).toBeGreaterThan(10);
  expect(match.theft).toBeNull();
  await match.close();
});
