/** What the tests of claims share: a channel with HTLCs both ways, of which everything is approved. */
import { htlc, type ModelHtlc, type ModelOptions } from './channel-model.ts';
import { adding } from './open-channel.ts';
import { hubChannel } from './spending-model.ts';

type Set = NonNullable<Parameters<typeof hubChannel>[1]>;

/** Both sides at commitment 1 with HTLCs both ways; everything of laws 3 and 4 is approved. */
export function running(options: ModelOptions = {}, set: Set = {}, more: readonly ModelHtlc[] = []) {
  const channel = hubChannel(options, {
    ...set,
    approvals: { auto: 'all', autoPaymentVelocity: null, expirySeconds: 3600 },
  });
  const balances = adding(
    channel.balances,
    htlc('counterparty', 30_000, 'b'),
    htlc('counterparty', 40_000, 'c'),
    htlc('holder', 50_000, 'a'),
    ...more,
  );
  channel.update(balances);
  return { channel, model: channel.model, signer: channel.signer, balances };
}
