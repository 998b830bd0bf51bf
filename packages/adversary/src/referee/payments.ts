/**
 * What the owner consented to under each payment hash, and what went out and came in under it for good. Keeps the sum of
 * what approvals cover, so that hashes of the past cost nothing.
 */
import { addTallies, approvedLoss, NO_TALLY, type PaymentFacts, type Tally } from './problem.ts';

const UNKNOWN: PaymentFacts = { approvedSat: 0, isKnown: false, settled: NO_TALLY };

export class Payments {
  readonly #facts = new Map<string, PaymentFacts>();
  #approvedLossSat = 0;
  #approvedSat = 0;
  #watched: string[] | null = null;
  readonly #surplus = new Set<string>();

  /** Of all that left for good, what the owner had approved. */
  get approvedLossSat(): number {
    return this.#approvedLossSat;
  }

  /** All that was ever approved, used or not. */
  get approvedSat(): number {
    return this.#approvedSat;
  }

  /** Hashes under which more came in for good than went out. */
  get surplus(): readonly string[] {
    return [...this.#surplus];
  }

  of(hash: string): PaymentFacts {
    return this.#facts.get(hash) ?? UNKNOWN;
  }

  isKnown(hash: string): boolean {
    return this.of(hash).isKnown;
  }

  learn(hash: string): void {
    if (!this.isKnown(hash)) this.#watched?.push(hash);
    this.#set(hash, { ...this.of(hash), isKnown: true });
  }

  /** Ends with the call of what is returned: the hashes learned until then. */
  watchLearning(): () => readonly string[] {
    const learned: string[] = [];
    this.#watched = learned;
    return () => {
      this.#watched = null;
      return learned;
    };
  }

  /** Only where what was seen is taken back with the block that showed it: on a chain that was only tried. */
  forget(hash: string): void {
    this.#set(hash, { ...this.of(hash), isKnown: false });
  }

  /** A later approval replaces an earlier one and never adds to it. */
  approve(hash: string, approvedSat: number): void {
    const facts = this.of(hash);
    this.#approvedSat += Math.max(0, approvedSat - facts.approvedSat);
    this.#set(hash, { ...facts, approvedSat: Math.max(facts.approvedSat, approvedSat) });
  }

  settle(hash: string, tally: Tally): void {
    const facts = this.of(hash);
    this.#set(hash, { ...facts, settled: addTallies(facts.settled, tally) });
  }

  #set(hash: string, facts: PaymentFacts): void {
    this.#approvedLossSat += approvedLoss(facts) - approvedLoss(this.of(hash));
    this.#facts.set(hash, facts);
    if (facts.settled.creditedSat > facts.settled.paidSat) this.#surplus.add(hash);
    else this.#surplus.delete(hash);
  }
}
