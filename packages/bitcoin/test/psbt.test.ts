import { Transaction as ScureTransaction } from '@scure/btc-signer';
import { Psbt as BitcoinjsPsbt } from 'bitcoinjs-lib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addPsbtBip32Derivation,
  addPsbtPartialSig,
  addPsbtTapBip32Derivation,
  concat,
  createPsbt,
  FormError,
  fromHex,
  loadSecp256k1,
  PSBT_IN,
  type Psbt,
  parsePsbt,
  psbtBip32Derivations,
  psbtInputField,
  psbtInputIsFinal,
  psbtNonWitnessUtxo,
  psbtOutputBip32Derivations,
  psbtOutputField,
  psbtOutputTapBip32Derivations,
  psbtOutputWitnessScript,
  psbtPartialSigs,
  psbtRedeemScript,
  psbtSighashType,
  psbtSpentOutput,
  psbtTapBip32Derivations,
  psbtTapKeySig,
  psbtWitnessScript,
  psbtWitnessUtxo,
  sat,
  serializePsbt,
  serializeTransaction,
  setPsbtInputField,
  setPsbtSighashType,
  setPsbtTapKeySig,
  setPsbtWitnessScript,
  setPsbtWitnessUtxo,
  sha256,
  type Transaction,
  toHex,
  txid,
} from '../src/index.ts';
import { mutate, transaction } from './generators.ts';

const curve = loadSecp256k1();
const keys = [1, 2, 3].map((n) => curve.publicKey(sha256(Uint8Array.of(n))));
const script = (n: number) => concat(fromHex('0014'), new Uint8Array(20).fill(n));
const utxo = { value: sat(70_000), script: script(1) };
const previous: Transaction = {
  version: 2,
  inputs: [{ txid: sha256(), vout: 0, scriptSig: new Uint8Array(0), sequence: 0, witness: [] }],
  outputs: [utxo],
  locktime: 0,
};
const spend: Transaction = {
  version: 2,
  inputs: [txid(previous), sha256(Uint8Array.of(7))].map((id) => ({
    txid: id,
    vout: 0,
    scriptSig: new Uint8Array(0),
    sequence: 0xffff_fffd,
    witness: [],
  })),
  outputs: [{ value: sat(60_000), script: script(2) }],
  locktime: 100,
};
const signature = concat(fromHex('3006020101020102'), Uint8Array.of(1));
const derivation = { publicKey: keys[0]!, fingerprint: fromHex('01020304'), path: [0x8000_0054, 0, 7] };
const tapDerivation = {
  xOnlyKey: keys[1]!.slice(1),
  leafHashes: [],
  fingerprint: fromHex('01020304'),
  path: [0],
};

/** A PSBT with most fields, for cutting and mutating. */
function rich(): Psbt {
  let psbt = createPsbt(spend);
  psbt = setPsbtInputField(psbt, 0, PSBT_IN.NON_WITNESS_UTXO, serializeTransaction(previous));
  psbt = setPsbtWitnessUtxo(psbt, 0, utxo);
  psbt = addPsbtBip32Derivation(psbt, 0, derivation);
  psbt = addPsbtPartialSig(psbt, 0, { publicKey: keys[0]!, signature });
  psbt = setPsbtSighashType(psbt, 0, 1);
  psbt = setPsbtWitnessScript(psbt, 0, Uint8Array.of(0x51));
  psbt = setPsbtInputField(psbt, 0, PSBT_IN.REDEEM_SCRIPT, Uint8Array.of(0x52));
  psbt = setPsbtTapKeySig(psbt, 1, new Uint8Array(64).fill(9));
  return addPsbtTapBip32Derivation(psbt, 1, tapDerivation);
}

/** One entry as bytes. */
const entry = (key: string, value: string): string =>
  [key, value].map((hex) => (hex.length / 2).toString(16).padStart(2, '0') + hex).join('');
const unsigned = (tx: Transaction) => toHex(serializeTransaction(tx));
const tiny: Transaction = { ...spend, inputs: spend.inputs.slice(0, 1) };
const raw = (global: string, input = '', output = '') =>
  fromHex(`70736274ff${entry('00', unsigned(tiny))}${global}00${input}00${output}00`);

