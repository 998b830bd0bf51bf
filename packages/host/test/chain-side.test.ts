/**
 * The chain as the running signer has it: told by a feeder, durable, there again after a restart, waited for by requests that
 * came too early, and acted upon when the node does not.
 */
import { parseTransaction, toHex, txid, txidToHex } from '@countersign/bitcoin';
import { describe, expect, it } from 'vitest';
import { htlc } from '../../core/test/channel-model.ts';
import { MinedChain } from '../../core/test/mined-chain.ts';
import { adding } from '../../core/test/open-channel.ts';
import { planJson } from '../src/admin/plan.ts';
import { feed, HostChannel, onChain, openOnChain } from './chain-support.ts';
import { inDirectory, master, openStore } from './support.ts';

const ours = htlc('holder', 50_000, 'ours', 60);

describe('the chain of a running signer', () => {
  it('is there again after a restart', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      const mined = new MinedChain();
      mined.extendBy(20);
      const signer = onChain(journal);
      expect(signer.chain.tip()).toBeNull();
      expect(signer.chain.view()).toBeNull();
      await feed(signer, mined);
      const tip = signer.chain.tip();
      expect(tip).toMatchObject({ tipHeightBlocks: 20, provenHeightBlocks: 20, locked: false });
      await journal.close();
      const again = openStore(directory);
      const restarted = onChain(again);
      expect(restarted.chain.tip()).toEqual(tip);
      expect(restarted.chain.headerHash(7)).toEqual(mined.blocks[7]!.hash);
      expect(restarted.chain.headerHash(21)).toBeNull();
      mined.extendBy(1);
      await feed(restarted, mined);
      expect(restarted.chain.view()?.heightBlocks).toBe(21);
      await again.close();
    }));

  it('that a configured source never brings is no reason to believe the node', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      const signer = onChain(journal);
      signer.chain.follow('node', null);
      const channel = await new HostChannel().open(signer);
      const { model } = channel;
      const lock = await channel.ask(signer, model.lock(model.funding));
      expect(lock).toMatchObject({ kind: 'refused', refusal: { temporary: true } });
      const next = model.signRemote(1, { ...channel.balances, feeratePerKw: 1001 });
      expect(await channel.ask(signer, next)).toMatchObject({
        kind: 'refused',
        refusal: { tag: 'policy-commitment-spends-active-utxo', temporary: true },
      });
      const mined = new MinedChain();
      mined.extend([model.funding.tx]);
      mined.extendBy(2);
      await feed(signer, mined);
      await channel.done(signer, model.lock(model.funding));
      await channel.done(signer, next);
      await journal.close();
    }));

  it('tells why it does not take a header or a block, and stays as it was', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      const signer = onChain(journal);
      const mined = new MinedChain();
      expect(await signer.chain.acceptBlock(mined.tip.raw)).toMatchObject({
        ok: false,
        refusal: { tag: 'policy-chain-proof', message: 'the signer follows no chain yet' },
      });
      mined.extendBy(2);
      await feed(signer, mined);
      const before = signer.chain.tip();
      expect(await signer.chain.acceptHeaders(new Uint8Array(79))).toMatchObject({ ok: false });
      expect(await signer.chain.acceptBlock(mined.blocks[2]!.raw)).toMatchObject({
        ok: false,
        refusal: { tag: 'policy-chain-proof', facts: { height: 3, tip_height: 2 } },
      });
      expect(signer.chain.tip()).toEqual(before);
      await journal.close();
    }));

  it('is waited for by a request that the next block lets pass', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      const signer = onChain(journal);
      const mined = new MinedChain();
      await feed(signer, mined);
      const channel = await new HostChannel().open(signer);
      const next = channel.model.signRemote(1, { ...channel.balances, feeratePerKw: 1001 });
      expect(await channel.ask(signer, next)).toMatchObject({
        kind: 'refused',
        refusal: { tag: 'policy-commitment-spends-active-utxo', temporary: true },
      });
      let asked = 0;
      signer.chain.follow('test', {
        status: () => null,
        catchUp: async () => {
          asked += 1;
          // The block comes with the second look.
          if (asked === 2) mined.extend([channel.model.funding.tx]);
          if (asked === 1) mined.extendBy(1);
          await feed(signer, mined);
        },
      });
      expect((await channel.ask(signer, next)).kind).toBe('reply');
      expect(asked).toBe(2);
      // A feeder that has nothing to say ends the waiting.
      const absurd = { ...channel.balances, feeratePerKw: 1002 };
      const { model } = new HostChannel();
      expect(model.funding.valueSat).toBe(1_000_000n);
      expect((await channel.ask(signer, channel.model.signRemote(2, absurd))).kind).toBe('refused');
      await journal.close();
    }));

  it('publishes a commitment that the node has had signed, and nothing of a channel that goes on', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      const signer = onChain(journal);
      const { channel, mined } = await openOnChain(signer);
      expect(await signer.chain.toPublish()).toEqual([]);
      expect((await signer.answer(master, channel.model.signCommitment(0))).kind).toBe('reply');
      const ids = (await signer.chain.toPublish()).map(({ id }) => id);
      const { tx } = channel.model.build('holder', 0, channel.balances);
      expect(ids).toEqual([txidToHex(txid(tx))]);
      // Once it is on the chain there is nothing left to publish: no HTLC, and the main output waits for its delay.
      mined.extend([tx]);
      await feed(signer, mined);
      expect(await signer.chain.toPublish()).toEqual([]);
      await journal.close();
    }));

  it('publishes justice on a breach, and our commitment when a deadline has passed', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      const signer = onChain(journal);
      const { channel, mined, id } = await openOnChain(signer);
      const first = channel.balances;
      await channel.update(signer, adding(first, ours));
      expect(await signer.chain.toPublish()).toEqual([]);
      expect(signer.chain.alarms()).toEqual([]);
      // The peer publishes what it has revoked.
      const fork = mined.forkAt(mined.tip.heightBlocks);
      const old = channel.model.build('counterparty', 0, first).tx;
      mined.extend([old]);
      await feed(signer, mined);
      expect(signer.chain.alarms().map(({ code }) => code)).toContain('breach');
      const [justice] = await signer.chain.toPublish();
      const tx = parseTransaction(justice!.raw);
      expect(justice).toMatchObject({ id: txidToHex(txid(tx)), reason: expect.stringContaining('justice') });
      expect(tx.inputs.map((input) => txidToHex(input.txid))).toContain(txidToHex(txid(old)));
      const plan = planJson(signer.chain.remedies(id), (one) => signer.chain.signed(one));
      expect(plan).toMatchObject({
        remedies: expect.arrayContaining([
          expect.objectContaining({ kind: 'justice', raw: toHex(justice!.raw), isReleased: true }),
        ]),
      });
      // In another history nobody cheats, and the node lets an HTLC run out.
      fork.extendBy(62 - fork.tip.heightBlocks);
      await feed(signer, fork);
      expect(signer.chain.deadlines()).toMatchObject([{ what: 'offered-htlc-expires', level: 'passed' }]);
      // Behind, the view may not have come to the channel's end yet.
      fork.extendBy(3);
      expect(await signer.chain.acceptHeaders(fork.headers(fork.tip.heightBlocks - 2))).toEqual({ ok: true });
      expect(await signer.chain.toPublish()).toEqual([]);
      await feed(signer, fork);
      // A heartbeat tells it once, though it is an alarm as well.
      expect(signer.chain.alarms().map(({ code }) => code)).toEqual(['deadline']);
      expect(signer.chain.observe()).toMatchObject({
        chain: { tipHeightBlocks: 65, provenHeightBlocks: 65 },
        channels: { opening: 0, open: 1, closing: 0, closed: 0 },
        deadlines: [{ what: 'offered-htlc-expires' }],
        alarms: [],
      });
      const published = (await signer.chain.toPublish()).map(({ raw }) => parseTransaction(raw));
      expect(txid(published[0]!)).toEqual(txid(channel.model.build('holder', 1, channel.balances).tx));
      expect(published[0]!.inputs[0]!.witness).toHaveLength(4);
      // From here on law 1 knows that the channel ends.
      expect(await channel.ask(signer, channel.model.revoke(1))).toMatchObject({
        refusal: { tag: 'policy-revoke-not-closed' },
      });
      expect((await signer.chain.toPublish()).length).toBe(published.length);
      await journal.close();
    }));
});
