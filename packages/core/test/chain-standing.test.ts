/** Where a channel stands, from its funding's block to the burial of its last output. */
import { standingOf } from '@countersign/core';
import { expect, it } from 'vitest';
import { ChainedSigner } from './chained-signer.ts';
import { channelIdOf, recordOf } from './forwarder.ts';
import { OpenChannel } from './open-channel.ts';
import { TestSigner } from './test-signer.ts';

const standing = (signer: ChainedSigner, channel: OpenChannel) =>
  standingOf(signer.read, signer.policy, channelIdOf(channel), recordOf(channel));

it('is opening, open, closing, and closed once the close is buried', () => {
  const signer = new ChainedSigner();
  const channel = new OpenChannel({}, signer).open();
  const { model } = channel;
  expect(standing(signer, channel)).toBe('opening');
  signer.mine(model.funding.tx);
  expect(standing(signer, channel)).toBe('open');
  const close = model.closeTx(channel.balances);
  channel.ask(model.mutualClose(close));
  expect(standing(signer, channel)).toBe('closing');
  const fork = signer.mined.forkAt(signer.mined.tip.heightBlocks);
  signer.mine(close);
  expect(standing(signer, channel)).toBe('closing');
  // Another history without it.
  const closed = signer.mined;
  fork.extendBy(2);
  signer.mined = fork;
  expect(standing(signer.follow(), channel)).toBe('closing');
  closed.extendBy(2);
  signer.mined = closed;
  const depth = signer.policy.limits.reorgDepthBlocksMax;
  expect(standing(signer.follow(), channel)).toBe('closing');
  signer.mineEmpty(depth - 4);
  expect(standing(signer, channel)).toBe('closing');
  signer.mineEmpty(1);
  expect(standing(signer, channel)).toBe('closed');
});

it('is closing as long as an output of ours is there to be swept', () => {
  const signer = new ChainedSigner();
  const channel = new OpenChannel({}, signer).open();
  signer.mine(channel.model.funding.tx);
  signer.mine(channel.model.build('holder', 0, channel.balances).tx);
  signer.mineEmpty(signer.policy.limits.reorgDepthBlocksMax);
  expect(standing(signer, channel)).toBe('closing');
});

it('is none of a channel that never came about, nor without a chain', () => {
  const signer = new ChainedSigner();
  const channel = new OpenChannel({}, signer).open();
  const id = channelIdOf(channel);
  const record = recordOf(channel);
  expect(standingOf(signer.read, signer.policy, id, { ...record, setup: null })).toBeNull();
  expect(standingOf(signer.read, signer.policy, id, { ...record, forgotten: true })).toBeNull();
  signer.mine(channel.model.funding.tx);
  // Forgotten by its node, and still on the chain.
  expect(standingOf(signer.read, signer.policy, id, { ...record, forgotten: true })).toBe('open');
  const { state, policy } = new TestSigner();
  expect(standingOf((kind, at) => state.read(kind, at)?.value ?? null, policy, id, record)).toBeNull();
});
