/** The rows of the refusal table: what lightningd asks by itself, what its daemons ask, what it asks about the chain. */
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, fundWallet, openChannel, waitForConnection } from '../channels.ts';
import { find, textAt } from '../json-value.ts';
import type { Lightningd } from '../lightningd.ts';
import { invoice, newLabel, pay } from '../payments.ts';
import { sleep, until } from '../wait.ts';
import {
  channel,
  outcome,
  pendingHtlc,
  type Row,
  refusedCommand,
  type Stage,
  waitRefused,
  whenConfirming,
  whenOnchain,
  whenOpening,
  whenPaying,
  whenSplicing,
  whenStarting,
} from './row.ts';

const FOREIGN = 'bcrt1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqc8gma6';
const DUAL = { options: ['--experimental-dual-fund'] };
const SPLICE = { options: ['--experimental-splicing'] };
const NO_ANCHORS = { options: ['--dev-force-features=-23'] };
const NO_CHECK = { options: ['--dev-hsmd-no-preapprove-check'] };
const SELLER = {
  options: [
    '--experimental-dual-fund',
    '--funder-policy=match',
    '--funder-policy-mod=100',
    '--lease-fee-base-sat=100sat',
    '--lease-fee-basis=100',
  ],
};
const HOLDS = { holds: true };

const none = async (): Promise<Record<string, never>> => ({});

async function coins({ l1 }: Stage): Promise<void> {
  await fundWallet(l1, 1_000_000);
}

const STARTING: Row[] = [
  { message: 11, name: 'init', asker: 'lightningd', when: 'start', act: whenStarting(11) },
  { message: 27, name: 'derive_secret', asker: 'lightningd', when: 'start', act: whenStarting(27) },
  { message: 9, name: 'client_hsmfd', asker: 'lightningd', when: 'start', act: whenStarting(9) },
  { message: 56, name: 'check_bip86_pubkey', asker: 'lightningd', when: 'start', act: whenStarting(56) },
  {
    message: 28,
    name: 'check_pubkey',
    asker: 'lightningd',
    when: '`newaddr` of a node with a 32-byte secret',
    wishes: { l1: { secret: 'plain' } },
    act: refusedCommand(28, 'newaddr', none),
  },
];

