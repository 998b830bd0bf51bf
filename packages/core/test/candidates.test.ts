/**
 * Law 1 with several fundings at once: RBF of a dual-funded opening and splices. The same number is signed and
 * validated once for each, with one point, and revoked once for all (attacks A17, A18).
 */
import { fundingScript, msat, setPsbtWitnessScript } from '@countersign/bitcoin';
import { channelRecords } from '@countersign/core';
import type { MessageOf } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { channelId } from '../src/channel/lookup.ts';
import { SPLICES_MAX } from '../src/channel/record.ts';
import { type Funding, htlc } from './channel-model.ts';
import { adding, KINDS, OpenChannel, removing } from './open-channel.ts';
import { bytesOf } from './test-signer.ts';
import { fundingInput, withdrawal } from './wallet-model.ts';

const opened = (options = {}) => new OpenChannel(options).open();

describe.each(KINDS)('a splice, %s', (_, options) => {
  it('carries the current number to the candidate and goes on with both', () => {
    const channel = opened(options);
    const pending = htlc('holder', 30_000, 'a');
    channel.update(adding(channel.balances, pending));
    const splice = channel.candidate(channel.model.spliceOf('splice'));
    for (const request of channel.model.signRemoteHtlcs(1, channel.balances, splice)) channel.ask(request);
    channel.ask(channel.model.signSplice(splice));
    channel.update(removing(channel.balances, pending, 'settled'));
    channel.update(adding(channel.balances, htlc('counterparty', 20_000, 'b')));
    const old = channel.model.funding;
    channel.lock(splice);
    channel.update(channel.balances);
    // What spends the old funding is no commitment of this channel any more.
    const tag = 'policy-commitment-input-match-funding';
    expect(channel.tagOf(channel.model.signRemote(5, channel.balances, old))).toBe(tag);
    expect(channel.tagOf(channel.model.signCommitment(4, channel.balances, old))).toBe(tag);
    channel.ask(channel.model.signCommitment(4, channel.balances, splice));
  });

  it('is asked for by the initiator before its candidate is set up, as CLN does, and signed once it is', () => {
    const channel = opened(options);
    const splice = channel.model.spliceOf('splice');
    const tag = 'policy-onchain-initial-commitment-countersigned';
    expect(channel.refused(channel.model.signSpliceAlone(splice))).toMatchObject({ tag, temporary: true });
    channel.candidate(splice);
    const reply = channel.ask(channel.model.signSplice(splice));
    expect(channel.ask(channel.model.signSplice(splice))).toEqual(reply);
    channel.update(channel.balances);
  });

  it('begins at the current number, also where the next one is signed and a lost link made the node forget it', () => {
    const channel = opened(options);
    channel.update(channel.balances);
    const forgotten = adding(channel.balances, htlc('counterparty', 30_000, 'a'));
    channel.signRemote(forgotten);
    const splice = channel.candidate(channel.model.spliceOf('splice'));
    channel.ask(channel.model.signSplice(splice));
    // Once it has begun there, nothing else takes that number, on either funding.
    const tag = 'policy-commitment-retry-same';
    for (const funding of channel.fundings)
      expect(channel.tagOf(channel.model.signRemote(1, forgotten, funding))).toBe(tag);
    channel.update(adding(channel.balances, htlc('counterparty', 20_000, 'b')));
    channel.lock(splice);
    channel.update(channel.balances);
  });

  it('begins so only as a splice: a round of the opening has no commitment 0 after another has moved on', () => {
    const channel = opened(options);
    const round = channel.model.newFunding('second round', channel.model.funding.valueSat);
    channel.ask(channel.model.setup(round));
    channel.signRemote(adding(channel.balances, htlc('counterparty', 30_000, 'a')));
    expect(channel.tagOf(channel.model.signRemote(0, channel.balances, round))).toBe(
      'policy-commitment-retry-same',
    );
  });

  it('carries what the peer has acknowledged, not what was signed since', () => {
    const channel = opened(options);
    channel.update(channel.balances);
    const forgotten = adding(channel.balances, htlc('counterparty', 30_000, 'a'));
    channel.signRemote(forgotten);
    const splice = channel.model.spliceOf('splice');
    channel.ask(channel.model.setup(splice));
    expect(channel.tagOf(channel.model.signRemote(1, forgotten, splice))).toBe(
      'policy-routing-deltas-only-htlc',
    );
    channel.ask(channel.model.signRemote(1, channel.balances, splice));
  });

  it('is closed by what the peer has on it, also where its next commitment was signed on the old funding alone', () => {
    const channel = opened(options);
    channel.update(channel.balances);
    const pending = adding(channel.balances, htlc('counterparty', 30_000, 'a'));
    channel.signRemote(pending);
    channel.peerRevokes();
    channel.signRemote(adding(pending, htlc('counterparty', 20_000, 'b')));
    const splice = channel.model.spliceOf('splice');
    channel.ask(channel.model.setup(splice));
    channel.ask(channel.model.validate(1, channel.balances, splice));
    channel.ask(channel.model.signRemote(2, pending, splice));
    channel.ask(channel.model.signSplice(splice));
    channel.lock(splice);
    const close = channel.model.closeTx(channel.balances, 1000n, splice);
    expect(channel.refused(channel.model.mutualClose(close, splice))).toMatchObject({
      tag: 'policy-mutual-no-pending-htlcs',
      facts: { number: 2, htlcs: 1 },
    });
  });

  it('may be spliced again from either funding while pending', () => {
    const channel = opened(options);
    const first = channel.candidate(channel.model.spliceOf('first'));
    channel.ask(channel.model.signSplice(first));
    const rbf = channel.candidate(channel.model.spliceOf('rbf', 120_000n));
    channel.ask(channel.model.signSplice(rbf));
    const onTop = channel.candidate(channel.model.spliceOf('on top', -50_000n, first));
    channel.ask(channel.model.signSplice(onTop, first));
    channel.update(adding(channel.balances, htlc('counterparty', 20_000, 'b')));
    expect(channel.fundings).toHaveLength(4);
    channel.lock(onTop);
    channel.update(channel.balances);
  });
});

