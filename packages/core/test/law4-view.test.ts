/** Law 4 by a view that tests shape: which funding is buried, what a stale view admits, and what is due by its height. */
import { outPointToString } from '@countersign/bitcoin';
import { type Override, paymentRecords } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { type Funding, htlc } from './channel-model.ts';
import {
  budget,
  channelIdOf,
  deliver,
  FakeChain,
  HEIGHT_BLOCKS,
  hashOf,
  hubChannel,
  paymentOf,
  recordOf,
  type Settings,
  trips,
} from './forwarder.ts';
import { adding, type OpenChannel, removing } from './open-channel.ts';
import { put } from './spending-model.ts';

const NOT_BURIED = 'policy-revoke-new-commitment-valid';
const ACTIVE = 'policy-commitment-spends-active-utxo';
const RANGE = 'policy-commitment-htlc-cltv-range';
const LIMITS = { limits: { fundingDepthBlocks: 3 } };

function watched(set: Settings = LIMITS): { channel: OpenChannel; chain: FakeChain } {
  const channel = hubChannel({}, { approvals: budget(500_000n), ...set });
  const chain = new FakeChain();
  channel.signer.chain = chain;
  return { channel, chain };
}

const isBuried = (channel: OpenChannel, { outpoint }: Funding = channel.model.funding) =>
  channel.ask({ name: 'hsmd_check_outpoint', fundingTxid: outpoint.txid, fundingTxout: outpoint.vout });

/** As the operator marks it in the configuration, by the outpoint of its first funding. */
function markZeroConf(channel: OpenChannel): void {
  const zeroConf: Override = { limits: {}, severities: new Map(), zeroConf: true, sharedAllowlist: false };
  const outpoint = outPointToString(channel.model.funding.outpoint);
  channel.signer.set = { ...channel.signer.set, channels: new Map([[outpoint, zeroConf]]) };
}

describe('check_outpoint and lock_outpoint, by a view', () => {
  it('answer buried at the depth, and not before', () => {
    const { channel, chain } = watched();
    for (const bury of [() => undefined, () => chain.bury(channel, 2)]) {
      bury();
      expect(isBuried(channel)).toMatchObject({ isBuried: false });
      const refusal = trips(channel, channel.model.lock(channel.model.funding), NOT_BURIED, {
        outpoint: outPointToString(channel.model.funding.outpoint),
        height: HEIGHT_BLOCKS,
      });
      expect(refusal.temporary).toBe(true);
    }
    chain.bury(channel, 3);
    expect(isBuried(channel)).toMatchObject({ isBuried: true });
    channel.lock(channel.model.funding);
    expect(recordOf(channel).locked).toEqual(channel.model.funding.outpoint);
  });

  it('believe the node without a view', () => {
    const { channel } = watched();
    channel.signer.chain = null;
    expect(isBuried(channel)).toMatchObject({ isBuried: true });
    channel.lock(channel.model.funding);
  });

  it('take a zero-conf channel for open at once, and never a splice of it', () => {
    const { channel, chain } = watched();
    markZeroConf(channel);
    expect(isBuried(channel)).toMatchObject({ isBuried: true });
    channel.lock(channel.model.funding);
    channel.update({ ...channel.balances, feeratePerKw: 1100 });
    const splice = channel.candidate(channel.model.spliceOf('splice'));
    chain.bury(channel, 6);
    expect(isBuried(channel, splice)).toMatchObject({ isBuried: false });
    trips(channel, channel.model.lock(splice), NOT_BURIED);
    chain.bury(channel, 3, {}, splice);
    expect(isBuried(channel, splice)).toMatchObject({ isBuried: true });
  });

  it('take the round that was mined for the named one, and no splice for it', () => {
    const { channel, chain } = watched();
    const second = channel.candidate(channel.model.newFunding('second round', 1_000_000n));
    chain.bury(channel, 3);
    expect(isBuried(channel, second)).toMatchObject({ isBuried: true });
    channel.ask(channel.model.lock(second));
    expect(recordOf(channel).locked).toEqual(channel.model.funding.outpoint);
    const other = watched();
    other.chain.bury(other.channel, 6);
    other.channel.update({ ...other.channel.balances, feeratePerKw: 1100 });
    const splice = other.channel.candidate(other.channel.model.spliceOf('splice'));
    other.chain.bury(other.channel, 3, {}, splice);
    other.chain.bury(other.channel, 1);
    expect(isBuried(other.channel)).toMatchObject({ isBuried: false });
  });
});

