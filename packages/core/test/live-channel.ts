/**
 * One channel of an honest node as BOLT 2 has it: updates on their way through both commitments, and the requests that
 * CLN makes of its hsmd for them. What both sides have is irrevocable; what the other has not acknowledged can be lost.
 */
import type { ChannelRef } from '@countersign/core';
import type { Request } from '@countersign/wire';
import {
  type Balances,
  type Built,
  ChannelModel,
  type ModelHtlc,
  type ModelOptions,
  type Party,
} from './channel-model.ts';
import type { HonestNode } from './honest-node.ts';
import { adding, removing } from './open-channel.ts';

/** What either side keeps: fees of a full commitment at the highest rate. */
const MARGIN_MSAT = 60_000_000n;
const VARIANTS_MAX = 8;

export type Change =
  | { readonly kind: 'add'; readonly htlc: ModelHtlc }
  | { readonly kind: 'remove'; readonly htlc: ModelHtlc; readonly how: 'settled' | 'failed' }
  | { readonly kind: 'fee'; readonly feeratePerKw: number };

/** One update of BOLT 2, and how far it is on its way through both commitments. */
export interface Update {
  readonly from: Party;
  readonly change: Change;
  /** Part of the newest commitment of that side that is signed and not acknowledged. */
  inPeers: boolean;
  inOurs: boolean;
  /** The side has revoked the commitment before the one that has it. */
  peersAcked: boolean;
  oursAcked: boolean;
}

function applied(balances: Balances, change: Change): Balances {
  if (change.kind === 'add') return adding(balances, change.htlc);
  if (change.kind === 'remove') return removing(balances, change.htlc, change.how);
  return { ...balances, feeratePerKw: change.feeratePerKw };
}

/** What is asked for again and again is computed once: points by their number, a commitment by its content. */
class CachedModel extends ChannelModel {
  readonly #points = new Map<string, Uint8Array>();
  #built: { readonly key: readonly unknown[]; readonly value: Built } | null = null;

  override point(side: Party, number: number): Uint8Array {
    const key = `${side} ${number}`;
    const known = this.#points.get(key) ?? super.point(side, number);
    this.#points.set(key, known);
    return known;
  }

  override build(...args: Parameters<ChannelModel['build']>): Built {
    if (args.length > 4) return super.build(...args);
    const key = args.slice(0, 3);
    if (this.#built?.key.every((part, i) => part === key[i]) === true) return this.#built.value;
    const value = super.build(...args);
    this.#built = { key, value };
    return value;
  }
}

export class LiveChannel {
  readonly node: HonestNode;
  readonly model: ChannelModel;
  /** With everything that is irrevocable. */
  base: Balances;
  updates: Update[] = [];
  ourNumber = 0;
  theirNumber = 0;
  oursPending = false;
  peersPending = false;
  /** Contents signed for the peer's newest number. */
  variants = 0;
  /** The newest number of the peer's that was signed with more than one content. */
  variedNumber = -1;
  /** Repeated at any time until it is superseded. */
  lastRequests: readonly Request[] = [];

  constructor(node: HonestNode, options: ModelOptions) {
    this.node = node;
    this.model = new CachedModel(node.signer.keys, options);
    this.base = this.model.initial;
  }

  get ref(): ChannelRef {
    return this.model.ref;
  }

  open(): void {
    for (const request of [
      this.model.setup(),
      { ...this.model.validate(0, this.base), feerate: 0 },
      { ...this.model.signRemote(0, this.base), feerate: 0 },
    ])
      this.node.ask(request, this);
  }

  propose(from: Party, change: Change): void {
    const none = { inPeers: false, inOurs: false, peersAcked: false, oursAcked: false };
    this.updates.push({ from, change, ...none });
  }

  /** What the peer's next commitment has: all of ours, and of the peer's what we have revoked for. */
  get nextPeers(): Balances {
    return this.#view((update) => update.from === 'holder' || update.oursAcked);
  }

  get nextOurs(): Balances {
    return this.#view((update) => update.from === 'counterparty' || update.peersAcked);
  }

  #view(isIn: (update: Update) => boolean): Balances {
    return this.updates.filter(isIn).reduce((balances, { change }) => applied(balances, change), this.base);
  }

  /** Everything anybody has proposed: the most cautious view of what is left to spend. */
  spendableMsat(by: Party): bigint {
    const adds = this.updates.flatMap(({ from, change }) =>
      from === by && change.kind === 'add' ? [change.htlc.amountMsat] : [],
    );
    const owned = by === 'holder' ? this.base.holderMsat : this.base.counterpartyMsat;
    return adds.reduce((left, amount) => left - amount, owned) - MARGIN_MSAT;
  }

