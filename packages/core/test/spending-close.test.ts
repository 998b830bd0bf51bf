/**
 * Law 5 at the end of a channel: mutual closes in every message that can carry one, and the fee of our own commitment
 * (attacks A57, A58).
 */
import { p2wpkhOfKey, type Transaction, toHex } from '@countersign/bitcoin';
import { describe, expect, it } from 'vitest';
import { htlc, input, type ModelOptions, retx, wireTx } from './channel-model.ts';
import { adding, KINDS, OpenChannel } from './open-channel.ts';
import { allow, hub, hubChannel, output, own } from './spending-model.ts';
import { STRANGER, walletScript } from './wallet-model.ts';

const value = 'policy-mutual-value-matches-commitment';
const destination = 'policy-mutual-destination-allowlisted';
const SIMPLE = 0xffff_fffd;

/** Our balance in `options`: 700,000 sat as the funder, 300,000 else. */
const balanceOf = ({ isOutbound = true }: ModelOptions) => (isOutbound ? 700_000n : 300_000n);

/** A close with these outputs, in each message that signs one. */
function closes(channel: OpenChannel, outputs: Transaction['outputs'], sequence = 0xffff_ffff) {
  const { model } = channel;
  const { outpoint } = model.funding;
  const tx = { version: 2, inputs: [input(outpoint, sequence)], outputs, locktime: 0 };
  const wire = wireTx(tx, [model.fundingOutput()]);
  return [
    model.mutualClose(tx),
    { ...model.signCommitment(0), tx: wire },
    { name: 'hsmd_sign_splice_tx', tx: wire, remoteFundingKey: model.funding.peerKey, inputIndex: 0 },
  ] as const;
}

const theirs = (valueSat: bigint) => output(p2wpkhOfKey(new Uint8Array(33).fill(2)), valueSat);

describe.each(KINDS)('policy-mutual-value-matches-commitment, %s', (_, options) => {
  const ours = balanceOf(options);
  const peer = 1_000_000n - ours;
  const isOutbound = options.isOutbound!;

  it('policy-mutual-value-matches-commitment: trips when we get less than our balance less our fee (A57)', () => {
    for (let which = 0; which < 3; which++) {
      const channel = hubChannel(options);
      // 1,000 sat of fee, and one of ours goes to the peer.
      const [mine, its] = isOutbound ? [ours - 1001n, peer + 1n] : [ours - 1n, peer - 999n];
      const request = closes(channel, [own(channel.signer, 3, mine), theirs(its)])[which]!;
      expect(channel.refused(request)).toMatchObject({
        tag: value,
        facts: { balance_sat: ours, paid_sat: mine },
      });
    }
  });

  it('policy-mutual-value-matches-commitment: passes our balance, less the fee where we are the funder', () => {
    for (let which = 0; which < 3; which++) {
      const channel = hubChannel(options);
      const [mine, its] = isOutbound ? [ours - 1000n, peer] : [ours, peer - 1000n];
      channel.ask(closes(channel, [own(channel.signer, 3, mine), theirs(its)])[which]!);
      // Another fee, and more for us.
      const [less, more] = isOutbound ? [ours - 900n, peer] : [ours + 100n, peer - 1000n];
      channel.ask(closes(channel, [own(channel.signer, 3, less), theirs(more)])[which]!);
    }
  });

  it('policy-mutual-value-matches-commitment: passes option_simple_close, where the closer pays', () => {
    const channel = hubChannel(options);
    channel.ask(closes(channel, [own(channel.signer, 3, ours - 227n), theirs(peer)], SIMPLE)[0]);
    channel.ask(closes(channel, [own(channel.signer, 3, ours), theirs(peer - 227n)], SIMPLE)[0]);
    // Without the peer's output: ours pays its fee, the peer's share burns.
    channel.ask(closes(channel, [own(channel.signer, 3, ours - 227n)], SIMPLE)[0]);
    const [request] = closes(channel, [own(channel.signer, 3, ours - 300n), theirs(peer + 100n)], SIMPLE);
    expect(channel.tagOf(request)).toBe(value);
  });
});