const COMMANDS: Row[] = [
  {
    message: 7,
    name: 'sign_withdrawal',
    asker: 'lightningd',
    when: '`withdraw`',
    act: refusedCommand(7, 'withdraw', async (stage) => {
      await coins(stage);
      return { destination: FOREIGN, satoshi: 'all' };
    }),
  },
  {
    message: 7,
    name: 'sign_withdrawal',
    asker: 'lightningd',
    when: '`fundchannel`',
    act: whenOpening(7, 'opens'),
  },
  {
    message: 7,
    name: 'sign_withdrawal',
    asker: 'lightningd',
    when: '`signpsbt`',
    act: refusedCommand(7, 'signpsbt', async (stage) => {
      await coins(stage);
      const params = { satoshi: 'all', feerate: '2000perkb', startweight: 400 };
      return { psbt: textAt(await stage.l1.call('fundpsbt', params), 'psbt') };
    }),
  },
  {
    message: 8,
    name: 'sign_invoice',
    asker: 'lightningd',
    when: '`invoice`',
    act: refusedCommand(8, 'invoice', async () => ({
      amount_msat: 1,
      label: newLabel(),
      description: 'live',
    })),
  },
  {
    message: 23,
    name: 'sign_message',
    asker: 'lightningd',
    when: '`signmessage`',
    act: refusedCommand(23, 'signmessage', async () => ({ message: 'live' })),
  },
  {
    message: 45,
    name: 'bip137_sign_message',
    asker: 'lightningd',
    when: '`signmessagewithkey`',
    act: refusedCommand(45, 'signmessagewithkey', async ({ l1, world }) => {
      const address = textAt(await l1.call('newaddr', { addresstype: 'bech32' }), 'bech32');
      await world.bitcoind.fund([address], 100_000);
      await l1.waitForHeight();
      return { message: 'live', address };
    }),
  },
  {
    message: 27,
    name: 'derive_secret',
    asker: 'lightningd',
    when: '`makesecret`',
    act: refusedCommand(27, 'makesecret', async () => ({ string: 'live' })),
  },
  {
    message: 56,
    name: 'check_bip86_pubkey',
    asker: 'lightningd',
    when: '`newaddr`',
    act: refusedCommand(56, 'newaddr', none),
  },
  {
    message: 51,
    name: 'preapprove_invoice_check',
    asker: 'lightningd',
    when: '`xpay`',
    act: refusedCommand(51, 'xpay', async (stage) => {
      await channel(stage);
      return { invstring: (await invoice(stage.l2, 1000)).bolt11 };
    }),
  },
  {
    message: 52,
    name: 'preapprove_keysend_check',
    asker: 'lightningd',
    when: '`keysend`',
    act: refusedCommand(52, 'keysend', async (stage) => {
      await channel(stage);
      return { destination: stage.l2.id, amount_msat: 1000 };
    }),
  },
  {
    message: 38,
    name: 'preapprove_invoice',
    asker: 'lightningd',
    when: '`xpay`, when 51 is not among the capabilities',
    wishes: { l1: NO_CHECK },
    act: refusedCommand(38, 'xpay', async (stage) => {
      await channel(stage);
      return { invstring: (await invoice(stage.l2, 1000)).bolt11 };
    }),
  },
  {
    message: 39,
    name: 'preapprove_keysend',
    asker: 'lightningd',
    when: '`keysend`, when 52 is not among the capabilities',
    wishes: { l1: NO_CHECK },
    act: refusedCommand(39, 'keysend', async (stage) => {
      await channel(stage);
      return { destination: stage.l2.id, amount_msat: 1000 };
    }),
  },
  {
    message: 41,
    name: 'sign_bolt12_2',
    asker: 'lightningd',
    when: '`fetchinvoice` (the request is signed)',
    act: refusedCommand(41, 'fetchinvoice', async (stage) => {
      await channel(stage);
      const offer = await stage.l2.call('offer', { amount: 'any', description: 'live', label: newLabel() });
      return { offer: textAt(offer, 'bolt12'), amount_msat: 1000 };
    }),
  },
  {
    message: 25,
    name: 'sign_bolt12',
    asker: 'lightningd',
    when: 'a peer’s `fetchinvoice` (the invoice is signed)',
    act: async (stage) => {
      await channel(stage);
      const offer = await stage.l1.call('offer', { amount: 'any', description: 'live', label: newLabel() });
      stage.l1.refuse(25);
      const params = { offer: textAt(offer, 'bolt12'), amount_msat: 1000, timeout: 5 };
      return outcome(stage.l2.call('fetchinvoice', params));
    },
  },
  {
    message: 33,
    name: 'dev_memleak',
    asker: 'lightningd',
    when: '`dev-memleak`',
    wishes: { l1: { environment: { LIGHTNINGD_DEV_MEMLEAK: '1' } } },
    act: refusedCommand(33, 'dev-memleak', none),
  },
];

const GOSSIP: Row[] = [
  {
    message: 3,
    name: 'cupdate_sig',
    asker: 'lightningd',
    when: '`setchannel`',
    act: refusedCommand(3, 'setchannel', async (stage) => {
      await fundWallet(stage.l1, 2_000_000);
      await openChannel(stage.l1, stage.l2, { announced: true });
      return { id: stage.l2.id, feebase: 7 };
    }),
  },
  ...([4, 6] as const).map(
    (message): Row => ({
      message,
      name: message === 4 ? 'sign_any_cannouncement' : 'node_announcement_sig',
      asker: 'lightningd',
      when: 'a channel becomes six blocks deep',
      act: async (stage) => {
        await channel(stage);
        stage.l1.refuse(message);
        await stage.world.bitcoind.mine(6);
        await waitRefused(stage.l1);
        return undefined;
      },
    }),
  ),
];

const CONNECTING: Row[] = [
  {
    message: 1,
    name: 'ecdh',
    asker: 'connectd',
    when: '`connect`',
    act: refusedCommand(1, 'connect', async ({ l2 }) => ({ id: l2.id, host: '127.0.0.1', port: l2.port })),
  },
  {
    message: 1,
    name: 'ecdh',
    asker: 'connectd',
    when: 'a peer connects',
    act: async ({ l1, l2 }) => {
      l1.refuse(1);
      return outcome(l2.call('connect', { id: l1.id, host: '127.0.0.1', port: l1.port }));
    },
  },
  { message: 1, name: 'ecdh', asker: 'lightningd', when: 'an HTLC arrives', act: whenPaying(1, 'receives') },
];

function opening(message: number, name: string, asker = 'openingd'): Row[] {
  return [
    { message, name, asker, when: 'l1 opens', act: whenOpening(message, 'opens') },
    { message, name, asker, when: 'l1 accepts', act: whenOpening(message, 'accepts') },
  ];
}

