/**
 * What LDK's application and its operator say to each other through the signer: payments that nobody approved are declined, wait in
 * the list, and pass once the operator says yes, also where LDK was not asked and sent them anyway. No rule is softened anywhere here.
 */

import { sha256 } from '@countersign/bitcoin';
import { allRules, severityOf } from '@countersign/core';
import {
  createInvoice,
  HUB_CONFIGURATION,
  type LightningNode,
  loadLdk,
  payInvoice,
  payKeysend,
  SmallWorld,
} from '@countersign/playground';
import { beforeAll, describe, expect, it } from 'vitest';
import { inWorld, pair } from './support.ts';

beforeAll(() => loadLdk());

const ASKING = '[policy]\npreset = "wallet"\n';

async function approveAll(node: LightningNode): Promise<number> {
  const { signer } = SmallWorld.countersign(node).embedded;
  const listed = await signer.administer({ op: 'pending-list' });
  if (!listed.ok || listed.result.op !== 'pending-list') throw new Error('no list');
  const { pending } = listed.result;
  for (const { id } of pending) {
    const done = await signer.administer({ op: 'approve', id, amountMsat: null, expirySeconds: null });
    expect(done.ok).toBe(true);
  }
  return pending.length;
}

describe('rules', () => {
  it.each([
    ['hub', HUB_CONFIGURATION],
    ['wallet', ASKING],
  ])('of the %s preset are at error, all of them', (_, configuration) =>
    inWorld('rules', async (world) => {
      const node = await world.start({ name: 'alice', signer: 'countersign', configuration });
      const { policy } = SmallWorld.countersign(node).embedded;
      const soft = allRules().filter((rule) => severityOf(policy, rule) === 'warn');
      expect(soft.map(({ tag }) => tag)).toEqual([]);
      expect(SmallWorld.countersign(node).log.filter((line) => line.includes('VOID'))).toEqual([]);
    }),
  );
});

describe('a payment', () => {
  it('is declined, approved by the operator, and then goes out', () =>
    inWorld('approved', async (world) => {
      const { alice, bob } = await pair(world, 'anchors', { alice: { configuration: ASKING } });
      await world.open(alice, bob, 1_000_000n);
      const { text, paymentHash } = createInvoice(bob, { amountMsat: 200_000_000n });
      const { refusals } = SmallWorld.countersign(alice);
      expect(payInvoice(alice, text)).toEqual({ sent: false, why: 'declined' });
      await world.settle();
      expect(refusals.splice(0)).toMatchObject([
        { method: 'preapprove_invoice', tag: 'policy-commitment-payment-approved' },
      ]);
      expect(await approveAll(alice)).toBe(1);
      expect(payInvoice(alice, text)).toEqual({ sent: true, paymentHash });
      await world.settle();
      expect(alice.desk.sent.has(paymentHash)).toBe(true);
    }));

  it('without an invoice is the same', () =>
    inWorld('keysend', async (world) => {
      const { alice, bob } = await pair(world, 'anchors', { alice: { configuration: ASKING } });
      await world.open(alice, bob, 1_000_000n);
      const preimage = new Uint8Array(32).fill(9);
      const keysend = {
        destination: bob.nodeId,
        amountMsat: 150_000_000n,
        preimage,
        paymentHash: sha256(preimage),
      };
      expect(payKeysend(alice, keysend)).toEqual({ sent: false, why: 'declined' });
      await world.settle();
      SmallWorld.countersign(alice).refusals.length = 0;
      expect(await approveAll(alice)).toBe(1);
      const sent = payKeysend(alice, keysend);
      await world.settle();
      expect(sent.sent && alice.desk.sent.has(sent.paymentHash)).toBe(true);
    }));

  it('that LDK was told to make without asking is not signed, and goes out once it is approved', () =>
    inWorld('unasked', async (world) => {
      const { alice, bob } = await pair(world, 'anchors', { alice: { configuration: ASKING } });
      await world.open(alice, bob, 1_000_000n);
      const { text, paymentHash } = createInvoice(bob, { amountMsat: 200_000_000n });
      expect(payInvoice(alice, text, { unasked: true })).toEqual({ sent: true, paymentHash });
      await world.settle();
      const { refusals } = SmallWorld.countersign(alice);
      expect(alice.desk.sent.has(paymentHash)).toBe(false);
      expect(refusals.splice(0)[0]).toMatchObject({
        method: 'sign_counterparty_commitment',
        request: 'vls_sign_remote_commitment_tx2',
        temporary: false,
      });
      expect(await approveAll(alice)).toBe(1);
      await world.mine();
      expect(alice.desk.sent.has(paymentHash)).toBe(true);
      expect([alice.desk.closed, bob.desk.closed]).toEqual([[], []]);
    }));
});