describe('candidates of an opening', () => {
  it('share number 0 and its point; the one that is locked goes on', () => {
    const channel = opened();
    const candidates = [channel.model.funding];
    for (const label of ['second', 'third'])
      candidates.push(channel.candidate(channel.model.spliceOf(label, 1000n)));
    const third = candidates[2]!;
    channel.lock(third);
    channel.update(channel.balances);
    expect(channel.tagOf(channel.model.lock(candidates[0]!))).toBe('policy-candidate-exclusive');
  });

  // CLN locks the last round even when an earlier one was mined.
  const locked = () => {
    const channel = opened();
    const second = channel.candidate(channel.model.spliceOf('second', 1000n));
    const third = channel.candidate(channel.model.spliceOf('third', 1000n));
    channel.ask(channel.model.lock(third));
    return { channel, first: channel.model.funding, second, third };
  };

  it('go on with the one that the next commitment names, though the lock named another', () => {
    for (const side of ['holder', 'counterparty'] as const) {
      const { channel, second, first, third } = locked();
      const { model, balances } = channel;
      const requests = [model.signRemote(1, balances, second), model.validate(1, balances, second)];
      for (const request of side === 'holder' ? requests.toReversed() : requests) channel.ask(request);
      for (const other of [first, third]) {
        expect(channel.tagOf(model.signRemote(1, balances, other))).toBe('policy-candidate-exclusive');
        expect(channel.tagOf(model.validate(1, balances, other))).toBe('policy-candidate-exclusive');
        expect(channel.tagOf(model.lock(other))).toBe('policy-candidate-exclusive');
      }
      channel.ask(model.revoke(0));
      const tag = 'policy-commitment-input-match-funding';
      for (const other of [first, third]) expect(channel.tagOf(model.validate(1, balances, other))).toBe(tag);
      channel.ask(model.signCommitment(1, balances, second));
    }
  });

  it('move by a second lock, or close as they are', () => {
    const { channel, second } = locked();
    channel.ask(channel.model.lock(second));
    channel.ask(channel.model.validate(1, channel.balances, second));
    channel.ask(channel.model.revoke(0));
    const closed = locked();
    for (const funding of [closed.first, closed.second, closed.third])
      closed.channel.ask(closed.channel.model.signCommitment(0, closed.channel.balances, funding));
  });

  it('do not hold up the revocation once one is locked, and are gone with it', () => {
    const { channel, second, third } = locked();
    expect(channel.tagOf(channel.model.revoke(0))).toBe('policy-revoke-new-commitment-valid');
    channel.ask(channel.model.validate(1, channel.balances, third));
    channel.ask(channel.model.revoke(0));
    expect(channel.tagOf(channel.model.signCommitment(0, channel.balances, second))).toBe(
      'policy-commitment-input-match-funding',
    );
  });

  it('all stay live until the lock: number 1 is validated on each before number 0 is revoked (A18)', () => {
    const channel = opened();
    const fundings = [
      channel.model.funding,
      channel.candidate(channel.model.spliceOf('second')),
      channel.candidate(channel.model.spliceOf('third')),
    ];
    for (const left of [3, 2, 1]) {
      expect(channel.refused(channel.model.revoke(0))).toMatchObject({
        tag: 'policy-revoke-new-commitment-valid',
        facts: { fundings_live: 3, fundings_behind: left },
      });
      channel.ask(channel.model.validate(1, channel.balances, fundings[left - 1]));
    }
    channel.ask(channel.model.revoke(0));
    // Number 0 is gone on all of them.
    for (const funding of fundings)
      expect(channel.tagOf(channel.model.signCommitment(0, channel.balances, funding))).toBe(
        'policy-commitment-holder-not-revoked',
      );
  });

  it('are not live before they have a commitment of ours', () => {
    const channel = opened();
    channel.ask(channel.model.setup(channel.model.spliceOf('never agreed')));
    channel.update(channel.balances);
    // Later it could only begin at the current number, and only a splice begins there.
    const late = channel.model.spliceOf('never agreed');
    expect(channel.tagOf(channel.model.validate(0, channel.balances, late))).toBe(
      'policy-commitment-holder-not-revoked',
    );
    for (const request of [
      channel.model.validate(1, channel.balances, late),
      channel.model.signRemote(1, channel.balances, late),
    ])
      expect(channel.tagOf(request)).toBe('policy-routing-deltas-only-htlc');
  });
});

