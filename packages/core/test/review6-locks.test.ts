/** A lock drops no splice that may still confirm: its commitments would be gone with it, and the peer could keep all of ours. */
import { equalOutPoints, txidToHex } from '@countersign/bitcoin';
import { describe, expect, it } from 'vitest';
import { signedTransactionRecords } from '../src/records/spending.ts';
import { openedChannel } from './chained-signer.ts';
import type { Funding } from './channel-model.ts';
import { recordOf } from './forwarder.ts';
import { put } from './spending-model.ts';
import { fundingInput, withdrawal } from './wallet-model.ts';

/** A channel beyond its first update whose funding was never locked. */
function unlocked() {
  const { signer, channel } = openedChannel();
  const { model } = channel;
  signer.mineEmpty(6);
  channel.update({ ...channel.balances, feeratePerKw: 1001 });
  /** With its commitments, signed by us. */
  const signed = (label: string, from?: Funding) => {
    const splice = channel.candidate(model.spliceOf(label, 100_000n, from));
    channel.ask(model.signSplice(splice, from));
    const { inputs, psbt } = fundingInput(signer.keys, splice);
    channel.ask(withdrawal(inputs, psbt));
    return splice;
  };
  const has = ({ outpoint }: Funding) =>
    recordOf(channel).candidates.some((one) => equalOutPoints(one.outpoint, outpoint));
  return { signer, channel, signed, has };
}

describe('a splice that we signed', () => {
  it('stays when the funding that it spends is locked for the first time, and the channel goes on when it confirms', () => {
    const { signer, channel, signed, has } = unlocked();
    const { model } = channel;
    const splice = signed('splice');
    channel.ask(model.lock(model.funding));
    expect(has(splice)).toBe(true);
    channel.ask(model.signSplice(splice));
    // It counts: nothing is revoked without a successor there.
    const next = { ...channel.balances, feeratePerKw: 1002 };
    channel.signRemote(next);
    channel.peerRevokes();
    channel.ask(model.validate(2, next));
    expect(channel.refused(model.revoke(1))).toMatchObject({
      tag: 'policy-revoke-new-commitment-valid',
      temporary: true,
    });
    channel.ask(model.validate(2, next, splice));
    channel.revoke();
    signer.mine(splice.tx);
    channel.lock(splice);
    expect(has(model.funding)).toBe(false);
    channel.update({ ...channel.balances, feeratePerKw: 1003 });
  });

  it('stays when a splice that it spends is locked, and gives way to a rival', () => {
    const { signer, channel, signed, has } = unlocked();
    const rival = signed('rival');
    const splice = signed('splice');
    signer.mine(splice.tx);
    const child = signed('child', splice);
    signer.mine(child.tx);
    const grandchild = signed('grandchild', child);
    channel.ask(channel.model.lock(splice));
    const all = [channel.model.funding, rival, splice, child, grandchild];
    expect(all.map(has)).toEqual([false, false, true, true, true]);
  });

  it('stays with those that it spends when the funding before all of them is locked', () => {
    const { signer, channel, signed, has } = unlocked();
    const splice = signed('splice');
    signer.mine(splice.tx);
    const child = signed('child', splice);
    // A store of an earlier version does not say what it spends.
    const id = txidToHex(child.outpoint.txid);
    put(signer, signedTransactionRecords, id, {
      ...signer.read(signedTransactionRecords, id)!,
      spends: [],
    });
    channel.ask(channel.model.lock(channel.model.funding));
    expect([splice, child].map(has)).toEqual([true, true]);
    // As after a restart of the node that asks for it again.
    const { splicesSigned } = recordOf(channel);
    expect(splicesSigned).toHaveLength(2);
    channel.ask(channel.model.lock(channel.model.funding));
    expect(recordOf(channel).splicesSigned).toEqual(splicesSigned);
  });

  it('goes with the lock of another one, when it was not signed', () => {
    const { channel, has } = unlocked();
    const { model } = channel;
    const splice = channel.candidate(model.spliceOf('splice'));
    channel.ask(model.lock(model.funding));
    expect(has(splice)).toBe(false);
  });
});
