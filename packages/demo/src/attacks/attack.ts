/**
 * An attack: what a thief who has taken over the node asks the signer for, told so that somebody who has never seen Lightning
 * follows it. Each is tried for real, on the live channel.
 */
import type { Outcome } from '@countersign/adversary';
import type { WatchedDoor } from '../watch.ts';

export interface Loot {
  /** Our side of the channel, in satoshi. */
  readonly channelSat: bigint;
  readonly walletSat: bigint;
}

export interface AttackPlace {
  readonly door: WatchedDoor;
  readonly loot: Loot;
  /** The wallet's coins and where the thief wants them, as a transaction to sign. */
  readonly withdrawal: () => WithdrawalToThief | null;
  readonly randomBytes: (count: number) => Uint8Array;
  /** The newest header that the signer has, and its height. */
  readonly tip: () => { readonly header: Uint8Array; readonly heightBlocks: number };
}

export type WithdrawalToThief = Pick<
  Extract<Parameters<WatchedDoor['askAs']>[1], { name: 'hsmd_sign_withdrawal' }>,
  'inputs' | 'psbt'
>;

export interface Attack {
  readonly title: string;
  /** What the thief does, and what it would bring. One or two sentences. */
  readonly story: string;
  /** What it would bring, in satoshi. */
  stakeSat(loot: Loot): bigint;
  /** Asks the signer; null where the channel is not far enough for it yet. */
  attempt(place: AttackPlace): Promise<Outcome | null>;
}

/** P2WPKH of a key that is nobody's here: the thief's. */
export const THIEF_SCRIPT: Uint8Array = Uint8Array.of(0x00, 0x14, ...new Uint8Array(20).fill(0x13));
