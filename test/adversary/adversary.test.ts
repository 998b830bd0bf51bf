/**
 * The adversary in every build: fifty thousand requests of an attacker over several seeds, an honest node that may not be
 * refused, and broken signers that must be robbed. `npm run adversary` does the same for as long as one likes.
 */
import { availableParallelism } from 'node:os';
import { type RunResult, type RunSetup, storyOf } from '@countersign/adversary';
import { describe, expect, it } from 'vitest';
import { type ApartOptions, campaignsApart } from './apart.ts';
import { MUTANTS } from './mutants/index.ts';
import { robAll } from './mutants/rob.ts';

const CHANNELS = 5;
const MOVES_PER_MATCH = 200;
const ATTACKED = { seeds: [101, 102, 103, 104], steps: 12_500 } as const;
const HONEST = { seeds: [201, 202], steps: 4_000 } as const;
const MUTANT_STEPS = 8_000;
/** A strategy costs as much as some hundred requests. */
const ENDGAME_EVERY = 8;
const SHRINK_MS = 5_000;
const MINUTE_MS = 60_000;

const jobs = availableParallelism();

const optionsOf = (seed: number, steps: number, isHonest: boolean): ApartOptions => ({
  setup: { seed, channels: CHANNELS, isHonest, mutant: null, subject: 'memory' } satisfies RunSetup,
  steps,
  movesPerMatch: MOVES_PER_MATCH,
  greedyPercent: 20,
  endgameEvery: ENDGAME_EVERY,
  shrinkMs: SHRINK_MS,
});

/** Fails with the story of the first that found something. */
async function clean(list: readonly ApartOptions[]): Promise<readonly RunResult[]> {
  const answers = await campaignsApart(list, { jobs, timeoutMs: 60 * MINUTE_MS });
  return answers.map((answer) => {
    if (!answer.ok) return expect.fail(answer.why);
    expect(answer.result.found, storyOf(answer.result)).toBeNull();
    return answer.result;
  });
}

const total = (results: readonly RunResult[]): number => results.reduce((sum, { steps }) => sum + steps, 0);

describe('the adversary', () => {
  it('steals nothing in fifty thousand requests', { timeout: 90 * MINUTE_MS }, async () => {
    const { seeds, steps } = ATTACKED;
    const results = await clean(seeds.map((seed) => optionsOf(seed, steps, false)));
    expect(total(results)).toBeGreaterThanOrEqual(50_000);
    for (const { endgames } of results) expect(endgames).toBeGreaterThan(0);
  });

  it('is never refused where it is honest', { timeout: 90 * MINUTE_MS }, async () => {
    const { seeds, steps } = HONEST;
    const results = await clean(seeds.map((seed) => optionsOf(seed, steps, true)));
    expect(total(results)).toBeGreaterThanOrEqual(seeds.length * steps);
  });

  it('robs every broken signer within its budget', { timeout: 180 * MINUTE_MS }, async () => {
    const rows = await robAll(MUTANTS, {
      seed: 41,
      steps: MUTANT_STEPS,
      channels: CHANNELS,
      movesPerMatch: MOVES_PER_MATCH,
      greedyPercent: 20,
      endgameEvery: 3,
      shrinkMs: 0,
      timeoutMs: 60 * MINUTE_MS,
      jobs,
    });
    const left = rows.filter(({ outcome }) => outcome !== 'robbed');
    expect(left.map(({ id, outcome, steps, story }) => `${id} ${outcome} after ${steps}: ${story}`)).toEqual(
      [],
    );
  });
});
