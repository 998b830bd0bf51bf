/**
 * The signer ends a channel by itself: our commitment that the laws allow is marked as signed for broadcast, exactly as
 * when the node asks for it (`ratchet/closing.ts`), and the plan that follows may be signed once that is durable.
 */
import type { OutPoint } from '@countersign/bitcoin';
import { candidateAt } from '../chain/fundings.ts';
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
import { fundingsToClose } from './fundings-to-close.ts';
import { remediesOf } from './plan.ts';
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
      /** Why a funding is not closed by us, although there is something of ours in it. */
      readonly left: readonly Refusal[];
    }
  | { readonly ok: false; readonly refusal: Refusal };

const REQUEST = 'force-close';

/**
 * Every funding of the channel with something of ours in it. Of a channel that the chain has closed already: what is left to do, and
 * nothing changes unless another funding is left, which a peer had mined beside. The draft stays as it is.
 */
export function forceClose(input: ForceCloseInput, id: ChannelId): ForceCloseOutcome {
  const { draft } = input.place;
  const record = draft.get(channelRecords, id);
  const fundings = record === null ? [] : fundingsToClose(input.place, { id, record });
  const isEnded = draft.get(closingRecords, id) !== null;
  const targets = fundings.length > 0 || isEnded ? fundings.map(({ outpoint }) => outpoint) : [null];
  const marks: Mark[] = [];
  const left: Refusal[] = [];
  let place = input.place;
  for (const target of targets) {
    const marked = markNewest({ ...input, place }, id, target);
    if (marked instanceof RefusalSignal) left.push(refusalFrom(marked, 'error', REQUEST, id));
    else {
      marks.push(marked);
      place = { ...place, draft: marked.ctx.draft };
    }
  }
  if (marks.length === 0 && !isEnded) return { ok: false, refusal: left[0]! };
  const events = marks.flatMap(({ ctx, number }) => [
    ...ctx.events,
    { event: 'channel-force-closed', facts: { channel: id, number } },
  ]);
  return {
    ok: true,
    changes: place.draft.changes(),
    warnings: marks.flatMap(({ ctx }) => ctx.warnings),
    events,
    plan: planOf(input, place, id),
    left,
  };
}

/** A commitment that is marked as signed, in a draft of its own. */
interface Mark {
  readonly ctx: Context;
  readonly number: number;
}

/** The newest on that funding first; where the laws refuse it, its unrevoked predecessor (rules, law 2). */
function markNewest(input: ForceCloseInput, id: ChannelId, target: OutPoint | null): Mark | RefusalSignal {
  let refused: RefusalSignal | null = null;
  for (const nth of [0, 1]) {
    try {
      const ctx = contextOf(input);
      return { ctx, number: markSigned(ctx, id, target, nth) };
    } catch (error) {
      if (!(error instanceof RefusalSignal)) throw error;
      refused ??= error;
    }
  }
  return refused!;
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

/** Marks the `nth` newest commitment of ours on a funding, if there is one and the laws allow; its number. */
function markSigned(ctx: Context, id: ChannelId, target: OutPoint | null, nth: number): number {
  const record = ctx.draft.get(channelRecords, id) ?? malformed('there is no such channel', { channel: id });
  const channel = requireUnfrozenChannel(ctx, record);
  const candidate = target === null ? undefined : candidateAt(record, target);
  const content = candidate?.validated.at(-1 - nth);
  if (candidate === undefined || content === undefined) {
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