describe('policy-mutual-value-matches-commitment', () => {
  it('policy-mutual-value-matches-commitment: passes without our output where it is dust, trips above', () => {
    for (const [pushMsat, isDust] of [
      [999_999n, true],
      [1_000_000n, false],
    ] as const) {
      const channel = hubChannel({ isOutbound: false, pushMsat });
      const [request] = closes(channel, [theirs(998_000n)]);
      if (isDust) channel.ask(request);
      else expect(channel.tagOf(request)).toBe(destination);
    }
  });
});

describe('policy-mutual-no-pending-htlcs', () => {
  const tag = 'policy-mutual-no-pending-htlcs';

  const closing = (channel: OpenChannel, oursSat = 699_000n) =>
    closes(channel, [own(channel.signer, 3, oursSat), theirs(999_000n - oursSat)])[0];

  it('policy-mutual-no-pending-htlcs: trips with an HTLC in the current commitment of either side (A57)', () => {
    const channel = hubChannel();
    const balances = adding(channel.balances, htlc('counterparty', 20_000, 'b'));
    channel.signRemote(balances);
    channel.peerRevokes();
    expect(channel.refused(closing(channel))).toMatchObject({ tag, facts: { number: 1, htlcs: 1 } });
    const other = hubChannel();
    other.ask(other.model.validate(1, balances));
    other.ask(other.model.revoke(0));
    expect(other.refused(closing(other))).toMatchObject({ tag });
  });

  it.each(['holder', 'counterparty'] as const)(
    'policy-mutual-no-pending-htlcs: passes with one of %s that the peer has not acknowledged, which a lost link makes the node forget',
    (offeredBy) => {
      const channel = new OpenChannel().open();
      channel.signRemote(adding(channel.balances, htlc(offeredBy, 20_000, 'b')));
      // The peer may publish the one before it as well: what that gives us is the least.
      expect(channel.refused(closing(channel, 698_999n))).toMatchObject({
        tag: value,
        facts: { balance_sat: 700_000n },
      });
      channel.ask(closing(channel));
      channel.ask(channel.model.validateRevocation(0));
      expect(channel.refused(closing(channel))).toMatchObject({ tag, facts: { number: 1, htlcs: 1 } });
    },
  );

  it('policy-mutual-no-pending-htlcs: trips with one that the peer has acknowledged and one that it has not', () => {
    const channel = hubChannel();
    const pending = htlc('counterparty', 20_000, 'b');
    channel.signRemote(adding(channel.balances, pending));
    channel.peerRevokes();
    channel.signRemote(adding(channel.balances, pending, htlc('counterparty', 30_000, 'c')));
    expect(channel.refused(closing(channel))).toMatchObject({ tag, facts: { number: 1, htlcs: 1 } });
  });

  it('policy-mutual-no-pending-htlcs: trips with one of ours beside one that the peer has not acknowledged', () => {
    const channel = hubChannel();
    const balances = adding(channel.balances, htlc('counterparty', 20_000, 'b'));
    channel.validate(balances);
    channel.revoke();
    channel.signRemote(balances);
    expect(channel.refused(closing(channel))).toMatchObject({ tag, facts: { number: 1, htlcs: 1 } });
  });

  it('policy-mutual-value-matches-commitment: trips where the one before what is not acknowledged gave us more', () => {
    const channel = new OpenChannel().open();
    const { holderMsat, counterpartyMsat } = channel.balances;
    const given = {
      ...channel.balances,
      holderMsat: holderMsat + 1000n,
      counterpartyMsat: counterpartyMsat - 1000n,
    };
    channel.signRemote(given);
    channel.peerRevokes();
    channel.signRemote(adding(given, htlc('holder', 20_000, 'b')));
    expect(channel.refused(closing(channel))).toMatchObject({
      tag: value,
      facts: { balance_sat: 700_001n },
    });
    channel.ask(closing(channel, 699_001n));
  });

  it('policy-mutual-value-matches-commitment: trips where what the peer has not acknowledged gave us more', () => {
    const channel = hubChannel();
    const { holderMsat, counterpartyMsat } = channel.balances;
    const given = {
      ...channel.balances,
      holderMsat: holderMsat + 1000n,
      counterpartyMsat: counterpartyMsat - 1000n,
    };
    channel.signRemote(adding(given, htlc('counterparty', 20_000, 'b')));
    expect(channel.refused(closing(channel))).toMatchObject({
      tag: value,
      facts: { balance_sat: 700_001n },
    });
    channel.ask(closing(channel, 699_001n));
  });

  it('policy-mutual-no-pending-htlcs: passes once they are gone', () => {
    const channel = hubChannel();
    const before = channel.balances;
    channel.update(adding(channel.balances, htlc('counterparty', 20_000, 'b')));
    channel.update(before);
    channel.ask(closes(channel, [own(channel.signer, 3, 699_000n), theirs(300_000n)])[0]);
  });
});