const OPENING: Row[] = [
  ...opening(30, 'new_channel', 'lightningd'),
  ...opening(10, 'get_channel_basepoints', 'lightningd'),
  { message: 9, name: 'client_hsmfd', asker: 'lightningd', when: 'l1 opens', act: whenOpening(9, 'opens') },
  ...opening(18, 'get_per_commitment_point'),
  ...opening(31, 'setup_channel'),
  ...opening(19, 'sign_remote_commitment_tx'),
  ...opening(35, 'validate_commitment_tx'),
  {
    message: 32,
    name: 'check_outpoint',
    asker: 'channeld',
    when: 'the funding confirms',
    act: whenConfirming(32),
  },
  {
    message: 37,
    name: 'lock_outpoint',
    asker: 'channeld',
    when: 'the funding confirms',
    act: whenConfirming(37),
  },
  ...[
    [31, 'setup_channel'] as const,
    [19, 'sign_remote_commitment_tx'] as const,
    [35, 'validate_commitment_tx'] as const,
  ].map(
    ([message, name]): Row => ({
      message,
      name,
      asker: 'dualopend',
      when: 'l1 opens, dual-funded',
      wishes: { l1: DUAL, l2: DUAL },
      act: whenOpening(message, 'opens'),
    }),
  ),
  {
    message: 26,
    name: 'sign_option_will_fund_offer',
    asker: 'dualopend',
    when: 'a peer leases liquidity from l1',
    wishes: { l1: SELLER, l2: DUAL },
    act: async ({ l1, l2 }) => {
      await Promise.all([fundWallet(l1, 2_000_000), fundWallet(l2, 2_000_000)]);
      await connect(l2, l1);
      l1.refuse(26);
      const params = { id: l1.id, amount: 500_000, request_amt: 500_000 };
      return outcome(l2.call('dev-queryrates', params, 12_000));
    },
  },
];

const PAYING: Row[] = [
  {
    message: 19,
    name: 'sign_remote_commitment_tx',
    asker: 'channeld',
    when: 'l1 pays',
    act: whenPaying(19, 'pays'),
  },
  {
    message: 19,
    name: 'sign_remote_commitment_tx',
    asker: 'channeld',
    when: 'l1 receives',
    act: whenPaying(19, 'receives'),
  },
  {
    message: 20,
    name: 'sign_remote_htlc_tx',
    asker: 'channeld',
    when: 'l1 pays',
    act: whenPaying(20, 'pays'),
  },
  {
    message: 35,
    name: 'validate_commitment_tx',
    asker: 'channeld',
    when: 'l1 pays',
    act: whenPaying(35, 'pays'),
  },
  {
    message: 40,
    name: 'revoke_commitment_tx',
    asker: 'channeld',
    when: 'l1 pays',
    act: whenPaying(40, 'pays'),
  },
  {
    message: 36,
    name: 'validate_revocation',
    asker: 'channeld',
    when: 'l1 pays',
    act: whenPaying(36, 'pays'),
  },
  {
    message: 14,
    name: 'sign_penalty_to_us',
    asker: 'channeld',
    when: 'l1 pays',
    act: whenPaying(14, 'pays'),
  },
  {
    message: 29,
    name: 'sign_splice_tx',
    asker: 'channeld',
    when: '`splicein`',
    wishes: { l1: SPLICE, l2: SPLICE },
    act: whenSplicing(29),
  },
  {
    message: 31,
    name: 'setup_channel',
    asker: 'channeld',
    when: '`splicein`',
    wishes: { l1: SPLICE, l2: SPLICE },
    act: whenSplicing(31),
  },
];

function databasePath(node: Lightningd): string {
  return join(node.settings.directory, 'regtest', 'lightningd.sqlite3');
}

/** Stops the node, gives it back the database it has now after some payments, and leaves it stopped. */
async function turnBack(node: Lightningd, { l1, l2 }: Stage): Promise<void> {
  const old = join(node.settings.directory, 'old.sqlite3');
  await node.stop();
  copyFileSync(databasePath(node), old);
  await node.start();
  await waitForConnection(l1, l2);
  for (let i = 0; i < 3; i++) await pay(l1, l2, 10_000_000);
  await node.stop();
  copyFileSync(old, databasePath(node));
}

