/**
 * Law 1 for the peer's commitments: one after the other, one point per number, at most 8 variants of the newest, and
 * revoked only by the secret of the point we signed for (attacks A07b to A09).
 */
import { perCommitmentSecret } from '@countersign/bitcoin';
import { describe, expect, it } from 'vitest';
import { type Balances, htlc } from './channel-model.ts';
import { adding, KINDS, OpenChannel } from './open-channel.ts';
import { bytesOf, secp } from './test-signer.ts';

const opened = (options = {}) => new OpenChannel(options).open();
/** Other content for the same number. */
const atFeerate = (balances: Balances, feeratePerKw: number): Balances => ({ ...balances, feeratePerKw });

describe('policy-commitment-previous-revoked, sign_remote_commitment_tx', () => {
  it('policy-commitment-previous-revoked: trips on number 1 before number 0', () => {
    const channel = new OpenChannel();
    channel.ask(channel.model.setup());
    expect(channel.tagOf(channel.model.signRemote(1))).toBe('policy-commitment-previous-revoked');
  });

  it('policy-commitment-previous-revoked: trips on n+1 while n−1 stands (A08)', () => {
    const channel = opened();
    channel.ask(channel.model.signRemote(1));
    expect(channel.refused(channel.model.signRemote(2))).toMatchObject({
      tag: 'policy-commitment-previous-revoked',
      law: 1,
      severity: 'error',
      temporary: false,
      facts: { number: 2, first_unrevoked: 0 },
    });
  });

  it.each([3, 10, 2 ** 40, 2 ** 48 - 1])(
    'policy-commitment-previous-revoked: trips on a skip to %i',
    (number) => {
      const channel = opened();
      channel.signRemote();
      channel.peerRevokes();
      expect(channel.tagOf(channel.model.signRemote(number))).toBe('policy-commitment-previous-revoked');
    },
  );

  it('policy-commitment-previous-revoked: trips on a number beyond the next even when all are revoked', () => {
    const channel = opened();
    // Number 0 cannot be revoked before 1 is signed, so the only unsigned numbers are 1 and beyond.
    expect(channel.tagOf(channel.model.signRemote(2))).toBe('policy-commitment-previous-revoked');
    channel.signRemote();
    channel.peerRevokes();
    expect(channel.tagOf(channel.model.signRemote(3))).toBe('policy-commitment-previous-revoked');
  });

  it.each(KINDS)('policy-commitment-previous-revoked: passes n+1 once n−1 is revoked, %s', (_, options) => {
    const channel = opened(options);
    for (let n = 0; n < 4; n++) {
      channel.signRemote();
      channel.peerRevokes();
    }
    expect(channel.counterpartyNumber).toBe(4);
  });
});