describe('policy-mutual-fee-range', () => {
  const tag = 'policy-mutual-fee-range';
  const paying = (channel: OpenChannel, feeSat: bigint) =>
    closes(channel, [own(channel.signer, 3, 700_000n - feeSat), theirs(300_000n)])[0];

  it('policy-mutual-fee-range: trips on a fee of ours above the limits, or far too low', () => {
    const channel = hubChannel({}, { limits: { onchainFeerateMaxPerKw: 10_000, onchainFeeMaxSat: 8000n } });
    // Two outputs: 125 bytes, and a witness of 330 at most.
    for (const fee of [8001n, 8322n, 1n]) expect(channel.tagOf(paying(channel, fee))).toBe(tag);
    const rate = hubChannel({}, { limits: { onchainFeerateMaxPerKw: 10_000 } });
    expect(rate.refused(paying(rate, 8321n))).toMatchObject({ tag, facts: { weight: 832 } });
  });

  it('policy-mutual-fee-range: passes at the limits, and any fee of the peer', () => {
    const channel = hubChannel({}, { limits: { onchainFeerateMaxPerKw: 10_000 } });
    channel.ask(paying(channel, 8320n));
    const inbound = hubChannel({ isOutbound: false });
    inbound.ask(closes(inbound, [own(inbound.signer, 3, 300_000n), theirs(1000n)])[0]);
  });
});

describe('policy-mutual-destination-allowlisted', () => {
  const to = (channel: OpenChannel, script: Uint8Array) =>
    closes(channel, [output(script, 699_000n), theirs(300_000n)])[0];

  it('policy-mutual-destination-allowlisted: trips on a foreign script (A57)', () => {
    for (let which = 0; which < 3; which++) {
      const channel = hubChannel();
      const request = closes(channel, [output(STRANGER, 699_000n), theirs(300_000n)])[which]!;
      expect(channel.refused(request)).toMatchObject({ tag: destination, facts: { balance_sat: 700_000n } });
    }
  });

  it('policy-mutual-destination-allowlisted: passes our wallet and the allowlist', () => {
    const channel = hubChannel();
    for (const form of ['p2wpkh', 'p2tr'] as const)
      channel.ask(to(channel, walletScript(channel.signer.keys, 3, form)));
    allow(channel.signer, 'script', toHex(STRANGER));
    channel.ask(to(channel, STRANGER));
  });

  it('policy-mutual-destination-allowlisted: trips on anything but the upfront script where there is one', () => {
    const signer = hub();
    const upfront = walletScript(signer.keys, 5, 'p2tr');
    const channel = hubChannel();
    const setup = { ...channel.model.setup(), localShutdownScript: upfront, localShutdownWalletIndex: 5 };
    const bound = hubChannel();
    bound.signer.state = hub().state;
    bound.ask(setup);
    bound.ask(bound.model.validate(0));
    bound.ask(bound.model.signRemote(0));
    expect(bound.tagOf(to(bound, walletScript(signer.keys, 3, 'p2tr')))).toBe(destination);
    bound.ask(to(bound, upfront));
  });
});

describe('policy-onchain-shared-allowlist, closes', () => {
  it('policy-onchain-shared-allowlist: trips when the allowlist covers for our share (A58)', () => {
    const channel = hubChannel();
    const override = { limits: {}, severities: new Map(), zeroConf: false, sharedAllowlist: true };
    channel.signer.set = { peers: new Map([[toHex(channel.model.ref.peerId), override]]) };
    allow(channel.signer, 'script', toHex(STRANGER));
    const [request] = closes(channel, [output(STRANGER, 699_000n), theirs(300_000n)]);
    expect(channel.tagOf(request)).toBe('policy-onchain-shared-allowlist');
    channel.ask(closes(channel, [own(channel.signer, 3, 699_000n), theirs(300_000n)])[0]);
  });
});

