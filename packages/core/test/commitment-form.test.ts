/**
 * The hard rules of a commitment's form, for both sides' commitments: what a transaction is must be certain before
 * its number can mean anything (law 1; attacks A26 to A28).
 */
import { msat, p2wshScript, type Sat, sat, type Transaction } from '@countersign/bitcoin';
import { describe, expect, it } from 'vitest';
import { type BuildChanges, htlc, input, type Party, retx, wireTx } from './channel-model.ts';
import { adding, KINDS, OpenChannel } from './open-channel.ts';
import { bytesOf, secp } from './test-signer.ts';

/** Opened, with HTLCs both ways in commitment 1; the next requests about it are `cc`, `hc` and `fc`. */
function withHtlcs(options = {}) {
  const channel = new OpenChannel(options).open();
  const { model } = channel;
  const balances = adding(
    channel.balances,
    htlc('holder', 20_000, 'offered', 700_010),
    htlc('counterparty', 30_000, 'received', 700_020),
    htlc('counterparty', 30_000, 'received too', 700_021),
  );
  const cc = model.signRemote(1, balances);
  const hc = model.validate(1, balances);
  const fc = model.signCommitment(0);
  return { channel, model, balances, cc, hc, fc };
}

const all = withHtlcs();

describe('policy-commitment-version', () => {
  it.each([1, 3, 0, -2])('policy-commitment-version: trips on version %i', (version) => {
    for (const request of [all.cc, all.hc, all.fc])
      expect(all.channel.tagOf(retx(request, () => ({ version })))).toBe('policy-commitment-version');
  });
  it('policy-commitment-version: passes version 2', () => {
    const { channel, cc, hc, fc } = withHtlcs();
    for (const request of [cc, hc, fc]) channel.ask(request);
  });
});

describe('policy-commitment-locktime', () => {
  const shifted = (tx: Transaction) => ({ locktime: ((tx.locktime & 0xff_ffff) | 0x2100_0000) >>> 0 });
  it('policy-commitment-locktime: trips when the upper byte is not 0x20', () => {
    for (const request of [all.cc, all.hc])
      expect(all.channel.tagOf(retx(request, shifted))).toBe('policy-commitment-locktime');
  });
  it('policy-commitment-locktime: trips when the transaction carries another number than the request', () => {
    const { channel, model, balances } = withHtlcs();
    const other = { ...model.signRemote(1, balances), tx: model.signRemote(2, balances).tx };
    expect(channel.refused(other)).toMatchObject({
      tag: 'policy-commitment-locktime',
      facts: { number_requested: 1, number_carried: 2n },
    });
    const hc = { ...model.validate(1, balances), tx: model.validate(2, balances).tx };
    expect(channel.tagOf(hc)).toBe('policy-commitment-locktime');
    channel.ask(model.validate(1, balances));
    const fc = { ...model.signCommitment(1, balances), commitNum: 0n };
    expect(channel.tagOf(fc)).toBe('policy-commitment-locktime');
  });
  it('policy-commitment-locktime: passes with the number of the request', () => {
    const { channel, cc, hc } = withHtlcs();
    channel.ask(cc);
    channel.ask(hc);
  });
});

describe('policy-commitment-sequence', () => {
  const marked = (upper: number) => (tx: Transaction) => ({
    inputs: tx.inputs.map((one) => ({
      ...one,
      sequence: ((one.sequence & 0xff_ffff) | (upper << 24)) >>> 0,
    })),
  });
  it.each([0x81, 0x00, 0xff])('policy-commitment-sequence: trips on upper byte %i', (upper) => {
    for (const request of [all.cc, all.hc])
      expect(all.channel.tagOf(retx(request, marked(upper)))).toBe('policy-commitment-sequence');
  });
  it('policy-commitment-sequence: passes with 0x80', () => {
    const { channel, cc, hc } = withHtlcs();
    channel.ask(retx(cc, marked(0x80)));
    channel.ask(retx(hc, marked(0x80)));
  });
});

