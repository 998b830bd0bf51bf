import { Transaction as BitcoinjsTransaction } from 'bitcoinjs-lib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  encodeScriptSignature,
  FormError,
  fromHex,
  isSighashType,
  loadSecp256k1,
  p2pkhScript,
  parseTransaction,
  SIGHASH,
  sat,
  segwitV0Midstate,
  segwitV0Sighash,
  serializeTransaction,
  taprootKeySighash,
  taprootMidstate,
  toHex,
} from '../src/index.ts';
import { amount, bytes, script, transaction } from './generators.ts';

const curve = loadSecp256k1();
const TYPES = [0x01, 0x02, 0x03, 0x81, 0x82, 0x83];
const plain = (b: Uint8Array): Uint8Array => Uint8Array.from(b);

describe('BIP 143 examples', () => {
  it('Native P2WPKH', () => {
    const tx = parseTransaction(
      fromHex(
        '0100000002fff7f7881a8099afa6940d42d1e7f6362bec38171ea3edf433541db4e4ad969f0000000000eeffffffef51e1b804cc89d182d279655c3aa89e815b1b309fe287d9b2b55d57b90ec68a0100000000ffffffff02202cb206000000001976a9148280b37df378db99f66f85c95a783a76ac7a6d5988ac9093510d000000001976a9143bde42dbee7e4dbe6a21b2d50ce2f0167faa815988ac11000000',
      ),
    );
    const scriptCode = p2pkhScript(fromHex('1d0f172a0ecb48aee1be1f2687d2963ae33f71a1'));
    const hash = segwitV0Sighash(tx, 1, scriptCode, sat(600_000_000));
    expect(toHex(hash)).toBe('c37af31116d1b27caf68aae9e3ac82f1477929014d5b917657d0eb49478cb670');
    const key = fromHex('619c335025c7f4012e556c2a58b2506e30b8511b53ade95ea316fd8c3286feb9');
    expect(toHex(encodeScriptSignature(curve.signEcdsa(hash, key), SIGHASH.ALL))).toBe(
      '304402203609e17b84f6a7d30c80bfa610b5b4542f32a8a0d5447a12fb1366d7f01cc44a0220573a954c4518331561406f90300e8f3358f51928d43c212a8caed02de67eebee01',
    );
  });

  const witnessScript = fromHex(
    '56210307b8ae49ac90a048e9b53357a2354b3334e9c8bee813ecb98e99a7e07e8c3ba32103b28f0c28bfab54554ae8c658ac5c3e0ce6e79ad336331f78c428dd43eea8449b21034b8113d703413d57761b8b9781957b8c0ac1dfe69f492580ca4195f50376ba4a21033400f6afecb833092a9a21cfdf1ed1376e58c5d1f47de74683123987e967a8f42103a6d48b1131e94ba04d9737d61acdaa1322008af9602b3b14862c07a1789aac162102d8b661b0b3302ee2f162b09e07a55ad5dfbe673a9f01d9f0c19617681024306b56ae',
  );
  const p2wsh = parseTransaction(
    fromHex(
      '010000000136641869ca081e70f394c6948e8af409e18b619df2ed74aa106c1ca29787b96e0100000000ffffffff0200e9a435000000001976a914389ffce9cd9ae88dcc0631e88a821ffdbe9bfe2688acc0832f05000000001976a9147480a33f950689af511e6e84c138dbbd3c3ee41588ac00000000',
    ),
  );
  it.each([
    [0x01, '185c0be5263dce5b4bb50a047973c1b6272bfbd0103a89444597dc40b248ee7c'],
    [0x02, 'e9733bc60ea13c95c6527066bb975a2ff29a925e80aa14c213f686cbae5d2f36'],
    [0x03, '1e1f1c303dc025bd664acb72e583e933fae4cff9148bf78c157d1e8f78530aea'],
    [0x81, '2a67f03e63a6a422125878b40b82da593be8d4efaafe88ee528af6e5a9955c6e'],
    [0x82, '781ba15f3779d5542ce8ecb5c18716733a5ee42a6f51488ec96154934e2c890a'],
    [0x83, '511e8e52ed574121fc1b654970395502128263f62662e076dc6baf05c2e6a99b'],
  ])('P2SH-P2WSH with sighash type %i', (type, expected) => {
    expect(toHex(segwitV0Sighash(p2wsh, 0, witnessScript, sat(987_654_321), type))).toBe(expected);
  });
});

