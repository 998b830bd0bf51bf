/**
 * What the operator may do with the view of the chain: admit a chain that locked it, and read contents again, from the
 * birthday, from later, or from before the oldest header on record.
 */
import {
  acceptBeginning,
  admitChain,
  closingRecords,
  headerRecords,
  heightId,
  outputRecords,
  rescanChain,
  stubRecords,
} from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { APPROVING, ChainedSigner, idsIn, openedChannel, spendOf } from './chained-signer.ts';
import { htlc } from './channel-model.ts';
import { channelIdOf } from './forwarder.ts';
import { canonical } from './memory-state.ts';
import { adding, OpenChannel } from './open-channel.ts';

/** A channel that went to the chain long ago, with one output spent later. */
function closed() {
  const signer = new ChainedSigner();
  signer.set = { approvals: APPROVING };
  const channel = new OpenChannel({}, signer).open();
  signer.mineEmpty(4).mine(channel.model.funding.tx);
  channel.update(adding(channel.balances, htlc('holder', 50_000, 'ours', 900)));
  const { tx } = channel.model.build('counterparty', 1, channel.balances);
  signer.mineEmpty(3).mine(tx).mineEmpty(3).mine(spendOf(tx, 2)).mineEmpty(2);
  return { signer, channel, tx };
}

/** All that the chain has made, but its own record. */
function facts(signer: ChainedSigner): string {
  return canonical(
    [outputRecords, closingRecords].flatMap((kind) =>
      idsIn(signer.state, kind.name, '').map((id) => [id, signer.read<unknown>(kind, id)]),
    ),
  );
}

describe('a view that a deep reorganisation has locked', () => {
  function locked() {
    const { signer, channel } = closed();
    signer.set = { approvals: APPROVING, limits: { reorgDepthBlocksMax: 4 } };
    signer.mineEmpty(1);
    const deep = signer.mined.forkAt(2);
    deep.extendBy(signer.mined.tip.heightBlocks);
    signer.accept(signer.headers(deep.headers(3)));
    expect(signer.chainRecord.lockedBy).not.toBeNull();
    return { signer, channel, deep };
  }

  it('takes the chain that the operator admits, and everything of the old one goes', () => {
    const { signer, channel, deep } = locked();
    signer.accept(admitChain(signer.chainInput, deep.tip.hash));
    expect(signer.chainRecord).toMatchObject({ lockedBy: null, admitted: deep.tip.hash });
    expect(signer.view.isFresh).toBe(true);
    deep.extendBy(1);
    signer.mined = deep;
    signer.follow();
    expect(signer.chainRecord).toMatchObject({ tipHash: deep.tip.hash, admitted: null, lockedBy: null });
    expect(signer.read(closingRecords, channelIdOf(channel))).toBeNull();
    expect(idsIn(signer.state, outputRecords.name, '')).toEqual([]);
    expect(signer.view.outpoint(channel.model.funding.outpoint)).toEqual({ kind: 'unknown' });
  });

  it('stays locked for any other chain, whatever comes', () => {
    const { signer, deep } = locked();
    const other = signer.refusedBy(admitChain(signer.chainInput, new Uint8Array(32)));
    expect(other).toMatchObject({ tag: 'policy-chain-validated', temporary: false });
    signer.mine();
    expect(signer.chainRecord.lockedBy?.tipHash).toEqual(deep.tip.hash);
    expect(signer.view.isFresh).toBe(false);
  });

  it('is nothing to admit where it is not locked', () => {
    const signer = new ChainedSigner();
    expect(signer.refusedBy(admitChain(signer.chainInput, new Uint8Array(32))).facts).toMatchObject({
      locked_by: 'nothing',
    });
  });
});

