/** Moves: data that can be played on any world, by the catalogue of attacks, the same each time. */
import { ATTACKS, Dealer, HONEST, type Move, PLAYS, playMove, World } from '@countersign/adversary';
import { describe, expect, it } from 'vitest';
import { YesSigner } from './yes-signer.ts';

const begin = (changes: object = {}): Promise<World> => World.begin(new YesSigner(), { seed: 5, ...changes });

const numbers = (count: number, last: number): string[] =>
  Array.from({ length: count }, (_, i) => `A${`${last - count + 1 + i}`.padStart(2, '0')}`);

/** About the process and its store, not about requests: two signers, one state (A13), torn writes (A14), quorums. */
const ELSEWHERE = new Set(['A13', 'A14', 'A70', 'A72']);

describe('moves', () => {
  it('are about every attack that a node can make by asking, or with the chain', () => {
    const wanted = [...numbers(69, 69), 'A07b', 'A27b', 'A27c', 'A71', 'A73', 'A74'];
    const covered = new Set(Object.values(ATTACKS).flatMap(({ attacks }) => attacks));
    // A28 overflows and A45 to A49 stand among others; none of the list may be without a move.
    expect(wanted.filter((id) => !ELSEWHERE.has(id) && !covered.has(id))).toEqual([]);
  });

  it('do nothing where there is nothing to act on, and never throw', async () => {
    const world = await begin({ openAtStart: 0 });
    for (const kind of [...Object.keys(PLAYS), 'unheard-of'])
      for (const a of [0, 1, 5, 1023]) await playMove(world, { kind, channel: 63, a, b: a + 1, c: 0 });
  });

  it('never throw in a world whose signer grants everything', async () => {
    const world = await begin();
    const dealer = new Dealer(5);
    for (let i = 0; i < 600; i++) await playMove(world, dealer.next());
    for (const kind of Object.keys(ATTACKS))
      for (const a of [0, 7, 64]) await playMove(world, { kind, channel: a, a, b: a, c: 0 });
    expect(world.grantedAttacks).toBeGreaterThan(50);
    expect(world.problems).toEqual([]);
  });

  it('change numbers to others that have a place on the wire', async () => {
    const world = await begin();
    const dealer = new Dealer(5, HONEST);
    for (let i = 0; i < 60; i++) await playMove(world, dealer.next());
    const strange: unknown[] = [];
    const look = (value: unknown): void => {
      if (typeof value === 'number' && value !== value >>> 0) strange.push(value);
      if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return;
      for (const one of Object.values(value)) look(one);
    };
    for (let i = 0; i < 2000; i++)
      await playMove(world, { kind: 'replay', channel: 0, a: 7 * i, b: 11 * i, c: i });
    for (const { request } of world.log.kept) look(request);
    expect(strange).toEqual([]);
  });

  it('are the whole of a run, with its seed', async () => {
    const dealer = new Dealer(9);
    const moves: Move[] = Array.from({ length: 150 }, () => dealer.next());
    const asked = async () => {
      const world = await begin();
      for (const move of moves) await playMove(world, move);
      return world.log.kept.map(({ request }) => request);
    };
    expect(await asked()).toEqual(await asked());
  });

  it('have honest ones that ask nothing a signer which grants everything would call an attack', async () => {
    const world = await begin({ isHonest: true });
    const dealer = new Dealer(3, HONEST);
    for (let i = 0; i < 500; i++) await playMove(world, dealer.next());
    expect([...world.log.coverage.keys()].filter((key) => key.startsWith('attack'))).toEqual([]);
    expect(world.log.count).toBeGreaterThan(300);
  });
});
