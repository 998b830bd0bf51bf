/** BOLT 12 between LDK nodes that sign with Countersign: an offer, the invoice that is asked for by onion messages, and its payment. */
import { createOffer, HUB_CONFIGURATION, loadLdk, payOffer, SmallWorld } from '@countersign/playground';
import { beforeAll, describe, expect, it } from 'vitest';
import { expectHonest, inQuietWorld, inWorld, KINDS, pair } from './support.ts';

beforeAll(() => loadLdk());

const idOf = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);
const hexOf = (fill: number): string => Buffer.from(idOf(fill)).toString('hex');

describe.each(KINDS)('offers over %s', (channels) => {
  it('are paid, each with an invoice of its own that the signer approves first', () =>
    inWorld(`offers ${channels}`, async (world) => {
      const announce = { settings: { channels, announce: true } };
      const { alice, bob } = await pair(world, channels, { alice: announce, bob: announce });
      await world.open(alice, bob, 1_000_000n);
      const offer = createOffer(bob);
      for (const fill of [1, 2]) {
        expect(payOffer(alice, offer, 25_000_000n, idOf(fill))).toBe(true);
        await world.settle();
        const hash = alice.desk.sentById.get(hexOf(fill)) ?? 'nothing';
        expect(alice.desk.sent.has(hash)).toBe(true);
        expect(bob.desk.claimed.get(hash)).toBe(25_000_000n);
        expectHonest(world);
      }
      expect(new Set(alice.desk.sentById.values()).size).toBe(2);
      const { recorder } = SmallWorld.countersign(alice);
      expect(recorder.last('hsmd_preapprove_invoice')?.invstring).toMatch(/^lni1/);
    }));

  it('are paid over a hub, and not where nobody approves it', () =>
    inQuietWorld(`offers over a hub ${channels}`, async (world) => {
      const settings = { channels, announce: true };
      const start = (name: string, configuration: string) =>
        world.start({ name, signer: 'countersign', settings, configuration });
      const a = await start('a', HUB_CONFIGURATION);
      const b = await start('b', '[policy]\npreset = "wallet"\n');
      const s = await start('s', HUB_CONFIGURATION);
      const c = await start('c', HUB_CONFIGURATION);
      for (const node of [a, b, s]) await world.fund(node, 3_000_000n, 2);
      for (const node of [a, b, c]) world.connect(node, s);
      await world.settle();
      await world.open(a, s, 1_000_000n);
      await world.open(b, s, 1_000_000n);
      await world.open(s, c, 1_000_000n);
      const offer = createOffer(c);
      expectHonest(world);

      expect(payOffer(a, offer, 30_000_000n, idOf(1))).toBe(true);
      await world.settle();
      const hash = a.desk.sentById.get(hexOf(1)) ?? 'nothing';
      expect(c.desk.claimed.get(hash)).toBe(30_000_000n);
      expect(s.desk.forwards).toBe(1);
      expectHonest(world);

      expect(payOffer(b, offer, 30_000_000n, idOf(2))).toBe(true);
      await world.settle();
      expect(b.desk.sentById.size).toBe(0);
      const { refusals, embedded } = SmallWorld.countersign(b);
      expect(refusals).toMatchObject([
        { method: 'preapprove_invoice', tag: 'policy-commitment-payment-approved' },
      ]);
      const pending = await embedded.signer.administer({ op: 'pending-list' });
      if (!pending.ok || pending.result.op !== 'pending-list') throw new Error('no list');
      expect(pending.result.pending).toMatchObject([{ kind: 'invoice', amountMsat: 30_000_000n }]);
    }));
});
