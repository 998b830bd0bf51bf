/**
 * What would save a channel's funds, as the operator reads it: no key, no secret. A transaction comes signed where the channel
 * has ended on record; the signature on the commitment of an open channel would end it.
 */
import { toHex, txid, txidToHex } from '@countersign/bitcoin';
import type { Remedy, RemedyPlan } from '@countersign/core';
import type { Json } from './protocol.ts';

/** Entries of one answer, and characters of raw transactions: a line has a bound. What does not fit is published all the same. */
const SHOWN_MAX = 64;
const RAW_CHARS_MAX = 30_000;

export function planJson(
  { channel, remedies, unclaimed }: RemedyPlan,
  sign: (remedy: Remedy) => Uint8Array,
): Json {
  let charsLeft = RAW_CHARS_MAX;
  const rawOf = (remedy: Remedy): string | null => {
    const raw = remedy.isReleased ? toHex(sign(remedy)) : null;
    if (raw === null || raw.length > charsLeft) return null;
    charsLeft -= raw.length;
    return raw;
  };
  return {
    channel,
    remedies: remedies.slice(0, SHOWN_MAX).map((remedy) => remedyJson(remedy, rawOf(remedy))),
    remediesMore: Math.max(0, remedies.length - SHOWN_MAX),
    unclaimed: unclaimed.slice(0, SHOWN_MAX).map(({ outpoint, valueSat, role, reason }) => ({
      outpoint,
      valueSat: Number(valueSat),
      role,
      reason,
    })),
    unclaimedMore: Math.max(0, unclaimed.length - SHOWN_MAX),
  };
}

function remedyJson(remedy: Remedy, raw: string | null): Json {
  const { kind, transaction, after, valueSat, feeSat, weight, bump } = remedy;
  const { earliestHeightBlocks, deadlineHeightBlocks, isReleased, isFallback, isPunishable } = remedy;
  return {
    kind,
    txid: txidToHex(txid(transaction)),
    after: after === null ? null : txidToHex(after),
    valueSat: Number(valueSat),
    feeSat: Number(feeSat),
    weight,
    bump,
    earliestHeightBlocks,
    deadlineHeightBlocks,
    isReleased,
    isFallback,
    isPunishable,
    raw,
  };
}
