/** The gate's properties are tried with the same cases every time; others are asked for by their seed. */
import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SEED_VARIABLE, seedFrom } from './seed.ts';

describe('the seed of properties', () => {
  it('is what every property begins with', () => {
    const tried = (): number[] => {
      const values: number[] = [];
      fc.assert(fc.property(fc.integer(), (value) => void values.push(value)));
      return values;
    };
    expect(fc.readConfigureGlobal().seed).toBe(seedFrom(process.env[SEED_VARIABLE]));
    expect(tried()).toEqual(tried());
  });

  it('is one number unless another is asked for', () => {
    expect(seedFrom(undefined)).toBe(seedFrom(undefined));
    expect(seedFrom('0')).toBe(0);
    expect(seedFrom('2147483647')).toBe(2 ** 31 - 1);
  });

  it.each(['', 'soon', '1.5', '0x10', '1e3', '2147483648', '-1', '99999999999'])('is not "%s"', (text) => {
    expect(() => seedFrom(text)).toThrow(RangeError);
  });
});

describe('npm run test:properties', () => {
  const run = (...args: string[]): string =>
    execFileSync(process.execPath, ['test/properties/run.ts', ...args], { encoding: 'utf8', stdio: 'pipe' });

  it('tries each seed once', () => {
    const said = run('--rounds', '2', '--seed', '6', 'packages/bitcoin/test/platform.test.ts');
    expect(said).toContain('round 1 of 2, --seed 6: 1 files');
    expect(said).toContain('round 2 of 2, --seed 7: 1 files');
    expect(said).toContain('2 rounds, every property held');
  });

  it('ends with 1 at a round that fails, and with 2 at what it does not understand', () => {
    expect(() => run('--rounds', '1', 'no/such.test.ts')).toThrow(expect.objectContaining({ status: 1 }));
    expect(() => run('--rounds', 'many')).toThrow(expect.objectContaining({ status: 2 }));
    expect(() => run('--seed', 'soon')).toThrow(expect.objectContaining({ status: 2 }));
  });
});