describe('policy-commitment-input-single', () => {
  const second = (tx: Transaction) => ({
    inputs: [...tx.inputs, input({ txid: bytesOf('another'), vout: 0 })],
  });
  it('policy-commitment-input-single: trips on a second input, before or after the funding', () => {
    for (const request of [all.cc, all.hc, all.fc, all.model.mutualClose(all.model.closeTx(all.balances))]) {
      expect(all.channel.tagOf(retx(request, second))).toBe('policy-commitment-input-single');
      const before = (tx: Transaction) => ({ inputs: second(tx).inputs.toReversed() });
      expect(all.channel.tagOf(retx(request, before))).toBe('policy-commitment-input-single');
    }
  });
  it('policy-commitment-input-single: passes with the funding alone', () => {
    const { channel, cc, hc, fc } = withHtlcs();
    for (const request of [cc, hc, fc]) channel.ask(request);
  });
});

describe('policy-commitment-input-match-funding', () => {
  const spending = (change: { txid?: Uint8Array; vout?: number }) => (tx: Transaction) => ({
    inputs: tx.inputs.map((one) => ({ ...one, ...change })),
  });
  const requests = [all.cc, all.hc, all.fc, all.model.mutualClose(all.model.closeTx(all.balances))];
  it('policy-commitment-input-match-funding: trips on another transaction or output', () => {
    for (const request of requests) {
      for (const change of [{ txid: bytesOf('another') }, { vout: 0 }, { vout: 0xffff_ffff }])
        expect(all.channel.tagOf(retx(request, spending(change)))).toBe(
          'policy-commitment-input-match-funding',
        );
    }
  });
  it('policy-commitment-input-match-funding: trips on another funding key of the peer', () => {
    const remoteFundingKey = secp.publicKey(bytesOf('another key'));
    const close = all.model.mutualClose(all.model.closeTx(all.balances));
    for (const request of [all.cc, all.fc, close])
      expect(all.channel.tagOf({ ...request, remoteFundingKey })).toBe(
        'policy-commitment-input-match-funding',
      );
  });
  it('policy-commitment-input-match-funding: trips on the funding of another channel', () => {
    const { channel, model } = withHtlcs();
    const other = new OpenChannel({ dbid: 2n }, channel.signer).open();
    const request = model.signRemote(0, model.initial, other.model.funding);
    expect(channel.tagOf(request)).toBe('policy-commitment-input-match-funding');
  });
  it('policy-commitment-input-match-funding: passes on any candidate that was set up, with its own key', () => {
    const { channel, model } = withHtlcs();
    const splice = channel.candidate(model.spliceOf('candidate'));
    expect(
      channel.tagOf({
        ...model.signRemote(0, model.initial, splice),
        remoteFundingKey: model.funding.peerKey,
      }),
    ).toBe('policy-commitment-input-match-funding');
  });
});

/** One case of A26 each: the commitment with one part not as BOLT 3 has it. */
const stranger = secp.publicKey(bytesOf('a stranger'));
const wrong: readonly (readonly [string, BuildChanges])[] = [
  ['the revocation key', { keys: { revocation: stranger } }],
  ["the broadcaster's delayed key", { keys: { broadcasterDelayed: stranger } }],
  ["the broadcaster's HTLC key", { keys: { broadcasterHtlc: stranger } }],
  ["the countersignatory's HTLC key", { keys: { countersignatoryHtlc: stranger } }],
  ["the countersignatory's payment key", { keys: { countersignatoryPayment: stranger } }],
  ['the delay, one block shorter', { delayBlocks: 143 }],
  ['the delay, one block', { delayBlocks: 1 }],
];

const side = (request: { readonly name: string }): Party =>
  request.name === 'hsmd_validate_commitment_tx' ? 'holder' : 'counterparty';

