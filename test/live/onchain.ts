/** What happens on chain after a close. Promises that the sweeps of both nodes are mined step by step until lightningd has
 *  nothing left to do for the channel. */
import { find, listAt, textAt } from './json-value.ts';
import type { Lightningd } from './lightningd.ts';
import { sleep } from './wait.ts';

/** Blocks from the first sweep to the last one on regtest: HTLC expiry, to_self_delay 6, and lightningd's own 100 before it
 *  forgets a channel. */
const BLOCKS_MAX = 260;
const STEP_BLOCKS_AFTER_SWEEPS = 20;
/** How long lightningd may take to broadcast after a block before the next one is mined. */
const SETTLE_MS = 120;

async function openStates(node: Lightningd): Promise<string[]> {
  const channels = listAt(await node.call('listpeerchannels'), 'channels');
  return channels.map((one) => textAt(one, 'state'));
}

/** Whether every channel of the node only waits until its last sweep is deep enough to be forgotten. */
async function onlyForgetting(node: Lightningd): Promise<boolean> {
  const channels = listAt(await node.call('listpeerchannels'), 'channels');
  return channels.every((one) => {
    const status = find(one, 'status', -1);
    return typeof status === 'string' && /All outputs resolved/.test(status);
  });
}

/** Mines until every channel of these nodes is closed and forgotten; one block at a time while outputs are unresolved. */
export async function sweepToTheEnd(nodes: Lightningd[]): Promise<void> {
  const bitcoind = nodes[0]!.settings.bitcoind;
  let mined = 0;
  let states: string[] = [];
  while (mined < BLOCKS_MAX) {
    states = (await Promise.all(nodes.map(openStates))).flat();
    if (states.length === 0) return;
    const resolved = (await Promise.all(nodes.map(onlyForgetting))).every((one) => one);
    const blocks = resolved ? STEP_BLOCKS_AFTER_SWEEPS : 1;
    await bitcoind.mine(blocks);
    mined += blocks;
    for (const node of nodes) await node.waitForHeight();
    await sleep(SETTLE_MS);
  }
  throw new Error(`after ${mined} blocks channels are still ${states.join(', ')}`);
}

/** Confirmed coins of the wallet, in sat. */
export async function walletSat(node: Lightningd): Promise<number> {
  const outputs = listAt(await node.call('listfunds'), 'outputs');
  const confirmed = outputs.filter((one) => find(one, 'status') === 'confirmed');
  return confirmed.reduce<number>((sum, one) => sum + Number(find(one, 'amount_msat')) / 1000, 0);
}
