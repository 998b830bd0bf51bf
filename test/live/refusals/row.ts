/** What a row of the refusal table is, and the ways to make lightningd or one of its daemons ask a request. */
import { channelWith, connect, fundWallet, openChannel, scidOf } from '../channels.ts';
import { type JsonValue, textAt } from '../json-value.ts';
import type { Lightningd } from '../lightningd.ts';
import { type Invoice, invoice, send, waitHeld } from '../payments.ts';
import { RpcError } from '../rpc.ts';
import { sleep } from '../wait.ts';
import type { NodeWishes, World } from '../world.ts';

const COMMAND_TIMEOUT_MS = 12_000;

export interface Stage {
  readonly world: World;
  /** The node whose hsmd refuses. */
  readonly l1: Lightningd;
  readonly l2: Lightningd;
}

export interface Row {
  readonly message: number;
  readonly name: string;
  /** The process that asks. */
  readonly asker: string;
  readonly when: string;
  readonly wishes?: { readonly l1?: NodeWishes; readonly l2?: NodeWishes };
  /** From two fresh nodes to the refused request. Gives what the operator's command says, or undefined without a command. */
  readonly act: (stage: Stage) => Promise<string | undefined>;
}

/** How a command ended, in words. */
export async function outcome(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return 'succeeds';
  } catch (error) {
    if (error instanceof RpcError) return error.message;
    return error instanceof Error ? error.message : String(error);
  }
}

/** Runs one command of `l1` while the message is refused. */
export function refusedCommand(
  message: number,
  method: string,
  prepare: (stage: Stage) => Promise<{ [name: string]: JsonValue }>,
): Row['act'] {
  return async (stage) => {
    const params = await prepare(stage);
    stage.l1.refuse(message);
    return outcome(stage.l1.call(method, params, COMMAND_TIMEOUT_MS));
  };
}

/** A public channel between two nodes with coins, 0.6 of it on l1's side; not deep enough yet to be announced. */
export async function channel({ l1, l2 }: Stage): Promise<void> {
  await fundWallet(l1, 2_000_000, 4);
  await openChannel(l1, l2, { push_sat: 400_000 });
}

/** A channel open while the message is refused: l1 opens it, or accepts it. */
export function whenOpening(message: number, side: 'opens' | 'accepts'): Row['act'] {
  return async ({ l1, l2 }) => {
    const [opener, peer] = side === 'opens' ? [l1, l2] : [l2, l1];
    await fundWallet(opener, 1_000_000);
    await connect(l1, l2);
    l1.refuse(message);
    return outcome(opener.call('fundchannel', { id: peer.id, amount: 500_000 }, COMMAND_TIMEOUT_MS));
  };
}

/** The open's confirmation while the message is refused. */
export function whenConfirming(message: number): Row['act'] {
  return async ({ world, l1, l2 }) => {
    await fundWallet(l1, 1_000_000);
    await connect(l1, l2);
    await l1.call('fundchannel', { id: l2.id, amount: 500_000 });
    l1.refuse(message);
    await world.bitcoind.mempoolOf(1);
    await world.bitcoind.mine(1);
    await waitRefused(l1);
    return undefined;
  };
}

async function sendOne(payer: Lightningd, payee: Lightningd, amount_msat: number): Promise<Invoice> {
  const due = await invoice(payee, amount_msat);
  await send(payer, [{ node: payee, scid: await scidOf(payer, payee) }], due);
  return due;
}

/** A payment while the message is refused, by l1 or to it. */
export function whenPaying(message: number, side: 'pays' | 'receives'): Row['act'] {
  return async (stage) => {
    const { l1, l2 } = stage;
    await channel(stage);
    l1.refuse(message);
    const [payer, payee] = side === 'pays' ? [l1, l2] : [l2, l1];
    const due = await sendOne(payer, payee, 50_000_000);
    return outcome(
      payer.call('waitsendpay', { payment_hash: due.payment_hash, timeout: 5 }, COMMAND_TIMEOUT_MS),
    );
  };
}

export async function pendingHtlc(stage: Stage): Promise<void> {
  await channel(stage);
  await stage.l2.call('live-hold-on');
  await sendOne(stage.l1, stage.l2, 50_000_000);
  await waitHeld(stage.l2, 1);
}

/** Mines until the request has come and was refused. */
async function mineUntilRefused({ world, l1 }: Stage): Promise<void> {
  for (let i = 0; i < 40 && l1.refusals() === 0 && l1.ended === undefined; i++) {
    await world.bitcoind.mine(1);
    await sleep(200);
  }
}

/** l1's own commitment, or its peer's, on chain with an HTLC from l1 pending, while the message is refused. */
export function whenOnchain(message: number, whose: 'own' | 'peer'): Row['act'] {
  return async (stage) => {
    const { l1, l2, world } = stage;
    await pendingHtlc(stage);
    const [closer, other] = whose === 'own' ? [l1, l2] : [l2, l1];
    await closer.call('close', { id: other.id, unilateraltimeout: 1 });
    await world.bitcoind.mempoolOf(1);
    l1.refuse(message);
    await mineUntilRefused(stage);
    return undefined;
  };
}

export function whenSplicing(message: number): Row['act'] {
  return async (stage) => {
    const { l1, l2, world } = stage;
    await channel(stage);
    await world.bitcoind.mine(6);
    await Promise.all([l1.waitForHeight(), l2.waitForHeight()]);
    const channel_id = textAt(await channelWith(l1, l2), 'channel_id');
    l1.refuse(message);
    return outcome(l1.call('splicein', { channel: channel_id, amount: '100000' }, COMMAND_TIMEOUT_MS));
  };
}

/** Waits a while for the refusal, or for the node's end. */
export async function waitRefused(l1: Lightningd): Promise<void> {
  for (let i = 0; i < 200 && l1.refusals() === 0 && l1.ended === undefined; i++) await sleep(25);
}

/** A restart of l1 while the message is refused. */
export function whenStarting(message: number): Row['act'] {
  return async ({ l1 }) => {
    await l1.stop();
    l1.refuse(message);
    return outcome(l1.start());
  };
}
