/**
 * One channel of the attacked node: opened as CLN opens it, and moved on step by step in the order of BOLT 2, by an
 * honest node and an honest peer. A scenario leaves the honest path wherever it wants to.
 */
import { fundingScript, p2wshOfScript, sat, type Transaction, txid } from '@countersign/bitcoin';
import type { MessageOf, Reply, Request } from '@countersign/wire';
import {
  type Balances,
  ChannelModel,
  type Funding,
  type ModelHtlc,
  type ModelOptions,
  type Party,
} from '../../packages/core/test/channel-model.ts';
import { adding, removing } from '../../packages/core/test/open-channel.ts';
import { bytesOf } from '../../packages/core/test/test-signer.ts';
import { type Coin, psbtWith, spend, toWallet, walletCoin, withdrawalOf } from './wallet.ts';
import { type AttackWorld, secp } from './world.ts';

export const FUNDING_FEE_SAT = 500n;
/** What a funding leaves in the wallet: more than the reserve for anchors. */
const CHANGE_SAT = 60_000n;
const CHANGE_INDEX = 7;
const INPUT_INDEX = 5;

/** The wallet's coin that a funding spends. */
const coins = new WeakMap<Funding, Coin>();

/** A channel whose funding transactions add up: one coin of the wallet in, the funding and change out. */
class FundedModel extends ChannelModel {
  override newFunding(label: string, valueSat: bigint, addedMsat = 0n, from?: Funding): Funding {
    const peerSecret = bytesOf(`${label} funding key`);
    const peerKey = secp.publicKey(peerSecret);
    const script = p2wshOfScript(fundingScript(this.holderFundingKey, peerKey));
    // All of an opening, of a splice what it adds; what it takes out becomes change.
    const addedSat = valueSat - (from?.valueSat ?? 0n);
    const [putIn, takenOut] = addedSat > 0n ? [addedSat, 0n] : [0n, -addedSat];
    const coin = walletCoin(this.keys, INPUT_INDEX, putIn + CHANGE_SAT + FUNDING_FEE_SAT, label);
    const outpoints = [coin.utxo.outpoint, ...(from === undefined ? [] : [from.outpoint])];
    const outputs = [
      toWallet(this.keys, CHANGE_INDEX, CHANGE_SAT + takenOut),
      { value: sat(valueSat), script },
    ];
    const tx: Transaction = { ...spend(outpoints, outputs), locktime: 110 };
    const outpoint = { txid: txid(tx), vout: 1 };
    const spent = [coin.parent.outputs[0]!];
    const funding = { tx, spent, outpoint, valueSat, peerSecret, peerKey, addedMsat };
    coins.set(funding, coin);
    return funding;
  }

  override signSplice(to: Funding, from: Funding = this.funding): MessageOf<'hsmd_sign_splice_tx'> {
    const psbt = psbtWith(to.tx, [coinOf(to)], new Map([[1, this.fundingOutput(from)]]));
    return { ...super.signSplice(to, from), tx: { tx: to.tx, psbt } };
  }
}

export function coinOf(funding: Funding): Coin {
  return coins.get(funding)!;
}

export interface OpenOptions extends Pick<ModelOptions, 'format' | 'isOutbound' | 'valueSat' | 'pushMsat'> {
  readonly peer?: string;
  /** Buries the funding before it is locked, where the signer has a chain. */
  readonly bury?: (funding: Transaction) => Promise<void>;
}

export class AttackChannel {
  readonly world: AttackWorld;
  readonly model: ChannelModel;
  /** What both sides have agreed on and committed to. */
  balances: Balances;
  /** Of the current commitments: ours, and the peer's. */
  ourNumber = 0;
  theirNumber = 0;
  /** Those on which every commitment is signed. */
  fundings: readonly Funding[];
  readonly #bury: OpenOptions['bury'];

  constructor(world: AttackWorld, options: OpenOptions = {}) {
    const { isOutbound = false, peer = 'peer' } = options;
    this.world = world;
    this.model = new FundedModel(world.keys, {
      ...options,
      isOutbound,
      // A peer that opens pushes to us, so that both can pay; what we push would need an approval.
      pushMsat: options.pushMsat ?? (isOutbound ? 0n : 400_000_000n),
      dbid: world.dbid(),
      peer: world.unique(peer),
    });
    this.balances = this.model.initial;
    this.fundings = [this.model.funding];
    this.#bury = options.bury;
  }

  get funding(): Funding {
    return this.fundings[0]!;
  }

  ask(request: Request): Promise<Reply> {
    return this.world.ask(request, this.model.ref);
  }

  refused(request: Request, tag: string | readonly string[]): Promise<string> {
    return this.world.refused(request, tag, this.model.ref);
  }

  /** Asked one after the other; one of them, and none before it, is refused by this tag. */
  refusedWithin(tag: string | readonly string[], requests: readonly Request[]): Promise<void> {
    return this.world.refusedWithin(tag, requests, this.model.ref);
  }

