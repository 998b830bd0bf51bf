/**
 * What the operator approved on chain: a transaction by its txid, with the outputs that were shown; for a splice, whose
 * txid changes with each negotiation, a destination with its amount. An approval covers exactly its outputs.
 */
import {
  ByteWriter,
  concat,
  equalBytes,
  type OutPoint,
  outPointToString,
  type Sat,
  sha256,
  type Transaction,
  toHex,
  txid,
  txidToHex,
} from '@countersign/bitcoin';
import type { Context } from '../context.ts';
import { indexApproval } from '../payments/approval-index.ts';
import {
  type OnchainApproval,
  onchainApprovalRecords,
  PENDING_OUTPUTS_MAX,
  type PendingOutput,
} from '../records/approval.ts';
import type { PendingRequest } from '../refusal.ts';

/** The id of a splice-out's approval: it binds the script and the amount. */
export function spliceOutId({ script, valueSat }: PendingOutput): string {
  const amount = new ByteWriter(8, 8).u64le(valueSat).finish();
  return `out:${toHex(sha256(concat(script, amount)).subarray(0, 8))}`;
}

function approvalOf(ctx: Context, id: string): OnchainApproval | null {
  const approval = ctx.draft.get(onchainApprovalRecords, id);
  return approval === null || approval.expiresAtSeconds <= ctx.nowSeconds ? null : approval;
}

const sameOutput = (a: PendingOutput, b: PendingOutput): boolean =>
  a.valueSat === b.valueSat && equalBytes(a.script, b.script);

/**
 * Those of `outputs` that no approval covers; each output of an approval covers one. `spent`: the fundings that a splice
 * spends. What covers an output of a splice is in use from then on.
 */
export function unapprovedOutputs(
  ctx: Context,
  tx: Transaction,
  outputs: readonly PendingOutput[],
  spent: readonly OutPoint[],
): readonly PendingOutput[] {
  const covered = [...(approvalOf(ctx, txidToHex(txid(tx)))?.outputs ?? [])];
  const taken = new Set<string>();
  return outputs.filter((output) => {
    if (spent.length > 0 && takeSpliceOut(ctx, output, spent, taken)) return false;
    const at = covered.findIndex((one) => sameOutput(one, output));
    if (at < 0) return true;
    covered.splice(at, 1);
    return false;
  });
}

/**
 * A splice-out is approved once. Its approval in use has the funding in its id: another round of the splice spends the same
 * one, so only one of them can confirm.
 */
function takeSpliceOut(
  ctx: Context,
  output: PendingOutput,
  spent: readonly OutPoint[],
  taken: Set<string>,
): boolean {
  const id = spliceOutId(output);
  // The id is short enough to be forged for another output.
  const covers = (one: string) =>
    !taken.has(one) &&
    approvalOf(ctx, one)?.outputs.some((approved) => sameOutput(approved, output)) === true;
  const idsInUse = spent.map((outpoint) => `${id}@${outPointToString(outpoint)}`);
  const inUse = idsInUse.find(covers);
  if (inUse !== undefined) {
    taken.add(inUse);
    return true;
  }
  const [first] = idsInUse;
  if (first === undefined || taken.has(first) || !covers(id)) return false;
  ctx.draft.put(onchainApprovalRecords, first, approvalOf(ctx, id));
  ctx.draft.put(onchainApprovalRecords, id, null);
  indexApproval(ctx, { kind: 'onchain', id: first });
  taken.add(first);
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
