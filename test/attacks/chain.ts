/**
 * The chain that an attacked signer is fed: blocks mined on the spot, brought over its node.sock as the node side brings them,
 * honestly or not.
 */
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Transaction, txid } from '@countersign/bitcoin';
import { readRefusal } from '@countersign/cli';
import { encodeFrame, FrameDecoder } from '@countersign/transport';
import { decodeMessage, encodeMessage, type MessageOf, type Reply, type Request } from '@countersign/wire';
import { expect } from 'vitest';
import { type ChainFeed, feedOverNodeSocket } from '../../packages/cln/src/plugin/chain-feed.ts';
import { MinedChain } from '../../packages/core/test/mined-chain.ts';
import { AttackChannel, type OpenOptions } from './channel.ts';
import { type AttackWorld, HUB, STATE_DIRECTORY, type WorldOptions } from './world.ts';

/** The operator lets the node bring the blocks, and wants fundings three deep before they cover anything. */
export const CHAINED: WorldOptions = {
  toml: `${HUB.replace('preset = "hub"', 'preset = "hub"\npayment_depth_blocks = 3\nclaim_margin_blocks = 3')}
[chain]
source = "node"
birthday_height = 1
`,
};

export type Tip = NonNullable<MessageOf<'countersign_chain_tip_reply'>['tip']>;

/** As `countersign chain status` has it. */
export interface ChainStatus {
  readonly isFresh: boolean;
  readonly deadlines: readonly { readonly what: string; readonly level: string; readonly channel: string }[];
  readonly alarms: readonly { readonly code: string; readonly channel: string | null }[];
}

export interface ShownRemedy {
  readonly kind: string;
  readonly valueSat: number | string;
  readonly feeSat: number | string;
  readonly isReleased: boolean;
  readonly isFallback: boolean;
}

const ANSWER_WAIT_MS = 20_000;

/** One connection to node.sock: bytes out, replies in. */
export class NodeLine {
  readonly #socket: Socket;
  readonly #decoder = new FrameDecoder();
  readonly #replies: Reply[] = [];
  isClosed = false;

