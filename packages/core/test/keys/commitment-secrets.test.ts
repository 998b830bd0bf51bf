/** Per-commitment secrets by way of what is kept of them are those of BOLT 3, in any order, and none outlives a wipe. */
import { perCommitmentSecret } from '@countersign/bitcoin';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CommitmentSecrets } from '../../src/keys/commitment-secrets.ts';
import { Secret } from '../../src/keys/secret.ts';

const LAST = 2 ** 48 - 1;

describe('the secrets of a channel’s commitments', () => {
  it('are those from the seed, whatever was asked before', () => {
    const number = fc.oneof(
      fc.integer({ min: 0, max: 700 }),
      fc.integer({ min: LAST - 700, max: LAST }),
      fc.maxSafeNat().map((n) => n % LAST),
    );
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.array(number), (seed, numbers) => {
        const secrets = new CommitmentSecrets(Secret.copy(seed, 32));
        for (const n of numbers) expect(secrets.derive(n)).toEqual(perCommitmentSecret(seed, n));
      }),
    );
  });

  it('end with the seed', () => {
    const seed = Secret.copy(new Uint8Array(32).fill(3), 32);
    const secrets = new CommitmentSecrets(seed);
    const before = secrets.derive(5);
    secrets.wipe();
    expect(secrets.derive(5)).toEqual(before);
    secrets.wipe();
    secrets.wipe();
    seed.wipe();
    expect(() => secrets.derive(5)).toThrow(/wiped/);
  });

  it('are a caller’s own to wipe, and of numbers that commitments have', () => {
    const secrets = new CommitmentSecrets(Secret.copy(new Uint8Array(32).fill(3), 32));
    const first = secrets.derive(7);
    first.fill(0);
    expect(secrets.derive(7)).not.toEqual(first);
    expect(() => secrets.derive(-1)).toThrow(/out of range/);
    expect(() => secrets.derive(2 ** 48)).toThrow(/out of range/);
  });
});
