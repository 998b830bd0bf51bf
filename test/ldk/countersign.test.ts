/**
 * An LDK node whose keys are all in a Countersign signer: opens, pays both ways, closes. Every rule is at error, and none of them
 * may speak.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createInvoice,
  LightningNode,
  loadLdk,
  openCountersignKeys,
  ownKeys,
  payInvoice,
  WORLD_START_SECONDS,
  World,
} from '@countersign/playground';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const directory = mkdtempSync(join(tmpdir(), 'countersign-ldk-'));
beforeAll(() => loadLdk());
afterAll(() => rmSync(directory, { recursive: true }));

describe.each(['anchors', 'static_remotekey'] as const)('LDK signs with Countersign, %s', (channels) => {
  it('opens, pays both ways and closes together', async () => {
    const world = new World();
    const { chain } = world;
    const keys = await openCountersignKeys({
      seed: new Uint8Array(32).fill(1),
      stateDirectory: join(directory, channels),
      chain,
    });
    const ephemeral = new Uint8Array(32).fill(7);
    const alice = world.add(
      new LightningNode({ name: 'alice', keys, chain, ephemeral, settings: { channels } }),
    );
    const theirs = ownKeys(new Uint8Array(32).fill(2), WORLD_START_SECONDS);
    const bob = world.add(
      new LightningNode({ name: 'bob', keys: theirs, chain, ephemeral, settings: { channels } }),
    );
    await world.fund(alice, 2_000_000n, 2);
    world.connect(alice, bob);
    await world.settle();
    const channel = await world.open(alice, bob, 1_000_000n);
    for (const [payer, payee, amountMsat] of [
      [alice, bob, 300_000_000n],
      [bob, alice, 20_000_000n],
    ] as const) {
      const { text, paymentHash } = createInvoice(payee, { amountMsat });
      expect(payInvoice(payer, text)).toMatchObject({ sent: true });
      await world.settle();
      expect(payer.desk.sent.has(paymentHash)).toBe(true);
    }
    await world.closeCooperatively(alice, channel);
    await world.mine(8);
    expect(keys.refusals).toEqual([]);
    expect(keys.wallet.balanceSat()).toBeGreaterThan(3_700_000n);
    await keys.close();
  });
});
