/**
 * A run: the signer under attack, the chain, the attacker's channels and coins, what the honest side of the node knows,
 * and the log of all of it. Everything asked goes through `ask`. Same seed, configuration and moves: same run.
 */
import type { ReplyTo, Request } from '@countersign/wire';
import { equalBytes } from '../bitcoin/bytes.ts';
import type { OutPoint, Tx } from '../bitcoin/transaction.ts';
import { Wallet } from '../bitcoin/wallet.ts';
import { type Client, NODE, type Outcome, type OwnerAct, type Subject } from '../subject.ts';
import { Book } from './book.ts';
import { Chain } from './chain-feed.ts';
import type { Channel } from './channel.ts';
import { Coins } from './coins.ts';
import { Dice } from './dice.ts';
import { open } from './honest/opening.ts';
import { initRequest } from './identity.ts';
import { preimagesRequest } from './requests.ts';
import { type Intent, StepLog } from './step-log.ts';
import { NOBODY, type Witness } from './witness.ts';

export interface WorldConfig {
  readonly seed: number;
  /** Channels that live at one time, at most. */
  readonly channelsMax: number;
  /** Every move is an honest node's: no refusal is expected. */
  readonly isHonest: boolean;
  /** Penalties are signed in advance, as for a watchtower. */
  readonly isWatched: boolean;
  /** Steps kept for the story. */
  readonly keepSteps: number;
  readonly secondsPerStep: number;
  /** Channels that are open when the first move is played. */
  readonly openAtStart: number;
  /** What the owner wants buried before incoming HTLCs cover forwards. */
  readonly paymentDepthBlocks: number;
  /** Where coins may go without asking. */
  readonly allowedAddress: string;
}

export const DEFAULT_CONFIG: WorldConfig = {
  seed: 1,
  channelsMax: 5,
  isHonest: false,
  isWatched: true,
  keepSteps: 256,
  secondsPerStep: 20,
  openAtStart: 4,
  paymentDepthBlocks: 3,
  allowedAddress: 'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080',
};

/** Just after regtest's first block. */
const START_SECONDS = 1_296_690_000;
/** After so many in a row an attacker gives a channel up. */
const REFUSALS_MAX = 6;
const WAITS_MAX = 4;
/** Receiving addresses in use. */
const ADDRESSES = 20;

export class World {
  readonly config: WorldConfig;
  readonly subject: Subject;
  readonly dice: Dice;
  readonly log: StepLog;
  readonly chain: Chain;
  readonly book: Book;
  readonly coins: Coins;
  witness: Witness;
  channels: Channel[] = [];
  nowSeconds = START_SECONDS;
  nodeId: Uint8Array = new Uint8Array(33);
  /** Which move is being played; −1 before the first. */
  move = -1;
  /** Attack requests that the signer granted. */
  grantedAttacks = 0;
  channelCount = 0;
  /** The node does nothing about what the chain brings. */
  isIdle = false;
  /** What an honest signer would never do, though it is no refusal. */
  readonly problems: string[] = [];
  #wallet: Wallet | null = null;
  #labels = 0;
  #lastOutcome: Outcome | null = null;

  private constructor(subject: Subject, config: WorldConfig, witness: Witness) {
    this.subject = subject;
    this.config = config;
    this.witness = witness;
    this.dice = new Dice(config.seed);
    this.log = new StepLog(config.keepSteps);
    this.chain = new Chain(this);
    this.book = new Book(this);
    this.coins = new Coins(this);
  }

  /** The node has started, and its owner has coins. */
  static async begin(
    subject: Subject,
    config: Partial<WorldConfig> = {},
    witness: Witness = NOBODY,
  ): Promise<World> {
    const world = new World(subject, { ...DEFAULT_CONFIG, ...config }, witness);
    await world.#startNode();
    await world.chain.begin();
    for (let i = 0; i < world.config.openAtStart; i++) await open(world, i);
    await world.chain.mine(3);
    return world;
  }

  async #startNode(): Promise<void> {
    const reply = await this.ask(NODE, initRequest());
    if (reply?.name !== 'hsmd_init_reply_v4') throw new Error('the signer does not start');
    this.nodeId = reply.nodeId;
    this.#wallet ??= new Wallet(reply.bip32, reply.tlvs.bip86Base);
    // The companion plugin says that it will deliver preimages.
    await this.ask(NODE, preimagesRequest([]));
  }

  get wallet(): Wallet {
    return this.#wallet!;
  }

  get height(): number {
    return this.chain.heightBlocks;
  }

  get labels(): number {
    return this.#labels;
  }

  nextLabel(): number {
    return ++this.#labels;
  }

  /** Of the wallet, one after the other. */
  receivingScript(): Uint8Array {
    const { scripts } = this.wallet.key(this.nextLabel() % ADDRESSES);
    return scripts.p2wpkh;
  }

  /** Null when it was refused; `lastOutcome` says how. */
  async ask<R extends Request>(
    client: Client,
    request: R,
    intent: Intent = 'honest',
  ): Promise<ReplyTo<R['name']> | null> {
    this.nowSeconds += this.config.secondsPerStep;
    this.subject.setClock(this.nowSeconds);
    const outcome = await this.subject.ask(client, request);
    this.#lastOutcome = outcome;
    this.log.add({ move: this.move, client, request, outcome, intent });
    this.witness.observed(client, request, outcome);
    if (outcome.kind === 'refused') return null;
    if (intent === 'attack') this.grantedAttacks += 1;
    return outcome.reply as ReplyTo<R['name']>;
  }

  get lastOutcome(): Outcome | null {
    return this.#lastOutcome;
  }

  /** The last request was refused, and not just for now. */
  get wasRefusedForGood(): boolean {
    return this.#lastOutcome?.kind === 'refused' && !this.#lastOutcome.isTemporary;
  }

  async owner(act: OwnerAct): Promise<string | null> {
    const failure = await this.subject.owner(act);
    this.witness.ownerActed(act, failure);
    return failure;
  }

  /** The signer ends without warning; the node notices, and starts it again. */
  async restart(): Promise<void> {
    await this.subject.restart();
    this.witness.restarted();
    await this.#startNode();
  }

  /** A refused channel gives up what led there, so that others can go on. */
  stuck(channel: Channel): void {
    if (this.config.isHonest || channel.log.withdrawBogus()) return;
    channel.refusalCount += 1;
    if (channel.refusalCount > REFUSALS_MAX && channel.phase === 'open') channel.phase = 'closing';
    this.book.lose(channel, channel.log.forget());
  }

  /** CLN's channeld ends at a refusal, and what was not acknowledged is forgotten when it comes back; here at the fourth. */
  waits(channel: Channel): void {
    channel.waitCount += 1;
    if (channel.waitCount % WAITS_MAX === 0) this.book.lose(channel, channel.log.forget());
  }

  /** How deep the transaction that created the output is; 0 when it isn't mined. */
  depthOf({ txid }: OutPoint): number {
    return this.chain.depthOf(txid);
  }

  channelOf(tx: Tx): Channel | undefined {
    const [input] = tx.inputs;
    return this.channels.find(
      ({ funding }) =>
        input !== undefined && equalBytes(funding.txid, input.txid) && funding.vout === input.vout,
    );
  }
}
