/**
 * An LDK node whose signer is a process of its own, behind the bridge: opens, pays both ways while the signer is killed and comes
 * back, and closes. LDK notices nothing, and nothing is refused. And a bridge that is killed itself.
 */
import { ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createInvoice,
  HUB_CONFIGURATION,
  LightningNode,
  loadLdk,
  openKeysOver,
  ownKeys,
  payInvoice,
  WORLD_START_SECONDS,
  World,
} from '@countersign/playground';
import type { SyncDoor, SyncDoorError, SyncDoorRequest } from '@countersign/transport';
import { openRemoteDoor, type RemoteDoorOptions } from '@countersign/transport/bridge';
import { afterEach, beforeAll, expect, it, vi } from 'vitest';

const POLICY = `${HUB_CONFIGURATION}\n[chain]\nsource = "node"\nbirthday_height = 1\n`;

const ends: (() => unknown)[] = [];
beforeAll(() => loadLdk());
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** A signer's process, in a directory that outlives it. */
class SignerProcess {
  readonly #arguments: readonly string[];
  readonly #world: World;
  #child: ChildProcess | null = null;

  constructor(directory: string, path: string, world: World) {
    this.#arguments = [directory, path, POLICY];
    this.#world = world;
    ends.push(() => this.#child?.kill('SIGKILL'));
  }

  async start(): Promise<void> {
    this.#child = fork(join(import.meta.dirname, 'signer-child.ts'), [...this.#arguments], {
      execArgv: ['--conditions=source', '--disable-warning=ExperimentalWarning'],
    });
    await once(this.#child, 'message');
    await this.tellTime();
  }

  async tellTime(): Promise<void> {
    this.#child?.send(this.#world.chain.nowSeconds);
    if (this.#child !== null) await once(this.#child, 'message');
  }

  async kill(): Promise<void> {
    const ended = this.#child === null ? null : once(this.#child, 'exit');
    this.#child?.kill('SIGKILL');
    await ended;
  }
}

interface Bridged {
  readonly world: World;
  readonly signer: SignerProcess;
  readonly keys: Awaited<ReturnType<typeof openKeysOver>>;
  readonly alice: LightningNode;
  readonly bob: LightningNode;
  readonly openDoor: () => Promise<SyncDoor>;
  readonly pay: (payer: LightningNode, payee: LightningNode, amountMsat: bigint) => Promise<void>;
}

/** Alice with a signer behind the bridge, Bob with keys of his own; funded and connected. `wrap`: what lies before her door. */
async function bridged(
  options: Pick<RemoteDoorOptions, 'bridge' | 'onBroken'>,
  wrap: (door: SyncDoor) => SyncDoor = (door) => door,
): Promise<Bridged> {
  const directory = mkdtempSync(join(tmpdir(), 'countersign-bridged-'));
  ends.push(() => rmSync(directory, { recursive: true, force: true }));
  const world = new World();
  const { chain } = world;
  const path = join(directory, 'link', 'signer.sock');
  const signer = new SignerProcess(directory, path, world);
  const openDoor = async (): Promise<SyncDoor> => {
    const place = { directory, listen: { path }, network: 'regtest', patienceMs: 60_000 };
    const door = await openRemoteDoor({ ...place, ...options });
    ends.push(() => door.close());
    return door;
  };
  const opening = openDoor();
  await signer.start();
  const door = wrap(await opening);
  const randomOf = (count: number): Uint8Array => Uint8Array.from(randomBytes(count));
  const keys = await openKeysOver(door, { chain, randomBytes: randomOf });
  const timed = {
    ...keys,
    blockConnected: async (block: Parameters<typeof keys.blockConnected>[0]) => {
      await signer.tellTime();
      await keys.blockConnected(block);
    },
  };
  const ephemeral = new Uint8Array(32).fill(7);
  const alice = world.add(new LightningNode({ name: 'alice', keys: timed, chain, ephemeral }));
  const theirs = ownKeys(new Uint8Array(32).fill(2), WORLD_START_SECONDS);
  const bob = world.add(new LightningNode({ name: 'bob', keys: theirs, chain, ephemeral }));
  await world.fund(alice, 2_000_000n);
  world.connect(alice, bob);
  await world.settle();
  const pay = async (payer: LightningNode, payee: LightningNode, amountMsat: bigint): Promise<void> => {
    const { text, paymentHash } = createInvoice(payee, { amountMsat });
    expect(payInvoice(payer, text)).toMatchObject({ sent: true });
    await world.settle();
    expect(payer.desk.sent.has(paymentHash)).toBe(true);
  };
  return { world, signer, keys, alice, bob, openDoor, pay };
}

it.each(['worker', 'fifo'] as const)(
  'an LDK node over the bridge (%s) outlives its signer',
  async (bridge) => {
    const { world, signer, keys, alice, bob, pay } = await bridged({ bridge });
    const channel = await world.open(alice, bob, 1_000_000n);
    await pay(alice, bob, 300_000_000n);
    await signer.kill();
    await signer.start();
    await pay(bob, alice, 20_000_000n);
    await pay(alice, bob, 1_000_000n);
    await world.closeCooperatively(alice, channel);
    await world.mine(8);
    expect(keys.refusals).toEqual([]);
    expect(keys.wallet.balanceSat()).toBeGreaterThan(1_700_000n);
  },
);

/** Kills the bridge's process as a request of this number goes out. */
class DeadlyDoor implements SyncDoor {
  readonly #door: SyncDoor;
  readonly #kill: () => void;
  left = Number.POSITIVE_INFINITY;

