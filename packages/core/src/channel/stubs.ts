/**
 * Stubs of the HTLCs that the peer's commitments had: what is needed to rebuild the scripts of an old commitment when it
 * shows up on the chain (BOLT 5 "Revoked Transaction Close Handling"). Written with the commitment that first has the HTLC.
 */
import { ripemd160, toHex } from '@countersign/bitcoin';
import type { Context } from '../context.ts';
import { type HtlcStub, stubRecords } from '../records/chain.ts';
import type { ChannelId, CommitmentContent, HtlcRecord } from './record.ts';

export const stubPrefix = (channel: ChannelId): string => `${channel}/`;

export const stubId = (channel: ChannelId, number: number): string =>
  `${stubPrefix(channel)}${String(number).padStart(16, '0')}`;

/** The commitment number in an id. */
export const stubNumber = (id: string): number => Number(id.slice(id.lastIndexOf('/') + 1));

const keyOf = ({ offeredBy, paymentHash, cltvExpiry }: HtlcRecord): string =>
  `${offeredBy} ${toHex(paymentHash)} ${cltvExpiry}`;

/** HTLCs of `content` that none of the commitments `before` it had, and no variant of its number. */
export function keepStubs(
  ctx: Context,
  channel: ChannelId,
  before: readonly CommitmentContent[],
  content: CommitmentContent,
): void {
  const known = new Set(before.flatMap(({ htlcs }) => htlcs.map(keyOf)));
  const added = new Map<string, HtlcRecord>();
  for (const htlc of content.htlcs) {
    const key = keyOf(htlc);
    if (!known.has(key)) added.set(key, htlc);
  }
  if (added.size === 0) return;
  const id = stubId(channel, content.number);
  const present = ctx.draft.get(stubRecords, id) ?? [];
  const stubs = [...added.values()].map(stubOf).filter((stub) => !present.some((one) => isSame(one, stub)));
  if (stubs.length > 0) ctx.draft.put(stubRecords, id, [...present, ...stubs]);
}

export const stubOf = ({ offeredBy, paymentHash, cltvExpiry }: HtlcRecord): HtlcStub => ({
  isOfferedByHolder: offeredBy === 'holder',
  paymentHash160: ripemd160(paymentHash),
  cltvExpiry,
});

const isSame = (a: HtlcStub, b: HtlcStub): boolean =>
  a.isOfferedByHolder === b.isOfferedByHolder &&
  a.cltvExpiry === b.cltvExpiry &&
  toHex(a.paymentHash160) === toHex(b.paymentHash160);
