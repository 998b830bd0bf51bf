/** What the tests of law 2's rules share: settings, and balances moved by hand. */
import type { Limits } from '@countersign/core';
import type { Balances } from './channel-model.ts';
import { budget, recordOf, type Settings } from './forwarder.ts';
import type { OpenChannel } from './open-channel.ts';

export const withLimits = (limits: Partial<Limits>, amountSat = 500_000n): Settings => ({
  approvals: budget(amountSat),
  limits,
});
export const moved = (balances: Balances, msat: bigint, toPeerMsat = msat): Balances => ({
  ...balances,
  holderMsat: balances.holderMsat - msat,
  counterpartyMsat: balances.counterpartyMsat + toPeerMsat,
});
export const atFeerate = (balances: Balances, feeratePerKw: number): Balances => ({
  ...balances,
  feeratePerKw,
});
export const ledgerOf = (channel: OpenChannel) => recordOf(channel).candidates[0]!.issued.at(-1)!.ledger!;
