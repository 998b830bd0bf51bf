/**
 * A node with several channels, honest peers, and everything that happens between them by BOLT 2: adds, fulfils,
 * fails and fee updates in any interleaving, forwards, own payments in parts and again, own invoices, lost links.
 * A list of numbers decides what happens next; each step asks the signer what CLN would ask it.
 */
import { sha256, toHex } from '@countersign/bitcoin';
import type { Request } from '@countersign/wire';
import type { ModelHtlc, ModelOptions, Party } from './channel-model.ts';
import { Dice } from './dice.ts';
import { bolt11, words } from './invoices.ts';
import { type Change, LiveChannel } from './live-channel.ts';
import type { QuickSigner } from './quick-signer.ts';
import { bytesOf } from './test-signer.ts';

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

const HTLCS_MAX = 7;
const OUT_EXPIRY = 700_000;
const IN_EXPIRY = 700_060;

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
