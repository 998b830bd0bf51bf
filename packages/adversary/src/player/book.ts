/**
 * What the node knows of payments: forwards, payments of its own, invoices, with their parts on the channels and how far
 * each is. An honest node decides by it; an attacker knows every preimage in it.
 */
import { equalBytes, toHex } from '../bitcoin/bytes.ts';
import { sha256 } from '../bitcoin/hash.ts';
import { NODE } from '../subject.ts';
import type { Channel } from './channel.ts';
import { preimagesRequest } from './requests.ts';
import type { Change, Htlc } from './state.ts';
import type { Update } from './update-log.ts';
import type { World } from './world.ts';

export type Ending = 'settled' | 'failed';
export type Purpose = 'forward' | 'own' | 'invoice' | 'stray';

/** One HTLC of a payment. */
export interface Part {
  readonly payment: Payment;
  readonly channel: Channel;
  readonly htlc: Htlc;
  /** `lost`: forgotten with a lost link before the other side had it for good. */
  state: 'proposed' | 'standing' | 'removing' | 'lost' | Ending;
  /** Of an incoming part of a forward: the one that pays it on. */
  onward: Part | null;
  /** Of an incoming part: written down by the node; no crash changes its mind. */
  decided: Ending | null;
  /** Of a lost outgoing part: the peer's number that it may stand in; −1 when it was never signed. */
  variantOf: number;
}

export interface Payment {
  readonly preimage: Uint8Array;
  readonly hash: Uint8Array;
  readonly purpose: Purpose;
  /** What comes of it, once its receiver decides. */
  ending: Ending;
  /** Of an invoice: without routing fees. */
  readonly amountMsat: bigint;
  readonly incoming: Part[];
  readonly outgoing: Part[];
  attempts: number;
  isApproved: boolean;
  /** The signer has been given the preimage. */
  isKnown: boolean;
}

/** Ended payments that an attacker may still come back to. */
const ENDED_MAX = 32;

export class Book {
  readonly #world: World;
  readonly live = new Map<string, Payment>();
  ended: Payment[] = [];

  constructor(world: World) {
    this.#world = world;
  }

  get payments(): readonly Payment[] {
    return [...this.live.values()];
  }

  begin(preimage: Uint8Array, purpose: Purpose, amountMsat: bigint, ending: Ending): Payment {
    const payment: Payment = {
      preimage,
      hash: sha256(preimage),
      purpose,
      ending,
      amountMsat,
      incoming: [],
      outgoing: [],
      attempts: 0,
      isApproved: false,
      isKnown: false,
    };
    this.live.set(toHex(payment.hash), payment);
    return payment;
  }

  find(hash: Uint8Array): Payment | undefined {
    return this.live.get(toHex(hash)) ?? this.ended.find((one) => equalBytes(one.hash, hash));
  }

  addPart(payment: Payment, channel: Channel, htlc: Htlc): Part {
    const part: Part = {
      payment,
      channel,
      htlc,
      state: 'proposed',
      onward: null,
      decided: null,
      variantOf: -1,
    };
    (htlc.offeredBy === 'owner' ? payment.outgoing : payment.incoming).push(part);
    return part;
  }

  partsOn(channel: Channel, offeredBy: 'owner' | 'peer'): Part[] {
    return this.payments.flatMap((payment) =>
      (offeredBy === 'owner' ? payment.outgoing : payment.incoming).filter((one) => one.channel === channel),
    );
  }

  partOf(channel: Channel, htlc: Htlc): Part | undefined {
    const payment = this.find(htlc.paymentHash);
    const parts = htlc.offeredBy === 'owner' ? payment?.outgoing : payment?.incoming;
    return parts?.find((one) => one.channel === channel && one.htlc.id === htlc.id);
  }

  /** The signer is given the preimages of these hashes; each once. */
  async learn(hashes: readonly Uint8Array[]): Promise<void> {
    const fresh = hashes
      .map((hash) => this.find(hash))
      .filter((one): one is Payment => one !== undefined && !one.isKnown);
    const unique = [...new Set(fresh)];
    if (unique.length === 0) return;
    const request = preimagesRequest(unique.map(({ preimage }) => preimage));
    if ((await this.#world.ask(NODE, request)) === null) return;
    for (const payment of unique) payment.isKnown = true;
  }

  /** These updates are in both commitments for good. */
  settle(channel: Channel, done: readonly Update[]): void {
    for (const { change } of done) {
      const part = this.#partOfChange(channel, change);
      if (part === undefined) continue;
      if (change.kind === 'add') part.state = 'standing';
      else if (change.kind === 'remove')
        this.end(part, change.to === part.htlc.offeredBy ? 'failed' : 'settled');
    }
  }

  end(part: Part, how: Ending): void {
    part.state = how;
    this.#retire(part.payment);
  }

  /** These updates were forgotten. */
  lose(channel: Channel, lost: readonly Update[]): void {
    for (const { from, change, in: stages } of lost) {
      const part = this.#partOfChange(channel, change);
      if (part === undefined) continue;
      if (change.kind === 'remove') part.state = 'standing';
      else if (change.kind === 'add' && from === 'peer') this.#drop(part);
      else if (change.kind === 'add') {
        part.state = 'lost';
        if (stages.peer === 'signed')
          part.variantOf = Math.max(part.variantOf, channel.log.views.peer.number + 1);
      }
    }
  }

  #partOfChange(channel: Channel, change: Change): Part | undefined {
    return change.kind === 'add' || change.kind === 'remove' ? this.partOf(channel, change.htlc) : undefined;
  }

  #drop(part: Part): void {
    const { incoming } = part.payment;
    incoming.splice(incoming.indexOf(part), 1);
    this.#retire(part.payment);
  }

  /** Ended everywhere: off the list. A payment of ours that failed may be tried again. */
  #retire(payment: Payment): void {
    const isOver = (one: Part) => one.state === 'settled' || one.state === 'failed';
    if (![...payment.incoming, ...payment.outgoing].every(isOver)) return;
    const isRetried =
      payment.purpose === 'own' &&
      payment.attempts < 3 &&
      !payment.outgoing.some((one) => one.state === 'settled');
    if (isRetried) return;
    this.giveUp(payment);
  }

  giveUp(payment: Payment): void {
    this.live.delete(toHex(payment.hash));
    this.ended.push(payment);
    if (this.ended.length > ENDED_MAX) this.ended.shift();
  }
}

/** How an outgoing part ended, or is known to end; null while it may go either way. */
export function endOf(part: Part): Ending | null {
  const { channel, payment } = part;
  if (part.state === 'failed') return channel.log.hasLooseVariants('peer') ? null : 'failed';
  if (part.state === 'settled') return 'settled';
  if (payment.isKnown && payment.ending === 'settled' && part.state !== 'lost') return 'settled';
  return part.state === 'lost' && channel.log.views.peer.number > part.variantOf ? 'failed' : null;
}

/** No receiver shows a preimage before all parts have arrived and those that failed on the way are gone. */
export const isComplete = ({ incoming, outgoing }: Payment): boolean =>
  outgoing.every(({ state }) => state !== 'proposed' && state !== 'lost') &&
  incoming.every(({ onward, decided }) => onward !== null && decided !== 'failed');

/** Some part is on its way out: no new parts come. */
export const isEnding = (payment: Payment): boolean =>
  payment.isKnown ||
  payment.outgoing.some(({ state }) => state !== 'proposed' && state !== 'standing') ||
  payment.incoming.some(({ decided }) => decided !== null);
