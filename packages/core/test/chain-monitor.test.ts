/** What proven blocks tell of a channel: its funding, its end of every kind, and what became of each output (BOLT 5). */
import {
  fundingScript,
  outPointToString,
  p2wshOfScript,
  sat,
  type Transaction,
  txid,
} from '@countersign/bitcoin';
import {
  alarmsOfChannel,
  closingRecords,
  outputRecords,
  paymentRecords,
  stubRecords,
} from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { ChainedSigner, idsIn, spendOf } from './chained-signer.ts';
import { type Balances, type Built, htlc, type ModelHtlc } from './channel-model.ts';
import { channelIdOf, hashOf, recordOf } from './forwarder.ts';
import { adding, FORMATS, OpenChannel } from './open-channel.ts';
import { fundingInput, withdrawal } from './wallet-model.ts';

/** The node's own payment, approved beforehand. */
function paying(signer: ChainedSigner): void {
  signer.set = { approvals: { auto: 'all', autoPaymentVelocity: null, expirySeconds: 86_400 } };
}

function opened(options: ConstructorParameters<typeof OpenChannel>[0] = {}): {
  signer: ChainedSigner;
  channel: OpenChannel;
} {
  const signer = new ChainedSigner();
  paying(signer);
  const channel = new OpenChannel(options, signer).open();
  signer.mine(channel.model.funding.tx).mineEmpty(2);
  return { signer, channel };
}

const closingOf = (signer: ChainedSigner, channel: OpenChannel) =>
  signer.read(closingRecords, channelIdOf(channel));

const outputOf = (signer: ChainedSigner, tx: Transaction, vout: number) =>
  signer.read(outputRecords, outPointToString({ txid: txid(tx), vout }));

const rolesOf = (signer: ChainedSigner, tx: Transaction): readonly (string | undefined)[] =>
  tx.outputs.map((_, vout) => outputOf(signer, tx, vout)?.role);

const kindsOf = ({ commitment }: Built): readonly string[] => commitment.outputs.map(({ kind }) => kind);

describe('a funding', () => {
  it('is confirmed with its depth, value and script', () => {
    const { signer, channel } = opened();
    const { funding, holderFundingKey } = channel.model;
    expect(signer.view.outpoint(funding.outpoint)).toEqual({
      kind: 'confirmed',
      depthBlocks: 3,
      valueSat: 1_000_000n,
      script: p2wshOfScript(fundingScript(holderFundingKey, funding.peerKey)),
      spent: null,
    });
  });

  it('is unknown before its block, and when its transaction has no such output', () => {
    const signer = new ChainedSigner();
    const channel = new OpenChannel({}, signer).open();
    expect(signer.view.outpoint(channel.model.funding.outpoint)).toEqual({ kind: 'unknown' });
    const other = new OpenChannel({ peer: 'other' }, signer);
    const setup = other.model.setup();
    other.ask({ ...setup, fundingTxout: 7 });
    signer.mine(other.model.funding.tx);
    const outpoint = { txid: txid(other.model.funding.tx), vout: 7 };
    expect(signer.view.outpoint(outpoint)).toMatchObject({ kind: 'confirmed', valueSat: 0n });
  });

  it('spent by a splice of the channel is no close', () => {
    const { signer, channel } = opened();
    const splice = channel.candidate(channel.model.spliceOf('splice'));
    signer.mine(splice.tx);
    expect(closingOf(signer, channel)).toBeNull();
    expect(signer.view.outpoint(channel.model.funding.outpoint)).toMatchObject({
      spent: { depthBlocks: 1, txid: txid(splice.tx) },
    });
    expect(signer.view.outpoint(splice.outpoint)).toMatchObject({ depthBlocks: 1, spent: null });
  });
});

