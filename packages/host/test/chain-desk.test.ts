/** The chain as the operator reaches it over the admin socket's desk: status, unlock, rescan, remedies; and a store that fails. */
import { txidToHex } from '@countersign/bitcoin';
import { type Journal, StoreError } from '@countersign/store';
import { describe, expect, it } from 'vitest';
import { htlc } from '../../core/test/channel-model.ts';
import { MinedChain } from '../../core/test/mined-chain.ts';
import { adding } from '../../core/test/open-channel.ts';
import { AdminDesk, type OperatorSide } from '../src/admin/desk.ts';
import { operatorSide } from '../src/admin/operator.ts';
import type { Signer } from '../src/index.ts';
import { feed, hubPolicy, onChain, openOnChain } from './chain-support.ts';
import { failing, inDirectory, keyOf, openStore } from './support.ts';

interface Reply {
  readonly ok: boolean;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly code: string; readonly message: string; readonly facts: object };
}

type Ask = (asked: object) => Promise<Reply>;
type Body = (ask: Ask, signer: Signer, journal: Journal) => Promise<void>;

const sideOf = (signer: Signer, journal: Journal): OperatorSide =>
  operatorSide({
    signer,
    journal,
    policy: hubPolicy,
    nodeId: keyOf('node'),
    startedAtSeconds: 5,
    policyText: () => '',
    heartbeat: async () => '',
  });

const atDesk = (body: Body): Promise<void> =>
  inDirectory(async (directory) => {
    const journal = openStore(directory);
    const signer = onChain(journal);
    const desk = new AdminDesk(sideOf(signer, journal));
    await body(
      async (asked) => JSON.parse(await desk.answer(JSON.stringify({ v: 1, id: 1, ...asked }))),
      signer,
      journal,
    );
    await journal.close();
  });

describe('the operator', () => {
  it('sees that nothing is followed, then the tip, and how old it is', () =>
    atDesk(async (ask, signer) => {
      expect((await ask({ op: 'chain-status' })).result).toMatchObject({ source: 'none', isFresh: false });
      const mined = new MinedChain();
      mined.extendBy(3);
      await feed(signer, mined);
      signer.chain.follow('bitcoind', { catchUp: async () => {}, status: () => ({ source: 'here' }) });
      expect((await ask({ op: 'chain-status' })).result).toMatchObject({
        source: 'bitcoind',
        follower: { source: 'here' },
        isFresh: true,
        tip: {
          heightBlocks: 3,
          hash: txidToHex(mined.tip.hash),
          provenHeightBlocks: 3,
          birthdayHeightBlocks: 1,
        },
        lagSeconds: expect.any(Number),
        alarms: [],
        deadlines: [],
      });
    }));

  it('admits the chain that locked the view, and no other', () =>
    atDesk(async (ask, signer) => {
      const mined = new MinedChain();
      mined.extendBy(150);
      await feed(signer, mined);
      const deep = mined.forkAt(2);
      deep.extendBy(149);
      expect(await signer.chain.acceptHeaders(deep.headers(3))).toEqual({ ok: true });
      const tip = txidToHex(deep.tip.hash);
      expect((await ask({ op: 'chain-status' })).result).toMatchObject({
        lockedBy: { forkHeightBlocks: 2, tipHash: tip },
      });
      expect(await ask({ op: 'chain-unlock', tip: 'ab'.repeat(32) })).toMatchObject({
        ok: false,
        error: { code: 'chain-refused', facts: { locked_by: tip } },
      });
      expect(await ask({ op: 'chain-unlock', tip })).toMatchObject({ ok: true, result: { tipHash: tip } });
      await feed(signer, deep);
      expect(signer.chain.tip()).toMatchObject({ tipHash: deep.tip.hash, locked: false });
    }));

  it('has blocks read again', () =>
    atDesk(async (ask, signer) => {
      expect(await ask({ op: 'chain-rescan' })).toMatchObject({ error: { code: 'chain-refused' } });
      const mined = new MinedChain();
      mined.extendBy(5);
      await feed(signer, mined);
      expect(await ask({ op: 'chain-rescan', fromHeightBlocks: 3 })).toMatchObject({
        ok: true,
        result: { fromHeightBlocks: 3, tipHeightBlocks: 5 },
      });
      expect(signer.chain.tip()?.provenHeightBlocks).toBe(2);
      expect((await ask({ op: 'chain-rescan' })).result).toMatchObject({ fromHeightBlocks: 1 });
      await feed(signer, mined);
      expect(signer.chain.tip()?.provenHeightBlocks).toBe(5);
      expect(signer.chain.beginNeeds({ birthdayHeightBlocks: null, sourceHeightBlocks: 500 })).toBeNull();
    }));

  it('sees what would save a channel, and its deadlines in their order', () =>
    atDesk(async (ask, signer) => {
      const { channel, mined, id } = await openOnChain(signer);
      await channel.update(
        signer,
        adding(channel.balances, htlc('holder', 50_000, 'late', 30), htlc('holder', 40_000, 'soon', 25)),
      );
      expect((await ask({ op: 'remedies', channel: id })).result).toMatchObject({
        channel: id,
        remedies: [
          { kind: 'commitment', isReleased: false, raw: null },
          { kind: 'htlc-timeout' },
          { kind: 'htlc-timeout' },
          { kind: 'delayed' },
        ],
      });
      mined.extendBy(18);
      await feed(signer, mined);
      const { deadlines } = (await ask({ op: 'chain-status' })).result as {
        deadlines: { heightBlocks: number }[];
      };
      expect(deadlines.map(({ heightBlocks }) => heightBlocks)).toEqual([27, 32]);
    }));
});

