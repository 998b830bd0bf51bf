/**
 * Reorganisations: whatever blocks come and go, and in whatever order, the records are those of the blocks that are there.
 * And what a reorg must not do: lock the view by being deep, or move it with less work.
 */
import { outPointToString, type Transaction, txid } from '@countersign/bitcoin';
import {
  acceptBeginning,
  CHAIN_ID,
  chainRecords,
  closingRecords,
  headerRecords,
  heightId,
  outputRecords,
} from '@countersign/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ChainedSigner, idsIn, spendOf } from './chained-signer.ts';
import { htlc } from './channel-model.ts';
import { channelIdOf } from './forwarder.ts';
import { canonical } from './memory-state.ts';
import { MinedChain } from './mined-chain.ts';
import { adding, OpenChannel, removing } from './open-channel.ts';

/** Everything that the chain has made, values only: versions count changes, not content. */
function chainState(signer: ChainedSigner): string {
  const kinds = [outputRecords, closingRecords] as const;
  const records = kinds.flatMap((kind) =>
    idsIn(signer.state, kind.name, '').map((id) => [kind.name, id, signer.read<unknown>(kind, id)] as const),
  );
  const { tipHeightBlocks, baseHeightBlocks, ...chain } = signer.chainRecord;
  const headers = [];
  for (let height = baseHeightBlocks; height <= tipHeightBlocks; height++) {
    headers.push(signer.read(headerRecords, heightId(height))?.hash);
  }
  return canonical({ chain: { ...chain, tipHeightBlocks, baseHeightBlocks }, headers, records });
}

/** A channel with HTLCs, and every transaction that its end may bring to the chain. */
function scene() {
  const signer = new ChainedSigner();
  signer.set = { approvals: { auto: 'all', autoPaymentVelocity: null, expirySeconds: 86_400 } };
  const channel = new OpenChannel({}, signer).open();
  const paid = htlc('holder', 50_000, 'paid', 900);
  // Signed before the chain moves: a view that has not seen the funding would say no.
  signer.mine(channel.model.funding.tx);
  channel.update(adding(channel.balances, paid, htlc('counterparty', 60_000, 'got', 950)));
  const old = channel.balances;
  channel.update(removing(old, paid, 'failed'));
  const closes = [
    channel.model.build('holder', 2, channel.balances),
    channel.model.build('counterparty', 2, channel.balances),
    channel.model.build('counterparty', 1, old),
  ];
  const close = channel.model.closeTx(channel.balances);
  const transactions = [
    channel.model.funding.tx,
    close,
    ...closes.flatMap((built) => [
      built.tx,
      ...built.htlcTransactions.map(({ transaction }) => transaction),
      ...built.tx.outputs.map((_, vout) => spendOf(built.tx, vout)),
    ]),
  ];
  return { signer, channel, transactions };
}

/** A block of these candidates: each whose inputs no earlier transaction of the branch has spent, and that can be there. */
function admissible(chain: MinedChain, wanted: readonly Transaction[]): readonly Transaction[] {
  const spent = new Set<string>();
  const there = new Set<string>();
  const add = (tx: Transaction) => {
    there.add(outPointToString({ txid: txid(tx), vout: 0 }));
    for (const input of tx.inputs) spent.add(outPointToString(input));
  };
  for (const block of chain.blocks) block.transactions.forEach(add);
  const block: Transaction[] = [];
  for (const tx of wanted) {
    const isSpent = tx.inputs.some((input) => spent.has(outPointToString(input)));
    if (isSpent || there.has(outPointToString({ txid: txid(tx), vout: 0 }))) continue;
    block.push(tx);
    add(tx);
  }
  return block;
}

const steps = fc.array(
  fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('mine' as const),
        picks: fc.array(fc.nat(40), { maxLength: 4 }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('reorg' as const),
        depth: fc.integer({ min: 1, max: 6 }),
        picks: fc.array(fc.array(fc.nat(40), { maxLength: 3 }), { minLength: 1, maxLength: 8 }),
      }),
    },
  ),
  { minLength: 3, maxLength: 14 },
);