describe.each(FORMATS)('the end of a channel of type %s', (format) => {
  const ours = htlc('holder', 50_000, 'offered by us', 900);
  const theirs = htlc('counterparty', 60_000, 'offered by the peer', 950);

  function withHtlcs(): ReturnType<typeof opened> & { before: Balances } {
    const { signer, channel } = opened({ format });
    const before = channel.balances;
    channel.update(adding(before, ours, theirs));
    return { signer, channel, before };
  }

  it('by our own commitment', () => {
    const { signer, channel } = withHtlcs();
    const built = channel.model.build('holder', 1, channel.balances);
    signer.mine(built.tx);
    expect(closingOf(signer, channel)).toMatchObject({
      kind: 'holder',
      number: 1,
      txid: txid(built.tx),
      heightBlocks: signer.view.heightBlocks,
    });
    expect(rolesOf(signer, built.tx)).toEqual(kindsOf(built).map((kind) => ROLES.holder[kind]));
    const offered = built.commitment.htlcs.find(
      ({ htlcIndex }) => channel.balances.htlcs[htlcIndex] === ours,
    )!;
    expect(outputOf(signer, built.tx, offered.outputIndex)?.htlc).toMatchObject({
      offeredBy: 'holder',
      cltvExpiry: 900,
      amountMsat: 50_000_000n,
    });
  });

  it('by the peer’s current commitment', () => {
    const { signer, channel } = withHtlcs();
    const built = channel.model.build('counterparty', 1, channel.balances);
    signer.mine(built.tx);
    expect(closingOf(signer, channel)).toMatchObject({ kind: 'counterparty', number: 1 });
    expect(rolesOf(signer, built.tx)).toEqual(kindsOf(built).map((kind) => ROLES.counterparty[kind]));
  });

  it('by the peer’s previous commitment, not revoked yet', () => {
    const { signer, channel } = withHtlcs();
    channel.signRemote(adding(channel.balances, htlc('holder', 30_000, 'one more', 960)));
    const built = channel.model.build('counterparty', 1, channel.balances);
    signer.mine(built.tx);
    expect(closingOf(signer, channel)).toMatchObject({ kind: 'counterparty', number: 1 });
  });

  it.each([1, 2, 30])(
    'by a commitment that the peer revoked %i numbers ago, with its HTLCs known (A74)',
    (age) => {
      const { signer, channel, before } = withHtlcs();
      const cheated = channel.balances;
      channel.update({ ...before, holderMsat: before.holderMsat - ours.amountMsat, htlcs: [ours] });
      for (let i = 1; i < age; i++) channel.update({ ...channel.balances, feeratePerKw: 1000 + i });
      const built = channel.model.build('counterparty', 1, cheated);
      signer.mine(built.tx);
      expect(closingOf(signer, channel)).toMatchObject({ kind: 'counterparty-revoked', number: 1 });
      expect(rolesOf(signer, built.tx)).toEqual(kindsOf(built).map((kind) => ROLES.counterparty[kind]));
      expect(signer.events.at(-1)).toMatchObject({
        event: 'channel-closed-on-chain',
        facts: { kind: 'counterparty-revoked', number: 1 },
      });
    },
  );

  it('by a commitment of ours that we revoked', () => {
    const { signer, channel, before } = withHtlcs();
    const old = channel.model.build('holder', 0, before);
    signer.mine(old.tx);
    expect(closingOf(signer, channel)).toMatchObject({ kind: 'holder-revoked', number: 0 });
  });

  it('by a commitment of the peer that this signer never signed', () => {
    const { signer, channel } = withHtlcs();
    const built = channel.model.build('counterparty', 9, channel.balances);
    signer.mine(built.tx);
    expect(closingOf(signer, channel)).toMatchObject({ kind: 'counterparty-future', number: 9 });
  });

  it('by a close that both signed, and by one that nobody here knows', () => {
    const { signer, channel } = opened({ format });
    const close = channel.model.closeTx(channel.balances);
    channel.ask(channel.model.mutualClose(close));
    signer.mine(close);
    expect(closingOf(signer, channel)).toMatchObject({ kind: 'mutual', number: null, outputs: [] });
    const other = opened({ format });
    other.signer.mine(other.channel.model.closeTx(other.channel.balances));
    expect(closingOf(other.signer, other.channel)).toMatchObject({ kind: 'unknown', number: null });
  });

  it('shows a preimage in the witness, in the very block of the close (A48)', () => {
    const { signer, channel } = withHtlcs();
    const built = channel.model.build('counterparty', 1, channel.balances);
    const at = outputIndexOf(built, channel.balances, ours);
    const claim = spendOf(built.tx, at, [new Uint8Array(72), ours.preimage, Uint8Array.of(1)]);
    signer.mine(built.tx, claim);
    expect(outputOf(signer, built.tx, at)?.spent).toMatchObject({
      txid: txid(claim),
      preimage: ours.preimage,
    });
    expect(signer.read(paymentRecords, hashOf(ours))?.preimage).toEqual(ours.preimage);
    expect(signer.events.map(({ event }) => event)).toContain('preimage-learned');
  });

  it('a witness with other 32 bytes shows nothing', () => {
    const { signer, channel } = withHtlcs();
    const built = channel.model.build('counterparty', 1, channel.balances);
    const at = outputIndexOf(built, channel.balances, ours);
    signer.mine(built.tx, spendOf(built.tx, at, [new Uint8Array(32)]));
    expect(outputOf(signer, built.tx, at)?.spent).toMatchObject({ preimage: null });
    expect(signer.read(paymentRecords, hashOf(ours))?.preimage).toBeNull();
  });

  it('goes on to the second level, and no further', () => {
    const { signer, channel } = withHtlcs();
    const built = channel.model.build('counterparty', 1, channel.balances);
    const second = built.htlcTransactions[0]!.transaction;
    signer.mine(built.tx, second);
    expect(outputOf(signer, second, 0)).toMatchObject({ role: 'second-level', spent: null });
    const last = spendOf(second, 0);
    signer.mine(last);
    expect(outputOf(signer, second, 0)?.spent).toMatchObject({ txid: txid(last) });
    expect(outputOf(signer, last, 0)).toBeNull();
  });

  it('is forgotten once everything is spent and buried, with its stubs', () => {
    const { signer, channel } = withHtlcs();
    const built = channel.model.build('counterparty', 1, channel.balances);
    const id = channelIdOf(channel);
    expect(idsIn(signer.state, stubRecords.name, `${id}/`).length).toBeGreaterThan(0);
    signer.mine(built.tx);
    signer.mine(...built.tx.outputs.map((_, vout) => spendOf(built.tx, vout)));
    signer.mineEmpty(142);
    expect(closingOf(signer, channel)?.outputs.length).toBeGreaterThan(0);
    signer.mineEmpty(1);
    expect(closingOf(signer, channel)).toMatchObject({ kind: 'counterparty', outputs: [] });
    expect(idsIn(signer.state, stubRecords.name, `${id}/`)).toEqual([]);
    expect(rolesOf(signer, built.tx).filter((role) => role !== undefined)).toEqual([]);
    expect(signer.events.map(({ event }) => event)).toContain('close-resolved');
    signer.mineEmpty(2);
  });
});

