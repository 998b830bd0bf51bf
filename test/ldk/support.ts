/** What the suite's tests begin with and end with: a world of nodes, and that no honest step was refused. */
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import {
  createInvoice,
  type InvoiceOptions,
  type LightningNode,
  type NodePlan,
  payInvoice,
  SmallWorld,
} from '@countersign/playground';
import { expect, vi } from 'vitest';

/** A whole life of nodes takes seconds, and on a machine with other work many of them. */
vi.setConfig({ testTimeout: 180_000 });

export type Kind = 'anchors' | 'static_remotekey';
export const KINDS: readonly Kind[] = ['anchors', 'static_remotekey'];

/** A file system in memory, where there is one: these tests are about answers, and other ones about what a disk keeps. */
const MEMORY = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

export interface Pair {
  readonly world: SmallWorld;
  readonly alice: LightningNode;
  readonly bob: LightningNode;
}

export async function inWorld(seed: string, body: (world: SmallWorld) => Promise<void>): Promise<void> {
  const world = await SmallWorld.create(seed, MEMORY);
  try {
    await body(world);
    expectHonest(world);
  } finally {
    await world.close();
  }
}

/** As `inWorld`, where refusals are what the test is about. */
export async function inQuietWorld(seed: string, body: (world: SmallWorld) => Promise<void>): Promise<void> {
  const world = await SmallWorld.create(seed, MEMORY);
  try {
    await body(world);
  } finally {
    await world.close();
  }
}

/** Everything refused or odd up to now, by node, each said once with how often it was. */
export function troubles(world: SmallWorld): Record<string, Record<string, number>> {
  const found = world.nodes.map((node): [string, Record<string, number>] => {
    const signer = 'refusals' in node.keys ? SmallWorld.countersign(node) : null;
    const refused =
      signer?.refusals.map(({ method, request, text }) => `${method} ${request}: ${text}`) ?? [];
    const bugs = signer?.log.filter((line) => line.startsWith('bug')) ?? [];
    // Two nodes bump the same claim; a chain takes the first.
    const unwanted = node.unwanted.filter((line) => !/^(replacement|missing-input)/.test(line));
    return [node.name, counted([...refused, ...bugs, ...node.desk.problems, ...unwanted])];
  });
  return Object.fromEntries(found.filter(([, list]) => Object.keys(list).length > 0));
}

function counted(lines: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const line of lines) counts[line] = (counts[line] ?? 0) + 1;
  return counts;
}

export const expectHonest = (world: SmallWorld): void => expect(troubles(world)).toEqual({});

/** Two nodes with Countersign, connected, the first one rich. */
export async function pair(
  world: SmallWorld,
  channels: Kind,
  plans: { readonly alice?: Partial<NodePlan>; readonly bob?: Partial<NodePlan> } = {},
): Promise<Pair> {
  const alice = await world.start({
    name: 'alice',
    signer: 'countersign',
    ...plans.alice,
    settings: { channels, ...plans.alice?.settings },
  });
  const bob = await world.start({
    name: 'bob',
    signer: 'countersign',
    ...plans.bob,
    settings: { channels, ...plans.bob?.settings },
  });
  await world.fund(alice, 5_000_000n, 3);
  await world.fund(bob, 500_000n, 2);
  world.connect(alice, bob);
  await world.settle();
  return { world, alice, bob };
}

/** Pays an invoice of the other's; the hash. */
export async function pay(
  world: SmallWorld,
  payer: LightningNode,
  payee: LightningNode,
  amountMsat: bigint,
  options: Partial<InvoiceOptions> = {},
): Promise<string> {
  const hash = send(payer, payee, amountMsat, options);
  await world.settle();
  return hash;
}

/** As `pay`, without waiting for it. */
export function send(
  payer: LightningNode,
  payee: LightningNode,
  amountMsat: bigint,
  options: Partial<InvoiceOptions> = {},
): string {
  const { text, paymentHash } = createInvoice(payee, { amountMsat, ...options });
  expect(payInvoice(payer, text, { attempts: 2 })).toEqual({ sent: true, paymentHash });
  return paymentHash;
}

/** Block by block, while it has not come about. */
export async function mineUntil(world: SmallWorld, isSo: () => boolean, blocksMax: number): Promise<void> {
  for (let mined = 0; mined < blocksMax && !isSo(); mined++) await world.mine();
  expect(isSo()).toBe(true);
}
