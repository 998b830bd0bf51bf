/**
 * The chain side of the signer: headers and blocks in, changed records out, or a refusal that leaves everything as it was.
 * Only more work moves the view; only a proven block tells of outputs; a reorg takes back exactly what its blocks brought.
 */
import {
  type BlockTransaction,
  equalBytes,
  type OutPoint,
  outPointToString,
  type Secp256k1,
  txidToHex,
} from '@countersign/bitcoin';
import type { ChannelId } from '../channel/record.ts';
import { stubPrefix } from '../channel/stubs.ts';
import type { AuditEvent, KeyView, Warning } from '../context.ts';
import { settleOnChain } from '../payments/onchain.ts';
import { retirePayments } from '../payments/retire.ts';
import type { Policy } from '../policy/settings.ts';
import {
  CHAIN_ID,
  type ChainRecord,
  type ClosingRecord,
  chainRecords,
  closingRecords,
  type HeaderRecord,
  headerRecords,
  heightId,
  otherClosingRecords,
  outputRecords,
  stubRecords,
} from '../records/chain.ts';
import { channelRecords } from '../records/channel.ts';
import type { RecordKind } from '../records/kind.ts';
import { RefusalSignal, refusalFrom, refuse } from '../refusal.ts';
import { Draft, type StateReader } from '../state.ts';
import { beginChain, headersToDrop } from './begin.ts';
import { closesOf, putClose } from './closes.ts';
import { judgeHeaders } from './headers.ts';
import type { ChainOutcome, ChainPlace, WatchIndex } from './input.ts';
import { isSetUp, seeTransaction, type Touched } from './monitor.ts';
import { isLeft } from './ours.ts';
import { proveBlock } from './proof.ts';
import { isResolved, outputsOf } from './resolution.ts';
import { rivalEvents } from './rival-fundings.ts';
import { takeBack } from './rollback.ts';
import { chainProof, chainValidated } from './rules.ts';
import { txidMark } from './watch-book.ts';

/** What judging headers and blocks depends on. */
export interface ChainInput {
  readonly state: StateReader;
  readonly policy: Policy;
  readonly keys: KeyView;
  readonly secp: Secp256k1;
  readonly watch: WatchIndex;
  /** Seconds since 1970 by the signer's own clock. */
  readonly nowSeconds: number;
}

/** Rules, law 1 "forget_channel": all outputs resolved so deep. */
const FORGET_DEPTH_BLOCKS = 100;

/**
 * The headers that the chain begins with (`beginNeeds`), and the block from which on contents count; changes nothing when a
 * chain has begun.
 */
export function acceptBeginning(
  input: ChainInput,
  headers: Uint8Array,
  birthdayHeightBlocks: number,
): ChainOutcome {
  return attempt(input, 'chain-begin', (place) => {
    const before = place.draft.get(chainRecords, CHAIN_ID);
    if (before !== null && before.restartHeightBlocks === null) return;
    const birthday = before?.restartHeightBlocks ?? birthdayHeightBlocks;
    const beginning = beginChain(place.policy.network, headers, birthday);
    const { chain } = beginning;
    const touched = before === null ? [] : takeBack(place, chain.birthdayHeightBlocks - 1);
    beginning.headers.forEach((header, i) => {
      place.draft.put(headerRecords, heightId(chain.baseHeightBlocks + i), header);
    });
    place.draft.put(chainRecords, CHAIN_ID, chain);
    place.events.push({
      event: 'chain-begun',
      facts: { height: chain.tipHeightBlocks, birthday_height: chain.birthdayHeightBlocks },
    });
    for (const id of touched) settle(place, id);
  });
}

