/** Two fundings of one channel on the chain, with something of ours in each: what a running signer publishes by itself. */
import { parseTransaction, type Transaction, txid, txidToHex } from '@countersign/bitcoin';
import { expect, it } from 'vitest';
import { channelId } from '../../core/src/channel/lookup.ts';
import type { Funding } from '../../core/test/channel-model.ts';
import { MinedChain } from '../../core/test/mined-chain.ts';
import type { Signer } from '../src/index.ts';
import { feed, HostChannel, onChain } from './chain-support.ts';
import { inDirectory, openStore } from './support.ts';

/** The peer opens, pushes to us in both rounds, and pays for both alone. */
class Two {
  readonly mined = new MinedChain();
  readonly channel = new HostChannel({ isOutbound: false, pushMsat: 300_000_000n });
  readonly first = this.channel.model.funding;
  readonly second = this.channel.model.newFunding('second round', this.first.valueSat);
  signer: Signer;

  constructor(signer: Signer) {
    this.signer = signer;
  }

  async open(): Promise<this> {
    const { signer, channel, second } = this;
    await feed(signer, this.mined);
    await channel.open(signer);
    await channel.done(signer, channel.model.setup(second));
    await channel.done(signer, channel.model.validate(0, channel.balances, second));
    await channel.done(signer, channel.model.signRemote(0, channel.balances, second));
    return this;
  }

  async mine(...transactions: readonly Transaction[]): Promise<void> {
    this.mined.extend(transactions);
    await feed(this.signer, this.mined);
  }

  /** The peer's commitment 0, which it may revoke. */
  theirs(on: Funding): Transaction {
    const { model } = this.channel;
    return model.build('counterparty', 0, model.initial, on).tx;
  }

  /** What would be published now: kind and what it spends. */
  async published(): Promise<readonly string[]> {
    const names = new Map([
      [txidToHex(this.first.outpoint.txid), 'first'],
      [txidToHex(this.second.outpoint.txid), 'second'],
      [txidToHex(txid(this.theirs(this.first))), 'close of the first'],
      [txidToHex(txid(this.theirs(this.second))), 'close of the second'],
    ]);
    return (await this.signer.chain.toPublish()).map(({ raw, reason }) => {
      const [input] = parseTransaction(raw).inputs;
      return `${reason.split(' ')[0]}: ${names.get(txidToHex(input!.txid))}`;
    });
  }

  /** Our commitment as it would be published. */
  async ours(on: Funding): Promise<Transaction> {
    const all = (await this.signer.chain.toPublish()).map(({ raw }) => parseTransaction(raw));
    return all.find(({ inputs }) => Buffer.compare(inputs[0]!.txid, on.outpoint.txid) === 0)!;
  }
}

const withTwo = (body: (two: Two, again: () => Promise<void>) => Promise<void>): Promise<void> =>
  inDirectory(async (directory) => {
    let journal = openStore(directory);
    const two = await new Two(onChain(journal)).open();
    await body(two, async () => {
      await journal.close();
      journal = openStore(directory);
      two.signer = onChain(journal);
    });
    await journal.close();
  });

it('the operator ends the channel: our commitment on each', () =>
  withTwo(async (two) => {
    await two.mine(two.first.tx, two.second.tx);
    expect(await two.published()).toEqual([]);
    const id = channelId(two.channel.model.ref);
    expect(await two.signer.chain.forceClose(id)).toMatchObject({ ok: true });
    expect(await two.published()).toEqual(['commitment: second', 'commitment: first']);
    await two.mine(await two.ours(two.first));
    expect(await two.published()).toEqual(['commitment: second']);
    await two.mine(await two.ours(two.second));
    expect(await two.published()).toEqual([]);
  }));

it.each([
  ['first', 'second'],
  ['second', 'first'],
] as const)(
  'the peer ends the channel on the %s: the %s is closed by us, also after a restart',
  (gone, left) =>
    withTwo(async (two, again) => {
      await two.mine(two[gone].tx);
      await two.mine(two.theirs(two[gone]));
      expect(await two.published()).toEqual([]);
      await two.mine(two[left].tx);
      expect(await two.published()).toEqual([`commitment: ${left}`]);
      await again();
      const fork = two.mined.forkAt(two.mined.tip.heightBlocks);
      const ours = await two.ours(two[left]);
      await two.mine(ours);
      expect(await two.published()).toEqual([]);
      // Another history without it.
      fork.extendBy(2);
      await feed(two.signer, fork);
      expect(await two.published()).toEqual([`commitment: ${left}`]);
      // And one without that funding.
      const without = fork.forkAt(fork.tip.heightBlocks - 3);
      without.extendBy(5);
      await feed(two.signer, without);
      expect(await two.published()).toEqual([]);
    }),
);

