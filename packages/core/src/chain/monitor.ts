/**
 * One transaction of a proven block, seen with the channels in mind: fundings that appear, outputs that are spent, and what
 * the spending transaction means. Every fact carries its height, so that a reorg can take it back.
 */
import {
  equalBytes,
  outPointFromString,
  outPointToString,
  ripemd160,
  sha256,
  type Transaction,
  toHex,
  txid,
  txidToHex,
} from '@countersign/bitcoin';
import type { ChannelRecord } from '../channel/record.ts';
import {
  CLOSING_OUTPUTS_MAX,
  closingRecords,
  fundingInputRecords,
  type OutputHtlc,
  type OutputRecord,
  type OutputRole,
  type OutputSpent,
  outputRecords,
} from '../records/chain.ts';
import { channelRecords, fundingRecords } from '../records/channel.ts';
import { paymentRecords } from '../records/payment.ts';
import { closingOutputs, secondLevelOutputs } from '../remedies/classify-outputs.ts';
import type { SetUpRecord } from '../remedies/closing-scripts.ts';
import { classifyClose } from './classify.ts';
import { closesOf, closeWith } from './closes.ts';
import {
  candidateAt,
  differingRound,
  isFormerSpliceOf,
  isSpliceOf,
  isStray,
  mayStandElsewhere,
  standsElsewhere,
  wasFunding,
} from './fundings.ts';
import type { ChainPlace } from './input.ts';
import { addOtherClose } from './other-closes.ts';
import { txidMark } from './watch-book.ts';

/** Collects what one block touches. */
export interface Touched {
  readonly outputs: Set<string>;
  /** `txidMark` of the transactions of these outputs. */
  readonly marks: Set<number>;
}

/** To be called for every transaction of a block that creates or spends something watched, in the block's order. */
export function seeTransaction(
  place: ChainPlace,
  heightBlocks: number,
  tx: Transaction,
  touched: Touched,
): void {
  const id = txid(tx);
  const hex = txidToHex(id);
  for (const vout of place.watch.fundingsOf(hex))
    seeFunding(place, heightBlocks, tx, `${hex}:${vout}`, vout, touched);
  tx.inputs.forEach((input, inputIndex) => {
    const outpoint = outPointToString(input);
    for (const funding of place.draft.get(fundingInputRecords, outpoint) ?? []) {
      if (funding !== hex)
        seeInputTaken(place, { heightBlocks, txid: id, inputIndex, preimage: null }, funding, touched);
    }
    const output = outputAt(place, outpoint);
    if (output === null || output.spent !== null) return;
    const preimage = preimageIn(output.htlc, input.witness);
    const spent = { heightBlocks, txid: id, inputIndex, preimage };
    put(place, touched, outpoint, { ...output, spent });
    if (preimage !== null) learn(place, preimage);
    if (output.role === 'funding') seeFundingSpent(place, heightBlocks, tx, inputIndex, output, touched);
    else if (output.role === 'htlc') seeHtlcSpent(place, heightBlocks, tx, inputIndex, output, touched);
  });
}

/** The record of a watched output; of a funding that was never seen, an empty one. */
function outputAt(place: ChainPlace, outpoint: string): OutputRecord | null {
  const known = place.draft.get(outputRecords, outpoint);
  if (known !== null) return known;
  if (!place.watch.isWatched(outpoint)) return null;
  const channel = place.draft.get(fundingRecords, outpoint);
  return channel === null ? null : { channel, role: 'funding', htlc: null, created: null, spent: null };
}

function put(place: ChainPlace, touched: Touched, outpoint: string, record: OutputRecord): void {
  place.draft.put(outputRecords, outpoint, record);
  touched.outputs.add(outpoint);
  touched.marks.add(txidMark(outPointFromString(outpoint).txid));
}

/** Something else has spent an input of a funding: it can not confirm any more. */
function seeInputTaken(place: ChainPlace, spent: OutputSpent, funding: string, touched: Touched): void {
  for (const vout of place.watch.fundingsOf(funding)) {
    const outpoint = `${funding}:${vout}`;
    const output = outputAt(place, outpoint);
    if (output === null || output.created !== null || output.spent !== null) continue;
    put(place, touched, outpoint, { ...output, spent });
    const { channel } = output;
    const facts = { channel, outpoint, txid: txidToHex(spent.txid), height: spent.heightBlocks };
    place.events.push({ event: 'funding-double-spent', facts });
  }
}

function seeFunding(
  place: ChainPlace,
  heightBlocks: number,
  tx: Transaction,
  outpoint: string,
  vout: number,
  touched: Touched,
): void {
  const output = tx.outputs[vout];
  const record = outputAt(place, outpoint);
  if (record === null || record.created !== null) return;
  const channel = place.draft.get(channelRecords, record.channel);
  if (channel !== null && isStray(place, channel, { txid: txid(tx), vout }, tx)) return;
  // A funding outpoint that the transaction does not have: nothing anybody can spend.
  const { value, script } = output ?? { value: 0n, script: new Uint8Array(0) };
  const created = { heightBlocks, valueSat: value as OutputValue, script: script.slice() };
  const facts = { channel: record.channel, outpoint, height: heightBlocks, value_sat: value };
  const differing =
    channel === null ? null : differingRound(place, channel, { txid: txid(tx), vout }, created);
  // Only its name is a funding's: it is kept, so that it is refused for good, and nothing of ours waits in it.
  put(place, touched, outpoint, { ...record, role: differing === null ? record.role : 'unknown', created });
  place.events.push(
    differing === null
      ? { event: 'funding-confirmed', facts }
      : { event: 'funding-differs', facts: { ...facts, value_named_sat: differing.valueSat } },
  );
}
type OutputValue = NonNullable<OutputRecord['created']>['valueSat'];