describe('a rescan', () => {
  it.each([null, 1, 4, 7, 12])('from %s finds again what was there', (from) => {
    const { signer, channel } = closed();
    const before = facts(signer);
    signer.accept(rescanChain(signer.chainInput, from));
    expect(signer.chainRecord.provenHeightBlocks).toBe((from ?? 1) - 1);
    expect(signer.view.isFresh).toBe(false);
    if ((from ?? 1) <= 5) {
      expect(signer.view.outpoint(channel.model.funding.outpoint)).toEqual({ kind: 'unknown' });
    }
    signer.follow();
    expect(facts(signer)).toBe(before);
  });

  it('from before the birthday moves the birthday there', () => {
    const late = new ChainedSigner(undefined, 6);
    late.mineEmpty(8);
    expect(late.chainRecord.birthdayHeightBlocks).toBe(6);
    late.accept(rescanChain(late.chainInput, 3));
    expect(late.chainRecord).toMatchObject({ birthdayHeightBlocks: 3, provenHeightBlocks: 2 });
    late.follow();
    expect(late.chainRecord.provenHeightBlocks).toBe(8);
  });

  it('of a channel that was spliced twice finds no end in it', () => {
    const { signer, channel, id } = openedChannel();
    channel.update({ ...channel.balances, feeratePerKw: 1001 });
    let from = channel.model.funding;
    for (const label of ['first splice', 'second splice']) {
      const splice = channel.candidate(channel.model.spliceOf(label, 100_000n, from));
      signer.mine(splice.tx);
      channel.ask(channel.model.signSplice(splice, from));
      channel.lock(splice);
      from = splice;
    }
    signer.mineEmpty(2);
    expect(signer.read(closingRecords, id)).toBeNull();
    const before = facts(signer);
    signer.accept(rescanChain(signer.chainInput, null));
    signer.follow();
    expect(signer.read(closingRecords, id)).toBeNull();
    expect(facts(signer)).toBe(before);
  });

  it('of blocks that are not there yet is refused', () => {
    const signer = new ChainedSigner();
    signer.mineEmpty(3);
    const refusal = signer.refusedBy(rescanChain(signer.chainInput, 4));
    expect(refusal).toMatchObject({ tag: 'policy-chain-proof', facts: { from_height: 4, tip_height: 3 } });
  });

  it('from before the oldest header begins anew, and until then the view is not fresh', () => {
    const { signer, channel } = closed();
    const before = facts(signer);
    // As if the oldest headers were long gone.
    const chain = { ...signer.chainRecord, baseHeightBlocks: 9 };
    signer.overwrite('chain', chain);
    signer.accept(rescanChain(signer.chainInput, 2));
    expect(signer.chainRecord.restartHeightBlocks).toBe(2);
    expect(signer.view.isFresh).toBe(false);
    expect(facts(signer)).toBe(before);
    signer.accept(acceptBeginning(signer.chainInput, new Uint8Array(0), 77));
    expect(signer.chainRecord).toMatchObject({
      birthdayHeightBlocks: 2,
      provenHeightBlocks: 1,
      tipHeightBlocks: 0,
      restartHeightBlocks: null,
    });
    expect(signer.view.isFresh).toBe(false);
    expect(signer.view.heightBlocks).toBe(0);
    signer.follow();
    expect(facts(signer)).toBe(before);
    expect(signer.read(headerRecords, heightId(3))?.hash).toEqual(signer.mined.blocks[3]!.hash);
    expect(signer.read(closingRecords, channelIdOf(channel))).toMatchObject({ kind: 'counterparty' });
  });

  it('without a chain, or a second beginning, changes nothing', () => {
    const signer = new ChainedSigner();
    const before = signer.state.snapshot();
    signer.accept(acceptBeginning(signer.chainInput, new Uint8Array(0), 50));
    expect(signer.state.snapshot()).toBe(before);
    signer.state = signer.state.without(['chain']);
    expect(signer.refusedBy(rescanChain(signer.chainInput, null)).message).toBe(
      'the signer follows no chain yet',
    );
    expect(idsIn(signer.state, stubRecords.name, '')).toEqual([]);
  });
});
