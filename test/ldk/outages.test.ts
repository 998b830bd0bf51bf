/**
 * A signer that is not there to judge: its store has failed, it is not ready, or its operator has frozen a channel. LDK closes a
 * channel for an Err of `validate_*`, so none of these may be one: the channel stands still, and goes on when the signer does.
 */
import { channelRecords } from '@countersign/core';
import { type LightningNode, SmallWorld } from '@countersign/playground';
import type { SyncDoor } from '@countersign/transport';
import { encodeSignerError } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { inQuietWorld, mineUntil, pair, pay, send, troubles } from './support.ts';

/** A door that answers every request about a channel so, while it is told to. */
function switched(
  kind: string,
  tag: string,
): { isOut: boolean; readonly wrap: (door: SyncDoor) => SyncDoor } {
  const state = {
    isOut: false,
    wrap: (door: SyncDoor): SyncDoor => ({
      ask: (client, request) =>
        state.isOut && client.peerId !== null
          ? encodeSignerError(kind, { tag, message: 'the signer is out', facts: {}, temporary: false })
          : door.ask(client, request),
      feed: (request) => door.feed(request),
      close: () => door.close(),
    }),
  };
  return state;
}

const usable = (node: LightningNode): number => node.manager.list_usable_channels().length;

describe('LDK keeps its channels', () => {
  it.each([
    ['store-failed', 'store-io'],
    ['not-initialized', 'not-initialized'],
  ])('while the signer answers %s', (kind, tag) =>
    inQuietWorld(`outage ${kind}`, async (world) => {
      const out = switched(kind, tag);
      const { alice, bob } = await pair(world, 'anchors', { bob: { wrapDoor: out.wrap } });
      await world.open(alice, bob, 1_000_000n);
      const hash = send(alice, bob, 40_000_000n);
      out.isOut = true;
      await world.settle();
      expect([alice.desk.sent.has(hash), usable(alice), usable(bob)]).toEqual([false, 1, 1]);
      out.isOut = false;
      await mineUntil(world, () => alice.desk.sent.has(hash), 4);
      expect([usable(alice), usable(bob)]).toEqual([1, 1]);
    }),
  );

  it('while the operator has frozen one', () =>
    inQuietWorld('outage frozen', async (world) => {
      const { alice, bob } = await pair(world, 'anchors');
      await world.open(alice, bob, 1_000_000n);
      const { signer, journal } = SmallWorld.countersign(bob).embedded;
      const [key] = journal.keys(`${channelRecords.name}/`);
      const channel = key!.slice(channelRecords.name.length + 1);
      const hash = send(alice, bob, 40_000_000n);
      expect(await signer.administer({ op: 'channel-freeze', channel })).toMatchObject({ ok: true });
      await world.settle();
      expect([alice.desk.sent.has(hash), usable(alice), usable(bob)]).toEqual([false, 1, 1]);
      expect(await signer.administer({ op: 'channel-unfreeze', channel })).toMatchObject({ ok: true });
      await mineUntil(world, () => alice.desk.sent.has(hash), 4);
      expect([usable(alice), usable(bob)]).toEqual([1, 1]);
    }));

  /** What LDK was told to go on with is lost with the process; its own commitment it can still publish. */
  it('or can close one, where the node ends meanwhile', () =>
    inQuietWorld('outage and restart', async (world) => {
      const out = switched('store-failed', 'store-io');
      const { alice, bob } = await pair(world, 'anchors', { bob: { wrapDoor: out.wrap } });
      await world.open(alice, bob, 1_000_000n);
      await pay(world, alice, bob, 200_000_000n);
      const beforeSat = bob.keys.wallet.balanceSat();
      send(alice, bob, 40_000_000n);
      out.isOut = true;
      await world.settle();
      out.isOut = false;
      const again = await world.restart(bob);
      const [channel] = again.manager.list_channels();
      await world.forceClose(again, channel!);
      await world.mine(160);
      expect(troubles(world)).toEqual({});
      expect(again.keys.wallet.balanceSat()).toBeGreaterThan(beforeSat + 190_000n);
    }));
});
