/**
 * Which outputs on the chain are fundings of a channel. The node names candidates as it likes (setup_channel), and peers mine
 * what suits them: an output is a funding only if it is the channel's 2-of-2 with its value, and a splice only if it
 * spends a funding of the channel, which takes our signature.
 */
import {
  equalBytes,
  equalOutPoints,
  fundingScript,
  isCommitmentForm,
  type OutPoint,
  outPointToString,
  p2wshOfScript,
  type Transaction,
  txid,
  txidToHex,
} from '@countersign/bitcoin';
import { scopeOf } from '../channel/live.ts';
import { isDormant } from '../channel/locking.ts';
import { channelId } from '../channel/lookup.ts';
import type { ChannelId, ChannelRecord, FundingCandidate } from '../channel/record.ts';
import type { ChannelRef, KeyView } from '../context.ts';
import { isZeroConf, type Policy } from '../policy/settings.ts';
import { type OutputRecord, outputRecords } from '../records/chain.ts';
import { fundingRecords } from '../records/channel.ts';
import type { Draft } from '../state.ts';
import type { WatchIndex } from './input.ts';
import { isBacked } from './ours.ts';

export interface FundingPlace {
  readonly draft: Pick<Draft, 'get'>;
  readonly keys: KeyView;
}

/** The output is exactly the 2-of-2 of this candidate, with exactly its value. */
export function isFundingOutput(
  keys: KeyView,
  ref: ChannelRef,
  { counterpartyFundingKey, valueSat }: FundingCandidate,
  output: { readonly script: Uint8Array; readonly valueSat: bigint },
): boolean {
  const own = p2wshOfScript(fundingScript(keys.fundingPublicKey(ref), counterpartyFundingKey));
  return output.valueSat === valueSat && equalBytes(output.script, own);
}

export const candidateAt = (record: ChannelRecord, outpoint: OutPoint): FundingCandidate | undefined =>
  record.candidates.find((one) => equalOutPoints(one.outpoint, outpoint));

/**
 * The round of the opening with this outpoint, when the chain has something else there than was set up. (Of a splice, which takes our
 * signature, the output is judged then.)
 */
export function differingRound(
  { keys }: Pick<FundingPlace, 'keys'>,
  record: ChannelRecord,
  outpoint: OutPoint,
  created: NonNullable<OutputRecord['created']>,
): FundingCandidate | null {
  const candidate = candidateAt(record, outpoint);
  if (candidate === undefined || candidate.isSplice) return null;
  return isFundingOutput(keys, record, candidate, created) ? null : candidate;
}

const recorded = ({ draft }: FundingPlace, { outpoint }: FundingCandidate): OutputRecord | null =>
  draft.get(outputRecords, outPointToString(outpoint));

/** The transaction is a splice of the channel: it has the output of a candidate. */
export function isSpliceOf(keys: KeyView, record: ChannelRecord, tx: Transaction): boolean {
  const id = txid(tx);
  return record.candidates.some((candidate) => {
    const output = tx.outputs[candidate.outpoint.vout];
    if (output === undefined || !equalBytes(candidate.outpoint.txid, id)) return false;
    return isFundingOutput(keys, record, candidate, { script: output.script, valueSat: output.value });
  });
}

/**
 * A splice of the channel's past: it has an output that was a funding of this channel, and is no candidate any more, so its script
 * can't be compared. Its signature was judged as a splice or a close; a commitment, which the node could have named as a
 * funding, has its own form.
 */
export function isFormerSpliceOf(
  place: FundingPlace & { readonly watch: Pick<WatchIndex, 'fundingsOf'> },
  channel: ChannelId,
  tx: Transaction,
  inputIndex: number,
): boolean {
  if (isCommitmentForm(tx, inputIndex)) return false;
  const id = txid(tx);
  return place.watch
    .fundingsOf(txidToHex(id))
    .some((vout) => place.draft.get(fundingRecords, outPointToString({ txid: id, vout })) === channel);
}

/** The chain has it, and as far as could be compared, it is the funding that its name says. */
export const isFundingThere = ({ role, created }: OutputRecord): boolean =>
  role === 'funding' && created !== null;