const CLOSING: Row[] = [
  ...(['l1', 'its peer'] as const).map(
    (who): Row => ({
      message: 21,
      name: 'sign_mutual_close_tx',
      asker: 'closingd',
      when: `${who} closes`,
      act: async (stage) => {
        await channel(stage);
        const { l1, l2 } = stage;
        l1.refuse(21);
        const [closer, other] = who === 'l1' ? [l1, l2] : [l2, l1];
        return outcome(closer.call('close', { id: other.id, unilateraltimeout: 3 }));
      },
    }),
  ),
  {
    message: 5,
    name: 'sign_commitment_tx',
    asker: 'lightningd',
    when: '`close` without the peer',
    act: async (stage) => {
      await channel(stage);
      await stage.l2.stop();
      stage.l1.refuse(5);
      return outcome(stage.l1.call('close', { id: stage.l2.id, unilateraltimeout: 1 }));
    },
  },
  {
    message: 22,
    name: 'check_future_secret',
    asker: 'channeld',
    when: 'l1 reconnects with an old database',
    act: async (stage) => {
      await channel(stage);
      await turnBack(stage.l1, stage);
      stage.l1.refuse(22);
      await stage.l1.start();
      await waitRefused(stage.l1);
      return undefined;
    },
  },
  {
    message: 34,
    name: 'forget_channel',
    asker: 'lightningd',
    when: 'the close is 100 blocks deep',
    act: async (stage) => {
      const { l1, l2, world } = stage;
      await channel(stage);
      await l1.call('close', { id: l2.id });
      await world.bitcoind.mempoolOf(1);
      await world.bitcoind.mine(1);
      await l1.waitForHeight();
      l1.refuse(34);
      await sleep(300);
      await world.bitcoind.mine(105);
      await waitRefused(l1);
      return undefined;
    },
  },
];

const ONCHAIN: Row[] = [
  {
    message: 18,
    name: 'get_per_commitment_point',
    asker: 'onchaind',
    when: 'l1’s commitment is on chain',
    wishes: { l2: HOLDS },
    act: whenOnchain(18, 'own'),
  },
  {
    message: 142,
    name: 'sign_any_delayed_payment_to_us',
    asker: 'lightningd',
    when: 'l1’s commitment is on chain, to_self_delay is over',
    wishes: { l2: HOLDS },
    act: whenOnchain(142, 'own'),
  },
  {
    message: 149,
    name: 'sign_htlc_tx_mingle',
    asker: 'lightningd',
    when: 'l1’s commitment is on chain, an HTLC expired',
    wishes: { l2: HOLDS },
    act: whenOnchain(149, 'own'),
  },
  {
    message: 146,
    name: 'sign_any_local_htlc_tx',
    asker: 'lightningd',
    when: 'the same without anchors',
    wishes: { l1: NO_ANCHORS, l2: { ...NO_ANCHORS, ...HOLDS } },
    act: whenOnchain(146, 'own'),
  },
  {
    message: 143,
    name: 'sign_any_remote_htlc_to_us',
    asker: 'lightningd',
    when: 'the peer’s commitment is on chain, an HTLC expired',
    wishes: { l2: HOLDS },
    act: whenOnchain(143, 'peer'),
  },
  {
    message: 147,
    name: 'sign_anchorspend',
    asker: 'lightningd',
    when: 'a unilateral close at a low fee rate',
    wishes: { l2: HOLDS },
    act: async (stage) => {
      const { l1, l2 } = stage;
      for (const node of [l1, l2]) node.setFeerate(1_100);
      await pendingHtlc(stage);
      await l2.stop();
      l1.setFeerate(20_000);
      await until('the new fee rate', 20_000, async () => {
        const feerates = await l1.call('feerates', { style: 'perkb' });
        return Number(find(feerates, 'perkb', 'estimates', 0, 'feerate')) > 15_000;
      });
      l1.refuse(147);
      const said = await outcome(l1.call('close', { id: l2.id, unilateraltimeout: 1 }));
      await waitRefused(l1);
      return said;
    },
  },
  {
    message: 144,
    name: 'sign_any_penalty_to_us',
    asker: 'lightningd',
    when: 'the peer published a revoked commitment',
    wishes: { l2: { hsmd: 'cheater' } },
    act: async (stage) => {
      const { l1, l2, world } = stage;
      await fundWallet(l1, 2_000_000, 2);
      await openChannel(l1, l2, { push_sat: 400_000 });
      await turnBack(l2, stage);
      await l2.start('polling', ['--offline']);
      const cheat = textAt(await l2.call('dev-sign-last-tx', { id: l1.id }), 'tx');
      await l2.stop();
      l1.refuse(144);
      await world.bitcoind.mineOnly([cheat]);
      await waitRefused(l1);
      return undefined;
    },
  },
];

export const ROWS: Row[] = [
  ...STARTING,
  ...COMMANDS,
  ...GOSSIP,
  ...CONNECTING,
  ...OPENING,
  ...PAYING,
  ...CLOSING,
  ...ONCHAIN,
];
