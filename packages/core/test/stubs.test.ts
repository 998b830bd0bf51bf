/** Stubs: each HTLC of the peer's commitments is kept once, under the number of the commitment that first had it. */
import { ripemd160, sha256 } from '@countersign/bitcoin';
import { stubRecords } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { stubId, stubNumber } from '../src/channel/stubs.ts';
import { ChainedSigner, idsIn } from './chained-signer.ts';
import { htlc } from './channel-model.ts';
import { channelIdOf } from './forwarder.ts';
import { adding, OpenChannel, removing } from './open-channel.ts';

function scene() {
  const signer = new ChainedSigner();
  signer.set = { approvals: { auto: 'all', autoPaymentVelocity: null, expirySeconds: 86_400 } };
  const channel = new OpenChannel({}, signer).open();
  signer.mine(channel.model.funding.tx);
  const id = channelIdOf(channel);
  const stubs = () =>
    idsIn(signer.state, stubRecords.name, '').map((key) => [stubNumber(key), signer.read(stubRecords, key)]);
  return { signer, channel, id, stubs };
}

describe('HTLC stubs', () => {
  const ours = htlc('holder', 50_000, 'ours', 900);
  const theirs = htlc('counterparty', 40_000, 'theirs', 950);
  const stubOf = ({ preimage, offeredBy, cltvExpiry }: typeof ours) => ({
    isOfferedByHolder: offeredBy === 'holder',
    paymentHash160: ripemd160(sha256(preimage)),
    cltvExpiry,
  });

  it('hold what rebuilds the scripts, once', () => {
    const { channel, stubs } = scene();
    expect(stubs()).toEqual([]);
    channel.update(adding(channel.balances, ours));
    expect(stubs()).toEqual([[1, [stubOf(ours)]]]);
    channel.update(adding(channel.balances, theirs));
    channel.update({ ...channel.balances, feeratePerKw: 1001 });
    expect(stubs()).toEqual([
      [1, [stubOf(ours)]],
      [2, [stubOf(theirs)]],
    ]);
    channel.update(removing(channel.balances, ours, 'failed'));
    expect(stubs()).toHaveLength(2);
  });

  it('of variants and candidate fundings of one number are kept together', () => {
    const { channel, stubs } = scene();
    channel.ask(channel.model.signRemote(1, adding(channel.balances, ours)));
    channel.ask(channel.model.signRemote(1, adding(channel.balances, ours, theirs)));
    expect(stubs()).toEqual([[1, [stubOf(ours), stubOf(theirs)]]]);
  });

  it('of HTLCs equal in all that the script holds are one', () => {
    const { channel, stubs } = scene();
    channel.update(adding(channel.balances, ours, { ...ours, amountMsat: 30_000_000n }));
    expect(stubs()).toEqual([[1, [stubOf(ours)]]]);
  });

  it('have ids that sort by number', () => {
    expect(stubId('02ab/1', 7) < stubId('02ab/1', 10)).toBe(true);
    expect(stubNumber(stubId('02ab/1', 2 ** 40))).toBe(2 ** 40);
  });
});