/** A funding of the channel's past that the chain has. */
function isFormerFunding({ draft }: FundingPlace, record: ChannelRecord, outpoint: OutPoint): boolean {
  const key = outPointToString(outpoint);
  const output = draft.get(outputRecords, key);
  return draft.get(fundingRecords, key) === channelId(record) && output !== null && isFundingThere(output);
}

/** A candidate splice that spends no funding of the channel is none: somebody's own money, whatever its script. */
export function isStray(
  place: FundingPlace,
  record: ChannelRecord,
  outpoint: OutPoint,
  tx: Transaction,
): boolean {
  if (candidateAt(record, outpoint)?.isSplice !== true) return false;
  return !tx.inputs.some((input) => {
    const spent = candidateAt(record, input);
    if (spent === undefined) return isFormerFunding(place, record, input);
    const created = recorded(place, spent)?.created ?? null;
    return created === null ? !spent.isSplice : isFundingOutput(place.keys, record, spent, created);
  });
}

/** Confirmed, as it was set up, and nobody has spent it; of splices only those that we signed. */
export function isOnChain(place: FundingPlace, record: ChannelRecord, candidate: FundingCandidate): boolean {
  if (candidate.isSplice && !candidate.fundingSigned) return false;
  const output = recorded(place, candidate);
  if (output === null || output.created === null || output.spent !== null) return false;
  return isFundingOutput(place.keys, record, candidate, output.created);
}

/** A funding's name, and the witness of what has spent the output behind it. */
interface SpentFunding {
  readonly outpoint: OutPoint;
  readonly created: OutputRecord['created'];
  readonly witness: readonly Uint8Array[];
}

/**
 * As far as the chain has shown it, the output is a funding of the channel. Of one that is no candidate any more the record has no key to
 * compare: whoever spends it shows the script, and without our key in it nothing of the channel was there.
 */
export function wasFunding(
  place: FundingPlace,
  record: ChannelRecord,
  { outpoint, created, witness }: SpentFunding,
): boolean {
  const candidate = candidateAt(record, outpoint);
  if (candidate === undefined) return hasOurKey(place.keys, record, witness.at(-1), created);
  return created === null ? !candidate.isSplice : isFundingOutput(place.keys, record, candidate, created);
}

/** BOLT 3 "Funding Transaction Output": `2 <pubkey1> <pubkey2> 2 OP_CHECKMULTISIG`, the output's own. */
function hasOurKey(
  keys: KeyView,
  ref: ChannelRef,
  script: Uint8Array | undefined,
  created: OutputRecord['created'],
): boolean {
  if (script === undefined) return false;
  const ours = keys.fundingPublicKey(ref);
  const isTwoOfTwo = [script.subarray(2, 35), script.subarray(36, 69)].some(
    (key) => key.length === ours.length && equalBytes(fundingScript(ours, key), script),
  );
  return isTwoOfTwo && (created === null || equalBytes(created.script, p2wshOfScript(script)));
}

/**
 * The channel stands on another funding than this one. Then the spend of this one does not end it: it is a dropped round of the
 * opening, for which the peer alone paid.
 */
export function standsElsewhere(place: FundingPlace, record: ChannelRecord, outpoint: OutPoint): boolean {
  const candidate = candidateAt(record, outpoint);
  const isLivedOn = (other: FundingCandidate) =>
    !isDormant(record, other) && isBacked(record, other) && isOnChain(place, record, other);
  return record.candidates.some((other) => other !== candidate && isLivedOn(other));
}

/**
 * The operator lets this channel live on a funding that no block has yet, and there is another one of that kind: whatever this one comes
 * to, a round that the peer alone paid for or somebody else's coin, commitments on that other one may still be published.
 */
export function mayStandElsewhere(
  place: FundingPlace & { readonly policy: Policy },
  record: ChannelRecord,
  outpoint: OutPoint,
): boolean {
  if (!isZeroConf(place.policy, scopeOf(record))) return false;
  const candidate = candidateAt(record, outpoint);
  const isAwaited = (other: FundingCandidate) =>
    !other.isSplice &&
    !isDormant(record, other) &&
    isBacked(record, other) &&
    recorded(place, other) === null;
  return record.candidates.some((other) => other !== candidate && isAwaited(other));
}
