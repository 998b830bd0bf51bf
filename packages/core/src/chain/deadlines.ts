/**
 * Deadlines (rules, law 4): until when a channel must have gone to the chain so that an HTLC can be claimed, and until when
 * outputs of a close must be spent. They follow from the records at the proven height; none is stored.
 */
import { outPointToString } from '@countersign/bitcoin';
import { liveCommitments, scopeOf } from '../channel/live.ts';
import type { ChannelId, ChannelRecord, HtlcRecord } from '../channel/record.ts';
import { hashHex, htlcKey } from '../ledger/htlc-set.ts';
import { deficitMsat, withoutEarly } from '../payments/balance.ts';
import { type Limits, limitsFor, type Policy } from '../policy/settings.ts';
import { CHAIN_ID, type ClosingRecord, chainRecords, closingRecords } from '../records/chain.ts';
import { type PaymentRecord, paymentRecords } from '../records/payment.ts';
import { kindNow } from '../remedies/plan.ts';
import type { Deadline, DeadlineLevel, DeadlineSubject } from './alarm-types.ts';
import { closeOf, closesOf } from './closes.ts';
import { isLeft } from './ours.ts';
import { outputsOf } from './resolution.ts';
import type { Read } from './view-of.ts';

/** Of an approval, when only what is in use counts. */
const NEVER_SECONDS = Number.POSITIVE_INFINITY;
/** Blocks left at which a deadline is urgent, and at which it is critical. */
const URGENT_BLOCKS = 6;
const CRITICAL_BLOCKS = 2;
/** So far ahead it is worth a warning. */
const WARN_BLOCKS = 18;

/** Of one channel, the nearest first; only those less than `WARN_BLOCKS` away. */
export function deadlinesOf(
  read: Read,
  policy: Policy,
  id: ChannelId,
  record: ChannelRecord,
): readonly Deadline[] {
  const chain = read(chainRecords, CHAIN_ID);
  if (chain === null) return [];
  const height = chain.provenHeightBlocks;
  const limits = limitsFor(policy, scopeOf(record));
  const closes = closesOf(read, id);
  const open = openFundings(read, id, record, closes);
  const found = [
    ...whileOpen(read, limits, id, record, open),
    ...closes.flatMap((closing) => onceClosed(read, id, record, closing)),
  ];
  return found
    .filter(({ heightBlocks }) => heightBlocks - height <= WARN_BLOCKS)
    .map(({ heightBlocks, what, amountMsat }) => ({
      channel: id,
      heightBlocks,
      blocksLeft: heightBlocks - height,
      level: levelOf(heightBlocks - height),
      what,
      amountMsat,
    }))
    .sort((a, b) => a.heightBlocks - b.heightBlocks);
}

interface Found {
  readonly heightBlocks: number;
  readonly what: DeadlineSubject;
  readonly amountMsat: bigint;
}

function levelOf(blocksLeft: number): DeadlineLevel {
  if (blocksLeft <= 0) return 'passed';
  if (blocksLeft <= CRITICAL_BLOCKS) return 'critical';
  return blocksLeft <= URGENT_BLOCKS ? 'urgent' : 'warn';
}

/** Fundings that nothing has closed: once the channel has ended, only those that are on the chain. */
function openFundings(
  read: Read,
  id: ChannelId,
  record: ChannelRecord,
  closes: readonly ClosingRecord[],
): ReadonlySet<string> {
  const isEnded = read(closingRecords, id) !== null;
  const open = record.candidates.filter(
    (candidate) =>
      closeOf(closes, candidate.outpoint) === undefined && (!isEnded || isLeft(read, record, candidate)),
  );
  return new Set(open.map(({ outpoint }) => outPointToString(outpoint)));
}

function whileOpen(
  read: Read,
  limits: Limits,
  id: ChannelId,
  record: ChannelRecord,
  open: ReadonlySet<string>,
): readonly Found[] {
  const htlcs = new Map<string, HtlcRecord>();
  for (const { funding, content, ledger } of liveCommitments(record)) {
    if (!open.has(funding)) continue;
    for (const htlc of [...content.htlcs, ...ledger.trimmed]) htlcs.set(htlcKey(htlc), htlc);
  }
  return [...htlcs.values()].flatMap((htlc) => deadlineOf(read, limits, id, htlc));
}

