/**
 * setup_channel (31): the channel's parameters, once; later calls may only add a candidate funding (RBF of an
 * opening, a splice). The same (peer, dbid) means the same secrets, so its ratchet is never started again lightly.
 */
import {
  equalBytes,
  equalOutPoints,
  type OutPoint,
  outPointToString,
  toHex,
  txidToHex,
} from '@countersign/bitcoin';
import { hasFeature, type MessageOf } from '@countersign/wire';
import type { ChannelRef, Context } from '../context.ts';
import { candidateExclusive, channelIdReuse } from '../ratchet/rules.ts';
import { channelRecords, emptyChannel, formerChannelRecords, fundingRecords } from '../records/channel.ts';
import { signedTransactionRecords } from '../records/spending.ts';
import { refuse } from '../refusal.ts';
import type { Release } from '../release.ts';
import { mayBeLost } from '../time/other-fundings.ts';
import { isFundingSeen, isUntouched } from './fresh.ts';
import { isDormant } from './locking.ts';
import { channelId, clientChannel, requireForeignKey, saveChannel } from './lookup.ts';
import {
  CANDIDATES_MAX,
  type ChannelFormat,
  type ChannelId,
  type ChannelRecord,
  type ChannelSetup,
  type FundingCandidate,
} from './record.ts';
import {
  channelSafeType,
  claimPeerKeys,
  countChannel,
  requireFundingValue,
  requireOpening,
} from './setup-rules.ts';

const STATIC_REMOTEKEY = 12;
const ANCHORS = 20;
const ANCHORS_ZERO_FEE_HTLC = 22;

type SetupRequest = MessageOf<'hsmd_setup_channel'>;

export function setupChannel(ctx: Context, request: SetupRequest): Release {
  const ref = clientChannel(ctx);
  const id = channelId(ref);
  requirePeerKeys(ctx, ref, request);
  const setup = setupOf(request);
  const record = ctx.draft.get(channelRecords, id);
  const candidate = candidateOf(ctx, request, record);
  const next =
    record?.setup == null
      ? firstSetup(ref, record, setup, candidate)
      : laterSetup(ctx, ref, id, record, record.setup, setup, candidate);
  if (next !== record) {
    requireFreshOutpoint(ctx, id, candidate.outpoint);
    // The setup of a channel is made once; a later funding takes it over.
    if (next.setup === setup) requireOpening(ctx, ref, id, request);
    requireFundingValue(ctx, ref, request);
    claimPeerKeys(ctx, id, request);
    countChannel(ctx, id, 'live');
    saveChannel(ctx, id, next);
  }
  return { kind: 'reply', reply: { name: 'hsmd_setup_channel_reply' } };
}

/** Points on the curve, and none of them ours: a commitment of the peer with our own keys would be one of ours. */
function requirePeerKeys(ctx: Context, ref: ChannelRef, request: SetupRequest): void {
  const { revocation, payment, htlc, delayedPayment } = request.remoteBasepoints;
  const keys = { revocation, payment, htlc, delayedPayment, funding: request.remoteFundingPubkey };
  for (const [name, key] of Object.entries(keys)) requireForeignKey(ctx, ref, key, name);
}

function formatOf(channelType: Uint8Array): ChannelFormat {
  const isStatic = hasFeature(channelType, STATIC_REMOTEKEY);
  if (isStatic && hasFeature(channelType, ANCHORS_ZERO_FEE_HTLC)) return 'anchors_zero_fee_htlc';
  if (isStatic && !hasFeature(channelType, ANCHORS)) return 'static_remotekey';
  refuse(channelSafeType, 'the signer does not build commitments of this channel type', {
    channel_type: toHex(channelType),
  });
}

function setupOf(request: SetupRequest): ChannelSetup {
  return {
    isOutbound: request.isOutbound,
    format: formatOf(request.channelType),
    channelType: request.channelType,
    // BOLT 2: each side names the delay it imposes on the other.
    counterpartyToSelfDelayBlocks: request.localToSelfDelay,
    holderToSelfDelayBlocks: request.remoteToSelfDelay,
    counterpartyBasepoints: request.remoteBasepoints,
    holderShutdownScript: request.localShutdownScript,
    holderShutdownWalletIndex: request.localShutdownWalletIndex ?? null,
    counterpartyShutdownScript: request.remoteShutdownScript,
  };
}

function candidateOf(ctx: Context, request: SetupRequest, record: ChannelRecord | null): FundingCandidate {
  return {
    outpoint: { txid: request.fundingTxid, vout: request.fundingTxout },
    valueSat: request.channelValue,
    pushValue: request.pushValue,
    counterpartyFundingKey: request.remoteFundingPubkey,
    isSplice: record !== null && isPastOpening(record),
    setUpAtNumber: record?.holderNextRevoke ?? 0,
    fundingSigned: ctx.draft.get(signedTransactionRecords, txidToHex(request.fundingTxid)) !== null,
    validated: [],
    issued: [],
  };
}

/** A funding is locked, or a commitment beyond the first was signed or became current: later fundings are splices. */
function isPastOpening(record: ChannelRecord): boolean {
  return record.locked !== null || record.holderNextRevoke > 0 || record.counterpartyNextSign > 1;
}

