/** The seed of an LDK node moves into a Countersign signer: the node stays who it is, and what it had is not lost. */
import { createInvoice, loadLdk, payInvoice, SmallWorld } from '@countersign/playground';
import { Result_CVec_u8ZNoneZ_OK } from 'lightningdevkit';
import { beforeAll, describe, expect, it } from 'vitest';
import { inWorld, pay } from './support.ts';

beforeAll(() => loadLdk());

const COIN_SAT = 1_500_000n;
const WEEK_SECONDS = 7 * 86_400;

describe('an LDK seed that moves in', () => {
  it('keeps its node id, is paid for invoices of before, and spends what channels left it', () =>
    inWorld('moving in', async (world) => {
      const before = await world.start({ name: 'alice', signer: 'own' });
      const bob = await world.start({ name: 'bob', signer: 'countersign' });
      await world.fund(bob, 2_000_000n, 2);
      const { nodeId } = before;
      const { text, paymentHash } = createInvoice(before, {
        amountMsat: 70_000_000n,
        expirySeconds: WEEK_SECONDS,
      });
      const script = before.keys.signerProvider.get_destination_script(new Uint8Array(32));
      const shutdown = before.keys.signerProvider.get_shutdown_scriptpubkey();
      if (!(script instanceof Result_CVec_u8ZNoneZ_OK) || !shutdown.is_ok()) throw new Error('no script');
      world.chain.pay(script.res, COIN_SAT);
      world.remove(before);
      await world.mine();

      const alice = await world.start({ name: 'alice', signer: 'countersign', keyStyle: 'ldk' });
      expect(alice.nodeId).toEqual(nodeId);
      expect(alice.keys.wallet.balanceSat()).toBe(COIN_SAT);
      world.connect(bob, alice);
      await world.settle();
      await world.open(bob, alice, 500_000n);
      expect(payInvoice(bob, text)).toEqual({ sent: true, paymentHash });
      await world.settle();
      expect(bob.desk.sent.has(paymentHash)).toBe(true);

      // The funding of her own channel spends the coin at LDK's destination key.
      const channel = await world.open(alice, bob, 1_000_000n);
      expect(alice.desk.sent.has(await pay(world, alice, bob, 40_000_000n))).toBe(true);
      await world.forceClose(alice, channel);
      await world.mine(155);
      expect(alice.keys.wallet.balanceSat()).toBeGreaterThan(COIN_SAT - 40_000n - 10_000n);
      expect(SmallWorld.countersign(alice).embedded.nodeId).toEqual(nodeId);
    }));
});
