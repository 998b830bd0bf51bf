import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  concat,
  FormError,
  fromHex,
  loadSecp256k1,
  p2trScript,
  parseTransaction,
  sat,
  taprootKeySighash,
  taprootMidstate,
  taprootOutputKey,
  taprootPrivateKey,
  tapTweak,
  toHex,
  xOnlyKey,
} from '../src/index.ts';
import { hash32 } from './generators.ts';

interface Vectors {
  readonly scriptPubKey: readonly {
    readonly given: { readonly internalPubkey: string };
    readonly intermediary: {
      readonly merkleRoot: string | null;
      readonly tweak: string;
      readonly tweakedPubkey: string;
    };
    readonly expected: { readonly scriptPubKey: string };
  }[];
  readonly keyPathSpending: readonly {
    readonly given: {
      readonly rawUnsignedTx: string;
      readonly utxosSpent: readonly { readonly scriptPubKey: string; readonly amountSats: number }[];
    };
    readonly intermediary: Record<string, string>;
    readonly inputSpending: readonly {
      readonly given: {
        readonly txinIndex: number;
        readonly internalPrivkey: string;
        readonly merkleRoot: string | null;
        readonly hashType: number;
      };
      readonly intermediary: Record<'internalPubkey' | 'tweak' | 'tweakedPrivkey' | 'sigHash', string>;
      readonly expected: { readonly witness: readonly string[] };
    }[];
  }[];
}

const vectors = JSON.parse(
  readFileSync(new URL('./vectors/bip341.json', import.meta.url), 'utf8'),
) as Vectors;
const curve = loadSecp256k1();
const root = (hex: string | null) => (hex === null ? undefined : fromHex(hex));

describe('BIP 341 wallet vectors: output keys', () => {
  it.each(vectors.scriptPubKey)('internal key $given.internalPubkey', ({ given, intermediary, expected }) => {
    const internal = fromHex(given.internalPubkey);
    const merkleRoot = root(intermediary.merkleRoot);
    expect(toHex(tapTweak(internal, merkleRoot))).toBe(intermediary.tweak);
    const { outputKey } = taprootOutputKey(curve, internal, merkleRoot);
    expect(toHex(outputKey)).toBe(intermediary.tweakedPubkey);
    expect(toHex(p2trScript(outputKey))).toBe(expected.scriptPubKey);
  });
});

describe('BIP 341 wallet vectors: key path spending', () => {
  const spending = vectors.keyPathSpending[0]!;
  const tx = parseTransaction(fromHex(spending.given.rawUnsignedTx));
  const spent = spending.given.utxosSpent.map((utxo) => ({
    value: sat(utxo.amountSats),
    script: fromHex(utxo.scriptPubKey),
  }));
  const midstate = taprootMidstate(tx, spent);

  it('shared hashes', () => {
    expect(toHex(midstate.shaPrevouts())).toBe(spending.intermediary.hashPrevouts);
    expect(toHex(midstate.shaAmounts())).toBe(spending.intermediary.hashAmounts);
    expect(toHex(midstate.shaScripts())).toBe(spending.intermediary.hashScriptPubkeys);
    expect(toHex(midstate.shaSequences())).toBe(spending.intermediary.hashSequences);
    expect(toHex(midstate.shaOutputs())).toBe(spending.intermediary.hashOutputs);
    expect(midstate.shaOutputs()).toBe(midstate.shaOutputs());
  });

  it.each(spending.inputSpending)(
    'input $given.txinIndex with sighash type $given.hashType',
    ({ given, intermediary, expected }) => {
      const merkleRoot = root(given.merkleRoot);
      const internal = fromHex(given.internalPrivkey);
      expect(toHex(xOnlyKey(curve.publicKey(internal)))).toBe(intermediary.internalPubkey);
      const key = taprootPrivateKey(curve, internal, merkleRoot);
      expect(toHex(key)).toBe(intermediary.tweakedPrivkey);
      const hash = taprootKeySighash(midstate, given.txinIndex, given.hashType);
      expect(toHex(hash)).toBe(intermediary.sigHash);
      const signature = curve.signSchnorr(hash, key, new Uint8Array(32));
      const type = given.hashType === 0 ? new Uint8Array(0) : Uint8Array.of(given.hashType);
      expect(toHex(concat(signature, type))).toBe(expected.witness[0]);
    },
  );
});

describe('taproot keys', () => {
  it('the private key belongs to the output key, for even and odd internal keys', () => {
    const parities = new Set<number>();
    fc.assert(
      fc.property(
        hash32.filter(curve.isPrivateKey),
        fc.option(hash32, { nil: undefined }),
        (key, merkleRoot) => {
          const publicKey = curve.publicKey(key);
          parities.add(publicKey[0]!);
          const copy = Uint8Array.from(key);
          const { outputKey, parity } = taprootOutputKey(curve, xOnlyKey(publicKey), merkleRoot);
          const output = curve.publicKey(taprootPrivateKey(curve, key, merkleRoot));
          expect(output).toEqual(concat(Uint8Array.of(2 + parity), outputKey));
          expect(key).toEqual(copy);
        },
      ),
    );
    expect(parities.size).toBe(2);
  });

  it('refuses what is no key and what is no Merkle root', () => {
    const x = xOnlyKey(curve.publicKey(new Uint8Array(32).fill(1)));
    expect(() => xOnlyKey(x)).toThrow(FormError);
    expect(() => xOnlyKey(concat(Uint8Array.of(4), x))).toThrow(FormError);
    expect(() => taprootOutputKey(curve, new Uint8Array(32).fill(0xff))).toThrow(FormError);
    expect(() => tapTweak(x, new Uint8Array(31))).toThrow(FormError);
    expect(() => tapTweak(x.slice(1))).toThrow(FormError);
    expect(() => taprootPrivateKey(curve, new Uint8Array(32))).toThrow(FormError);
  });
});
