/** Finding the key that owns a script: the wallet's own, and those of an operator's extended public keys. */
import {
  FormError,
  hash160,
  keyScripts,
  p2pkhScript,
  p2wpkhOfKey,
  sha256,
  toHex,
} from '@countersign/bitcoin';
import { base58check } from '@scure/base';
import { HDKey } from '@scure/bip32';
import { describe, expect, it } from 'vitest';
import { ExtendedKeyScripts, parseExtendedPublicKey } from '../../src/keys/extended-key.ts';
import { ScriptIndex } from '../../src/keys/script-index.ts';
import { bytesOf, ringOf, secp } from '../test-signer.ts';

const base58 = base58check(sha256);
const scriptAt = (index: number) => p2wpkhOfKey(secp.publicKey(bytesOf(`key ${index}`)));

describe('a script index', () => {
  it('answers by script and bound alone, whatever was asked before', () => {
    const fresh = () => new ScriptIndex((index) => [scriptAt(index)]);
    const used = fresh();
    const questions = [5, 0, 20, 7, 3, 20, 19].flatMap((at) =>
      [0, 4, 5, 19, 20, 30].map((max) => [at, max] as const),
    );
    for (const [at, max] of questions) {
      const answer = at <= max ? at : null;
      expect(used.find(scriptAt(at), max)).toBe(answer);
      expect(fresh().find(scriptAt(at), max)).toBe(answer);
    }
  });

  it('derives no further than it must, and each key once', () => {
    const derived: number[] = [];
    const index = new ScriptIndex((at) => {
      derived.push(at);
      return [scriptAt(at)];
    });
    expect(index.find(scriptAt(2), 100)).toBe(2);
    expect(index.find(scriptAt(1), 100)).toBe(1);
    expect(derived).toEqual([0, 1, 2]);
    expect(index.find(new Uint8Array(35), 100)).toBeNull();
    expect(index.find(new Uint8Array(22), 4)).toBeNull();
    expect(derived).toEqual([0, 1, 2, 3, 4]);
  });

  it('names the lowest index of a script that occurs twice, and passes over an index without a key', () => {
    const index = new ScriptIndex((at) => {
      if (at === 1) throw new FormError('no key');
      if (at === 9) throw new Error('broken');
      return [scriptAt(at % 5)];
    });
    expect(index.find(scriptAt(0), 8)).toBe(0);
    expect(index.find(scriptAt(1), 8)).toBe(6);
    expect(() => index.find(scriptAt(77), 9)).toThrow('broken');
  });

  it('knows the three scripts of a wallet key', () => {
    for (const kind of ['plain', 'mnemonic'] as const) {
      const ring = ringOf('script index', kind);
      for (const index of [0, 1, 30]) {
        for (const script of keyScripts(secp, ring.walletPublicKey(index))) {
          expect(ring.walletIndexOf(script, 30)).toBe(index);
          expect(ring.walletIndexOf(script, index - 1)).toBeNull();
        }
        expect(ring.walletIndexOf(p2pkhScript(hash160(ring.walletPublicKey(index))), 30)).toBeNull();
      }
    }
  });
});

describe('extended public keys', () => {
  const VERSION = 0x0488b21e;
  const master = HDKey.fromMasterSeed(bytesOf('extended'));
  const text = master.publicExtendedKey;
  const bytes = base58.decode(text);
  const changed = (at: number, value: number) => base58.encode(bytes.with(at, value));

  it('are read as BIP 32 writes them', () => {
    const key = parseExtendedPublicKey(secp, text, VERSION)!;
    expect(toHex(key.publicKey)).toBe(toHex(master.publicKey!));
    expect(toHex(key.chainCode)).toBe(toHex(master.chainCode!));
    const child = parseExtendedPublicKey(secp, master.deriveChild(7).publicExtendedKey, VERSION)!;
    expect(child).toMatchObject({ depth: 1, childNumber: 7 });
    expect(toHex(child.parentFingerprint)).toBe(toHex(hash160(master.publicKey!).subarray(0, 4)));
  });

  it.each([
    ['of another network', changed(3, 0x1f)],
    ['a private one', master.privateExtendedKey],
    [
      'no point on the curve',
      base58.encode(Uint8Array.from([...bytes.subarray(0, 45), 2, ...new Uint8Array(31), 5])),
    ],
    ['a wrong checksum', `${text.slice(0, -1)}${text.endsWith('1') ? '2' : '1'}`],
    ['another length', base58.encode(bytes.subarray(1))],
    ['no base58', 'xpub0OIl'],
    ['far too long', 'x'.repeat(113)],
    ['nothing', ''],
  ])('are null for %s', (_, given) => {
    expect(parseExtendedPublicKey(secp, given, VERSION)).toBeNull();
    expect(new ExtendedKeyScripts(secp, VERSION).owns(given, scriptAt(0), 5)).toBe(false);
  });

  it('own the four scripts of the keys of their first two branches', () => {
    const scripts = new ExtendedKeyScripts(secp, VERSION);
    for (const [branch, index] of [
      [0, 0],
      [0, 9],
      [1, 3],
    ] as const) {
      const key = master.deriveChild(branch).deriveChild(index).publicKey!;
      for (const script of [...keyScripts(secp, key), p2pkhScript(hash160(key))]) {
        expect(scripts.owns(text, script, index)).toBe(true);
        expect(scripts.owns(text, script, index - 1)).toBe(false);
      }
    }
    const third = master.deriveChild(2).deriveChild(0).publicKey!;
    expect(scripts.owns(text, p2wpkhOfKey(third), 9)).toBe(false);
    // So deep that it has no grandchildren.
    expect(scripts.owns(changed(4, 254), p2wpkhOfKey(third), 9)).toBe(false);
    expect(
      scripts.owns(changed(4, 253), p2wpkhOfKey(master.deriveChild(0).deriveChild(0).publicKey!), 9),
    ).toBe(true);
  });

  it('answer the same for more keys than are kept', () => {
    const scripts = new ExtendedKeyScripts(secp, VERSION);
    const keys = Array.from({ length: 20 }, (_, i) => HDKey.fromMasterSeed(bytesOf(`wallet ${i}`)));
    for (let round = 0; round < 2; round++) {
      for (const key of keys) {
        const script = p2wpkhOfKey(key.deriveChild(1).deriveChild(1).publicKey!);
        expect(scripts.owns(key.publicExtendedKey, script, 1)).toBe(true);
        expect(scripts.owns(text, script, 1)).toBe(false);
      }
    }
  });
});
