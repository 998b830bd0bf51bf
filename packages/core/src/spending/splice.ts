/**
 * Splices: the signature on the old funding. It is given only once our first commitment on the new funding is validated,
 * and when what leaves our balance goes to known destinations; or while the transaction still needs a signature of our
 * wallet, which will be judged by the same.
 */
import { equalBytes, type Psbt, psbtNonWitnessUtxo, txid, txidToHex } from '@countersign/bitcoin';
import type { MessageOf } from '@countersign/wire';
import type { OpenChannel } from '../channel/lookup.ts';
import type { FundingCandidate } from '../channel/record.ts';
import type { Context } from '../context.ts';
import { signedTransactionRecords } from '../records/spending.ts';
import { refuseForNow } from '../refusal.ts';
import { largestBalanceSat } from './balance.ts';
import { fundingsCreated } from './fundings.ts';
import { isOurs } from './ownership.ts';
import { initialCountersigned } from './rules.ts';
import { judgeSpend } from './spend.ts';

/**
 * sign_splice_tx (29), for a transaction that creates a new funding. `early`: the signature is worth nothing before our
 * wallet signs the same transaction, so nothing is judged and nothing needs to be remembered yet.
 */
export function judgeSplice(
  ctx: Context,
  channel: OpenChannel,
  candidate: FundingCandidate,
  request: MessageOf<'hsmd_sign_splice_tx'>,
): 'early' | 'judged' {
  const { tx, psbt } = request.tx;
  const created = fundingsCreated(ctx, tx).filter((one) => one.channel.id === channel.id);
  const isCountersigned = created.some((one) => one.candidate.validated.length > 0);
  // CLN's splice_initiator_user_finalized asks before setup_channel names the new funding.
  if (!isCountersigned && waitsForOurWallet(ctx, psbt, request.inputIndex)) return 'early';
  if (created.length === 0) {
    refuseForNow(initialCountersigned, 'no output of this splice is set up as a funding of the channel yet', {
      channel: channel.id,
      splice: txidToHex(txid(tx)),
    });
  }
  judgeShares(ctx, candidate, request);
  return 'judged';
}

/**
 * Another input is our wallet's, proven by the transaction it comes from, and not signed under this txid: nobody can
 * publish this before we sign that too, and then everything of ours in it is judged.
 */
function waitsForOurWallet(ctx: Context, psbt: Psbt, shared: number): boolean {
  const tx = psbt.unsignedTx;
  const signed = ctx.draft.get(signedTransactionRecords, txidToHex(txid(tx)))?.inputs ?? [];
  return tx.inputs.some((input, index) => {
    if (index === shared || signed.some((one) => one.index === index)) return false;
    const source = psbtNonWitnessUtxo(psbt, index);
    if (source === undefined || !equalBytes(txid(source), input.txid)) return false;
    const output = source.outputs[input.vout];
    return output !== undefined && isOurs(ctx, output.script);
  });
}

/** Law 5 as a sum over everything of ours that the transaction spends. */
export function judgeShares(
  ctx: Context,
  candidate: FundingCandidate,
  { tx: { psbt }, inputIndex }: MessageOf<'hsmd_sign_splice_tx'>,
): void {
  judgeSpend(ctx, psbt, [{ index: inputIndex, valueSat: largestBalanceSat(candidate) }]);
}
