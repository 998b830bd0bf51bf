/**
 * The node names fundings as it likes, and a peer mines them: one without a commitment of ours, or a splice that we never signed, is a gift
 * that secures nothing on another one.
 */
import { outPointToString, toHex } from '@countersign/bitcoin';
import { closingRecords, outputRecords } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { ChainedSigner } from './chained-signer.ts';
import { type Funding, htlc, type ModelOptions } from './channel-model.ts';
import { channelIdOf, FakeChain, forwardOf, hubSigner, recordOf, trips, UNAPPROVED } from './forwarder.ts';
import { adding, OpenChannel } from './open-channel.ts';

const ACTIVE = 'policy-commitment-spends-active-utxo';
const COVERED = 'policy-commitment-htlc-received-spends-active-utxo';
const ZERO_CONF = { limits: {}, severities: new Map(), sharedAllowlist: false, zeroConf: true };

/** A peer upstream with a channel, and one that it forwards to. */
function between(options: ModelOptions = {}) {
  const signer = new ChainedSigner();
  const thief = new OpenChannel({ peer: 'thief', isOutbound: false, pushMsat: 0n, ...options }, signer);
  const zeroConf = () => {
    signer.set = { ...signer.set, peers: new Map([[toHex(thief.model.ref.peerId), ZERO_CONF]]) };
  };
  signer.set = { approvals: UNAPPROVED };
  const downstream = new OpenChannel({ peer: 'downstream' }, signer).open();
  signer.mine(downstream.model.funding.tx).mineEmpty(6);
  const received = htlc('counterparty', 600_000, 'forwarded', 430);
  const forward = adding(downstream.balances, forwardOf(received, 599_000, 60));
  const offer = downstream.model.signRemote(1, forward);
  return { signer, thief, downstream, received, offer, zeroConf };
}

describe('a round of the opening that the chain has and no commitment is on', () => {
  it('is no funding of those on another round: they rest on nothing', () => {
    const { signer, thief } = between();
    const { model } = thief.open();
    const gift = model.newFunding('gift', 10_000n);
    thief.ask(model.setup(gift));
    signer.mine(gift.tx).mineEmpty(6);
    const next = { ...thief.balances, feeratePerKw: 1001 };
    expect(trips(thief, model.signRemote(1, next), ACTIVE).temporary).toBe(true);
    thief.ask(model.validate(1, next));
    expect(trips(thief, model.revoke(0), ACTIVE).temporary).toBe(true);
    expect(thief.refused(model.lock(model.funding))).toMatchObject({ temporary: true });
    const { txid: fundingTxid, vout: fundingTxout } = model.funding.outpoint;
    expect(thief.ask({ name: 'hsmd_check_outpoint', fundingTxid, fundingTxout })).toMatchObject({
      isBuried: false,
    });
    signer.mine(model.funding.tx);
    thief.update(next);
  });

  it('secures no HTLC on another round that the operator marked zero-conf', () => {
    const { signer, thief, downstream, received, offer, zeroConf } = between();
    zeroConf();
    const { model } = thief.open();
    const gift = model.newFunding('gift', 10_000n);
    thief.ask(model.setup(gift));
    signer.mine(gift.tx).mineEmpty(6);
    thief.update(adding(thief.balances, received));
    expect(trips(downstream, offer, COVERED).temporary).toBe(true);
    signer.mine(model.funding.tx).mineEmpty(6);
    downstream.ask(offer);
  });

  it.each(['on the chain', 'awaited by a channel marked zero-conf'])(
    'does not keep the channel from ending with the one that it lives on, %s',
    (where) => {
      const { signer, thief, zeroConf } = between();
      if (where !== 'on the chain') zeroConf();
      const { model } = thief.open();
      const gift = model.newFunding('gift', 10_000n);
      thief.ask(model.setup(gift));
      signer.mine(model.funding.tx, ...(where === 'on the chain' ? [gift.tx] : [])).mineEmpty(6);
      signer.mine(model.build('counterparty', 0, thief.balances).tx);
      expect(signer.read(closingRecords, channelIdOf(thief))).toMatchObject({ kind: 'counterparty' });
      const next = { ...thief.balances, feeratePerKw: 1001 };
      expect(trips(thief, model.signRemote(1, next), ACTIVE).message).toContain('ended');
    },
  );
});

it('a round that the channel does not live on is no funding of it, when a reorg has taken the other one', () => {
  const signer = hubSigner();
  const channel = new OpenChannel({ isOutbound: false, pushMsat: 0n }, signer).open();
  const { model } = channel;
  const other = channel.candidate(model.newFunding('other', model.funding.valueSat));
  const before = new FakeChain();
  before.bury(channel, 1);
  signer.chain = before;
  channel.lock(model.funding);
  const after = new FakeChain();
  after.bury(channel, 1, {}, other);
  signer.chain = after;
  const next = model.signRemote(1, { ...channel.balances, feeratePerKw: 1001 });
  expect(trips(channel, next, ACTIVE).temporary).toBe(true);
});

it('a splice that we did not sign secures nothing, whatever it spends', () => {
  const { signer, thief, downstream, received, offer, zeroConf } = between();
  zeroConf();
  const { model } = thief.open();
  // Somebody's coin that the node calls a round of the opening: the splice that spends it takes no signature of ours.
  const coin: Funding = {
    ...model.newFunding('coin', 1_000_000n),
    outpoint: { txid: new Uint8Array(32).fill(7), vout: 1 },
  };
  thief.ask(model.setup(coin));
  thief.update({ ...thief.balances, feeratePerKw: 1001 });
  const splice = model.newFunding('splice', 1_000_000n, 0n, coin);
  thief.candidate(splice);
  signer.mine(splice.tx).mineEmpty(6);
  expect(signer.read(outputRecords, outPointToString(splice.outpoint))?.created).not.toBeNull();
  expect(recordOf(thief).candidates.map(({ fundingSigned }) => fundingSigned)).not.toContain(true);
  thief.update(adding(thief.balances, received));
  expect(trips(downstream, offer, COVERED).temporary).toBe(true);
});
