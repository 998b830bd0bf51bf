/**
 * An LDK node whose signer is a process of its own, behind the bridge: opens, pays both ways while the signer is killed and comes
 * back, and closes. LDK notices nothing, and nothing is refused.
 */
import { type ChildProcess, fork } from 'node:child_process';
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
import { openRemoteDoor } from '@countersign/transport/bridge';
import { afterEach, beforeAll, expect, it } from 'vitest';

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

it.each(['worker', 'fifo'] as const)(
  'an LDK node over the bridge (%s) outlives its signer',
  async (bridge) => {
    const directory = mkdtempSync(join(tmpdir(), 'countersign-bridged-'));
    ends.push(() => rmSync(directory, { recursive: true, force: true }));
    const world = new World();
    const { chain } = world;
    const path = join(directory, 'link', 'signer.sock');
    const signer = new SignerProcess(directory, path, world);
    const opening = openRemoteDoor({
      directory,
      listen: { path },
      network: 'regtest',
      bridge,
      patienceMs: 60_000,
    });
    await signer.start();
    const door = await opening;
    ends.push(() => door.close());
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
    const channel = await world.open(alice, bob, 1_000_000n);
    const pay = async (payer: LightningNode, payee: LightningNode, amountMsat: bigint): Promise<void> => {
      const { text, paymentHash } = createInvoice(payee, { amountMsat });
      expect(payInvoice(payer, text)).toMatchObject({ sent: true });
      await world.settle();
      expect(payer.desk.sent.has(paymentHash)).toBe(true);
    };
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