describe('a channel that the operator ends', () => {
  it('has its commitment signed and on its way, and no other state after it', () =>
    atDesk(async (ask, signer, journal) => {
      const { channel, id } = await openOnChain(signer);
      const { result } = await ask({ op: 'channel-close', channel: id });
      expect(result).toMatchObject({
        channel: id,
        remedies: [
          { kind: 'commitment', isReleased: true, raw: expect.stringMatching(/^[0-9a-f]+$/) },
          { kind: 'delayed' },
        ],
      });
      const { remedies } = result as { readonly remedies: readonly { readonly txid: string }[] };
      const published = await signer.chain.toPublish();
      expect(published.map((one) => one.id)).toEqual([remedies[0]!.txid]);
      const later = channel.model.validate(1, channel.balances);
      expect(await signer.answer({ channel: channel.model.ref, permissions: 511n }, later)).toMatchObject({
        kind: 'refused',
      });
      // Said twice, it is the same end.
      expect((await ask({ op: 'channel-close', channel: id })).result).toMatchObject({
        remedies: [{ txid: remedies[0]!.txid }, {}],
      });
      // Who ended it is on the log, unlike a close that the signer makes by itself.
      await journal.settled();
      const bodies = journal.audit(1, 50).map(({ body }) => JSON.parse(new TextDecoder().decode(body)));
      const events = bodies.flatMap((entry) => entry.events ?? []);
      const asked = { event: 'channel-close-asked', facts: { channel: id } };
      expect(events.filter(({ event }) => event.startsWith('channel-'))).toEqual([
        asked,
        { event: 'channel-force-closed', facts: { channel: id, number: 0 } },
        asked,
      ]);
    }));

  it('is refused where no commitment of ours may be signed, with the reason', () =>
    atDesk(async (ask) => {
      const channel = `${'02'.repeat(33)}/7`;
      expect(await ask({ op: 'channel-close', channel })).toMatchObject({
        ok: false,
        error: { code: 'close-refused', message: expect.stringContaining('no such channel') },
      });
    }));
});

describe('a channel on the chain whose node does nothing', () => {
  it('has its claims published when their deadlines are near, by the rates that the feeder knows', () =>
    atDesk(async (_, signer) => {
      const { channel, mined } = await openOnChain(signer);
      const theirs = htlc('counterparty', 60_000, 'theirs', 40);
      await channel.update(signer, adding(channel.balances, theirs));
      const { answer } = signer;
      await answer.call(
        signer,
        { channel: null, permissions: 1024n },
        {
          name: 'countersign_preimages',
          preimages: [theirs.preimage],
        },
      );
      mined.extend([channel.model.build('counterparty', 1, channel.balances).tx]);
      await feed(signer, mined);
      expect(await signer.chain.toPublish()).toEqual([]);
      mined.extendBy(35 - mined.tip.heightBlocks);
      await feed(signer, mined);
      const [claim] = await signer.chain.toPublish();
      expect(claim?.reason).toContain('claim-preimage');
      signer.chain.setFeerates({ normalPerKw: 20_000, urgentPerKw: 40_000 });
      const [dearer] = await signer.chain.toPublish();
      expect(dearer?.id).not.toBe(claim?.id);
    }));

  it('is not closed while it is frozen, and that is on record', () =>
    atDesk(async (ask, signer, journal) => {
      const { channel, mined, id } = await openOnChain(signer);
      await channel.update(signer, adding(channel.balances, htlc('holder', 50_000, 'ours', 30)));
      await ask({ op: 'channel-freeze', channel: id });
      mined.extendBy(40);
      await feed(signer, mined);
      expect(await signer.chain.toPublish()).toEqual([]);
      await journal.settled();
      const [refusal] = (
        (await ask({ op: 'audit-list', from: 1, count: 100 })).result as {
          entries: { body: { refusal?: { tag: string } } }[];
        }
      ).entries
        .map(({ body }) => body.refusal)
        .filter((one) => one !== undefined);
      expect(refusal).toMatchObject({ tag: 'policy-channel-frozen' });
    }));
});