describe.each(KINDS)('policy-commitment-no-unrecognized-outputs, %s', (_, options) => {
  const { channel, model, balances, cc, hc } = withHtlcs(options);
  const built = (party: Party, changes: BuildChanges) =>
    wireTx(model.build(party, 1, balances, model.funding, changes).tx, [model.fundingOutput()]);
  const tag = 'policy-commitment-no-unrecognized-outputs';

  it.each(wrong)('policy-commitment-no-unrecognized-outputs: trips on a stranger as %s', (_, changes) => {
    expect(channel.tagOf({ ...cc, tx: built('counterparty', changes) })).toBe(tag);
    expect(channel.tagOf({ ...hc, tx: built('holder', changes) })).toBe(tag);
  });

  it('policy-commitment-no-unrecognized-outputs: trips on the keys of another number', () => {
    expect(
      channel.tagOf({ ...cc, tx: built('counterparty', { point: model.point('counterparty', 2) }) }),
    ).toBe(tag);
    expect(channel.tagOf({ ...hc, tx: built('holder', { point: model.point('holder', 2) }) })).toBe(tag);
    // The other side's point: a holder commitment that only we could revoke.
    expect(channel.tagOf({ ...hc, tx: built('holder', { point: model.point('counterparty', 1) }) })).toBe(
      tag,
    );
  });

  it("policy-commitment-no-unrecognized-outputs: trips on the other side's commitment", () => {
    expect(channel.tagOf({ ...cc, tx: built('holder', {}) })).toBe(tag);
    expect(channel.tagOf({ ...hc, tx: built('counterparty', {}) })).toBe(tag);
  });

  if (model.format === 'anchors_zero_fee_htlc')
    it('policy-commitment-no-unrecognized-outputs: trips on anchors that are foreign, missing, or of another amount', () => {
      for (const changes of [{ holderFundingKey: stranger }, { peerFundingKey: stranger }]) {
        expect(channel.tagOf({ ...cc, tx: built('counterparty', changes) })).toBe(tag);
        expect(channel.tagOf({ ...hc, tx: built('holder', changes) })).toBe(tag);
      }
      const missing = (tx: Transaction) => ({ outputs: tx.outputs.slice(1) });
      const larger = (tx: Transaction) => ({
        outputs: tx.outputs.map((one, i) => (i === 1 ? { ...one, value: sat(331n) } : one)),
      });
      for (const change of [missing, larger]) {
        expect(channel.tagOf(retx(cc, change))).toBe(tag);
        expect(channel.tagOf(retx(hc, change))).toBe(tag);
      }
    });

  it('policy-commitment-no-unrecognized-outputs: trips on outputs added, repeated, dropped, out of order', () => {
    const last = (tx: Transaction) => tx.outputs.at(-1)!;
    const changes: ((tx: Transaction) => Partial<Transaction>)[] = [
      (tx) => ({ outputs: [...tx.outputs, { ...last(tx), value: (last(tx).value + 1n) as Sat }] }),
      (tx) => ({ outputs: [...tx.outputs, { value: sat(2_000_000n), script: bytesOf('foreign') }] }),
      (tx) => ({ outputs: tx.outputs.flatMap((one) => (one.value === 30_000n ? [one, one] : [one])) }),
      (tx) => ({ outputs: tx.outputs.filter((one) => one.value !== 20_000n) }),
      (tx) => ({ outputs: tx.outputs.toReversed() }),
      (tx) => ({
        outputs: tx.outputs.map((one) => (one.value === 20_000n ? { ...one, value: sat(20_001n) } : one)),
      }),
    ];
    for (const change of changes) {
      expect(channel.tagOf(retx(cc, change))).toBe(tag);
      expect(channel.tagOf(retx(hc, change))).toBe(tag);
    }
  });

  it('policy-commitment-no-unrecognized-outputs: trips when the list and the transaction disagree (A27)', () => {
    for (const request of [cc, hc]) {
      const lists = [
        request.htlcs.slice(1),
        [...request.htlcs, request.htlcs[0]!],
        request.htlcs.map((one, i) =>
          i === 0 ? { ...one, side: one.side === 'local' ? ('remote' as const) : ('local' as const) } : one,
        ),
        request.htlcs.map((one, i) => (i === 1 ? { ...one, paymentHash: bytesOf('another') } : one)),
        request.htlcs.map((one) => ({ ...one, amount: msat(one.amount + 1000n) })),
      ];
      for (const htlcs of lists) expect(channel.tagOf({ ...request, htlcs })).toBe(tag);
      // Only received HTLCs carry their expiry in the script; the others' is in the HTLC transaction.
      const inScript = side(request) === 'holder' ? 'remote' : 'local';
      const later = request.htlcs.map((one) => (one.side === inScript ? { ...one, cltvExpiry: 1 } : one));
      expect(channel.tagOf({ ...request, htlcs: later })).toBe(tag);
    }
  });

  it('policy-commitment-no-unrecognized-outputs: passes the list in any order', () => {
    const one = withHtlcs(options);
    one.channel.ask({ ...one.cc, htlcs: one.cc.htlcs.toReversed() });
    one.channel.ask({ ...one.hc, htlcs: one.hc.htlcs.toReversed() });
  });

  it('policy-commitment-no-unrecognized-outputs: passes a commitment without one or the other main output', () => {
    const one = new OpenChannel({ ...options, pushMsat: 0n });
    one.open();
  });
});

