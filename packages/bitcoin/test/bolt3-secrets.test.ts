/** BOLT 3 "Per-commitment Secret Requirements", "Efficient Per-commitment Secret Storage" and Appendix D. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  EMPTY_SECRET_STORE,
  equalBytes,
  FIRST_SECRET_INDEX,
  FormError,
  fromHex,
  generateFromSeed,
  insertSecret,
  lookupSecret,
  nextSecretIndex,
  perCommitmentSecret,
  type SecretEntry,
  type SecretStore,
  secretIndex,
  secretStoreFrom,
  toHex,
} from '../src/index.ts';

const filled = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);

describe('BOLT 3 Appendix D: Generation Tests', () => {
  it.each([
    [
      '0 final node',
      0x00,
      281474976710655n,
      '02a40c85b6f28da08dfdbe0926c53fab2de6d28c10301f8f7c4073d5e42e3148',
    ],
    [
      'FF final node',
      0xff,
      281474976710655n,
      '7cc854b54e3e0dcdb010d7a3fee464a9687be6e8db3be6854c475621e007a5dc',
    ],
    [
      'FF alternate bits 1',
      0xff,
      0xaaaaaaaaaaan,
      '56f4008fb007ca9acf0e15b054d5c9fd12ee06cea347914ddbaed70d1c13a528',
    ],
    [
      'FF alternate bits 2',
      0xff,
      0x555555555555n,
      '9015daaeb06dba4ccc05b91b2f73bd54405f2be9f217fbacd3c5ac2e62327d31',
    ],
    ['01 last nontrivial node', 0x01, 1n, '915c75942a26bb3a433a8ce2cb0427c29ec6c1775cfc78328b57f6ba7bfeaa9c'],
  ])('generate_from_seed %s', (_name, seedByte, index, output) => {
    expect(toHex(generateFromSeed(filled(seedByte), index))).toBe(output);
  });
});

const right = [
  '7cc854b54e3e0dcdb010d7a3fee464a9687be6e8db3be6854c475621e007a5dc',
  'c7518c8ae4660ed02894df8976fa1a3659c1a8b4b5bec0c4b872abeba4cb8964',
  '2273e227a5b7449b6e70f1fb4652864038b1cbf9cd7c043a7d6456b7fc275ad8',
  '27cddaa5624534cb6cb9d7da077cf2b22ab21e9b506fd4998a51d54502e99116',
  'c65716add7aa98ba7acb236352d665cab17345fe45b55fb879ff80e6bd0c41dd',
  '969660042a28f32d9be17344e09374b379962d03db1574df5a8a5a47e19ce3f2',
  'a5a64476122ca0925fb344bdc1854c1c0a59fc614298e50a33e331980a220f32',
  '05cde6323d949933f7f7b78776bcc1ea6d9b31447732e3802e1f7ac44b650e17',
];
const wrong = [
  '02a40c85b6f28da08dfdbe0926c53fab2de6d28c10301f8f7c4073d5e42e3148',
  'dddc3a8d14fddf2b68fa8c7fbad2748274937479dd0f8930d5ebb4ab6bd866a3',
  'c51a18b13e8527e579ec56365482c62f180b7d5760b46e9477dae59e87ed423a',
  'ba65d7b0ef55a3ba300d4e87af29868f394f8f138d78a7011669c79b37b936f4',
  '631373ad5f9ef654bb3dade742d09504c567edd24320d2fcd68e3cc47e2ff6a6',
  'b7e76a83668bde38b373970155c868a653304308f9896692f904a23731224bb1',
  'e7971de736e01da8ed58b94c2fc216cb1dca9e326f3a96e7194fe8ea8af6c0a3',
  'a7efbc61aac46d34f77778bac22c8a20c6a46ca460addc49009bda875ec88fa4',
];

/** Inserts secrets from the first index on; where it failed, or −1. */
function insertAll(secrets: readonly Uint8Array[]): { store: SecretStore; failedAt: number } {
  let store = EMPTY_SECRET_STORE;
  for (const [at, secret] of secrets.entries()) {
    const result = insertSecret(store, FIRST_SECRET_INDEX - BigInt(at), secret);
    if (!result.ok) return { store, failedAt: at };
    store = result.store;
  }
  return { store, failedAt: -1 };
}

