/** Scenarios about closing: together, alone with HTLCs pending, with an anchor that pays the fee, and against a cheater. */

import { deepEqual, equal, ok, rejects } from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Bitcoind } from '../bitcoind.ts';
import {
  channelWith,
  fundWallet,
  openChannel,
  scidOf,
  waitForConnection,
  waitForState,
} from '../channels.ts';
import { find, type JsonValue, listAt, textAt } from '../json-value.ts';
import type { Lightningd } from '../lightningd.ts';
import { sweepToTheEnd, walletSat } from '../onchain.ts';
import { type Invoice, invoice, pay, paymentStatus, send, waitHeld } from '../payments.ts';
import { LostError, RpcError } from '../rpc.ts';
import type { Scenario } from '../scenario.ts';
import { expectWell, withSigner } from '../signer-view.ts';
import { TimeoutError, until } from '../wait.ts';
import type { World } from '../world.ts';

async function funded(world: World, holds: boolean): Promise<[Lightningd, Lightningd, string]> {
  const [l1, l2] = await world.pair({ holds }, { holds });
  await Promise.all([fundWallet(l1, 2_000_000, 2), fundWallet(l2, 1_000_000, 2)]);
  const funding_txid = await openChannel(l1, l2, { push_sat: 400_000 });
  return [l1, l2, funding_txid];
}

async function allow(node: Lightningd, address: string): Promise<void> {
  if (node.settings.hsmd.kind === 'stock') return;
  await withSigner(node, (client) => client.ask({ op: 'allowlist-add', kind: null, text: address }));
}

const mutual: Scenario = {
  name: 'close-mutual',
  about:
    'mutual close by the opener, then by the other side, then to a foreign address; all forgotten at the end',
  run: async (world) => {
    const [l1, l2] = await funded(world, false);
    const foreign = 'bcrt1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqc8gma6';
    const closings: [Lightningd, Lightningd, { [name: string]: JsonValue }][] = [
      [l1, l2, {}],
      [l2, l1, {}],
      [l1, l2, { destination: foreign }],
      [l1, l2, { feerange: ['1000perkb', '5000perkb'] }],
    ];
    // As an operator who closes to somebody else's address: it is put on the allowlist before.
    await allow(l1, foreign);
    for (const [i, [closer, peer, params]] of closings.entries()) {
      if (i > 0) await openChannel(l1, l2, { amount_sat: 400_000, push_sat: 150_000 });
      await pay(l1, l2, 30_000_000);
      const closed = await closer.call('close', { id: peer.id, ...params });
      equal(textAt(closed, 'type'), 'mutual');
      ok((await world.bitcoind.mempoolOf(1)).includes(textAt(closed, 'txids', 0)));
      await world.bitcoind.mine(1);
      for (const node of [l1, l2]) await node.waitForHeight();
      await waitForState(l1, l2, /^ONCHAIN$/);
      await waitForState(l2, l1, /^ONCHAIN$/);
    }
    await sweepToTheEnd([l1, l2]);
    for (const node of [l1, l2])
      await expectWell(
        node,
        closings.map(() => 'mutual'),
      );
  },
};

const simple: Scenario = {
  name: 'close-simple',
  about: 'option_simple_close: each side signs its own closing transaction',
  unless: (features) =>
    /simple_close/.test(features) ? undefined : 'this lightningd has no option_simple_close',
  run: async (world) => {
    const [l1, l2] = await funded(world, false);
    await pay(l1, l2, 30_000_000);
    equal(textAt(await l1.call('close', { id: l2.id }), 'type'), 'mutual');
    await world.bitcoind.mempoolOf(1);
    await world.bitcoind.mine(1);
    await sweepToTheEnd([l1, l2]);
    for (const node of [l1, l2]) await expectWell(node, ['mutual']);
  },
};

interface Pending {
  readonly timeout: Invoice;
  readonly success: Invoice;
}

/** Two HTLCs that the payee holds: one that will time out, one that will be claimed with its preimage. */
export async function pend(payer: Lightningd, payee: Lightningd, scid: string): Promise<Pending> {
  const timeout = await invoice(payee, 20_000_000);
  const success = await invoice(payee, 30_000_000);
  await payee.call('live-hold-on');
  for (const due of [timeout, success]) await send(payer, [{ node: payee, scid }], due);
  await waitHeld(payee, 2);
  return { timeout, success };
}