describe('a leased channel (liquidity ads)', () => {
  // The peer opened and leases from us: our outputs are locked longer, in both commitments.
  const options = { format: 'anchors_zero_fee_htlc', isOutbound: false } as const;
  const tag = 'policy-commitment-no-unrecognized-outputs';
  const leasing = (channel: OpenChannel) => {
    channel.ask({
      name: 'hsmd_sign_option_will_fund_offer',
      fundingPubkey: channel.model.funding.peerKey,
      blockheight: 704_032,
      channelFeeBaseMaxMsat: 1000,
      channelFeeProportionalBasisMax: 10,
    });
    channel.ask(channel.model.setup());
    return channel;
  };
  it.each([145, 1000, 4032])('has our main outputs locked for %i blocks', (leaseCsvBlocks) => {
    const channel = leasing(new OpenChannel(options));
    const { model } = channel;
    channel.ask(model.validate(0, model.initial, model.funding, { leaseCsvBlocks }));
    channel.ask(model.signRemote(0, model.initial, model.funding, { leaseCsvBlocks }));
  });

  it('is never locked for more than 4,032 blocks', () => {
    const channel = leasing(new OpenChannel(options));
    const { model } = channel;
    const lease = { leaseCsvBlocks: 4033 };
    expect(channel.tagOf(model.validate(0, model.initial, model.funding, lease))).toBe(tag);
    expect(channel.tagOf(model.signRemote(0, model.initial, model.funding, lease))).toBe(tag);
  });

  it('has no outputs of ours locked unless we signed the lease', () => {
    const channel = new OpenChannel(options);
    const { model } = channel;
    channel.ask(model.setup());
    const lease = { leaseCsvBlocks: 1000 };
    expect(channel.tagOf(model.validate(0, model.initial, model.funding, lease))).toBe(tag);
    expect(channel.tagOf(model.signRemote(0, model.initial, model.funding, lease))).toBe(tag);
  });

  it("has the peer's outputs locked where we opened and lease from it", () => {
    const channel = new OpenChannel({ ...options, isOutbound: true });
    const { model } = channel;
    channel.ask(model.setup());
    const lease = { leaseCsvBlocks: 1000 };
    channel.ask(model.validate(0, model.initial, model.funding, lease));
    channel.ask(model.signRemote(0, model.initial, model.funding, lease));
  });

  it('is looked for once, however many outputs a commitment has', () => {
    const channel = leasing(new OpenChannel(options));
    const script = p2wshScript(bytesOf('foreign'));
    const outputs = Array.from({ length: 20_000 }, () => ({ value: sat(1000n), script }));
    const start = performance.now();
    channel.refused(retx(channel.model.signRemote(0), () => ({ outputs })));
    expect(performance.now() - start).toBeLessThan(1500);
  });

  it('never locks the side that opened, nor a to_remote without anchors', () => {
    for (const isOutbound of [true, false]) {
      for (const format of ['static_remotekey', 'anchors_zero_fee_htlc'] as const) {
        const channel = new OpenChannel({ format, isOutbound });
        const { model } = channel;
        channel.ask(model.setup());
        const funderSide: Party = isOutbound ? 'holder' : 'counterparty';
        const request =
          funderSide === 'holder' ? model.validate(0, model.initial) : model.signRemote(0, model.initial);
        const locked = model.build(funderSide, 0, model.initial, model.funding, {
          delayBlocks: model.delayBlocks[funderSide] + 200,
        }).tx;
        const tx = wireTx(locked, [model.fundingOutput()]);
        expect(channel.tagOf({ ...request, tx })).toBe(tag);
      }
    }
  });
});
