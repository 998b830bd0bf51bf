/**
 * The fundings a transaction spends or creates: found by their outpoints among the channels the signer knows. A funding
 * that is created must be the channel's own, and our first commitment on it countersigned.
 */
import {
  equalBytes,
  equalOutPoints,
  fundingScript,
  type OutPoint,
  outPointToString,
  p2wshOfScript,
  type Sat,
  type Transaction,
  txid,
  txidToHex,
} from '@countersign/bitcoin';
import { isOnChain } from '../chain/fundings.ts';
import { scopeOf } from '../channel/live.ts';
import { isDormant } from '../channel/locking.ts';
import type { OpenChannel } from '../channel/lookup.ts';
import type { FundingCandidate } from '../channel/record.ts';
import type { Context } from '../context.ts';
import type { PolicyScope } from '../policy/settings.ts';
import { candidateExclusive, channelFrozen } from '../ratchet/rules.ts';
import { channelRecords, fundingRecords } from '../records/channel.ts';
import { signedTransactionRecords } from '../records/spending.ts';
import { refuse, refuseForNow } from '../refusal.ts';
import { fundingStatus } from '../time/commitments.ts';
import { requireNothingBeside } from '../time/other-fundings.ts';
import { largestBalanceSat, smallestBalanceSat } from './balance.ts';
import { initialCountersigned, outputMatchCommitment, outputScriptpubkey } from './rules.ts';

export interface Funding {
  readonly channel: OpenChannel;
  readonly candidate: FundingCandidate;
  readonly scope: PolicyScope;
  /** Index of the input that spends it, or of the output that creates it. */
  readonly index: number;
  /** Ours of it: the larger view where it is spent, the smaller where it is created. */
  readonly balanceSat: Sat;
}

function fundingAt(
  ctx: Context,
  outpoint: OutPoint,
  index: number,
  balanceOf: typeof largestBalanceSat,
): Funding | null {
  const id = ctx.draft.get(fundingRecords, outPointToString(outpoint));
  const record = id === null ? null : ctx.draft.get(channelRecords, id);
  if (id === null || record === null || record.setup === null) return null;
  const candidate = record.candidates.find((one) => equalOutPoints(one.outpoint, outpoint));
  if (candidate === undefined) return null;
  const ref = { peerId: record.peerId, dbid: record.dbid };
  const channel: OpenChannel = { ref, id, record, setup: record.setup };
  const balanceSat = balanceOf(candidate);
  return { channel, candidate, scope: scopeOf(record), index, balanceSat };
}

export function fundingsSpent(ctx: Context, tx: Transaction): readonly Funding[] {
  return tx.inputs.flatMap((input, index) => fundingAt(ctx, input, index, largestBalanceSat) ?? []);
}

export function fundingsCreated(ctx: Context, tx: Transaction): readonly Funding[] {
  const id = txid(tx);
  return tx.outputs.flatMap((_, vout) => fundingAt(ctx, { txid: id, vout }, vout, smallestBalanceSat) ?? []);
}

/**
 * What is spent as a funding is one by the chain, and not only by its name. Another coin in its place would exclude no other funding of the
 * channel; it would be worth what the node says; and if it has no witness, anybody could change the txid on which our commitment rests.
 */
export function requireMined(ctx: Context, { channel, candidate }: Funding): void {
  if (ctx.chain === null) return;
  const status = fundingStatus(ctx, ctx.chain, channel, candidate);
  if (status.kind === 'confirmed') return;
  refuseForNow(candidateExclusive, 'a splice spends a funding that the chain does not have yet', {
    channel: channel.id,
    funding: outPointToString(candidate.outpoint),
    height: ctx.chain.heightBlocks,
  });
}

/** The output is this channel's funding, and what we would own of it is ours to publish. */
export function requireFundingOutput(ctx: Context, tx: Transaction, funding: Funding): void {
  const { channel, candidate, index } = funding;
  const outpoint = outPointToString(candidate.outpoint);
  if (channel.record.frozen || channel.record.stopped) {
    refuse(channelFrozen, 'a frozen channel gets no funding', { channel: channel.id, funding: outpoint });
  }
  if (candidate.validated.length === 0) {
    refuseForNow(initialCountersigned, 'our first commitment on this funding is not validated yet', {
      channel: channel.id,
      funding: outpoint,
    });
  }
  const ours = ctx.keys.fundingPublicKey(channel.ref);
  const script = p2wshOfScript(fundingScript(ours, candidate.counterpartyFundingKey));
  const output = tx.outputs[index]!;
  if (!equalBytes(output.script, script)) {
    refuse(outputScriptpubkey, "the funding output does not pay to the channel's 2-of-2", {
      channel: channel.id,
      funding: outpoint,
    });
  }
  if (output.value !== candidate.valueSat) {
    refuse(outputMatchCommitment, "the funding output has another value than the channel's", {
      channel: channel.id,
      value_sat: output.value,
      value_set_up_sat: candidate.valueSat,
    });
  }
}

/**
 * Two fundings of one channel must never both confirm: our commitments on one of them are revoked while the channel lives on
 * the other. A splice spends a funding of its channel; a round of an opening, what every other round spends that we signed.
 */
export function requireExclusive(
  ctx: Context,
  tx: Transaction,
  { channel: { id, record }, candidate }: Funding,
  spent: readonly Funding[],
): void {
  const facts = { channel: id, funding: outPointToString(candidate.outpoint) };
  if (isDormant(record, candidate))
    refuse(candidateExclusive, 'the channel lives on another funding than this one', facts);
  const spendsOwn = spent.some((one) => one.channel.id === id && !isDormant(record, one.candidate));
  if (spendsOwn) {
    requireNothingBeside(ctx, { id, record }, candidate, tx.inputs);
    return;
  }
  if (candidate.isSplice) refuse(candidateExclusive, 'this splice spends no funding of its channel', facts);
  const mined = record.candidates.find((other) => other !== candidate && isOnChain(ctx, record, other));
  if (mined !== undefined) {
    refuse(candidateExclusive, 'the chain has another round of the opening: this one comes too late', {
      ...facts,
      funding_mined: outPointToString(mined.outpoint),
    });
  }
  for (const other of record.candidates) {
    if (!other.fundingSigned || equalBytes(other.outpoint.txid, candidate.outpoint.txid)) continue;
    // Signed before the signer kept what is spent, or before it knew of the channel.
    const spends = ctx.draft.get(signedTransactionRecords, txidToHex(other.outpoint.txid))?.spends ?? [];
    if (spends.length === 0 || spends.some((one) => tx.inputs.some((input) => equalOutPoints(one, input))))
      continue;
    refuse(candidateExclusive, 'this round of the opening and one that we signed could both confirm', {
      ...facts,
      funding_signed: outPointToString(other.outpoint),
    });
  }
}
