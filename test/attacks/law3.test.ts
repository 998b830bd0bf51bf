/** Attacks on law 3, payments over all channels, and on what law 4 asks of their expiries: A30 to A49. */
import type { Request } from '@countersign/wire';
import { hashOf, type ModelHtlc } from '../../packages/core/test/channel-model.ts';
import { adding, removing } from '../../packages/core/test/open-channel.ts';
import { bytesOf } from '../../packages/core/test/test-signer.ts';
import { attacks, type Scenario } from './attack.ts';
import { LAW_3 } from './catalogue.ts';
import { type AttackChannel, opened } from './channel.ts';
import { forgedInvoice, invoice, ownInvoice } from './invoice.ts';
import { approve, type Forward, forwardOver, IN_EXPIRY, OUT_EXPIRY, paying } from './payments.ts';
import { HUB, PAYEE } from './world.ts';

const HASH_MATCHES = 'policy-commitment-htlc-offered-hash-matches';
const ROUTING_BALANCE = 'policy-commitment-htlc-routing-balance';
const BALANCED = 'policy-routing-balanced';
const INVOICED = 'policy-commitment-payment-invoiced';
const APPROVED = 'policy-commitment-payment-approved';
const CLTV_DELTA = 'policy-routing-cltv-delta';
const FEE_BUDGET = 'policy-payment-fee-budget';
const VELOCITY = 'policy-commitment-payment-velocity';
const DAY_SECONDS = 86_400;

/** The peer's next commitment with these HTLCs of ours in it. */
const offering = (channel: AttackChannel, ...htlcs: readonly ModelHtlc[]): Request =>
  channel.model.signRemote(channel.theirNumber + 1, adding(channel.balances, ...htlcs));

const preapprove = (invstring: string): Request => ({
  name: 'hsmd_preapprove_invoice_check',
  invstring,
  checkOnly: false,
});

const keysend = (htlc: ModelHtlc, destination: Uint8Array, amountMsat = htlc.amountMsat): Request => ({
  name: 'hsmd_preapprove_keysend_check',
  destination,
  paymentHash: hashOf(htlc),
  amountMsat: amountMsat as Extract<Request, { name: 'hsmd_preapprove_keysend_check' }>['amountMsat'],
  checkOnly: false,
});

/** The honest end of a forward: it is settled downstream, then upstream. */
async function settle({ incoming, outgoing, received, offered }: Forward): Promise<void> {
  await outgoing.peerSettles(offered);
  await incoming.weSettle(received);
}