function outputIndexOf({ commitment }: Built, balances: Balances, one: ModelHtlc): number {
  return commitment.htlcs.find(({ htlcIndex }) => balances.htlcs[htlcIndex] === one)!.outputIndex;
}

const ROLES: Record<'holder' | 'counterparty', Record<string, string>> = {
  holder: {
    to_local: 'main-holder',
    to_remote: 'main-counterparty',
    local_anchor: 'anchor-holder',
    remote_anchor: 'anchor-counterparty',
    offered_htlc: 'htlc',
    received_htlc: 'htlc',
  },
  counterparty: {
    to_local: 'main-counterparty',
    to_remote: 'main-holder',
    local_anchor: 'anchor-counterparty',
    remote_anchor: 'anchor-holder',
    offered_htlc: 'htlc',
    received_htlc: 'htlc',
  },
};

describe('the inputs of a funding', () => {
  it('taken by another transaction: the channel will not come about, until a reorganisation', () => {
    const signer = new ChainedSigner();
    const channel = new OpenChannel({ pushMsat: 0n }, signer).open();
    const { funding } = channel.model;
    const { inputs, psbt } = fundingInput(signer.keys, funding);
    channel.ask(withdrawal(inputs, psbt));
    const thief = { ...funding.tx, outputs: [{ value: sat(1000), script: Uint8Array.of(0x51) }] };
    const fork = signer.mined.tip.heightBlocks;
    signer.mine(thief);
    const alarms = () =>
      alarmsOfChannel(signer.read, signer.policy, channelIdOf(channel), recordOf(channel), []).map(
        ({ code }) => code,
      );
    expect(alarms()).toEqual(['funding-double-spent']);
    expect(signer.view.outpoint(funding.outpoint)).toEqual({ kind: 'unknown' });
    signer.mined = signer.mined.forkAt(fork);
    signer.mined.extend([funding.tx]);
    signer.mined.extend();
    signer.follow();
    expect(alarms()).toEqual([]);
    expect(signer.view.outpoint(funding.outpoint)).toMatchObject({ kind: 'confirmed', depthBlocks: 2 });
  });
});
