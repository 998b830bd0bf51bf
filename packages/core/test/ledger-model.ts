/**
 * Commitments as numbers: what a side's commitment shows of given balances, with the dust limit of who may publish it.
 * For tests of law 2's arithmetic without transactions.
 */
import {
  ANCHOR_SAT,
  type CommitmentFormat,
  commitmentFeeSat,
  hasAnchors,
  htlcTrimThresholdSat,
  type Msat,
  msat,
  type Sat,
  sat,
} from '@countersign/bitcoin';
import type { HtlcRecord, Ledger } from '../src/channel/record.ts';
import { type Explanation, explain, type Knowledge } from '../src/ledger/explain.ts';
import { hashHex, sumMsat } from '../src/ledger/htlc-set.ts';
import { type Observable, observe } from '../src/ledger/observe.ts';
import { bytesOf } from './test-signer.ts';

export interface View {
  readonly format: CommitmentFormat;
  readonly isOutbound: boolean;
  readonly broadcaster: 'holder' | 'counterparty';
  readonly capacitySat: bigint;
  readonly dustLimitSat: bigint;
}

export interface State {
  /** Of the commitment; 1 when it does not matter. */
  readonly number?: number;
  readonly holderMsat: bigint;
  readonly feeratePerKw: number;
  readonly htlcs: readonly HtlcRecord[];
}

export const record = (
  offeredBy: HtlcRecord['offeredBy'],
  amountMsat: bigint,
  label: string,
  cltvExpiry = 700_000,
): HtlcRecord => ({ offeredBy, amountMsat: msat(amountMsat), paymentHash: bytesOf(label), cltvExpiry });

export const VIEW: View = {
  format: 'anchors_zero_fee_htlc',
  isOutbound: true,
  broadcaster: 'holder',
  capacitySat: 1_000_000n,
  dustLimitSat: 546n,
};

export function isTrimmed(view: View, feeratePerKw: number, htlc: HtlcRecord): boolean {
  const direction = htlc.offeredBy === view.broadcaster ? 'offered' : 'received';
  return (
    htlc.amountMsat / 1000n <
    htlcTrimThresholdSat(view.format, direction, feeratePerKw, sat(view.dustLimitSat))
  );
}

/** BOLT 3 "Commitment Transaction Construction", in numbers. */
export function observableOf(view: View, state: State): Observable {
  const visible = state.htlcs.filter((htlc) => !isTrimmed(view, state.feeratePerKw, htlc));
  const peerMsat = view.capacitySat * 1000n - state.holderMsat - sumMsat(state.htlcs);
  const anchorsSat = hasAnchors(view.format) ? 2n * ANCHOR_SAT : 0n;
  const costSat = commitmentFeeSat(view.format, state.feeratePerKw, visible.length) + anchorsSat;
  const outputOf = (balanceMsat: bigint, pays: boolean): Sat | null => {
    const value = balanceMsat / 1000n - (pays ? costSat : 0n);
    return value < view.dustLimitSat ? null : sat(value);
  };
  return {
    format: view.format,
    isOutbound: view.isOutbound,
    capacitySat: sat(view.capacitySat),
    dustLimitSat: 1000n,
    content: {
      number: state.number ?? 1,
      feeratePerKw: state.feeratePerKw,
      toHolderSat: outputOf(state.holderMsat, view.isOutbound),
      toCounterpartySat: outputOf(peerMsat, !view.isOutbound),
      htlcs: visible,
    },
  };
}

export const NO_KNOWLEDGE: Knowledge = {
  maySettle: () => false,
  knows: () => false,
  backs: () => false,
  owedMsat: () => 0n,
  mustCredit: () => false,
};

export type Before = Pick<Ledger, 'holderMsat' | 'driftMsat' | 'trimmed'>;

/** The ledger of a first state, everything in it known. */
export function ledgerAt(view: View, state: State): Before {
  const trimmed = state.htlcs.filter((htlc) => isTrimmed(view, state.feeratePerKw, htlc));
  return { holderMsat: state.holderMsat as Msat, driftMsat: 0n, trimmed };
}

/** The step from one state to the next, as law 2 sees it in this view. */
export function explained(
  view: View,
  from: State,
  to: State,
  knowledge: Knowledge = NO_KNOWLEDGE,
  before: Before = ledgerAt(view, from),
  elsewhere: readonly HtlcRecord[] = [],
): Explanation {
  const next = observableOf(view, to);
  return explain({
    before,
    visibleBefore: observableOf(view, from).content.htlcs,
    visible: next.content.htlcs,
    observed: observe(next),
    format: view.format,
    broadcaster: view.broadcaster,
    elsewhere,
    knowledge,
  });
}

/** Knows the preimages of these. */
export const knowing = (...known: readonly HtlcRecord[]): Knowledge => {
  const hashes = new Set(known.map(({ paymentHash }) => hashHex(paymentHash)));
  const knows = (hash: Uint8Array) => hashes.has(hashHex(hash));
  return { maySettle: knows, knows, backs: () => false, owedMsat: () => 0n, mustCredit: () => false };
};
/** Balances alone. */
export const start: State = { holderMsat: 500_000_000n, feeratePerKw: 1000, htlcs: [] };
/** The state with these HTLCs and this balance of ours. */
export const withHtlcs = (state: State, holderMsat: bigint, ...htlcs: readonly HtlcRecord[]): State => ({
  ...state,
  holderMsat,
  htlcs,
});
