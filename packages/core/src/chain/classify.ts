/**
 * What a confirmed transaction that spends a funding is (BOLT 5): the commitment of which side and which number, or a
 * close. Known by its txid where the record still has the commitment; older ones by the keys that only they can have.
 */
import {
  commitmentNumberFrom,
  commitmentObscureFactor,
  commitmentScripts,
  deriveCommitmentKeys,
  equalBytes,
  type Transaction,
  txid,
} from '@countersign/bitcoin';
import type { ChannelRecord, CommitmentContent, FundingCandidate } from '../channel/record.ts';
import type { ClosingKind } from '../records/chain.ts';
import type { SetUpRecord } from '../remedies/closing-scripts.ts';
import type { ChainPlace } from './input.ts';

export interface Classified {
  readonly kind: ClosingKind;
  readonly number: number | null;
}

/** `record` as it was set up; `inputIndex`: the input of `tx` that spends the funding. */
export function classifyClose(
  place: ChainPlace,
  record: SetUpRecord,
  candidate: FundingCandidate,
  tx: Transaction,
  inputIndex: number,
): Classified {
  const known = contentOf(record, txid(tx));
  if (known !== null) {
    const { number } = known.content;
    if (known.view === 'holder') return { kind: 'holder', number };
    return { kind: 'counterparty', number };
  }
  const carried = commitmentNumberFrom(tx, obscureFactor(place, record), inputIndex);
  if (carried === null) return { kind: record.mutualCloseSigned ? 'mutual' : 'unknown', number: null };
  const number = Number(carried);
  if (isOurs(place, record, candidate, tx, number)) {
    return { kind: number < record.holderNextRevoke ? 'holder-revoked' : 'unknown', number };
  }
  // It spends our funding, so we have signed it, and it is none of ours.
  if (number < record.counterpartyNextRevoke) return { kind: 'counterparty-revoked', number };
  return { kind: number >= record.counterpartyNextSign ? 'counterparty-future' : 'unknown', number };
}

/** A commitment that the record still has, on whichever funding. */
export function contentOf(
  record: ChannelRecord,
  id: Uint8Array,
): { readonly view: 'holder' | 'counterparty'; readonly content: CommitmentContent } | null {
  for (const { validated, issued } of record.candidates) {
    const ours = validated.find((one) => equalBytes(one.txid, id));
    if (ours !== undefined) return { view: 'holder', content: ours };
    const theirs = issued.findLast((one) => equalBytes(one.txid, id));
    if (theirs !== undefined) return { view: 'counterparty', content: theirs };
  }
  return null;
}

function obscureFactor(place: ChainPlace, record: SetUpRecord): bigint {
  const ours = place.keys.basepoints(record).payment;
  const theirs = record.setup.counterpartyBasepoints.payment;
  return record.setup.isOutbound
    ? commitmentObscureFactor(ours, theirs)
    : commitmentObscureFactor(theirs, ours);
}

/** Whether an output has a script that only our commitment of this number has. */
function isOurs(
  place: ChainPlace,
  record: SetUpRecord,
  candidate: FundingCandidate,
  tx: Transaction,
  number: number,
): boolean {
  const { setup } = record;
  const scripts = commitmentScripts({
    format: setup.format,
    keys: deriveCommitmentKeys(place.secp, {
      perCommitmentPoint: place.keys.perCommitmentPoint(record, number),
      broadcaster: place.keys.basepoints(record),
      countersignatory: setup.counterpartyBasepoints,
    }),
    broadcasterFundingKey: place.keys.fundingPublicKey(record),
    countersignatoryFundingKey: candidate.counterpartyFundingKey,
    toSelfDelayBlocks: setup.holderToSelfDelayBlocks,
    funder: setup.isOutbound ? 'broadcaster' : 'countersignatory',
  });
  const own = [scripts.toLocal.script, scripts.toRemote.script];
  return tx.outputs.some(({ script }) => own.some((one) => equalBytes(one, script)));
}
