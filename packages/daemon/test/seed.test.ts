/** The seed at rest: what is sealed opens with its passphrase and with nothing else, and no byte of the file can be changed. */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { newHsmSecret } from '@countersign/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DaemonError } from '../src/error.ts';
import { createSeedFile, readSeedFile, replaceSeedFile } from '../src/seed/file.ts';
import {
  openSeed,
  readSeedFacts,
  SEED_COST,
  SEED_FILE_BYTES_MAX,
  type SeedSecret,
  sealSeed,
  wipeSeed,
} from '../src/seed/format.ts';
import { changePassphrase, newSeed, writeSeed } from '../src/seed/new-seed.ts';
import { bytes, keyOf, plainSecret, QUICK, random, regtest, secp, temporaryDirectory } from './support.ts';

const facts = { nodeId: keyOf('node'), chainHash: regtest.chainHash };
const right = bytes('correct horse');
const place = { secp, randomBytes: random, cost: QUICK };

const sealed = (secret: SeedSecret, passphrase = right): Promise<Uint8Array> =>
  sealSeed({ facts, secret, passphrase, cost: QUICK, randomBytes: random });

async function codeOf(action: Promise<unknown>): Promise<string> {
  const error = await action.then(
    () => null,
    (reason: unknown) => reason,
  );
  return error instanceof DaemonError ? error.code : `no DaemonError: ${String(error)}`;
}

describe('a sealed seed', () => {
  it('opens as what it was, for any secret and any passphrase', () =>
    fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 1, maxLength: 300 }),
        fc.option(fc.uint8Array({ maxLength: 100 })),
        fc.uint8Array({ minLength: 1, maxLength: 60 }),
        async (hsmSecret, passphrase, key) => {
          const file = await sealed({ hsmSecret, passphrase }, key);
          expect(await openSeed(file, key)).toEqual({ hsmSecret, passphrase });
        },
      ),
      { numRuns: 50 },
    ));

  it('tells whose it is without the passphrase, and shows nothing else', async () => {
    const file = await sealed(plainSecret(0x42));
    expect(readSeedFacts(file)).toEqual(facts);
    expect(Buffer.from(file).includes(Buffer.alloc(8, 0x42))).toBe(false);
  });

  it('costs what it should: 128 MiB', async () => {
    expect(128 * 2 ** SEED_COST.log2N * SEED_COST.r).toBe(128 * 1024 * 1024);
    const file = await sealSeed({ facts, secret: plainSecret(1), passphrase: right, randomBytes: random });
    expect([...file.subarray(17, 20)]).toEqual([17, 8, 1]);
    expect(await openSeed(file, right)).toEqual(plainSecret(1));
  });

  it('has a salt and a nonce of its own each time', async () => {
    const [one, other] = await Promise.all([sealed(plainSecret(1)), sealed(plainSecret(1))]);
    expect(Buffer.from(one!.subarray(85)).equals(other!.subarray(85))).toBe(false);
  });

  it.each(['', 'correct hors', 'correct horse ', 'Correct horse'])(
    'does not open with "%s"',
    async (text) => {
      expect(await codeOf(openSeed(await sealed(plainSecret(1)), bytes(text)))).toBe('seed-wrong-passphrase');
    },
  );

  it('does not open with any one bit changed', async () => {
    const file = await sealed(plainSecret(1));
    for (let at = 0; at < file.length; at++) {
      const changed = Uint8Array.from(file);
      changed[at]! ^= 1 << (at % 8);
      // What costs too much is another test; here no memory is wasted on it.
      if (at >= 17 && at < 20) continue;
      expect(await codeOf(openSeed(changed, right))).toMatch(
        /^seed-(file-invalid|file-newer|wrong-passphrase)$/,
      );
    }
  });

  it('does not open shortened, lengthened, or as something else', async () => {
    const file = await sealed(plainSecret(1));
    for (const length of [0, 5, 16, 17, 20, 160, file.length - 1]) {
      expect(await codeOf(openSeed(file.subarray(0, length), right))).toBe('seed-file-invalid');
    }
    expect(await codeOf(openSeed(Buffer.concat([file, Buffer.alloc(1)]), right))).toBe('seed-file-invalid');
    const long = Buffer.concat([file, Buffer.alloc(SEED_FILE_BYTES_MAX)]);
    expect(await codeOf(openSeed(long, right))).toBe('seed-file-invalid');
    expect(await codeOf(openSeed(new Uint8Array(32), right))).toBe('seed-file-invalid');
  });

  it('of a newer release is told as such', async () => {
    const file = await sealed(plainSecret(1));
    file[16] = 2;
    expect(await codeOf(openSeed(file, right))).toBe('seed-file-newer');
    file[16] = 0;
    expect(await codeOf(openSeed(file, right))).toBe('seed-file-invalid');
  });

  it.each([
    [31, 8, 1],
    [24, 8, 1],
    [17, 255, 1],
    [17, 8, 5],
    [0, 8, 1],
    [17, 0, 1],
    [17, 8, 0],
    // RFC 7914, section 2: N is below 2^(128 * r / 8).
    [16, 1, 1],
  ])('that asks for N = 2^%i, r = %i, p = %i is refused before any of it is taken', async (...cost) => {
    const file = await sealed(plainSecret(1));
    file.set(cost, 17);
    // Work of such a size is done beside this thread, and takes longer than a turn of its event loop.
    const nextTurn = new Promise<string>((resolve) => void setImmediate(resolve, 'some of it was taken'));
    expect(await Promise.race([codeOf(openSeed(file, right)), nextTurn])).toBe('seed-file-invalid');
  });

  it('takes no secret longer than one can be', async () => {
    const secret = { hsmSecret: new Uint8Array(5000), passphrase: null };
    expect(await codeOf(sealed(secret))).toBe('seed-file-invalid');
  });

  it('is wiped with its own passphrase', () => {
    const secret = { hsmSecret: new Uint8Array(3).fill(1), passphrase: new Uint8Array(2).fill(1) };
    wipeSeed(secret);
    expect([...secret.hsmSecret, ...secret.passphrase]).toEqual([0, 0, 0, 0, 0]);
  });
});