describe('policy-commitment-previous-revoked, validate_revocation', () => {
  const ready = () => {
    const channel = opened();
    channel.signRemote();
    channel.peerRevokes();
    channel.signRemote();
    return channel;
  };
  const tag = 'policy-commitment-previous-revoked';

  /** BOLT 3's secrets of odd numbers derive the one before; those of even numbers chain with none. */
  it.each([0, 1, 2])(
    'policy-commitment-previous-revoked: trips on any other secret (A09): of number %i',
    (number) => {
      const channel = opened();
      channel.signRemote();
      for (let revoked = 0; revoked < number; revoked++) {
        channel.peerRevokes();
        channel.signRemote();
      }
      const honest = channel.model.validateRevocation(number);
      const { perCommitmentSecret: right } = honest;
      const secrets = [
        right.with(31, right[31]! ^ 1),
        bytesOf('random'),
        channel.model.peerPerCommitmentSecret(number + 1),
        channel.model.peerPerCommitmentSecret(number + 2),
        ...(number === 0 ? [] : [channel.model.peerPerCommitmentSecret(number - 1)]),
        new Uint8Array(32),
        new Uint8Array(32).fill(0xff),
      ];
      for (const perCommitmentSecret of secrets)
        expect(channel.refused({ ...honest, perCommitmentSecret })).toMatchObject({
          tag,
          message: expect.stringContaining('does not open the point'),
          facts: { number },
        });
      channel.ask(honest);
    },
  );

  it('policy-commitment-previous-revoked: trips on the right secret for another number', () => {
    const channel = ready();
    for (const number of [2, 3]) expect(channel.tagOf(channel.model.validateRevocation(number))).toBe(tag);
  });

  it('policy-commitment-previous-revoked: trips on the newest commitment, which nothing replaces', () => {
    const channel = opened();
    expect(channel.tagOf(channel.model.validateRevocation(0))).toBe(tag);
    const fresh = new OpenChannel({ dbid: 5n });
    fresh.ask(fresh.model.setup());
    expect(fresh.tagOf(fresh.model.validateRevocation(0))).toBe(tag);
  });

  it('policy-commitment-previous-revoked: trips on a secret that opens its point but does not chain', () => {
    const channel = opened();
    const { model } = channel;
    const stray = perCommitmentSecret(bytesOf('another seed'), 1);
    channel.ask(model.signRemote(1, model.initial, model.funding, { point: secp.publicKey(stray) }));
    channel.ask(model.validateRevocation(0));
    channel.ask(model.signRemote(2));
    const request = { ...model.validateRevocation(1), perCommitmentSecret: stray };
    expect(channel.refused(request)).toMatchObject({ tag, message: expect.stringContaining('chain') });
  });

  it('policy-commitment-previous-revoked: trips on a repeated revocation with another secret', () => {
    const channel = ready();
    for (let n = 0; n < 6; n++) {
      channel.peerRevokes();
      channel.signRemote();
    }
    for (const number of [0, 1, 4, 6]) {
      const honest = channel.model.validateRevocation(number);
      expect(channel.ask(honest)).toEqual({ name: 'hsmd_validate_revocation_reply' });
      const perCommitmentSecret = honest.perCommitmentSecret.with(0, honest.perCommitmentSecret[0]! ^ 0x80);
      expect(channel.tagOf({ ...honest, perCommitmentSecret })).toBe(tag);
    }
  });

  it('policy-commitment-previous-revoked: passes the secret of the point, and again, without another change', () => {
    const channel = ready();
    channel.ask(channel.model.validateRevocation(1));
    const before = channel.signer.state.snapshot();
    channel.ask(channel.model.validateRevocation(1));
    channel.ask(channel.model.validateRevocation(0));
    expect(channel.signer.state.snapshot()).toBe(before);
  });

  it('goes on for hundreds of commitments with a store of few secrets', () => {
    const channel = opened({ format: 'static_remotekey' });
    for (let n = 0; n < 130; n++) {
      channel.signRemote();
      channel.peerRevokes();
    }
    channel.ask(channel.model.validateRevocation(0));
    channel.ask(channel.model.validateRevocation(77));
  });
});