describe('reading what was set', () => {
  it('fields of the inputs', () => {
    const psbt = parsePsbt(serializePsbt(rich()));
    expect(psbt).toEqual(rich());
    expect(psbt.unsignedTx).toEqual(spend);
    expect(psbtNonWitnessUtxo(psbt, 0)).toEqual(previous);
    expect(psbtWitnessUtxo(psbt, 0)).toEqual(utxo);
    expect(psbtSpentOutput(psbt, 0)).toEqual(utxo);
    expect(psbtSpentOutput(psbt, 1)).toBeUndefined();
    expect(psbtPartialSigs(psbt, 0)).toEqual([{ publicKey: keys[0], signature }]);
    expect(psbtSighashType(psbt, 0)).toBe(1);
    expect(psbtSighashType(psbt, 1)).toBeUndefined();
    expect(psbtWitnessScript(psbt, 0)).toEqual(Uint8Array.of(0x51));
    expect(psbtRedeemScript(psbt, 0)).toEqual(Uint8Array.of(0x52));
    expect(psbtBip32Derivations(psbt, 0)).toEqual([derivation]);
    expect(psbtTapBip32Derivations(psbt, 1)).toEqual([tapDerivation]);
    expect(psbtTapKeySig(psbt, 1)).toEqual(new Uint8Array(64).fill(9));
    expect(psbtInputIsFinal(psbt, 0)).toBe(false);
  });

  it('fields of the outputs', () => {
    const leaf = '11'.repeat(32);
    const psbt = parsePsbt(
      raw(
        '',
        '',
        entry('01', '51') +
          entry(`02${toHex(keys[0]!)}`, '0102030407000000') +
          entry(`07${toHex(keys[1]!.slice(1))}`, `01${leaf}0102030409000000`),
      ),
    );
    expect(psbtOutputWitnessScript(psbt, 0)).toEqual(Uint8Array.of(0x51));
    expect(psbtOutputField(psbt, 0, 0x05)).toBeUndefined();
    expect(psbtOutputBip32Derivations(psbt, 0)).toEqual([{ ...derivation, path: [7] }]);
    expect(psbtOutputTapBip32Derivations(psbt, 0)).toEqual([
      { ...tapDerivation, leafHashes: [fromHex(leaf)], path: [9] },
    ]);
  });

  it('keeps global fields: an xpub, a proprietary one, version 0 said aloud', () => {
    const bytes = raw(
      entry(`01${'11'.repeat(78)}`, '0102030400000080') + entry('fb', '00000000') + entry('fc00', ''),
    );
    const psbt = parsePsbt(bytes);
    expect(psbt.global.map((e) => e.type)).toEqual([0x00, 0x01, 0xfb, 0xfc]);
    expect(serializePsbt(psbt)).toEqual(bytes);
    expect(() => parsePsbt(raw(entry(`01${'11'.repeat(78)}`, '01020304000000')))).toThrow(FormError);
  });

  it('an index that is not there is malformed', () => {
    const psbt = rich();
    for (const index of [-1, 2, 0.5]) {
      expect(() => psbtWitnessUtxo(psbt, index)).toThrow(FormError);
      expect(() => psbtSpentOutput(psbt, index)).toThrow(FormError);
      expect(() => psbtOutputWitnessScript(psbt, index)).toThrow(FormError);
      expect(() => setPsbtTapKeySig(psbt, index, new Uint8Array(64))).toThrow(FormError);
    }
  });
});

