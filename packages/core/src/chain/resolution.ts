/**
 * Law 3 after a channel has gone to the chain: the buried commitment is the view, and each of its HTLCs is what became of
 * its output. Before it is buried nothing changes, since another commitment could still take its place.
 */
import { fromHex, msatToSatFloor, outPointToString, ripemd160, toHex } from '@countersign/bitcoin';
import { type LiveCommitment, liveCommitments } from '../channel/live.ts';
import type { ChannelId, ChannelRecord, CommitmentContent, Fate, HtlcRecord } from '../channel/record.ts';
import { hashHex } from '../ledger/htlc-set.ts';
import {
  CHAIN_ID,
  type ClosingRecord,
  chainRecords,
  closingRecords,
  type OutputRecord,
  outputRecords,
} from '../records/chain.ts';
import { kindNow } from '../remedies/plan.ts';
import { contentOf } from './classify.ts';
import { closesOf } from './closes.ts';
import { isFundingThere } from './fundings.ts';
import type { Read } from './view-of.ts';

/**
 * Which commitments of a channel laws 2 and 3 take the worst of, with what the chain has decided: all that could reach the chain, and
 * every close that is buried. Once the one that ended the channel is, only those of fundings that are there and unspent.
 */
export function liveOnChain(
  read: Read,
  id: ChannelId,
  record: ChannelRecord,
  resolveDepthBlocks: number,
): readonly LiveCommitment[] {
  const open = liveCommitments(record);
  const closes = closesOf(read, id);
  const chain = closes.length === 0 ? null : read(chainRecords, CHAIN_ID);
  if (chain === null) return open;
  const isBuried = (heightBlocks: number) =>
    chain.provenHeightBlocks - heightBlocks + 1 >= resolveDepthBlocks;
  const buried = closes.filter(({ heightBlocks }) => isBuried(heightBlocks));
  const end = read(closingRecords, id);
  const isEnded = end !== null && isBuried(end.heightBlocks);
  const stillOpen = open.filter(({ funding }) => !isEnded || isUnspent(read, funding, isBuried));
  return [...stillOpen, ...buried.flatMap((one) => afterClose(read, record, one, open, isBuried))];
}

/** A funding that the chain has, and no buried spend of it. */
function isUnspent(read: Read, funding: string, isBuried: (heightBlocks: number) => boolean): boolean {
  const output = read(outputRecords, funding);
  if (output === null || !isFundingThere(output)) return false;
  return output.spent === null || !isBuried(output.spent.heightBlocks);
}

/** What a buried close leaves. */
function afterClose(
  read: Read,
  record: ChannelRecord,
  closing: ClosingRecord,
  open: readonly LiveCommitment[],
  isBuried: (heightBlocks: number) => boolean,
): readonly LiveCommitment[] {
  const outputs = outputsOf(read, closing);
  switch (kindNow(record, closing)) {
    case 'mutual':
      return [];
    case 'holder':
    case 'counterparty':
      return confirmed(record, closing, outputs, isBuried) ?? open;
    case 'holder-revoked':
    case 'counterparty-revoked': {
      const delayBlocks = record.setup?.counterpartyToSelfDelayBlocks ?? 0;
      const standing = outputs.filter(
        (output) => output.role === 'htlc' && !isOver(read, output, delayBlocks, isBuried),
      );
      // One that no stub explains could be any of them.
      const isExplained = outputs.every(({ role }) => role !== 'unknown');
      return isExplained || standing.length === 0 ? withHashesOf(open, standing) : open;
    }
    case 'counterparty-future':
    case 'unknown':
      return open;
  }
}

/**
 * An HTLC output of a revoked commitment that nobody can claim any more. A peer that took what we offered with the preimage has
 * it on the second level, where it is ours only by a penalty: what is spent before its delay, the revocation key has spent.
 */
function isOver(
  read: Read,
  { htlc, spent }: OutputRecord,
  delayBlocks: number,
  isBuried: (heightBlocks: number) => boolean,
): boolean {
  if (spent === null || !isBuried(spent.heightBlocks)) return false;
  if (htlc?.offeredBy !== 'holder' || spent.preimage === null) return true;
  const second = read(outputRecords, outPointToString({ txid: spent.txid, vout: spent.inputIndex }));
  if (second?.role !== 'second-level' || second.spent === null) return false;
  const { heightBlocks } = second.spent;
  return isBuried(heightBlocks) && heightBlocks < spent.heightBlocks + delayBlocks;
}

