/** The adversary's own Bitcoin against libraries it does not use itself, and against recordings of a real node. */

import { encodeValue, wallyPsbt } from '@countersign/wire';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { HDKey } from '@scure/bip32';
import { p2tr as scureP2tr, Transaction } from '@scure/btc-signer';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  addPoints,
  addressOf,
  childKey,
  concatBytes,
  ecdh,
  fromHex,
  fromScriptSignature,
  isPrivateKey,
  isPublicKey,
  makeBitcoinTx,
  makePsbt,
  multiplyKey,
  multiplyPoint,
  p2pkhScript,
  p2sh,
  p2trOfKey,
  p2wpkh,
  p2wsh,
  parseExtendedKey,
  parseTx,
  partialSignatures,
  publicKeyOf,
  pushNumber,
  recover,
  reversed,
  scriptOfAddress,
  serializeTx,
  sha256,
  sighashLegacy,
  sighashTaproot,
  sighashV0,
  sign,
  signRecoverable,
  signSchnorr,
  type Tx,
  taprootSignature,
  toHex,
  toScriptSignature,
  tweakKey,
  tweakPoint,
  txidOf,
  verify,
  verifySchnorr,
  Wallet,
  weightOf,
  withWalletWitnesses,
  wtxidOf,
  xOnly,
} from '../src/index.ts';

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const privateKey = bytes(32).filter(isPrivateKey);

const anyTx: fc.Arbitrary<Tx> = fc.record({
  version: fc.constantFrom(1, 2, 3, -1),
  inputs: fc.array(
    fc.record({
      txid: bytes(32),
      vout: fc.nat(9),
      scriptSig: fc.uint8Array({ maxLength: 30 }),
      sequence: fc.nat({ max: 0xffffffff }),
      witness: fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 3 }),
    }),
    { minLength: 1, maxLength: 4 },
  ),
  outputs: fc.array(
    fc.record({ value: fc.bigInt(0n, 2_100_000_000_000_000n), script: fc.uint8Array({ maxLength: 40 }) }),
    { minLength: 1, maxLength: 5 },
  ),
  locktime: fc.nat({ max: 0xffffffff }),
});

const scureOf = (tx: Tx) =>
  Transaction.fromRaw(serializeTx(tx), {
    allowUnknownInputs: true,
    allowUnknownOutputs: true,
    disableScriptCheck: true,
    allowUnknownVersion: true,
    allowUnknown: true,
  });

describe('transactions', () => {
  test('bytes, ids and sighashes are those of @scure/btc-signer', () => {
    fc.assert(
      fc.property(anyTx, fc.nat(3), fc.constantFrom(1, 2, 3, 0x81, 0x82, 0x83), (tx, at, type) => {
        const scure = scureOf(tx);
        const index = at % tx.inputs.length;
        const script = concatBytes(p2pkhScript(new Uint8Array(20).fill(7)));
        expect(toHex(reversed(txidOf(tx)))).toBe(scure.id);
        expect(weightOf(tx)).toBe(scure.weight);
        expect(parseTx(serializeTx(tx))).toEqual(tx);
        expect(sighashV0(tx, index, script, 12345n, type)).toEqual(
          scure.preimageWitnessV0(index, script, type, 12345n),
        );
        // BIP 341: a single output that is missing makes the signature invalid.
        if ((type & 3) === 3 && index >= tx.outputs.length) return;
        const spent = tx.inputs.map((_, i) => ({ value: BigInt(i + 1), script: p2wsh(script) }));
        for (const taproot of [0, type])
          expect(sighashTaproot(tx, index, spent, taproot)).toEqual(
            scure.preimageWitnessV1(
              index,
              spent.map((output) => output.script),
              taproot,
              spent.map((output) => output.value),
            ),
          );
      }),
      { numRuns: 300 },
    );
  });

  test('before segwit: the vector of a known p2pkh spend is signed by its key', () => {
    // Bitcoin's first payment between people, block 170: a signature of Satoshi Nakamoto's key from block 9.
    const spend = parseTx(
      fromHex(
        '0100000001c997a5e56e104102fa209c6a852dd90660a20b2d9c352423edce25857fcd3704000000004847304402204e45e16932b8af514961a1d3a1a25fdf3f4f7732e9d624c6c61548ab5fb8cd410220181522ec8eca07de4860a4acdd12909d831cc56cbbac4622082221a8768d1d0901ffffffff0200ca9a3b00000000434104ae1a62fe09c5f51b13905f07f06b99a2f7159b2225f374cd378d71302fa28414e7aab37397f554a7df5f142c21c1b7303b8a0626f1baded5c72a704f7e6cd84cac00286bee0000000043410411db93e1dcdb8a016b49840f8c53bc1eb68a382e97b1482ecad7b148a6909a5cb2e0eaddfb84ccf9744464f82e160bfa9b8b64f9d4c03f999b8643f656b412a3ac00000000',
      ),
    );
    expect(toHex(reversed(txidOf(spend)))).toBe(
      'f4184fc596403b9d638783cf57adfe4c75c605f6356fbc91338530e9831e9e16',
    );
    const script = spend.outputs[1]?.script as Uint8Array;
    const found = fromScriptSignature(spend.inputs[0]?.scriptSig.slice(1) as Uint8Array);
    const digest = sighashLegacy(spend, 0, script, found?.sighashType as number);
    expect(verify(found?.signature as Uint8Array, digest, script.slice(1, 66))).toBe(true);
  });

  test('ids are computed once and follow the value, not the bytes it came from', () => {
    const tx = fc.sample(anyTx, { seed: 1, numRuns: 1 })[0] as Tx;
    expect(txidOf(tx)).toBe(txidOf(tx));
    expect(txidOf({ ...tx, locktime: 7 })).not.toEqual(txidOf(tx));
    expect(wtxidOf(tx)).not.toEqual(txidOf(tx));
  });
});

