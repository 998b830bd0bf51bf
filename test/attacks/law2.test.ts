/** Attacks on law 2, the channel ledger: A20 to A29. */
import { msat, toHex } from '@countersign/bitcoin';
import { encodeMessage, type Request } from '@countersign/wire';
import { expect } from 'vitest';
import type { Balances, ModelHtlc } from '../../packages/core/test/channel-model.ts';
import { adding, FORMATS, removing } from '../../packages/core/test/open-channel.ts';
import { attacks, type Scenario } from './attack.ts';
import { LAW_2 } from './catalogue.ts';
import { AttackChannel, htlcOf, type OpenOptions, opened } from './channel.ts';
import { FORM_SCENARIOS } from './form.ts';
import { ownInvoice } from './invoice.ts';
import { forwardOver, paying } from './payments.ts';
import { type AttackWorld, HUB } from './world.ts';

const CONSERVED = 'policy-commitment-balance-conserved';
const PREIMAGE = 'policy-commitment-payment-settled-preimage';
const OUTFLOW = 'policy-commitment-dust-outflow';
const EXPOSURE = 'policy-commitment-dust-exposure';
const INITIAL = 'policy-commitment-initial-funding-value';
const GENERIC = 'policy-generic-error';

/** Of ours so much stays that we still have an output: without one, another rule speaks. */
const LEFT_MSAT = 10_000_000n;

/** So much of ours to the peer, no HTLC involved. */
const moving = (balances: Balances, amountMsat: bigint): Balances => ({
  ...balances,
  holderMsat: balances.holderMsat - amountMsat,
  counterpartyMsat: balances.counterpartyMsat + amountMsat,
});

const LEAK_MSAT = 999n;
const LEAK_MAX_SAT = 100n;
/** Dust outflow of so much a day. */
const withOutflow = (amountSat: bigint): string =>
  HUB.replace(
    '[allowlist]',
    `dust_outflow_velocity = { amount_sat = ${amountSat}, per = "day" }\n\n[allowlist]`,
  );

const KINDS: readonly OpenOptions[] = FORMATS.flatMap((format) =>
  [true, false].map((isOutbound) => ({ format, isOutbound })),
);
const kindName = ({ format, isOutbound }: OpenOptions): string =>
  `${format}, ${isOutbound === true ? 'we opened' : 'the peer opened'}`;

const balanceMoved: readonly Scenario[] = KINDS.map((kind) => ({
  id: 'A20',
  variant: kindName(kind),
  async run(world: AttackWorld) {
    const channel = await opened(world, kind);
    const { balances, model } = channel;
    for (const amountMsat of [100_000_000n, 300_000_000n, balances.holderMsat - LEFT_MSAT]) {
      const moved = moving(balances, amountMsat);
      await channel.refused(model.signRemote(1, moved), CONSERVED);
      await channel.refused(model.validate(1, moved), CONSERVED);
    }
    await channel.goesOn();
  },
}));

