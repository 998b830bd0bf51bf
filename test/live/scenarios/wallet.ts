/** Scenarios about the on-chain wallet: receiving on and spending from each kind of address, all kinds of destinations. */
import { equal, ok } from 'node:assert/strict';
import { fundWallet } from '../channels.ts';
import { find, type JsonValue, listAt, textAt } from '../json-value.ts';
import type { Lightningd } from '../lightningd.ts';
import { walletSat } from '../onchain.ts';
import type { Scenario } from '../scenario.ts';
import { until } from '../wait.ts';

/** One address of each standard kind; nobody has the keys of most of them. */
const DESTINATIONS: Record<string, string> = {
  p2pkh: 'mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn',
  p2sh: '2MzQwSSnBHWHqSAqtTVQ6v47XtaisrJa1Vc',
  p2wpkh: 'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080',
  p2wsh: 'bcrt1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qzf4jry',
  p2tr: 'bcrt1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqc8gma6',
};

/** Mines the node's transaction, after checking that bitcoind has it in its mempool, i.e. finds it valid. */
async function confirm(node: Lightningd, txid: string): Promise<void> {
  const bitcoind = node.settings.bitcoind;
  await until(`${txid} in the mempool`, 20_000, async () => (await bitcoind.mempool()).includes(txid));
  await bitcoind.mine(1);
  await node.waitForHeight();
}

async function coinsOf(node: Lightningd, txid: string): Promise<JsonValue[]> {
  const outputs = listAt(await node.call('listfunds'), 'outputs');
  return outputs.filter((one) => find(one, 'txid') === txid && find(one, 'status') === 'confirmed');
}

/** Receives on every kind of address of the node, spends each coin alone, then all together. */
async function receiveAndSpend(node: Lightningd): Promise<void> {
  const bitcoind = node.settings.bitcoind;
  const offered = await node.call('newaddr', { addresstype: 'all' });
  const kinds = Object.entries(offered as Record<string, string>);
  ok(kinds.length >= 2, `newaddr offers ${kinds.length} kinds`);
  for (const [kind, address] of kinds) {
    const txid = await bitcoind.fund([address], 300_000);
    const [coin] = await until(`the coin on ${kind}`, 20_000, async () => {
      const coins = await coinsOf(node, txid);
      return coins.length === 1 ? coins : undefined;
    });
    const spent = await node.call('withdraw', {
      destination: textAt(await node.call('newaddr', { addresstype: kind }), kind),
      satoshi: 'all',
      utxos: [`${txid}:${find(coin!, 'output')}`],
    });
    await confirm(node, textAt(spent, 'txid'));
  }
  const together = await node.call('withdraw', { destination: DESTINATIONS.p2tr!, satoshi: 500_000 });
  await confirm(node, textAt(together, 'txid'));
  ok(listAt(await bitcoind.transaction(textAt(together, 'txid')), 'vin').length >= 2);
}

const addresses: Scenario = {
  name: 'addresses',
  about:
    'every address type of newaddr, received on and spent, by a node with a mnemonic and one with a 32-byte secret',
  run: async (world) => {
    const [l1, l2] = await world.pair({ hsmd: 'countersign' }, { hsmd: 'countersign', secret: 'plain' });
    await receiveAndSpend(l1);
    await receiveAndSpend(l2);
  },
};

const withdraw: Scenario = {
  name: 'withdraw',
  about: 'withdraw to every standard kind of destination, then `all`; multiwithdraw',
  run: async (world) => {
    const [l1] = await world.start({});
    const node = l1!;
    await fundWallet(node, 1_000_000, 4);
    for (const [kind, destination] of Object.entries(DESTINATIONS)) {
      const sent = await node.call('withdraw', { destination, satoshi: 100_000, feerate: '2000perkb' });
      await confirm(node, textAt(sent, 'txid'));
      ok(textAt(sent, 'tx').length > 0, kind);
    }
    const outputs = Object.values(DESTINATIONS).map((destination) => ({ [destination]: 20_000 }));
    await confirm(node, textAt(await node.call('multiwithdraw', { outputs }), 'txid'));
    const all = await node.call('withdraw', { destination: DESTINATIONS.p2wpkh!, satoshi: 'all' });
    await confirm(node, textAt(all, 'txid'));
    equal(await walletSat(node), 0);
  },
};

/** A PSBT that pays this much to the node's own wallet: `fundpsbt` leaves the amount for outputs to come. */
async function paidToOurselves(node: Lightningd, satoshi: number): Promise<string> {
  const params = { satoshi, feerate: '2000perkb', startweight: 400, excess_as_change: true };
  const initialpsbt = textAt(await node.call('fundpsbt', params), 'psbt');
  return textAt(await node.call('addpsbtoutput', { satoshi, initialpsbt }), 'psbt');
}

/** Two inputs (no coin is that large) signed one after the other with `signonly`, and the reservations given back. */
async function signInParts(node: Lightningd): Promise<void> {
  const psbt = await paidToOurselves(node, 800_000);
  const lengths = [psbt.length];
  for (const input of [0, 1]) {
    const signed = await node.call('signpsbt', { psbt, signonly: [input] });
    lengths.push(textAt(signed, 'signed_psbt').length);
  }
  ok(lengths[1]! > lengths[0]! && lengths[2]! > lengths[0]!, `PSBTs of ${lengths} characters`);
  await node.call('unreserveinputs', { psbt });
}

const psbts: Scenario = {
  name: 'psbt',
  about: 'fundpsbt, signpsbt and sendpsbt; txprepare, txsend, txdiscard; signing in parts',
  run: async (world) => {
    const [l1] = await world.start({});
    const node = l1!;
    await fundWallet(node, 500_000, 4);
    const signed = await node.call('signpsbt', { psbt: await paidToOurselves(node, 700_000) });
    const sent = await node.call('sendpsbt', { psbt: textAt(signed, 'signed_psbt') });
    await confirm(node, textAt(sent, 'txid'));
    const outputs = [{ [DESTINATIONS.p2wsh!]: 100_000 }];
    const dropped = await node.call('txprepare', { outputs });
    await node.call('txdiscard', { txid: textAt(dropped, 'txid') });
    const prepared = await node.call('txprepare', { outputs });
    await confirm(node, textAt(await node.call('txsend', { txid: textAt(prepared, 'txid') }), 'txid'));
    await signInParts(node);
  },
};

export const WALLET: Scenario[] = [addresses, withdraw, psbts];
