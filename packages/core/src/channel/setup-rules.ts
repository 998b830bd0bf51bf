/**
 * What a channel must be like to be opened: type, delays, value, number, the peer's keys, and where our money goes when
 * it is closed. Judged once, when the channel is set up; its value for every later funding too.
 */
import { equalBytes, outPointToString, toHex } from '@countersign/bitcoin';
import type { MessageOf } from '@countersign/wire';
import type { ChannelRef, Context } from '../context.ts';
import { enforce } from '../policy/enforce.ts';
import { rule, softRule } from '../policy/registry.ts';
import { limitsFor, type PolicyScope } from '../policy/settings.ts';
import { EMPTY_NODE, type NodeRecord, nodeRecords } from '../records/approval.ts';
import { channelRecords, peerKeyRecords } from '../records/channel.ts';
import { refuse } from '../refusal.ts';
import { isAllowlisted } from '../spending/allowlist.ts';
import { mutualDestination } from '../spending/claim-rules.ts';
import { isOurs, isOursAtHint } from '../spending/ownership.ts';
import { isUntouched } from './fresh.ts';
import type { ChannelId } from './record.ts';

type SetupRequest = MessageOf<'hsmd_setup_channel'>;

export const channelSafeType = softRule({
  tag: 'policy-channel-safe-type',
  law: 'setup',
  operations: ['setup'],
  documentation:
    'The channel type is static_remotekey or anchors_zero_fee_htlc. The signer rebuilds transactions, and it builds only these, so at `warn` other types are refused as well: there is nothing it could sign for them.',
});

export const contestDelayHolder = softRule({
  tag: 'policy-channel-contest-delay-range-holder',
  law: 4,
  operations: ['setup'],
  carriesPromise: true,
  documentation:
    'The delay that the peer imposes on our own outputs is in range: for so long our money is locked after a force close, and too long a lock is a loss.',
});

export const contestDelayCounterparty = softRule({
  tag: 'policy-channel-contest-delay-range-counterparty',
  law: 4,
  operations: ['setup'],
  carriesPromise: true,
  documentation:
    'The delay that we impose on the outputs of the peer is in range: within it a revoked commitment of the peer must be seen and punished.',
});

export const channelCountLimit = softRule({
  tag: 'policy-channel-count-limit',
  law: 'setup',
  operations: ['new', 'setup'],
  documentation:
    'The number of channels that are set up and not forgotten stays within the limit. Each may need an output swept, or fees reserved, at the same time. Judged when a channel is set up: a refused new_channel would end lightningd.',
});

export const channelReuseKeys = rule({
  tag: 'policy-channel-reuse-keys',
  law: 'setup',
  severity: 'hard',
  operations: ['setup'],
  documentation:
    "The peer's funding key and its revocation and HTLC basepoints are those of no other channel in use: a secret or a signature given for one channel would work in the other. Payment basepoints may repeat, and so may everything within one channel (splices, rounds of an opening).",
});

export const fundingMax = softRule({
  tag: 'policy-funding-max',
  law: 'setup',
  operations: ['setup', 'cc', 'hc'],
  documentation: 'The value of a channel stays within the limit, after splices too.',
});

/** A channel that begins, or begins again under a number whose opening failed. */
export function requireOpening(ctx: Context, ref: ChannelRef, id: ChannelId, request: SetupRequest): void {
  const scope = scopeOf(ref, request);
  requireDelays(ctx, scope, request);
  requireShutdownScript(ctx, scope, request);
  requireRoom(ctx, scope, id);
}

/** Overrides of the channel and of its peer count. */
function scopeOf(ref: ChannelRef, request: SetupRequest): PolicyScope {
  const outpoint = { txid: request.fundingTxid, vout: request.fundingTxout };
  return { peerId: ref.peerId, fundings: [outPointToString(outpoint)] };
}