/** When an HTLC forces the channel to the chain; none for one offered to us that we could not claim. */
function deadlineOf(read: Read, limits: Limits, channel: ChannelId, htlc: HtlcRecord): readonly Found[] {
  const { cltvExpiry, amountMsat, offeredBy } = htlc;
  if (offeredBy === 'holder') {
    const heightBlocks = cltvExpiry + limits.deadlineGraceBlocks;
    return [{ heightBlocks, what: 'offered-htlc-expires', amountMsat }];
  }
  if (!isOwed(read, channel, htlc)) return [];
  const heightBlocks = cltvExpiry - limits.claimMarginBlocks;
  return [{ heightBlocks, what: 'received-htlc-to-claim', amountMsat }];
}

/**
 * The preimage is known, and the claim is owed to us: it pays for what went out, or was begun already. That of an invoice of our
 * own, not released yet, obliges to nothing: the node may still give the HTLC back (rules, law 2).
 */
export function isClaimable(read: Read, channel: ChannelId, paymentHash: Uint8Array): boolean {
  const record = read(paymentRecords, hashHex(paymentHash));
  if (record === null || record.preimage === null) return false;
  if (record.invoice === null) return true;
  return isBegun(record, channel);
}

/**
 * The claim is owed, and begun, or something would be missing without it and all that expires no later. A stranger may know the preimage of a
 * payment under way, and send an HTLC of its hash that expires at once: no channel is closed for it.
 */
function isOwed(read: Read, channel: ChannelId, { paymentHash, cltvExpiry }: HtlcRecord): boolean {
  if (!isClaimable(read, channel, paymentHash)) return false;
  const record = read(paymentRecords, hashHex(paymentHash))!;
  return isBegun(record, channel) || deficitMsat(withoutEarly(record, cltvExpiry), NEVER_SECONDS) > 0n;
}

/** Some HTLC of the hash is credited in one view of the channel: the other must follow. */
const isBegun = ({ parts }: PaymentRecord, id: ChannelId): boolean =>
  parts.some(({ channel, creditMaxMsat }) => channel === id && creditMaxMsat > 0n);

/** HTLCs of `htlcs` whose deadline is here: no commitment that still has them. */
export function overdue(
  read: Read,
  limits: Limits,
  heightBlocks: number,
  channel: ChannelId,
  htlcs: readonly HtlcRecord[],
): { readonly htlc: HtlcRecord; readonly deadlineHeightBlocks: number } | null {
  for (const htlc of htlcs) {
    const [deadline] = deadlineOf(read, limits, channel, htlc);
    if (deadline !== undefined && deadline.heightBlocks <= heightBlocks) {
      return { htlc, deadlineHeightBlocks: deadline.heightBlocks };
    }
  }
  return null;
}

/** Outputs of a close that somebody else may take from some height on, and nobody has spent. */
function onceClosed(
  read: Read,
  id: ChannelId,
  record: ChannelRecord,
  closing: ClosingRecord,
): readonly Found[] {
  const open = outputsOf(read, closing).filter(({ spent }) => spent === null);
  const delay = record.setup?.counterpartyToSelfDelayBlocks ?? 0;
  if (kindNow(record, closing) === 'counterparty-revoked') {
    return open
      .filter(({ role }) => role === 'main-counterparty' || role === 'htlc' || role === 'second-level')
      .map(({ role, created, htlc }) => ({
        // The peer's own way with an HTLC is through a second transaction: only that one is delayed.
        heightBlocks: (created?.heightBlocks ?? 0) + (role === 'htlc' ? 1 : delay),
        what: 'penalty' as const,
        amountMsat: htlc?.amountMsat ?? (created?.valueSat ?? 0n) * 1000n,
      }));
  }
  return open.flatMap(({ role, htlc, created }) => {
    if (role !== 'htlc' || htlc === null || htlc.offeredBy === 'holder') return [];
    if (htlc.paymentHash === null || !isClaimable(read, id, htlc.paymentHash)) return [];
    return [
      {
        heightBlocks: htlc.cltvExpiry,
        what: 'received-htlc-to-claim' as const,
        amountMsat: (created?.valueSat ?? 0n) * 1000n,
      },
    ];
  });
}
