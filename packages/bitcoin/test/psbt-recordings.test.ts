import { describe, expect, it } from 'vitest';
import {
  addPsbtBip32Derivation,
  addPsbtPartialSig,
  addPsbtTapBip32Derivation,
  classify,
  decodeScriptSignature,
  equalBytes,
  hasLowR,
  loadSecp256k1,
  PSBT_IN,
  type Psbt,
  p2pkhScript,
  p2wshOfScript,
  parsePsbt,
  psbtBip32Derivations,
  psbtPartialSigs,
  psbtSpentOutput,
  psbtTapBip32Derivations,
  psbtTapKeySig,
  psbtWitnessScript,
  psbtWitnessUtxo,
  segwitV0Midstate,
  segwitV0Sighash,
  serializePsbt,
  setPsbtTapKeySig,
  setPsbtWitnessScript,
  setPsbtWitnessUtxo,
  type TxOutput,
  taprootKeySighash,
  taprootMidstate,
  toHex,
} from '../src/index.ts';
import { psbtIn, recordedMessages } from './recordings.ts';

const curve = loadSecp256k1();
const messages = [...recordedMessages()].flatMap((message) => {
  const request = psbtIn(message.request)?.psbt;
  const reply = message.reply === undefined ? undefined : psbtIn(message.reply)?.psbt;
  return request === undefined ? [] : [{ ...message, request, reply }];
});
/** SIGN_WITHDRAWAL, SIGN_ANCHORSPEND and SIGN_HTLC_TX_MINGLE answer with a PSBT. */
const signed = messages.flatMap(({ where, request, reply }) =>
  reply === undefined
    ? []
    : [{ where, request: parsePsbt(request), reply: parsePsbt(reply), replyBytes: reply }],
);

/** What libhsmd adds to one input, in its order: the path, for a P2WSH its script and utxo, the signature. */
function addWhatWasAdded(request: Psbt, reply: Psbt, index: number): Psbt {
  let psbt = request;
  for (const d of psbtBip32Derivations(reply, index)) psbt = addPsbtBip32Derivation(psbt, index, d);
  for (const d of psbtTapBip32Derivations(reply, index)) psbt = addPsbtTapBip32Derivation(psbt, index, d);
  const script = psbtWitnessScript(reply, index);
  const utxo = psbtWitnessUtxo(reply, index);
  if (script !== undefined) psbt = setPsbtWitnessScript(psbt, index, script);
  if (utxo !== undefined) psbt = setPsbtWitnessUtxo(psbt, index, utxo);
  for (const sig of psbtPartialSigs(reply, index)) psbt = addPsbtPartialSig(psbt, index, sig);
  const tapSig = psbtTapKeySig(reply, index);
  return tapSig === undefined ? psbt : setPsbtTapKeySig(psbt, index, tapSig);
}

/** The script code a key signs for, by the kind of output. */
function scriptCodeOf(psbt: Psbt, index: number, spent: TxOutput): Uint8Array {
  const kind = classify(spent.script);
  if (kind.type === 'p2wpkh') return p2pkhScript(kind.keyHash);
  const witnessScript = psbtWitnessScript(psbt, index);
  if (kind.type !== 'p2wsh' || witnessScript === undefined) expect.fail(`cannot sign for ${kind.type}`);
  expect(p2wshOfScript(witnessScript)).toEqual(spent.script);
  return witnessScript;
}

describe('every PSBT CLN sent or got', () => {
  it('is the same after parsing and serializing', () => {
    expect(messages.length).toBeGreaterThan(6000);
    for (const { where, request, reply } of messages) {
      for (const bytes of reply === undefined ? [request] : [request, reply]) {
        if (!equalBytes(serializePsbt(parsePsbt(bytes)), bytes)) expect.fail(where);
      }
    }
  });

  it('names the output each input spends', () => {
    for (const { where, request } of messages) {
      const psbt = parsePsbt(request);
      for (const index of psbt.inputs.keys())
        if (psbtSpentOutput(psbt, index) === undefined) expect.fail(where);
    }
  });
});

describe('replies of SIGN_WITHDRAWAL, SIGN_ANCHORSPEND, SIGN_HTLC_TX_MINGLE', () => {
  it.each(signed)(
    '$where: adding to the request gives the bytes CLN gave',
    ({ request, reply, replyBytes }) => {
      let psbt = request;
      for (const index of request.inputs.keys()) psbt = addWhatWasAdded(psbt, reply, index);
      expect(toHex(serializePsbt(psbt))).toBe(toHex(replyBytes));
    },
  );

  it('hold ECDSA signatures that verify over our BIP 143 hash', () => {
    let verified = 0;
    for (const { request, reply } of signed) {
      const midstate = segwitV0Midstate(reply.unsignedTx);
      for (const index of reply.inputs.keys()) {
        const before = psbtPartialSigs(request, index).length;
        for (const { publicKey, signature } of psbtPartialSigs(reply, index).slice(before)) {
          const spent = psbtSpentOutput(reply, index)!;
          const decoded = decodeScriptSignature(signature);
          const scriptCode = scriptCodeOf(reply, index, spent);
          const hash = segwitV0Sighash(midstate, index, scriptCode, spent.value, decoded.sighashType);
          expect(curve.verifyEcdsa(hash, decoded.signature, publicKey)).toBe(true);
          expect(hasLowR(decoded.signature)).toBe(true);
          verified++;
        }
      }
    }
    expect(verified).toBeGreaterThan(10);
  });

  it('hold taproot signatures that verify over our BIP 341 hash', () => {
    let verified = 0;
    for (const { reply } of signed) {
      const spent = reply.inputs.map((_, index) => psbtSpentOutput(reply, index)!);
      const midstate = taprootMidstate(reply.unsignedTx, spent);
      for (const [index, map] of reply.inputs.entries()) {
        const signature = map.find((entry) => entry.type === PSBT_IN.TAP_KEY_SIG)?.value;
        const kind = classify(spent[index]!.script);
        if (signature === undefined || kind.type !== 'p2tr') continue;
        expect(signature.length).toBe(64);
        expect(curve.verifySchnorr(taprootKeySighash(midstate, index), signature, kind.outputKey)).toBe(true);
        verified++;
      }
    }
    expect(verified).toBeGreaterThan(20);
  });
});
