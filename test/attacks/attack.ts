/**
 * How a table of scenarios becomes tests: each is carried out against a real signer, must be refused by the rules the
 * catalogue names, and leaves a signer that still serves.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CatalogueEntry } from './catalogue.ts';
import { AttackWorld, type WorldOptions } from './world.ts';

export interface Scenario {
  readonly id: string;
  /** What this variant does, where an attack has several. */
  readonly variant?: string;
  /** A signer of its own: it is restarted, configured differently, or its budgets are used up. */
  readonly alone?: WorldOptions;
  readonly run: (world: AttackWorld) => Promise<void>;
}

const SCENARIO_WAIT_MS = 300_000;
/** What an hsmd ends with when lightningd hangs up. */
const MASTER_GONE = 2;

/** Runs the scenarios, and checks that every attack of the catalogue's part has one, or says why not. */
export function attacks(
  title: string,
  catalogue: readonly CatalogueEntry[],
  scenarios: readonly Scenario[],
): void {
  describe(title, () => {
    let shared: AttackWorld;
    const seen = new Map<string, Set<string>>();
    beforeAll(async () => {
      shared = await AttackWorld.start();
    });
    afterAll(async () => {
      expect(await shared.stop(), 'exit status').toBe(MASTER_GONE);
    });

    for (const { id, variant, alone, run } of scenarios) {
      const entry = catalogue.find((one) => one.id === id);
      if (entry === undefined) throw new Error(`${id} is not in the catalogue`);
      const name = `${id}: ${entry.attack}${variant === undefined ? '' : ` — ${variant}`}`;
      it(name, { timeout: SCENARIO_WAIT_MS }, async () => {
        const world = alone === undefined ? shared : await AttackWorld.start(alone);
        let exit: number | null = MASTER_GONE;
        try {
          world.nextScenario();
          await run(world);
          await world.expectAlive();
        } finally {
          if (alone !== undefined) exit = await world.stop();
        }
        expect(exit, 'exit status').toBe(MASTER_GONE);
        expect(world.refusals, 'what was refused').not.toEqual([]);
        const tags = seen.get(id) ?? new Set();
        for (const { tag } of world.refusals) {
          if (entry.refusedBy.length > 0) expect(entry.refusedBy).toContain(tag);
          tags.add(tag);
        }
        seen.set(id, tags);
      });
    }

    for (const { id, attack, waitsFor, refusedBy } of catalogue) {
      if (waitsFor === undefined) {
        it(`${id}: every rule of the catalogue was seen to stop it`, () => {
          expect([...(seen.get(id) ?? [])]).toEqual(expect.arrayContaining([...refusedBy]));
        });
      } else {
        it(`${id}: ${attack} — has no scenario before there is ${waitsFor}`, () => {
          expect(scenarios.some((one) => one.id === id)).toBe(false);
        });
      }
    }
  });
}