it.each([
  ['first', 'second'],
  ['second', 'first'],
] as const)('both are there, and the peer closes the %s: the %s is closed by us at once', (gone, left) =>
  withTwo(async (two) => {
    await two.mine(two.first.tx, two.second.tx);
    expect(await two.published()).toEqual([]);
    await two.mine(two.theirs(two[gone]));
    expect(await two.published()).toEqual([`commitment: ${left}`]);
    const commitment = await two.ours(two[left]);
    const { deadlines, alarms } = two.signer.chain.status() as { deadlines: object[]; alarms: object[] };
    expect([deadlines, alarms]).toEqual([[], []]);
    await two.mine(commitment);
    expect(await two.published()).toEqual([]);
  }),
);

it.each([
  ['first', 'second'],
  ['second', 'first'],
] as const)('revoked commitments on both are punished, the %s before the %s', (one, other) =>
  withTwo(async (two) => {
    const { channel, signer, first, second } = two;
    await two.mine(first.tx);
    await two.mine();
    const next = { ...channel.balances, feeratePerKw: 1001 };
    for (const on of [first, second]) await channel.done(signer, channel.model.signRemote(1, next, on));
    await channel.done(signer, channel.model.validateRevocation(0));
    await two.mine(second.tx);
    await two.mine(two.theirs(two[one]));
    expect(await two.published()).toEqual([`justice: close of the ${one}`, `commitment: ${other}`]);
    await two.mine(two.theirs(two[other]));
    expect(new Set(await two.published())).toEqual(
      new Set(['justice: close of the first', 'justice: close of the second']),
    );
    expect(signer.chain.alarms().map(({ code }) => code)).toEqual(['breach', 'breach']);
    const justice = (await signer.chain.toPublish()).map(({ raw }) => parseTransaction(raw));
    await two.mine(...justice);
    expect(await two.published()).toEqual([]);
  }),
);

it('nothing is published by a view that is behind, and nothing of a frozen channel', () =>
  withTwo(async (two) => {
    await two.mine(two.first.tx);
    await two.mine(two.theirs(two.first));
    await two.mine(two.second.tx);
    two.mined.extendBy(3);
    const { tipHeightBlocks } = two.signer.chain.tip()!;
    await two.signer.chain.acceptHeaders(two.mined.headers(tipHeightBlocks + 1));
    expect(await two.published()).toEqual([]);
    await feed(two.signer, two.mined);
    const { signer, channel } = two;
    const freeze = { op: 'channel-freeze', channel: channelId(channel.model.ref) } as const;
    expect(await signer.administer(freeze)).toMatchObject({ ok: true });
    expect(await two.published()).toEqual([]);
    expect(signer.chain.remedies(freeze.channel)).toMatchObject({
      unclaimed: expect.arrayContaining([expect.objectContaining({ role: 'funding', reason: 'frozen' })]),
    });
    const release = { op: 'channel-unfreeze', channel: freeze.channel } as const;
    expect(await signer.administer(release)).toMatchObject({ ok: true });
    expect(await two.published()).toEqual(['commitment: second']);
  }));

it('a breach on one is punished although the other may not be closed by us', () =>
  withTwo(async (two) => {
    const { channel, signer, first, second } = two;
    await two.mine(first.tx);
    await two.mine();
    const next = { ...channel.balances, feeratePerKw: 1001 };
    for (const on of [first, second]) await channel.done(signer, channel.model.signRemote(1, next, on));
    await channel.done(signer, channel.model.validateRevocation(0));
    await two.mine(second.tx);
    const freeze = { op: 'channel-freeze', channel: channelId(channel.model.ref) } as const;
    expect(await signer.administer(freeze)).toMatchObject({ ok: true });
    await two.mine(two.theirs(second));
    expect(await two.published()).toEqual(['justice: close of the second']);
  }));