describe("the peer's commitments on several fundings", () => {
  it('have eight variants of a number on each', () => {
    const channel = opened();
    const splice = channel.candidate(channel.model.spliceOf('splice'));
    for (const funding of [channel.model.funding, splice]) {
      const variant = (i: number) =>
        channel.model.signRemote(1, { ...channel.balances, feeratePerKw: 1000 + i }, funding);
      for (let i = 0; i < 8; i++) channel.ask(variant(i));
      expect(channel.tagOf(variant(8))).toBe('policy-commitment-retry-same');
    }
  });

  it('are revoked on all at once: their HTLCs are signed no more', () => {
    const channel = opened();
    const splice = channel.candidate(channel.model.spliceOf('splice'));
    const balances = adding(channel.balances, htlc('holder', 30_000, 'a'));
    channel.update(balances);
    const requests = [channel.model.funding, splice].flatMap((funding) =>
      channel.model.signRemoteHtlcs(1, balances, funding),
    );
    expect(requests).toHaveLength(2);
    for (const request of requests) channel.ask(request);
    channel.update(channel.balances);
    for (const request of requests) expect(channel.tagOf(request)).toBe('policy-htlc-belongs');
  });
});

describe('policy-candidate-exclusive', () => {
  const tag = 'policy-candidate-exclusive';

  it('policy-candidate-exclusive: trips on the lock of an outpoint that was never set up', () => {
    const channel = opened();
    expect(channel.tagOf(channel.model.lock(channel.model.spliceOf('unknown')))).toBe(tag);
    const { funding } = channel.model;
    const wrongOutput: Funding = { ...funding, outpoint: { ...funding.outpoint, vout: 0 } };
    expect(channel.tagOf(channel.model.lock(wrongOutput))).toBe(tag);
  });

  it('policy-candidate-exclusive: passes the lock of a candidate with its current commitment', () => {
    const channel = opened();
    const splice = channel.candidate(channel.model.spliceOf('splice'));
    channel.lock(splice);
    const before = channel.signer.state.snapshot();
    channel.ask(channel.model.lock(splice));
    expect(channel.signer.state.snapshot()).toBe(before);
  });

  it('policy-candidate-exclusive: passes any number of splices that came to nothing', () => {
    const channel = opened().update(new OpenChannel().balances);
    for (let i = 0; i < SPLICES_MAX + 2; i++)
      channel.refused(channel.model.signSpliceAlone(channel.model.spliceOf(`s${i}`)));
    channel.update(channel.balances);
  });
});