  constructor(door: SyncDoor, kill: () => void) {
    this.#door = door;
    this.#kill = kill;
  }

  ask(...asked: Parameters<SyncDoor['ask']>): Uint8Array {
    if (this.left-- === 0) this.#kill();
    return this.#door.ask(...asked);
  }

  askTogether(requests: readonly SyncDoorRequest[]): readonly Uint8Array[] {
    for (const _ of requests) if (this.left-- === 0) this.#kill();
    return this.#door.askTogether!(requests);
  }

  feed(request: Uint8Array): Promise<Uint8Array> {
    return this.#door.feed(request);
  }

  close(): Promise<void> {
    return this.#door.close();
  }
}

it('an LDK node outlives its bridge, at any request, and goes on over another', async () => {
  const bridges = vi.spyOn(ChildProcess.prototype, 'unref');
  const killBridge = (): void => {
    const bridge = bridges.mock.contexts.at(-1) as ChildProcess;
    if (bridge.pid !== undefined) process.kill(bridge.pid, 'SIGKILL');
  };
  const broken: SyncDoorError[] = [];
  const onBroken = (error: SyncDoorError): void => void broken.push(error);
  const wrap = (door: SyncDoor): DeadlyDoor => new DeadlyDoor(door, killBridge);
  let deadly: DeadlyDoor | undefined;
  const { world, keys, alice, bob, openDoor, pay } = await bridged({ bridge: 'fifo', onBroken }, (door) => {
    deadly = wrap(door);
    return deadly;
  });
  await world.open(alice, bob, 1_000_000n);
  await pay(alice, bob, 300_000_000n);
  let deaths = 0;
  for (let answered = 0; answered < 12; answered++) {
    const before = keys.refusals.length;
    const { text, paymentHash } = createInvoice(bob, { amountMsat: 2_000_000n });
    expect(payInvoice(alice, text)).toMatchObject({ sent: true });
    deadly!.left = answered;
    await world.settle();
    const refused = keys.refusals.slice(before);
    for (const { tag, temporary } of refused) expect([tag, temporary]).toEqual(['unreachable', true]);
    if (deadly!.left < 0) {
      deaths += 1;
      await expect.poll(() => broken.length).toBe(1);
      expect(broken.pop()).toMatchObject({ code: 'sync-door-broken' });
      expect(refused.length).toBeGreaterThan(0);
      deadly = wrap(await openDoor());
      keys.ldk.moveTo(deadly);
    }
    deadly!.left = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 3; round++) {
      keys.ldk.retry(alice.manager, alice.monitor);
      await world.settle();
    }
    expect([answered, alice.desk.sent.has(paymentHash)]).toEqual([answered, true]);
  }
  // At each request of a payment, and not beside them.
  expect(deaths).toBeGreaterThanOrEqual(8);
  expect([alice.desk.closed, bob.desk.closed]).toEqual([[], []]);
});
