/**
 * A signer that is away for a while, at every point of a payment: LDK waits, nothing is lost, no channel closes, and it goes on when
 * the signer is back. The same for a signer whose chain lags behind LDK's.
 */
import { loadLdk, SmallWorld } from '@countersign/playground';
import {
  type SyncDoor,
  type SyncDoorClient,
  SyncDoorError,
  type SyncDoorRequest,
} from '@countersign/transport';
import { beforeAll, describe, expect, it } from 'vitest';
import { inWorld, pair, pay, send } from './support.ts';

beforeAll(() => loadLdk());

/** Answers so many requests, then none until it is let. */
class AbsentDoor implements SyncDoor {
  left = Number.POSITIVE_INFINITY;
  missed = 0;
  readonly #door: SyncDoor;
  askTogether?: NonNullable<SyncDoor['askTogether']>;

  constructor(door: SyncDoor, takesSeveral: boolean) {
    this.#door = door;
    if (takesSeveral) this.askTogether = (requests) => this.#together(requests);
  }

  /** The signer goes between two of them: it has decided on the first, and nobody hears of it. */
  #together(requests: readonly SyncDoorRequest[]): readonly Uint8Array[] {
    const replies = this.left < requests.length ? [] : this.#door.askTogether?.(requests);
    if (replies === undefined) throw new Error('the door takes one at a time');
    if (replies.length > 0) {
      this.left -= requests.length;
      return replies;
    }
    for (const { client, request } of requests) this.ask(client, request);
    throw new Error('the signer was there');
  }

  ask(client: SyncDoorClient, request: Uint8Array): Uint8Array {
    if (this.left > 0) {
      this.left--;
      return this.#door.ask(client, request);
    }
    this.missed++;
    throw new SyncDoorError('sync-door-unreachable', 'the signer is away');
  }

  feed(request: Uint8Array): Promise<Uint8Array> {
    return this.#door.feed(request);
  }

  close(): Promise<void> {
    return this.#door.close();
  }
}

describe('a signer that is away', () => {
  it.each([
    ['anchors', 'several requests at once', true],
    ['static_remotekey', 'one request at a time', false],
  ] as const)(
    'at any request of payments both ways, over %s, through a door that takes %s',
    (channels, _, takesSeveral) =>
      inWorld(`away ${channels}`, async (world) => {
        let door: AbsentDoor | undefined;
        const wrapDoor = (inner: SyncDoor): SyncDoor => {
          door = new AbsentDoor(inner, takesSeveral);
          return door;
        };
        const { alice, bob } = await pair(world, channels, { alice: { wrapDoor }, bob: { signer: 'own' } });
        if (door === undefined) throw new Error('no door');
        await world.open(alice, bob, 2_000_000n);
        await pay(world, alice, bob, 500_000_000n);
        const { refusals } = SmallWorld.countersign(alice);
        for (let answered = 0; answered < 14; answered++) {
          const hashes = [send(alice, bob, 3_000_000n), send(bob, alice, 2_000_000n)];
          door.left = answered;
          await world.settle();
          door.left = Number.POSITIVE_INFINITY;
          for (let round = 0; round < 6; round++) {
            alice.keys.retry(alice.manager, alice.monitor);
            await world.settle();
            alice.desk.forward();
            await world.settle();
          }
          const isOver = (hash: string) =>
            [alice, bob].some(({ desk }) => desk.sent.has(hash) || desk.failed.has(hash));
          for (const hash of hashes) expect([answered, isOver(hash)]).toEqual([answered, true]);
          expect([answered, alice.desk.closed, bob.desk.closed]).toEqual([answered, [], []]);
        }
        expect(door.missed).toBeGreaterThan(10);
        expect(refusals.filter(({ tag }) => tag !== 'unreachable')).toEqual([]);
        expect(refusals.every(({ temporary }) => temporary)).toBe(true);
        refusals.length = 0;
        expect(alice.desk.sent.has(await pay(world, alice, bob, 4_000_000n))).toBe(true);
      }),
  );
});

describe('a signer whose chain lags', () => {
  it('refuses for now what needs the funding buried, and LDK goes on when it has caught up', () =>
    inWorld('lag', async (world) => {
      const { alice, bob } = await pair(world, 'anchors', { bob: { signer: 'own' } });
      const userChannelId = alice.desk.takeUserChannelId();
      alice.manager.create_channel(bob.nodeId, 1_000_000n, 0n, userChannelId, null, null);
      await world.settle();
      for (let i = 0; i < 6; i++) {
        const block = world.chain.mine();
        alice.tellLdk(block);
        await bob.blockConnected(block);
        await world.settle();
      }
      const hash = await pay(world, alice, bob, 10_000_000n);
      const { refusals } = SmallWorld.countersign(alice);
      expect(alice.desk.sent.has(hash)).toBe(false);
      expect(refusals.length).toBeGreaterThan(0);
      expect(refusals.every(({ temporary }) => temporary)).toBe(true);
      refusals.length = 0;
      await world.mine();
      expect(alice.desk.sent.has(hash)).toBe(true);
    }));
});

it('a node moves to another door of its signer, and to no other signer’s', () =>
  inWorld('doors', async (world) => {
    const { alice, bob } = await pair(world, 'anchors');
    const [own, other] = [SmallWorld.countersign(alice), SmallWorld.countersign(bob)];
    await world.open(alice, bob, 1_000_000n);
    expect(() => own.ldk.moveTo(other.embedded.door)).toThrow('the signer behind this door is another');
    const absent = new AbsentDoor(own.embedded.door, true);
    absent.left = 0;
    expect(() => own.ldk.moveTo(absent)).toThrow(
      'no signer answers at this door: unreachable: the signer is away',
    );
    await Promise.resolve();
    expect(own.refusals.splice(0).map(({ tag }) => tag)).toEqual(['unreachable']);
    await pay(world, alice, bob, 3_000_000n);
    absent.left = 1_000;
    own.ldk.moveTo(absent);
    const hash = await pay(world, alice, bob, 3_000_000n);
    expect(alice.desk.sent.has(hash)).toBe(true);
    expect(absent.left).toBeLessThan(1_000);
    await own.ldk.close();
    expect(() =>
      own.embedded.door.ask({ peerId: null, dbid: 0n, permissions: 0n }, new Uint8Array(2)),
    ).toThrow(SyncDoorError);
  }));
