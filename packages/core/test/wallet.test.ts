/**
 * PSBTs: inputs named as ours are signed with the key that owns them and with nothing less than the whole
 * transaction; nothing else is signed (attacks A64, A65).
 */
import {
  addPsbtBip32Derivation,
  concat,
  encodeDer,
  fundingScript,
  hash160,
  type Psbt,
  p2pkhScript,
  p2wpkhOfKey,
  p2wshOfScript,
  psbtBip32Derivations,
  psbtPartialSigs,
  psbtTapBip32Derivations,
  psbtTapKeySig,
  psbtWitnessScript,
  SIGHASH,
  sat,
  segwitV0Sighash,
  setPsbtSighashType,
  taprootKeySighash,
  taprootMidstate,
  taprootOutputKey,
  toHex,
  toRemoteAnchoredScript,
} from '@countersign/bitcoin';
import type { HsmUtxo, Reply } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { UTXOS_MAX } from '../src/spending/inputs.ts';
import { input } from './channel-model.ts';
import { OpenChannel } from './open-channel.ts';
import { bytesOf, ringOf, secp, TestSigner } from './test-signer.ts';
import {
  anchorspend,
  htlcTxMingle,
  OWN,
  psbtOf,
  spending,
  spentBy,
  WALLET_FORMS,
  type WalletForm,
  walletUtxo,
  withdrawal,
} from './wallet-model.ts';

const channel = new OpenChannel().open();
const { model, signer } = channel;
const { keys } = signer;
const { ref } = model;

/** The three messages that sign wallet inputs. */
const messages = {
  withdrawal,
  anchorspend: (inputs: readonly HsmUtxo[], psbt?: Psbt) => anchorspend(ref, inputs, psbt),
  htlc_tx_mingle: (inputs: readonly HsmUtxo[], psbt?: Psbt) => htlcTxMingle(ref, inputs, psbt),
};
const each = Object.entries(messages);

function psbtIn(reply: Reply): Psbt {
  if (!('psbt' in reply)) throw new Error(reply.name);
  return reply.psbt;
}

/** Whether the reply's input carries a valid signature of our key on the whole transaction, and no other. */
function isSigned(before: Psbt, after: Psbt, index: number, utxo: HsmUtxo, form: WalletForm): boolean {
  const key = keys.walletPublicKey(utxo.keyindex)!;
  const tx = before.unsignedTx;
  if (form === 'p2tr') {
    const spent = tx.inputs.map((one) => {
      const found = [utxo, ...others].find((u) => toHex(u.outpoint.txid) === toHex(one.txid));
      return spentBy(found!);
    });
    const hash = taprootKeySighash(taprootMidstate(tx, spent), index);
    const signature = psbtTapKeySig(after, index)!;
    const { outputKey } = taprootOutputKey(secp, key.subarray(1));
    return secp.verifySchnorr(hash, signature, outputKey) && psbtPartialSigs(after, index).length === 0;
  }
  const hash = segwitV0Sighash(tx, index, p2pkhScript(hash160(key)), utxo.amount, SIGHASH.ALL);
  const [only, ...more] = psbtPartialSigs(after, index);
  const expected = concat(encodeDer(signatureOf(only!.signature, hash, key)), Uint8Array.of(1));
  return more.length === 0 && toHex(only!.signature) === toHex(expected);
}

/** The compact form of a DER signature that is valid for `hash`; empty when there is none. */
function signatureOf(der: Uint8Array, hash: Uint8Array, key: Uint8Array): Uint8Array {
  const rLength = der[3]!;
  const r = der.subarray(4, 4 + rLength);
  const s = der.subarray(6 + rLength, -1);
  const padded = (part: Uint8Array) => concat(new Uint8Array(32), part).subarray(-32);
  const compact = concat(padded(r), padded(s));
  return secp.verifyEcdsa(hash, compact, key) ? compact : new Uint8Array(64).fill(1);
}

const others = WALLET_FORMS.map((form, i) => walletUtxo(keys, 20 + i, form));