describe('a candidate that may confirm by our own signature', () => {
  const tag = 'policy-revoke-new-commitment-valid';

  it('is live once it is signed, whatever other splices are asked for since', () => {
    const channel = opened();
    channel.update(channel.balances);
    const splice = channel.model.spliceOf('splice');
    channel.ask(channel.model.setup(splice));
    channel.ask(channel.model.validate(1, channel.balances, splice));
    channel.ask(channel.model.signSplice(splice));
    for (let i = 0; i < SPLICES_MAX; i++)
      channel.refused(channel.model.signSpliceAlone(channel.model.spliceOf(`s${i}`)));
    channel.ask(channel.model.validate(2, channel.balances));
    expect(channel.refused(channel.model.revoke(1))).toMatchObject({ tag, temporary: true });
    channel.ask(channel.model.validate(2, channel.balances, splice));
    channel.ask(channel.model.revoke(1));
  });

  it("is live when the wallet funds it, though the peer's next commitment was signed before its set-up", () => {
    const channel = opened();
    channel.signRemote();
    const rbf = channel.model.spliceOf('rbf');
    channel.ask(channel.model.setup(rbf));
    channel.ask(channel.model.validate(0, channel.balances, rbf));
    const { inputs, psbt } = fundingInput(channel.signer.keys, rbf);
    channel.ask(withdrawal(inputs, psbt));
    channel.validate();
    expect(channel.tagOf(channel.model.revoke(0))).toBe(tag);
  });

  it('is not, as a splice that nobody signed: the channel goes on without it', () => {
    const channel = opened();
    channel.update(channel.balances);
    const splice = channel.model.spliceOf('splice');
    channel.ask(channel.model.setup(splice));
    channel.ask(channel.model.validate(1, channel.balances, splice));
    channel.update(channel.balances);
    // Kept up with, a splice may be signed any time later.
    const kept = channel.model.spliceOf('kept');
    channel.ask(channel.model.setup(kept));
    channel.fundings = [channel.model.funding, kept];
    channel.ask(channel.model.validate(2, channel.balances, kept));
    channel.ask(channel.model.signRemote(2, channel.balances, kept));
    channel.update(channel.balances);
    channel.ask(channel.model.signSplice(kept));
    // The other is signed no more: there is no commitment of ours on it.
    expect(channel.tagOf(channel.model.signSplice(splice))).toBe(tag);
  });
});

