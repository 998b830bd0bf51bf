/**
 * A small Lightning world in one process: a chain, nodes, the wires between them. Nothing moves by itself: `settle` carries
 * messages, events and transactions to and fro until all is quiet, so a run with the same seed goes the same way.
 */
import { toHex } from '@countersign/bitcoin';
import { type ChannelDetails, Result_ChannelIdAPIErrorZ_Err, Result_NoneAPIErrorZ_OK } from 'lightningdevkit';
import { EmbeddedChain } from '../chain/embedded-chain.ts';
import type { LightningNode } from '../node/lightning-node.ts';
import { Wire } from './wire.ts';

/** 2026-09-21. Any time will do, the same for all. */
export const WORLD_START_SECONDS = 1_790_000_000;
const ROUNDS_MAX = 4000;
/** Rounds between two looks at the event loop, where finalizers of LDK's objects run. */
const ROUNDS_BETWEEN_YIELDS = 8;

export class World {
  readonly chain = new EmbeddedChain(WORLD_START_SECONDS);
  readonly nodes: LightningNode[] = [];
  readonly wires: Wire[] = [];

  add(node: LightningNode): LightningNode {
    this.nodes.push(node);
    return node;
  }

  /** It is gone as if killed: its wires are cut for the others, nothing is written. */
  remove(node: LightningNode): void {
    const at = this.nodes.indexOf(node);
    if (at !== -1) this.nodes.splice(at, 1);
    for (const wire of this.wires.splice(0)) {
      if (!wire.joins(node)) this.wires.push(wire);
      else for (const other of this.nodes) if (wire.joins(other)) wire.cutFor(other);
    }
  }

  connect(caller: LightningNode, called: LightningNode): Wire {
    const wire = new Wire(caller, called);
    this.wires.push(wire);
    return wire;
  }

  /** Until nothing moves. Throws when it does not come to rest. */
  async settle(): Promise<void> {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      if (!(await this.#round())) return;
      if (round % ROUNDS_BETWEEN_YIELDS === 0) await new Promise<void>((resolve) => setImmediate(resolve));
    }
    throw new Error('the world does not come to rest');
  }

  /** Every wire breaks after so many more pieces; what is under way is lost. */
  async cutAfter(pieces: number): Promise<void> {
    let left = pieces;
    for (let round = 0; round < ROUNDS_MAX && left > 0; round++) {
      for (const { peers } of this.nodes) peers.process_events();
      let moved = false;
      for (const wire of this.wires) {
        if (left === 0 || !wire.deliver()) continue;
        moved = true;
        left--;
      }
      for (const node of this.nodes) if (await node.turn()) moved = true;
      if (!moved) break;
    }
    for (const wire of this.wires.splice(0)) wire.cut();
    await this.settle();
  }

  async #round(): Promise<boolean> {
    let moved = false;
    for (const { peers } of this.nodes) peers.process_events();
    for (const wire of this.wires) while (wire.deliver()) moved = true;
    for (const node of this.nodes) if (await node.turn()) moved = true;
    return moved;
  }

  /** Blocks, each told to all and settled. */
  async mine(count = 1): Promise<void> {
    for (let i = 0; i < count; i++) {
      const block = this.chain.mine();
      for (const node of this.nodes) await node.blockConnected(block);
      await this.settle();
    }
  }

  /** Coins of the miner's, confirmed. */
  async fund(node: LightningNode, valueSat: bigint, coins = 1): Promise<void> {
    for (let i = 0; i < coins; i++) this.chain.pay(node.keys.wallet.receiveScript(), valueSat);
    await this.mine();
  }

  /** Opens a channel and waits until it can be used; the two have to be connected. */
  async open(
    from: LightningNode,
    to: LightningNode,
    valueSat: bigint,
    pushMsat = 0n,
    blocks = 6,
  ): Promise<ChannelDetails> {
    const before = from.manager.list_usable_channels().length;
    const userChannelId = from.desk.takeUserChannelId();
    from.keys.announceChannel(userChannelId, pushMsat);
    const result = from.manager.create_channel(to.nodeId, valueSat, pushMsat, userChannelId, null, null);
    if (result instanceof Result_ChannelIdAPIErrorZ_Err) throw new Error('create_channel was refused');
    await this.settle();
    await this.mine(blocks);
    const channels = from.manager.list_usable_channels();
    const found = channels.find((channel) => channel.get_user_channel_id() === reversed(userChannelId));
    if (channels.length <= before || found === undefined) throw new Error('the channel did not open');
    return found;
  }

  async closeCooperatively(from: LightningNode, channel: ChannelDetails): Promise<void> {
    const result = from.manager.close_channel(
      channel.get_channel_id(),
      channel.get_counterparty().get_node_id(),
    );
    if (!(result instanceof Result_NoneAPIErrorZ_OK)) throw new Error('close_channel was refused');
    await this.settle();
  }

  async forceClose(from: LightningNode, channel: ChannelDetails): Promise<void> {
    const result = from.manager.force_close_broadcasting_latest_txn(
      channel.get_channel_id(),
      channel.get_counterparty().get_node_id(),
      'the user wants it',
    );
    if (!(result instanceof Result_NoneAPIErrorZ_OK)) throw new Error('force close was refused');
    await this.settle();
  }

  /** Every tick LDK expects about once a minute; fee updates go out with it. */
  async tick(): Promise<void> {
    for (const node of this.nodes) node.manager.timer_tick_occurred();
    await this.settle();
  }
}

/** The bindings hand a u128 out with its bytes the wrong way round. */
export function reversed(value: bigint): bigint {
  let out = 0n;
  for (let i = 0n; i < 16n; i++) out = (out << 8n) | ((value >> (8n * i)) & 0xffn);
  return out;
}

export const idOf = (channel: ChannelDetails): string => toHex(channel.get_channel_id().get_a());