describe.each(each)('sign_%s', (_, request) => {
  it.each(WALLET_FORMS)('signs a %s output of ours over the whole transaction', (form) => {
    const utxo = walletUtxo(keys, 3, form);
    const utxos = [...others, utxo];
    const before = psbtOf(spending(utxos, OWN), utxos.map(spentBy));
    const after = psbtIn(channel.ask(request([utxo], before)));
    expect(isSigned(before, after, 3, utxo, form)).toBe(true);
    // The others were not named, so they are not signed, though they are ours.
    for (const index of [0, 1, 2]) {
      expect(psbtPartialSigs(after, index)).toEqual([]);
      expect(psbtTapKeySig(after, index)).toBeUndefined();
    }
    if (form === 'p2tr') expect(psbtTapBip32Derivations(after, 3)).toHaveLength(1);
    else expect(psbtBip32Derivations(after, 3)).toHaveLength(1);
  });

  it('signs each input that is named, and ignores outputs that the transaction does not spend', () => {
    const utxos = others;
    const stray = walletUtxo(keys, 99);
    const before = psbtOf(spending(utxos, OWN), utxos.map(spentBy));
    const after = psbtIn(channel.ask(request([stray, ...utxos.toReversed()], before)));
    utxos.forEach((utxo, i) => {
      expect(isSigned(before, after, i, utxo, WALLET_FORMS[i]!)).toBe(true);
    });
  });

  it('signs nothing when nothing is named', () => {
    const before = psbtOf(spending(others, OWN), others.map(spentBy));
    expect(psbtIn(channel.ask(request([], before)))).toEqual(before);
  });

  it('takes what an input spends from the node where the PSBT does not say it', () => {
    const utxo = walletUtxo(keys, 3);
    const before = psbtOf(spending([utxo], OWN), [undefined]);
    expect(psbtPartialSigs(psbtIn(channel.ask(request([utxo], before))), 0)).toHaveLength(1);
  });

  it('refuses a taproot input beside one that the PSBT says nothing of', () => {
    const utxo = walletUtxo(keys, 3, 'p2tr');
    const unknown = walletUtxo(keys, 4);
    const before = psbtOf(spending([utxo, unknown], OWN), [spentBy(utxo), undefined]);
    expect(channel.tagOf(request([utxo], before))).toBe('policy-generic-error');
  });

  it('refuses a hardened index, and more outputs than any transaction needs', () => {
    const utxo = walletUtxo(keys, 3);
    for (const keyindex of [0x8000_0000, 0xffff_ffff])
      expect(channel.tagOf(request([{ ...utxo, keyindex }]))).toBe('policy-generic-error');
    const many = Array.from({ length: UTXOS_MAX + 1 }, () => utxo);
    const before = psbtOf(spending([utxo], OWN), [spentBy(utxo)]);
    expect(channel.refused(request(many, before))).toMatchObject({
      tag: 'policy-generic-error',
      facts: { inputs: UTXOS_MAX + 1 },
    });
  });

  it('policy-key-use: trips when the named key does not own the output', () => {
    const utxo = walletUtxo(keys, 3);
    const psbt = psbtOf(spending([utxo], OWN), [spentBy(utxo)]);
    expect(channel.refused(request([{ ...utxo, keyindex: 4 }], psbt))).toMatchObject({
      tag: 'policy-key-use',
      facts: { input: 0, key_index: 4 },
    });
    const foreign = { ...utxo, scriptPubkey: p2wpkhOfKey(model.counterparty.payment) };
    expect(channel.tagOf(request([foreign], psbtOf(spending([foreign], OWN), [spentBy(foreign)])))).toBe(
      'policy-key-use',
    );
    // What the PSBT says counts, not what the node says beside it.
    expect(channel.tagOf(request([utxo], psbtOf(spending([utxo], OWN), [spentBy(foreign)])))).toBe(
      'policy-key-use',
    );
  });

  it('policy-key-use: trips on the funding outpoint as a wallet input (A65)', () => {
    const { outpoint } = model.funding;
    const { value: amount, script: scriptPubkey } = model.fundingOutput();
    const funding: HsmUtxo = { ...walletUtxo(keys, 3), outpoint, amount, scriptPubkey };
    expect(channel.tagOf(request([funding]))).toBe('policy-key-use');
    // Beside a wallet input, unnamed, it stays unsigned.
    const utxo = walletUtxo(keys, 3);
    const before = psbtOf(spending([utxo, funding], OWN), [spentBy(utxo), spentBy(funding)]);
    const after = psbtIn(channel.ask(request([utxo], before)));
    expect(psbtPartialSigs(after, 1)).toEqual([]);
  });

  it.each([SIGHASH.NONE, SIGHASH.SINGLE, 0x81, 0x82, 0x83, 0x00, 0x04, 0xff, 0x101])(
    'policy-sighash: trips on type %i for a segwit v0 input (A64)',
    (type) => {
      const utxo = walletUtxo(keys, 3);
      const psbt = setPsbtSighashType(psbtOf(spending([utxo], OWN), [spentBy(utxo)]), 0, type);
      expect(channel.refused(request([utxo], psbt))).toMatchObject({
        tag: 'policy-sighash',
        facts: { input: 0, sighash_type: type },
      });
    },
  );

  it.each([SIGHASH.NONE, SIGHASH.SINGLE, 0x81, 0x83])(
    'policy-sighash: trips on type %i for a taproot input',
    (type) => {
      const utxo = walletUtxo(keys, 3, 'p2tr');
      const psbt = setPsbtSighashType(psbtOf(spending([utxo], OWN), [spentBy(utxo)]), 0, type);
      expect(channel.tagOf(request([utxo], psbt))).toBe('policy-sighash');
    },
  );

  it('policy-sighash: trips on SINGLE with an index beyond the outputs', () => {
    const utxos = [walletUtxo(keys, 3), walletUtxo(keys, 4)];
    const psbt = setPsbtSighashType(psbtOf(spending(utxos, OWN), utxos.map(spentBy)), 1, SIGHASH.SINGLE);
    expect(channel.refused(request(utxos, psbt))).toMatchObject({
      tag: 'policy-sighash',
      facts: { input: 1 },
    });
  });

  it('policy-sighash: passes ALL, DEFAULT for taproot, and any type on inputs of others', () => {
    const [first, taproot, foreign] = [walletUtxo(keys, 3), walletUtxo(keys, 4, 'p2tr'), walletUtxo(keys, 5)];
    const utxos = [first, taproot, foreign];
    const plain = psbtOf(spending(utxos, OWN), utxos.map(spentBy));
    const typed = [SIGHASH.ALL, SIGHASH.DEFAULT, SIGHASH.NONE].reduce(
      (psbt, type, i) => setPsbtSighashType(psbt, i, type),
      plain,
    );
    const asked = psbtIn(channel.ask(request([first, taproot], typed)));
    const silent = psbtIn(channel.ask(request([first, taproot], plain)));
    expect(psbtPartialSigs(asked, 0)).toEqual(psbtPartialSigs(silent, 0));
    expect(psbtTapKeySig(asked, 1)).toEqual(psbtTapKeySig(silent, 1));
  });
});

