/**
 * A node with several channels, honest peers, and everything that happens between them by BOLT 2: adds, fulfils,
 * fails and fee updates in any interleaving, forwards, own payments in parts and again, own invoices, lost links.
 * A list of numbers decides what happens next; each step asks the signer what CLN would ask it.
 */
import { sha256, toHex } from '@countersign/bitcoin';
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
import { bolt11, words } from './invoices.ts';
import { adding, removing } from './open-channel.ts';
import type { QuickSigner } from './quick-signer.ts';
import { bytesOf } from './test-signer.ts';

type Change =
  | { readonly kind: 'add'; readonly htlc: ModelHtlc }
  | { readonly kind: 'remove'; readonly htlc: ModelHtlc; readonly how: 'settled' | 'failed' }
  | { readonly kind: 'fee'; readonly feeratePerKw: number };

/** One update of BOLT 2, and how far it is on its way through both commitments. */
interface Update {
  readonly from: Party;
  readonly change: Change;
  /** Part of the newest commitment of that side that is signed and not acknowledged. */
  inPeers: boolean;
  inOurs: boolean;
  /** The side has revoked the commitment before the one that has it. */
  peersAcked: boolean;
  oursAcked: boolean;
}

/** An HTLC and what its two ends want of it. */
interface Fate {
  readonly htlc: ModelHtlc;
  readonly channel: LiveChannel;
  /** What its receiver will do, once it can. */
  readonly how: 'settled' | 'failed';
  isProposed: boolean;
}

/** A payment that comes in, and what we do with it. */
interface Incoming extends Fate {
  readonly purpose: 'forward' | 'invoice' | 'stray';
  outgoing: Outgoing | null;
  /** Decided and written down by the node: a crash does not change its mind. */
  decided: 'settled' | 'failed' | null;
}

interface Outgoing {
  readonly htlc: ModelHtlc;
  readonly channel: LiveChannel;
  readonly incoming: Incoming | null;
  readonly how: 'settled' | 'failed';
  state: 'offered' | 'standing' | 'resolving' | 'settled' | 'failed' | 'forgotten';
  /** Signed in a variant of this number of the peer's, then forgotten: claimable until that number is revoked. */
  variantOf: number;
}

const MARGIN_MSAT = 60_000_000n;
/** What is forwarded is shown in every channel it may run over, or in none: between them, in one and not in the other. */
const TRIMMED_EVERYWHERE_MSAT = 340_000n;
const SHOWN_EVERYWHERE_MSAT = 3_500_000n;
const HTLCS_MAX = 7;
const VARIANTS_MAX = 8;
const OUT_EXPIRY = 700_000;
const IN_EXPIRY = 700_060;

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

/** Small numbers from one: what a step needs beside its choice. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = (seed * 2654435761 + 12345) >>> 0;
  }

  /** 0 to `sides` − 1. */
  roll(sides: number): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
    return Math.floor((this.#state / 2 ** 32) * sides);
  }

  chance(percent: number): boolean {
    return this.roll(100) < percent;
  }

  of<T>(list: readonly T[]): T | undefined {
    return list[this.roll(list.length)];
  }
}

/** An invoice of somebody that we pay, perhaps in parts, perhaps again. */
interface Payment {
  readonly preimage: Uint8Array;
  readonly amountMsat: bigint;
  attempts: number;
  parts: Outgoing[];
  isDone: boolean;
}

export interface NodeOptions {
  readonly channels: readonly ModelOptions[];
  /** Called with each honest request before it is asked. */
  readonly before?: (channel: LiveChannel | null, request: Request) => void;
}

export class HonestNode {
  readonly signer: QuickSigner;
  readonly channels: readonly LiveChannel[];
  incomings: Incoming[] = [];
  outgoings: Outgoing[] = [];
  payments: Payment[] = [];
  /** Of payments, in hex; delivered to the signer. */
  readonly known = new Set<string>();
  /** Requests that were answered "not now". */
  waits = 0;
  readonly #before: NonNullable<NodeOptions['before']>;
  #labels = 0;

