/**
 * Two LDK nodes in one process. Alice's keys are in a Countersign signer: a channel opens, she pays and is paid, her node is taken
 * over and tries to steal, and the channel is closed. `npm run example:ldk`.
 */
import { attempt, createInvoice, type LightningNode, payInvoice, SmallWorld } from '@countersign/playground';

/** What Alice lets out without being asked, and no more. */
const CONFIGURATION = `
[policy]
preset = "hub"

[approvals]
auto = "velocity"
auto_payment_velocity = { amount_sat = 350_000, per = "day" }
`;

async function pay(
  world: SmallWorld,
  payer: LightningNode,
  payee: LightningNode,
  sat: bigint,
): Promise<void> {
  const { text } = createInvoice(payee, { amountMsat: 1000n * sat });
  const { sent } = payInvoice(payer, text);
  await world.settle();
  console.log(`  ${payer.name} pays ${payee.name} ${sat} sat: ${sent ? 'done' : 'declined by the signer'}`);
}

const world = await SmallWorld.create('an example');
try {
  const alice = await world.start({ name: 'Alice', signer: 'countersign', configuration: CONFIGURATION });
  const bob = await world.start({ name: 'Bob', signer: 'own' });
  await world.fund(alice, 2_000_000n);
  world.connect(alice, bob);
  await world.settle();
  const channel = await world.open(alice, bob, 1_000_000n);
  console.log('A channel of 1,000,000 sat is open.');
  await pay(world, alice, bob, 300_000n);
  await pay(world, bob, alice, 50_000n);
  await pay(world, alice, bob, 200_000n);

  console.log('Alice’s node is taken over, and tries to');
  const keys = SmallWorld.countersign(alice);
  const [name] = keys.recorder.channels();
  if (name === undefined) throw new Error('no channel');
  for (const theft of [
    'old-state',
    'early-secret',
    'unapproved-payment',
    'foreign-close',
    'withdraw',
  ] as const) {
    const made = attempt({ keys, channel: name, upstream: null }, theft);
    if (made === null) continue;
    if (made.refusal === null) throw new Error(`signed: ${theft}`);
    console.log(`  - ${made.attack.title}\n    refused by ${made.refusal.tag}`);
  }

  await world.closeCooperatively(alice, channel);
  await world.mine(8);
  console.log(`The channel is closed. Alice has ${alice.keys.wallet.balanceSat()} sat on chain.`);
} finally {
  await world.close();
}