/** The operator has compared the chain that locked the view with other sources: what has this block in it may come. */
export function admitChain(input: ChainInput, tipHash: Uint8Array): ChainOutcome {
  return attempt(input, 'chain-unlock', (place) => {
    const chain = requireChain(place);
    if (chain.lockedBy === null || !equalBytes(chain.lockedBy.tipHash, tipHash)) {
      refuse(chainValidated, 'the view is not locked by a chain with this tip', {
        tip: txidToHex(tipHash),
        locked_by: chain.lockedBy === null ? 'nothing' : txidToHex(chain.lockedBy.tipHash),
      });
    }
    putChain(place, { ...chain, lockedBy: null, admitted: tipHash });
    place.events.push({ event: 'chain-unlocked', facts: { tip: txidToHex(tipHash) } });
  });
}

/** Contents are read again from this block on; null: from the birthday. What is known from there on is forgotten meanwhile. */
export function rescanChain(input: ChainInput, fromHeightBlocks: number | null): ChainOutcome {
  return attempt(input, 'chain-rescan', (place) => {
    const chain = requireChain(place);
    const from = Math.max(1, fromHeightBlocks ?? chain.birthdayHeightBlocks);
    if (from > chain.tipHeightBlocks) {
      refuse(chainProof, 'there is no such block yet', {
        from_height: from,
        tip_height: chain.tipHeightBlocks,
      });
    }
    place.events.push({ event: 'chain-rescan', facts: { from_height: from } });
    if (from <= chain.baseHeightBlocks) {
      place.draft.put(chainRecords, CHAIN_ID, { ...chain, restartHeightBlocks: from });
      return;
    }
    const touched = takeBack(place, from - 1);
    const birthdayHeightBlocks = Math.min(from, chain.birthdayHeightBlocks);
    putChain(place, { ...chain, birthdayHeightBlocks, provenHeightBlocks: from - 1 });
    for (const id of touched) settle(place, id);
  });
}

/** A run of headers, 80 bytes each, that connects to one on record. Moves the view only if it has more work. */
export function acceptHeaders(input: ChainInput, headers: Uint8Array): ChainOutcome {
  return attempt(input, 'chain-headers', (place) => {
    const chain = requireChain(place);
    const { forkHeightBlocks, records, warnings } = judgeHeaders(place, headers);
    if (records.length === 0) return;
    warn(place, warnings);
    if (forkHeightBlocks < chain.tipHeightBlocks && !mayReorganise(place, chain, forkHeightBlocks, records))
      return;
    // Contents before the birthday count as read.
    const provenHeightBlocks = Math.max(
      Math.min(chain.provenHeightBlocks, forkHeightBlocks),
      chain.birthdayHeightBlocks - 1,
    );
    const isDeep = chain.tipHeightBlocks - forkHeightBlocks > place.policy.limits.reorgDepthBlocksMax;
    const touched =
      provenHeightBlocks < chain.provenHeightBlocks
        ? takeBack(place, provenHeightBlocks)
        : new Set<ChannelId>();
    const next = withHeaders(place, chain, forkHeightBlocks, records);
    putChain(place, { ...next, provenHeightBlocks, admitted: isDeep ? null : next.admitted });
    for (const id of touched) settle(place, id);
  });
}

/** The chain as it is now, without the headers that nothing needs any more. */
function putChain(place: ChainPlace, chain: ChainRecord): void {
  const { baseHeightBlocks, ids } = headersToDrop(chain);
  for (const id of ids) place.draft.put(headerRecords, id, null);
  place.draft.put(chainRecords, CHAIN_ID, { ...chain, baseHeightBlocks });
}

/** A deeper reorg than the policy allows is not followed: the view stays where it is and locks. */
function mayReorganise(
  place: ChainPlace,
  chain: ChainRecord,
  forkHeightBlocks: number,
  records: readonly HeaderRecord[],
): boolean {
  const depthBlocks = chain.tipHeightBlocks - forkHeightBlocks;
  const facts = {
    fork_height: forkHeightBlocks,
    depth_blocks: depthBlocks,
    tip: txidToHex(chain.tipHash),
    tip_new: txidToHex(records.at(-1)!.hash),
  };
  const { admitted } = chain;
  const isAdmitted = admitted !== null && records.some(({ hash }) => equalBytes(hash, admitted));
  if (isAdmitted || depthBlocks <= place.policy.limits.reorgDepthBlocksMax) {
    place.events.push({ event: 'chain-reorganised', facts });
    return true;
  }
  if (chain.lockedBy === null) {
    const lockedBy = { forkHeightBlocks, tipHash: records.at(-1)!.hash };
    place.draft.put(chainRecords, CHAIN_ID, { ...chain, lockedBy });
    place.events.push({ event: 'chain-locked', facts });
  }
  return false;
}

