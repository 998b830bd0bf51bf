/**
 * What a commitment transaction from the wire is: which funding it spends, which number it carries, and what each
 * of its outputs is for. Law 1 counts numbers, so a transaction must be bound to its number, its point and its
 * funding before it counts: otherwise it could not be revoked.
 */
import {
  type CommitmentHtlc,
  type CommitmentKeys,
  type CommitmentMatch,
  type CommitmentMatchResult,
  type CommitmentParty,
  type CommitmentScriptParams,
  commitmentNumberFrom,
  commitmentObscureFactor,
  fundingScript,
  commitmentLocktime as locktimeOf,
  matchCommitmentOutputs,
  type Psbt,
  fundingSighash as sighashOfFunding,
  type Transaction,
  type TxInput,
  toHex,
  txid,
  txidToHex,
} from '@countersign/bitcoin';
import type { OpenChannel } from '../channel/lookup.ts';
import {
  type ChannelSetup,
  COMMITMENT_NUMBER_MAX,
  type CommitmentContent,
  type FundingCandidate,
  HTLCS_OFFERED_MAX,
  type HtlcRecord,
} from '../channel/record.ts';
import type { ChannelRef, Context, KeyPlace } from '../context.ts';
import { malformed } from '../form.ts';
import { refuse } from '../refusal.ts';
import { derivedKeys } from './derived-keys.ts';
import { diagnoseOutputs } from './diagnose.ts';
import {
  commitmentInputSingle,
  commitmentLocktime,
  commitmentSequence,
  commitmentVersion,
} from './form-rules.ts';
import { findLease } from './lease.ts';

/** Which side may publish the commitment. */
export type Broadcaster = 'holder' | 'counterparty';

/** A commitment number from the wire (u64) as the exact number the ratchet counts with. */
export function requireCommitmentNumber(value: bigint): number {
  if (value > BigInt(COMMITMENT_NUMBER_MAX)) {
    malformed('commitment number beyond 48 bits', { number: value, max: COMMITMENT_NUMBER_MAX });
  }
  return Number(value);
}

/** BOLT 3: lower 48 bits of SHA256(opener's payment_basepoint ‖ accepter's). */
export function obscureFactorOf(ctx: Pick<Context, 'keys'>, channel: OpenChannel): bigint {
  const ours = ctx.keys.basepoints(channel.ref).payment;
  const theirs = channel.setup.counterpartyBasepoints.payment;
  return channel.setup.isOutbound
    ? commitmentObscureFactor(ours, theirs)
    : commitmentObscureFactor(theirs, ours);
}

/** The one input of a transaction that may spend a funding for us. */
export function requireSingleInput(tx: Transaction): TxInput {
  const input = tx.inputs[0];
  if (input === undefined || tx.inputs.length !== 1) {
    refuse(commitmentInputSingle, 'the transaction has not exactly one input', { inputs: tx.inputs.length });
  }
  return input;
}

/** Version, single input, and the number in locktime and sequence (BOLT 3 "Commitment Transaction"). */
export function requireCommitmentForm(
  ctx: Context,
  channel: OpenChannel,
  tx: Transaction,
  number: number,
): void {
  if (tx.version !== 2) {
    refuse(commitmentVersion, 'a commitment transaction has version 2', { version: tx.version });
  }
  const input = requireSingleInput(tx);
  if (tx.locktime >>> 24 !== 0x20) {
    refuse(commitmentLocktime, 'the locktime does not mark a commitment', { locktime: tx.locktime });
  }
  if (input.sequence >>> 24 !== 0x80) {
    refuse(commitmentSequence, 'the sequence does not mark a commitment', { sequence: input.sequence });
  }
  const factor = obscureFactorOf(ctx, channel);
  const carried = commitmentNumberFrom(tx, factor);
  if (carried === BigInt(number)) return;
  const differing = tx.locktime === locktimeOf(number, factor) ? commitmentSequence : commitmentLocktime;
  refuse(differing, 'the transaction carries another commitment number than the request', {
    number_requested: number,
    number_carried: carried ?? 'none',
  });
}

/** The keys of one commitment, from the channel's basepoints and the point of the side that may publish it. */
export function commitmentKeys(
  ctx: KeyPlace,
  channel: { readonly ref: ChannelRef; readonly setup: Pick<ChannelSetup, 'counterpartyBasepoints'> },
  broadcaster: Broadcaster,
  perCommitmentPoint: Uint8Array,
): CommitmentKeys {
  const holder = ctx.keys.basepoints(channel.ref);
  const counterparty = channel.setup.counterpartyBasepoints;
  return derivedKeys(
    ctx,
    broadcaster === 'holder'
      ? { perCommitmentPoint, broadcaster: holder, countersignatory: counterparty }
      : { perCommitmentPoint, broadcaster: counterparty, countersignatory: holder },
  );
}

export interface JudgedCommitment {
  readonly content: CommitmentContent;
  readonly keys: CommitmentKeys;
  readonly match: CommitmentMatch;
  readonly htlcs: readonly CommitmentHtlc[];
  readonly broadcaster: Broadcaster;
  /** Delay on the broadcaster's outputs, blocks. */
  readonly toSelfDelayBlocks: number;
}

/** How an HTLC of the node's list looks to the side that may publish the commitment. */
export function htlcSeenBy(broadcaster: Broadcaster, htlc: HtlcRecord): CommitmentHtlc {
  return {
    direction: htlc.offeredBy === broadcaster ? 'offered' : 'received',
    amountMsat: htlc.amountMsat,
    paymentHash: htlc.paymentHash,
    cltvExpiry: htlc.cltvExpiry,
  };
}

