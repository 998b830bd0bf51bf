/**
 * One attack from beginning to end: an honest life, the attack behind LDK's back, and then what the owner really gets on the
 * chain. The peers hold keys of their own and may be in league with the attacker.
 */
import type { LightningNode } from '../node/lightning-node.ts';
import { createInvoice, payInvoice } from '../world/payments.ts';
import { SmallWorld } from '../world/small-world.ts';
import { ATTACKER_SCRIPT, type AttackName, attempt, type Scene } from './attacks.ts';

export interface HostileResult {
  readonly attack: AttackName;
  /** Null: the signer answered. */
  readonly tag: string | null;
  readonly text: string | null;
  readonly haulSat: string;
  /** What the owner should have on chain in the end, and has. */
  readonly expectedSat: string;
  readonly ownedSat: string;
  readonly attackerSat: string;
  /** The channel went on after the refusal. */
  readonly paysAfter: boolean;
}

/** What the owner lets out by himself in a day: the honest payments of the run fit in, the attacker's does not. */
const CONFIGURATION = `
[policy]
preset = "hub"

[approvals]
auto = "velocity"
auto_payment_velocity = { amount_sat = 350_000, per = "day" }
`;
const CHANNEL_SAT = 1_000_000n;
const SWEPT_BLOCKS = 175;
const HUB_ATTACKS: readonly AttackName[] = ['forward-more', 'fail-upstream'];

export async function runHostile(name: AttackName, parent?: string): Promise<HostileResult> {
  const world = await SmallWorld.create(`hostile ${name}`, parent);
  try {
    return await (HUB_ATTACKS.includes(name) ? attackHub(world, name) : attackWallet(world, name));
  } finally {
    await world.close();
  }
}

async function pay(
  world: SmallWorld,
  payer: LightningNode,
  payee: LightningNode,
  sat: bigint,
): Promise<string> {
  const { text, paymentHash } = createInvoice(payee, { amountMsat: 1000n * sat });
  payInvoice(payer, text);
  await world.settle();
  return paymentHash;
}

async function attackWallet(world: SmallWorld, name: AttackName): Promise<HostileResult> {
  const alice = await world.start({
    name: 'alice',
    signer: 'countersign',
    configuration: CONFIGURATION,
  });
  const mallory = await world.start({ name: 'mallory', signer: 'own' });
  await world.fund(alice, 2_000_000n, 2);
  world.connect(alice, mallory);
  await world.settle();
  const richSat = alice.keys.wallet.balanceSat();
  const channel = await world.open(alice, mallory, CHANNEL_SAT);
  await pay(world, alice, mallory, 300_000n);
  await pay(world, mallory, alice, 50_000n);
  if (name === 'foreign-sweep') {
    await world.forceClose(alice, channel);
    await world.mine(SWEPT_BLOCKS);
  }
  const scene = sceneOf(alice, null);
  const made = attempt(scene, name);
  if (made === null) throw new Error(`nothing to do ${name} with`);
  let paidSat = 250_000n;
  let paysAfter = name === 'foreign-sweep';
  if (!paysAfter) {
    paysAfter = alice.desk.sent.has(await pay(world, alice, mallory, 10_000n));
    if (paysAfter) paidSat += 10_000n;
    await world.forceClose(alice, channel);
    await world.mine(SWEPT_BLOCKS);
  }
  return resultOf(alice, made, richSat - paidSat, paysAfter);
}

async function attackHub(world: SmallWorld, name: AttackName): Promise<HostileResult> {
  const settings = { announce: true };
  const a = await world.start({ name: 'a', signer: 'own', settings });
  const s = await world.start({ name: 's', signer: 'countersign', settings });
  const c = await world.start({ name: 'c', signer: 'own', settings });
  for (const node of [a, s]) await world.fund(node, 2_000_000n, 2);
  world.connect(a, s);
  world.connect(s, c);
  await world.settle();
  const richSat = s.keys.wallet.balanceSat();
  await world.open(a, s, CHANNEL_SAT);
  await world.open(s, c, CHANNEL_SAT);
  await pay(world, a, c, 200_000n);
  c.desk.holdsAll = true;
  const held = await pay(world, a, c, 100_000n);
  const made = attempt(sceneOf(s, a), name);
  if (made === null) throw new Error(`nothing to do ${name} with`);
  c.desk.claim(held);
  await world.settle();
  const paysAfter = a.desk.sent.has(held);
  for (const channel of s.manager.list_channels()) await world.forceClose(s, channel);
  await world.mine(SWEPT_BLOCKS);
  // What went out to c came in from a.
  return resultOf(s, made, richSat, paysAfter);
}

/** The channel that is attacked is the one opened last. */
function sceneOf(node: LightningNode, upstream: LightningNode | null): Scene {
  const keys = SmallWorld.countersign(node);
  const channels = keys.recorder.channels();
  const channel = channels.at(-1);
  if (channel === undefined) throw new Error('no channel to attack');
  return { keys, channel, upstream: upstream === null ? null : (channels[0] ?? null) };
}

function resultOf(
  owner: LightningNode,
  { attack, ask, refusal }: NonNullable<ReturnType<typeof attempt>>,
  expectedSat: bigint,
  paysAfter: boolean,
): HostileResult {
  return {
    attack: attack.name,
    tag: refusal?.tag ?? null,
    text: refusal?.text ?? null,
    haulSat: String(ask.haulSat),
    expectedSat: String(expectedSat),
    ownedSat: String(owner.keys.wallet.balanceSat()),
    attackerSat: String(owner.chain.balanceSat(ATTACKER_SCRIPT)),
    paysAfter,
  };
}