function unilateral(name: string, about: string, closes: 'opener' | 'peer'): Scenario {
  return {
    name,
    about,
    run: async (world, note) => {
      const [l1, l2, funding_txid] = await funded(world, true);
      const scid = await scidOf(l1, l2);
      await pay(l1, l2, 10_000_000);
      await pay(l2, l1, 10_000_000);
      const from_l1 = await pend(l1, l2, scid);
      const from_l2 = await pend(l2, l1, scid);
      const before = (await walletSat(l1)) + (await walletSat(l2));
      const [closer, other] = closes === 'opener' ? [l1, l2] : [l2, l1];
      const closed = await closer.call('close', { id: other.id, unilateraltimeout: 1 });
      equal(textAt(closed, 'type'), 'unilateral');
      const commitment = await until('the commitment in the mempool', 20_000, async () => {
        for (const txid of await world.bitcoind.mempool()) {
          if (await world.bitcoind.spends(txid, funding_txid)) return txid;
        }
        return undefined;
      });
      await world.bitcoind.mineOnly([commitment]);
      await waitForState(l1, l2, /^ONCHAIN$/);
      await waitForState(l2, l1, /^ONCHAIN$/);
      await l2.call('live-release', { payment_hash: from_l1.success.payment_hash });
      await l1.call('live-release', { payment_hash: from_l2.success.payment_hash });
      await sweepToTheEnd([l1, l2]);
      for (const [payer, pending] of [
        [l1, from_l1],
        [l2, from_l2],
      ] as const) {
        equal(await paymentStatus(payer, pending.success.payment_hash), 'complete');
        equal(await paymentStatus(payer, pending.timeout.payment_hash), 'failed');
      }
      const fees = before + 1_000_000 - (await walletSat(l1)) - (await walletSat(l2));
      ok(fees > 0 && fees < 60_000, `fees and dust of all sweeps are ${fees} sat`);
      note(`fees ${fees} sat`);
      await expectWell(closer, ['holder']);
      await expectWell(other, ['counterparty']);
    },
  };
}

/** The fee of the mempool's transaction that spends the unconfirmed commitment, if it is higher. */
async function anchorSpendFee(bitcoind: Bitcoind, than_sat: number): Promise<number | undefined> {
  try {
    for (const child of await bitcoind.mempool()) {
      const entry = await bitcoind.entry(child);
      // An anchor alone can't pay a fee: the child has a wallet coin too, which may be the funding transaction's change.
      const inputs = listAt(await bitcoind.transaction(child), 'vin').length;
      if (inputs > 1 && entry.ancestor_vsize > entry.vsize && entry.fee_sat > than_sat) return entry.fee_sat;
    }
  } catch (error) {
    // Replaced between two of the questions.
    if (!(error instanceof RpcError)) throw error;
  }
  return undefined;
}

const cpfp: Scenario = {
  name: 'anchor-cpfp',
  about: 'a commitment at a low fee rate is boosted through its anchor, and again after the fee rate rose',
  run: async (world, note) => {
    const [l1, l2] = await world.pair({}, { holds: true });
    for (const node of [l1, l2]) node.setFeerate(1_100);
    await fundWallet(l1, 2_000_000, 6);
    await openChannel(l1, l2, { push_sat: 400_000 });
    await l2.call('live-hold-on');
    const due = await invoice(l2, 100_000_000);
    await send(l1, [{ node: l2, scid: await scidOf(l1, l2) }], due);
    await waitHeld(l2, 1);
    await l2.stop();
    l1.setFeerate(20_000);
    await until('the new fee rate', 20_000, async () => {
      return (
        Number(find(await l1.call('feerates', { style: 'perkb' }), 'perkb', 'estimates', 0, 'feerate')) >
        15_000
      );
    });
    await l1.call('close', { id: l2.id, unilateraltimeout: 1 });
    const boost = (than_sat: number): Promise<number> => {
      return until(`an anchor spend that pays more than ${than_sat} sat`, 30_000, () => {
        return anchorSpendFee(world.bitcoind, than_sat);
      });
    };
    const first_sat = await boost(0);
    l1.setFeerate(60_000);
    await until('the higher fee rate', 20_000, async () => {
      return (
        Number(find(await l1.call('feerates', { style: 'perkb' }), 'perkb', 'estimates', 0, 'feerate')) >
        50_000
      );
    });
    // An empty block: lightningd looks at its anchor spends again, and the package stays unconfirmed.
    await world.bitcoind.mineOnly([]);
    const second_sat = await boost(first_sat);
    note(`child pays ${first_sat} sat, then ${second_sat} sat`);
    await sweepToTheEnd([l1]);
    equal(await paymentStatus(l1, due.payment_hash), 'failed');
    await expectWell(l1, ['holder']);
  },
};

export function databasePath(node: Lightningd): string {
  return join(node.settings.directory, 'regtest', 'lightningd.sqlite3');
}

/** Payments after which the database from before them is an old state of the channel. */
export async function moveOn(l1: Lightningd, l2: Lightningd): Promise<void> {
  for (let i = 0; i < 3; i++) {
    await pay(l1, l2, 40_000_000);
    await pay(l2, l1, 5_000_000);
  }
}

