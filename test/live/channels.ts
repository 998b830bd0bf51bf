/** Steps that most scenarios begin with: coins, connections, channels. Promises that each step is finished on both sides when
 *  it returns. */
import { find, type JsonValue, listAt, numberAt, textAt } from './json-value.ts';
import type { Lightningd } from './lightningd.ts';
import { until } from './wait.ts';

const STEP_TIMEOUT_MS = 45_000;

/** Confirmed coins of the node's wallet: `coins` of each kind of address. */
export async function fundWallet(node: Lightningd, amount_sat: number, coins = 1): Promise<void> {
  const addresses: string[] = [];
  for (let i = 0; i < coins; i++) {
    const kind = i % 2 === 0 ? 'p2tr' : 'bech32';
    addresses.push(textAt(await node.call('newaddr', { addresstype: kind }), kind));
  }
  const txid = await node.settings.bitcoind.fund(addresses, amount_sat);
  await until(`${node.name} to have its coins`, STEP_TIMEOUT_MS, async () => {
    const outputs = listAt(await node.call('listfunds'), 'outputs');
    return outputs.filter((one) => find(one, 'txid') === txid).length === coins;
  });
}

export async function connect(from: Lightningd, to: Lightningd): Promise<void> {
  await from.call('connect', { id: to.id, host: '127.0.0.1', port: to.port });
}

/** The node's channels with the peer, newest last. */
export async function channelsWith(node: Lightningd, peer: Lightningd): Promise<JsonValue[]> {
  return listAt(await node.call('listpeerchannels', { id: peer.id }), 'channels');
}

export async function channelWith(node: Lightningd, peer: Lightningd): Promise<JsonValue> {
  const channel = (await channelsWith(node, peer)).at(-1);
  if (channel === undefined) throw new TypeError(`${node.name} has no channel with ${peer.name}`);
  return channel;
}

export async function waitForState(node: Lightningd, peer: Lightningd, state: RegExp): Promise<void> {
  let last = 'none';
  const what = `${node.name}'s channel with ${peer.name} to be ${state}`;
  await until(what, STEP_TIMEOUT_MS, async () => {
    const channel = (await channelsWith(node, peer)).at(-1);
    last = channel === undefined ? 'none' : textAt(channel, 'state');
    return state.test(last);
  }).catch((error: unknown) => {
    throw new Error(`${what}, but it is ${last}`, { cause: error });
  });
}

export async function waitForNormal(first: Lightningd, second: Lightningd): Promise<void> {
  for (const [node, peer] of [
    [first, second],
    [second, first],
  ] as const) {
    await waitForState(node, peer, /^CHANNELD_NORMAL$/);
    await waitForConnection(node, peer);
  }
}

/** Waits until the peer is connected and its channel can carry payments again. */
export async function waitForConnection(node: Lightningd, peer: Lightningd): Promise<void> {
  await until(`${node.name} to have a working channel with ${peer.name}`, STEP_TIMEOUT_MS, async () => {
    const channel = (await channelsWith(node, peer)).at(-1);
    if (channel === undefined || find(channel, 'peer_connected') !== true) return false;
    const status = find(channel, 'status');
    const lines = Array.isArray(status) ? status.map(String) : [];
    return lines.some((line) => /Channel ready for use|Reconnected, and reestablished/.test(line));
  });
}

/** The short channel id, when the channel has one. */
export async function scidOf(node: Lightningd, peer: Lightningd): Promise<string> {
  return textAt(await channelWith(node, peer), 'short_channel_id');
}

export interface OpenWishes {
  readonly amount_sat?: number;
  /** Given to the peer at the open. */
  readonly push_sat?: number;
  /** `announced` waits for six blocks and the gossip of both directions. */
  readonly announced?: boolean;
  readonly params?: { [name: string]: JsonValue };
}

/** Opens a channel from `opener` to `peer` and waits until both can use it. Gives the funding transaction's id. */
export async function openChannel(
  opener: Lightningd,
  peer: Lightningd,
  wishes: OpenWishes = {},
): Promise<string> {
  const bitcoind = opener.settings.bitcoind;
  await connect(opener, peer);
  const opened = await opener.call('fundchannel', {
    id: peer.id,
    amount: wishes.amount_sat ?? 1_000_000,
    push_msat: (wishes.push_sat ?? 0) * 1000,
    announce: wishes.announced ?? true,
    ...wishes.params,
  });
  await bitcoind.mempoolOf(1);
  await bitcoind.mine(1);
  await waitForNormal(opener, peer);
  if (wishes.announced === true) {
    await bitcoind.mine(5);
    await waitForGossip([opener, peer], await scidOf(opener, peer));
  }
  return textAt(opened, 'txid');
}

/** Waits until each node knows both directions of the channel. */
export async function waitForGossip(nodes: Lightningd[], scid: string): Promise<void> {
  for (const node of nodes) {
    await until(`${node.name} to know channel ${scid}`, STEP_TIMEOUT_MS, async () => {
      const channels = listAt(await node.call('listchannels', { short_channel_id: scid }), 'channels');
      return channels.filter((one) => find(one, 'active') === true).length === 2;
    });
  }
}

/** What the node owns in the channel, in msat. */
export async function balance_msat(node: Lightningd, peer: Lightningd): Promise<number> {
  return numberAt(await channelWith(node, peer), 'to_us_msat');
}

/** Waits until no HTLC is in flight on either side. */
export async function waitForNoHtlcs(first: Lightningd, second: Lightningd): Promise<void> {
  for (const [node, peer] of [
    [first, second],
    [second, first],
  ] as const) {
    await until(`no HTLC in flight at ${node.name}`, STEP_TIMEOUT_MS, async () => {
      return listAt(await channelWith(node, peer), 'htlcs').length === 0;
    });
  }
}