  constructor(signer: QuickSigner, options: NodeOptions) {
    this.signer = signer;
    this.#before = options.before ?? (() => {});
    this.channels = options.channels.map((one) => new LiveChannel(this, one));
    for (const channel of this.channels) channel.open();
    // The plugin says that it will deliver preimages.
    this.ask({ name: 'countersign_preimages', preimages: [] }, null);
  }

  ask(request: Request, channel: LiveChannel | null): void {
    this.#before(channel, request);
    this.signer.ask(request, channel?.ref ?? null);
  }

  /** False when it was refused for now. */
  askOrWait(request: Request, channel: LiveChannel): boolean {
    this.#before(channel, request);
    const state = this.signer.state;
    const refusal = this.signer.try(request, channel.ref);
    if (refusal === null) return true;
    if (refusal.temporary) {
      this.waits += 1;
      return false;
    }
    this.signer.state = state;
    this.signer.ask(request, channel.ref);
    return false;
  }

  learn(htlcs: readonly ModelHtlc[]): void {
    const preimages = htlcs.map(({ preimage }) => preimage).filter((one) => !this.known.has(toHex(one)));
    if (preimages.length === 0) return;
    this.ask({ name: 'countersign_preimages', preimages }, null);
    for (const preimage of preimages) this.known.add(toHex(preimage));
  }

  step(pick: number): void {
    this.signer.nowSeconds += 30;
    const dice = new Dice(pick);
    const channel = dice.of(this.channels)!;
    const actions = this.#actions(channel, dice);
    dice.of(actions)?.();
  }

  #actions(channel: LiveChannel, dice: Dice): readonly (() => void)[] {
    const actions: (() => void)[] = [];
    const often = (action: () => unknown) => {
      for (let i = 0; i < 4; i++) actions.push(() => void action());
    };
    if (channel.peersPending) often(() => channel.peerRevokes());
    if (channel.canSignPeers) often(() => channel.signPeers());
    if (channel.oursPending) often(() => channel.revoke());
    if (channel.canValidate) often(() => channel.validate());
    if (channel.htlcCount < HTLCS_MAX) {
      actions.push(() => this.#peerAdds(channel, dice));
      actions.push(() => this.#pay(dice));
    }
    actions.push(
      () => this.#resolveOutgoing(channel, dice),
      () => this.#resolveIncoming(channel, dice),
      () => this.#resolveIncoming(channel, dice),
      () => this.#retry(dice),
    );
    if (dice.chance(10)) actions.push(() => channel.reconnect());
    if (dice.chance(20)) actions.push(() => channel.repeat());
    if (dice.chance(30)) actions.push(() => this.#changeFee(channel, dice));
    return actions;
  }

  /** Dust and larger amounts, around the lines where HTLCs are trimmed, with odd millisatoshis. */
  #amountMsat(dice: Dice): bigint {
    const isDust = dice.chance(15);
    // No two payments are worth the same: which of two equal ones was trimmed and which failed, nothing shows.
    const amountSat = (isDust ? 100 + dice.roll(1400) : 1500 + dice.roll(30_000)) + (this.#labels % 89);
    return BigInt(amountSat) * 1000n + BigInt(dice.roll(3) === 0 ? dice.roll(1000) : 0);
  }

  #preimage(): Uint8Array {
    this.#labels += 1;
    return bytesOf(`payment ${this.#labels}`);
  }

  #peerAdds(channel: LiveChannel, dice: Dice): void {
    const purpose = dice.of(['forward', 'forward', 'forward', 'invoice', 'stray'] as const)!;
    const amountMsat = this.#amountMsat(dice);
    const isNearTrimLine = amountMsat > TRIMMED_EVERYWHERE_MSAT && amountMsat < SHOWN_EVERYWHERE_MSAT;
    if (purpose === 'forward' && isNearTrimLine) return;
    if (channel.spendableMsat('counterparty') < amountMsat) return;
    const standing = this.incomings.filter(
      (one) => one.purpose === purpose && purpose === 'forward' && !this.#isEnding(one.htlc),
    );
    // Parts of one payment share their hash; some are equal in everything.
    const twin = dice.chance(15) ? dice.of(standing) : undefined;
    const htlc: ModelHtlc = {
      offeredBy: 'counterparty',
      amountMsat: twin?.htlc.amountMsat ?? amountMsat,
      preimage: twin?.htlc.preimage ?? this.#preimage(),
      cltvExpiry: IN_EXPIRY + dice.roll(3),
    };
    if (channel.spendableMsat('counterparty') < htlc.amountMsat) return;
    const how = dice.chance(70) ? 'settled' : 'failed';
    if (purpose === 'invoice') this.#signInvoice(htlc);
    this.incomings.push({
      htlc,
      channel,
      purpose,
      how: twin?.how ?? (purpose === 'stray' ? 'failed' : how),
      isProposed: false,
      outgoing: null,
      decided: null,
    });
    channel.propose('counterparty', { kind: 'add', htlc });
  }

