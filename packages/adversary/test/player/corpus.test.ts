/** The corpus: an opening for every attack of the catalogue, made of moves that there are, the same for the same seed. */
import {
  ATTACKS,
  attacksOf,
  CORPUS,
  Dice,
  HONEST,
  movesOf,
  openingsOf,
  PLAYS,
  playMove,
  scriptOf,
  World,
} from '@countersign/adversary';
import { describe, expect, it } from 'vitest';
import { YesSigner } from './yes-signer.ts';

const CATALOGUE = [
  ...Array.from({ length: 69 }, (_, i) => `A${`${i + 1}`.padStart(2, '0')}`),
  ...['A07b', 'A27b', 'A27c', 'A73', 'A74'],
];

describe('the corpus', () => {
  it('has an opening for every attack that a node can make by asking, or with the chain', () => {
    const covered = new Set(CORPUS.map(({ attack }) => attack));
    expect(CATALOGUE.filter((id) => !covered.has(id))).toEqual([]);
    for (const id of CATALOGUE) expect(openingsOf([id]).length, id).toBeGreaterThan(0);
    expect(openingsOf([])).toBe(CORPUS);
    expect(openingsOf(['no such attack'])).toEqual([]);
  });

  it('is made of moves that there are, an attack the last of them', () => {
    for (const { attack, moves } of CORPUS) {
      for (const { kind } of moves) expect(PLAYS[kind], `${attack} ${kind}`).toBeDefined();
      expect(ATTACKS[moves.at(-1)!.kind], attack).toBeDefined();
    }
  });

  it('brings every attack that never comes by chance', () => {
    const seldom = Object.entries(ATTACKS).filter(([, { weight }]) => weight === 0);
    const played = new Set(CORPUS.flatMap(({ moves }) => moves.map(({ kind }) => kind)));
    expect(seldom.map(([kind]) => kind).filter((kind) => !played.has(kind))).toEqual([]);
    expect(seldom.length).toBeGreaterThan(5);
    for (const [kind, { attacks }] of seldom) expect(attacksOf(attacks)).toContain(kind);
  });

  it('keeps the numbers that an opening names, and rolls the others', () => {
    const opening = { attack: 'A00', moves: [{ kind: 'mine', a: 7 }, { kind: 'open' }] };
    const [first, second] = [1, 2].map((seed) => movesOf(opening, new Dice(seed)));
    expect(first!.map(({ kind }) => kind)).toEqual(['mine', 'open']);
    expect([first![0]!.a, second![0]!.a]).toEqual([7, 7]);
    expect(first).not.toEqual(second);
  });

  it('gives the same script for the same seed, sometimes with honest moves before', () => {
    const scripts = Array.from({ length: 40 }, (_, seed) => scriptOf(CORPUS[0]!, seed));
    expect(scripts).toEqual(Array.from({ length: 40 }, (_, seed) => scriptOf(CORPUS[0]!, seed)));
    const warmUps = scripts.map((script) => script.slice(0, -CORPUS[0]!.moves.length));
    expect(new Set(warmUps.map(({ length }) => length)).size).toBeGreaterThan(5);
    for (const { kind } of warmUps.flat()) expect(HONEST[kind], kind).toBeDefined();
  });

  it('never throws in a world whose signer grants everything', async () => {
    const world = await World.begin(new YesSigner(), { seed: 6 });
    for (const [i, opening] of CORPUS.entries())
      for (const move of scriptOf(opening, i)) await playMove(world, move);
    expect(world.grantedAttacks).toBeGreaterThan(50);
  });
});
