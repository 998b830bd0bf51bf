/** What the scenarios of law 1 share: tags, and balances that move. */
import type { Reply } from '@countersign/wire';
import { expect } from 'vitest';
import type { Balances } from '../../../packages/core/test/channel-model.ts';
import type { AttackChannel } from '../channel.ts';

export const NOT_REVOKED = 'policy-commitment-holder-not-revoked';
export const NEW_VALID = 'policy-revoke-new-commitment-valid';
export const RETRY_SAME = 'policy-commitment-retry-same';
export const CONSERVED = 'policy-commitment-balance-conserved';

/** Of ours only so much stays that we still have an output. */
const LEFT_MSAT = 10_000_000n;

/** As good as everything of ours to the peer. */
export const allMoved = (balances: Balances): Balances => ({
  ...balances,
  holderMsat: LEFT_MSAT,
  counterpartyMsat: balances.counterpartyMsat + balances.holderMsat - LEFT_MSAT,
});

export const feeratePlus = (balances: Balances, more: number): Balances => ({
  ...balances,
  feeratePerKw: balances.feeratePerKw + more,
});

/** After our own commitment was signed only its own kind of request is left, and gets the same signature again. */
export async function onlyForceClose(channel: AttackChannel, first: Reply): Promise<void> {
  const again = await channel.ask(channel.model.signCommitment(channel.ourNumber, channel.balances));
  expect(again).toEqual(first);
}
