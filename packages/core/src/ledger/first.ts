/**
 * The ledgers of a channel that was kept before there were any: what each commitment shows of our balance, and nothing
 * to explain yet. From there on every step is judged.
 */
import type { ChannelRecord, CommitmentContent, FundingCandidate, Ledger } from '../channel/record.ts';
import { ledgerOf, seenBalanceMsat } from './explain.ts';
import { observe } from './observe.ts';

export function withFirstLedgers(record: ChannelRecord): ChannelRecord {
  return {
    ...record,
    candidates: record.candidates.map((candidate) => ({
      ...candidate,
      // The next one is judged when its predecessor is revoked.
      validated: candidate.validated.map((content) => ({
        ...content,
        ledger: content.number > record.holderNextRevoke ? null : firstLedger(record, candidate, content),
      })),
      issued: candidate.issued.map((content) => ({
        ...content,
        ledger: firstLedger(record, candidate, content),
      })),
    })),
  };
}

function firstLedger(
  record: ChannelRecord,
  candidate: FundingCandidate,
  content: CommitmentContent,
): Ledger | null {
  if (record.setup === null) return null;
  const observed = observe({
    format: record.setup.format,
    isOutbound: record.setup.isOutbound,
    capacitySat: candidate.valueSat,
    content,
    dustLimitSat: record.dustLimitsMaxSat.holder,
  });
  return ledgerOf(seenBalanceMsat(observed, 0n), { driftMsat: 0n, trimmed: [], fates: [] });
}