/** The headers after the fork in the place of what was there. */
function withHeaders(
  place: ChainPlace,
  chain: ChainRecord,
  forkHeightBlocks: number,
  records: readonly HeaderRecord[],
): ChainRecord {
  const tipHeightBlocks = forkHeightBlocks + records.length;
  // With harder blocks the chain with more work may be the shorter one: nothing stays above its tip.
  const last = Math.max(tipHeightBlocks, chain.tipHeightBlocks);
  for (let height = forkHeightBlocks + 1; height <= last; height++) {
    const record = records[height - forkHeightBlocks - 1] ?? null;
    place.draft.put(headerRecords, heightId(height), record);
  }
  return { ...chain, tipHeightBlocks, tipHash: records.at(-1)!.hash };
}

/** The content of the block after the last proven one, whole. */
export function acceptBlock(input: ChainInput, raw: Uint8Array): ChainOutcome {
  return attempt(input, 'chain-block', (place) => {
    const chain = requireChain(place);
    const heightBlocks = chain.provenHeightBlocks + 1;
    const header = place.draft.get(headerRecords, heightId(heightBlocks));
    if (header === null || heightBlocks > chain.tipHeightBlocks) {
      refuse(chainProof, 'there is no header for the content of another block', {
        height: heightBlocks,
        tip_height: chain.tipHeightBlocks,
      });
    }
    const touched: Touched = { outputs: new Set(), marks: new Set() };
    const expected = { hash: header.hash, heightBlocks };
    const proof = proveBlock(place, expected, raw, (tx) => lookAt(place, heightBlocks, tx, touched));
    warn(place, proof.warnings);
    putChain(place, { ...chain, provenHeightBlocks: heightBlocks });
    settleClosed(place, heightBlocks);
    // A view that catches up has better to do.
    if (heightBlocks === chain.tipHeightBlocks) retirePayments(place, heightBlocks, header.hash);
  });
}

/** What a chain rule at `warn` let pass. */
function warn({ events }: ChainPlace, warnings: readonly Warning[]): void {
  for (const { tag, message, facts } of warnings) {
    events.push({ event: 'chain-warning', facts: { tag, message, ...facts } });
  }
}

/** Most transactions of a block are nobody's here: only those that are get read in full. */
function lookAt(place: ChainPlace, heightBlocks: number, tx: BlockTransaction, touched: Touched): void {
  const { watch } = place;
  const isOurs =
    (watch.mayKnow(tx.txid) && watch.fundingsOf(tx.txidHex).length > 0) ||
    tx.inputs.some((input) => {
      const { txid } = input;
      if (!watch.mayKnow(txid) && !touched.marks.has(txidMark(txid))) return false;
      const outpoint = outPointToString(input);
      return touched.outputs.has(outpoint) || watch.isWatched(outpoint);
    });
  // Inside a block a transaction is a view of its bytes: what outlives it is copied where it is kept.
  if (isOurs) seeTransaction(place, heightBlocks, tx, touched);
}

const CLOSING_KINDS: readonly string[] = [closingRecords.name, otherClosingRecords.name];

function settleClosed(place: ChainPlace, heightBlocks: number): void {
  const known = CLOSING_KINDS.flatMap((kind) => place.watch.ids(kind, ''));
  const closed = new Set([...known, ...draftClosings(place)]);
  for (const id of closed) settle(place, id, heightBlocks);
}