const htlcs: readonly Scenario[] = [
  {
    id: 'A20',
    variant: 'beside an honest HTLC',
    async run(world) {
      const channel = await opened(world);
      const offered = await paying(world, channel, 50_000n);
      const next = adding(channel.balances, offered);
      await channel.refused(channel.model.signRemote(1, moving(next, 20_000_000n)), CONSERVED);
      await channel.refused(channel.model.validate(1, moving(next, 20_000_000n)), CONSERVED);
      await channel.weOffer(offered);
      await channel.peerSettles(offered);
    },
  },
  {
    id: 'A21',
    variant: 'an own payment, where the node delivers preimages',
    async run(world) {
      const channel = await opened(world);
      const offered = await paying(world, channel, 50_000n);
      await world.learn([]);
      await channel.weOffer(offered);
      const gone = removing(channel.balances, offered, 'settled');
      await channel.refused(channel.model.signRemote(channel.theirNumber + 1, gone), PREIMAGE);
      await channel.validate(gone);
      await channel.refused(channel.model.revoke(channel.ourNumber), PREIMAGE);
      // The preimage arrives, and the same request passes.
      await world.learn([offered]);
      await channel.revoke();
      await channel.signPeer(gone);
      await channel.peerRevokes();
      channel.balances = gone;
      await channel.goesOn();
    },
  },
  {
    id: 'A21',
    variant: 'a forward, whether or not the node delivers preimages',
    alone: {},
    async run(world) {
      const { incoming, outgoing, received, offered } = await forwardOver(world);
      await incoming.peerOffers(received);
      await outgoing.weOffer(offered);
      const gone = removing(outgoing.balances, offered, 'settled');
      await outgoing.refused(outgoing.model.signRemote(outgoing.theirNumber + 1, gone), PREIMAGE);
      await outgoing.validate(gone);
      await outgoing.refused(outgoing.model.revoke(outgoing.ourNumber), PREIMAGE);
      await outgoing.peerSettles(offered);
      await incoming.weSettle(received);
    },
  },
  {
    id: 'A22',
    variant: 'of a forward, credited in the peer’s commitment and dropped in ours',
    async run(world) {
      const { incoming, outgoing, received, offered } = await forwardOver(world);
      await incoming.peerOffers(received);
      await outgoing.weOffer(offered);
      await outgoing.peerSettles(offered);
      await creditedThenDropped(incoming, received, [CONSERVED]);
    },
  },
  {
    id: 'A22',
    variant: 'of an invoice of ours, credited in the peer’s commitment and dropped in ours',
    async run(world) {
      const channel = await opened(world);
      const sold = channel.htlc('counterparty', 80_000, 'sold');
      const terms = { preimage: sold.preimage, amountMsat: sold.amountMsat };
      await world.ask({ name: 'hsmd_sign_invoice', ...ownInvoice(terms) });
      await channel.peerOffers(sold);
      await world.learn([sold]);
      await creditedThenDropped(channel, sold, [CONSERVED]);
    },
  },
  {
    id: 'A22',
    variant: 'gone without credit to anybody of us, more than its amount to the peer',
    async run(world) {
      const channel = await opened(world);
      const received = channel.htlc('counterparty', 40_000, 'received');
      await channel.peerOffers(received);
      const failed = removing(channel.balances, received, 'failed');
      await channel.refused(channel.model.signRemote(2, moving(failed, 40_000_000n)), CONSERVED);
      await channel.refused(channel.model.validate(2, moving(failed, 40_000_000n)), CONSERVED);
      await channel.weFail(received);
    },
  },
  {
    id: 'A23',
    variant: 'two that the peer offered, one failed and paid back twice',
    async run(world) {
      const channel = await opened(world);
      const twins = [0, 1].map(() => channel.htlc('counterparty', 60_000, 'twins'));
      await channel.peerOffers(...twins);
      const one = removing(channel.balances, twins[0]!, 'failed');
      await channel.refused(channel.model.signRemote(2, moving(one, 60_000_000n)), CONSERVED);
      await channel.refused(channel.model.validate(2, moving(one, 60_000_000n)), CONSERVED);
      await channel.weFail(twins[0]!);
      await channel.weFail(twins[1]!);
    },
  },
  {
    id: 'A23',
    variant: 'two that we offered, one settled and taken twice',
    async run(world) {
      const { incoming, outgoing, received, offered } = await forwardOver(world, { inMsat: 300_000_000n });
      const twin = { ...offered };
      await incoming.peerOffers(received);
      await outgoing.weOffer(offered, twin);
      const one = removing(outgoing.balances, offered, 'settled');
      await world.learn([offered]);
      await outgoing.refused(outgoing.model.signRemote(2, moving(one, offered.amountMsat)), CONSERVED);
      await outgoing.refused(outgoing.model.validate(2, moving(one, offered.amountMsat)), CONSERVED);
      await outgoing.peerSettles(offered);
      await outgoing.peerSettles(outgoing.balances.htlcs[0]!);
      await incoming.weSettle(received);
    },
  },
  {
    id: 'A24',
    async run(world) {
      const channel = await opened(world, { format: 'static_remotekey' });
      // Millisatoshis that a careless ledger would round away, one satoshi at a time.
      const odd = htlcOf(world, 'counterparty', 12_345_678n, 'odd');
      await channel.peerOffers(odd);
      const failed = removing(channel.balances, odd, 'failed');
      await channel.refused(channel.model.signRemote(2, moving(failed, 1000n)), [CONSERVED, OUTFLOW]);
      await channel.refused(channel.model.validate(2, moving(failed, 1000n)), [CONSERVED, OUTFLOW]);
      await channel.weFail(odd);
      await channel.refused(channel.model.signRemote(3, moving(channel.balances, 1000n)), [
        CONSERVED,
        OUTFLOW,
      ]);
      await channel.goesOn();
    },
  },
  {
    id: 'A24',
    variant: 'less than a satoshi each time, by way of the fee, until the budget is used up',
    alone: { toml: withOutflow(LEAK_MAX_SAT) },
    async run(world) {
      const channel = await opened(world);
      const [begin, { model }] = [channel.balances, channel];
      // What the peer gets is rounded down too: for one update the satoshi is in no output, then in the peer's.
      const leaking = () => moving(channel.balances, LEAK_MSAT);
      for (let i = 0n; i < LEAK_MAX_SAT; i++) await channel.peerUpdates(leaking());
      const next = model.signRemote(channel.theirNumber + 1, leaking());
      for (let i = 0; i < 3; i++) await channel.refused(next, OUTFLOW);
      // Each was charged with the satoshi that is gone from our output.
      expect(begin.holderMsat - channel.balances.holderMsat).toBe(LEAK_MAX_SAT * LEAK_MSAT);
      await channel.refused(model.validate(channel.ourNumber + 1, moving(leaking(), 1000n)), CONSERVED);
      await channel.goesOn();
    },
  },
  ...(['offered', 'received'] as const).map(
    (direction): Scenario => ({
      id: 'A25',
      variant: `dust ${direction}`,
      async run(world) {
        const channel = await opened(world, { format: 'static_remotekey' });
        const feeratePerKw = 25_000;
        await channel.peerUpdates({ ...channel.balances, feeratePerKw });
        const by = direction === 'offered' ? 'holder' : 'counterparty';
        // Below 546 sat plus 663 weight at that rate: none of them has an output, and no list names them.
        const dust = Array.from({ length: 25 }, (_, i) => channel.htlc(by, 15_000, `dust ${i}`));
        const next = adding(channel.balances, ...dust);
        await channel.refused(channel.model.signRemote(2, next), EXPOSURE);
        await channel.validate(next);
        await channel.refused(channel.model.revoke(1), EXPOSURE);
        await channel.weUpdate({ ...channel.balances, feeratePerKw: 1000 });
      },
    }),
  ),
  {
    id: 'A27b',
    variant: 'dust that settles',
    alone: {},
    async run(world) {
      const channel = await opened(world);
      const lost = await leakUntilRefused(channel, OUTFLOW, async (round) => {
        const dust = channel.htlc('holder', 350, `dust ${round}`);
        const next = adding(channel.balances, dust);
        return [next, removing(next, dust, 'settled')];
      });
      // 20,000 sat a day.
      expect(lost).toBeLessThanOrEqual(20_000n);
      expect(lost).toBeGreaterThan(19_000n);
      await channel.goesOn();
    },
  },
  {
    id: 'A27b',
    variant: 'a budget of the operator’s own, used up over a restart',
    alone: { toml: withOutflow(1000n) },
    async run(world) {
      const channel = await opened(world, { format: 'static_remotekey' });
      let settled = 0n;
      const round = async (label: string) => {
        const dust = channel.htlc('holder', 400, label);
        const next = adding(channel.balances, dust);
        await channel.weUpdate(next);
        await channel.peerUpdates(removing(next, dust, 'settled'));
        settled += 400n;
      };
      await round('first');
      await world.restart();
      await round('second');
      const dust = channel.htlc('holder', 400, 'third');
      const next = adding(channel.balances, dust);
      await channel.refusedWithin(OUTFLOW, [
        channel.model.signRemote(channel.theirNumber + 1, next),
        channel.model.validateRevocation(channel.theirNumber),
        channel.model.validate(channel.ourNumber + 1, next),
        channel.model.revoke(channel.ourNumber),
        channel.model.validate(channel.ourNumber + 2, removing(next, dust, 'settled')),
        channel.model.revoke(channel.ourNumber + 1),
      ]);
      expect(settled).toBe(800n);
    },
  },
  {
    id: 'A27c',
    async run(world) {
      const channel = await opened(world, { format: 'static_remotekey' });
      // 1,000 per kw: 1,209 sat is the line for what the broadcaster offers, 1,249 sat for what it receives.
      const offered = await paying(world, channel, 1230n);
      await channel.weOffer(offered);
      const settled = removing(channel.balances, offered, 'settled');
      await world.learn([offered]);
      await channel.refused(channel.model.validate(2, moving(settled, 1_230_000n)), CONSERVED);
      await channel.refused(channel.model.signRemote(2, moving(settled, 1_230_000n)), CONSERVED);
      await channel.peerSettles(offered);
      // Once more, now that it is gone everywhere.
      const again = moving(channel.balances, 1_230_000n);
      await channel.refused(channel.model.signRemote(3, again), CONSERVED);
      await channel.refused(channel.model.validate(3, again), CONSERVED);
      await channel.goesOn();
    },
  },
];

