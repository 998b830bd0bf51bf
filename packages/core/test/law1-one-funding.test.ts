/** Law 1 where a peer can have two fundings of a channel mined: it goes on only while one of them can hold something of ours. */
import { outPointToString, sat, txid, txidToHex } from '@countersign/bitcoin';
import { Draft, outputRecords } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { signedTransactionRecords } from '../src/records/spending.ts';
import { input, psbtOf, walletOutPoint } from './channel-model.ts';
import { recordOf } from './forwarder.ts';
import { coin, output, own, put } from './spending-model.ts';
import { spends, TwoFundings } from './two-fundings.ts';
import { fundingInput, STRANGER, spentBy, withdrawal } from './wallet-model.ts';

describe('policy-candidate-exclusive, once two fundings hold something of ours', () => {
  const tag = 'policy-candidate-exclusive';
  const changed = { feeratePerKw: 1001 };

  it('policy-candidate-exclusive: trips on commitments of either side: an HTLC of them could be claimed twice', () => {
    const two = new TwoFundings().mineBoth();
    const { channel } = two;
    const { model } = channel;
    const next = { ...channel.balances, ...changed };
    for (const funding of [two.first, two.second]) {
      expect(channel.refused(model.signRemote(1, next, funding))).toMatchObject({ tag, temporary: true });
      channel.ask(model.validate(1, next, funding));
    }
    expect(channel.refused(model.revoke(0))).toMatchObject({ tag, temporary: true });
    // The end is no update.
    expect(two.close()).toMatchObject({ ok: true, left: [] });
    expect(two.commitments().every(({ isReleased }) => isReleased)).toBe(true);
  });

  it('policy-candidate-exclusive: trips when the channel is locked on one of them, and what the other has would be revoked', () => {
    const two = new TwoFundings().mineFirst();
    const { channel } = two;
    const { model } = channel;
    channel.ask(model.lock(two.first));
    two.mineSecond();
    const next = { ...channel.balances, ...changed };
    expect(channel.tagOf(model.signRemote(1, next))).toBe(tag);
    channel.ask(model.validate(1, next));
    expect(channel.tagOf(model.revoke(0))).toBe(tag);
    expect(two.commitments()).toHaveLength(2);
  });

  it('policy-candidate-exclusive: trips while a closed one has outputs that are not resolved', () => {
    const two = new TwoFundings().mineBoth();
    const { channel } = two;
    const close = two.commitment('counterparty', 0, two.second);
    two.signer.mine(close);
    const next = channel.model.signRemote(1, { ...channel.balances, ...changed });
    expect(channel.tagOf(next)).toBe(tag);
    const all = close.outputs.map((_, vout) => vout);
    two.signer.mine(...spends(close, all)).mineEmpty(145);
    channel.ask(next);
  });

  it('policy-candidate-exclusive: trips on a lock that drops the other one', () => {
    const two = new TwoFundings().mineFirst();
    const { channel } = two;
    channel.update({ ...channel.balances, ...changed });
    two.mineSecond();
    for (const funding of [two.first, two.second]) {
      expect(channel.refused(channel.model.lock(funding))).toMatchObject({ tag, temporary: true });
    }
    expect(two.commitments()).toHaveLength(2);
  });

  it('policy-candidate-exclusive: passes while the other one is not mined, or has nothing of ours', () => {
    const unmined = new TwoFundings().mineFirst();
    unmined.channel.update({ ...unmined.channel.balances, ...changed });
    unmined.channel.lock(unmined.first);
    const nothing = new TwoFundings({ pushMsat: 0n }).mineBoth();
    nothing.channel.update({ ...nothing.channel.balances, ...changed });
    nothing.channel.lock(nothing.first);
    nothing.channel.update(nothing.channel.balances);
  });

  /** We open: the wallet pays for the second round, and the first is a gift of the attacker's. */
  function withOurs(options: { readonly isLocked: boolean }) {
    const two = new TwoFundings({ isOutbound: true, pushMsat: 0n });
    const { channel, signer } = two;
    const { inputs, psbt } = fundingInput(signer.keys, two.second);
    channel.ask(withdrawal(inputs, psbt));
    two.mineFirst();
    if (options.isLocked) channel.lock(two.first);
    return two;
  }

  it('policy-candidate-exclusive: trips while one that our wallet pays for could still be mined', () => {
    for (const isLocked of [true, false]) {
      const two = withOurs({ isLocked });
      const { channel } = two;
      const next = { ...channel.balances, ...changed };
      expect(channel.tagOf(channel.model.signRemote(1, next))).toBe(tag);
      for (const funding of channel.fundings) channel.ask(channel.model.validate(1, next, funding));
      expect(channel.tagOf(channel.model.revoke(0))).toBe(tag);
      two.mineSecond();
      two.close();
      expect(two.commitments()).toHaveLength(2);
    }
  });

  it('policy-candidate-exclusive: passes once an input of that one is spent, and no reorg brings it back', () => {
    const two = withOurs({ isLocked: true });
    const { channel, signer } = two;
    const [input] = two.second.tx.inputs;
    const other = { ...two.second.tx, inputs: [input!], outputs: [two.second.tx.outputs[0]!] };
    const next = { ...channel.balances, ...changed };
    const { mined } = signer;
    signer.mine(other).mineEmpty(4);
    expect(channel.tagOf(channel.model.signRemote(1, next))).toBe(tag);
    signer.mined = mined.forkAt(mined.tip.heightBlocks - 5);
    signer.mined.extend([two.second.tx]);
    signer.mined.extendBy(6);
    signer.follow();
    expect(two.commitments()).toHaveLength(2);
    signer.mined = mined;
    signer.mineEmpty(3);
    channel.update(next);
  });

  it('policy-candidate-exclusive: passes at once where another round has spent it', () => {
    const two = new TwoFundings({ isOutbound: true, pushMsat: 0n });
    const { channel, signer } = two;
    const { inputs, psbt } = fundingInput(signer.keys, two.second);
    channel.ask(withdrawal(inputs, psbt));
    const { tx } = two.second;
    // A round that the signer never signed, by whichever key.
    const again = { ...tx, outputs: [{ ...tx.outputs[0]!, value: sat(40_000n) }, tx.outputs[1]!] };
    const third = channel.candidate({ ...two.second, tx: again, outpoint: { txid: txid(again), vout: 1 } });
    signer.mine(again);
    channel.lock(third);
    channel.update({ ...channel.balances, ...changed });
  });

  it('policy-candidate-exclusive: trips on a signature for a round when another one is mined', () => {
    const two = new TwoFundings({ isOutbound: true, pushMsat: 0n });
    const { channel, signer } = two;
    const late = fundingInput(signer.keys, two.second);
    const sign = withdrawal(late.inputs, late.psbt);
    two.mineFirst();
    // Nobody could say whether its inputs are spent: it would count as one that can still come.
    expect(channel.tagOf(sign)).toBe(tag);
    // The same signature again is another matter.
    const before = new TwoFundings({ isOutbound: true, pushMsat: 0n });
    before.channel.ask(sign);
    before.mineFirst().channel.ask(sign);
  });

  it('policy-candidate-exclusive: trips beside a round that was signed before the signer knew of it', () => {
    const two = new TwoFundings({ isOutbound: true, pushMsat: 0n });
    const { channel, signer } = two;
    const { model } = channel;
    // An input of the wallet comes back whole, and the peer pays for the 2-of-2, in which hardly anything is ours.
    const third = model.newFunding('third round', 500_000n);
    const mine = coin(signer, 1_000_000n, 4);
    const theirs = output(STRANGER, 501_000n);
    const tx = {
      version: 2,
      inputs: [mine.outpoint, walletOutPoint('of the peer', theirs)].map((one) => input(one)),
      outputs: [own(signer, 9, 1_000_000n), third.tx.outputs[third.outpoint.vout]!],
      locktime: 0,
    };
    const round = { ...third, tx, outpoint: { txid: txid(tx), vout: 1 } };
    channel.ask(withdrawal([mine], psbtOf(tx, [spentBy(mine), theirs])));
    const theirBalances = { ...model.initial, holderMsat: 900_000n, counterpartyMsat: 499_100_000n };
    channel.ask({ ...model.setup(round), pushValue: theirBalances.counterpartyMsat });
    channel.ask(model.validate(0, theirBalances, round));
    channel.ask(model.signRemote(0, theirBalances, round));
    const { inputs, psbt } = fundingInput(signer.keys, two.second);
    channel.ask(withdrawal(inputs, psbt));
    signer.mine(tx).mineEmpty(6);
    channel.ask(model.lock(round));
    const next = { ...theirBalances, ...changed };
    expect(channel.tagOf(model.signRemote(1, next, round))).toBe(tag);
    channel.ask(model.validate(1, next, round));
    expect(channel.tagOf(model.revoke(0))).toBe(tag);
    two.mineSecond();
    expect(two.commitments()).toEqual([{ of: 'second', isReleased: false }]);
  });

  it('policy-candidate-exclusive: passes for rounds of ours that have an input in common', () => {
    const two = new TwoFundings({ isOutbound: true, pushMsat: 0n });
    const { channel, signer } = two;
    const { inputs, psbt } = fundingInput(signer.keys, two.second);
    channel.ask(withdrawal(inputs, psbt));
    const { tx } = two.second;
    const again = { ...tx, outputs: [{ ...tx.outputs[0]!, value: sat(40_000n) }, tx.outputs[1]!] };
    const third = { ...two.second, tx: again, outpoint: { txid: txid(again), vout: 1 } };
    channel.candidate(third);
    const raised = fundingInput(signer.keys, third);
    channel.ask(withdrawal(raised.inputs, raised.psbt));
    signer.mine(again).mineEmpty(2);
    channel.lock(third);
    // As if the block had come before the signer knew of the round that it excludes.
    put(signer, outputRecords, outPointToString(two.second.outpoint), null);
    // One that they share is enough, whatever else each of them spends.
    for (const { outpoint } of [two.second, third]) {
      const key = txidToHex(outpoint.txid);
      const record = new Draft(signer.state).get(signedTransactionRecords, key)!;
      const more = { txid: outpoint.txid, vout: 7 };
      put(signer, signedTransactionRecords, key, { ...record, spends: [more, ...record.spends] });
    }
    channel.update({ ...channel.balances, ...changed });
  });
});

describe('room for more fundings', () => {
  it('is made by dormant rounds, but not by one with something of ours on the chain', () => {
    const two = new TwoFundings().mineFirst();
    const { channel } = two;
    const { model } = channel;
    const more = (from: number, to: number) => {
      for (let i = from; i < to; i++) channel.ask(model.setup(model.newFunding(`round ${i}`, 1_000_000n)));
    };
    more(2, 16);
    channel.ask(model.lock(two.first));
    two.mineSecond();
    more(16, 17);
    const kept = recordOf(channel).candidates.map(({ outpoint }) => outpoint.txid);
    expect(kept).toHaveLength(3);
    expect(kept).toContainEqual(two.second.outpoint.txid);
  });
});