describe('the file', () => {
  it('is made once, for its owner only, and replaced in one step', () => {
    const path = join(temporaryDirectory(), 'seed');
    createSeedFile(path, bytes('one'));
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(() => createSeedFile(path, bytes('two'))).toThrow(/exists already: it is never overwritten/);
    expect(readFileSync(path, 'utf8')).toBe('one');
    writeFileSync(`${path}.new`, 'left by a process that was killed');
    replaceSeedFile(path, bytes('three'));
    expect(readFileSync(path, 'utf8')).toBe('three');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(existsSync(`${path}.new`)).toBe(false);
  });

  it('is read no further than a seed file goes', () => {
    const path = join(temporaryDirectory(), 'seed');
    writeFileSync(path, new Uint8Array(1_000_000));
    expect(readSeedFile(path).length).toBe(SEED_FILE_BYTES_MAX + 1);
  });

  it('says what stands in the way', () => {
    const nowhere = join(temporaryDirectory(), 'nowhere', 'seed');
    expect(() => createSeedFile(nowhere, bytes('x'))).toThrow(/cannot create .*ENOENT/);
    expect(() => replaceSeedFile(nowhere, bytes('x'))).toThrow(/cannot replace .*ENOENT/);
    expect(() => readSeedFile(nowhere)).toThrow(/cannot read .*ENOENT/);
  });
});

describe('a seed for a signer', () => {
  it('is new: twelve words that give the same node in CLN', async () => {
    const { secret, words } = newSeed(place);
    expect(words).toHaveLength(12);
    expect(new TextDecoder().decode(secret.hsmSecret.subarray(32))).toBe(words.join(' '));
    const path = join(temporaryDirectory(), 'deep', 'er', 'seed');
    const nodeId = await writeSeed(place, { path, network: regtest, secret, passphrase: right });
    expect(readSeedFacts(readSeedFile(path))).toEqual({ nodeId, chainHash: regtest.chainHash });
    expect(await openSeed(readSeedFile(path), right)).toEqual(secret);
  });

  it('may be one with a passphrase of its own', async () => {
    const own = bytes('of the words');
    const secret = { hsmSecret: newHsmSecret(new Uint8Array(16).fill(7), own), passphrase: own };
    const path = join(temporaryDirectory(), 'seed');
    await writeSeed(place, { path, network: regtest, secret, passphrase: right });
    expect(await openSeed(readSeedFile(path), right)).toEqual(secret);
  });

  it('may be an LDK node’s: 32 bytes, and another node than Core Lightning makes of them', async () => {
    const directory = temporaryDirectory();
    const write = (keyStyle: 'cln' | 'ldk', secret: SeedSecret): Promise<Uint8Array> =>
      writeSeed(place, {
        path: join(directory, keyStyle),
        network: regtest,
        keyStyle,
        secret,
        passphrase: right,
      });
    const nodeId = await write('ldk', plainSecret(3));
    expect(nodeId).not.toEqual(await write('cln', plainSecret(3)));
    expect(await openSeed(readSeedFile(join(directory, 'ldk')), right)).toEqual(plainSecret(3));
    const words = newSeed(place).secret;
    expect(
      await codeOf(
        writeSeed(place, {
          path: join(directory, 'x'),
          network: regtest,
          keyStyle: 'ldk',
          secret: words,
          passphrase: right,
        }),
      ),
    ).toBe('seed-file-invalid');
    expect(existsSync(join(directory, 'x'))).toBe(false);
  });

  it('that does not open is not written', async () => {
    const path = join(temporaryDirectory(), 'seed');
    const own = bytes('of the words');
    const hsmSecret = newHsmSecret(new Uint8Array(16).fill(7), own);
    const secret = { hsmSecret, passphrase: bytes('other words') };
    await expect(writeSeed(place, { path, network: regtest, secret, passphrase: right })).rejects.toThrow();
    expect(existsSync(path)).toBe(false);
  });

  it('gets another passphrase, and the old one is worth nothing', async () => {
    const directory = temporaryDirectory();
    const path = join(directory, 'seed');
    await writeSeed(place, { path, network: regtest, secret: plainSecret(3), passphrase: right });
    const before = readFileSync(path);
    const next = bytes('another');
    expect(await codeOf(changePassphrase(place, path, { old: next, next }))).toBe('seed-wrong-passphrase');
    expect(readFileSync(path)).toEqual(before);
    await changePassphrase(place, path, { old: right, next });
    const file = readSeedFile(path);
    expect(await codeOf(openSeed(file, right))).toBe('seed-wrong-passphrase');
    expect(await openSeed(file, next)).toEqual(plainSecret(3));
    expect(readdirSync(directory)).toEqual(['seed']);
  });
});