describe('to_remote outputs', () => {
  const closeUtxo = (
    csv: number,
    optionAnchors: boolean,
    script: Uint8Array,
    commitmentPoint?: Uint8Array,
  ): HsmUtxo => ({
    ...walletUtxo(keys, 0),
    scriptPubkey: script,
    closeInfo: { channelId: ref.dbid, peerId: ref.peerId, commitmentPoint, optionAnchors, csv },
  });
  const payment = model.holder.payment;

  it.each([1, 144, 4032])(
    'are signed with anchors, %i blocks locked, whatever the PSBT says they are',
    (csv) => {
      const witnessScript = toRemoteAnchoredScript(payment, csv);
      const utxo = closeUtxo(csv, true, p2wshOfScript(witnessScript));
      const after = psbtIn(channel.ask(withdrawal([utxo], psbtOf(spending([utxo], OWN), [undefined]))));
      expect(psbtWitnessScript(after, 0)).toEqual(witnessScript);
      const hash = segwitV0Sighash(after.unsignedTx, 0, witnessScript, utxo.amount, SIGHASH.ALL);
      const [{ publicKey, signature }] = psbtPartialSigs(after, 0) as [
        { publicKey: Uint8Array; signature: Uint8Array },
      ];
      expect(publicKey).toEqual(payment);
      expect(toHex(signatureOf(signature, hash, payment))).not.toBe('01'.repeat(64));
    },
  );

  it('refuse a lock beyond what a script holds', () => {
    const utxo = closeUtxo(0x1_0000, true, new Uint8Array(22));
    expect(channel.tagOf(withdrawal([utxo]))).toBe('policy-generic-error');
  });

  it('are signed without anchors, tweaked by the point of channels that have one', () => {
    const point = secp.publicKey(bytesOf('point'));
    for (const commitmentPoint of [undefined, point]) {
      const key = keys.paymentPublicKey(ref, commitmentPoint ?? null);
      const utxo = closeUtxo(0, false, p2wpkhOfKey(key), commitmentPoint);
      const after = psbtIn(channel.ask(withdrawal([utxo])));
      expect(psbtPartialSigs(after, 0).map(({ publicKey }) => publicKey)).toEqual([key]);
      const silent = withdrawal([utxo], psbtOf(spending([utxo]), [undefined]));
      expect(psbtPartialSigs(psbtIn(channel.ask(silent)), 0)).toEqual(psbtPartialSigs(after, 0));
    }
  });

  it("policy-key-use: trips when the channel's payment key does not own the output", () => {
    const point = secp.publicKey(bytesOf('point'));
    const ours = p2wpkhOfKey(payment);
    for (const utxo of [
      closeUtxo(0, false, p2wpkhOfKey(model.counterparty.payment)),
      closeUtxo(0, false, ours, point),
      {
        ...closeUtxo(0, false, ours),
        closeInfo: { ...closeUtxo(0, false, ours).closeInfo!, channelId: 77n },
      },
    ])
      expect(channel.tagOf(withdrawal([utxo]))).toBe('policy-key-use');
  });
});

