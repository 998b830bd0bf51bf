/** What honest nodes do all day, beside the attacks: none of it may be refused under the same policy. */
import { msat } from '@countersign/bitcoin';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { hashOf, type ModelHtlc } from '../../packages/core/test/channel-model.ts';
import { adding, FORMATS, removing } from '../../packages/core/test/open-channel.ts';
import { type AttackChannel, htlcOf, type OpenOptions, opened } from './channel.ts';
import { fairClose } from './closing.ts';
import { invoice, ownInvoice } from './invoice.ts';
import { approve, type ForwardOptions, forwardOver, IN_EXPIRY, OUT_EXPIRY, paying } from './payments.ts';
import { AttackWorld, HUB, PAYEE } from './world.ts';

const KINDS: readonly OpenOptions[] = FORMATS.flatMap((format) =>
  [true, false].map((isOutbound) => ({ format, isOutbound })),
);

const payments: Readonly<Record<string, (world: AttackWorld, kind: OpenOptions) => Promise<void>>> = {
  async 'opens, pays an invoice, closes'(world, kind) {
    const channel = await opened(world, kind);
    const paid = await paying(world, channel, 120_000n);
    await channel.weOffer(paid);
    await channel.peerSettles(paid);
    await channel.goesOn();
    await channel.ask(fairClose(channel));
  },
  async 'is paid for an invoice of its own'(world, kind) {
    const channel = await balanced(world, kind);
    const sold = channel.htlc('counterparty', 40_000, 'sold');
    await world.ask({
      name: 'hsmd_sign_invoice',
      ...ownInvoice({ preimage: sold.preimage, amountMsat: sold.amountMsat }),
    });
    await channel.peerOffers(sold);
    await world.learn([sold]);
    await channel.weSettle(sold);
    await channel.goesOn();
  },
  async 'tries a failed payment again, over another channel'(world, kind) {
    const [first, second] = [await opened(world, kind), await opened(world, kind)];
    const paid = await paying(world, first, 70_000n);
    await first.weOffer(paid);
    await first.peerFails(paid);
    await second.weOffer(paid);
    await second.peerSettles(paid);
    await first.goesOn();
  },
  async 'pays an invoice in parts over two channels'(world, kind) {
    const [first, second] = [await opened(world, kind), await opened(world, kind)];
    const whole = await paying(world, first, 90_000n);
    // Fees of the route make the parts more than the amount.
    const parts = [40_200_000n, 50_300_000n].map((amountMsat) => ({ ...whole, amountMsat }));
    await first.weOffer(parts[0]!);
    await second.weOffer(parts[1]!);
    await first.peerSettles(parts[0]!);
    await second.peerSettles(parts[1]!);
  },
  async 'gives back an HTLC that nobody knows'(world, kind) {
    const channel = await balanced(world, kind);
    const strange = channel.htlc('counterparty', 30_000, 'strange', 900_000);
    await channel.peerOffers(strange);
    await channel.weFail(strange);
  },
  async 'sends and gets dust'(world, kind) {
    const channel = await balanced(world, kind);
    const own = await paying(world, channel, 300n);
    const theirs = channel.htlc('counterparty', 320, 'small');
    await channel.weOffer(own);
    await channel.peerOffers(theirs);
    await channel.peerSettles(own);
    await channel.weSettle(theirs);
    await channel.goesOn();
  },
  async 'changes the feerate with HTLCs around the line where they are trimmed'(world, kind) {
    const channel = await balanced(world, kind);
    const near = [1150, 1230, 1300, 2500].map((sat) => channel.htlc('counterparty', sat, `near ${sat}`));
    await channel.peerOffers(...near);
    for (const feeratePerKw of [1500, 900, 2600, 700]) {
      const next = { ...channel.balances, feeratePerKw };
      await (channel.model.isOutbound ? channel.weUpdate(next) : channel.peerUpdates(next));
    }
    for (const one of near) await channel.weFail(one);
  },
  async 'reconnects with other updates'(world, kind) {
    const channel = await balanced(world, kind);
    const [first, second] = ['first', 'second'].map((label) => channel.htlc('counterparty', 25_000, label));
    await channel.validate(adding(channel.balances, first!));
    await channel.validate(adding(channel.balances, second!));
    await channel.peerOffers(second!);
    await channel.weFail(second!);
  },
};

/** A channel in which both sides have something, whoever opened it. */
async function balanced(world: AttackWorld, kind: OpenOptions): Promise<AttackChannel> {
  const channel = await opened(world, kind);
  if (kind.isOutbound !== true) return channel;
  const paid = await paying(world, channel, 200_000n);
  await channel.weOffer(paid);
  await channel.peerSettles(paid);
  return channel;
}

/** The forward's outgoing HTLC is settled or fails; the incoming one follows. */
async function forward(
  world: AttackWorld,
  options: ForwardOptions,
  end: 'settled' | 'failed',
): Promise<void> {
  const { incoming, outgoing, received, offered } = await forwardOver(world, options);
  await incoming.peerOffers(received);
  await outgoing.weOffer(offered);
  if (end === 'settled') {
    await outgoing.peerSettles(offered);
    await incoming.weSettle(received);
  } else {
    await outgoing.peerFails(offered);
    await incoming.weFail(received);
  }
  await incoming.goesOn();
  await outgoing.goesOn();
}

