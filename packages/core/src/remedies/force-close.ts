/**
 * The signer ends a channel by itself: our commitment that the laws allow is marked as signed for broadcast, exactly as
 * when the node asks for it (`ratchet/closing.ts`), and the plan that follows may be signed once that is durable.
 */
import type { ChainPlace } from '../chain/input.ts';
import type { ChainView } from '../chain/view.ts';
import { requireUnfrozenChannel } from '../channel/lookup.ts';
import type { ChannelId } from '../channel/record.ts';
import { type AuditEvent, type Context, MASTER_PERMISSIONS, type Warning } from '../context.ts';
import { malformed } from '../form.ts';
import { signHolderCommitment } from '../ratchet/holder.ts';
import { rebuildOwn } from '../ratchet/rebuild.ts';
import { holderNotRevoked } from '../ratchet/rules.ts';
import { closingRecords } from '../records/chain.ts';
import { channelRecords } from '../records/channel.ts';
import { type Refusal, RefusalSignal, refusalFrom, refuse } from '../refusal.ts';
import { chargeCommitmentFee } from '../spending/close.ts';
import type { Change } from '../state.ts';
import type { Feerates } from './fee-ladder.ts';
import { fundingInUse, remediesOf } from './plan.ts';
import type { RemedyPlan } from './remedy.ts';

/** What a close by the signer itself depends on. */
export interface ForceCloseInput {
  readonly place: ChainPlace;
  /** As handlers have it; null where the signer follows no chain. */
  readonly chain: ChainView | null;
  readonly heightBlocks: number;
  readonly feerates: Feerates;
}

/** A channel that the signer ends, or why it must not. */
export type ForceCloseOutcome =
  | {
      readonly ok: true;
      /** To be made durable before anything of the plan is signed. */
      readonly changes: readonly Change[];
      readonly warnings: readonly Warning[];
      readonly events: readonly AuditEvent[];
      readonly plan: RemedyPlan;
    }
  | { readonly ok: false; readonly refusal: Refusal };

const REQUEST = 'force-close';

/** Of a channel that the chain has already closed: what is left to do, and nothing changes. The draft stays as it is. */
export function forceClose(input: ForceCloseInput, id: ChannelId): ForceCloseOutcome {
  const { place } = input;
  if (place.draft.get(closingRecords, id) !== null) {
    return {
      ok: true,
      changes: place.draft.changes(),
      warnings: [],
      events: [],
      plan: planOf(input, place, id),
    };
  }
  let refused: RefusalSignal | null = null;
  // The newest first; where the laws refuse it, its unrevoked predecessor (rules, law 2).
  for (const nth of [0, 1]) {
    try {
      const ctx = contextOf(input);
      const number = markSigned(ctx, id, nth);
      const { warnings } = ctx;
      const changes = ctx.draft.changes();
      const closed = { ...place, draft: ctx.draft };
      const event = { event: 'channel-force-closed', facts: { channel: id, number } };
      return { ok: true, changes, warnings, events: [...ctx.events, event], plan: planOf(input, closed, id) };
    } catch (error) {
      if (!(error instanceof RefusalSignal)) throw error;
      refused ??= error;
    }
  }
  return { ok: false, refusal: refusalFrom(refused!, 'error', REQUEST, id) };
}

function planOf({ heightBlocks, feerates }: ForceCloseInput, place: ChainPlace, id: ChannelId): RemedyPlan {
  const { draft, keys, secp, policy } = place;
  return remediesOf({ draft, keys, secp, policy, heightBlocks, feerates }, id);
}

/** A draft of its own: what a refused attempt has written is given up with it. */
function contextOf({ place, chain }: ForceCloseInput): Context {
  const { draft, policy, keys, secp, nowSeconds } = place;
  return {
    draft: draft.fork(),
    client: { channel: null, permissions: MASTER_PERMISSIONS },
    policy,
    keys,
    secp,
    protocolVersion: 6,
    nowSeconds,
    chain,
    warnings: [],
    events: [],
    failPreapprovals: false,
  };
}

/** Marks the `nth` newest commitment of ours on the funding in use, if the laws allow; its number. */
function markSigned(ctx: Context, id: ChannelId, nth: number): number {
  const record = ctx.draft.get(channelRecords, id) ?? malformed('there is no such channel', { channel: id });
  const channel = requireUnfrozenChannel(ctx, record);
  const candidate = fundingInUse(ctx, channel);
  const content = candidate?.validated.at(-1 - nth);
  if (candidate === null || content === undefined) {
    refuse(holderNotRevoked, 'there is no validated commitment of ours to publish', { channel: id });
  }
  const { number } = content;
  const own = rebuildOwn(ctx, channel, candidate, content);
  if (own === null) {
    const message = 'the record gives another commitment than the one that was validated';
    refuse(holderNotRevoked, message, { channel: id, number });
  }
  signHolderCommitment(ctx, channel, candidate, own.transaction, number, content.txid);
  chargeCommitmentFee(ctx, channel, candidate, own.transaction, number);
  return number;
}