describe('policy-commitment-retry-same, sign_remote_commitment_tx', () => {
  const tag = 'policy-commitment-retry-same';

  it.each(KINDS)(
    'policy-commitment-retry-same: passes the identical request with the identical reply, %s',
    (_, options) => {
      const channel = opened(options);
      const balances = adding(
        channel.balances,
        htlc('holder', 20_000, 'a'),
        htlc('counterparty', 20_000, 'b'),
      );
      const request = channel.model.signRemote(1, balances);
      const reply = channel.ask(request);
      const before = channel.signer.state.snapshot();
      expect(channel.ask(request)).toEqual(reply);
      expect(channel.ask({ ...request, htlcs: request.htlcs.toReversed() })).toEqual(reply);
      // Number 0 is not revoked yet, so it too may be asked for again, as it was.
      expect(channel.ask(channel.model.signRemote(0))).toEqual(channel.ask(channel.model.signRemote(0)));
      expect(channel.signer.state.snapshot()).toBe(before);
    },
  );

  it('policy-commitment-retry-same: passes eight variants of the newest number', () => {
    const channel = opened();
    const replies = Array.from({ length: 8 }, (_, i) =>
      channel.ask(channel.model.signRemote(1, atFeerate(channel.balances, 1000 + i))),
    );
    for (const [i, reply] of replies.entries())
      expect(channel.ask(channel.model.signRemote(1, atFeerate(channel.balances, 1000 + i)))).toEqual(reply);
  });

  it('policy-commitment-retry-same: trips on the ninth (A07b)', () => {
    const channel = opened();
    for (let i = 0; i < 8; i++)
      channel.ask(channel.model.signRemote(1, atFeerate(channel.balances, 1000 + i)));
    expect(channel.refused(channel.model.signRemote(1, atFeerate(channel.balances, 1008)))).toMatchObject({
      tag,
      facts: { number: 1, variants: 8, variants_max: 8 },
    });
    // Once the number is revoked, its variants are gone and the next number has its own eight.
    channel.peerRevokes();
    for (let i = 0; i < 8; i++)
      channel.ask(channel.model.signRemote(2, atFeerate(channel.balances, 2000 + i)));
    channel.peerRevokes();
    channel.ask(channel.model.signRemote(3));
  });

  it('policy-commitment-retry-same: trips on the ninth variant of number 0', () => {
    const channel = opened();
    for (let i = 1; i < 8; i++)
      channel.ask(channel.model.signRemote(0, atFeerate(channel.balances, 1000 + i)));
    expect(channel.tagOf(channel.model.signRemote(0, atFeerate(channel.balances, 1008)))).toBe(tag);
  });

  it('policy-commitment-retry-same: trips on other content for a number that has a successor', () => {
    const channel = opened();
    channel.signRemote();
    const other = channel.model.signRemote(0, atFeerate(channel.balances, 2000));
    expect(channel.refused(other)).toMatchObject({ tag, facts: { number: 0, newest: 1 } });
  });

  it('policy-commitment-retry-same: trips on a number the peer has revoked, even identical', () => {
    const channel = opened();
    channel.signRemote();
    channel.peerRevokes();
    expect(channel.refused(channel.model.signRemote(0))).toMatchObject({
      tag,
      facts: { first_unrevoked: 1 },
    });
  });

  it('policy-commitment-retry-same: trips on another point for the same number, whatever the content', () => {
    const channel = opened();
    const { model } = channel;
    channel.signRemote();
    const point = secp.publicKey(bytesOf('another point'));
    for (const number of [0, 1])
      expect(
        channel.refused(model.signRemote(number, model.initial, model.funding, { point })),
      ).toMatchObject({
        tag,
        facts: { number },
      });
    // Also on another funding: one secret must revoke the number on all of them.
    const splice = model.spliceOf('splice');
    channel.ask(model.setup(splice));
    expect(channel.tagOf(model.signRemote(1, model.initial, splice, { point }))).toBe(tag);
  });

  it('policy-commitment-retry-same: trips on other HTLCs under an old transaction', () => {
    const channel = opened();
    const one = htlc('counterparty', 20_000, 'a', 700_000);
    const balances = adding(channel.balances, one);
    const request = channel.model.signRemote(1, balances);
    channel.ask(request);
    // The peer's own HTLC in its commitment: the script has no expiry, so the transaction is the same.
    const later = { ...request, htlcs: request.htlcs.map((h) => ({ ...h, cltvExpiry: 700_001 })) };
    const before = channel.signer.state.snapshot();
    channel.ask(later);
    expect(channel.signer.state.snapshot()).not.toBe(before);
    channel.peerRevokes();
    channel.ask(channel.model.signRemote(2, balances));
    const stale = { ...request, htlcs: request.htlcs.map((h) => ({ ...h, cltvExpiry: 700_002 })) };
    expect(channel.tagOf(stale)).toBe(tag);
  });

  it('signs the HTLCs of two variants that are one transaction with different expiries', () => {
    const channel = opened();
    const [first, second] = [700_000, 700_001].map((expiry) =>
      adding(channel.balances, htlc('counterparty', 20_000, 'a', expiry)),
    );
    const requests = [first!, second!].map((balances) => channel.model.signRemote(1, balances));
    expect(requests[0]!.tx.tx).toEqual(requests[1]!.tx.tx);
    for (const request of requests) channel.ask(request);
    for (const balances of [first!, second!])
      for (const request of channel.model.signRemoteHtlcs(1, balances)) channel.ask(request);
  });

  it('keeps every variant until the number is revoked: each can have its HTLCs signed', () => {
    const channel = opened();
    const [first, second] = [1000, 1001].map((feerate) =>
      atFeerate(adding(channel.balances, htlc('holder', 20_000, 'a')), feerate),
    );
    channel.ask(channel.model.signRemote(1, first));
    channel.ask(channel.model.signRemote(1, second));
    for (const request of [
      ...channel.model.signRemoteHtlcs(1, first!),
      ...channel.model.signRemoteHtlcs(1, second!),
    ])
      channel.ask(request);
    channel.peerRevokes();
    channel.ask(channel.model.signRemote(2));
    channel.peerRevokes();
    expect(channel.tagOf(channel.model.signRemoteHtlcs(1, first!)[0]!)).toBe('policy-htlc-belongs');
  });
});