/** What all scripts of a commitment but those of HTLCs are made of; without a lease. */
export function scriptParams(
  ctx: KeyPlace,
  channel: OpenChannel,
  candidate: Pick<FundingCandidate, 'counterpartyFundingKey'>,
  broadcaster: Broadcaster,
  keys: CommitmentKeys,
): CommitmentScriptParams {
  const ours = ctx.keys.fundingPublicKey(channel.ref);
  const theirs = candidate.counterpartyFundingKey;
  const { setup } = channel;
  const funder: CommitmentParty =
    setup.isOutbound === (broadcaster === 'holder') ? 'broadcaster' : 'countersignatory';
  return {
    format: setup.format,
    keys,
    broadcasterFundingKey: broadcaster === 'holder' ? ours : theirs,
    countersignatoryFundingKey: broadcaster === 'holder' ? theirs : ours,
    toSelfDelayBlocks:
      broadcaster === 'holder' ? setup.holderToSelfDelayBlocks : setup.counterpartyToSelfDelayBlocks,
    funder,
  };
}

/**
 * The side that did not open is the lessor. Our own outputs lock longer only by a lease we signed; the peer's where it
 * put funds in, which dualopend names as push_value (a splice has a relative amount there, which tells nothing).
 */
export function mayBeLeased(
  { setup, record }: OpenChannel,
  { isSplice, pushValue }: FundingCandidate,
): boolean {
  return setup.isOutbound ? isSplice || pushValue !== 0n : record.leaseSigned;
}

function matchOutputs(
  channel: OpenChannel,
  candidate: FundingCandidate,
  params: CommitmentScriptParams,
  tx: Transaction,
  htlcs: readonly CommitmentHtlc[],
): { readonly match: CommitmentMatchResult; readonly params: CommitmentScriptParams } {
  const plain = { match: matchCommitmentOutputs(tx, { ...params, htlcs }), params };
  // A leased main output is the first that the plain scripts do not explain.
  if (plain.match.ok || plain.match.reason !== 'unrecognized-output') return plain;
  if (!mayBeLeased(channel, candidate)) return plain;
  const leaseCsvBlocks = findLease(params, tx.outputs[plain.match.outputIndex]!.script);
  if (leaseCsvBlocks === null) return plain;
  const leased = { ...params, leaseCsvBlocks };
  return { match: matchCommitmentOutputs(tx, { ...leased, htlcs }), params: leased };
}

function requireHtlcCounts(htlcs: readonly HtlcRecord[]): void {
  const holder = htlcs.filter((htlc) => htlc.offeredBy === 'holder').length;
  const counterparty = htlcs.length - holder;
  if (Math.max(holder, counterparty) > HTLCS_OFFERED_MAX) {
    malformed('more HTLCs than one side can have offered (BOLT 2)', {
      holder,
      counterparty,
      max: HTLCS_OFFERED_MAX,
    });
  }
}

/**
 * Judge the form of a commitment: every output is one that BOLT 3 gives this channel at this number, and every
 * listed HTLC has its output. Balances are law 2's business.
 */
export function judgeCommitment(
  ctx: Context,
  channel: OpenChannel,
  candidate: FundingCandidate,
  broadcaster: Broadcaster,
  perCommitmentPoint: Uint8Array,
  request: {
    readonly tx: Transaction;
    readonly psbt: Psbt;
    readonly number: number;
    readonly feeratePerKw: number;
    readonly htlcs: readonly HtlcRecord[];
  },
): JudgedCommitment {
  requireCommitmentForm(ctx, channel, request.tx, request.number);
  requireHtlcCounts(request.htlcs);
  const keys = commitmentKeys(ctx, channel, broadcaster, perCommitmentPoint);
  const htlcs = request.htlcs.map((htlc) => htlcSeenBy(broadcaster, htlc));
  const plain = scriptParams(ctx, channel, candidate, broadcaster, keys);
  const { match, params } = matchOutputs(channel, candidate, plain, request.tx, htlcs);
  if (!match.ok) {
    const { tx, psbt, number } = request;
    const { rule, message, facts } = diagnoseOutputs({ tx, psbt, params, htlcs, broadcaster });
    refuse(rule, message, { broadcaster, number, txid: txidToHex(txid(tx)), ...facts });
  }
  const [holder, counterparty] =
    broadcaster === 'holder' ? [match.toLocalSat, match.toRemoteSat] : [match.toRemoteSat, match.toLocalSat];
  return {
    content: {
      number: request.number,
      txid: txid(request.tx),
      feeratePerKw: request.feeratePerKw,
      toHolderSat: holder,
      toCounterpartySat: counterparty,
      htlcs: request.htlcs,
      ledger: null,
    },
    keys,
    match,
    htlcs,
    broadcaster,
    toSelfDelayBlocks: params.toSelfDelayBlocks,
  };
}

/** What either side signs to spend the funding with this transaction (BIP 143, SIGHASH_ALL). */
export function fundingSighash(
  ctx: Context,
  channel: OpenChannel,
  candidate: FundingCandidate,
  tx: Transaction,
  inputIndex = 0,
): Uint8Array {
  const script = fundingScript(ctx.keys.fundingPublicKey(channel.ref), candidate.counterpartyFundingKey);
  return sighashOfFunding(tx, script, candidate.valueSat, inputIndex);
}

/** Same transaction, judged by the same HTLCs: what law 1 calls identical content. */
export function sameContent(a: CommitmentContent, b: CommitmentContent): boolean {
  if (toHex(a.txid) !== toHex(b.txid) || a.htlcs.length !== b.htlcs.length) return false;
  const canonical = (content: CommitmentContent) =>
    content.htlcs
      .map((h) => `${h.offeredBy} ${h.amountMsat} ${toHex(h.paymentHash)} ${h.cltvExpiry}`)
      .sort()
      .join('\n');
  return canonical(a) === canonical(b);
}