describe('BOLT 3 Appendix D: Storage Tests', () => {
  // R: the published secret of the FF seed, W: the published incorrect one at that place.
  it.each([
    ['correct sequence', 'RRRRRRRR', -1],
    ['#1 incorrect', 'WR', 1],
    ['#2 incorrect (#1 derived from incorrect)', 'WWRR', 3],
    ['#3 incorrect', 'RRWR', 3],
    ['#4 incorrect (1,2,3 derived from incorrect)', 'WWWWRRRR', 7],
    ['#5 incorrect', 'RRRRWR', 5],
    ['#6 incorrect (5 derived from incorrect)', 'RRRRWWRR', 7],
    ['#7 incorrect', 'RRRRRRWR', 7],
    ['#8 incorrect', 'RRRRRRRW', 7],
  ])('insert_secret %s', (_name, pattern, failedAt) => {
    const secrets = Array.from(pattern, (letter, at) => fromHex((letter === 'R' ? right : wrong)[at]!));
    expect(insertAll(secrets).failedAt).toBe(failedAt);
  });
});

const seed = filled(0xa7);
const secretsFrom = (count: number): Uint8Array[] =>
  Array.from({ length: count }, (_, at) => perCommitmentSecret(seed, at));

describe('commitment numbers', () => {
  it('count down from 2^48 − 1', () => {
    expect(secretIndex(0)).toBe(281474976710655n);
    expect(secretIndex(281474976710655n)).toBe(0n);
    expect(perCommitmentSecret(seed, 281474976710655n)).toEqual(seed);
  });
  it.each([-1, -1n, 2 ** 48, 2n ** 48n, 0.5, Number.NaN, Number.POSITIVE_INFINITY])(
    'refuses %s',
    (number) => {
      expect(() => perCommitmentSecret(seed, number)).toThrow(FormError);
    },
  );
  it('refuses a seed that is not 32 bytes', () => {
    expect(() => generateFromSeed(seed.subarray(1), 0n)).toThrow(FormError);
  });
});