describe('keys', () => {
  test('the group law, signatures and ECDH are those of @noble/curves', () => {
    fc.assert(
      fc.property(privateKey, privateKey, bytes(32), (a, b, digest) => {
        const [A, B] = [publicKeyOf(a), publicKeyOf(b)];
        const point = (key: Uint8Array) => secp256k1.Point.fromBytes(key);
        expect(A).toEqual(secp256k1.getPublicKey(a));
        expect(publicKeyOf(tweakKey(a, b))).toEqual(addPoints(A, B));
        expect(tweakPoint(A, b)).toEqual(point(A).add(point(B)).toBytes());
        expect(multiplyPoint(A, b)).toEqual(publicKeyOf(multiplyKey(a, b)));
        expect(ecdh(A, b)).toEqual(sha256(secp256k1.getSharedSecret(b, A)));
        expect(sign(digest, a)).toEqual(secp256k1.sign(digest, a, { prehash: false }));
        const { signature, recoveryId } = signRecoverable(digest, a);
        expect(recover(signature, recoveryId, digest)).toEqual(A);
        expect(verify(signature, digest, A)).toBe(true);
        expect(verify(signature, digest, B)).toEqual(toHex(A) === toHex(B));
        expect(fromScriptSignature(toScriptSignature(signature, 0x83))).toEqual({
          signature,
          sighashType: 0x83,
        });
        const schnorr = signSchnorr(digest, a);
        expect(verifySchnorr(schnorr, digest, xOnly(A))).toBe(true);
        expect(verifySchnorr(schnorr, sha256(digest), xOnly(A))).toBe(false);
      }),
      { numRuns: 50 },
    );
  });

  test('what is malformed is false, not an exception', () => {
    const digest = new Uint8Array(32).fill(1);
    const point = publicKeyOf(digest);
    expect(verify(new Uint8Array(64).fill(0xff), digest, point)).toBe(false);
    expect(verify(sign(digest, digest), digest, new Uint8Array(33))).toBe(false);
    expect(verifySchnorr(new Uint8Array(64).fill(0xff), digest, xOnly(point))).toBe(false);
    expect(verifySchnorr(new Uint8Array(3), digest, xOnly(point))).toBe(false);
    expect(fromScriptSignature(new Uint8Array(0))).toBeUndefined();
    expect(fromScriptSignature(Uint8Array.of(1, 2, 3))).toBeUndefined();
    expect(isPublicKey(new Uint8Array(33))).toBe(false);
    expect(isPrivateKey(new Uint8Array(32))).toBe(false);
  });
});

