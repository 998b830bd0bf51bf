/** What a close means for HTLCs that have no output in it. */
import { playMove, World } from '@countersign/adversary';
import { expect, it } from 'vitest';
import { YesSigner } from './yes-signer.ts';

/** We offered an HTLC; the peer takes it out of our next commitment, which goes to the chain before it is current. */
async function closedWithout(to: 'owner' | 'peer') {
  const world = await World.begin(new YesSigner(), { seed: 5, isHonest: true });
  const at = world.channels.findIndex(({ terms }) => terms.isOwnerFunder);
  const channel = world.channels[at]!;
  const play = (kind: string) => playMove(world, { kind, channel: at, a: 0, b: 0, c: 0 });
  await play('quiesce');
  const payment = world.book.begin(new Uint8Array(32).fill(7), 'own', 50_000_000n, 'settled');
  const htlc = {
    id: channel.nextHtlcId++,
    offeredBy: 'owner',
    amountMsat: 50_000_000n,
    paymentHash: payment.hash,
    cltvExpiry: world.height + 60,
  } as const;
  const part = world.book.addPart(payment, channel, htlc);
  channel.log.propose('owner', { kind: 'add', htlc });
  await play('quiesce');
  expect(part.state).toBe('standing');
  channel.log.propose('peer', { kind: 'remove', htlc, to });
  await play('advance');
  await play('force-close');
  expect(channel.ending?.built?.state.htlcs).toEqual([]);
  await world.chain.mine(7);
  return part.state;
}

it('fulfilled there: it is settled', async () => {
  expect(await closedWithout('peer')).toBe('settled');
});

it('failed there: it has failed', async () => {
  expect(await closedWithout('owner')).toBe('failed');
});
