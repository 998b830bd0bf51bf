/**
 * Law 1 at the end of a channel: what follows a force close and a mutual close, and that what a transaction is
 * counts, whatever message asks for it (attacks A02, A03, A10).
 */
import { p2wpkhOfKey, sat, type Transaction } from '@countersign/bitcoin';
import type { MessageOf, Request } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { type Balances, htlc, retx, wireTx } from './channel-model.ts';
import { adding, KINDS, OpenChannel } from './open-channel.ts';

const opened = (options = {}) => new OpenChannel(options).open();
const atFeerate = (balances: Balances, feeratePerKw: number): Balances => ({ ...balances, feeratePerKw });
const tag = 'policy-revoke-not-closed';

/** A close that CLN asks for again through sign_commitment_tx. */
function closeAsCommitment(channel: OpenChannel, tx: Transaction): MessageOf<'hsmd_sign_commitment_tx'> {
  return { ...channel.model.signCommitment(0), tx: wireTx(tx, [channel.model.fundingOutput()]) };
}

/** In the middle of an update, with everything that may come next already built. */
function inFlight(options = {}, htlcs = [htlc('holder', 20_000, 'a'), htlc('counterparty', 20_000, 'b')]) {
  const channel = opened(options);
  const { model } = channel;
  const balances = adding(channel.balances, ...htlcs);
  channel.update(balances);
  const next = atFeerate(balances, 1100);
  channel.ask(model.validate(2, next));
  channel.ask(model.signRemote(2, next));
  const later = atFeerate(balances, 1200);
  const splice = model.spliceOf('splice');
  channel.ask(model.setup(splice));
  const forbidden: readonly (readonly [string, Request])[] = [
    ['revoke our commitment', model.revoke(1)],
    ['validate another next one', model.validate(2, later)],
    ['validate the current one on a splice', model.validate(1, balances, splice)],
    ["sign another variant of the peer's", model.signRemote(2, later)],
    ["sign the peer's current one on a splice", model.signRemote(2, next, splice)],
    ['sign a splice', model.signSplice(splice)],
  ];
  return { channel, model, balances, next, later, splice, forbidden };
}

describe.each(KINDS)('policy-revoke-not-closed, %s', (_, options) => {
  it('policy-revoke-not-closed: trips on everything that goes on after a force close (A02, A03)', () => {
    const { channel, model, balances, next, forbidden } = inFlight(options);
    channel.ask(model.signCommitment(1, balances));
    for (const [what, request] of forbidden) expect(channel.tagOf(request), what).toBe(tag);
    channel.signer.protocolVersion = 5;
    expect(channel.tagOf(model.getPoint(3))).toBe(tag);
    // The peer's revocation gives nothing away; a commitment after it would.
    channel.ask(model.validateRevocation(1));
    expect(channel.tagOf(model.signRemote(3, next))).toBe(tag);
  });

  it('policy-revoke-not-closed: trips on everything that goes on after a mutual close (A10)', () => {
    for (const how of ['close', 'commitment'] as const) {
      const { channel, model, balances, next, forbidden } = inFlight(options, []);
      const tx = model.closeTx(channel.balances);
      channel.ask(how === 'close' ? model.mutualClose(tx) : closeAsCommitment(channel, tx));
      for (const [what, request] of forbidden) expect(channel.tagOf(request), what).toBe(tag);
      channel.signer.protocolVersion = 5;
      expect(channel.tagOf(model.getPoint(3))).toBe(tag);
      channel.ask(model.validateRevocation(1));
      expect(channel.tagOf(model.signRemote(3, next))).toBe(tag);
      // A force close is still allowed: of the current commitment, or of the next one.
      channel.ask(model.signCommitment(1, balances));
      channel.ask(model.signCommitment(2, next));
    }
  });

  it('policy-revoke-not-closed: passes repetitions of what was given before the close', () => {
    const { channel, model, balances, next } = inFlight(options);
    const requests = [
      model.validate(1, balances),
      model.validate(2, next),
      model.signRemote(2, next),
      model.revoke(0),
      ...model.signRemoteHtlcs(2, next),
    ];
    const replies = requests.map((request) => channel.ask(request));
    const close = channel.ask(model.signCommitment(1, balances));
    expect(requests.map((request) => channel.ask(request))).toEqual(replies);
    expect(channel.ask(model.signCommitment(1, balances))).toEqual(close);
  });

  it('policy-revoke-not-closed: passes updates while nothing is closed', () => {
    const channel = opened(options);
    for (let n = 0; n < 3; n++) channel.update(atFeerate(channel.balances, 1000 + n));
  });
});

