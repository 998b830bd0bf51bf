/** As many HTLCs as BOLT 2 allows in one commitment, over a channel of a node that signs with Countersign. */
import { createInvoice, loadLdk, payInvoice } from '@countersign/playground';
import { beforeAll, expect, it } from 'vitest';
import { inWorld, pair, pay } from './support.ts';

beforeAll(() => loadLdk());

const HTLCS = 480;

it(
  '480 HTLCs stand in one commitment, and go again',
  () =>
    inWorld('crowded', async (world) => {
      const settings = { maxAcceptedHtlcs: 483 };
      const { alice, bob } = await pair(world, 'anchors', {
        alice: { settings },
        bob: { settings, signer: 'own' },
      });
      await world.open(alice, bob, 4_000_000n);
      for (const { disk } of [alice, bob]) disk.keepsMonitors = false;
      bob.desk.holdsAll = true;
      const hashes: string[] = [];
      for (let i = 0; i < HTLCS; i++) {
        const { text, paymentHash } = createInvoice(bob, { amountMsat: 5_000_000n });
        expect(payInvoice(alice, text)).toMatchObject({ sent: true });
        hashes.push(paymentHash);
      }
      await world.settle();
      expect(alice.manager.list_channels()[0]?.get_pending_outbound_htlcs()).toHaveLength(HTLCS);
      for (const hash of hashes) bob.desk.claim(hash);
      await world.settle();
      expect(hashes.filter((hash) => !alice.desk.sent.has(hash))).toEqual([]);
      bob.desk.holdsAll = false;
      expect(bob.desk.sent.has(await pay(world, bob, alice, 1_000_000n))).toBe(true);
    }),
  240_000,
);