it('a store that fails stops the chain with the signer', () =>
  inDirectory(async (directory) => {
    const journal = openStore(directory);
    const signer = onChain(failing(journal));
    const begun = signer.chain.begin({ birthdayHeightBlocks: 1, sourceHeightBlocks: 0 }, new Uint8Array(0));
    await expect(begun).rejects.toThrow(StoreError);
    expect(signer.failure).not.toBeNull();
    const mined = new MinedChain();
    mined.extendBy(1);
    await expect(signer.chain.acceptHeaders(mined.headers(1))).rejects.toThrow(StoreError);
    await journal.close();
  }));

it('a store that fails is told to the operator', () =>
  inDirectory(async (directory) => {
    const journal = openStore(directory);
    const rejecting = async (): Promise<never> => {
      throw new StoreError('store-failed', 'the disk is full');
    };
    const side = sideOf(onChain(journal), journal);
    const { chain } = side;
    const desk = new AdminDesk({
      ...side,
      chain: {
        status: () => chain.status(),
        tip: () => chain.tip(),
        unlock: rejecting,
        rescan: rejecting,
        remedies: (id) => chain.remedies(id),
        forceClose: rejecting,
        signed: (remedy) => chain.signed(remedy),
      },
    });
    for (const asked of [
      { op: 'chain-rescan' },
      { op: 'chain-unlock', tip: 'ab'.repeat(32) },
      { op: 'channel-close', channel: `${'02'.repeat(33)}/7` },
    ]) {
      const reply = JSON.parse(await desk.answer(JSON.stringify({ v: 1, id: 1, ...asked })));
      expect(reply).toMatchObject({ ok: false, error: { code: 'store-failed' } });
    }
    await journal.close();
  }));

describe('every operation', () => {
  const channel = `${'02'.repeat(33)}/7`;
  const operations: readonly object[] = [
    { op: 'status' },
    { op: 'heartbeat' },
    { op: 'chain-status' },
    { op: 'chain-unlock', tip: 'ab'.repeat(32) },
    { op: 'chain-rescan' },
    { op: 'remedies', channel },
    { op: 'channel-close', channel },
    { op: 'channel-freeze', channel },
    { op: 'policy-show' },
    { op: 'pending-list' },
    { op: 'approvals-list' },
    { op: 'allowlist-list' },
    { op: 'audit-list', from: 1, count: 5 },
    { op: 'audit-verify' },
  ];
  const answersOf = async (journal: Journal): Promise<readonly Reply[]> => {
    const signer = onChain(journal);
    const policyText = (): string => `${journal.read('node/node')?.version}`;
    const desk = new AdminDesk({ ...sideOf(signer, journal), policyText });
    const answers: Reply[] = [];
    for (const asked of operations)
      answers.push(JSON.parse(await desk.answer(JSON.stringify({ v: 1, id: 1, ...asked }))));
    return answers;
  };

  it('has an answer where the store has failed', () =>
    inDirectory(async (directory) => {
      const journal = failing(openStore(directory));
      await journal.commit([], []).catch(() => {});
      const [status, ...others] = await answersOf(journal);
      expect(status).toMatchObject({ ok: false, error: { code: 'store-failed' } });
      expect(others.filter(({ ok }) => !ok).map(({ error }) => error?.code)).toContain('store-failed');
      await journal.close();
    }));

  it('has an answer where records cannot be read', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      const value = Uint8Array.of(0xff, 0xff, 0xff);
      for (const key of ['node/node', `channel/${channel}`, 'chain/chain', 'pending/list'])
        await journal.commit([{ key, version: 1, value }], []);
      const answers = await answersOf(journal);
      for (const { ok, error } of answers) if (!ok) expect(error?.code).toMatch(/store-failed/);
      expect(answers.filter(({ ok }) => !ok).length).toBeGreaterThan(4);
      await journal.close();
    }));
});
