/**
 * Transactions that carry a signature of ours. A channel whose funding one of them creates may become real, whichever
 * the node told the signer of first, the signature or the channel, and whatever message asked for the signature.
 */
import {
  equalOutPoints,
  type OutPoint,
  outPointToString,
  type Transaction,
  txid,
  txidToHex,
} from '@countersign/bitcoin';
import type { Context } from '../context.ts';
import { malformed } from '../form.ts';
import { FUNDING_ROUNDS_MAX, fundingInputRecords } from '../records/chain.ts';
import { channelRecords, fundingRecords } from '../records/channel.ts';
import { FUNDING_INPUTS_MAX, type SignedInput, signedTransactionRecords } from '../records/spending.ts';
import { withInputs } from '../spending/signed-inputs.ts';
import { saveChannel } from './lookup.ts';

/** Call it for every transaction of which an input is signed and which may create a funding, with what of it is ours. */
export function markFundingSigned(ctx: Context, tx: Transaction, ours: readonly SignedInput[] = []): void {
  const id = txid(tx);
  const key = txidToHex(id);
  const known = ctx.draft.get(signedTransactionRecords, key);
  const inputs = withInputs(known?.inputs ?? [], ours);
  const spends = createsFunding(ctx, id, tx) ? spentBy(tx) : (known?.spends ?? []);
  const isNew =
    known === null ||
    spends.length !== known.spends.length ||
    inputs.some((one) => !known.inputs.some((before) => isSame(before, one)));
  if (isNew) {
    ctx.draft.put(signedTransactionRecords, key, { inputs, spends });
    for (const spent of spends) watchInput(ctx, outPointToString(spent), key);
  }
  tx.outputs.forEach((_, vout) => {
    markCandidate(ctx, { txid: id, vout });
  });
}

/** The chain will tell when something else has spent it; of very many rounds the newest are kept in mind. */
function watchInput(ctx: Context, outpoint: string, funding: string): void {
  const known = ctx.draft.get(fundingInputRecords, outpoint) ?? [];
  if (known.includes(funding)) return;
  ctx.draft.put(fundingInputRecords, outpoint, [...known, funding].slice(-FUNDING_ROUNDS_MAX));
}

const createsFunding = (ctx: Context, id: Uint8Array, { outputs }: Transaction): boolean =>
  outputs.some((_, vout) => ctx.draft.get(fundingRecords, outPointToString({ txid: id, vout })) !== null);

function spentBy({ inputs }: Transaction): readonly OutPoint[] {
  if (inputs.length > FUNDING_INPUTS_MAX)
    malformed('too many inputs of a funding', { inputs: inputs.length });
  return inputs.map(({ txid, vout }) => ({ txid, vout }));
}

const isSame = (a: SignedInput, b: SignedInput): boolean => a.index === b.index && a.valueSat === b.valueSat;

function markCandidate(ctx: Context, outpoint: OutPoint): void {
  const channelId = ctx.draft.get(fundingRecords, outPointToString(outpoint));
  const record = channelId === null ? null : ctx.draft.get(channelRecords, channelId);
  if (channelId === null || record === null) return;
  if (!record.candidates.some((c) => equalOutPoints(c.outpoint, outpoint) && !c.fundingSigned)) return;
  saveChannel(ctx, channelId, {
    ...record,
    candidates: record.candidates.map((c) =>
      equalOutPoints(c.outpoint, outpoint) ? { ...c, fundingSigned: true } : c,
    ),
  });
}