/**
 * HTLCs of today may stand in the old commitment too, claimable until somebody has spent each. What it has no output for
 * went with the commitments that can not confirm any more.
 */
function withHashesOf(
  open: readonly LiveCommitment[],
  standing: readonly OutputRecord[],
): readonly LiveCommitment[] {
  if (standing.length === 0) return [];
  const hashes = new Set(standing.map(({ htlc }) => htlc && toHex(htlc.paymentHash160)));
  const stands = ({ paymentHash }: { readonly paymentHash: Uint8Array }) =>
    hashes.has(toHex(ripemd160(paymentHash)));
  return open.map((one) => {
    const { htlcs } = one.content;
    const { trimmed, fates } = one.ledger;
    return {
      ...one,
      content: { ...one.content, htlcs: htlcs.filter(stands) },
      ledger: { ...one.ledger, trimmed: trimmed.filter(stands), fates: fates.filter(stands) },
    };
  });
}

/** Outputs of the close that are on record. */
export function outputsOf(read: Read, { txid, outputs }: ClosingRecord): readonly OutputRecord[] {
  return outputs
    .map((vout) => read(outputRecords, outPointToString({ txid, vout })))
    .filter((output) => output !== null);
}

/** The commitment that confirmed, its HTLCs as the chain has resolved them; null when the record has lost it. */
function confirmed(
  record: ChannelRecord,
  closing: ClosingRecord,
  outputs: readonly OutputRecord[],
  isBuried: (heightBlocks: number) => boolean,
): readonly LiveCommitment[] | null {
  const found = contentOf(record, closing.txid);
  if (found === null || found.content.ledger === null) return null;
  const { view, content } = found;
  const { ledger } = found.content;
  const free = outputs.filter(({ role }) => role === 'htlc');
  const standing: HtlcRecord[] = [];
  const fates: Fate[] = [...ledger.fates];
  for (const htlc of content.htlcs) {
    const how = fateOf(htlc, take(free, htlc), isBuried);
    if (how === 'stands') standing.push(htlc);
    else if (how !== 'failed') {
      const { paymentHash, amountMsat } = htlc;
      fates.push({ paymentHash, amountMsat, how });
    }
  }
  const resolved: CommitmentContent = { ...content, htlcs: standing };
  // What has no output here can not be claimed by anybody: it went to the miners.
  const funding = outPointToString(closing.funding);
  return [{ view, funding, content: resolved, ledger: { ...ledger, trimmed: [], fates }, isBuried: true }];
}

/**
 * What each commitment of the peer of this number that the chain has came to, with what the peer took by preimage. It may revoke it
 * afterwards, when nothing is left to punish: what it took stays taken.
 */
export function fatesOnChain(
  read: Read,
  id: ChannelId,
  record: ChannelRecord,
  number: number,
): readonly (readonly Fate[])[] {
  return closesOf(read, id)
    .filter((closing) => closing.kind === 'counterparty' && closing.number === number)
    .flatMap((closing) => confirmed(record, closing, outputsOf(read, closing), () => false) ?? [])
    .map(({ ledger }) => ledger.fates);
}

/** `gone`: no block makes it count. */
export type Burial = 'buried' | 'awaited' | 'gone';

/**
 * Whether what the peer offered of this hash on a channel that `closing` ended can be claimed there, in a block that is buried. It is
 * gone where something else than a current commitment was mined, and when the peer has timed it out, in any block.
 */