const forwards: Readonly<Record<string, (world: AttackWorld) => Promise<void>>> = {
  ...Object.fromEntries(
    FORMATS.flatMap((format) =>
      (['settled', 'failed'] as const).map((end) => [
        `forwards a payment that is ${end}, ${format}`,
        (world: AttackWorld) => forward(world, { format }, end),
      ]),
    ),
  ),
  'forwards with exactly the delta between the expiries': (world) =>
    forward(world, { inExpiry: OUT_EXPIRY + 6 }, 'settled'),
  'forwards for no fee': (world) => forward(world, { inMsat: 100_000_000n }, 'settled'),
  async 'fulfils upstream while the outgoing HTLC still stands downstream'(world) {
    const { incoming, outgoing, received, offered } = await forwardOver(world);
    await incoming.peerOffers(received);
    await outgoing.weOffer(offered);
    // The peer shows the preimage, signs our commitment without the HTLC, and we have not signed its own yet.
    const settled = removing(outgoing.balances, offered, 'settled');
    await outgoing.validate(settled);
    await world.learn([offered]);
    await incoming.weSettle(received);
    await outgoing.revoke();
    await outgoing.signPeer(settled);
    await outgoing.peerRevokes();
    outgoing.balances = settled;
    await outgoing.goesOn();
  },
  async 'forwards a payment in parts, in over two channels and out over two'(world) {
    const { incoming, outgoing, other, received, offered } = await forwardOver(world);
    const second = await opened(world, { peer: 'another upstream' });
    await incoming.peerOffers({ ...received, amountMsat: 60_100_000n });
    await second.peerOffers({ ...received, amountMsat: 40_100_000n });
    const parts = [70_000_000n, 30_000_000n].map((amountMsat): ModelHtlc => ({ ...offered, amountMsat }));
    await outgoing.weOffer(parts[0]!);
    await other.weOffer(parts[1]!);
    await other.peerSettles(parts[1]!);
    await outgoing.peerSettles(parts[0]!);
    await incoming.weSettle(incoming.balances.htlcs[0]!);
    await second.weSettle(second.balances.htlcs[0]!);
  },
  async 'rebalances to an invoice of its own'(world) {
    const [out, back] = [await opened(world), await opened(world)];
    const sent = htlcOf(world, 'holder', 80_100_000n, 'round trip', IN_EXPIRY);
    const terms = { preimage: sent.preimage, amountMsat: 80_000_000n };
    await world.ask({ name: 'hsmd_sign_invoice', ...ownInvoice(terms) });
    await out.weOffer(sent);
    const received: ModelHtlc = {
      ...sent,
      offeredBy: 'counterparty',
      amountMsat: 80_000_000n,
      cltvExpiry: OUT_EXPIRY,
    };
    await back.peerOffers(received);
    await world.learn([received]);
    await back.weSettle(received);
    await out.peerSettles(sent);
    await out.goesOn();
  },
  async 'force-closes a channel that it opened, and sweeps it'(world) {
    const channel = await opened(world, { isOutbound: true });
    await channel.goesOn();
    await channel.ask(channel.model.signCommitment(channel.ourNumber, channel.balances));
    await channel.ask(channel.model.sweepDelayed(channel.ourNumber, channel.balances));
  },
  async 'sends a keysend within the budget'(world) {
    const channel = await opened(world);
    const htlc = channel.htlc('holder', 5000, 'keysend');
    await world.ask({
      name: 'hsmd_preapprove_keysend_check',
      destination: PAYEE,
      paymentHash: hashOf(htlc),
      amountMsat: msat(htlc.amountMsat),
      checkOnly: false,
    });
    await channel.weOffer(htlc);
    await channel.peerSettles(htlc);
  },
  async 'restarts in the middle of everything'(world) {
    const { incoming, outgoing, received, offered } = await forwardOver(world);
    await incoming.peerOffers(received);
    await world.restart('kill');
    await outgoing.signPeer(adding(outgoing.balances, offered));
    await world.restart();
    await outgoing.weOffer(offered);
    await world.restart('kill');
    await outgoing.peerSettles(offered);
    await world.restart();
    await incoming.weSettle(received);
  },
  async 'checks an invoice without paying it, then pays it'(world) {
    const channel = await opened(world);
    const htlc = channel.htlc('holder', 60_000, 'checked');
    const invstring = invoice({ preimage: htlc.preimage, amountMsat: htlc.amountMsat });
    await world.ask({ name: 'hsmd_preapprove_invoice_check', invstring, checkOnly: true });
    await approve(world, invstring);
    await channel.weOffer(htlc);
    await channel.peerSettles(htlc);
  },
};

/** Rebalances and keysends are approved by the budget of the operator. */
const WITH_BUDGET = `${HUB}
[approvals]
auto = "velocity"
auto_payment_velocity = { amount_sat = 1_000_000, per = "day" }
`;

describe('an honest node under preset hub is never refused', () => {
  let world: AttackWorld;
  beforeAll(async () => {
    world = await AttackWorld.start({ toml: WITH_BUDGET });
  });
  afterAll(async () => {
    await world.stop();
  });

  for (const kind of KINDS) {
    const opener = kind.isOutbound === true ? 'we opened' : 'the peer opened';
    for (const [what, run] of Object.entries(payments)) {
      it(`${what} (${kind.format}, ${opener})`, async () => {
        world.nextScenario();
        await run(world, kind);
      });
    }
  }
  for (const [what, run] of Object.entries(forwards)) {
    it(what, async () => {
      world.nextScenario();
      await run(world);
    });
  }
});
