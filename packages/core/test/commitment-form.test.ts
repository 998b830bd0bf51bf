/**
 * The hard rules of a commitment's form apart from its outputs, for both sides' commitments: what a transaction is must
 * be certain before its number can mean anything (law 1). And the one thing that bends a form: a lease.
 */
import { p2wshScript, sat, type Transaction } from '@countersign/bitcoin';
import { describe, expect, it } from 'vitest';
import { htlc, input, type Party, retx, wireTx } from './channel-model.ts';
import { adding, OpenChannel, removing } from './open-channel.ts';
import { processorMs } from './processor-time.ts';
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
  it('policy-commitment-sequence: trips when its lower bytes belong to another number', () => {
    const further = (tx: Transaction) => ({
      inputs: tx.inputs.map((one) => ({ ...one, sequence: one.sequence ^ 1 })),
    });
    for (const request of [all.cc, all.hc]) {
      expect(all.channel.refused(retx(request, further))).toMatchObject({
        tag: 'policy-commitment-sequence',
        facts: { number_requested: 1, number_carried: 0x100_0001n },
      });
      const both = (tx: Transaction) => ({ ...further(tx), locktime: tx.locktime ^ 2 });
      expect(all.channel.tagOf(retx(request, both))).toBe('policy-commitment-locktime');
    }
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

describe('a leased channel (liquidity ads)', () => {
  // The peer opened and leases from us: our outputs are locked longer, in both commitments.
  const options = { format: 'anchors_zero_fee_htlc', isOutbound: false } as const;
  const local = 'policy-commitment-to-self-delay-range';
  const remote = 'policy-commitment-anchor-static-remotekey';
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
    expect(channel.tagOf(model.validate(0, model.initial, model.funding, lease))).toBe(local);
    expect(channel.tagOf(model.signRemote(0, model.initial, model.funding, lease))).toBe(remote);
  });

  it('has no outputs of ours locked unless we signed the lease', () => {
    const channel = new OpenChannel(options);
    const { model } = channel;
    channel.ask(model.setup());
    const lease = { leaseCsvBlocks: 1000 };
    expect(channel.tagOf(model.validate(0, model.initial, model.funding, lease))).toBe(local);
    expect(channel.tagOf(model.signRemote(0, model.initial, model.funding, lease))).toBe(remote);
  });

  it("has the peer's outputs locked where we opened and lease from it", () => {
    const channel = new OpenChannel({ ...options, isOutbound: true });
    const { model } = channel;
    channel.ask(model.setup());
    const lease = { leaseCsvBlocks: 1000 };
    channel.ask(model.validate(0, model.initial, model.funding, lease));
    channel.ask(model.signRemote(0, model.initial, model.funding, lease));
  });

  it("has no outputs of the peer's locked in a channel that it put nothing into", () => {
    const channel = new OpenChannel({ ...options, isOutbound: true, pushMsat: 0n });
    const { model } = channel;
    channel.ask(model.setup());
    channel.ask(model.validate(0));
    channel.ask(model.signRemote(0));
    const lent = removing(
      adding(model.initial, htlc('holder', 50_000, 'paid')),
      htlc('holder', 50_000, 'paid'),
      'settled',
    );
    expect(lent.counterpartyMsat).toBe(50_000_000n);
    const locked = model.signRemote(1, { ...lent, htlcs: [] }, model.funding, { leaseCsvBlocks: 1000 });
    expect(channel.tagOf(locked)).toBe(local);
  });

  it('is looked for once, however many outputs a commitment has', () => {
    const channel = leasing(new OpenChannel(options));
    const script = p2wshScript(bytesOf('foreign'));
    const outputs = Array.from({ length: 20_000 }, () => ({ value: sat(1000n), script }));
    const request = retx(channel.model.signRemote(0), () => ({ outputs }));
    expect(processorMs(() => channel.refused(request))).toBeLessThan(5000);
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
        expect(channel.tagOf({ ...request, tx })).toBe(local);
      }
    }
  });
});