const forwards: readonly Scenario[] = [
  {
    id: 'A30',
    async run(world) {
      const channel = await opened(world);
      const offered = channel.htlc('holder', 90_000, 'for nothing');
      await channel.refused(offering(channel, offered), HASH_MATCHES);
      await channel.goesOn();
    },
  },
  {
    id: 'A30',
    variant: 'in our own commitment, then published',
    async run(world) {
      const channel = await opened(world);
      const next = adding(channel.balances, channel.htlc('holder', 90_000, 'for nothing'));
      await channel.validate(next);
      await channel.refused(channel.model.revoke(channel.ourNumber), HASH_MATCHES);
      await channel.refused(channel.model.signCommitment(channel.ourNumber + 1, next), HASH_MATCHES);
      await channel.goesOn();
    },
  },
  {
    id: 'A31',
    async run(world) {
      const forward = await forwardOver(world, { inMsat: 2_000_000n });
      await forward.incoming.peerOffers(forward.received);
      await forward.outgoing.refused(offering(forward.outgoing, forward.offered), ROUTING_BALANCE);
      const covered = { ...forward.offered, amountMsat: 2_000_000n };
      await forward.outgoing.weOffer(covered);
      await settle({ ...forward, offered: covered });
    },
  },
  {
    id: 'A31',
    variant: 'the cover is used a second time, on another channel',
    async run(world) {
      const forward = await forwardOver(world);
      await forward.incoming.peerOffers(forward.received);
      await forward.outgoing.weOffer(forward.offered);
      await forward.other.refused(offering(forward.other, forward.offered), ROUTING_BALANCE);
      await forward.outgoing.refused(offering(forward.outgoing, { ...forward.offered }), ROUTING_BALANCE);
      await settle(forward);
      await forward.other.refused(offering(forward.other, forward.offered), [ROUTING_BALANCE, HASH_MATCHES]);
      await forward.other.goesOn();
    },
  },
  {
    id: 'A34',
    variant: 'the peer can still claim it in its newest commitment',
    async run(world) {
      const forward = await forwardOver(world);
      const { incoming, outgoing, received, offered } = forward;
      await incoming.peerOffers(received);
      // Signed, not even acknowledged: the peer may publish it.
      await outgoing.signPeer(adding(outgoing.balances, offered));
      const failed = removing(incoming.balances, received, 'failed');
      await incoming.refused(incoming.model.signRemote(incoming.theirNumber + 1, failed), BALANCED);
      await incoming.validate(failed);
      await incoming.refused(incoming.model.revoke(incoming.ourNumber), BALANCED);
      await outgoing.weOffer(offered);
      await settle(forward);
    },
  },
  {
    id: 'A34',
    variant: 'the peer failed it in our commitment only',
    async run(world) {
      const forward = await forwardOver(world);
      const { incoming, outgoing, received, offered } = forward;
      await incoming.peerOffers(received);
      await outgoing.weOffer(offered);
      await outgoing.validate(removing(outgoing.balances, offered, 'failed'));
      await outgoing.revoke();
      const failed = removing(incoming.balances, received, 'failed');
      await incoming.refused(incoming.model.signRemote(incoming.theirNumber + 1, failed), BALANCED);
      // Signed without it, and the old one not revoked yet.
      outgoing.balances = removing(outgoing.balances, offered, 'failed');
      await outgoing.signPeer(outgoing.balances);
      await incoming.refused(incoming.model.signRemote(incoming.theirNumber + 1, failed), BALANCED);
      await outgoing.peerRevokes();
      await incoming.weFail(received);
    },
  },
  {
    id: 'A34',
    variant: 'one of two parts goes, and more of the incoming than it',
    async run(world) {
      const forward = await forwardOver(world, { inMsat: 210_000_000n });
      const { incoming, outgoing, other, received, offered } = forward;
      const part = { ...received, amountMsat: 105_000_000n };
      await incoming.peerOffers(part, { ...part });
      await outgoing.weOffer(offered);
      await other.weOffer({ ...offered });
      const failed = removing(incoming.balances, part, 'failed');
      await incoming.refused(incoming.model.signRemote(incoming.theirNumber + 1, failed), BALANCED);
      await other.peerFails(other.balances.htlcs[0]!);
      await incoming.weFail(part);
      await outgoing.peerSettles(offered);
      await incoming.weSettle(incoming.balances.htlcs[0]!);
    },
  },
  {
    id: 'A35',
    async run(world) {
      const forward = await forwardOver(world);
      const { incoming, outgoing, received, offered } = forward;
      await incoming.peerOffers(received);
      await outgoing.weOffer(offered);
      await outgoing.peerSettles(offered);
      const failed = removing(incoming.balances, received, 'failed');
      await incoming.refused(incoming.model.signRemote(incoming.theirNumber + 1, failed), BALANCED);
      await incoming.validate(failed);
      await incoming.refused(incoming.model.revoke(incoming.ourNumber), BALANCED);
      await incoming.weSettle(received);
      await incoming.goesOn();
    },
  },
  {
    id: 'A36',
    variant: 'in our commitment only',
    async run(world) {
      const forward = await forwardOver(world);
      const { incoming, outgoing, received, offered } = forward;
      const next = adding(incoming.balances, received);
      await incoming.validate(next);
      // Validated, its predecessor not revoked: for law 3 it is not there at all.
      await outgoing.refused(offering(outgoing, offered), HASH_MATCHES);
      await incoming.revoke();
      await outgoing.refused(offering(outgoing, offered), ROUTING_BALANCE);
      await incoming.signPeer(next);
      // The peer may still publish its commitment without it.
      await outgoing.refused(offering(outgoing, offered), ROUTING_BALANCE);
      await incoming.peerRevokes();
      incoming.balances = next;
      await outgoing.weOffer(offered);
      await settle(forward);
    },
  },
  {
    id: 'A36',
    variant: 'in the commitment of the peer only',
    async run(world) {
      const forward = await forwardOver(world);
      const { incoming, outgoing, received, offered } = forward;
      const next = adding(incoming.balances, received);
      await incoming.signPeer(next);
      await incoming.peerRevokes();
      await outgoing.refused(offering(outgoing, offered), ROUTING_BALANCE);
      await incoming.validate(next);
      await outgoing.refused(offering(outgoing, offered), ROUTING_BALANCE);
      await incoming.revoke();
      incoming.balances = next;
      await outgoing.weOffer(offered);
      await settle(forward);
    },
  },
  ...[
    ['expires before the outgoing one', OUT_EXPIRY - 1],
    ['expires with it', OUT_EXPIRY],
    ['is one block short of the delta', OUT_EXPIRY + 5],
  ].map(
    ([variant, inExpiry]): Scenario => ({
      id: 'A38',
      variant: String(variant),
      async run(world) {
        const forward = await forwardOver(world, { inExpiry: Number(inExpiry) });
        await forward.incoming.peerOffers(forward.received);
        await forward.outgoing.refused(offering(forward.outgoing, forward.offered), CLTV_DELTA);
        const earlier = { ...forward.offered, cltvExpiry: Number(inExpiry) - 6 };
        await forward.outgoing.weOffer(earlier);
        await settle({ ...forward, offered: earlier });
      },
    }),
  ),
  {
    id: 'A38',
    variant: 'two parts, and only the sum of the late ones is too much',
    async run(world) {
      const forward = await forwardOver(world, { inMsat: 60_000_000n });
      const { incoming, outgoing, other, received } = forward;
      const late = { ...received, cltvExpiry: IN_EXPIRY + 500 };
      await incoming.peerOffers(received, late);
      const early = { ...forward.offered, amountMsat: 50_000_000n };
      const outLate = { ...early, cltvExpiry: IN_EXPIRY + 100 };
      await outgoing.weOffer(outLate);
      await other.refused(offering(other, { ...outLate }), CLTV_DELTA);
      await other.weOffer(early);
      await other.peerSettles(early);
      await outgoing.peerSettles(outLate);
      await incoming.weSettle(received);
      await incoming.weSettle(late);
    },
  },
  {
    id: 'A39',
    async run(world) {
      const forward = await forwardOver(world);
      await forward.incoming.peerOffers(forward.received);
      const near = { ...forward.offered, preimage: bytesOf(world.unique('near')) };
      await forward.outgoing.refused(offering(forward.outgoing, near), HASH_MATCHES);
      const flipped = { ...forward.offered, paymentHash: flipBit(hashOf(forward.offered)) };
      await forward.outgoing.refused(offering(forward.outgoing, flipped), HASH_MATCHES);
      await forward.outgoing.weOffer(forward.offered);
      await settle(forward);
    },
  },
];