describe('scripts and wallet', () => {
  const base = HDKey.fromMasterSeed(new Uint8Array(32).fill(9));
  const serialized = (key: HDKey): Uint8Array => {
    const out = new Uint8Array(78);
    out.set(key.chainCode as Uint8Array, 13);
    out.set(key.publicKey as Uint8Array, 45);
    return out;
  };

  test('children are BIP 32’s', () => {
    const parent = parseExtendedKey(serialized(base));
    for (const index of [0, 1, 77, 0x7fffffff]) {
      const child = base.deriveChild(index);
      expect(childKey(parent, index)).toEqual({ chainCode: child.chainCode, publicKey: child.publicKey });
    }
    expect(() => parseExtendedKey(new Uint8Array(77))).toThrow('78');
  });

  test('a wallet finds its scripts of every kind, with and without BIP 86 base', () => {
    const plain = new Wallet(serialized(base));
    expect(plain.key(3).publicKey).toEqual(base.deriveChild(3).publicKey);
    const mnemonic = new Wallet(serialized(base.deriveChild(5)), serialized(base));
    expect(mnemonic.key(3).publicKey).toEqual(base.deriveChild(0).deriveChild(3).publicKey);
    for (const kind of ['p2wpkh', 'p2sh-p2wpkh', 'p2tr'] as const)
      expect(plain.find(plain.key(3).scripts[kind])).toEqual({ key: plain.key(3), kind });
    expect(plain.find(mnemonic.key(3).scripts.p2tr)).toBeUndefined();
    const { publicKey, scripts } = plain.key(50);
    expect(scripts.p2tr).toEqual(scureP2tr(xOnly(publicKey)).script);
    expect(plain.find(scripts.p2tr)?.key.index).toBe(50);
  });

  test('addresses go there and back; others have none', () => {
    const key = publicKeyOf(new Uint8Array(32).fill(3));
    for (const script of [p2wpkh(key), p2wsh(key), p2trOfKey(key)])
      expect(scriptOfAddress(addressOf(script) as string)).toEqual(script);
    expect(addressOf(p2sh(key))).toBeUndefined();
    expect(addressOf(new Uint8Array(0))).toBeUndefined();
    expect(() => scriptOfAddress('bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4')).toThrow('regtest');
    expect([0, 1, 16, 17, 144].map(pushNumber)).toEqual([
      0,
      0x51,
      0x60,
      Uint8Array.of(17),
      Uint8Array.of(0x90, 0),
    ]);
  });
});

describe('PSBT', () => {
  const key = new Uint8Array(32).fill(5);
  const point = publicKeyOf(key);
  const outputs = [p2wpkh(point), p2sh(p2wpkh(point)), p2trOfKey(point), p2wsh(fromHex('51'))].map(
    (script) => ({ value: 5000n, script }),
  );
  const tx: Tx = {
    version: 2,
    inputs: outputs.map((_, vout) => ({
      txid: new Uint8Array(32).fill(1),
      vout,
      scriptSig: new Uint8Array(0),
      sequence: 0xfffffffd,
      witness: [],
    })),
    outputs: [{ value: 19000n, script: p2wpkh(point) }],
    locktime: 0,
  };

  test('the wire carries it, with every field asked for', () => {
    const psbt = makePsbt(
      tx,
      [
        { utxo: outputs[0], previous: tx, sighashType: 1 },
        { utxo: outputs[1], redeemScript: p2wpkh(point) },
        { utxo: outputs[2] },
        { utxo: outputs[3], witnessScript: fromHex('51') },
      ],
      [fromHex('52')],
    );
    expect(psbt.inputs.map((map) => map.map(({ type }) => type))).toEqual([[0, 1, 3], [1, 4], [1], [1, 5]]);
    expect(psbt.outputs.map((map) => map.map(({ type }) => type))).toEqual([[1]]);
    expect(encodeValue(wallyPsbt, psbt, 10_000).length).toBeGreaterThan(300);
    expect(makeBitcoinTx(tx, []).psbt.inputs).toEqual([[], [], [], []]);
    expect(() => makePsbt(tx, [{ utxo: { value: 1n, script: new Uint8Array(253) } }])).toThrow('long');
  });

  test('witnesses are made of a reply’s signatures', () => {
    const empty = makePsbt(tx, [{}, {}, {}, { witnessScript: fromHex('51') }]);
    expect(withWalletWitnesses(tx, empty, outputs)).toEqual(tx);
    const signature = toScriptSignature(sign(key, key), 1);
    const partial = { type: 2, keyData: point, value: signature };
    const schnorr = { type: 0x13, keyData: new Uint8Array(0), value: signSchnorr(key, key) };
    const reply = {
      ...empty,
      inputs: empty.inputs.map((map, i) => [...map, i === 2 ? schnorr : partial]),
    };
    expect(partialSignatures(reply, 0)).toEqual([{ publicKey: point, signature }]);
    expect(taprootSignature(reply, 2)).toEqual(schnorr.value);
    const signed = withWalletWitnesses(tx, reply, outputs);
    expect(signed.inputs.map(({ witness }) => witness)).toEqual([
      [signature, point],
      [signature, point],
      [schnorr.value],
      [signature, fromHex('51')],
    ]);
    expect(signed.inputs[1]?.scriptSig).toEqual(concatBytes(Uint8Array.of(22), p2wpkh(point)));
  });
});