describe('malformed requests about the peer’s commitments', () => {
  it('refuses a point off the curve, and numbers beyond 48 bits', () => {
    const channel = opened();
    const { model } = channel;
    const remotePerCommit = Uint8Array.from([2, ...new Uint8Array(31), 5]);
    expect(secp.isPublicKey(remotePerCommit)).toBe(false);
    for (const request of [
      { ...model.signRemote(1), remotePerCommit },
      { ...model.signRemote(1), commitNum: 2n ** 48n },
      { ...model.signRemote(1), commitNum: 2n ** 64n - 1n },
      { ...model.validateRevocation(0), revokeNum: 2n ** 48n },
    ])
      expect(channel.refused(request)).toMatchObject({ tag: 'policy-generic-error', code: 'malformed' });
  });

  it('refuses more HTLCs than a side can have offered before it looks for their outputs', () => {
    const channel = opened();
    const one = channel.model.signRemote(1, adding(channel.balances, htlc('holder', 20_000, 'a')));
    const many = (side: 'local' | 'remote', count: number) =>
      Array.from({ length: count }, () => ({ ...one.htlcs[0]!, side }));
    for (const side of ['local', 'remote'] as const) {
      const htlcs = many(side, 484);
      expect(channel.refused({ ...one, htlcs })).toMatchObject({
        tag: 'policy-generic-error',
        facts: { max: 483 },
      });
      expect(channel.tagOf({ ...one, htlcs: htlcs.slice(1) })).toBe(
        'policy-commitment-no-unrecognized-outputs',
      );
    }
    expect(channel.tagOf({ ...one, htlcs: [...many('local', 483), ...many('remote', 483)] })).toBe(
      'policy-commitment-no-unrecognized-outputs',
    );
  });

  it('refuses a transaction whose PSBT is of another one', () => {
    const channel = opened();
    const { model } = channel;
    const scriptSig = Uint8Array.of(0x51);
    for (const request of [model.signRemote(1), model.validate(1), model.signCommitment(0)]) {
      const { tx, psbt } = request.tx;
      const signed = { ...tx, inputs: tx.inputs.map((one) => ({ ...one, scriptSig })) };
      for (const other of [signed, { ...tx, locktime: tx.locktime ^ 1 }])
        expect(channel.refused({ ...request, tx: { tx: other, psbt } })).toMatchObject({
          tag: 'policy-generic-error',
          code: 'malformed',
        });
    }
  });

  it("refuses our own point as the peer's, which would make the commitment one of ours", () => {
    const channel = opened();
    const { model } = channel;
    const point = model.point('holder', 1);
    expect(channel.tagOf(model.signRemote(1, model.initial, model.funding, { point }))).toBe(
      'policy-key-use',
    );
  });

  it('refuses an HTLC whose expiry is no height', () => {
    const channel = opened();
    const one = channel.model.signRemote(1, adding(channel.balances, htlc('holder', 20_000, 'a')));
    const htlcs = one.htlcs.map((h) => ({ ...h, cltvExpiry: 500_000_000 }));
    expect(channel.tagOf({ ...one, htlcs })).toBe('policy-generic-error');
  });

  it('refuses everything about a channel that was never set up', () => {
    const channel = new OpenChannel({ dbid: 9n });
    const { model } = channel;
    for (const request of [
      model.signRemote(0),
      model.validate(0),
      model.revoke(0),
      model.validateRevocation(0),
      model.signCommitment(0),
      model.mutualClose(model.closeTx(model.initial)),
      model.signSplice(model.spliceOf('s')),
      model.lock(model.funding),
    ])
      expect(channel.refused(request)).toMatchObject({ tag: 'policy-generic-error', code: 'malformed' });
    expect(channel.signer.state.keys).toEqual([]);
  });
});