function requireDelays(ctx: Context, scope: PolicyScope, request: SetupRequest): void {
  const { contestDelayMinBlocks: min, contestDelayMaxBlocks: max } = limitsFor(ctx.policy, scope);
  // BOLT 2: each side names the delay it imposes on the other.
  const delays = [
    [contestDelayHolder, request.remoteToSelfDelay, 'the delay of our outputs is out of range'],
    [contestDelayCounterparty, request.localToSelfDelay, "the delay of the peer's outputs is out of range"],
  ] as const;
  for (const [broken, delay, message] of delays) {
    if (delay >= min && delay <= max) continue;
    const facts = { delay_blocks: delay, delay_min_blocks: min, delay_max_blocks: max };
    enforce(ctx, broken, scope, { message, facts });
  }
}

function requireShutdownScript(ctx: Context, scope: PolicyScope, request: SetupRequest): void {
  const { localShutdownScript: script, localShutdownWalletIndex: index } = request;
  if (script.length === 0) return;
  if (isOurs(ctx, script) || isOursAtHint(ctx, script, index === undefined ? [] : [index], scope)) return;
  if (isAllowlisted(ctx, script)) return;
  enforce(ctx, mutualDestination, scope, {
    message: 'the channel would close to a script that is neither of our wallet nor on the allowlist',
    facts: { script: toHex(script), wallet_index: index ?? 'none' },
  });
}

function requireRoom(ctx: Context, scope: PolicyScope, id: ChannelId): void {
  const { channelsMax } = ctx.policy.limits;
  const { channelsLive } = nodeRecord(ctx);
  if (isCounted(ctx, id) || channelsLive < channelsMax) return;
  enforce(ctx, channelCountLimit, scope, {
    message: 'the signer serves as many channels as it may',
    facts: { channels: channelsLive, channels_max: channelsMax },
  });
}

export function requireFundingValue(ctx: Context, ref: ChannelRef, request: SetupRequest): void {
  const scope = scopeOf(ref, request);
  const { fundingMaxSat } = limitsFor(ctx.policy, scope);
  if (request.channelValue <= fundingMaxSat) return;
  enforce(ctx, fundingMax, scope, {
    message: 'the channel is worth more than it may be',
    facts: { value_sat: request.channelValue, value_max_sat: fundingMaxSat },
  });
}

const nodeRecord = (ctx: Context): NodeRecord => ctx.draft.get(nodeRecords, 'node') ?? EMPTY_NODE;

function isCounted(ctx: Context, id: ChannelId): boolean {
  const record = ctx.draft.get(channelRecords, id);
  return record !== null && record.setup !== null && !record.forgotten;
}

/** Call it before a channel's record changes from counted to not counted, or back. */
export function countChannel(ctx: Context, id: ChannelId, becomes: 'live' | 'forgotten'): void {
  const isLive = isCounted(ctx, id);
  if (isLive === (becomes === 'live')) return;
  const node = nodeRecord(ctx);
  const channelsLive = Math.max(0, node.channelsLive + (isLive ? -1 : 1));
  ctx.draft.put(nodeRecords, 'node', { ...node, channelsLive });
}

/** The keys of the peer that only one channel may use. They belong to `id` from now on. */
export function claimPeerKeys(ctx: Context, id: ChannelId, request: SetupRequest): void {
  const { revocation, htlc } = request.remoteBasepoints;
  const keys = { funding: request.remoteFundingPubkey, revocation, htlc };
  for (const [name, key] of Object.entries(keys)) {
    const owner = ctx.draft.get(peerKeyRecords, toHex(key));
    if (owner === id) continue;
    if (owner !== null && isInUse(ctx, owner, key)) {
      refuse(channelReuseKeys, 'a key of the peer is in use in another channel', {
        key: name,
        channel: owner,
      });
    }
    ctx.draft.put(peerKeyRecords, toHex(key), id);
  }
}

/** Of an opening that failed, or of a former one under the same number, nothing is left that a key could work in. */
function isInUse(ctx: Context, owner: ChannelId, key: Uint8Array): boolean {
  const record = ctx.draft.get(channelRecords, owner);
  if (record === null || record.setup === null || isUntouched(record, ctx.chain)) return false;
  const { revocation, htlc } = record.setup.counterpartyBasepoints;
  const keys = [revocation, htlc, ...record.candidates.map((one) => one.counterpartyFundingKey)];
  return keys.some((one) => equalBytes(one, key));
}
