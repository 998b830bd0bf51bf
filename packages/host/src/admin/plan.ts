/** What would save a channel's funds, as the operator reads it: no key, no secret, no signature. */
import { txid, txidToHex } from '@countersign/bitcoin';
import type { Remedy, RemedyPlan } from '@countersign/core';

/** Entries of one answer: a line has a bound. */
const SHOWN_MAX = 256;

export function planJson({ channel, remedies, unclaimed }: RemedyPlan): object {
  return {
    channel,
    remedies: remedies.slice(0, SHOWN_MAX).map(remedyJson),
    remediesMore: Math.max(0, remedies.length - SHOWN_MAX),
    unclaimed: unclaimed.slice(0, SHOWN_MAX),
    unclaimedMore: Math.max(0, unclaimed.length - SHOWN_MAX),
  };
}

function remedyJson(remedy: Remedy): object {
  const { kind, transaction, after, valueSat, feeSat, weight } = remedy;
  const { earliestHeightBlocks, deadlineHeightBlocks, isReleased, isFallback, isPunishable } = remedy;
  return {
    kind,
    txid: txidToHex(txid(transaction)),
    after: after === null ? null : txidToHex(after),
    valueSat,
    feeSat,
    weight,
    earliestHeightBlocks,
    deadlineHeightBlocks,
    isReleased,
    isFallback,
    isPunishable,
  };
}