  constructor(world: AttackWorld) {
    this.#socket = connect(join(world.directory, STATE_DIRECTORY, 'node.sock'));
    this.#socket.on('error', () => {});
    this.#socket.on('close', () => {
      this.isClosed = true;
    });
    this.#socket.on('data', (chunk) => {
      this.#decoder.push(Uint8Array.from(chunk));
      for (let body = this.#decoder.next(); body !== undefined; body = this.#decoder.next()) {
        const decoded = decodeMessage(body, 'reply');
        if (!decoded.ok || decoded.message.name === 'unknown') throw new Error('a reply that is none');
        this.#replies.push(decoded.message);
      }
    });
  }

  send(body: Uint8Array): void {
    this.#socket.write(encodeFrame(body));
  }

  /** The next reply; null when the connection is closed instead. */
  async reply(): Promise<Reply | null> {
    for (let waitedMs = 0; waitedMs < ANSWER_WAIT_MS; waitedMs += 2) {
      const reply = this.#replies.shift();
      if (reply !== undefined) return reply;
      if (this.isClosed) return null;
      await sleep(2);
    }
    throw new Error('no answer on node.sock');
  }

  async ask(request: Request): Promise<Reply> {
    this.send(encodeMessage(request));
    const reply = await this.reply();
    if (reply === null) throw new Error(`${request.name} closed the connection`);
    return reply;
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** The tag of a refusal; null for any other reply. */
export function refusedTag(reply: Reply | null): string | null {
  return reply === null ? null : (readRefusal(encodeMessage(reply))?.tag ?? null);
}

export class Miner {
  readonly world: AttackWorld;
  /** What the network has; the signer knows of it what it was fed. */
  mined = new MinedChain();
  readonly #feed: ChainFeed;

  constructor(world: AttackWorld) {
    this.world = world;
    this.#feed = feedOverNodeSocket({ socketPath: join(world.directory, STATE_DIRECTORY, 'node.sock') });
  }

  close(): void {
    this.#feed.close();
  }

  get heightBlocks(): number {
    return this.mined.tip.heightBlocks;
  }

  async tip(): Promise<Tip> {
    const tip = await this.#feed.tip();
    if (tip === null) throw new Error('the chain has not begun');
    const { locked, ...places } = tip;
    return { ...places, isLocked: locked };
  }

  async header(run: Uint8Array): Promise<void> {
    const answer = await this.#feed.acceptHeaders(run);
    if (!answer.ok) throw new Error(`honest headers refused: ${answer.message}`);
  }

  async content(raw: Uint8Array): Promise<void> {
    const answer = await this.#feed.acceptBlock(raw);
    if (!answer.ok) throw new Error(`an honest block was refused: ${answer.message}`);
  }

  /** Everything that the signer does not have yet: headers first, then contents. */
  async follow(): Promise<void> {
    await this.followHeaders();
    for (let tip = await this.tip(); tip.provenHeightBlocks < tip.tipHeightBlocks; tip = await this.tip()) {
      await this.content(this.mined.blocks[tip.provenHeightBlocks + 1]!.raw);
    }
  }

  async followHeaders(): Promise<void> {
    const { tipHeightBlocks } = await this.tip();
    let fork = Math.min(tipHeightBlocks, this.heightBlocks);
    while (fork > 0 && !(await this.#has(fork))) fork--;
    if (this.heightBlocks > fork) await this.header(this.mined.headers(fork + 1));
  }

  async #has(heightBlocks: number): Promise<boolean> {
    const hash = await this.#feed.headerHash(heightBlocks);
    return hash !== null && Buffer.compare(hash, this.mined.blocks[heightBlocks]!.hash) === 0;
  }

  /** One block with these transactions, shown to the signer. */
  async mine(...transactions: readonly Transaction[]): Promise<void> {
    this.mined.extend(transactions);
    await this.follow();
  }

  async mineEmpty(count: number): Promise<void> {
    this.mined.extendBy(count);
    await this.follow();
  }

  async mineTo(heightBlocks: number): Promise<void> {
    await this.mineEmpty(heightBlocks - this.heightBlocks);
  }

  /** Another history from that height on, longer by a block than the one before; its blocks hold these transactions. */
  async reorganise(forkHeightBlocks: number, ...transactions: readonly Transaction[]): Promise<void> {
    const depth = this.heightBlocks - forkHeightBlocks;
    this.mined = this.mined.forkAt(forkHeightBlocks);
    this.mined.extend(transactions);
    this.mined.extendBy(depth);
    await this.follow();
  }

  /** A channel whose funding is as deep as it has to be. */
  open(options: OpenOptions = {}): Promise<AttackChannel> {
    const bury = async (funding: Transaction) => {
      await this.mine(funding);
      await this.mineEmpty(2);
    };
    return new AttackChannel(this.world, { bury, ...options }).open();
  }

  async status(): Promise<ChainStatus> {
    return this.#operator<ChainStatus>('chain-status');
  }

  async #operator<T>(op: string, fields: Readonly<Record<string, unknown>> = {}): Promise<T> {
    return ((await this.world.operator(op, fields)) as { readonly result: T }).result;
  }

  async alarms(): Promise<readonly string[]> {
    return (await this.status()).alarms.map(({ code }) => code);
  }

  async remedies(channel: AttackChannel): Promise<readonly ShownRemedy[]> {
    const { ref } = channel.model;
    const id = `${Buffer.from(ref.peerId).toString('hex')}/${ref.dbid}`;
    type Plan = { readonly remedies: readonly ShownRemedy[] };
    return (await this.#operator<Plan>('remedies', { channel: id })).remedies;
  }

  /** What the heartbeat says, which a third party reads. */
  async heartbeat(): Promise<string> {
    return (await this.#operator<{ readonly heartbeat: string }>('heartbeat')).heartbeat;
  }

  /** The request is refused by this tag, on a connection that goes on, and the view is what it was. */
  async refused(request: Request, tag: string, what = ''): Promise<void> {
    const before = await this.tip();
    const line = new NodeLine(this.world);
    try {
      const reply = await line.ask(request);
      if (refusedTag(reply) !== tag) {
        throw new Error(`${request.name} ${what} got ${reply.name}, not a refusal by ${tag}`);
      }
      expect(await line.ask({ name: 'countersign_chain_tip' })).toMatchObject({
        name: 'countersign_chain_tip_reply',
      });
    } finally {
      line.close();
    }
    this.world.refusals.push({ request: request.name, tag });
    expect(await this.tip()).toEqual(before);
  }
}

/** A signer of its own with a chain; its feed is closed with the scenario. */
export function withChain(
  run: (miner: Miner, world: AttackWorld) => Promise<void>,
): (world: AttackWorld) => Promise<void> {
  return async (world) => {
    const miner = new Miner(world);
    try {
      await run(miner, world);
    } finally {
      miner.close();
    }
  };
}

/** Spends an output of `from` with this witness. */
export function spending(from: Transaction, vout: number, witness: readonly Uint8Array[] = []): Transaction {
  return {
    version: 2,
    inputs: [{ txid: txid(from), vout, scriptSig: new Uint8Array(0), sequence: 0, witness }],
    outputs: [{ value: from.outputs[vout]!.value, script: Uint8Array.of(0x51) }],
    locktime: 0,
  };
}
