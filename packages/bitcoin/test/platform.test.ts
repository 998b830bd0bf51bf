/** The browser's twins of what Node.js gives: the same hashes, and no native curve. */
import { createHash, pbkdf2Sync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CountersignError, pbkdf2Sha512 } from '../src/index.ts';
import * as noble from '../src/platform/hashing-noble.ts';
import * as openssl from '../src/platform/hashing-openssl.ts';
import { loadSecp256k1, openSecp256k1 } from '../src/platform/no-native.ts';
import { bytes } from './generators.ts';

const plain = (data: Uint8Array) => new Uint8Array(data);

describe('hashes', () => {
  it.each(['sha256', 'sha512', 'ripemd160'] as const)('%s of any bytes', (algorithm) => {
    fc.assert(
      fc.property(bytes(0, 300), (data) => {
        const expected = plain(createHash(algorithm).update(data).digest());
        expect(openssl.digest(algorithm, data)).toEqual(expected);
        expect(noble.digest(algorithm, data)).toEqual(expected);
        expect(openssl.publicDigest(algorithm, data)).toEqual(expected);
        expect(noble.publicDigest(algorithm, data)).toEqual(expected);
      }),
    );
  });

  it('PBKDF2, and no input is changed', () => {
    fc.assert(
      fc.property(bytes(0, 200), bytes(0, 40), fc.integer({ min: 1, max: 8 }), (password, salt, count) => {
        const before = [password.slice(), salt.slice()];
        const expected = plain(pbkdf2Sync(password, salt, count, 64, 'sha512'));
        expect(pbkdf2Sha512(password, salt, count)).toEqual(expected);
        expect(noble.pbkdf2Sha512(password, salt, count)).toEqual(expected);
        expect([password, salt]).toEqual(before);
      }),
    );
  });
});

describe('the native curve in a browser', () => {
  it.each([
    ['load', () => loadSecp256k1()],
    ['open', () => openSecp256k1(() => ({}))],
  ])('%s: refused, with the name of the backend to take', (_name, call) => {
    expect(call).toThrow(CountersignError);
    expect(call).toThrow(expect.objectContaining({ code: 'crypto-unavailable' }));
    expect(call).toThrow(/@countersign\/bitcoin\/wasm/);
  });
});