describe('sign_anchorspend', () => {
  const { witnessScript, output } = model.holderAnchor;
  const named = { publicKey: model.holderFundingKey, fingerprint: new Uint8Array(4), path: [0] };
  const wallet = walletUtxo(keys, 3);
  const anchor = { txid: bytesOf('a commitment'), vout: 1 };
  const tx = { ...spending([wallet], OWN), inputs: [input(anchor), input(wallet.outpoint)] };
  const plain = psbtOf(tx, [output, spentBy(wallet)]);

  it('signs our anchor where the PSBT names our funding key, with the wallet inputs', () => {
    const psbt = addPsbtBip32Derivation(plain, 0, named);
    const after = psbtIn(channel.ask(anchorspend(ref, [wallet], psbt)));
    const hash = segwitV0Sighash(tx, 0, witnessScript, sat(330n), SIGHASH.ALL);
    const [{ publicKey, signature }] = psbtPartialSigs(after, 0) as [
      { publicKey: Uint8Array; signature: Uint8Array },
    ];
    expect(publicKey).toEqual(model.holderFundingKey);
    expect(toHex(signatureOf(signature, hash, publicKey))).not.toBe('01'.repeat(64));
    expect(psbtPartialSigs(after, 1)).toHaveLength(1);
  });

  it('does not sign an anchor that is not named', () => {
    const after = psbtIn(channel.ask(anchorspend(ref, [wallet], plain)));
    expect(psbtPartialSigs(after, 0)).toEqual([]);
  });

  it.each([
    ['the funding output', model.fundingOutput()],
    [
      'an anchor of the peer',
      { ...output, script: p2wshOfScript(fundingScript(model.funding.peerKey, model.holderFundingKey)) },
    ],
    ['the P2WPKH of the funding key', { ...output, script: p2wpkhOfKey(model.holderFundingKey) }],
    ['nothing that the PSBT tells', undefined],
  ])('policy-key-use: trips when the input that names the funding key spends %s (A65)', (_, spent) => {
    const psbt = addPsbtBip32Derivation(psbtOf(tx, [spent, spentBy(wallet)]), 0, named);
    expect(channel.refused(anchorspend(ref, [wallet], psbt))).toMatchObject({
      tag: 'policy-key-use',
      facts: { input: 0 },
    });
  });

  it('policy-sighash: trips on the anchor too', () => {
    const psbt = setPsbtSighashType(addPsbtBip32Derivation(plain, 0, named), 0, 0x83);
    expect(channel.tagOf(anchorspend(ref, [wallet], psbt))).toBe('policy-sighash');
  });

  it('is refused for a channel that was never set up, like htlc_tx_mingle', () => {
    const unknown = { ...ref, dbid: 404n };
    for (const request of [anchorspend(unknown, [wallet]), htlcTxMingle(unknown, [wallet])])
      expect(channel.tagOf(request)).toBe('policy-generic-error');
  });
});

describe('the wallet of a mnemonic', () => {
  it('is the BIP 86 one: its keys sign, those of m/0/0 do not', () => {
    const mnemonic = new TestSigner(ringOf('a mnemonic', 'mnemonic'));
    const utxo = walletUtxo(mnemonic.keys, 3, 'p2tr');
    expect(psbtTapKeySig(psbtIn(mnemonic.ask(withdrawal([utxo]))), 0)).toHaveLength(64);
    const other = { ...utxo, scriptPubkey: p2wpkhOfKey(mnemonic.keys.bip32PublicKey(3)!) };
    expect(mnemonic.refused(withdrawal([other])).tag).toBe('policy-key-use');
  });
});