describe('a splice with a new funding key of the peer, which setup_channel does not name', () => {
  const ready = (options = {}) => {
    const channel = opened(options);
    channel.update(channel.balances);
    const { model } = channel;
    const splice = model.spliceOf('splice');
    const setup = { ...model.setup(splice), remoteFundingPubkey: model.funding.peerKey };
    channel.ask(setup);
    return { channel, model, splice, setup };
  };
  const withScript = (
    request: MessageOf<'hsmd_validate_commitment_tx'>,
    script: Uint8Array,
  ): MessageOf<'hsmd_validate_commitment_tx'> => {
    const { tx, psbt } = request.tx;
    return { ...request, tx: { tx, psbt: setPsbtWitnessScript(psbt, 0, script) } };
  };
  const fundingScriptOf = ({ model }: OpenChannel, peerKey: Uint8Array) =>
    fundingScript(model.holderFundingKey, peerKey);

  it("is settled by the peer's first commitment", () => {
    const { channel, model, splice, setup } = ready();
    channel.ask(model.signRemote(1, channel.balances, splice));
    channel.ask(model.validate(1, channel.balances, splice));
    const old = { ...model.signRemote(1, channel.balances, splice), remoteFundingKey: model.funding.peerKey };
    expect(channel.tagOf(old)).toBe('policy-commitment-input-match-funding');
    channel.ask(setup);
    channel.ask(model.signSplice(splice));
    channel.fundings = [model.funding, splice];
    channel.update(channel.balances);
    // A close may still name the old key: what is signed is the script on record.
    channel.lock(splice);
    const close = model.mutualClose(model.closeTx(channel.balances, 1000n, splice), splice);
    expect(channel.ask({ ...close, remoteFundingKey: model.funding.peerKey })).toEqual(channel.ask(close));
  });

  it('is settled by our first commitment, whose PSBT has the script', () => {
    const { channel, model, splice } = ready({ format: 'static_remotekey' });
    const request = model.validate(1, channel.balances, splice);
    const tag = 'policy-revoke-new-commitment-signed';
    expect(channel.tagOf(request)).toBe(tag);
    for (const script of [
      fundingScriptOf(channel, model.funding.peerKey),
      fundingScriptOf(channel, model.counterparty.payment),
      fundingScript(model.counterparty.payment, splice.peerKey),
      fundingScriptOf(channel, model.holderFundingKey),
      Uint8Array.of(0x51),
    ])
      expect(channel.tagOf(withScript(request, script))).toBe(tag);
    channel.ask(withScript(request, fundingScriptOf(channel, splice.peerKey)));
    channel.ask(model.signRemote(1, channel.balances, splice));
    expect(channel.ask(request)).toBeDefined();
  });

  it('policy-key-use: trips on a key of ours in its place, and is malformed with none', () => {
    const { channel, model, splice } = ready({ format: 'static_remotekey' });
    const request = model.signRemote(1, channel.balances, splice);
    for (const remoteFundingKey of [model.holderFundingKey, ...Object.values(model.holder)])
      expect(channel.tagOf({ ...request, remoteFundingKey })).toBe('policy-key-use');
    const none = Uint8Array.from([2, ...new Uint8Array(31), 5]);
    expect(channel.tagOf({ ...request, remoteFundingKey: none })).toBe('policy-generic-error');
    channel.ask(request);
  });

  it('policy-candidate-exclusive: passes a 17th funding in the place of splices that came to nothing', () => {
    const channel = opened();
    channel.update(channel.balances);
    const { model } = channel;
    const signed = model.spliceOf('signed');
    channel.ask(model.setup(signed));
    channel.ask(model.validate(1, channel.balances, signed));
    channel.ask(model.signSplice(signed));
    const validated = model.spliceOf('validated');
    channel.ask(model.setup(validated));
    channel.ask(model.validate(1, channel.balances, validated));
    for (let i = 0; i < 20; i++) channel.ask(model.setup(model.spliceOf(`nothing ${i}`)));
    // Those that were signed or have a commitment were kept.
    channel.ask(model.validate(1, channel.balances, signed));
    channel.ask(model.signCommitment(1, channel.balances, validated));
  });
});