/** Closes of this very block are in the draft only. */
function draftClosings(place: ChainPlace): readonly ChannelId[] {
  return place.draft
    .changes()
    .filter(({ kind, value }) => CLOSING_KINDS.includes(kind.name) && value !== null)
    .map(({ id }) => id);
}

/** Payments of a channel that the chain has something to say about; and when that is all, its records go. */
function settle(place: ChainPlace, id: ChannelId, heightBlocks = 0): void {
  const record = place.draft.get(channelRecords, id);
  if (record === null || !isSetUp(record)) return;
  const read = <T>(kind: RecordKind<T>, key: string) => place.draft.get(kind, key);
  const closes = closesOf(read, id);
  const depthBlocks = Math.max(FORGET_DEPTH_BLOCKS, place.policy.limits.reorgDepthBlocksMax);
  const isPast = (one: ClosingRecord) =>
    one.outputs.length === 0 && heightBlocks > one.heightBlocks + depthBlocks;
  if (closes.length > 0 && closes.every(isPast)) return;
  const resolved = closes.filter((one) => isResolved(read, record, one, heightBlocks, depthBlocks));
  const isFinal =
    read(closingRecords, id) !== null &&
    resolved.length === closes.length &&
    !record.candidates.some((candidate) => isLeft(read, record, candidate));
  settleOnChain(place, id, record, isFinal);
  // What became of HTLCs counts until every close of the channel is resolved: only then do the payments' records have it.
  const hasHtlcs = (one: ClosingRecord) => outputsOf(read, one).some(({ role }) => role === 'htlc');
  for (const one of resolved)
    if (!isPast(one) && (isFinal || !hasHtlcs(one))) forgetClose(place, id, one, heightBlocks);
  if (!isFinal) return;
  for (const stub of place.watch.ids(stubRecords.name, stubPrefix(id)))
    place.draft.put(stubRecords, stub, null);
}

/** Of a close that is resolved only that it was stays on record. */
function forgetClose(place: ChainPlace, id: ChannelId, closing: ClosingRecord, heightBlocks: number): void {
  for (const vout of closing.outputs) forgetOutput(place, { txid: closing.txid, vout });
  putClose(place.draft, id, { ...closing, outputs: [] });
  place.events.push({
    event: 'close-resolved',
    facts: { channel: id, txid: txidToHex(closing.txid), kind: closing.kind, height: heightBlocks },
  });
}

/** With what an HTLC transaction left in its place. */
function forgetOutput({ draft }: ChainPlace, outpoint: OutPoint): void {
  const id = outPointToString(outpoint);
  const spent = draft.get(outputRecords, id)?.spent ?? null;
  draft.put(outputRecords, id, null);
  if (spent === null) return;
  const next = outPointToString({ txid: spent.txid, vout: spent.inputIndex });
  if (draft.get(outputRecords, next)?.role === 'second-level') draft.put(outputRecords, next, null);
}

function requireChain(place: ChainPlace): ChainRecord {
  const chain = place.draft.get(chainRecords, CHAIN_ID);
  return chain ?? refuse(chainProof, 'the signer follows no chain yet');
}

/** All or nothing: a refusal keeps no change. Anything else that is thrown is a bug and goes on. */
function attempt(input: ChainInput, request: string, work: (place: ChainPlace) => void): ChainOutcome {
  const { state, ...rest } = input;
  const events: AuditEvent[] = [];
  const place: ChainPlace = { ...rest, draft: new Draft(state), events };
  try {
    work(place);
    const changes = place.draft.changes();
    const before = <T>(kind: RecordKind<T>, key: string) => state.read(kind, key)?.value ?? null;
    const after = <T>(kind: RecordKind<T>, key: string) => place.draft.get(kind, key);
    return { ok: true, changes, events: [...events, ...rivalEvents(before, after, changes)] };
  } catch (error) {
    if (!(error instanceof RefusalSignal)) throw error;
    return { ok: false, refusal: refusalFrom(error, 'error', request, null) };
  }
}