const breach: Scenario = {
  name: 'breach',
  about: 'the peer publishes a revoked commitment: Countersign signs the penalty and takes everything',
  run: async (world) => {
    const [l1, l2] = await world.pair({}, { hsmd: 'cheater' });
    await fundWallet(l1, 2_000_000, 2);
    await openChannel(l1, l2, { push_sat: 400_000 });
    await pay(l1, l2, 10_000_000);
    await l2.stop();
    copyFileSync(databasePath(l2), join(l2.settings.directory, 'old.sqlite3'));
    await l2.start();
    await waitForConnection(l1, l2);
    await moveOn(l1, l2);
    await l2.stop();
    copyFileSync(join(l2.settings.directory, 'old.sqlite3'), databasePath(l2));
    await l2.start('polling', ['--offline']);
    const channel = find(await l2.call('listpeerchannels'), 'channels', -1, 'channel_id');
    const cheat = textAt(await l2.call('dev-sign-last-tx', { id: l1.id }), 'tx');
    ok(channel !== undefined);
    await l2.stop();
    await world.bitcoind.mineOnly([cheat]);
    await waitForState(l1, l2, /^ONCHAIN$/);
    await l1.waitForLog(/Tracking|CHEAT|penalty/i);
    await sweepToTheEnd([l1]);
    const total = await walletSat(l1);
    // The peer's delay is some blocks here, which is an urgent deadline for the signer's own penalty.
    ok(total > 3_850_000, `${total} sat after the penalty`);
    // The alarm ends when no reorg that the policy allows could take the penalty back.
    await world.bitcoind.mine(60);
    await expectWell(l1, ['counterparty-revoked']);
  },
};

/**
 * lightningd may hang up on the stale reestablish before it has read that it shall close (with any signer). Its
 * operator, asked by the other, then closes by hand.
 */
async function closeWhenAsked(node: Lightningd, peer: Lightningd): Promise<void> {
  const state = async () => textAt(await channelWith(node, peer), 'state');
  const isClosing = async () => (await state()) === 'AWAITING_UNILATERAL';
  await until(`${node.name} to close by itself`, 3000, isClosing).catch(async (error: unknown) => {
    if (!(error instanceof TimeoutError)) throw error;
    await node.call('close', { id: peer.id, unilateraltimeout: 1 });
  });
  await waitForState(node, peer, /^AWAITING_UNILATERAL$/);
}

const stale: Scenario = {
  name: 'stale-database',
  about: 'the node comes back with an old database: it asks its peer to close and sweeps what is its own',
  run: async (world) => {
    const [l1, l2] = await world.pair();
    await fundWallet(l1, 2_000_000, 2);
    await openChannel(l1, l2, { push_sat: 400_000 });
    await l1.stop();
    copyFileSync(databasePath(l1), join(l1.settings.directory, 'old.sqlite3'));
    await l1.start();
    await waitForConnection(l1, l2);
    await moveOn(l1, l2);
    await l1.stop();
    copyFileSync(join(l1.settings.directory, 'old.sqlite3'), databasePath(l1));
    await l1.start();
    await waitForState(l1, l2, /^AWAITING_UNILATERAL$/);
    await closeWhenAsked(l2, l1);
    await world.bitcoind.mempoolOf(1);
    const before = await walletSat(l1);
    await sweepToTheEnd([l1, l2]);
    ok((await walletSat(l1)) > before + 450_000);
    await expectWell(l1, ['counterparty']);
    await expectWell(l2, ['holder']);
  },
};

const staleClose: Scenario = {
  name: 'stale-close-refused',
  about:
    'a node with an old database wants to publish a revoked commitment: refused; with its own database all goes on',
  unless: (_features, signers) => {
    return signers === 'none' ? 'the stock hsmd signs the revoked commitment' : undefined;
  },
  run: async (world) => {
    const [l1, l2] = await world.pair();
    await fundWallet(l1, 2_000_000, 2);
    await openChannel(l1, l2, { push_sat: 400_000 });
    const old = join(l1.settings.directory, 'old.sqlite3');
    const newest = join(l1.settings.directory, 'newest.sqlite3');
    await l1.stop();
    copyFileSync(databasePath(l1), old);
    await l1.start();
    await waitForConnection(l1, l2);
    await moveOn(l1, l2);
    await l1.stop();
    copyFileSync(databasePath(l1), newest);
    copyFileSync(old, databasePath(l1));
    await l1.start('polling', ['--offline']);
    await rejects(l1.call('dev-sign-last-tx', { id: l2.id }), LostError);
    await l1.waitForEnd(10_000);
    await l1.waitForLog(/HSM gave bad sign_commitment_tx_reply 0bb8/);
    deepEqual(await world.bitcoind.mempool(), []);
    copyFileSync(newest, databasePath(l1));
    await l1.start();
    await waitForConnection(l1, l2);
    await pay(l1, l2, 5_000_000);
    await pay(l2, l1, 5_000_000);
    for (const node of [l1, l2]) await expectWell(node, []);
  },
};

export const CLOSING: Scenario[] = [
  mutual,
  simple,
  unilateral(
    'unilateral-own',
    'own commitment with HTLCs both ways, claimed and timed out, swept to the end',
    'opener',
  ),
  unilateral('unilateral-peer', 'the same, with the peer’s commitment on chain', 'peer'),
  cpfp,
  breach,
  stale,
  staleClose,
];
