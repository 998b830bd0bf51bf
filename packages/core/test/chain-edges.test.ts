/** The edges of the chain view: what is there twice, what is missing, what is just not yet, and each alarm by itself. */
import {
  alarmsOfChain,
  alarmsOfChannel,
  channelRecords,
  closingRecords,
  Draft,
  deadlinesOf,
  fundingRecords,
  networkByName,
  outputRecords,
  paymentRecords,
  policyOf,
  WatchBook,
} from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { chainViewOf } from '../src/chain/view-of.ts';
import { APPROVING, ChainedSigner, openedChannel, spendOf } from './chained-signer.ts';
import { htlc } from './channel-model.ts';
import { channelIdOf, deliver, forwardOf, hashOf, paymentOf, recordOf } from './forwarder.ts';
import { adding, OpenChannel, removing } from './open-channel.ts';
import { put } from './spending-model.ts';

const alarmCodes = (signer: ChainedSigner, channel: OpenChannel): readonly string[] => {
  const id = channelIdOf(channel);
  const deadlines = deadlinesOf(signer.read, signer.policy, id, recordOf(channel));
  return alarmsOfChannel(signer.read, signer.policy, id, recordOf(channel), deadlines).map(
    ({ code }) => code,
  );
};

const chainAlarms = (signer: ChainedSigner): readonly string[] => {
  const { state, policy, nowSeconds } = signer;
  return alarmsOfChain({ draft: new Draft(state), policy, nowSeconds }).map(({ code }) => code);
};

describe('the index of what is watched', () => {
  it('is the same, built from the records or told of each change', () => {
    const { signer, channel, id } = openedChannel();
    const again = signer.watchAnew();
    const { txid: fundingTxid, vout } = channel.model.funding.outpoint;
    for (const watch of [signer.watch, again]) {
      expect([...watch.channels()]).toEqual([id]);
      expect(watch.fundingsOf(Buffer.from(fundingTxid).reverse().toString('hex'))).toEqual([vout]);
      expect(watch.isWatched(`${Buffer.from(fundingTxid).reverse().toString('hex')}:${vout}`)).toBe(true);
      expect(watch.isWatched(`${'00'.repeat(32)}:0`)).toBe(false);
      expect(watch.ids(fundingRecords.name, '')).toHaveLength(1);
    }
  });

  it('forgets an output that is gone, and never a funding', () => {
    const list = new WatchBook(() => []);
    const txidHex = 'ab'.repeat(32);
    const change = (name: 'output' | 'funding', value: unknown) => ({
      kind: { ...outputRecords, name } as never,
      id: `${txidHex}:1`,
      version: 1,
      value,
    });
    list.apply([change('output', {})]);
    expect(list.isWatched(`${txidHex}:1`)).toBe(true);
    list.apply([change('output', null)]);
    expect(list.isWatched(`${txidHex}:1`)).toBe(false);
    list.apply([change('funding', 'peer/1'), change('funding', 'peer/1'), change('output', {})]);
    list.apply([change('output', null)]);
    expect(list.isWatched(`${txidHex}:1`)).toBe(true);
    expect(list.fundingsOf(txidHex)).toEqual([1]);
  });
});

describe('the view', () => {
  it('is none without a chain', () => {
    const { signer } = openedChannel();
    expect(chainViewOf(() => null, signer.policy, 0)).toBeNull();
    const bare = { draft: new Draft(signer.state.without(['chain'])), policy: signer.policy, nowSeconds: 0 };
    expect(alarmsOfChain(bare)).toEqual([]);
  });

  it('is not fresh before the headers reach the birthday', () => {
    const signer = new ChainedSigner(undefined, 10);
    expect(signer.view.isFresh).toBe(false);
    signer.mineEmpty(8);
    expect(signer.view).toMatchObject({ heightBlocks: 8, isFresh: false });
    signer.mineEmpty(1);
    expect(signer.view).toMatchObject({ heightBlocks: 9, isFresh: true });
  });

  it('has the median time of the eleven headers before, or of those there are', () => {
    const signer = new ChainedSigner();
    expect(signer.view.medianTimeSeconds).toBe(signer.mined.blocks[0]!.timeSeconds);
    signer.mineEmpty(20);
    expect(signer.view.medianTimeSeconds).toBe(signer.mined.blocks[15]!.timeSeconds);
  });

  it('grows silent on every network but regtest', () => {
    const { signer } = openedChannel();
    const tip = signer.mined.tip.timeSeconds;
    const limit = signer.policy.limits.chainSilenceSecondsMax;
    const at = (name: 'regtest' | 'signet', nowSeconds: number) =>
      chainViewOf(signer.read, policyOf(networkByName(name)!, 'hub'), nowSeconds)?.isFresh;
    expect(at('signet', tip + limit)).toBe(true);
    expect(at('signet', tip + limit + 1)).toBe(false);
    expect(at('signet', tip - 5000)).toBe(true);
    expect(at('regtest', tip + 10 * limit)).toBe(true);
  });
});

