/**
 * "What I would broadcast now": the complete set of transactions that save the funds of a channel, planned from records
 * alone. Nothing is signed here, and nothing changes.
 */
import { equalBytes, outPointToString, txid } from '@countersign/bitcoin';
import { closesOf } from '../chain/closes.ts';
import { isFundingOutput } from '../chain/fundings.ts';
import { currentContent } from '../chain/ours.ts';
import { scopeOf } from '../channel/live.ts';
import type { OpenChannel } from '../channel/lookup.ts';
import type { ChannelId, ChannelRecord, FundingCandidate } from '../channel/record.ts';
import { limitsFor, type Policy } from '../policy/settings.ts';
import { type OwnCommitment, rebuildOwn } from '../ratchet/rebuild.ts';
import { type ClosingKind, type ClosingRecord, outputRecords } from '../records/chain.ts';
import { channelRecords } from '../records/channel.ts';
import { type Claim, type Frame, type OpenOutput, sweepOf, unclaimedOf } from './claim.ts';
import { closingOutputs } from './classify-outputs.ts';
import { type ClosedCommitment, claimsOf, type PlanPlace } from './close-claims.ts';
import {
  candidateOf,
  channelOf,
  closingPoint,
  closingScripts,
  revealedSecret,
  type SetUpRecord,
} from './closing-scripts.ts';
import { remedyDestination } from './destination.ts';
import type { Feerates } from './fee-ladder.ts';
import { fundingsToClose, isSignedFor } from './fundings-to-close.ts';
import { justiceOf } from './justice.ts';
import { commitmentRemedy, secondLevelRemedy } from './own-commitment.ts';
import type { Remedy, RemedyPlan, Unclaimed } from './remedy.ts';

/** What a plan depends on. */
export interface RemedyPlace extends PlanPlace {
  readonly policy: Policy;
  /** Of the proven tip. */
  readonly heightBlocks: number;
  readonly feerates: Feerates;
}

/** A channel that nobody set up has nothing to save. */
export function remediesOf(place: RemedyPlace, id: ChannelId): RemedyPlan {
  const record = place.draft.get(channelRecords, id);
  if (record === null || record.setup === null) return { channel: id, remedies: [], unclaimed: [] };
  const channel = channelOf(record as SetUpRecord);
  const closes = closesOf((kind, key) => place.draft.get(kind, key), id);
  const parts = [
    ...closes.map((closing) => onceClosed(place, channel, closing)),
    ...fundingsToClose(place, channel).map((candidate) => whileOpen(place, channel, candidate)),
  ];
  const inOrder = parts
    .flatMap(({ remedies }) => remedies)
    .toSorted((a, b) => Number(a.isFallback) - Number(b.isFallback));
  return { channel: id, remedies: inOrder, unclaimed: parts.flatMap(({ unclaimed }) => unclaimed) };
}

interface Parts {
  readonly remedies: readonly Remedy[];
  readonly unclaimed: readonly Unclaimed[];
}

function frameOf(place: RemedyPlace, channel: OpenChannel, isReleased: boolean): Frame {
  const { policy, heightBlocks, feerates } = place;
  const limits = limitsFor(policy, scopeOf(channel.record));
  const destination = remedyDestination(place, channel.setup);
  return { channel, limits, feerates, heightBlocks, destination, isReleased };
}

/** The peer, or our node, may have revoked a commitment after it was published: then that counts. */
export function kindNow(record: ChannelRecord, { kind, number }: ClosingRecord): ClosingKind {
  if (number === null) return kind;
  if (kind === 'counterparty' && number < record.counterpartyNextRevoke) return 'counterparty-revoked';
  return kind === 'holder' && number < record.holderNextRevoke ? 'holder-revoked' : kind;
}

function onceClosed(place: RemedyPlace, channel: OpenChannel, closing: ClosingRecord): Parts {
  const kind = kindNow(channel.record, closing);
  const close = { kind, number: closing.number };
  const candidate = candidateOf(channel.record, closing.funding);
  const scripts = closingScripts(place, channel, close, candidate);
  if (scripts === null) return { remedies: [], unclaimed: [] };
  const commitment: ClosedCommitment = {
    kind,
    scripts,
    point: closingPoint(place, channel, close),
    secret: kind === 'counterparty-revoked' ? revealedSecret(channel.record, closing.number!) : null,
  };
  const frame = frameOf(place, channel, true);
  const outputs = outputsOnRecord(place, closing);
  if (kind === 'holder')
    return ownClose(place, frame, commitment, outputs, ownOf(place, channel, closing, candidate));
  const { claims, unclaimed } = claimsOf(place, frame, commitment, outputs);
  const parts = kind === 'counterparty-revoked' ? justiceOf(frame, claims) : eachOf(frame, claims);
  return { remedies: parts.remedies, unclaimed: [...unclaimed, ...parts.unclaimed] };
}

/** Outputs that nobody has spent, of the close and of the HTLC transactions after it. */
function outputsOnRecord(
  { draft }: RemedyPlace,
  { txid: id, outputs }: ClosingRecord,
): readonly OpenOutput[] {
  return outputs.flatMap((vout) => {
    const outpoint = { txid: id, vout };
    const record = draft.get(outputRecords, outPointToString(outpoint));
    if (record?.spent == null) return openOutput(outpoint, record);
    const { txid: spender, inputIndex } = record.spent;
    const next = { txid: spender, vout: inputIndex };
    const second = draft.get(outputRecords, outPointToString(next));
    return second?.role === 'second-level' && second.spent === null ? openOutput(next, second) : [];
  });
}