/**
 * The channel ends here, unless the transaction is one of its splices. Of a funding that the channel does not live on, the close
 * is followed all the same: there may be something of ours in it.
 */
function seeFundingSpent(
  place: ChainPlace,
  heightBlocks: number,
  tx: Transaction,
  inputIndex: number,
  output: OutputRecord,
  touched: Touched,
): void {
  const { channel } = output;
  const record = place.draft.get(channelRecords, channel);
  if (record === null || !isSetUp(record)) return;
  const id = txid(tx);
  const facts = { channel, txid: txidToHex(id), height: heightBlocks };
  if (isSpliceOf(place.keys, record, tx) || isFormerSpliceOf(place, channel, tx, inputIndex)) {
    place.events.push({ event: 'splice-confirmed', facts });
    return;
  }
  const funding = tx.inputs[inputIndex]!;
  if (!wasFunding(place, record, { ...output, outpoint: funding, witness: funding.witness })) return;
  const isElsewhere = standsElsewhere(place, record, funding) || mayStandElsewhere(place, record, funding);
  const isEnd = place.draft.get(closingRecords, channel) === null && !isElsewhere;
  const candidate = candidateAt(record, funding);
  // A funding that is no candidate any more has lost its commitments: any of those shows the other side's keys.
  const spent = candidate ?? record.candidates[0];
  if (spent === undefined) return;
  const { kind, number } = classifyClose(place, record, spent, tx, inputIndex);
  // What spends the funding and is no commitment may have any number of outputs.
  const found = closingOutputs(place, { record, candidate, kind, number, tx });
  const outputs = found.slice(0, CLOSING_OUTPUTS_MAX);
  // What only bore the name of a funding, and may be anybody's.
  if (!isEnd && kind === 'unknown' && outputs.every(({ role }) => role === 'unknown')) return;
  for (const { vout, role, htlc } of outputs) {
    addOutput(place, touched, heightBlocks, tx, vout, { channel, role, htlc });
  }
  const closing = {
    funding: { txid: funding.txid.slice(), vout: funding.vout },
    heightBlocks,
    txid: id,
    kind,
    number,
    outputs: outputs.map(({ vout }) => vout),
  };
  if (isEnd) place.draft.put(closingRecords, channel, closing);
  else addOtherClose(place, channel, record, closing);
  place.events.push({
    event: isEnd ? 'channel-closed-on-chain' : 'other-funding-closed',
    facts: { ...facts, kind, number: number ?? 'none' },
  });
}

function addOutput(
  place: ChainPlace,
  touched: Touched,
  heightBlocks: number,
  tx: Transaction,
  vout: number,
  what: { readonly channel: string; readonly role: OutputRole; readonly htlc: OutputHtlc | null },
): void {
  const { value, script } = tx.outputs[vout]!;
  const created = { heightBlocks, valueSat: value, script: script.slice() };
  const outpoint = outPointToString({ txid: txid(tx), vout });
  put(place, touched, outpoint, { ...what, created, spent: null });
}

/** By the owner of the commitment through an HTLC transaction, whose output is followed too; or directly. */
function seeHtlcSpent(
  place: ChainPlace,
  heightBlocks: number,
  tx: Transaction,
  inputIndex: number,
  output: OutputRecord,
  touched: Touched,
): void {
  const { channel, htlc } = output;
  const record = place.draft.get(channelRecords, channel);
  const closes = closesOf((kind, id) => place.draft.get(kind, id), channel);
  const closing = closeWith(closes, tx.inputs[inputIndex]!);
  if (record === null || !isSetUp(record) || closing === undefined) return;
  for (const vout of secondLevelOutputs(place, { record, closing, tx, inputIndex })) {
    addOutput(place, touched, heightBlocks, tx, vout, { channel, role: 'second-level', htlc });
  }
}

export const isSetUp = (record: ChannelRecord): record is SetUpRecord => record.setup !== null;

/** BOLT 3: whoever spends an HTLC output with its preimage shows it as 32 bytes in the witness. */
function preimageIn(htlc: OutputHtlc | null, witness: readonly Uint8Array[]): Uint8Array | null {
  if (htlc === null) return null;
  const found = witness.find(
    (element) => element.length === 32 && equalBytes(ripemd160(sha256(element)), htlc.paymentHash160),
  );
  return found?.slice() ?? null;
}

/** A preimage that the chain shows is everybody's. It stays known even if its block goes. */
function learn(place: ChainPlace, preimage: Uint8Array): void {
  const hash = toHex(sha256(preimage));
  const payment = place.draft.get(paymentRecords, hash);
  if (payment === null || payment.preimage !== null) return;
  place.draft.put(paymentRecords, hash, { ...payment, preimage });
  place.events.push({ event: 'preimage-learned', facts: { payment_hash: hash, source: 'chain' } });
}