describe('lock_outpoint', () => {
  it('refuses a candidate without the current commitment: nothing could be published there', () => {
    const channel = opened();
    const splice = channel.model.spliceOf('splice');
    channel.ask(channel.model.setup(splice));
    expect(channel.tagOf(channel.model.lock(splice))).toBe('policy-revoke-new-commitment-valid');
    const fresh = new OpenChannel({ dbid: 2n });
    fresh.ask(fresh.model.setup());
    expect(fresh.tagOf(fresh.model.lock(fresh.model.funding))).toBe('policy-revoke-new-commitment-valid');
  });

  it('keeps both ratchets where they are', () => {
    const channel = opened();
    channel.update(channel.balances);
    const splice = channel.candidate(channel.model.spliceOf('splice'));
    channel.update(channel.balances);
    channel.ask(channel.model.signSplice(splice));
    channel.lock(splice);
    expect(channel.tagOf(channel.model.signRemote(1, channel.balances, splice))).toBe(
      'policy-commitment-retry-same',
    );
    expect(channel.tagOf(channel.model.signCommitment(1, channel.balances, splice))).toBe(
      'policy-commitment-holder-not-revoked',
    );
    channel.update(channel.balances);
  });

  it('of the old funding again does not end a splice that we signed (A17)', () => {
    const channel = opened();
    channel.lock(channel.model.funding);
    channel.update(channel.balances);
    const splice = channel.candidate(channel.model.spliceOf('splice'));
    channel.ask(channel.model.signSplice(splice));
    channel.ask(channel.model.lock(channel.model.funding));
    channel.ask(channel.model.validate(2, channel.balances));
    expect(channel.refused(channel.model.revoke(1))).toMatchObject({
      tag: 'policy-revoke-new-commitment-valid',
      temporary: true,
    });
    channel.ask(channel.model.validate(2, channel.balances, splice));
    channel.ask(channel.model.revoke(1));
  });

  it('of the old funding ends a splice that was never signed', () => {
    const channel = opened();
    const splice = channel.candidate(channel.model.spliceOf('splice'));
    channel.lock(channel.model.funding);
    channel.update(channel.balances);
    expect(channel.tagOf(channel.model.signCommitment(1, channel.balances, splice))).toBe(
      'policy-commitment-input-match-funding',
    );
  });

  it('drops a funding that the peer may still publish on only when the node says so', () => {
    const channel = opened();
    channel.candidate(channel.model.spliceOf('splice'));
    channel.update(channel.balances);
    // Without a lock both fundings stay usable for a force close.
    for (const funding of channel.fundings)
      channel.ask(channel.model.signCommitment(1, channel.balances, funding));
  });
});

describe('the size of a record', () => {
  it('is bounded: one more variant with HTLCs is refused where all together hold 16,000', () => {
    const channel = opened();
    const { state } = channel.signer;
    const id = channelId(channel.model.ref);
    const { value, version } = state.read(channelRecords, id)!;
    const [candidate] = value!.candidates;
    const balances = adding(channel.balances, htlc('holder', 20_000, 'a'));
    const one = {
      offeredBy: 'holder',
      amountMsat: msat(1n),
      paymentHash: bytesOf('hash'),
      cltvExpiry: 1,
    } as const;
    const full = (i: number) => ({
      ...candidate!.issued[0]!,
      txid: bytesOf(`variant ${i}`),
      htlcs: Array.from({ length: 500 }, () => one),
    });
    const stored = (fundings: number) => ({
      ...value!,
      candidates: Array.from({ length: fundings }, (_, at) => ({
        ...candidate!,
        ...(at > 0 && { outpoint: { txid: bytesOf(`funding ${at}`), vout: 0 } }),
        issued: [
          ...(at === 0 ? candidate!.issued : []),
          ...Array.from({ length: 8 }, (_, i) => full(at * 8 + i)),
        ],
      })),
    });
    const put = (fundings: number, at: number) =>
      state.apply([{ kind: channelRecords, id, version: at, value: stored(fundings) }]);
    put(4, version + 1);
    const request = channel.model.signRemote(1, balances);
    expect(channel.refused(request)).toMatchObject({
      tag: 'policy-generic-error',
      facts: { htlcs: 16_001, htlcs_max: 16_000 },
    });
    put(3, version + 2);
    channel.ask(request);
  });
});