describe('connecting and disconnecting', () => {
  it('in any order equals a rebuild from scratch, record for record', () => {
    const { signer: first, transactions } = scene();
    const state = first.state.copy();
    const mined = first.mined.blocks;
    fc.assert(
      fc.property(steps, fc.nat(), (script, seed) => {
        const signer = Object.assign(new ChainedSigner(), { state: state.copy(), set: first.set });
        signer.watch = signer.watchAnew();
        signer.mined = new MinedChain(mined);
        const pick = (indexes: readonly number[]) =>
          indexes.map((i) => transactions[i % transactions.length]!);
        let salt = 1 + (seed % 1000);
        for (const step of script) {
          if (step.kind === 'mine') {
            signer.mined.extend(admissible(signer.mined, pick(step.picks)));
          } else {
            const tip = signer.mined.tip.heightBlocks;
            const depth = Math.min(step.depth, tip);
            const branch = signer.mined.forkAt(tip - depth, ++salt);
            const blocks = [...step.picks, ...Array.from({ length: depth + 1 }, () => [])].slice(
              0,
              depth + 1,
            );
            for (const picks of blocks) branch.extend(admissible(branch, pick(picks)));
            signer.mined = branch;
          }
          signer.follow();
        }
        const rebuilt = Object.assign(new ChainedSigner(), { set: first.set });
        // The channels as they are, and nothing of the chain.
        const channels = signer.state.copy();
        rebuilt.state = channels.without([
          headerRecords.name,
          chainRecords.name,
          outputRecords.name,
          closingRecords.name,
        ]);
        rebuilt.watch = rebuilt.watchAnew();
        rebuilt.accept(acceptBeginning(rebuilt.chainInput, new Uint8Array(0), 1));
        rebuilt.mined = signer.mined;
        rebuilt.follow();
        expect(chainState(signer)).toBe(chainState(rebuilt));
      }),
      { numRuns: 60 },
    );
  });
});

describe('a reorganisation', () => {
  it('takes the funding away, and the channel stops for now (A73)', () => {
    const signer = new ChainedSigner();
    signer.set = { approvals: { auto: 'all', autoPaymentVelocity: null, expirySeconds: 86_400 } };
    const channel = new OpenChannel({}, signer).open();
    signer.mine(channel.model.funding.tx);
    channel.update(adding(channel.balances, htlc('holder', 50_000, 'before', 900)));
    const kept = signer.mined;
    signer.mined = kept.forkAt(0);
    signer.mined.extendBy(3);
    signer.follow();
    expect(signer.view.outpoint(channel.model.funding.outpoint)).toEqual({ kind: 'unknown' });
    expect(signer.events.map(({ event }) => event)).toContain('funding-reorganised-away');
    const next = adding(channel.balances, htlc('holder', 10_000, 'after', 900));
    const refusal = channel.refused(channel.model.signRemote(2, next));
    expect(refusal).toMatchObject({ tag: 'policy-commitment-spends-active-utxo', temporary: true });
    signer.mine(channel.model.funding.tx);
    channel.update(next);
  });

  it('with less or equal work changes nothing', () => {
    const signer = new ChainedSigner();
    signer.mineEmpty(5);
    const before = signer.state.snapshot();
    const branch = signer.mined.forkAt(2);
    branch.extendBy(3);
    const outcome = signer.headers(branch.headers(3));
    expect(outcome).toEqual({ ok: true, changes: [], events: [] });
    expect(signer.state.snapshot()).toBe(before);
  });

  it('as deep as the policy admits is followed, a deeper one locks the view', () => {
    const signer = new ChainedSigner();
    signer.set = { limits: { reorgDepthBlocksMax: 4 } };
    signer.mineEmpty(6);
    const admitted = signer.mined.forkAt(2);
    admitted.extendBy(5);
    signer.accept(signer.headers(admitted.headers(3)));
    expect(signer.chainRecord).toMatchObject({
      tipHash: admitted.tip.hash,
      lockedBy: null,
      provenHeightBlocks: 2,
    });
    signer.mined = admitted;
    signer.follow();
    const deep = admitted.forkAt(2, 9);
    deep.extendBy(6);
    signer.accept(signer.headers(deep.headers(3)));
    expect(signer.chainRecord).toMatchObject({
      tipHash: admitted.tip.hash,
      lockedBy: { forkHeightBlocks: 2, tipHash: deep.tip.hash },
    });
    expect(signer.view.isFresh).toBe(false);
    expect(signer.events.at(-1)).toMatchObject({ event: 'chain-locked', facts: { depth_blocks: 5 } });
    const before = signer.state.snapshot();
    signer.accept(signer.headers(deep.headers(3)));
    expect(signer.state.snapshot()).toBe(before);
  });

  it('takes a close back, and its place may be taken by another', () => {
    const { signer, channel } = scene();
    const tip = signer.mined.tip.heightBlocks;
    const ours = channel.model.build('holder', 2, channel.balances).tx;
    const theirs = channel.model.build('counterparty', 2, channel.balances).tx;
    signer.mine(ours);
    const id = channelIdOf(channel);
    expect(signer.read(closingRecords, id)).toMatchObject({ kind: 'holder' });
    signer.mined = signer.mined.forkAt(tip);
    signer.mined.extend([theirs]);
    signer.mined.extend();
    signer.follow();
    expect(signer.read(closingRecords, id)).toMatchObject({ kind: 'counterparty', txid: txid(theirs) });
    expect(signer.events.map(({ event }) => event)).toContain('close-reorganised-away');
    expect(signer.read(chainRecords, CHAIN_ID)?.tipHeightBlocks).toBe(tip + 2);
  });
});
