/** Channels with more fundings than one, or with one that is none: what the referee counts in them. */
import { isShort, Match, type Move, parseTx, playEndgame } from '@countersign/adversary';
import { describe, expect, it } from 'vitest';
import { gameOf } from './game.ts';

const SETUP = { seed: 1, channels: 5, isHonest: false, mutant: null, subject: 'memory' } as const;

const move = (kind: string, channel: number, a: number, b: number, c: number): Move => ({
  kind,
  channel,
  a,
  b,
  c,
});

async function played(seed: number, moves: readonly Move[]): Promise<Match> {
  const game = gameOf(SETUP);
  const match = await Match.begin({ ...game, config: { ...game.config, seed } });
  for (const one of moves) await match.play(one);
  await match.close();
  expect(match.readings.length).toBeGreaterThan(10);
  return match;
}

// To the attacker's own script; then a funding with a push, one block deep, spends it and gives way to its rival.
it('nothing of a shallow channel whose funding the attacker alone has made', async () => {
  const { theft } = await played(2, [
    move('reorganize', 0, 0, 0, 0),
    move('fake-funding', 0, 0, 758, 0),
    move('zero-conf', 25, 779, 746, 753),
  ]);
  expect(theft).toBeNull();
});

// The other funding, in a block too, is the peer's alone, with nothing of the owner's.
it('what a splice has made, although another round of the opening is on the chain', async () => {
  const { theft, world } = await played(21, [
    move('advance', 62, 0, 754, 773),
    move('begin-again', 2, 855, 585, 112),
    move('open', 3, 275, 974, 592),
    move('advance', 48, 472, 171, 926),
    move('advance', 31, 885, 240, 940),
    move('advance', 18, 333, 905, 933),
    move('advance', 0, 240, 110, 449),
    move('splice-out', 37, 214, 152, 855),
  ]);
  expect(theft).toBeNull();
  expect(world.log.kept.some(({ request }) => request.name === 'hsmd_lock_outpoint')).toBe(true);
});

// At the deadline of an HTLC the signer closes both: first the one on which it has nothing.
it('what is on the one that the channel lives on, when the other is closed', async () => {
  const { theft, world } = await played(13, [
    move('wrong-close', 6, 408, 520, 976),
    move('mine', 10, 934, 877, 792),
    move('advance', 4, 831, 999, 290),
    move('shift', 48, 588, 399, 880),
    move('advance', 48, 883, 971, 358),
    move('begin-again', 27, 311, 999, 32),
    move('shift', 24, 287, 366, 137),
    move('fail-received', 57, 487, 966, 907),
    move('open', 52, 978, 783, 638),
    move('resolve-incoming', 13, 27, 555, 493),
    move('advance', 16, 685, 936, 441),
    move('sleep', 28, 638, 744, 296),
  ]);
  expect(theft).toBeNull();
  expect(world.height).toBeGreaterThan(190);
});

// The second is the peer's alone, and on the chain as the first is: whoever closes it first has nothing of it.
it('a close saves what is on the first of two fundings, where all of it is', async () => {
  const game = gameOf(SETUP);
  const match = await Match.begin({ ...game, config: { ...game.config, seed: 15 } });
  for (const one of [
    move('wrong-secret', 9, 539, 295, 62),
    move('wrong-delays', 32, 214, 585, 941),
    move('pay-out', 45, 953, 219, 302),
    move('receive', 32, 373, 141, 1011),
    move('wrong-delays', 47, 801, 484, 310),
    move('open', 45, 378, 823, 405),
    move('begin-again', 49, 660, 267, 576),
  ])
    await match.play(one);
  const { subject } = match.world;
  const file = [...match.referee.known.files.values()].find(({ fundings }) => fundings.size === 2)!;
  const { peerId, dbid, holder } = file;
  expect(holder.map(({ directSat }) => directSat)).toEqual([510_507, 0, 0]);
  expect(await subject.owner({ act: 'force-close', peerId, dbid })).toBeNull();
  const values = (await subject.rescues()).flatMap(({ raw }) =>
    parseTx(raw).outputs.map(({ value }) => value),
  );
  expect(values).toContain(510_507n);
  await match.close();
});

