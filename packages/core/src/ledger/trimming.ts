/**
 * Which outputs may be there and which may be missing. The wire never tells the dust limits, so they are learned: an
 * output that is there shows that its side's limit is not above it, and from then on nothing larger is dust.
 */
import { type CommitmentFormat, type Facts, htlcTransactionFeeSat } from '@countersign/bitcoin';
import type { OpenChannel } from '../channel/lookup.ts';
import type { ChannelRecord, CommitmentContent } from '../channel/record.ts';
import { refuse } from '../refusal.ts';
import { htlcKey } from './htlc-set.ts';
import { DUST_LIMIT_MIN_SAT, type Observed } from './observe.ts';
import { outputsTrimmed } from './rules.ts';

interface Judged {
  readonly view: 'holder' | 'counterparty';
  readonly content: CommitmentContent;
}

/** What is left of each output that dust limits apply to: main outputs, and HTLCs less the fee of their transaction. */
function netOutputsSat(format: CommitmentFormat, { view, content }: Judged, observed: Observed): bigint[] {
  const feeOf = (offeredBy: string) =>
    htlcTransactionFeeSat(format, offeredBy === view ? 'offered' : 'received', observed.feeratePerKw);
  const fees = { holder: feeOf('holder'), counterparty: feeOf('counterparty') };
  const net = content.htlcs.map(({ amountMsat, offeredBy }) => amountMsat / 1000n - fees[offeredBy]);
  for (const main of [content.toHolderSat, content.toCounterpartySat]) if (main !== null) net.push(main);
  return net;
}

/** Refuses outputs that no dust limit allows. */
export function requireTrimming(channel: OpenChannel, judged: Judged, observed: Observed): void {
  const net = netOutputsSat(channel.setup.format, judged, observed);
  const small = net.findIndex((value) => value < DUST_LIMIT_MIN_SAT);
  if (small === -1) return;
  const htlc = judged.content.htlcs[small];
  const facts: Facts = {
    view: judged.view,
    number: judged.content.number,
    output: htlc === undefined ? 'main' : htlcKey(htlc),
    net_sat: net[small]!,
    dust_limit_min_sat: DUST_LIMIT_MIN_SAT,
  };
  refuse(outputsTrimmed, 'an output below the smallest dust limit is there', facts);
}

/** The record with what this commitment shows of its broadcaster's dust limit. */
export function withDustLimit(
  channel: OpenChannel,
  record: ChannelRecord,
  judged: Judged,
  observed: Observed,
): ChannelRecord {
  let limit = record.dustLimitsMaxSat[judged.view];
  for (const value of netOutputsSat(channel.setup.format, judged, observed)) {
    if (value < limit) limit = value;
  }
  if (limit === record.dustLimitsMaxSat[judged.view]) return record;
  return { ...record, dustLimitsMaxSat: { ...record.dustLimitsMaxSat, [judged.view]: limit } };
}
