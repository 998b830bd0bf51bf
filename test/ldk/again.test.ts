/** A hash that is paid twice: payers may, and what lies between them must go through it as the first time. */
import { createInvoice, loadLdk, payInvoice, SmallWorld } from '@countersign/playground';
import { beforeAll, describe, expect, it } from 'vitest';
import { expectHonest, inWorld, KINDS, pay } from './support.ts';

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
});