describe('a view that is behind', () => {
  const ours = htlc('holder', 20_000, 'ours', HEIGHT_BLOCKS + 100);
  const theirs = htlc('counterparty', 20_000, 'theirs', HEIGHT_BLOCKS + 100);
  const stale = () => {
    const { channel, chain } = watched();
    chain.bury(channel, 6);
    chain.isFresh = false;
    return { channel, chain };
  };

  it('policy-commitment-spends-active-utxo: trips for now on a new HTLC of ours, alone or beside others', () => {
    for (const added of [[ours], [theirs, ours], [ours, theirs]]) {
      const { channel, chain } = stale();
      const request = channel.model.signRemote(1, adding(channel.balances, ...added));
      const refusal = trips(channel, request, ACTIVE, {
        channel: channelIdOf(channel),
        height: HEIGHT_BLOCKS,
      });
      expect(refusal.temporary).toBe(true);
      chain.isFresh = true;
      channel.ask(request);
    }
  });

  it('policy-commitment-spends-active-utxo: passes what the peer adds, and what goes', () => {
    const { channel, chain } = stale();
    channel.update(adding(channel.balances, theirs));
    channel.update(removing(channel.balances, theirs, 'failed'));
    chain.isFresh = true;
    channel.update(adding(channel.balances, ours));
    chain.isFresh = false;
    channel.update(removing(channel.balances, ours, 'failed'));
  });
});

describe('an HTLC whose deadline is here', () => {
  const expiry = HEIGHT_BLOCKS + 100;
  const next = (channel: OpenChannel) => ({ ...channel.balances, feeratePerKw: 1100 });
  const standing = (offeredBy: 'holder' | 'counterparty') => {
    const { channel, chain } = watched();
    chain.bury(channel, 6);
    const one = htlc(offeredBy, 20_000, 'late', expiry);
    channel.update(adding(channel.balances, one));
    return { channel, chain, one };
  };

  it('policy-commitment-htlc-cltv-range: trips on a commitment that keeps one we offered, and passes its removal', () => {
    const { channel, chain, one } = standing('holder');
    const { deadlineGraceBlocks } = channel.signer.policy.limits;
    chain.heightBlocks = expiry + deadlineGraceBlocks - 1;
    channel.update(next(channel));
    chain.heightBlocks += 1;
    const { model } = channel;
    trips(channel, model.signRemote(3, { ...channel.balances, feeratePerKw: 1200 }), RANGE, {
      channel: channelIdOf(channel),
      payment_hash: hashOf(one),
      offered_by: 'holder',
      cltv_expiry: expiry,
      deadline_height: expiry + deadlineGraceBlocks,
      height: chain.heightBlocks,
    });
    channel.update(removing(channel.balances, one, 'failed'));
  });

  it('policy-commitment-htlc-cltv-range: trips on one offered to us only if it pays for what went out', () => {
    const { channel, chain, one } = standing('counterparty');
    const { claimMarginBlocks } = channel.signer.policy.limits;
    chain.heightBlocks = expiry - claimMarginBlocks;
    const request = channel.model.signRemote(2, next(channel));
    expect(channel.signer.decide(request, channel.signer.clientFor(request, channel.model.ref)).kind).toBe(
      'approved',
    );
    deliver(channel.signer, one);
    // Known, and nothing rests on it: whoever sent it may have known it before.
    expect(channel.signer.decide(request, channel.signer.clientFor(request, channel.model.ref)).kind).toBe(
      'approved',
    );
    const record = paymentOf(channel.signer, one)!;
    put(channel.signer, paymentRecords, hashOf(one), { ...record, settledMsat: one.amountMsat });
    trips(channel, request, RANGE, {
      offered_by: 'counterparty',
      deadline_height: expiry - claimMarginBlocks,
    });
    chain.heightBlocks -= 1;
    channel.ask(request);
  });
});
