/**
 * What the owner stands to lose, as plain numbers: places where the attacker has a choice, what each choice leaves to the
 * owner, and the payments that tie places together. Satoshi are JavaScript numbers here: all the coins there are
 * fit in 51 bits.
 */

/** An HTLC output that a transaction of the attacker's choice puts on the chain, or that stands there already. */
export interface HtlcAtStake {
  /** Payment hash, hex. */
  readonly hash: string;
  readonly direction: 'offered' | 'received';
  /** What its output is worth to who gets it. */
  readonly valueSat: number;
  /** For an offered one: that the owner can take it back after its expiry. For a received one: that a preimage helps. */
  readonly isOwnable: boolean;
  readonly expiryBlocks: number;
}

/** What went out and came in under a payment hash, off the chain or on it, whoever it was. */
export interface Tally {
  readonly paidSat: number;
  readonly creditedSat: number;
}

/** One future of one place. */
export interface Option {
  /** For the story, for example `counterparty commitment 7`. */
  readonly name: string;
  /** The transaction that the attacker publishes, hex; null where it publishes none. */
  readonly txid: string | null;
  /** The owner's for certain in this future: by scripts that only the owner can spend in time, and credited fees. */
  readonly directSat: number;
  /** What may be the owner's or not: trimmed HTLCs in flight, rounding. Never counted as wealth, allowed for in a fall. */
  readonly slackSat: number;
  readonly htlcs: readonly HtlcAtStake[];
  /** How this future differs from the settled tallies, by payment hash. */
  readonly tallies: ReadonlyMap<string, Tally>;
}

/** Somewhere the attacker chooses: a channel, or a set of released transactions that exclude each other. */
export interface Place {
  readonly name: string;
  /** The channel's id; null for the wallet. */
  readonly channel: string | null;
  /** Key of the funding that it is about; undefined where there is none, or any of several. */
  readonly funding?: string | undefined;
  readonly options: readonly Option[];
}

export interface PaymentFacts {
  /** Amount and fee budget that the owner approved; for one payment. */
  readonly approvedSat: number;
  /** The signer was told the preimage, or saw it in a block. */
  readonly isKnown: boolean;
  /** The same in every future. */
  readonly settled: Tally;
}

export interface Times {
  readonly heightBlocks: number;
  /** Blocks that the owner's tool needs from a fact to a confirmed transaction. */
  readonly reactBlocks: number;
  /** Blocks after the expiry of an offered HTLC at which the owner has acted. */
  readonly graceBlocks: number;
  /** Distance of expiries that makes a preimage learned downstream useful upstream. */
  readonly deltaBlocks: number;
}

export interface Problem {
  readonly times: Times;
  /** The owner's whatever the attacker chooses. */
  readonly baseSat: number;
  readonly places: readonly Place[];
  readonly paymentOf: (hash: string) => PaymentFacts;
}

/** The attacker's best play. */
export interface Strategy {
  readonly wealthSat: number;
  /** Of the options chosen. */
  readonly slackSat: number;
  /** By place, the index of its option. */
  readonly choices: readonly number[];
  /** Hashes whose preimage the attacker shows, with the earliest expiry claimed. */
  readonly reveals: ReadonlyMap<string, number>;
}

export const NO_TALLY: Tally = { paidSat: 0, creditedSat: 0 };

export const addTallies = (a: Tally, b: Tally): Tally => ({
  paidSat: a.paidSat + b.paidSat,
  creditedSat: a.creditedSat + b.creditedSat,
});

/** What an approval covers of what went out for good. It is a part of `baseSat`. */
export function approvedLoss({ approvedSat, settled }: PaymentFacts): number {
  return Math.min(approvedSat, Math.max(0, settled.paidSat - settled.creditedSat));
}