describe('policy-onchain-fee-velocity, closes', () => {
  const tag = 'policy-onchain-fee-velocity';
  const set = { limits: { feeVelocity: { amountSat: 1100n, per: 'day' } as const } };

  it('policy-onchain-fee-velocity: trips on a close beyond the window, and on a force close without HTLCs', () => {
    const channel = hubChannel({}, set);
    const paying = (feeSat: bigint) =>
      closes(channel, [own(channel.signer, 3, 700_000n - feeSat), theirs(300_000n)])[0];
    expect(channel.tagOf(paying(1101n))).toBe(tag);
    // 1,124 weight at 1,000 sat per kw.
    expect(channel.tagOf(channel.model.signCommitment(0))).toBe(tag);
    channel.ask(paying(1000n));
    channel.ask(paying(1100n));
  });

  it('policy-onchain-fee-velocity: passes a force close with HTLCs, and one whose fee the peer pays', () => {
    const channel = hubChannel({}, set);
    const balances = adding(channel.balances, htlc('counterparty', 20_000, 'b'));
    channel.update(balances);
    channel.ask(channel.model.signCommitment(1, balances));
    const inbound = hubChannel({ isOutbound: false }, set);
    inbound.ask(inbound.model.signCommitment(0));
  });
});

it('a splice without a new funding is the close it looks like, also with inputs of the wallet beside it', () => {
  const channel = hubChannel();
  const splice = channel.model.signSplice(channel.model.spliceOf('splice'));
  const closing = (mine: bigint, its: bigint) =>
    retx(splice, () => ({ outputs: [own(channel.signer, 3, mine), theirs(its)] }));
  // The wallet's input is worth 151,000 sat: it may not make up for our balance.
  for (const request of [closing(698_000n, 400_000n), closing(700_000n, 450_000n)])
    expect(channel.tagOf(request)).toBe('policy-onchain-no-unknown-outputs');
  channel.ask(closing(850_000n, 300_000n));
});

it('two channels closed by one transaction get their balances both', () => {
  const signer = hub();
  const channels = [1n, 2n].map((dbid) =>
    new OpenChannel({ dbid, peer: `peer ${dbid}`, isOutbound: true }, signer).open(),
  );
  const spent = channels.map(({ model }) => model.fundingOutput());
  const closing = (mine: bigint, its: bigint) => {
    const inputs = channels.map(({ model }) => input(model.funding.outpoint));
    const outputs = [own(signer, 3, mine), theirs(its)];
    const tx = wireTx({ version: 2, inputs, outputs, locktime: 0 }, spent);
    return channels.map(({ model }, inputIndex) => ({
      name: 'hsmd_sign_splice_tx' as const,
      tx,
      remoteFundingKey: model.funding.peerKey,
      inputIndex,
    }));
  };
  // One output, counted as the balance of each.
  closing(699_000n, 1_300_000n).forEach((request, i) => {
    expect(channels[i]!.tagOf(request)).toBe('policy-onchain-no-unknown-outputs');
  });
  closing(1_399_000n, 600_000n).forEach((request, i) => void channels[i]!.ask(request));
});

describe('a close that nothing on record explains', () => {
  it('policy-mutual-value-matches-commitment: trips where no commitment was ever made, or none is judged', () => {
    const channel = new OpenChannel({ isOutbound: true }, hub());
    channel.ask(channel.model.setup());
    const [request] = closes(channel, [own(channel.signer, 3, 699_000n), theirs(300_000n)]);
    expect(channel.refused(request)).toMatchObject({ tag: value });
    channel.ask(channel.model.signRemote(0));
    channel.ask(request);
  });

  it('policy-mutual-destination-allowlisted: passes with a warning where it only warns, the value still judged', () => {
    const set = { severities: new Map([[destination, 'warn' as const]]) };
    const channel = hubChannel({}, set);
    const foreign = (valueSat: bigint) => closes(channel, [output(STRANGER, valueSat), theirs(300_000n)])[0];
    const short = closes(channel, [output(STRANGER, 600_000n), theirs(399_000n)])[0];
    expect(channel.tagOf(short)).toBe(value);
    const decision = channel.signer.decide(
      foreign(699_000n),
      channel.signer.clientFor(foreign(699_000n), channel.model.ref),
    );
    expect(decision).toMatchObject({ kind: 'approved', warnings: [{ tag: destination }] });
  });
});