  #signInvoice(htlc: ModelHtlc): void {
    const hrp = new TextEncoder().encode(`lnbcrt${htlc.amountMsat * 10n}p`);
    const u5bytes = Uint8Array.from([
      ...[1, 18, 21, 6, 30, 0, 0],
      ...[1, 1, 20, ...words(sha256(htlc.preimage))],
      ...[16, 1, 20, ...words(bytesOf('payment secret'))],
      ...[13, 0, 2, ...words(Uint8Array.of(65))],
    ]);
    this.ask({ name: 'hsmd_sign_invoice', u5bytes, hrp }, null);
  }

  /** Standing in both commitments for good. */
  #isStanding({ htlc, channel }: { readonly htlc: ModelHtlc; readonly channel: LiveChannel }): boolean {
    return channel.base.htlcs.includes(htlc);
  }

  /** The peer fulfils or fails one of ours. */
  #resolveOutgoing(channel: LiveChannel, dice: Dice): void {
    const open = this.outgoings.filter((one) => one.channel === channel && one.state === 'standing');
    const one = dice.of(open);
    if (one === undefined || !this.#isComplete(one.htlc)) return;
    one.state = 'resolving';
    channel.propose('counterparty', { kind: 'remove', htlc: one.htlc, how: one.how });
  }

  /** Nobody shows a preimage before all parts have arrived and those that failed on the way are gone. */
  #isComplete(htlc: ModelHtlc): boolean {
    const isSame = (one: Outgoing | Incoming) => one.htlc.preimage === htlc.preimage;
    return (
      this.outgoings.filter(isSame).every(({ state }) => state !== 'offered' && state !== 'forgotten') &&
      this.incomings
        .filter(isSame)
        .every(({ outgoing, decided }) => outgoing !== null && decided !== 'failed')
    );
  }

  #isEnding(htlc: ModelHtlc): boolean {
    const isSame = (one: Outgoing) => one.htlc.preimage === htlc.preimage;
    return (
      this.known.has(toHex(htlc.preimage)) ||
      this.outgoings.filter(isSame).some(({ state }) => state !== 'offered' && state !== 'standing')
    );
  }

  /** What the node does about one that came in on this channel. */
  #resolveIncoming(channel: LiveChannel, dice: Dice): void {
    const open = this.incomings.filter(
      (one) => one.channel === channel && !one.isProposed && this.#isStanding(one),
    );
    const one = dice.of(open);
    if (one === undefined) return;
    if (one.decided !== null || one.purpose !== 'forward') this.#release(one, one.decided ?? one.how);
    else if (channel.hasLooseVariants) return;
    else if (one.outgoing === null) this.#forward(one, dice);
    else this.#release(one, this.#endOf(one.outgoing));
  }

  /** How the outgoing part of a forward ended, or is known to end; null while it may go either way. */
  #endOf(outgoing: Outgoing): 'settled' | 'failed' | null {
    if (outgoing.state === 'failed') return outgoing.channel.hasLooseVariants ? null : 'failed';
    if (this.known.has(toHex(outgoing.htlc.preimage)) && outgoing.how === 'settled') return 'settled';
    const isGone = outgoing.state === 'forgotten' && outgoing.channel.theirNumber > outgoing.variantOf;
    return isGone ? 'failed' : null;
  }

  #release(one: Incoming, how: 'settled' | 'failed' | null): void {
    if (how === null) return;
    if (how === 'settled') this.learn([one.htlc]);
    one.isProposed = true;
    one.decided = how;
    one.channel.propose('holder', { kind: 'remove', htlc: one.htlc, how });
  }

  #forward(incoming: Incoming, dice: Dice): void {
    const { amountMsat, preimage, cltvExpiry } = incoming.htlc;
    const channel = dice.of(this.channels)!;
    const outMsat = amountMsat - amountMsat / 100n - 1000n;
    const isPossible =
      outMsat > 0n &&
      channel !== incoming.channel &&
      channel.htlcCount < HTLCS_MAX &&
      channel.spendableMsat('holder') >= outMsat;
    if (!isPossible || dice.chance(10)) {
      this.#release(incoming, 'failed');
      return;
    }
    const htlc: ModelHtlc = {
      offeredBy: 'holder',
      amountMsat: outMsat,
      preimage,
      cltvExpiry: cltvExpiry - 40,
    };
    incoming.outgoing = this.#offer(channel, htlc, incoming, incoming.how);
  }

  #offer(
    channel: LiveChannel,
    htlc: ModelHtlc,
    incoming: Incoming | null,
    how: 'settled' | 'failed',
  ): Outgoing {
    const outgoing: Outgoing = { htlc, channel, incoming, how, state: 'offered', variantOf: -1 };
    this.outgoings.push(outgoing);
    channel.propose('holder', { kind: 'add', htlc });
    return outgoing;
  }

  /** An invoice is approved, and paid over one or two channels; or one whose parts all failed is tried again. */
  #pay(dice: Dice): void {
    const again = this.payments.find(
      ({ parts, isDone, attempts }) =>
        !isDone && attempts < 3 && parts.every((part) => this.#endOf(part) === 'failed'),
    );
    const payment = again ?? this.#approve(dice);
    const count = dice.chance(40) ? 2 : 1;
    const partMsat = payment.amountMsat / BigInt(count);
    const channels = this.channels.filter(
      (one) => one.htlcCount < HTLCS_MAX && one.spendableMsat('holder') > payment.amountMsat,
    );
    if (channels.length === 0) return;
    payment.attempts += 1;
    // A part that a crash made the node forget is given up with the attempt it belonged to.
    for (const part of payment.parts) part.state = 'failed';
    const how = payment.attempts === 3 || dice.chance(60) ? 'settled' : 'failed';
    if (how === 'settled') payment.isDone = true;
    payment.parts = Array.from({ length: count }, (_, i) => {
      const amountMsat = i === 0 ? payment.amountMsat - partMsat * BigInt(count - 1) : partMsat;
      const htlc: ModelHtlc = {
        offeredBy: 'holder',
        amountMsat,
        preimage: payment.preimage,
        cltvExpiry: OUT_EXPIRY + dice.roll(2),
      };
      return this.#offer(dice.of(channels)!, htlc, null, how);
    });
  }

  #approve(dice: Dice): Payment {
    const preimage = this.#preimage();
    const amountMsat = this.#amountMsat(dice);
    const createdAtSeconds = this.signer.nowSeconds;
    const hrp = `lnbcrt${amountMsat * 10n}p`;
    const invstring = bolt11({ hrp, hash: sha256(preimage), createdAtSeconds });
    this.ask({ name: 'hsmd_preapprove_invoice_check', invstring, checkOnly: false }, null);
    const payment: Payment = { preimage, amountMsat, attempts: 0, parts: [], isDone: false };
    this.payments.push(payment);
    return payment;
  }

  /** What a lost link made the node forget is offered again, or given up once its number is revoked. */
  #retry(dice: Dice): void {
    const one = dice.of(this.outgoings.filter(({ state }) => state === 'forgotten'));
    if (one === undefined) return;
    const { channel, htlc } = one;
    const isReleased = one.incoming !== null && !this.#isStanding(one.incoming);
    if (isReleased || one.incoming?.decided != null) {
      one.state = 'failed';
    } else if (channel.theirNumber > one.variantOf && dice.chance(50)) {
      one.state = 'failed';
    } else if (channel.htlcCount < HTLCS_MAX && channel.spendableMsat('holder') > htlc.amountMsat) {
      one.state = 'offered';
      channel.propose('holder', { kind: 'add', htlc });
    }
  }

  #changeFee(channel: LiveChannel, dice: Dice): void {
    const from: Party = channel.model.isOutbound ? 'holder' : 'counterparty';
    if (channel.updates.some(({ change }) => change.kind === 'fee')) return;
    channel.propose(from, { kind: 'fee', feeratePerKw: 500 + dice.roll(2000) });
  }

  onIrrevocable(channel: LiveChannel, change: Change): void {
    if (change.kind === 'fee') return;
    const { htlc } = change;
    const outgoing = this.outgoings.find((one) => one.htlc === htlc && one.channel === channel);
    if (change.kind === 'add') {
      if (outgoing !== undefined) outgoing.state = 'standing';
    } else if (outgoing !== undefined) {
      outgoing.state = change.how;
      this.outgoings = this.outgoings.filter((one) => one !== outgoing);
    } else {
      this.incomings = this.incomings.filter((one) => one.htlc !== htlc || one.channel !== channel);
    }
  }

  /** `variantOf`: the peer's number it was signed in, −1 when it never was. */
  onForgotten(channel: LiveChannel, from: Party, change: Change, variantOf: number): void {
    if (change.kind === 'fee') return;
    const { htlc } = change;
    const outgoing = this.outgoings.find((one) => one.htlc === htlc && one.channel === channel);
    const incoming = this.incomings.find((one) => one.htlc === htlc && one.channel === channel);
    if (from === 'holder') {
      if (change.kind === 'remove') incoming!.isProposed = false;
      else {
        outgoing!.state = 'forgotten';
        outgoing!.variantOf = Math.max(outgoing!.variantOf, variantOf);
      }
    } else if (change.kind === 'remove') outgoing!.state = 'standing';
    else this.incomings = this.incomings.filter((one) => one !== incoming);
  }

  isForward(htlc: ModelHtlc): boolean {
    return this.outgoings.some((one) => one.htlc === htlc && one.incoming !== null);
  }

  isKnown({ preimage }: ModelHtlc): boolean {
    return this.known.has(toHex(preimage));
  }

  /** The outgoing part of this payment was or will be settled: the incoming one is ours. */
  isOwed(htlc: ModelHtlc): boolean {
    return this.incomings.some((one) => one.htlc === htlc && one.purpose === 'forward');
  }

  /** Everything that is under way comes to its end; throws when something can't. */
  quiesce(): void {
    const dice = new Dice(1);
    for (let round = 0; round < 400; round++) {
      for (const channel of this.channels) {
        // Any update moves the channel beyond a number with variants.
        if (channel.hasLooseVariants && channel.updates.length === 0) this.#changeFee(channel, dice);
        if (channel.canSignPeers) channel.signPeers();
        if (channel.peersPending) channel.peerRevokes();
        if (channel.canValidate) channel.validate();
        if (channel.oursPending) channel.revoke();
        this.#resolveOutgoing(channel, dice);
        this.#resolveIncoming(channel, dice);
      }
      this.#retry(dice);
      const isQuiet = this.channels.every((one) => one.base.htlcs.length === 0 && one.updates.length === 0);
      if (isQuiet && this.outgoings.every(({ state }) => state !== 'forgotten')) return;
    }
    throw new Error('something never ends');
  }
}
