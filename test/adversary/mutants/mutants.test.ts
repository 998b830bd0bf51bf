/** Every mutant is one: its text is there once, what comes out is a program, and every attack that VLS lets through has one. */
import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { EXCUSED, MUTANTS, mutantById } from './index.ts';
import { filesOf, type Mutant, mutated, StaleMutantError } from './mutant.ts';

const ROOT = new URL('../../../', import.meta.url).pathname;
const source = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

/** Attacks that the design's table says another signer lets through. */
const LET_THROUGH = (
  'A02 A03 A10 A15 A16 A18 A20 A21 A22 A24 A25 A27b A27c A31 A32 A35 A37 A38 A41 A44 A45 A46 A47 A48 A49 A54 A56 ' +
  'A58 A59 A60 A61 A62 A65 A66 A68 A69 A72 A75'
).split(' ');

describe('the mutants', () => {
  it('are at least forty, each with a name of its own', () => {
    expect(MUTANTS.length).toBeGreaterThanOrEqual(40);
    expect(new Set(MUTANTS.map(({ id }) => id)).size).toBe(MUTANTS.length);
    expect(mutantById(MUTANTS[0]!.id)).toBe(MUTANTS[0]);
    expect(mutantById('no such mutant')).toBeUndefined();
  });

  it.each(MUTANTS.map((mutant) => [mutant.id, mutant] as const))(
    '%s changes a program into a program',
    (_, mutant) => {
      for (const file of filesOf(mutant)) {
        const text = source(file);
        const changed = mutated(mutant, file, text);
        expect(changed).not.toBe(text);
        expect(() => stripTypeScriptTypes(changed), file).not.toThrow();
      }
    },
  );

  it('cover every attack that another signer lets through, or say why it cannot steal here', () => {
    const covered = new Set(MUTANTS.flatMap(({ attackIds }) => attackIds));
    for (const id of LET_THROUGH) expect(covered.has(id) !== EXCUSED.has(id), id).toBe(true);
  });
});

describe('a stale mutant', () => {
  const mutant: Mutant = {
    id: 'stale',
    law: 1,
    attackIds: [],
    description: '',
    theft: '',
    edits: [{ file: 'a.ts', find: 'one', replace: 'two' }],
  };

  it('is an error, whether its text is gone or there twice', () => {
    expect(mutated(mutant, 'a.ts', 'just one')).toBe('just two');
    expect(() => mutated(mutant, 'a.ts', 'three')).toThrow(StaleMutantError);
    expect(() => mutated(mutant, 'a.ts', 'one one')).toThrow(StaleMutantError);
    expect(mutated(mutant, 'b.ts', 'one one')).toBe('one one');
  });
});