describe('a force close', () => {
  it('remembers the lowest commitment that was signed', () => {
    const { channel, model, balances, next } = inFlight();
    channel.ask(model.signCommitment(2, next));
    expect(channel.refused(model.revoke(1)).facts).toMatchObject({ holder_commitment_signed: 2 });
    channel.ask(model.signCommitment(1, balances));
    expect(channel.refused(model.revoke(1)).facts).toMatchObject({ holder_commitment_signed: 1 });
    const before = channel.signer.state.snapshot();
    channel.ask(model.signCommitment(2, next));
    expect(channel.signer.state.snapshot()).toBe(before);
  });

  it('works on every candidate funding', () => {
    const channel = opened();
    const splice = channel.candidate(channel.model.spliceOf('splice'));
    const replies = [channel.model.funding, splice].map((funding) =>
      channel.ask(channel.model.signCommitment(0, channel.balances, funding)),
    );
    expect(replies[0]).not.toEqual(replies[1]);
  });

  it("asks for the peer's HTLC signatures and its revocations afterwards as before", () => {
    const { channel, model, balances, next } = inFlight();
    channel.ask(model.signCommitment(1, balances));
    for (const request of model.signLocalHtlcs(1, balances)) channel.ask(request);
    for (const request of model.signRemoteHtlcs(2, next)) channel.ask(request);
    channel.ask(model.validateRevocation(1));
  });
});

describe('a mutual close', () => {
  it('may be proposed again with other fees, and repeated with the identical reply', () => {
    const channel = opened();
    const { model } = channel;
    const replies = [1000n, 900n, 1100n].map((fee) =>
      channel.ask(model.mutualClose(model.closeTx(channel.balances, fee))),
    );
    expect(new Set(replies.map((reply) => JSON.stringify(reply))).size).toBe(3);
    const before = channel.signer.state.snapshot();
    expect(channel.ask(model.mutualClose(model.closeTx(channel.balances, 1000n)))).toEqual(replies[0]);
    expect(channel.signer.state.snapshot()).toBe(before);
  });

  it.each([0, 110, 0x1fff_ffff, 0x2100_0000, 500_000_000])('is one whatever its locktime: %i', (locktime) => {
    const channel = opened();
    channel.validate();
    const close = retx(channel.model.mutualClose(channel.model.closeTx(channel.balances)), () => ({
      locktime,
    }));
    channel.ask(close);
    expect(channel.tagOf(channel.model.revoke(0))).toBe(tag);
  });

  it.each([
    ['the locktime of a commitment alone', 0x2000_0001, 0xffff_fffd],
    ['the sequence of a commitment alone', 0, 0x8000_0001],
  ])('is one with %s', (_, locktime, sequence) => {
    const channel = opened();
    channel.validate();
    const close = retx(channel.model.mutualClose(channel.model.closeTx(channel.balances)), (tx) => ({
      locktime,
      inputs: tx.inputs.map((one) => ({ ...one, sequence })),
    }));
    channel.ask(close);
    expect(channel.tagOf(channel.model.revoke(0))).toBe(tag);
  });

  it('is judged as a commitment when it has the form of one', () => {
    const channel = opened();
    const { model } = channel;
    channel.validate();
    const current = model.build('holder', 0, channel.balances).tx;
    channel.ask(model.mutualClose(current));
    expect(channel.refused(model.revoke(0)).facts).toMatchObject({
      mutual_close_signed: false,
      holder_commitment_signed: 0,
    });
  });

  it('is refused when it is a commitment of the peer, or one that carries any other content', () => {
    const channel = opened();
    const { model } = channel;
    const theirs = model.build('counterparty', 0, channel.balances).tx;
    const stranger = retx(model.mutualClose(model.build('holder', 0, channel.balances).tx), () => ({
      outputs: [{ value: sat(900_000n), script: p2wpkhOfKey(model.counterparty.payment) }],
    }));
    for (const request of [model.mutualClose(theirs), stranger])
      expect(channel.tagOf(request)).toBe('policy-commitment-holder-not-revoked');
    channel.update(channel.balances);
  });

  it("never passes as a commitment: neither the peer's nor ours", () => {
    const channel = opened();
    const { model } = channel;
    const tx = wireTx(model.closeTx(channel.balances), [model.fundingOutput()]);
    for (const request of [
      { ...model.signRemote(1), tx },
      { ...model.validate(1), tx },
    ])
      expect(channel.tagOf(request)).toBe('policy-commitment-locktime');
  });
});

