/**
 * Payments of the attacked node: forwards over several channels, and invoices that it pays with the operator's consent.
 */
import type { ModelHtlc } from '../../packages/core/test/channel-model.ts';
import { AttackChannel, htlcOf, type OpenOptions } from './channel.ts';
import { type InvoiceTerms, invoice } from './invoice.ts';
import type { AttackWorld } from './world.ts';

/** Three channels, and one payment that comes in on the first and goes out on the second. */
export interface Forward {
  readonly incoming: AttackChannel;
  readonly outgoing: AttackChannel;
  /** Where the attacker would like to send it once more. */
  readonly other: AttackChannel;
  readonly received: ModelHtlc;
  readonly offered: ModelHtlc;
}

export interface ForwardOptions extends OpenOptions {
  readonly inMsat?: bigint;
  readonly outMsat?: bigint;
  readonly inExpiry?: number;
  readonly outExpiry?: number;
}

export const OUT_EXPIRY = 700_000;
export const IN_EXPIRY = 700_040;

export async function forwardOver(world: AttackWorld, options: ForwardOptions = {}): Promise<Forward> {
  const { inMsat = 100_200_000n, outMsat = 100_000_000n } = options;
  const { inExpiry = IN_EXPIRY, outExpiry = OUT_EXPIRY } = options;
  const open = (peer: string) => new AttackChannel(world, { ...options, peer }).open();
  return {
    incoming: await open('upstream'),
    outgoing: await open('downstream'),
    other: await open('another downstream'),
    received: htlcOf(world, 'counterparty', inMsat, 'forward', inExpiry),
    offered: htlcOf(world, 'holder', outMsat, 'forward', outExpiry),
  };
}

/** preapprove_invoice as lightningd asks it before xpay or pay; declined ends the scenario. */
export async function approve(world: AttackWorld, invstring: string): Promise<void> {
  await world.ask({ name: 'hsmd_preapprove_invoice_check', invstring, checkOnly: false });
}

/** An invoice of the allowlisted payee, approved; the HTLC that pays it. */
export async function paying(
  world: AttackWorld,
  channel: AttackChannel,
  amountSat: bigint,
  terms: Partial<InvoiceTerms> = {},
): Promise<ModelHtlc> {
  const htlc = channel.htlc('holder', Number(amountSat), `payment of ${amountSat} sat`);
  await approve(world, invoice({ preimage: htlc.preimage, amountMsat: htlc.amountMsat, ...terms }));
  return htlc;
}