const amounts: readonly Scenario[] = [
  {
    id: 'A28',
    variant: 'a channel above 21 million bitcoin',
    async run(world) {
      const channel = new AttackChannel(world);
      const { model } = channel;
      const setup = encodeMessage(model.setup());
      // The value stands behind the type and the first bool.
      new DataView(setup.buffer, setup.byteOffset).setBigUint64(3, 2_100_000_000_000_001n);
      await world.refusedBytes(setup, 'hsmd_setup_channel', GENERIC, model.ref);
      new DataView(setup.buffer, setup.byteOffset).setBigUint64(3, 2n ** 64n - 1n);
      await world.refusedBytes(setup, 'hsmd_setup_channel', GENERIC, model.ref);
      await channel.open();
      await channel.goesOn();
    },
  },
  {
    id: 'A28',
    variant: 'HTLCs that sum past 2^64, each within the limits',
    async run(world) {
      const channel = await opened(world);
      const huge = Array.from({ length: 12 }, (_, i) => ({
        side: 'remote' as const,
        amount: msat(2_000_000_000_000_000_000n),
        paymentHash: new Uint8Array(32).fill(i + 1),
        cltvExpiry: 700_000,
      }));
      const next = { ...channel.balances, feeratePerKw: 1001 };
      for (const request of [channel.model.signRemote(1, next), channel.model.validate(1, next)]) {
        // Which field is the first that differs does not matter: it is refused, and nothing ends.
        await world.refusedAnyhow({ ...request, htlcs: huge }, channel.model.ref);
      }
      const one = encodeMessage({ ...channel.model.signRemote(1, next), htlcs: huge.slice(0, 1) });
      const at = Buffer.from(one).indexOf(Buffer.from('1bc16d674ec80000', 'hex'));
      new DataView(one.buffer, one.byteOffset).setBigUint64(at, 2n ** 64n - 5n);
      await world.refusedBytes(one, 'hsmd_sign_remote_commitment_tx', GENERIC, channel.model.ref);
      await channel.goesOn();
    },
  },
  {
    id: 'A28',
    variant: 'outputs that are more than the funding',
    async run(world) {
      const channel = await opened(world);
      const more = {
        ...channel.balances,
        counterpartyMsat: channel.balances.counterpartyMsat + 5_000_000_000n,
      };
      await world.refusedAnyhow(channel.model.signRemote(1, more), channel.model.ref);
      await world.refusedAnyhow(channel.model.validate(1, more), channel.model.ref);
      const wrapped = encodeMessage(channel.model.signRemote(1, channel.balances));
      const amount = Buffer.alloc(8);
      amount.writeBigUInt64LE(largestOutput(channel.model.signRemote(1, channel.balances)));
      const at = Buffer.from(wrapped).indexOf(amount);
      new DataView(wrapped.buffer, wrapped.byteOffset).setBigInt64(at, -1n, true);
      await world.refusedBytes(wrapped, 'hsmd_sign_remote_commitment_tx', GENERIC, channel.model.ref);
      await channel.goesOn();
    },
  },
  ...KINDS.map(
    (kind): Scenario => ({
      id: 'A29',
      variant: kindName(kind),
      async run(world) {
        const channel = new AttackChannel(world, kind);
        const { model, balances } = channel;
        await channel.ask(model.setup());
        for (const amountMsat of [1_000_000n, 100_000_000n, balances.holderMsat - LEFT_MSAT]) {
          const moved = moving(balances, amountMsat);
          await channel.refused(model.signRemote(0, moved), INITIAL);
          await channel.refused(model.validate(0, moved), INITIAL);
          await channel.refused({ ...model.validate(0, moved), feerate: 0 }, INITIAL);
        }
        await channel.open();
        await channel.goesOn();
      },
    }),
  ),
];