describe('two rounds of an opening, with something of the owner’s in each', () => {
  const OTHER = 'another funding';

  async function playedTwo(seed: number, ...moves: readonly Move[]): Promise<Match> {
    const game = gameOf(SETUP);
    const match = await Match.begin({ ...game, config: { ...game.config, seed } });
    for (const one of moves) await match.play(one);
    expect(match.theft).toBeNull();
    return match;
  }

  const placesOf = ({ referee }: Match) => referee.problem().places;

  it.each([
    ['both mined at once', 2, 0, 0],
    ['the channel is to go on on the first', 0, 0, 0],
    ['the second is the wallet’s, and mined late', 0, 3, 0],
    ['the second is mined late, and nothing is locked', 1, 2, 8],
  ])('%s: both count, and the owner gets both, however each is ended', async (_, a, b, c) => {
    const match = await playedTwo(11 + a, move('two-rounds', 0, a, b, c));
    const besides = placesOf(match).filter(({ name }) => name.endsWith(OTHER));
    expect(besides).toHaveLength(1);
    const worth = besides[0]!.options.map(({ directSat }) => directSat);
    expect(Math.min(...worth)).toBeGreaterThan(50_000);
    for (const kind of ['best', 'random', 'random', 'random', 'breach'] as const) {
      const endgame = (await playEndgame(match, kind, match.steps + kind.length))!;
      expect(endgame.chosen.filter((one) => one.includes(OTHER))).toHaveLength(1);
      expect(isShort(endgame), `${kind}: ${endgame.reachedSat} of ${endgame.expectedSat}`).toBe(false);
    }
    await match.close();
  });

  it('one of them closed by the peer, the other by the owner, and a block of it taken back', async () => {
    const match = await playedTwo(
      17,
      move('two-rounds', 0, 2, 0, 0),
      move('end-badly', 0, 1, 1, 0),
      move('mine', 0, 2, 0, 0),
      move('reorg-out', 0, 1, 1, 0),
      move('mine', 0, 2, 0, 0),
    );
    for (const kind of ['best', 'random'] as const)
      expect(isShort((await playEndgame(match, kind))!)).toBe(false);
    await match.close();
  });

  it('a signer that closed only one of them would be seen: what it leaves is missing', async () => {
    const match = await playedTwo(19, move('two-rounds', 0, 2, 0, 0));
    const other = placesOf(match).find(({ name }) => name.endsWith(OTHER))!;
    const { expectedSat, reachedSat } = (await playEndgame(match, 'best'))!;
    const leastSat = Math.min(...other.options.map(({ directSat }) => directSat));
    expect(reachedSat).toBeGreaterThan(expectedSat - leastSat / 2);
    await match.close();
  });
});

describe('a round of the opening that is only named', () => {
  it.each([
    [
      'is a gift, while the funding of the channel is nowhere',
      'gift-round',
      0,
      'policy-commitment-spends-active-utxo',
    ],
    [
      'is a gift, while the peer has closed the channel',
      'gift-round',
      1,
      'policy-commitment-spends-active-utxo',
    ],
    ['is a coin of the attacker’s, which a splice spends', 'splice-of-coin', 0, 'policy-candidate-exclusive'],
    ['is a gift, which a splice spends', 'splice-of-gift', 0, 'policy-candidate-exclusive'],
  ])('%s: nothing is lost', async (_, kind, b, tag) => {
    const { theft, world } = await played(7, [move(kind, 0, 1, b, 1)]);
    expect(theft).toBeNull();
    const last = world.log.kept.findLast(({ outcome }) => outcome.kind === 'refused');
    expect(last?.outcome).toMatchObject({ tag, isTemporary: true });
  });
});