describe('setting', () => {
  it('leaves the original alone', () => {
    const psbt = rich();
    const before = serializePsbt(psbt);
    addPsbtPartialSig(psbt, 0, { publicKey: keys[1]!, signature });
    setPsbtWitnessScript(psbt, 0, Uint8Array.of(0x53));
    expect(serializePsbt(psbt)).toEqual(before);
  });

  it('puts types in ascending order, repeated ones in the order they came, unknown ones last', () => {
    let psbt = parsePsbt(raw('', entry('fc0474657374', 'aa') + entry('20', 'bb')));
    for (const publicKey of [keys[2]!, keys[0]!]) {
      psbt = addPsbtBip32Derivation(psbt, 0, { ...derivation, publicKey });
      psbt = addPsbtPartialSig(psbt, 0, { publicKey, signature });
    }
    psbt = setPsbtWitnessUtxo(psbt, 0, utxo);
    psbt = setPsbtTapKeySig(psbt, 0, new Uint8Array(64));
    const order = psbt.inputs[0]!.map((e) => [e.type, e.keyData[1] ?? 0]);
    const [first, second] = [keys[2]![1]!, keys[0]![1]!];
    expect(order.map(([type]) => type)).toEqual([1, 2, 2, 6, 6, 0x13, 0xfc, 0x20]);
    expect(order.slice(1, 5).map(([, byte]) => byte)).toEqual([first, second, first, second]);
    expect(parsePsbt(serializePsbt(psbt))).toEqual(psbt);
  });

  it('keeps the signature and the path a key already has, replaces single fields', () => {
    const psbt = rich();
    const other = concat(fromHex('3006020103020104'), Uint8Array.of(1));
    expect(addPsbtPartialSig(psbt, 0, { publicKey: keys[0]!, signature: other })).toEqual(psbt);
    expect(addPsbtBip32Derivation(psbt, 0, { ...derivation, path: [1] })).toEqual(psbt);
    expect(addPsbtTapBip32Derivation(psbt, 1, { ...tapDerivation, path: [1] })).toEqual(psbt);
    const replaced = setPsbtWitnessScript(psbt, 0, Uint8Array.of(0x53));
    expect(psbtWitnessScript(replaced, 0)).toEqual(Uint8Array.of(0x53));
    expect(replaced.inputs[0]!.length).toBe(psbt.inputs[0]!.length);
  });

  it('adds nothing to a final input that libwally would drop again', () => {
    const final = setPsbtInputField(createPsbt(spend), 0, PSBT_IN.FINAL_SCRIPTWITNESS, fromHex('00'));
    expect(psbtInputIsFinal(final, 0)).toBe(true);
    expect(addPsbtPartialSig(final, 0, { publicKey: keys[0]!, signature })).toBe(final);
    expect(setPsbtWitnessScript(final, 0, Uint8Array.of(0x51))).toBe(final);
    expect(setPsbtWitnessUtxo(final, 0, utxo)).not.toBe(final);
  });

  it('checks what it is given', () => {
    const psbt = createPsbt(spend);
    const short = keys[0]!.slice(1);
    expect(() => addPsbtPartialSig(psbt, 0, { publicKey: short, signature })).toThrow(FormError);
    expect(() => addPsbtPartialSig(psbt, 0, { publicKey: keys[0]!, signature: short.slice(0, 8) })).toThrow(
      FormError,
    );
    expect(() => setPsbtTapKeySig(psbt, 0, short)).toThrow(FormError);
    expect(() => addPsbtBip32Derivation(psbt, 0, { ...derivation, fingerprint: short })).toThrow(FormError);
    expect(() => addPsbtTapBip32Derivation(psbt, 0, { ...tapDerivation, leafHashes: [signature] })).toThrow(
      FormError,
    );
  });

  it('createPsbt drops scriptSigs and witnesses', () => {
    fc.assert(
      fc.property(transaction, (tx) => {
        const psbt = createPsbt(tx);
        expect(parsePsbt(serializePsbt(psbt))).toEqual(psbt);
        expect(psbt.unsignedTx.inputs.every((i) => i.scriptSig.length === 0 && i.witness.length === 0)).toBe(
          true,
        );
        expect(psbt.unsignedTx.outputs).toEqual(tx.outputs);
      }),
    );
  });
});

describe('transactions without inputs', () => {
  it('carry their outputs (CLN starts dual funding from such a PSBT)', () => {
    const empty = createPsbt({ ...spend, inputs: [] });
    const back = parsePsbt(serializePsbt(empty));
    expect(back).toEqual(empty);
    expect(back.unsignedTx.outputs).toEqual(spend.outputs);
    expect(toHex(serializePsbt(createPsbt({ version: 2, inputs: [], outputs: [], locktime: 0 })))).toBe(
      '70736274ff01000a0200000000000000000000',
    );
  });
});

describe('read alike by others', () => {
  it('bitcoinjs and scure accept what we write', () => {
    let psbt = createPsbt(spend);
    psbt = setPsbtInputField(psbt, 0, PSBT_IN.NON_WITNESS_UTXO, serializeTransaction(previous));
    psbt = setPsbtWitnessUtxo(psbt, 0, utxo);
    psbt = addPsbtBip32Derivation(psbt, 0, derivation);
    psbt = setPsbtSighashType(psbt, 0, 1);
    const bytes = serializePsbt(psbt);
    expect(toHex(BitcoinjsPsbt.fromBuffer(bytes).toBuffer())).toBe(toHex(bytes));
    const scure = ScureTransaction.fromPSBT(bytes, { allowUnknownOutputs: true });
    expect(scure.getInput(0).witnessUtxo?.amount).toBe(utxo.value);
    expect(toHex(scure.toPSBT(0))).toBe(toHex(bytes));
  });
});

