/**
 * Our own commitment from its record: the transaction as it was validated, without signatures.
 */
import {
  type CommitmentHtlcOutput,
  type CommitmentScriptParams,
  commitmentWithOutputs,
  equalBytes,
  type Transaction,
  txid,
} from '@countersign/bitcoin';
import type { OpenChannel } from '../channel/lookup.ts';
import type { FundingCandidate, ValidatedCommitment } from '../channel/record.ts';
import type { KeyPlace } from '../context.ts';
import { commitmentKeys, htlcSeenBy, mayBeLeased, obscureFactorOf, scriptParams } from './commitment.ts';
import { leasedScripts } from './lease.ts';

export interface OwnCommitment {
  readonly content: ValidatedCommitment;
  readonly candidate: FundingCandidate;
  readonly point: Uint8Array;
  readonly params: CommitmentScriptParams;
  /** Unsigned. */
  readonly transaction: Transaction;
  /** In output order, which is that of the peer's HTLC signatures. */
  readonly htlcs: readonly CommitmentHtlcOutput[];
}

/** Null when what is on record gives another transaction than the one that was validated. */
export function rebuildOwn(
  place: KeyPlace,
  channel: OpenChannel,
  candidate: FundingCandidate,
  content: ValidatedCommitment,
): OwnCommitment | null {
  const point = place.keys.perCommitmentPoint(channel.ref, content.number);
  const keys = commitmentKeys(place, channel, 'holder', point);
  const plain = scriptParams(place, channel, candidate, 'holder', keys);
  const outputs = {
    funding: candidate.outpoint,
    commitmentNumber: content.number,
    obscureFactor: obscureFactorOf(place, channel),
    toLocalSat: content.toHolderSat,
    toRemoteSat: content.toCounterpartySat,
    htlcs: content.htlcs.map((record) => htlcSeenBy('holder', record)),
  };
  for (const params of leaseVariants(plain, mayBeLeased(channel, candidate))) {
    const { transaction, htlcs } = commitmentWithOutputs({ ...params, ...outputs });
    if (!equalBytes(txid(transaction), content.txid)) continue;
    return { content, candidate, point, params, transaction, htlcs };
  }
  return null;
}

function* leaseVariants(
  params: CommitmentScriptParams,
  isLeased: boolean,
): Generator<CommitmentScriptParams> {
  yield params;
  if (!isLeased) return;
  for (const { blocks } of leasedScripts(params)) yield { ...params, leaseCsvBlocks: blocks };
}
