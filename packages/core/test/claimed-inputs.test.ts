/**
 * What a request says of an input of ours against what its PSBT says: one amount and one script, or nothing is signed. A
 * signature over another amount than the rules have judged would be worth nothing at best.
 */
import {
  createPsbt,
  PSBT_IN,
  type Psbt,
  p2wpkhOfKey,
  p2wshOfScript,
  parsePsbt,
  psbtSpentOutput,
  sat,
  serializePsbt,
  setPsbtWitnessUtxo,
  toRemoteAnchoredScript,
} from '@countersign/bitcoin';
import type { HsmUtxo, Reply } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { input } from './channel-model.ts';
import { psbtOf, walletOutPoint } from './channel-parts.ts';
import { OpenChannel } from './open-channel.ts';
import { anchorspend, htlcTxMingle, OWN, spentBy, walletUtxo, withdrawal } from './wallet-model.ts';

const channel = new OpenChannel().open();
const { keys } = channel.signer;
const { ref, holder } = channel.model;

/** An output of ours in a commitment of the peer, as lightningd describes it. */
function toRemote(optionAnchors: boolean, csv = 1): HsmUtxo {
  const script = optionAnchors
    ? p2wshOfScript(toRemoteAnchoredScript(holder.payment, csv))
    : p2wpkhOfKey(holder.payment);
  return {
    ...walletUtxo(keys, 0),
    outpoint: walletOutPoint(`a commitment ${optionAnchors}`, { value: sat(200_000n), script }),
    scriptPubkey: script,
    closeInfo: { channelId: ref.dbid, peerId: ref.peerId, commitmentPoint: undefined, optionAnchors, csv },
  };
}

const ours: Readonly<Record<string, HsmUtxo>> = {
  'P2WPKH of the wallet': walletUtxo(keys, 3),
  'P2SH of the wallet': walletUtxo(keys, 3, 'p2sh-p2wpkh'),
  'P2TR of the wallet': walletUtxo(keys, 3, 'p2tr'),
  'to_remote without anchors': toRemote(false),
  'to_remote with anchors': toRemote(true),
};
const requests = {
  withdrawal,
  anchorspend: (utxos: readonly HsmUtxo[], psbt: Psbt) => anchorspend(ref, utxos, psbt),
  htlc_tx_mingle: (utxos: readonly HsmUtxo[], psbt: Psbt) => htlcTxMingle(ref, utxos, psbt),
};
const each = Object.entries(ours).flatMap(([kind, utxo]) =>
  Object.entries(requests).map(([name, request]) => ({ kind, utxo, name, request })),
);

/** A transaction that spends it to our wallet. */
const spend = ({ outpoint, amount }: HsmUtxo) => ({
  version: 2,
  inputs: [input(outpoint, 1)],
  outputs: [{ value: sat(amount - 1000n), script: OWN }],
  locktime: 0,
});

/** The forms in which a PSBT says what the input spends: nothing, by its word, by the transaction before it, by both. */
function forms(utxo: HsmUtxo): readonly Psbt[] {
  const both = psbtOf(spend(utxo), [spentBy(utxo)]);
  const proof = both.inputs.map((map) => map.filter(({ type }) => type !== PSBT_IN.WITNESS_UTXO));
  return [
    createPsbt(spend(utxo)),
    setPsbtWitnessUtxo(createPsbt(spend(utxo)), 0, spentBy(utxo)),
    { ...both, inputs: proof },
    both,
  ];
}

const psbtIn = (reply: Reply): Psbt => (reply as Reply & { psbt: Psbt }).psbt;

describe.each(each)('$name of $kind', ({ utxo, request }) => {
  it('is signed where request and PSBT agree, and the reply is a PSBT that says so', () => {
    for (const psbt of forms(utxo)) {
      const signed = parsePsbt(serializePsbt(psbtIn(channel.ask(request([utxo], psbt)))));
      if (psbtSpentOutput(signed, 0) !== undefined) expect(psbtSpentOutput(signed, 0)).toEqual(spentBy(utxo));
    }
  });

  it('policy-generic-error: trips on another amount than the PSBT names or proves', () => {
    const [, ...telling] = forms(utxo);
    for (const psbt of telling) {
      for (const amount of [utxo.amount - 1n, utxo.amount + 1n, 0n])
        expect(channel.refused(request([{ ...utxo, amount: sat(amount) }], psbt))).toMatchObject({
          tag: 'policy-generic-error',
          temporary: false,
          facts: { input: 0, amount_sat: amount, amount_in_psbt_sat: 200_000n },
        });
    }
  });

  it('policy-key-use: trips on another script than the PSBT names', () => {
    const foreign = { value: utxo.amount, script: p2wshOfScript(Uint8Array.of(0x51)) };
    const psbt = setPsbtWitnessUtxo(createPsbt(spend(utxo)), 0, foreign);
    expect(channel.tagOf(request([utxo], psbt))).toBe('policy-key-use');
  });
});

it('policy-key-use: trips when one input is named twice, with another lock the second time', () => {
  const once = toRemote(true);
  const again = { ...once, closeInfo: { ...once.closeInfo!, csv: 2 } };
  expect(channel.tagOf(withdrawal([once, again], createPsbt(spend(once))))).toBe('policy-key-use');
});

it('policy-generic-error: trips when one input is named twice, with another amount the second time', () => {
  for (const one of Object.values(ours)) {
    const again = { ...one, amount: sat(one.amount + 1n) };
    expect(channel.tagOf(withdrawal([one, again], createPsbt(spend(one))))).toBe('policy-generic-error');
  }
});