const flipBit = (hash: Uint8Array): Uint8Array => hash.with(31, hash[31]! ^ 1);

const invoices: readonly Scenario[] = [
  {
    id: 'A32',
    async run(world) {
      const channel = await opened(world);
      const paid = await paying(world, channel, 50_000n);
      await channel.weOffer(paid);
      await channel.peerSettles(paid);
      await channel.refused(offering(channel, { ...paid }), INVOICED);
      // Nor after it was approved once more.
      const again = preapprove(invoice({ preimage: paid.preimage, amountMsat: paid.amountMsat }));
      await world.answer(again);
      await channel.refused(offering(channel, { ...paid }), INVOICED);
      await channel.goesOn();
    },
  },
  {
    id: 'A32',
    variant: 'while the first is in flight',
    async run(world) {
      const channel = await opened(world);
      const paid = await paying(world, channel, 50_000n);
      await channel.weOffer(paid);
      await channel.refused(offering(channel, { ...paid }), INVOICED);
      await world.answer(preapprove(invoice({ preimage: paid.preimage, amountMsat: paid.amountMsat })));
      await channel.refused(offering(channel, { ...paid }), INVOICED);
      await channel.peerFails(paid);
      // A failed payment may be tried again.
      await channel.weOffer(paid);
      await channel.peerSettles(paid);
    },
  },
  {
    id: 'A33',
    async run(world) {
      const channels = [await opened(world), await opened(world), await opened(world)];
      const paid = await paying(world, channels[0]!, 90_000n);
      const part = (amountMsat: bigint) => ({ ...paid, amountMsat });
      const parts = [part(30_000_000n), part(30_000_000n), part(30_500_000n)] as const;
      await channels[0]!.weOffer(parts[0]);
      await channels[1]!.weOffer(parts[1]);
      // 50 sat and 1 % beside the amount, 950 sat, are the budget; 5 %, 4,500 sat, the most any setting allows.
      await channels[2]!.refused(offering(channels[2]!, part(30_950_001n)), FEE_BUDGET);
      await channels[2]!.refused(offering(channels[2]!, part(34_500_001n)), INVOICED);
      await channels[2]!.weOffer(parts[2]);
      await channels[0]!.refused(offering(channels[0]!, part(5_000_000n)), INVOICED);
      for (const [i, channel] of channels.entries()) await channel.peerSettles(parts[i]!);
      await channels[1]!.refused(offering(channels[1]!, part(5_000_000n)), INVOICED);
    },
  },
  {
    id: 'A40',
    variant: 'expired',
    async run(world) {
      const channel = await opened(world);
      const htlc = channel.htlc('holder', 40_000, 'expired');
      const createdAtSeconds = Math.floor(Date.now() / 1000) - 7200;
      const terms = { preimage: htlc.preimage, amountMsat: htlc.amountMsat, createdAtSeconds };
      await world.refused(preapprove(invoice(terms)), 'policy-invoice-not-expired');
      await channel.refused(offering(channel, htlc), HASH_MATCHES);
      world.refusals.pop();
      await approve(world, invoice({ ...terms, expirySeconds: 8000 }));
      await channel.weOffer(htlc);
      await channel.peerSettles(htlc);
    },
  },
  {
    id: 'A40',
    variant: 'the signature is of other terms, or of another key than the one named',
    async run(world) {
      const preimage = bytesOf(world.unique('forged'));
      const terms = { preimage, amountMsat: 40_000_000n, namedPayee: PAYEE };
      const forged = forgedInvoice(terms, { ...terms, amountMsat: 40_000n });
      await world.refused(preapprove(forged), 'policy-invoice-signature');
      const byAnother = invoice({ ...terms, payeeSecret: bytesOf('another payee') });
      await world.refused(preapprove(byAnother), 'policy-invoice-signature');
      await approve(world, invoice(terms));
    },
  },
  {
    id: 'A40',
    variant: 'of another network',
    async run(world) {
      const preimage = bytesOf(world.unique('mainnet'));
      const terms = { preimage, amountMsat: 40_000_000n };
      for (const network of ['bc', 'tb'] as const)
        await world.refused(preapprove(invoice({ ...terms, network })), 'policy-invoice-signature');
      await approve(world, invoice(terms));
    },
  },
  {
    id: 'A40',
    variant: 'paid with another amount than approved',
    async run(world) {
      const channel = await opened(world);
      const paid = await paying(world, channel, 1000n);
      const more = { ...paid, amountMsat: 100_000_000n };
      await channel.refused(offering(channel, more), INVOICED);
      await channel.weOffer(paid);
      await channel.peerSettles(paid);
    },
  },
  {
    id: 'A41',
    alone: {
      toml: HUB.replace(
        '[allowlist]',
        'payment_velocity = { amount_sat = 100_000, per = "day" }\n\n[allowlist]',
      ),
    },
    async run(world) {
      const channel = await opened(world);
      const first = await paying(world, channel, 60_000n);
      await channel.weOffer(first);
      await channel.peerSettles(first);
      const second = channel.htlc('holder', 50_000, 'second');
      const terms = { preimage: second.preimage, amountMsat: second.amountMsat };
      await world.refused(preapprove(invoice(terms)), VELOCITY);
      await world.restart();
      await world.refused(preapprove(invoice(terms)), VELOCITY);
      await world.restart('kill');
      await world.refused(preapprove(invoice(terms)), VELOCITY);
      const small = await paying(world, channel, 20_000n);
      await channel.weOffer(small);
      await channel.peerSettles(small);
    },
  },
  {
    id: 'A42',
    alone: {
      toml: `${HUB}\n[approvals]\nauto = "velocity"\nauto_payment_velocity = { amount_sat = 30_000, per = "day" }\n`,
    },
    async run(world) {
      const channel = await opened(world);
      const htlc = channel.htlc('holder', 20_000, 'keysend');
      await world.ask(keysend(htlc, PAYEE));
      await channel.refused(offering(channel, { ...htlc, amountMsat: 200_000_000n }), INVOICED);
      await channel.weOffer(htlc);
      await channel.refused(offering(channel, { ...htlc }), INVOICED);
      await channel.peerSettles(htlc);
    },
  },
  {
    id: 'A43',
    alone: {},
    async run(world) {
      const channel = await opened(world);
      const paid = await paying(world, channel, 50_000n, { expirySeconds: 30 * DAY_SECONDS });
      const text = invoice({
        preimage: paid.preimage,
        amountMsat: paid.amountMsat,
        expirySeconds: 30 * DAY_SECONDS,
      });
      await channel.weOffer(paid);
      await channel.peerSettles(paid);
      for (const days of [8, 40, 400, 0]) {
        await world.restartAt(days * DAY_SECONDS);
        await world.answer(preapprove(text));
        await channel.refused(offering(channel, { ...paid }), days === 0 ? INVOICED : [INVOICED, APPROVED]);
      }
      await channel.goesOn();
    },
  },
  {
    id: 'A45',
    async run(world) {
      const [incoming, outgoing] = [await opened(world), await opened(world)];
      const sold = incoming.htlc('counterparty', 80_000, 'sold');
      const terms = { preimage: sold.preimage, amountMsat: sold.amountMsat };
      await world.ask({ name: 'hsmd_sign_invoice', ...ownInvoice(terms) });
      await incoming.peerOffers(sold);
      const sent: ModelHtlc = { ...sold, offeredBy: 'holder', cltvExpiry: OUT_EXPIRY - 40 };
      // Before it is ours, after it is ours, and from the very channel it came in on.
      await outgoing.refused(offering(outgoing, sent), HASH_MATCHES);
      await world.learn([sold]);
      await incoming.weSettle(sold);
      await outgoing.refused(offering(outgoing, sent), HASH_MATCHES);
      await incoming.refused(offering(incoming, sent), HASH_MATCHES);
      await incoming.goesOn();
    },
  },
  {
    id: 'A45',
    variant: 'without an invoice on record: what was credited once covers nothing new',
    async run(world) {
      const forward = await forwardOver(world, { inMsat: 300_000_000n });
      const { incoming, outgoing, other, received, offered } = forward;
      await incoming.peerOffers(received);
      await outgoing.weOffer(offered);
      await settle(forward);
      const surplus = { ...offered, amountMsat: 150_000_000n };
      await other.refused(offering(other, surplus), [HASH_MATCHES, ROUTING_BALANCE]);
      world.refusals = world.refusals.map((one) => ({ ...one, tag: HASH_MATCHES }));
    },
  },
  {
    id: 'A49',
    async run(world) {
      const channel = await opened(world);
      const htlc = channel.htlc('holder', 60_000, 'keysend');
      await world.refused(keysend(htlc, PAYEE), APPROVED);
      await channel.refused(offering(channel, htlc), [APPROVED, HASH_MATCHES]);
      world.refusals = world.refusals.map((one) => ({ ...one, tag: APPROVED }));
      await channel.goesOn();
    },
  },
];

attacks('law 3: payments', LAW_3, [...forwards, ...invoices]);