export function burialOfReceived(
  read: Read,
  id: ChannelId,
  record: ChannelRecord,
  closing: ClosingRecord,
  hash: string,
  isBuried: (heightBlocks: number) => boolean,
): Burial {
  const kind = kindNow(record, closing);
  const isCurrent = kind === 'holder' || kind === 'counterparty';
  // With more fundings of the channel there than one, each has a part of what is ours.
  if (!isCurrent || closesOf(read, id).length > 1) return 'gone';
  const hash160 = toHex(ripemd160(fromHex(hash)));
  const isTimedOut = outputsOf(read, closing).some(
    ({ htlc, spent }) =>
      htlc?.offeredBy === 'counterparty' &&
      toHex(htlc.paymentHash160) === hash160 &&
      spent !== null &&
      spent.preimage === null,
  );
  if (isTimedOut) return 'gone';
  return isBuried(closing.heightBlocks) ? 'buried' : 'awaited';
}

/** The output of an HTLC; of HTLCs equal in everything each has one. */
function take(free: OutputRecord[], htlc: HtlcRecord): OutputRecord | null {
  const at = free.findIndex(
    (output) =>
      output.htlc !== null &&
      output.htlc.offeredBy === htlc.offeredBy &&
      output.htlc.cltvExpiry === htlc.cltvExpiry &&
      output.htlc.paymentHash !== null &&
      hashHex(output.htlc.paymentHash) === hashHex(htlc.paymentHash) &&
      output.created?.valueSat === msatToSatFloor(htlc.amountMsat),
  );
  return at < 0 ? null : free.splice(at, 1)[0]!;
}

type How = 'stands' | 'failed' | Fate['how'];

function fateOf(
  { offeredBy }: HtlcRecord,
  output: OutputRecord | null,
  isBuried: (heightBlocks: number) => boolean,
): How {
  if (output === null || output.spent === null) return 'stands';
  const { preimage, heightBlocks } = output.spent;
  // A claim with the preimage counts against us at once, for us when nothing can take it back any more.
  if (offeredBy === 'holder' && preimage !== null) return 'settled';
  if (!isBuried(heightBlocks)) return 'stands';
  return preimage !== null ? 'credited' : 'failed';
}

/** Every output that was ours to follow is spent, and all of it so deep that nothing takes it back. */
export function isResolved(
  read: Read,
  record: ChannelRecord,
  closing: ClosingRecord,
  tipHeightBlocks: number,
  depthBlocks: number,
): boolean {
  const isDeep = (heightBlocks: number) => tipHeightBlocks - heightBlocks + 1 >= depthBlocks;
  if (!isDeep(closing.heightBlocks)) return false;
  const contested = contestedRoles(kindNow(record, closing));
  const outputs = outputsOf(read, closing);
  const all = [...outputs, ...secondLevelOf(read, outputs)];
  return all.every(
    ({ role, spent }) => !contested.has(role) || (spent !== null && isDeep(spent.heightBlocks)),
  );
}

/** What is ours to take of a close, and nobody has taken. Of scripts that nothing explains, nothing. */
export function atStakeSat(read: Read, record: ChannelRecord, closing: ClosingRecord): bigint {
  const contested = contestedRoles(kindNow(record, closing));
  const outputs = outputsOf(read, closing);
  return [...outputs, ...secondLevelOf(read, outputs)]
    .filter(({ role, spent }) => role !== 'unknown' && contested.has(role) && spent === null)
    .reduce((sum, { created }) => sum + (created?.valueSat ?? 0n), 0n);
}

/** What HTLC transactions left in the place of the outputs they spent (BOLT 3: at the index of the input). */
function secondLevelOf(read: Read, outputs: readonly OutputRecord[]): readonly OutputRecord[] {
  return outputs.flatMap(({ spent }) => {
    if (spent === null) return [];
    const output = read(outputRecords, outPointToString({ txid: spent.txid, vout: spent.inputIndex }));
    return output?.role === 'second-level' ? [output] : [];
  });
}

/** Outputs with value of ours in them; anybody may spend the anchors after a while. Of a breach everything is ours. */
function contestedRoles(kind: ClosingRecord['kind']): ReadonlySet<OutputRecord['role']> {
  const ours = ['main-holder', 'htlc', 'unknown'] as const;
  switch (kind) {
    case 'counterparty-revoked':
      return new Set([...ours, 'second-level', 'main-counterparty']);
    case 'holder':
    case 'holder-revoked':
      return new Set([...ours, 'second-level']);
    default:
      return new Set(ours);
  }
}