describe('a splice', () => {
  it('is never a transaction in the form of a commitment, whatever else it holds', () => {
    const channel = opened();
    const { model } = channel;
    const splice = model.spliceOf('splice');
    const disguised = retx(model.signSplice(splice), (tx) => ({
      locktime: 0x2000_0007,
      inputs: tx.inputs.map((one, i) => (i === 1 ? { ...one, sequence: 0x8000_0007 } : one)),
    }));
    expect(channel.tagOf(disguised)).toBe('policy-commitment-holder-not-revoked');
    // The mark on the wallet's input makes no commitment of it.
    const wallet = retx(model.signSpliceAlone(splice), (tx) => ({
      locktime: 0x2000_0007,
      inputs: tx.inputs.map((one, i) => (i === 0 ? { ...one, sequence: 0x8000_0007 } : one)),
    }));
    expect(channel.tagOf(wallet)).toBe('policy-onchain-initial-commitment-countersigned');
  });

  it('is signed only at an input that spends the funding', () => {
    const channel = opened();
    const request = channel.model.signSplice(channel.model.spliceOf('splice'));
    expect(channel.tagOf({ ...request, inputIndex: 0 })).toBe('policy-commitment-input-match-funding');
    for (const inputIndex of [2, 0xffff_ffff])
      expect(channel.tagOf({ ...request, inputIndex })).toBe('policy-generic-error');
    const other = { ...request, remoteFundingKey: channel.model.counterparty.payment };
    expect(channel.tagOf(other)).toBe('policy-commitment-input-match-funding');
  });

  it('that creates no funding is a close (A10): it is signed, and the channel only ends from there', () => {
    const channel = opened();
    const { model } = channel;
    const closing = retx(model.signSplice(model.spliceOf('splice')), (tx) => ({
      outputs: tx.outputs.map((one) => ({ ...one, script: p2wpkhOfKey(model.counterparty.payment) })),
    }));
    channel.ask(closing);
    expect(channel.tagOf(model.signRemote(1, channel.balances))).toBe(tag);
    expect(channel.tagOf(model.validate(1, channel.balances))).toBe(tag);
  });

  it('that was signed may be signed again after a close, and only that one', () => {
    const channel = opened();
    const { model } = channel;
    const [known, other] = [channel.candidate(model.spliceOf('known')), model.spliceOf('other')];
    const reply = channel.ask(model.signSplice(known));
    channel.ask(model.mutualClose(model.closeTx(channel.balances)));
    expect(channel.ask(model.signSplice(known))).toEqual(reply);
    expect(channel.tagOf(model.signSplice(other))).toBe(tag);
  });
});
