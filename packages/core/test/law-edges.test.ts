/** Laws 2 to 4 at the edges of their code: states that only a crafted record, a splice or an empty side brings about. */
import { msat, sat } from '@countersign/bitcoin';
import {
  type ChannelRecord,
  type Context,
  channelRecords,
  Draft,
  EMPTY_PAYMENT,
  paymentRecords,
} from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { requireChannel } from '../src/channel/lookup.ts';
import { knowledgeAtRelease, knowledgeAtValidation } from '../src/ledger/knowledge.ts';
import { observe } from '../src/ledger/observe.ts';
import { htlc } from './channel-model.ts';
import {
  budget,
  channelIdOf,
  FakeChain,
  Forwarder,
  flowOf,
  forwardOf,
  hashOf,
  hubChannel,
  hubSigner,
  recordOf,
  trips,
} from './forwarder.ts';
import { observableOf, record, VIEW } from './ledger-model.ts';
import { MemoryState } from './memory-state.ts';
import { adding, OpenChannel } from './open-channel.ts';
import { partWith } from './payment-part.ts';

/** The channel's record, changed behind the signer's back. */
function craft(channel: OpenChannel, change: (record: ChannelRecord) => ChannelRecord): void {
  const id = channelIdOf(channel);
  const { version } = channel.signer.state.read(channelRecords, id)!;
  const value = change(recordOf(channel));
  channel.signer.state.apply([{ kind: channelRecords, id, version: version + 1, value } as never]);
}

it('a commitment of the peer whose predecessor was never judged is refused', () => {
  const channel = hubChannel();
  craft(channel, (one) => ({
    ...one,
    candidates: one.candidates.map((c) => ({ ...c, issued: c.issued.map((i) => ({ ...i, ledger: null })) })),
  }));
  trips(channel, channel.model.signRemote(1, channel.balances), 'policy-commitment-balance-conserved', {
    view: 'counterparty',
    number: 1,
  });
});

describe('splices', () => {
  it('a number that no other funding has is not the first on a splice', () => {
    const channel = hubChannel();
    channel.update(channel.balances);
    const splice = channel.model.spliceOf('ahead');
    channel.ask(channel.model.setup(splice));
    trips(channel, channel.model.signRemote(2, channel.balances, splice), 'policy-routing-deltas-only-htlc', {
      number: 2,
    });
  });

  it('carry a balance of ours without output', () => {
    const channel = hubChannel({ isOutbound: false, pushMsat: 400_000n });
    const splice = channel.model.spliceOf('empty', 0n);
    channel.ask(channel.model.setup(splice));
    channel.ask(channel.model.validate(0, channel.balances, splice));
    channel.ask(channel.model.signRemote(0, channel.balances, splice));
    const [, carried] = recordOf(channel).candidates;
    expect(carried!.issued[0]).toMatchObject({ toHolderSat: null, ledger: { holderMsat: 400_000n } });
  });

  it('our next commitment on one may come before the peer has any there', () => {
    const channel = hubChannel({}, { approvals: budget(100_000n) });
    channel.update(channel.balances);
    const splice = channel.model.spliceOf('ours first');
    channel.ask(channel.model.setup(splice));
    channel.ask(channel.model.validate(1, channel.balances, splice));
    const next = adding(channel.balances, htlc('counterparty', 20_000, 'next'));
    channel.ask(channel.model.validate(2, next, splice));
    expect(recordOf(channel).candidates[1]!.validated.map(({ number }) => number)).toEqual([1, 2]);
  });
});

describe('openings', () => {
  it('policy-commitment-outputs-trimmed: trips on a main output below the smallest dust limit', () => {
    const dustLimitsSat = { holder: 100n, counterparty: 100n };
    const signer = hubSigner();
    const channel = new OpenChannel({ isOutbound: false, pushMsat: 353_000n, dustLimitsSat }, signer);
    channel.ask(channel.model.setup());
    const facts = { output: 'main', net_sat: 353n, dust_limit_min_sat: 354n };
    trips(channel, channel.model.validate(0, channel.balances), 'policy-commitment-outputs-trimmed', facts);
    const enough = new OpenChannel(
      { isOutbound: false, pushMsat: 354_000n, dustLimitsSat, peer: 'p' },
      signer,
    );
    enough.open();
  });

  it('a fee rate that is not stated is at most what the field holds', () => {
    const observable = observableOf(VIEW, {
      holderMsat: 500_000_000n,
      feeratePerKw: 0,
      htlcs: [],
      number: 0,
    });
    const vast = { ...observable, capacitySat: sat(2_100_000_000_000_000n) };
    expect(observe(vast).feeratePerKw).toBe(0xffff_ffff);
  });
});

