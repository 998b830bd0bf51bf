import { FormError, fromHex, loadSecp256k1, toHex } from '@countersign/bitcoin';
import { sha256 } from '@noble/hashes/sha2.js';
import { base58check } from '@scure/base';
import { HDKey } from '@scure/bip32';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  derivePrivateChild,
  derivePrivatePath,
  derivePublicChild,
  HARDENED,
  masterKey,
  serializePublic,
} from '../../src/keys/bip32.ts';
import { reveal } from '../../src/keys/secret.ts';

const secp = loadSecp256k1();
const XPUB = 0x0488b21e;
const base58 = base58check(sha256);

/** BIP 32 "Test Vectors" 1 to 4. */
const VECTORS: readonly [seed: string, chains: readonly [path: readonly number[], xpub: string][]][] = [
  [
    '000102030405060708090a0b0c0d0e0f',
    [
      [
        [],
        'xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8',
      ],
      [
        [HARDENED],
        'xpub68Gmy5EdvgibQVfPdqkBBCHxA5htiqg55crXYuXoQRKfDBFA1WEjWgP6LHhwBZeNK1VTsfTFUHCdrfp1bgwQ9xv5ski8PX9rL2dZXvgGDnw',
      ],
      [
        [HARDENED, 1],
        'xpub6ASuArnXKPbfEwhqN6e3mwBcDTgzisQN1wXN9BJcM47sSikHjJf3UFHKkNAWbWMiGj7Wf5uMash7SyYq527Hqck2AxYysAA7xmALppuCkwQ',
      ],
      [
        [HARDENED, 1, HARDENED + 2, 2, 1000000000],
        'xpub6H1LXWLaKsWFhvm6RVpEL9P4KfRZSW7abD2ttkWP3SSQvnyA8FSVqNTEcYFgJS2UaFcxupHiYkro49S8yGasTvXEYBVPamhGW6cFJodrTHy',
      ],
    ],
  ],
  [
    'fffcf9f6f3f0edeae7e4e1dedbd8d5d2cfccc9c6c3c0bdbab7b4b1aeaba8a5a29f9c999693908d8a8784817e7b7875726f6c696663605d5a5754514e4b484542',
    [
      [
        [0, HARDENED + 2147483647, 1, HARDENED + 2147483646, 2],
        'xpub6FnCn6nSzZAw5Tw7cgR9bi15UV96gLZhjDstkXXxvCLsUXBGXPdSnLFbdpq8p9HmGsApME5hQTZ3emM2rnY5agb9rXpVGyy3bdW6EEgAtqt',
      ],
    ],
  ],
  [
    '4b381541583be4423346c643850da4b320e46a87ae3d2a4e6da11eba819cd4acba45d239319ac14f863b8d5ab5a0d0c64d2e8a1e7d1457df2e5a3c51c73235be',
    [
      [
        [HARDENED],
        'xpub68NZiKmJWnxxS6aaHmn81bvJeTESw724CRDs6HbuccFQN9Ku14VQrADWgqbhhTHBaohPX4CjNLf9fq9MYo6oDaPPLPxSb7gwQN3ih19Zm4Y',
      ],
    ],
  ],
  [
    '3ddd5602285899a946114506157c7997e5444528f3003f6134712147db19b678',
    [
      [
        [HARDENED, HARDENED + 1],
        'xpub6BJA1jSqiukeaesWfxe6sNK9CCGaujFFSJLomWHprUL9DePQ4JDkM5d88n49sMGJxrhpjazuXYWdMf17C9T5XnxkopaeS7jGk1GyyVziaMt',
      ],
    ],
  ],
];

const index = fc.integer({ min: 0, max: HARDENED - 1 });
const anyIndex = fc.integer({ min: 0, max: 0xffff_ffff });

describe('BIP 32', () => {
  it.each(VECTORS)('test vectors of seed %s', (seed, chains) => {
    for (const [path, xpub] of chains) {
      const node = derivePrivatePath(secp, masterKey(secp, fromHex(seed)), path);
      expect(base58.encode(serializePublic(node.publicNode, XPUB))).toBe(xpub);
    }
  });

  it('agrees with @scure/bip32 along any path', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 16, maxLength: 64 }),
        fc.array(anyIndex, { maxLength: 4 }),
        (seed, path) => {
          const ours = derivePrivatePath(secp, masterKey(secp, seed), path);
          let theirs = HDKey.fromMasterSeed(seed);
          for (const step of path) theirs = theirs.deriveChild(step);
          expect(toHex(reveal(ours.privateKey))).toBe(toHex(theirs.privateKey!));
          expect(base58.encode(serializePublic(ours.publicNode, XPUB))).toBe(theirs.publicExtendedKey);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('public and private derivation meet', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), index, index, (seed, first, second) => {
        const master = masterKey(secp, seed);
        const there = derivePrivatePath(secp, master, [first, second]).publicNode;
        const here = derivePublicChild(secp, derivePublicChild(secp, master.publicNode, first), second);
        expect(here).toEqual(there);
      }),
      { numRuns: 25 },
    );
  });

  it('wipes the keys between, and only those', () => {
    const master = masterKey(secp, new Uint8Array(32).fill(1));
    const child = derivePrivatePath(secp, master, [HARDENED, 1]);
    expect(master.privateKey.isWiped).toBe(false);
    expect(child.privateKey.isWiped).toBe(false);
    expect(derivePrivatePath(secp, master, [])).toBe(master);
  });

  it('refuses indices out of range and hardened public children', () => {
    const master = masterKey(secp, new Uint8Array(32).fill(1));
    for (const bad of [-1, 0.5, Number.NaN, 0x1_0000_0000]) {
      expect(() => derivePrivateChild(secp, master, bad)).toThrow(FormError);
    }
    for (const bad of [-1, 0.5, HARDENED, 0xffff_ffff]) {
      expect(() => derivePublicChild(secp, master.publicNode, bad)).toThrow(FormError);
    }
    const deep = { ...master, publicNode: { ...master.publicNode, depth: 255 } };
    expect(() => derivePrivateChild(secp, deep, 0)).toThrow(FormError);
  });
});