  /** From new_channel to the first commitments; funded by us if we open it, then locked. */
  async open(): Promise<this> {
    await this.begin();
    await this.#bury?.(this.funding.tx);
    await this.ask(this.model.lock(this.funding));
    return this;
  }

  /** The same up to the lock: nothing is on the chain yet. */
  async begin(): Promise<void> {
    const { model } = this;
    await this.ask({ name: 'hsmd_new_channel', id: model.ref.peerId, dbid: model.ref.dbid });
    await this.ask(model.setup());
    // CLN names no feerate with the first commitments; the signer must find it.
    if (model.isOutbound) {
      await this.ask({ ...model.signRemote(0, this.balances), feerate: 0 });
      await this.ask({ ...model.validate(0, this.balances), feerate: 0 });
      await this.fund();
    } else {
      await this.ask({ ...model.validate(0, this.balances), feerate: 0 });
      await this.ask({ ...model.signRemote(0, this.balances), feerate: 0 });
    }
  }

  /** The wallet's signature on the funding transaction. */
  async fund(funding: Funding = this.funding): Promise<void> {
    await this.ask(this.fundingRequest(funding));
  }

  fundingRequest(funding: Funding = this.funding, tx: Transaction = funding.tx): Request {
    return withdrawalOf(tx, [coinOf(funding)]);
  }

  /** Signs the peer's next commitment on every funding, with its HTLCs. */
  async signPeer(balances: Balances): Promise<void> {
    const number = this.theirNumber + 1;
    for (const funding of this.fundings) {
      await this.ask(this.model.signRemote(number, balances, funding));
      for (const htlc of this.model.signRemoteHtlcs(number, balances, funding)) await this.ask(htlc);
    }
  }

  /** The peer revokes its current commitment. */
  async peerRevokes(): Promise<void> {
    await this.ask(this.model.validateRevocation(this.theirNumber));
    this.theirNumber += 1;
  }

  /** Our next commitment, signed by the peer on every funding. */
  async validate(balances: Balances): Promise<void> {
    for (const funding of this.fundings)
      await this.ask(this.model.validate(this.ourNumber + 1, balances, funding));
  }

  /** We revoke our current commitment. */
  async revoke(): Promise<Reply> {
    const reply = await this.ask(this.model.revoke(this.ourNumber));
    this.ourNumber += 1;
    return reply;
  }

  /** An update that we propose: the peer commits to it first. */
  async weUpdate(balances: Balances, learned: readonly ModelHtlc[] = []): Promise<void> {
    await this.signPeer(balances);
    await this.peerRevokes();
    await this.validate(balances);
    await this.world.learn(learned);
    await this.revoke();
    this.balances = balances;
  }

  /** An update that the peer proposes: we commit to it first. Preimages come to us between 35 and 40, as in CLN. */
  async peerUpdates(balances: Balances, learned: readonly ModelHtlc[] = []): Promise<void> {
    await this.validate(balances);
    await this.world.learn(learned);
    await this.revoke();
    await this.signPeer(balances);
    await this.peerRevokes();
    this.balances = balances;
  }

  weOffer(...htlcs: readonly ModelHtlc[]): Promise<void> {
    return this.weUpdate(adding(this.balances, ...htlcs));
  }

  peerOffers(...htlcs: readonly ModelHtlc[]): Promise<void> {
    return this.peerUpdates(adding(this.balances, ...htlcs));
  }

  /** The peer shows the preimage of what we offered. */
  peerSettles(htlc: ModelHtlc): Promise<void> {
    return this.peerUpdates(removing(this.balances, htlc, 'settled'), [htlc]);
  }

  peerFails(htlc: ModelHtlc): Promise<void> {
    return this.peerUpdates(removing(this.balances, htlc, 'failed'));
  }

  /** We show the preimage of what the peer offered. */
  weSettle(htlc: ModelHtlc): Promise<void> {
    return this.weUpdate(removing(this.balances, htlc, 'settled'));
  }

  weFail(htlc: ModelHtlc): Promise<void> {
    return this.weUpdate(removing(this.balances, htlc, 'failed'));
  }

  /** The next honest update still works, for both sides: the funder changes the feerate. */
  async goesOn(): Promise<void> {
    const feeratePerKw = this.balances.feeratePerKw + 1;
    const balances = { ...this.balances, feeratePerKw };
    await (this.model.isOutbound ? this.weUpdate(balances) : this.peerUpdates(balances));
  }

  /** An HTLC with a preimage of this scenario. */
  htlc(offeredBy: Party, amountSat: number, label: string, cltvExpiry = 700_000): ModelHtlc {
    return htlcOf(this.world, offeredBy, BigInt(amountSat) * 1000n, label, cltvExpiry);
  }
}

/** A channel that both sides have opened. */
export const opened = (world: AttackWorld, options: OpenOptions = {}) =>
  new AttackChannel(world, options).open();

export function htlcOf(
  world: AttackWorld,
  offeredBy: Party,
  amountMsat: bigint,
  label: string,
  cltvExpiry = 700_000,
): ModelHtlc {
  return { offeredBy, amountMsat, preimage: bytesOf(world.unique(label)), cltvExpiry };
}