describe('hostile bytes', () => {
  const bytes = serializePsbt(rich());

  it('cut at every byte', () => {
    for (let length = 0; length < bytes.length; length++) {
      expect(() => parsePsbt(bytes.slice(0, length))).toThrow(FormError);
    }
    expect(() => parsePsbt(concat(bytes, Uint8Array.of(0)))).toThrow(FormError);
    expect(() => parsePsbt(new Uint8Array(16 * 1024 * 1024 + 1))).toThrow(/too large/);
  });

  it('mutated: FormError, or a value that is exactly those bytes and whose fields all read', () => {
    fc.assert(
      fc.property(mutate(bytes), (mutated) => {
        let psbt: Psbt;
        try {
          psbt = parsePsbt(mutated);
        } catch (error) {
          expect(error).toBeInstanceOf(FormError);
          return;
        }
        expect(serializePsbt(psbt)).toEqual(mutated);
        for (const index of psbt.inputs.keys()) {
          psbtSpentOutput(psbt, index);
          psbtSighashType(psbt, index);
          psbtPartialSigs(psbt, index);
          psbtBip32Derivations(psbt, index);
          psbtTapBip32Derivations(psbt, index);
          psbtInputField(psbt, index, PSBT_IN.WITNESS_SCRIPT);
        }
      }),
      { numRuns: 3000 },
    );
  });

  const key = toHex(keys[0]!);
  const value = '0102030407000000';
  const witnessUtxo = `7111010000000000160014${'01'.repeat(20)}`;
  const otherPrevious = unsigned({ ...previous, locktime: 1 });
  it.each<[string, Uint8Array]>([
    ['a duplicate key', raw('', entry('03', '01000000') + entry('03', '01000000'))],
    ['a duplicate key of another value', raw('', entry(`06${key}`, value) + entry(`06${key}`, '01020304'))],
    ['a duplicate unknown key', raw(entry('fcaa', '') + entry('fcaa', ''))],
    ['a map too few', raw('').slice(0, -1)],
    ['a map too many', concat(raw(''), Uint8Array.of(0))],
    ['another magic', fromHex(`70736574ff${toHex(raw('')).slice(10)}`)],
    ['no transaction', fromHex('70736274ff00')],
    ['a transaction with key data', fromHex(`70736274ff${entry('00aa', unsigned(tiny))}000000`)],
    ['version 2', raw(entry('fb', '02000000'))],
    ['a version of 3 bytes', raw(entry('fb', '000000'))],
    ['a field of version 2, global', raw(entry('04', '01'))],
    ['a field of version 2, input', raw('', entry('0e', '11'.repeat(32)))],
    ['a field of version 2, output', raw('', '', entry('03', '0100000000000000'))],
    ['an xpub of 77 bytes', raw(entry(`01${'11'.repeat(77)}`, value))],
    ['a key length not minimal', raw('', 'fd0100030401000000')],
    ['a key type not minimal', raw('', entry('fd0300', '01000000'))],
    ['a key without a whole type', raw('', entry('fd03', '01000000'))],
    ['a value length past the end', raw('', '0103feffffff7f')],
    ['a sighash type of 5 bytes', raw('', entry('03', '0100000000'))],
    ['a sighash type with key data', raw('', entry('03aa', '01000000'))],
    ['a signature for 32 bytes of key', raw('', entry(`02${key.slice(2)}`, toHex(signature)))],
    ['a signature of 8 bytes', raw('', entry(`02${key}`, '3006020101020102'))],
    ['a path of 7 bytes', raw('', entry(`06${key}`, value.slice(2)))],
    ['a fingerprint of 3 bytes', raw('', entry(`06${key}`, '010203'))],
    ['a taproot signature of 63 bytes', raw('', entry('13', '11'.repeat(63)))],
    ['a taproot path for 33 bytes of key', raw('', entry(`16${key}`, `00${value}`))],
    ['a taproot path with a hash missing', raw('', entry(`16${key.slice(2)}`, `01${value}`))],
    ['a witness utxo with a byte left over', raw('', entry('01', `${witnessUtxo}00`))],
    ['a witness utxo of more than all coins', raw('', entry('01', '0140075af075070000'))],
    ['another previous transaction', raw('', entry('00', otherPrevious))],
    ['two different utxos', raw('', entry('00', unsigned(previous)) + entry('01', witnessUtxo))],
  ])('refuses %s', (_, hostile) => {
    expect(() => parsePsbt(raw('', entry(`06${key}`, value)))).not.toThrow();
    expect(() => parsePsbt(hostile)).toThrow(FormError);
  });

  it('refuses a previous transaction without the output spent', () => {
    const vout = 1;
    const tx = { ...tiny, inputs: tiny.inputs.map((input) => ({ ...input, vout })) };
    const psbt = setPsbtInputField(
      createPsbt(tx),
      0,
      PSBT_IN.NON_WITNESS_UTXO,
      serializeTransaction(previous),
    );
    expect(() => parsePsbt(serializePsbt(psbt))).toThrow(/missing output/);
  });

  it('refuses a scriptSig in the transaction', () => {
    const tx = {
      ...tiny,
      inputs: tiny.inputs.map((input) => ({ ...input, scriptSig: Uint8Array.of(0x51) })),
    };
    expect(() => parsePsbt(fromHex(`70736274ff${entry('00', unsigned(tx))}000000`))).toThrow(/scriptSig/);
  });
});