  get htlcCount(): number {
    return this.base.htlcs.length + this.updates.filter(({ change }) => change.kind === 'add').length;
  }

  /** The peer may still publish a variant that says something else than what stands. */
  get hasLooseVariants(): boolean {
    return this.theirNumber <= this.variedNumber;
  }

  get canSignPeers(): boolean {
    return !this.peersPending && this.updates.some((one) => this.#isNewForPeers(one));
  }

  #isNewForPeers(update: Update): boolean {
    return !update.peersAcked && (update.from === 'holder' || update.oursAcked);
  }

  get canValidate(): boolean {
    return !this.oursPending && this.updates.some((one) => this.#isNewForOurs(one));
  }

  #isNewForOurs(update: Update): boolean {
    return !update.oursAcked && (update.from === 'counterparty' || update.peersAcked);
  }

  /** sign_remote_commitment_tx and its HTLCs. False when the signer asks to try again later. */
  signPeers(): boolean {
    const next = this.nextPeers;
    const number = this.theirNumber + 1;
    const requests = [this.model.signRemote(number, next), ...this.model.signRemoteHtlcs(number, next)];
    if (!this.node.askOrWait(requests[0]!, this)) return false;
    for (const request of requests.slice(1)) this.node.ask(request, this);
    for (const update of this.updates) if (this.#isNewForPeers(update)) update.inPeers = true;
    this.peersPending = true;
    this.variants += 1;
    if (this.variants > 1) this.variedNumber = number;
    this.lastRequests = requests;
    return true;
  }

  peerRevokes(): void {
    this.node.ask(this.model.validateRevocation(this.theirNumber), this);
    this.theirNumber += 1;
    this.peersPending = false;
    this.variants = 0;
    for (const update of this.updates) {
      if (update.inPeers) update.peersAcked = true;
      update.inPeers = false;
    }
    this.lastRequests = [];
    this.#fold();
  }

  validate(): void {
    const next = this.nextOurs;
    this.node.ask(this.model.validate(this.ourNumber + 1, next), this);
    for (const update of this.updates) if (this.#isNewForOurs(update)) update.inOurs = true;
    this.oursPending = true;
    // CLN writes preimages to its database before it revokes.
    const settled = this.updates.flatMap(({ from, change }) =>
      from === 'counterparty' && change.kind === 'remove' && change.how === 'settled' ? [change.htlc] : [],
    );
    if (settled.length > 0) this.node.learn(settled);
  }

  /** False when the signer asks to try again later. */
  revoke(): boolean {
    if (!this.node.askOrWait(this.model.revoke(this.ourNumber), this)) return false;
    this.ourNumber += 1;
    this.oursPending = false;
    for (const update of this.updates) {
      if (update.inOurs) update.oursAcked = true;
      update.inOurs = false;
    }
    this.#fold();
    return true;
  }

  /** What both have is irrevocable. */
  #fold(): void {
    const done = this.updates.filter((one) => one.peersAcked && one.oursAcked);
    this.updates = this.updates.filter((one) => !one.peersAcked || !one.oursAcked);
    for (const update of done) {
      this.base = applied(this.base, update.change);
      this.node.onIrrevocable(this, update.change);
    }
  }

  /**
   * The link was lost, or the node crashed before it wrote down what it had signed: what the other side has not
   * acknowledged is forgotten (BOLT 2), and other content takes the number.
   */
  reconnect(): void {
    const forgotten = this.updates.filter(
      (one) =>
        (one.from === 'holder' && !one.peersAcked && this.variants < VARIANTS_MAX) ||
        (one.from === 'counterparty' && !one.oursAcked),
    );
    this.updates = this.updates.filter((one) => !forgotten.includes(one));
    for (const { from, change, inPeers } of forgotten)
      this.node.onForgotten(this, from, change, inPeers ? this.theirNumber + 1 : -1);
    if (this.peersPending && this.variants < VARIANTS_MAX) {
      this.peersPending = false;
      for (const one of this.updates) one.inPeers = false;
    }
    if (this.oursPending) {
      this.oursPending = false;
      for (const one of this.updates) one.inOurs = false;
    }
  }

  repeat(): void {
    for (const request of this.lastRequests) this.node.ask(request, this);
  }
}
