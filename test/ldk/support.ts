/** What the suite's tests begin with and end with: a world of nodes, and that no honest step was refused. */
import {
  createInvoice,
  type InvoiceOptions,
  type LightningNode,
  type NodePlan,
  payInvoice,
  SmallWorld,
} from '@countersign/playground';
import { expect } from 'vitest';

export type Kind = 'anchors' | 'static_remotekey';
export const KINDS: readonly Kind[] = ['anchors', 'static_remotekey'];

export interface Pair {
  readonly world: SmallWorld;
  readonly alice: LightningNode;
  readonly bob: LightningNode;
}

export async function inWorld(seed: string, body: (world: SmallWorld) => Promise<void>): Promise<void> {
  const world = await SmallWorld.create(seed);
  try {
    await body(world);
    expectHonest(world);
  } finally {
    await world.close();
  }
}

/** Everything refused or odd at this point, by node. */
export function troubles(world: SmallWorld): Record<string, readonly unknown[]> {
  const found = world.nodes.map((node): [string, readonly unknown[]] => {
    const refused = 'refusals' in node.keys ? SmallWorld.countersign(node).refusals : [];
    const log =
      'refusals' in node.keys
        ? SmallWorld.countersign(node).log.filter((line) => line.startsWith('bug'))
        : [];
    // Two nodes bump the same claim; a chain takes the first.
    const unwanted = node.unwanted.filter((line) => !/^(replacement|missing-input)/.test(line));
    return [node.name, [...refused, ...log, ...node.desk.problems, ...unwanted]];
  });
  return Object.fromEntries(found.filter(([, list]) => list.length > 0));
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