function firstSetup(
  ref: ChannelRef,
  record: ChannelRecord | null,
  setup: ChannelSetup,
  candidate: FundingCandidate,
): ChannelRecord {
  const base = record ?? emptyChannel(ref.peerId, ref.dbid);
  return { ...base, setup, candidates: [candidate] };
}

function laterSetup(
  ctx: Context,
  ref: ChannelRef,
  id: ChannelId,
  record: ChannelRecord,
  known: ChannelSetup,
  setup: ChannelSetup,
  candidate: FundingCandidate,
): ChannelRecord {
  if (!sameParameters(known, setup)) return startAgain(ctx, ref, id, record, setup, candidate);
  const same = record.candidates.find((c) => equalOutPoints(c.outpoint, candidate.outpoint));
  if (same !== undefined) {
    // The key of a splice is settled by its first commitment: CLN names the old one here even if the peer rotated it.
    const isSameKey =
      same.isSplice || equalBytes(same.counterpartyFundingKey, candidate.counterpartyFundingKey);
    if (same.valueSat === candidate.valueSat && isSameKey) return record;
    refuse(channelIdReuse, 'this funding was set up with another value or key', {
      outpoint: outPointToString(candidate.outpoint),
      value_sat: candidate.valueSat,
      value_known_sat: same.valueSat,
    });
  }
  if (record.candidates.some((one) => equalBytes(one.outpoint.txid, candidate.outpoint.txid))) {
    refuse(candidateExclusive, 'one transaction would create two fundings of the channel', {
      outpoint: outPointToString(candidate.outpoint),
    });
  }
  const kept = withRoom(ctx, id, record);
  if (kept.length >= CANDIDATES_MAX) {
    refuse(candidateExclusive, 'too many candidate fundings of one channel', {
      fundings: record.candidates.length,
      fundings_max: CANDIDATES_MAX,
    });
  }
  return { ...record, forgotten: false, candidates: [...kept, candidate] };
}

/**
 * When full, splices that came to nothing (no commitment of either side, never signed) and dormant rounds make room, unless there is
 * something of ours in them.
 */
function withRoom(ctx: Context, id: ChannelId, record: ChannelRecord): readonly FundingCandidate[] {
  if (record.candidates.length < CANDIDATES_MAX) return record.candidates;
  return record.candidates.filter((candidate) => {
    const { isSplice, validated, issued, fundingSigned } = candidate;
    if (isDormant(record, candidate)) return mayBeLost(ctx, id, record, candidate);
    return !isSplice || validated.length > 0 || issued.length > 0 || fundingSigned;
  });
}

/**
 * What may never change: everything but the funding. CLN sends no shutdown scripts when it splices, and after a restart
 * it sends its own where it sent none before: the first one stays.
 */
function sameParameters(a: ChannelSetup, b: ChannelSetup): boolean {
  const keys = ['revocation', 'payment', 'htlc', 'delayedPayment'] as const;
  const scriptKept = (known: Uint8Array, given: Uint8Array) =>
    given.length === 0 || known.length === 0 || equalBytes(known, given);
  return (
    a.isOutbound === b.isOutbound &&
    a.format === b.format &&
    a.counterpartyToSelfDelayBlocks === b.counterpartyToSelfDelayBlocks &&
    a.holderToSelfDelayBlocks === b.holderToSelfDelayBlocks &&
    keys.every((k) => equalBytes(a.counterpartyBasepoints[k], b.counterpartyBasepoints[k])) &&
    scriptKept(a.holderShutdownScript, b.holderShutdownScript) &&
    scriptKept(a.counterpartyShutdownScript, b.counterpartyShutdownScript)
  );
}

/** Former lives of one (peer, dbid) that are kept; CLN reuses numbers of openings that failed. */
const FORMER_LIVES_MAX = 1024;

function startAgain(
  ctx: Context,
  ref: ChannelRef,
  id: ChannelId,
  record: ChannelRecord,
  setup: ChannelSetup,
  candidate: FundingCandidate,
): ChannelRecord {
  if (!isUntouched(record, ctx.chain)) {
    refuse(channelIdReuse, 'the channel is in use: its parameters are fixed', {
      holder_first_unrevoked: record.holderNextRevoke,
      counterparty_next_to_sign: record.counterpartyNextSign,
      funding_signed: record.candidates.some((c) => c.fundingSigned),
      funding_seen: isFundingSeen(record, ctx.chain),
    });
  }
  let life = 0;
  while (ctx.draft.get(formerChannelRecords, `${id}/${life}`) !== null) {
    life += 1;
    if (life >= FORMER_LIVES_MAX)
      refuse(channelIdReuse, 'this channel number was used too often', { lives: life });
  }
  ctx.draft.put(formerChannelRecords, `${id}/${life}`, record);
  return { ...emptyChannel(ref.peerId, ref.dbid), setup, candidates: [candidate] };
}

/**
 * An outpoint is set up once, for one channel and one life of it: what was signed for it under other parameters, or
 * before it was dropped, would be unknown to the ratchet and could never be revoked.
 */
function requireFreshOutpoint(ctx: Context, id: ChannelId, outpoint: OutPoint): void {
  const key = outPointToString(outpoint);
  const owner = ctx.draft.get(fundingRecords, key);
  if (owner !== null) {
    refuse(channelIdReuse, 'this funding was set up before', { outpoint: key, channel: owner });
  }
  ctx.draft.put(fundingRecords, key, id);
}