describe('what a block shows twice or incompletely', () => {
  it('a funding outpoint that was seen is not seen again in another branch of one transaction', () => {
    const { signer, channel } = openedChannel();
    const before = signer.view.outpoint(channel.model.funding.outpoint);
    signer.mineEmpty(1);
    expect(signer.view.outpoint(channel.model.funding.outpoint)).toEqual({ ...before, depthBlocks: 2 });
  });

  it('a preimage that is known already is no news', () => {
    const { signer, channel } = openedChannel();
    const ours = htlc('holder', 50_000, 'ours', 900);
    channel.update(adding(channel.balances, ours));
    deliver(signer, ours);
    const built = channel.model.build('counterparty', 1, channel.balances);
    const { outputIndex } = built.commitment.htlcs[0]!;
    signer.events = [];
    signer.mine(built.tx, spendOf(built.tx, outputIndex, [ours.preimage]));
    expect(signer.events.map(({ event }) => event)).not.toContain('preimage-learned');
    expect(paymentOf(signer, ours)?.preimage).toEqual(ours.preimage);
  });

  it('a channel that was never set up has no close', () => {
    const { signer, channel, id } = openedChannel();
    const record = signer.read(channelRecords, id)!;
    put(signer, channelRecords, id, { ...record, setup: null });
    signer.mine(channel.model.build('holder', 0, channel.balances).tx);
    expect(signer.read(closingRecords, id)).toBeNull();
  });

  it('a channel whose candidates are all gone has none either', () => {
    const { signer, channel, id } = openedChannel();
    const record = signer.read(channelRecords, id)!;
    put(signer, channelRecords, id, { ...record, candidates: [] });
    signer.mine(channel.model.build('holder', 0, channel.balances).tx);
    expect(signer.read(closingRecords, id)).toBeNull();
  });

  it('a second funding of a closed channel that is spent changes nothing of its close', () => {
    const { signer, channel, id } = openedChannel();
    channel.update({ ...channel.balances, feeratePerKw: 1001 });
    const splice = channel.candidate(channel.model.spliceOf('splice'));
    signer.mine(channel.model.build('holder', 1, channel.balances).tx);
    const before = signer.read(closingRecords, id);
    expect(before).toMatchObject({ kind: 'holder', number: 1 });
    signer.mine(channel.model.build('counterparty', 1, channel.balances, splice).tx);
    expect(signer.read(closingRecords, id)).toEqual(before);
  });

  it('a commitment of ours beyond what was validated is unknown', () => {
    const { signer, channel, id } = openedChannel();
    signer.mine(channel.model.build('holder', 5, channel.balances).tx);
    expect(signer.read(closingRecords, id)).toMatchObject({ kind: 'unknown', number: 5 });
    expect(alarmCodes(signer, channel)).toEqual(['unknown-close']);
  });
});