it('an approval of the operator for an invoice without amount allows nothing until it names one', () => {
  const channel = hubChannel();
  const one = htlc('holder', 20_000, 'any amount');
  const approval = {
    kind: 'invoice',
    amountMsat: null,
    feeBudgetMsat: msat(0n),
    payee: null,
    source: 'operator',
    approvedAtSeconds: 1_699_999_000,
    expiresAtSeconds: 1_800_000_000,
    keepUntilSeconds: 1_800_000_000,
  } as const;
  channel.signer.state.apply([
    { kind: paymentRecords, id: hashOf(one), version: 1, value: { ...EMPTY_PAYMENT, approval } } as never,
  ]);
  trips(
    channel,
    channel.model.signRemote(1, adding(channel.balances, one)),
    'policy-commitment-payment-invoiced',
    {
      amount_msat: 0n,
      out_msat: 20_000_000n,
      fee_max_msat: 0n,
    },
  );
});

it('what comes in on a channel without record covers no forward', () => {
  const incoming = htlc('counterparty', 50_000, 'nowhere');
  const node = new Forwarder({ chain: new FakeChain() }).receive(incoming);
  const { version, value } = node.signer.state.read(paymentRecords, hashOf(incoming))!;
  const parts = value!.parts.map((part) => ({ ...part, channel: 'of nobody' }));
  node.signer.state.apply([
    {
      kind: paymentRecords,
      id: hashOf(incoming),
      version: version + 1,
      value: { ...value!, parts },
    } as never,
  ]);
  trips(
    node.outgoing,
    node.offering(forwardOf(incoming, 49_000)),
    'policy-commitment-htlc-received-spends-active-utxo',
    {
      incoming_channel: 'of nobody',
      uncovered_msat: 49_000_000n,
    },
  );
});

describe('what is known of a hash', () => {
  const { paymentHash } = record('holder', 1n, 'known');
  const contextOf = (fields: object, set: Parameters<typeof hubSigner>[0] = {}) => {
    const channel = hubChannel({}, set);
    const id = Buffer.from(paymentHash).toString('hex');
    channel.signer.state.apply([
      { kind: paymentRecords, id, version: 1, value: { ...EMPTY_PAYMENT, ...fields } } as never,
    ]);
    const { state, policy } = channel.signer;
    const ctx = { draft: new Draft(state), policy } as unknown as Context;
    return { ctx, open: requireChannel(ctx, channel.model.ref) };
  };
  const part = partWith();
  const invoice = { amountMsat: null, expiresAtSeconds: 0 };
  const preimage = new Uint8Array(32);

  it.each([
    ['nothing', {}, true, false, false],
    ['its preimage, released', { preimage }, true, true, true],
    ['its preimage, of an invoice of ours', { preimage, invoice }, true, true, false],
    [
      'its preimage, with an outgoing part',
      { preimage, parts: [{ ...part, outMsat: 1n }] },
      true,
      true,
      false,
    ],
    ['its preimage, and it was settled', { preimage, settledMsat: 1n }, true, true, false],
    [
      'its preimage, with an incoming part',
      { preimage, parts: [{ ...part, standingMsat: 1n }] },
      true,
      true,
      true,
    ],
    ['that an incoming HTLC stands for it', { parts: [{ ...part, standingMsat: 1n }] }, false, false, false],
    [
      'the same for an invoice of ours',
      { invoice, parts: [{ ...part, standingMsat: 1n }] },
      true,
      false,
      false,
    ],
    ['that nothing stands for it', { parts: [part] }, true, false, false],
  ] as const)('%s', (_, fields, maySettle, knows, mustCredit) => {
    const { ctx, open } = contextOf(fields);
    const knowledge = knowledgeAtRelease(ctx, open, 'holder', []);
    expect(
      [knowledge.maySettle, knowledge.knows, knowledge.mustCredit].map((asks) => asks(paymentHash)),
    ).toEqual([maySettle, knows, mustCredit]);
    const early = knowledgeAtValidation(ctx);
    expect([early.maySettle, early.knows, early.mustCredit].map((asks) => asks(paymentHash))).toEqual([
      true,
      knows,
      false,
    ]);
  });

  it('without a record of the node nothing is delivered yet', () => {
    const { open } = contextOf({});
    const ctx = { draft: new Draft(new MemoryState()), policy: hubSigner().policy } as unknown as Context;
    expect(knowledgeAtRelease(ctx, open, 'holder', []).maySettle(paymentHash)).toBe(true);
    const severities = new Map([['policy-commitment-payment-settled-preimage', 'error' as const]]);
    const strict = { ...ctx, policy: hubSigner({ severities }).policy };
    expect(knowledgeAtRelease(strict, open, 'holder', []).maySettle(paymentHash)).toBe(false);
  });
});

it('nothing flows where nothing happens', () => {
  const channel = hubChannel();
  channel.update({ ...channel.balances, feeratePerKw: 1100 });
  expect(flowOf(channel.signer, 'dust-outflow')).toBe(0n);
  expect(channel.signer.state.keys.filter((key) => key.startsWith('velocity/'))).toEqual([]);
  expect(channel.signer.state.keys.filter((key) => key.startsWith('payment/'))).toEqual([]);
});
