/**
 * What the operator approved on chain: a transaction by its txid, with the outputs that were shown; for a splice, whose
 * txid changes with each negotiation, a destination with its amount. An approval covers exactly its outputs.
 */
import {
  ByteWriter,
  concat,
  equalBytes,
  equalOutPoints,
  type OutPoint,
  type Sat,
  sha256,
  type Transaction,
  toHex,
  txid,
  txidToHex,
} from '@countersign/bitcoin';
import type { Context } from '../context.ts';
import {
  type OnchainApproval,
  onchainApprovalRecords,
  PENDING_OUTPUTS_MAX,
  type PendingOutput,
} from '../records/approval.ts';
import { spliceOutRecords } from '../records/spending.ts';
import type { PendingRequest } from '../refusal.ts';

/** The id of a splice-out's approval: it binds the script and the amount. */
export function spliceOutId({ script, valueSat }: PendingOutput): string {
  const amount = new ByteWriter(8, 8).u64le(valueSat).finish();
  return `out:${toHex(sha256(concat(script, amount)).subarray(0, 8))}`;
}

function approvalOf(ctx: Context, id: string): OnchainApproval | null {
  const approval = ctx.draft.get(onchainApprovalRecords, id);
  return approval === null || approval.expiresAtSeconds < ctx.nowSeconds ? null : approval;
}

const sameOutput = (a: PendingOutput, b: PendingOutput): boolean =>
  a.valueSat === b.valueSat && equalBytes(a.script, b.script);

/**
 * Those of `outputs` that no approval covers; each output of an approval covers one. `leaves` is the funding that a
 * splice spends, null for other transactions. What a splice-out uses of its approval is noted in the draft.
 */
export function unapprovedOutputs(
  ctx: Context,
  tx: Transaction,
  outputs: readonly PendingOutput[],
  leaves: OutPoint | null,
): readonly PendingOutput[] {
  const covered = [...(approvalOf(ctx, txidToHex(txid(tx)))?.outputs ?? [])];
  const used = new Set<string>();
  return outputs.filter((output) => {
    if (leaves !== null && useSpliceOut(ctx, output, leaves, used)) return false;
    const at = covered.findIndex((one) => sameOutput(one, output));
    if (at < 0) return true;
    covered.splice(at, 1);
    return false;
  });
}

/**
 * A splice-out is approved once: for one output, and for transactions that spend the same funding, of which only one can
 * confirm. Its txid changes with each negotiation, so it can't be bound to that.
 */
function useSpliceOut(ctx: Context, output: PendingOutput, leaves: OutPoint, used: Set<string>): boolean {
  const id = spliceOutId(output);
  const approval = approvalOf(ctx, id);
  if (approval === null || used.has(id)) return false;
  const { approvedAtSeconds } = approval;
  const before = ctx.draft.get(spliceOutRecords, id);
  const isUsed = before !== null && before.approvedAtSeconds === approvedAtSeconds;
  if (isUsed && !equalOutPoints(before.funding, leaves)) return false;
  used.add(id);
  const { txid, vout } = leaves;
  if (!isUsed) ctx.draft.put(spliceOutRecords, id, { funding: { txid, vout }, approvedAtSeconds });
  return true;
}

/** Under `auto = "all"` everything is approved, and recorded like what the operator approves. */
export function approveUnasked(ctx: Context, tx: Transaction, outputs: readonly PendingOutput[]): boolean {
  if (ctx.policy.approvals.auto !== 'all') return false;
  const id = txidToHex(txid(tx));
  ctx.draft.put(onchainApprovalRecords, id, {
    outputs: outputs.slice(0, PENDING_OUTPUTS_MAX),
    source: 'all',
    approvedAtSeconds: ctx.nowSeconds,
    expiresAtSeconds: ctx.nowSeconds + ctx.policy.approvals.expirySeconds,
  });
  ctx.events.push({ event: 'onchain-approved', facts: { txid: id, source: 'all', outputs: outputs.length } });
  return true;
}

/** What the operator is asked: a whole transaction, or one destination of a splice. */
export function pendingSpend(
  tx: Transaction,
  outputs: readonly PendingOutput[],
  feeSat: Sat,
  spliceOut: PendingOutput | null,
): PendingRequest {
  return {
    id: spliceOut === null ? txidToHex(txid(tx)) : spliceOutId(spliceOut),
    kind: spliceOut === null ? 'onchain' : 'splice-out',
    amountMsat: null,
    payee: null,
    outputs: spliceOut === null ? outputs.slice(0, PENDING_OUTPUTS_MAX) : [spliceOut],
    feeSat,
    description: '',
    expiresAtSeconds: null,
  };
}