describe('payments of a channel that closed', () => {
  it('by agreement have nothing left in it', () => {
    const { signer, channel, id } = openedChannel();
    const close = channel.model.closeTx(channel.balances);
    channel.ask(channel.model.mutualClose(close));
    signer.mine(close).mineEmpty(8);
    expect(signer.read(closingRecords, id)).toMatchObject({ kind: 'mutual' });
    expect(alarmCodes(signer, channel)).toEqual([]);
  });

  it('by a commitment that nobody here knows stay as they were', () => {
    const { signer, channel } = openedChannel();
    const ours = htlc('holder', 50_000, 'ours', 900);
    channel.update(adding(channel.balances, ours));
    const before = paymentOf(signer, ours);
    signer.mine(channel.model.build('counterparty', 9, channel.balances).tx).mineEmpty(20);
    expect(alarmCodes(signer, channel)).toEqual(['future-commitment']);
    expect(paymentOf(signer, ours)).toEqual(before);
  });

  it('are credited when the claim with the preimage is buried', () => {
    const { signer, channel, id } = openedChannel();
    const theirs = htlc('counterparty', 60_000, 'theirs', 950);
    channel.update(adding(channel.balances, theirs));
    deliver(signer, theirs);
    const built = channel.model.build('counterparty', 1, channel.balances);
    signer.mine(built.tx, spendOf(built.tx, built.commitment.htlcs[0]!.outputIndex, [theirs.preimage]));
    const part = () => paymentOf(signer, theirs)?.parts.find((one) => one.channel === id);
    signer.mineEmpty(4);
    expect(part()).toMatchObject({ standingMsat: theirs.amountMsat });
    signer.mineEmpty(1);
    expect(part()).toMatchObject({ standingMsat: 0n, inMsat: theirs.amountMsat });
  });

  it('that the peer took back leave nothing', () => {
    const { signer, channel, id } = openedChannel();
    const theirs = htlc('counterparty', 60_000, 'theirs', 950);
    channel.update(adding(channel.balances, theirs));
    const built = channel.model.build('holder', 1, channel.balances);
    signer.mine(built.tx, spendOf(built.tx, built.commitment.htlcs[0]!.outputIndex)).mineEmpty(5);
    const part = paymentOf(signer, theirs)?.parts.find((one) => one.channel === id);
    expect(part).toMatchObject({ inMsat: 0n, standingMsat: 0n });
  });

  it('end with the channel when everything is buried', () => {
    const { signer, channel, id } = openedChannel();
    const ours = htlc('holder', 50_000, 'ours', 900);
    channel.update(adding(channel.balances, ours));
    const built = channel.model.build('counterparty', 1, channel.balances);
    const claims = built.tx.outputs.map((_, vout) => spendOf(built.tx, vout, [ours.preimage]));
    signer.mine(built.tx, ...claims).mineEmpty(143);
    expect(signer.read(closingRecords, id)).toMatchObject({ outputs: [] });
    expect(paymentOf(signer, ours)).toMatchObject({ parts: [], settledMsat: ours.amountMsat });
  });
});

describe('a forward whose incoming channel ended on the chain', () => {
  it('keeps what was credited there, and the outgoing part; blocks without news write nothing', () => {
    const signer = new ChainedSigner();
    const incoming = new OpenChannel({ peer: 'upstream', isOutbound: false }, signer).open();
    const outgoing = new OpenChannel({ peer: 'downstream' }, signer).open();
    signer.mine(incoming.model.funding.tx, outgoing.model.funding.tx).mineEmpty(2);
    deliver(signer);
    const theirs = htlc('counterparty', 60_000, 'forwarded', 900);
    incoming.update(adding(incoming.balances, theirs));
    outgoing.update(adding(outgoing.balances, forwardOf(theirs, 59_900, 60)));
    deliver(signer, theirs);
    const { tx } = incoming.model.build('counterparty', 1, incoming.balances);
    signer.mine(tx, ...tx.outputs.map((_, vout) => spendOf(tx, vout, [theirs.preimage]))).mineEmpty(8);
    const stored = () => signer.state.read(paymentRecords, hashOf(theirs));
    const { version } = stored()!;
    signer.mineEmpty(134);
    expect(stored()?.version).toBe(version);
    expect(paymentOf(signer, theirs)?.parts).toHaveLength(2);
    signer.mineEmpty(1);
    const ended = paymentOf(signer, theirs);
    expect(ended).toMatchObject({ creditedMsat: 60_000_000n, settledMsat: 0n });
    expect(ended?.parts).toMatchObject([{ channel: channelIdOf(outgoing), outMsat: 59_900_000n }]);
    // Forgotten with its channel: no later block brings it back.
    signer.mineEmpty(3);
    expect(paymentOf(signer, theirs)).toEqual(ended);
  });
});

