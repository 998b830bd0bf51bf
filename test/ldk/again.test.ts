/** A hash that is paid twice: payers may, and what lies between them must go through it as the first time. */
import { sha256, toHex } from '@countersign/bitcoin';
import { createInvoice, loadLdk, payInvoice, payKeysend, SmallWorld } from '@countersign/playground';
import { beforeAll, describe, expect, it } from 'vitest';
import { expectHonest, inWorld, KINDS, pair, pay } from './support.ts';

beforeAll(() => loadLdk());

describe.each(KINDS)('a hash that is paid twice over %s', (channels) => {
  it('is forwarded twice', () =>
    inWorld(`twice ${channels}`, async (world) => {
      const start = (name: string, signer: 'own' | 'countersign') =>
        world.start({ name, signer, settings: { channels, announce: true } });
      const a = await start('a', 'own');
      const s = await start('s', 'countersign');
      const c = await start('c', 'own');
      for (const node of [a, s]) await world.fund(node, 3_000_000n, 2);
      world.connect(a, s);
      world.connect(s, c);
      await world.settle();
      await world.open(a, s, 1_500_000n);
      await world.open(s, c, 1_500_000n);
      const { text, paymentHash } = createInvoice(c, { amountMsat: 40_000_000n });
      for (const times of [1, 2, 3]) {
        const paymentId = new Uint8Array(32).fill(times);
        expect(payInvoice(a, text, { paymentId })).toMatchObject({ sent: true });
        await world.settle();
        // The signer keeps a payment until the commitments that tell of it are revoked.
        for (let i = 0; i < 3; i++) await pay(world, a, c, 5_000_000n);
        expectHonest(world);
        expect(a.desk.sent.has(paymentHash)).toBe(true);
        expect(s.desk.forwards).toBe(4 * times);
        expect(SmallWorld.countersign(s).embedded.journal.keys('payment/')).not.toContain(
          `payment/${paymentHash}`,
        );
      }
    }));

  it('and that is no invoice the signer knows of may be turned away the second time', () =>
    inWorld(`paid and failed ${channels}`, async (world) => {
      const { alice, bob } = await pair(world, channels, { alice: { signer: 'own' } });
      await world.open(alice, bob, 1_000_000n);
      await pay(world, alice, bob, 50_000_000n);
      const preimage = new Uint8Array(32).fill(5);
      const paymentHash = sha256(preimage);
      const keysend = { destination: bob.nodeId, amountMsat: 20_000_000n, preimage, paymentHash };
      expect(payKeysend(alice, keysend)).toMatchObject({ sent: true });
      await world.settle();
      expect(bob.desk.claimed.get(toHex(paymentHash))).toBe(20_000_000n);
      bob.desk.holdsAll = true;
      for (const amountMsat of [10_000_000n, 30_000_000n]) {
        const paymentId = sha256(new TextEncoder().encode(`${amountMsat}`));
        expect(payKeysend(alice, { ...keysend, amountMsat }, { paymentId })).toMatchObject({ sent: true });
        await world.settle();
        bob.desk.fail(toHex(paymentHash));
        bob.desk.forward();
        await world.settle();
        expectHonest(world);
      }
      expect(alice.desk.failed.has(toHex(paymentHash))).toBe(true);
      bob.desk.holdsAll = false;
      expect(alice.desk.sent.has(await pay(world, alice, bob, 5_000_000n))).toBe(true);
    }));
});