/** The peer's commitment credits it; then ours gives it back, and is to be validated, or its predecessor revoked. */
async function creditedThenDropped(
  channel: AttackChannel,
  received: ModelHtlc,
  tags: readonly string[],
): Promise<void> {
  const credited = removing(channel.balances, received, 'settled');
  await channel.signPeer(credited);
  await channel.peerRevokes();
  const dropped = removing(channel.balances, received, 'failed');
  await channel.refusedWithin(tags, [
    channel.model.validate(channel.ourNumber + 1, dropped),
    channel.model.revoke(channel.ourNumber),
  ]);
  await channel.validate(credited);
  await channel.revoke();
  channel.balances = credited;
  await channel.goesOn();
}

function largestOutput(request: Request): bigint {
  if (!('tx' in request)) throw new Error('no transaction');
  const values = request.tx.tx.outputs.map(({ value }): bigint => value);
  return values.sort((a, b) => (a < b ? 1 : -1))[0]!;
}

/** Goes through pairs of states until a request is refused by this tag; what the peer has got by then, in satoshi. */
async function leakUntilRefused(
  channel: AttackChannel,
  tag: string,
  states: (round: number) => Promise<readonly [Balances, Balances]>,
): Promise<bigint> {
  const before = channel.balances.holderMsat;
  for (let round = 0; round < 200; round++) {
    const [up, down] = await states(round);
    const lost = (before - channel.balances.holderMsat) / 1000n;
    try {
      await channel.weUpdate(up);
      await channel.peerUpdates(down);
    } catch (error) {
      const text = String(error);
      if (!text.includes(tag)) throw error;
      channel.world.refusals.push({ request: 'hsmd_sign_remote_commitment_tx', tag });
      return lost;
    }
  }
  throw new Error(
    `nothing refused, ${toHex(channel.model.ref.peerId)} got ${before - channel.balances.holderMsat} msat`,
  );
}

attacks('law 2: the ledger', LAW_2, [...balanceMoved, ...htlcs, ...FORM_SCENARIOS, ...amounts]);