describe('deadlines of a channel on the chain', () => {
  it('are the expiry of a claim by preimage, and the end of a penalty', () => {
    const { signer, channel, id } = openedChannel();
    const theirs = htlc('counterparty', 60_000, 'theirs', 30);
    channel.update(adding(channel.balances, theirs));
    const old = channel.balances;
    deliver(signer, theirs);
    const of = () => deadlinesOf(signer.read, signer.policy, id, recordOf(channel));
    signer.mine(channel.model.build('holder', 1, old).tx);
    signer.mineEmpty(20 - signer.view.heightBlocks);
    expect(of()).toMatchObject([
      { what: 'received-htlc-to-claim', heightBlocks: 30, level: 'warn', amountMsat: 60_000_000n },
    ]);
    signer.mineEmpty(6);
    expect(of()).toMatchObject([{ level: 'urgent', blocksLeft: 4 }]);
    signer.mineEmpty(3);
    expect(of()).toMatchObject([{ level: 'critical' }]);
    expect(alarmCodes(signer, channel)).toEqual(['deadline']);
    signer.mineEmpty(1);
    expect(of()).toMatchObject([{ level: 'passed', blocksLeft: 0 }]);
  });

  it('that are far away are not told, and none are without a chain', () => {
    const { signer, channel, id } = openedChannel();
    channel.update(adding(channel.balances, htlc('holder', 50_000, 'ours', 900)));
    expect(deadlinesOf(signer.read, signer.policy, id, recordOf(channel))).toEqual([]);
    expect(deadlinesOf(() => null, signer.policy, id, recordOf(channel))).toEqual([]);
  });

  it('of several HTLCs come in their order', () => {
    const { signer, channel, id } = openedChannel();
    const [late, soon] = [htlc('holder', 50_000, 'late', 25), htlc('holder', 40_000, 'soon', 20)];
    channel.update(adding(channel.balances, late, soon));
    signer.mineEmpty(14 - signer.view.heightBlocks);
    expect(
      deadlinesOf(signer.read, signer.policy, id, recordOf(channel)).map(({ heightBlocks }) => heightBlocks),
    ).toEqual([22, 27]);
    channel.update(removing(channel.balances, soon, 'failed'));
    expect(deadlinesOf(signer.read, signer.policy, id, recordOf(channel))).toHaveLength(1);
  });
});

describe('alarms', () => {
  it('of a breach end when everything is spent and no reorganisation can undo it', () => {
    const { signer, channel } = openedChannel();
    const first = channel.balances;
    channel.update({ ...first, feeratePerKw: 1001 });
    const built = channel.model.build('counterparty', 0, first);
    signer.mine(built.tx);
    expect(alarmCodes(signer, channel)).toContain('breach');
    signer.mine(...built.tx.outputs.map((_, vout) => spendOf(built.tx, vout)));
    signer.mineEmpty(142);
    expect(alarmCodes(signer, channel)).toContain('breach');
    signer.mineEmpty(1);
    expect(alarmCodes(signer, channel)).toEqual([]);
  });

  it('of a commitment that the peer revokes only after it has published it', () => {
    const { signer, channel } = openedChannel();
    const first = channel.balances;
    channel.signRemote({ ...first, feeratePerKw: 1001 });
    signer.mine(channel.model.build('counterparty', 0, first).tx);
    expect(alarmCodes(signer, channel)).toEqual([]);
    channel.peerRevokes();
    expect(alarmCodes(signer, channel)).toContain('breach');
  });

  it('of ours that is revoked', () => {
    const { signer, channel } = openedChannel();
    const first = channel.balances;
    channel.update({ ...first, feeratePerKw: 1001 });
    signer.mine(channel.model.build('holder', 0, first).tx);
    expect(alarmCodes(signer, channel)).toEqual(['own-revoked-commitment']);
  });

  it('of the chain: locked, and behind', () => {
    const { signer } = openedChannel();
    expect(chainAlarms(signer)).toEqual([]);
    signer.mined.extendBy(3);
    signer.accept(signer.headers(signer.mined.headers(signer.chainRecord.tipHeightBlocks + 1)));
    expect(chainAlarms(signer)).toEqual(['chain-lag']);
    signer.follow();
    signer.set = { approvals: APPROVING, limits: { reorgDepthBlocksMax: 1 } };
    const deep = signer.mined.forkAt(1);
    deep.extendBy(6);
    signer.accept(signer.headers(deep.headers(2)));
    expect(chainAlarms(signer)).toEqual(['chain-locked']);
  });

  it('of silence and of a slow chain, on networks where blocks come by themselves', () => {
    const { signer } = openedChannel();
    signer.mineEmpty(200);
    const policy = policyOf(networkByName('signet')!, 'hub');
    const at = (nowSeconds: number) =>
      alarmsOfChain({ draft: new Draft(signer.state), policy, nowSeconds }).map(({ code }) => code);
    const tip = signer.mined.tip.timeSeconds;
    expect(at(tip + 600)).toEqual([]);
    expect(at(tip + 7 * 3600)).toEqual(['chain-silent']);
    expect(at(tip + 5 * 3600 + 3500)).toEqual(['hashrate']);
  });
});
