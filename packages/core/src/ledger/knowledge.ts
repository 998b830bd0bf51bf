/**
 * What the payment records know about hashes, as law 2 asks for it. When a commitment is only validated a preimage may
 * still arrive (lightningd writes it to its database before it revokes); when something is released, it must be here.
 */
import { equalBytes, larger } from '@countersign/bitcoin';
import { scopeOf } from '../channel/live.ts';
import type { OpenChannel } from '../channel/lookup.ts';
import type { Fate } from '../channel/record.ts';
import type { Context } from '../context.ts';
import { preimageSeverity } from '../policy/preimages.ts';
import { nodeRecords } from '../records/approval.ts';
import { type PaymentRecord, paymentRecords } from '../records/payment.ts';
import type { Knowledge } from './explain.ts';
import { hashHex, sumMsat } from './htlc-set.ts';
import { settledPreimage } from './rules.ts';

/** Id of the one record about the node as a whole. */
export const NODE_ID = 'node';

const payment = (ctx: Context, hash: Uint8Array): PaymentRecord | null =>
  ctx.draft.get(paymentRecords, hashHex(hash));

export function knowledgeAtValidation(ctx: Context): Knowledge {
  return {
    maySettle: () => true,
    knows: (hash) => payment(ctx, hash)?.preimage != null,
    backs: (hash) => backs(payment(ctx, hash)),
    owedMsat: () => 0n,
    mustCredit: () => false,
  };
}

/** `before`: the fates that the commitment before brought along, of the same view. */
export function knowledgeAtRelease(
  ctx: Context,
  channel: OpenChannel,
  view: 'holder' | 'counterparty',
  before: readonly Fate[],
): Knowledge {
  const delivers = ctx.draft.get(nodeRecords, NODE_ID)?.deliversPreimages ?? false;
  const isWarn = preimageSeverity(ctx.policy, delivers, scopeOf(channel.record)) !== 'error';
  const isPermissive = ctx.policy.preset === 'permissive';
  return {
    maySettle: (hash) => {
      const record = payment(ctx, hash);
      if (record?.preimage != null) return true;
      return isWarn && (isPermissive || !backsIncoming(record));
    },
    knows: (hash) => payment(ctx, hash)?.preimage != null,
    backs: (hash) => backs(payment(ctx, hash)),
    owedMsat: (hash) => owedMsat(payment(ctx, hash), channel.id, view, creditedIn(before, hash)),
    mustCredit: (hash) => {
      const record = payment(ctx, hash);
      return record?.preimage != null && record.invoice === null && !hasOutgoing(record) && !isPaid(record);
    },
  };
}

/** An incoming HTLC pays for it: without the preimage it could not be claimed. */
function backsIncoming(record: PaymentRecord | null): boolean {
  return record !== null && record.invoice === null && record.parts.some((part) => part.standingMsat > 0n);
}

const creditedIn = (fates: readonly Fate[], hash: Uint8Array): bigint =>
  sumMsat(fates.filter(({ how, paymentHash }) => how === 'credited' && equalBytes(paymentHash, hash)));

/**
 * Once one view has credited an HTLC the peer has its preimage: what is credited there is ours in the other view too,
 * or we would be left with the commitment that lacks it.
 */
function owedMsat(
  record: PaymentRecord | null,
  channel: string,
  view: 'holder' | 'counterparty',
  sinceMsat: bigint,
): bigint {
  // Without the preimage the balance alone told which HTLC was credited, and of several it may have been another.
  if (record?.preimage == null) return 0n;
  const part = record.parts.find((one) => one.channel === channel);
  if (part === undefined) return 0n;
  const past = view === 'holder' ? part.creditedHolderMsat : part.creditedCounterpartyMsat;
  return larger(part.creditMaxMsat - past - sinceMsat, 0n);
}

const backs = (record: PaymentRecord | null): boolean => record !== null && hasOutgoing(record);

function hasOutgoing(record: PaymentRecord): boolean {
  return record.settledMsat > 0n || record.parts.some((part) => part.outMsat > 0n);
}

/** Something of it was credited. What else comes under its hash a node may honestly fail: it has been paid. */
function isPaid({ creditedMsat, parts }: PaymentRecord): boolean {
  return creditedMsat > 0n || parts.some((part) => part.creditMaxMsat > 0n);
}

/** Settlements that the rule at `warn` let pass. */
export function warnOfUnproven(ctx: Context, channel: OpenChannel, fates: readonly Fate[]): void {
  const unproven = fates.filter(
    ({ how, paymentHash }) => how === 'settled' && payment(ctx, paymentHash)?.preimage == null,
  );
  if (unproven.length === 0) return;
  ctx.warnings.push({
    tag: settledPreimage.tag,
    message: 'settled without a preimage that the signer knows',
    facts: { channel: channel.id, htlcs: unproven.length, payment_hash: hashHex(unproven[0]!.paymentHash) },
  });
}
