/**
 * The referee: after every step, what the owner is certain to keep, and whether it fell by more than the owner agreed to.
 * Consent is part of W here (see the README), so W may only rise, but for trimmed value and rounding within their limits.
 */
import type { Request } from '@countersign/wire';
import type { Tx } from '../bitcoin/transaction.ts';
import type { Client, Outcome, OwnerAct } from '../subject.ts';
import { Knowledge } from './knowledge.ts';
import { placesOf, stakesOf } from './places.ts';
import type { Option, Place, Problem, Strategy } from './problem.ts';
import type { OwnerTerms } from './terms.ts';
import { leastWealth } from './wealth.ts';

export interface Verdict {
  /** What the owner is certain of, with what it agreed to give. */
  readonly wealthSat: number;
  /** The highest `wealthSat` so far. */
  readonly highSat: number;
  /** Left with the owner's consent. */
  readonly agreedSat: number;
  /** Null: nothing is missing. */
  readonly theft: Theft | null;
}

export interface Theft {
  readonly missingSat: number;
  readonly strategy: Strategy;
  readonly places: readonly Place[];
}

const KEPT: Option = {
  name: 'kept',
  txid: null,
  directSat: 0,
  slackSat: 0,
  htlcs: [],
  tallies: new Map(),
};

export class Referee {
  readonly known: Knowledge;
  /** The first time that the clock was shown. */
  #startSeconds: number | null = null;
  #nowSeconds = 0;
  #highSat = 0;
  /** By height, `#highSat` before the block of that height came. */
  readonly #highsBefore = new Map<number, number>();
  /** Checks so far, and those that needed the second look. */
  readonly counts = { checks: 0, secondLooks: 0 };

  constructor(terms: OwnerTerms) {
    this.known = new Knowledge(terms);
  }

  observed(client: Client, request: Request, outcome: Outcome): void {
    this.known.observed(client, request, outcome);
  }

  ownerActed(act: OwnerAct, failure: string | null): void {
    this.known.ownerActed(act, failure);
  }

  blockConnected(txs: readonly Tx[]): void {
    this.known.connect(txs);
    this.#highsBefore.set(this.known.book.heightBlocks, this.#highSat);
  }

  /**
   * What W gained since that block came may rest on it: an HTLC that was resolved there, and is open again now. What it had before
   * does not, and must still be there.
   */
  blockDisconnected(): void {
    this.#highSat = this.#highsBefore.get(this.known.book.heightBlocks) ?? this.#highSat;
    this.known.disconnect();
  }

  clock(nowSeconds: number): void {
    this.#startSeconds ??= nowSeconds;
    this.#nowSeconds = Math.max(this.#nowSeconds, nowSeconds);
  }

  /** The problem as it stands now. */
  problem(): Problem {
    const { known } = this;
    const times = { ...known.terms.times, heightBlocks: known.book.heightBlocks };
    const files = [...known.files.values()].filter(({ fundings }) => fundings.size > 0);
    const stakes = files.map(stakesOf);
    const places = files.flatMap((file) => placesOf(known, file, stakes, times));
    const coins = known.coins.worth();
    const wallet = { name: 'coins', channel: null, options: [{ ...KEPT, slackSat: coins.slackSat }] };
    return {
      times,
      baseSat: coins.certainSat + this.#agreedSat(),
      places: [wallet, ...known.released.places(), ...places],
      paymentOf: (hash) => known.payments.of(hash),
    };
  }

  #agreedSat(): number {
    const { coins, payments, terms } = this.known;
    const feesSat = Math.min(coins.walletFeesSat, terms.feeVelocitySat * this.#periods());
    return coins.agreedSat + feesSat + payments.approvedLossSat;
  }

  #periods(): number {
    return 1 + Math.floor((this.#nowSeconds - (this.#startSeconds ?? 0)) / this.known.terms.windowSeconds);
  }

  /** The highest that W ever was. */
  get highSat(): number {
    return this.#highSat;
  }

  /** What may leave by trimmed HTLCs and rounding, until now. */
  get allowedSat(): number {
    return this.known.terms.dustOutflowSat * this.#periods();
  }

  /** To be asked after every step: a fall that is made good later is a fall. */
  verdict(): Verdict {
    this.counts.checks += 1;
    const problem = this.problem();
    const { wealthSat } = leastWealth(problem);
    const { allowedSat } = this;
    const verdict = { wealthSat, highSat: this.#highSat, agreedSat: this.#agreedSat() };
    if (wealthSat >= this.#highSat) {
      this.#highSat = Math.max(this.#highSat, wealthSat - this.known.looseCoverSat);
      return { ...verdict, highSat: this.#highSat, theft: null };
    }
    if (wealthSat + allowedSat >= this.#highSat) return { ...verdict, theft: null };
    this.counts.secondLooks += 1;
    // What may still be the owner's is given the benefit of the doubt before anybody is called a thief.
    const strategy = leastWealth(problem, true);
    const missingSat = this.#highSat - strategy.wealthSat - allowedSat;
    if (missingSat <= 0) return { ...verdict, theft: null };
    return { ...verdict, theft: { missingSat, strategy, places: problem.places } };
  }
}
