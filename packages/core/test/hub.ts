/** Channels with a signer under preset `hub`, for tests of what laws 2 to 4 let pass. */
import type { ModelHtlc, ModelOptions } from './channel-model.ts';
import { OpenChannel } from './open-channel.ts';
import { TestSigner } from './test-signer.ts';

export function hub(): TestSigner {
  const signer = new TestSigner();
  signer.preset = 'hub';
  return signer;
}

export const channelOf = (signer: TestSigner, peer: string, options: ModelOptions = {}): OpenChannel =>
  new OpenChannel({ peer, pushMsat: 500_000_000n, ...options }, signer).open();

/** The same payment, offered by the other side, with this expiry. */
export const twin = (one: ModelHtlc, cltvExpiry: number, changes: Partial<ModelHtlc> = {}): ModelHtlc => ({
  ...one,
  offeredBy: one.offeredBy === 'holder' ? 'counterparty' : 'holder',
  cltvExpiry,
  ...changes,
});