function openOutput(
  outpoint: OpenOutput['outpoint'],
  record: {
    readonly role: OpenOutput['role'];
    readonly htlc: OpenOutput['htlc'];
    readonly created: Created;
  } | null,
): readonly OpenOutput[] {
  if (record === null || record.created === null) return [];
  const { role, htlc, created } = record;
  const output = { value: created.valueSat, script: created.script };
  return [{ outpoint, output, role, htlc, createdHeightBlocks: created.heightBlocks, after: null }];
}
type Created = {
  readonly heightBlocks: number;
  readonly valueSat: OpenOutput['output']['value'];
  readonly script: Uint8Array;
} | null;

/** Each by itself: no claim waits for another, and none falls with another. */
function eachOf(frame: Frame, claims: readonly Claim[]): Parts {
  const remedies: Remedy[] = [];
  const unclaimed: Unclaimed[] = [];
  for (const one of claims) {
    const remedy = sweepOf(frame, one.kind, [one]);
    if (remedy === null) unclaimed.push(unclaimedOf(one.of, 'below-fee'));
    else remedies.push(remedy);
  }
  return { remedies, unclaimed };
}

function ownOf(
  place: RemedyPlace,
  channel: OpenChannel,
  { txid: id }: ClosingRecord,
  candidate: FundingCandidate | undefined,
): OwnCommitment | null {
  const content = candidate?.validated.find((one) => equalBytes(one.txid, id));
  return content === undefined ? null : rebuildOwn(place, channel, candidate!, content);
}

/** HTLC outputs of our commitment through their HTLC transactions, everything else after its delay. */
function ownClose(
  place: RemedyPlace,
  frame: Frame,
  commitment: ClosedCommitment,
  outputs: readonly OpenOutput[],
  own: OwnCommitment | null,
): Parts {
  const htlcs = outputs.filter(({ role }) => role === 'htlc');
  const rest = outputs.filter(({ role }) => role !== 'htlc');
  const made = htlcs.map((of) =>
    own === null ? unclaimedOf(of, 'no-key-material') : secondLevelRemedy(place, frame, own, of),
  );
  const isRemedy = (one: Remedy | Unclaimed): one is Remedy => 'transaction' in one;
  const second = made.filter(isRemedy);
  const left = made.filter((one): one is Unclaimed => !isRemedy(one));
  const { claims, unclaimed } = claimsOf(place, frame, commitment, [...rest, ...second.flatMap(outputOf)]);
  const sweeps = eachOf(frame, claims);
  return {
    remedies: [...second, ...sweeps.remedies],
    unclaimed: [...left, ...unclaimed, ...sweeps.unclaimed],
  };
}

/** What an HTLC transaction of ours will leave; with a fee input to come its txid is not known yet. */
function outputOf({ transaction, bump, earliestHeightBlocks }: Remedy): readonly OpenOutput[] {
  if (bump === 'fee-input') return [];
  const after = txid(transaction);
  const output = transaction.outputs[0]!;
  const createdHeightBlocks = earliestHeightBlocks + 1;
  return [
    {
      outpoint: { txid: after, vout: 0 },
      output,
      role: 'second-level',
      htlc: null,
      createdHeightBlocks,
      after,
    },
  ];
}

/** A funding with no close on record: our commitment that counts, and all that follows from it. */
function whileOpen(place: RemedyPlace, channel: OpenChannel, candidate: FundingCandidate): Parts {
  const { record } = channel;
  const left = (reason: Unclaimed['reason']): Parts => {
    const { outpoint, valueSat } = candidate;
    return {
      remedies: [],
      unclaimed: [{ outpoint: outPointToString(outpoint), valueSat, role: 'funding', reason }],
    };
  };
  if (record.frozen || record.stopped) return left('frozen');
  if (!isOwnFunding(place, channel, candidate)) return left('script-differs');
  const content = currentContent(record, candidate);
  const own = content === undefined ? null : rebuildOwn(place, channel, candidate, content);
  if (own === null) return left('no-commitment');
  const frame = frameOf(place, channel, isSignedFor(record, candidate));
  return ownPlan(place, frame, own);
}

function ownPlan(place: RemedyPlace, frame: Frame, own: OwnCommitment): Parts {
  const { channel, heightBlocks } = frame;
  const { candidate, content, transaction, point } = own;
  const close = { kind: 'holder' as const, number: content.number };
  const scripts = closingScripts(place, channel, close, candidate)!;
  const watch = { ids: () => [] };
  const classified = closingOutputs(
    { ...place, watch },
    { record: channel.record as SetUpRecord, candidate, ...close, tx: transaction },
  );
  const outputs = classified.map(
    ({ vout, role, htlc }): OpenOutput => ({
      outpoint: { txid: content.txid, vout },
      output: transaction.outputs[vout]!,
      role,
      htlc,
      createdHeightBlocks: heightBlocks + 1,
      after: content.txid,
    }),
  );
  const parts = ownClose(place, frame, { kind: 'holder', scripts, point, secret: null }, outputs, own);
  return { ...parts, remedies: [commitmentRemedy(place, frame, own), ...parts.remedies] };
}

/** What the chain shows under the outpoint is the channel's 2-of-2; or the chain has not shown it. */
function isOwnFunding(place: PlanPlace, { ref }: OpenChannel, candidate: FundingCandidate): boolean {
  const created = place.draft.get(outputRecords, outPointToString(candidate.outpoint))?.created ?? null;
  return created === null || isFundingOutput(place.keys, ref, candidate, created);
}
