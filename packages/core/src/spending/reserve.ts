/**
 * The fee reserve: commitments with anchors can't pay for themselves, so while such channels live the wallet is not
 * emptied. What the wallet holds is known only as far as transactions of ours created its outputs.
 */
import { equalOutPoints, type Sat, type Transaction, txid } from '@countersign/bitcoin';
import type { ChannelRecord } from '../channel/record.ts';
import type { Context } from '../context.ts';
import { enforce } from '../policy/enforce.ts';
import {
  EMPTY_WALLET,
  WALLET_OUTPUTS_MAX,
  type WalletOutput,
  type WalletRecord,
  walletRecords,
} from '../records/spending.ts';
import type { Draft } from '../state.ts';
import { anchorReserve } from './rules.ts';
import type { Sums } from './sums.ts';

const WALLET_ID = 'wallet';

const walletOf = (draft: Draft): WalletRecord => draft.get(walletRecords, WALLET_ID) ?? EMPTY_WALLET;

/** A channel whose commitments may still be published, and then need a fee from the wallet. */
function needsReserve(record: ChannelRecord | null): boolean {
  return (
    record !== null &&
    record.setup !== null &&
    record.setup.format === 'anchors_zero_fee_htlc' &&
    !record.forgotten &&
    !record.mutualCloseSigned &&
    record.holderSigned === null
  );
}

/** Call it with every change of a channel's record: keeps the number of channels that need a reserve. */
export function countAnchorChannel(draft: Draft, before: ChannelRecord | null, after: ChannelRecord): void {
  const change = Number(needsReserve(after)) - Number(needsReserve(before));
  if (change === 0) return;
  const wallet = walletOf(draft);
  draft.put(walletRecords, WALLET_ID, {
    ...wallet,
    anchorChannels: Math.max(0, wallet.anchorChannels + change),
  });
}

const total = (outputs: readonly { readonly valueSat: Sat }[]): bigint =>
  outputs.reduce((sum, { valueSat }) => sum + valueSat, 0n);

/** Without what this transaction spends. */
function remaining(outputs: readonly WalletOutput[], tx: Transaction): readonly WalletOutput[] {
  return outputs.filter((one) => !tx.inputs.some((input) => equalOutPoints(input, one.outpoint)));
}

/** The last of the known reserve does not leave without an approval. */
export function requireReserve(ctx: Context, tx: Transaction, sums: Sums, isApproved: boolean): void {
  const { anchorReserveSat } = ctx.policy.limits;
  const { outputs, anchorChannels } = walletOf(ctx.draft);
  if (anchorChannels === 0 || isApproved || sums.ownOutputs.length > 0) return;
  const beforeSat = total(outputs);
  const afterSat = total(remaining(outputs, tx));
  if (beforeSat < anchorReserveSat || afterSat >= anchorReserveSat) return;
  enforce(ctx, anchorReserve, null, {
    message: 'the wallet would keep too little to pay for the commitments of its channels',
    facts: {
      known_before_sat: beforeSat,
      known_after_sat: afterSat,
      reserve_sat: anchorReserveSat,
      channels_with_anchors: anchorChannels,
    },
  });
}

/** The wallet after a transaction that we sign: its outputs to us in, what it spends out; the largest are kept. */
export function noteWalletOutputs(ctx: Context, tx: Transaction, own: readonly number[]): void {
  const wallet = walletOf(ctx.draft);
  const id = txid(tx);
  const created = own.map((vout) => ({ outpoint: { txid: id, vout }, valueSat: tx.outputs[vout]!.value }));
  const kept = remaining(wallet.outputs, tx).filter(
    (one) => !created.some(({ outpoint }) => equalOutPoints(outpoint, one.outpoint)),
  );
  if (created.length === 0 && kept.length === wallet.outputs.length) return;
  const outputs = [...kept, ...created]
    .sort((a, b) => Number(b.valueSat - a.valueSat))
    .slice(0, WALLET_OUTPUTS_MAX);
  ctx.draft.put(walletRecords, WALLET_ID, { ...wallet, outputs });
}
