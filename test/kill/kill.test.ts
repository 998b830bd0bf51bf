import { hsmdPath } from '@countersign/cli';
import { describe, expect, it } from 'vitest';
import { killRounds } from './rounds.ts';

const SECONDS = 1_000;

describe('an hsmd killed at random moments', () => {
  it('gives the same replies again, and its store stays sound', { timeout: 300 * SECONDS }, async () => {
    const summary = await killRounds({ rounds: 6, seed: 20_241, hsmdPath: hsmdPath(undefined) });
    expect(summary.failures).toEqual([]);
    expect(summary.advanced).toBeGreaterThan(50);
    expect(summary.retried).toBeGreaterThan(10);
  });
});