describe('secret store', () => {
  const all = secretsFrom(300);

  it('equals a naive store of everything received', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 300 }), (count) => {
        const { store, failedAt } = insertAll(all.slice(0, count));
        expect(failedAt).toBe(-1);
        for (let n = 0; n < 300; n++)
          expect(lookupSecret(store, secretIndex(n))).toEqual(n < count ? all[n] : null);
        expect(nextSecretIndex(store)).toBe(FIRST_SECRET_INDEX - BigInt(count));
        expect(store.entries.length).toBeLessThanOrEqual(49);
        expect(secretStoreFrom(structuredClone(store.entries) as SecretEntry[])).toEqual(store);
      }),
      { numRuns: 40 },
    );
  });
  it('notices any changed bit at the latest when its parent arrives', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 254 }), fc.integer({ min: 0, max: 255 }), (place, bit) => {
        const secrets = all.slice(0, 256).map((secret) => secret.slice());
        secrets[place]![bit >> 3]! ^= 1 << (bit & 7);
        expect(insertAll(secrets).failedAt).toBeGreaterThanOrEqual(place);
      }),
      { numRuns: 40 },
    );
  });
  it('accepts a known secret again and changes nothing', () => {
    const { store } = insertAll(all.slice(0, 7));
    for (let n = 0; n < 7; n++)
      expect(insertSecret(store, secretIndex(n), all[n]!)).toEqual({ ok: true, store });
  });
  it('refuses another secret under a known index', () => {
    const { store } = insertAll(all.slice(0, 7));
    for (let n = 0; n < 7; n++)
      expect(insertSecret(store, secretIndex(n), filled(1))).toMatchObject({
        ok: false,
        reason: 'does-not-chain',
      });
  });
  it('refuses a secret out of order and names the expected index', () => {
    const { store } = insertAll(all.slice(0, 3));
    const expectedIndex = secretIndex(3);
    for (const n of [4, 5, 300])
      expect(insertSecret(store, secretIndex(n), perCommitmentSecret(seed, n))).toEqual({
        ok: false,
        reason: 'out-of-order',
        expectedIndex,
      });
  });
  it('names the bucket that does not chain', () => {
    const { store } = insertAll(all.slice(0, 3));
    expect(insertSecret(store, secretIndex(3), filled(9))).toEqual({
      ok: false,
      reason: 'does-not-chain',
      bucket: 0,
    });
  });
  it('is a value: an insertion leaves the store it came from unchanged, also when the caller reuses its buffer', () => {
    const { store } = insertAll(all.slice(0, 5));
    const before = structuredClone(store);
    const buffer = all[5]!.slice();
    const next = insertSecret(store, secretIndex(5), buffer);
    buffer.fill(0);
    expect(store).toEqual(before);
    expect(next.ok && lookupSecret(next.store, secretIndex(5))).toEqual(all[5]);
  });
  it('holds the last secrets of all: index 1 and the seed itself', () => {
    // What 2^48 − 2 insertions leave: each bucket's lowest index is the power of two itself.
    const entries = Array.from({ length: 48 }, (_, b) => ({
      index: 1n << BigInt(b),
      secret: generateFromSeed(seed, 1n << BigInt(b)),
    }));
    const store = secretStoreFrom(entries);
    expect(nextSecretIndex(store)).toBe(0n);
    const full = insertSecret(store, 0n, seed);
    expect(full.ok && full.store.entries.length).toBe(49);
    expect(full.ok && nextSecretIndex(full.store)).toBe(-1n);
    expect(full.ok && lookupSecret(full.store, 0x1234_5678_9abcn)).toEqual(
      generateFromSeed(seed, 0x1234_5678_9abcn),
    );
    expect(insertSecret(store, 0n, filled(3))).toMatchObject({ ok: false, reason: 'does-not-chain' });
  });
  it('refuses wrong lengths and ranges as FormError', () => {
    expect(() => insertSecret(EMPTY_SECRET_STORE, FIRST_SECRET_INDEX, seed.subarray(1))).toThrow(FormError);
    expect(() => insertSecret(EMPTY_SECRET_STORE, FIRST_SECRET_INDEX + 1n, seed)).toThrow(FormError);
    expect(() => lookupSecret(EMPTY_SECRET_STORE, -1n)).toThrow(FormError);
  });
});

describe('secret store read back', () => {
  const { store } = insertAll(secretsFrom(13));
  const entries = store.entries;
  const replaced = (at: number, entry: Partial<SecretEntry>): SecretEntry[] =>
    entries.map((old, b) => (b === at ? { ...old, ...entry } : old));

  it('takes what insertions made', () => {
    expect(secretStoreFrom(entries)).toEqual(store);
    expect(secretStoreFrom([])).toEqual(EMPTY_SECRET_STORE);
  });
  it.each<[string, readonly SecretEntry[]]>([
    ['a missing bucket', entries.slice(0, -1)],
    ['an entry in the wrong bucket', [...entries.slice(1), entries[0]!]],
    ['an index whose secret is of another', replaced(0, { index: entries[0]!.index + 2n })],
    [
      'a right secret that a later insertion would have replaced',
      replaced(1, { index: entries[1]!.index + 4n, secret: generateFromSeed(seed, entries[1]!.index + 4n) }),
    ],
    ['an index below those received', replaced(0, { index: entries[0]!.index - 4n })],
    ['a child that does not derive from its parent', replaced(1, { secret: filled(1) })],
    ['a short secret', replaced(1, { secret: new Uint8Array(31) })],
    ['an index out of range', replaced(0, { index: -1n })],
    ['too many entries', Array.from({ length: 50 }, () => entries[0]!)],
  ])('refuses %s', (_name, broken) => {
    expect(() => secretStoreFrom(broken)).toThrow(FormError);
  });
  it('copies its input', () => {
    const mutable = entries.map(({ index, secret }) => ({ index, secret: secret.slice() }));
    const kept = secretStoreFrom(mutable);
    mutable[0]!.secret.fill(0);
    expect(equalBytes(kept.entries[0]!.secret, entries[0]!.secret)).toBe(true);
  });
});