describe('against bitcoinjs', () => {
  it('BIP 143, every input and type, from one midstate', () => {
    fc.assert(
      fc.property(transaction, script, amount, (tx, scriptCode, value) => {
        const oracle = BitcoinjsTransaction.fromBuffer(serializeTransaction(tx));
        const midstate = segwitV0Midstate(tx);
        for (const type of TYPES) {
          for (const index of tx.inputs.keys()) {
            const expected = plain(oracle.hashForWitnessV0(index, scriptCode, value, type));
            expect(segwitV0Sighash(midstate, index, scriptCode, value, type)).toEqual(expected);
            expect(segwitV0Sighash(tx, index, scriptCode, value, type)).toEqual(expected);
          }
        }
      }),
    );
  });

  it('BIP 341 key path, every input and type', () => {
    // bitcoinjs refuses to sign for no outputs, and takes every spent script to have P2TR's 34 bytes.
    const p2trOutput = fc.record({ value: amount, script: bytes(34) });
    const withSpent = transaction
      .filter((tx) => tx.outputs.length > 0)
      .chain((tx) =>
        fc.tuple(
          fc.constant(tx),
          fc.array(p2trOutput, { minLength: tx.inputs.length, maxLength: tx.inputs.length }),
        ),
      );
    fc.assert(
      fc.property(withSpent, ([tx, spent]) => {
        const oracle = BitcoinjsTransaction.fromBuffer(serializeTransaction(tx));
        const scripts = spent.map((o) => o.script);
        const values = spent.map((o) => o.value);
        const midstate = taprootMidstate(tx, spent);
        for (const type of [0, ...TYPES]) {
          for (const index of tx.inputs.keys()) {
            if ((type & 3) === SIGHASH.SINGLE && index >= tx.outputs.length) {
              expect(() => taprootKeySighash(midstate, index, type)).toThrow(FormError);
              continue;
            }
            const expected = plain(oracle.hashForWitnessV1(index, scripts, values, type));
            expect(taprootKeySighash(midstate, index, type)).toEqual(expected);
          }
        }
      }),
    );
  });
});

describe('refusals', () => {
  const tx = parseTransaction(
    fromHex(`0200000001${'11'.repeat(32)}0000000000ffffffff0101000000000000000000000000`),
  );
  const spent = [{ value: sat(1), script: new Uint8Array(0) }];
  it('knows exactly six types, and DEFAULT for taproot only', () => {
    const defined = Array.from({ length: 512 }, (_, type) => type - 128).filter(isSighashType);
    expect(defined).toEqual(TYPES);
    for (const type of [-1, 0, 0x04, 0x41, 0x80, 0x84, 0x101, 1.5]) {
      expect(() => segwitV0Sighash(tx, 0, new Uint8Array(0), sat(0), type)).toThrow(FormError);
      if (type !== 0) expect(() => taprootKeySighash(taprootMidstate(tx, spent), 0, type)).toThrow(FormError);
    }
  });

  it('an input that is not there, and spent outputs that are missing', () => {
    for (const index of [-1, 1, 0.5, Number.NaN]) {
      expect(() => segwitV0Sighash(tx, index, new Uint8Array(0), sat(0))).toThrow(FormError);
      expect(() => taprootKeySighash(taprootMidstate(tx, spent), index)).toThrow(FormError);
    }
    expect(() => taprootMidstate(tx, [])).toThrow(FormError);
    expect(() => taprootMidstate(tx, [...spent, ...spent])).toThrow(FormError);
  });
});
