/**
 * Law 1 for our own commitments: all of the peer's signatures first, on every live funding, then the secret of the
 * one before; by each of the messages that can carry a secret (attacks A04 to A06).
 */
import {
  buildHtlcTransactions,
  countersignatoryHtlcHash,
  derivePrivateKey,
  toHex,
  txid,
} from '@countersign/bitcoin';
import { releasePerCommitmentSecret } from '@countersign/core';
import type { MessageOf, Reply } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { type Balances, htlc, wireTx } from './channel-model.ts';
import { adding, KINDS, OpenChannel } from './open-channel.ts';
import { secp } from './test-signer.ts';

const opened = (options = {}) => new OpenChannel(options).open();
const atFeerate = (balances: Balances, feeratePerKw: number): Balances => ({ ...balances, feeratePerKw });

function secretIn(reply: Reply): string | undefined {
  const secret = 'oldCommitmentSecret' in reply ? reply.oldCommitmentSecret : undefined;
  return secret && toHex(secret);
}

const ours = ({ signer, model }: OpenChannel, number: number) =>
  toHex(releasePerCommitmentSecret(signer.ring, model.ref, number));

type Validate = MessageOf<'hsmd_validate_commitment_tx'>;

const three = (balances: Balances): Balances =>
  adding(
    balances,
    htlc('holder', 20_000, 'a'),
    htlc('counterparty', 30_000, 'b'),
    htlc('counterparty', 40_000, 'c'),
  );

const flip = (signature: Uint8Array, at: number): Uint8Array => signature.with(at, signature[at]! ^ 1);
const withHtlcSig = (request: Validate, i: number, sig: Partial<Validate['sig']>): Validate => ({
  ...request,
  htlcSigs: request.htlcSigs.map((one, at) => (at === i ? { ...one, ...sig } : one)),
});

describe.each(KINDS)('policy-revoke-new-commitment-signed, %s', (_, options) => {
  const channel = opened(options);
  const request = channel.model.validate(1, three(channel.balances));
  const tag = 'policy-revoke-new-commitment-signed';
  const otherSighash = options.format === 'static_remotekey' ? 0x83 : 0x01;

  it("policy-revoke-new-commitment-signed: trips on any other signature of the peer's funding key", () => {
    const { signature } = request.sig;
    const build = channel.model.build('holder', 1, channel.balances);
    const sigs = [
      { ...request.sig, signature: flip(signature, 0) },
      { ...request.sig, signature: flip(signature, 63) },
      { ...request.sig, signature: new Uint8Array(64) },
      { ...request.sig, signature: new Uint8Array(64).fill(0xff) },
      { ...request.sig, signature: request.htlcSigs[0]!.signature },
      // A commitment without the HTLCs.
      { ...request.sig, signature: channel.model.peerFundingSignature(build.tx) },
      { ...request.sig, sighash: 0x83 },
    ];
    for (const sig of sigs) expect(channel.tagOf({ ...request, sig })).toBe(tag);
  });

  it.each([0, 1, 2])(
    'policy-revoke-new-commitment-signed: trips when HTLC signature %i is not valid (A05)',
    (i) => {
      const { signature } = request.htlcSigs[i]!;
      const other = request.htlcSigs[(i + 1) % 3]!.signature;
      const bad = [
        { signature: flip(signature, 10) },
        { signature: other },
        { signature: request.sig.signature },
        { sighash: otherSighash },
      ];
      for (const sig of bad)
        expect(channel.refused(withHtlcSig(request, i, sig))).toMatchObject({
          tag,
          facts: { number: 1, htlc: i },
        });
    },
  );

  it('policy-revoke-new-commitment-signed: trips on HTLC signatures swapped, missing, or too many', () => {
    const { htlcSigs } = request;
    for (const sigs of [
      htlcSigs.toReversed(),
      htlcSigs.slice(1),
      htlcSigs.slice(0, -1),
      [],
      [...htlcSigs, htlcSigs[0]!],
    ])
      expect(channel.tagOf({ ...request, htlcSigs: sigs })).toBe(tag);
  });

  it('policy-revoke-new-commitment-signed: trips on a signature on an HTLC transaction with another delay', () => {
    const built = channel.model.build('holder', 1, three(channel.balances));
    const transactions = buildHtlcTransactions(
      {
        format: channel.model.format,
        keys: built.keys,
        toSelfDelayBlocks: channel.model.delayBlocks.counterparty,
        feeratePerKw: 1000,
        commitmentTxid: txid(built.tx),
      },
      built.commitment.htlcs,
    );
    const key = derivePrivateKey(secp, channel.model.secrets.htlc, channel.model.point('holder', 1));
    const hash = countersignatoryHtlcHash(transactions[2]!, channel.model.format);
    const signature = secp.signEcdsa(hash, key);
    expect(channel.tagOf(withHtlcSig(request, 2, { signature }))).toBe(tag);
  });

  it('policy-revoke-new-commitment-signed: passes when all are valid, and only then the revocation does', () => {
    const one = opened(options);
    const validate = one.model.validate(1, three(one.balances));
    one.refused(withHtlcSig(validate, 2, { signature: flip(validate.htlcSigs[2]!.signature, 5) }));
    expect(one.tagOf(one.model.revoke(0))).toBe('policy-revoke-new-commitment-valid');
    one.ask(validate);
    one.ask(one.model.revoke(0));
  });
});

describe('the feerate of HTLC signatures', () => {
  it('counts where HTLC transactions pay fees, and not with zero-fee anchors', () => {
    for (const format of ['static_remotekey', 'anchors_zero_fee_htlc'] as const) {
      const channel = opened({ format });
      const request = { ...channel.model.validate(1, three(channel.balances)), feerate: 990 };
      if (format === 'static_remotekey')
        expect(channel.tagOf(request)).toBe('policy-revoke-new-commitment-signed');
      else channel.ask(request);
    }
  });

  it('is malformed where it exceeds what the HTLC holds', () => {
    const channel = opened({ format: 'static_remotekey' });
    const request = { ...channel.model.validate(1, three(channel.balances)), feerate: 100_000 };
    expect(channel.tagOf(request)).toBe('policy-generic-error');
  });
});

describe('policy-revoke-new-commitment-valid', () => {
  const tag = 'policy-revoke-new-commitment-valid';

  it('policy-revoke-new-commitment-valid: trips on every secret before its successor is validated (A04)', () => {
    const channel = opened();
    for (const number of [0, 1, 2, 1000])
      expect(channel.refused(channel.model.revoke(number))).toMatchObject({ tag, law: 1, severity: 'error' });
    // Below protocol version 6 a point comes with the secret of two before.
    channel.signer.protocolVersion = 5;
    for (const number of [2, 3, 1000]) expect(channel.tagOf(channel.model.getPoint(number))).toBe(tag);
  });

  it('policy-revoke-new-commitment-valid: trips when the candidate only is behind', () => {
    const channel = opened();
    const splice = channel.candidate(channel.model.spliceOf('splice'));
    channel.ask(channel.model.validate(1, channel.balances));
    expect(channel.refused(channel.model.revoke(0))).toMatchObject({
      tag,
      facts: { fundings_live: 2, fundings_behind: 1 },
    });
    channel.ask(channel.model.validate(1, channel.balances, splice));
    channel.ask(channel.model.revoke(0));
  });

  it('policy-revoke-new-commitment-valid: trips when the old funding only is behind', () => {
    const channel = opened();
    const splice = channel.candidate(channel.model.spliceOf('splice'));
    channel.ask(channel.model.validate(1, channel.balances, splice));
    expect(channel.tagOf(channel.model.revoke(0))).toBe(tag);
    channel.ask(channel.model.validate(1, channel.balances));
    channel.ask(channel.model.revoke(0));
  });

  it('policy-revoke-new-commitment-valid: trips on a channel with no commitment at all', () => {
    const channel = new OpenChannel();
    channel.ask(channel.model.setup());
    expect(channel.tagOf(channel.model.revoke(0))).toBe(tag);
    channel.signer.protocolVersion = 4;
    expect(channel.tagOf(channel.model.getPoint(2))).toBe(tag);
    // Not even a channel that nobody set up.
    const nobody = new OpenChannel({ dbid: 3n });
    nobody.signer.protocolVersion = 4;
    expect(nobody.tagOf(nobody.model.getPoint(2))).toBe(tag);
  });

  it('policy-revoke-new-commitment-valid: trips on skipped numbers, when validated and when revoked', () => {
    const channel = opened();
    expect(channel.tagOf(channel.model.validate(2))).toBe(tag);
    channel.validate();
    expect(channel.tagOf(channel.model.validate(2))).toBe(tag);
    expect(channel.tagOf(channel.model.revoke(1))).toBe(tag);
  });

  it('policy-revoke-new-commitment-valid: trips on commitment 1 without commitment 0', () => {
    const channel = new OpenChannel();
    channel.ask(channel.model.setup());
    expect(channel.tagOf(channel.model.validate(1))).toBe(tag);
    const splice = channel.model.spliceOf('splice');
    const other = opened({ dbid: 2n });
    other.ask(other.model.setup(splice));
    expect(other.tagOf(other.model.validate(1, other.balances, splice))).toBe(tag);
  });

  it.each(KINDS)(
    'policy-revoke-new-commitment-valid: passes once the successor is validated, %s',
    (_, options) => {
      const channel = opened(options);
      for (let n = 0; n < 4; n++) {
        channel.validate();
        const reply = channel.revoke();
        expect(secretIn(reply)).toBe(ours(channel, n));
        expect(reply).toMatchObject({ nextPerCommitmentPoint: channel.model.point('holder', n + 2) });
      }
    },
  );
});

describe('messages that can carry a secret', () => {
  it.each([4, 5, 6])('35 never does, at protocol version %i', (protocolVersion) => {
    const channel = opened();
    channel.signer.protocolVersion = protocolVersion;
    for (let n = 1; n < 4; n++) {
      const reply = channel.ask(channel.model.validate(n));
      expect(secretIn(reply)).toBeUndefined();
      expect(reply).toMatchObject({ nextPerCommitmentPoint: channel.model.point('holder', n + 1) });
      channel.ask(channel.model.revoke(n - 1));
    }
  });

  it.each([4, 5])(
    '18 does below version 6 and counts as the revocation, at version %i',
    (protocolVersion) => {
      const channel = opened();
      channel.signer.protocolVersion = protocolVersion;
      expect(secretIn(channel.ask(channel.model.getPoint(0)))).toBeUndefined();
      expect(secretIn(channel.ask(channel.model.getPoint(1)))).toBeUndefined();
      channel.ask(channel.model.validate(1));
      const reply = channel.ask(channel.model.getPoint(2));
      expect(reply).toMatchObject({ perCommitmentPoint: channel.model.point('holder', 2) });
      expect(secretIn(reply)).toBe(ours(channel, 0));
      // Revoked: commitment 0 can't be published any more, nor validated again.
      expect(channel.tagOf(channel.model.signCommitment(0))).toBe('policy-commitment-holder-not-revoked');
      expect(channel.tagOf(channel.model.validate(0))).toBe('policy-commitment-holder-not-revoked');
      expect(channel.ask(channel.model.getPoint(2))).toEqual(reply);
      expect(secretIn(channel.ask(channel.model.revoke(0)))).toBe(ours(channel, 0));
    },
  );

  it('18 never does from version 6 on, whatever the number', () => {
    const channel = opened();
    channel.validate();
    for (const number of [0, 1, 2, 3, 1000, 2 ** 48 - 1]) {
      const reply = channel.ask(channel.model.getPoint(number));
      expect(secretIn(reply)).toBeUndefined();
      expect(reply).toMatchObject({ perCommitmentPoint: channel.model.point('holder', number) });
    }
    // And gave nothing away: commitment 0 is as good as before.
    channel.ask(channel.model.signCommitment(0));
  });

  it('40 gives the same secret again, and those of older numbers', () => {
    const channel = opened();
    for (let n = 0; n < 3; n++) {
      channel.validate();
      channel.revoke();
    }
    const before = channel.signer.state.snapshot();
    for (const number of [2, 0, 1, 2])
      expect(secretIn(channel.ask(channel.model.revoke(number)))).toBe(ours(channel, number));
    expect(channel.signer.state.snapshot()).toBe(before);
  });
});

describe('policy-commitment-retry-same, validate_commitment_tx', () => {
  it('policy-commitment-retry-same: passes a repeated validation with the same reply and no change', () => {
    const channel = opened();
    const request = channel.model.validate(1, three(channel.balances));
    const reply = channel.ask(request);
    const before = channel.signer.state.snapshot();
    expect(channel.ask(request)).toEqual(reply);
    expect(channel.ask({ ...request, htlcs: request.htlcs.toReversed() })).toEqual(reply);
    expect(channel.ask(channel.model.validate(0))).toBeDefined();
    expect(channel.signer.state.snapshot()).toBe(before);
    // Also after the revocation, when it is the current one.
    channel.ask(channel.model.revoke(0));
    expect(channel.ask(request)).toEqual(reply);
  });

  it('policy-commitment-retry-same: trips on other content for the current number', () => {
    const channel = opened();
    const tag = 'policy-commitment-retry-same';
    expect(channel.tagOf(channel.model.validate(0, atFeerate(channel.balances, 999)))).toBe(tag);
    channel.validate();
    channel.revoke();
    expect(channel.tagOf(channel.model.validate(1, three(channel.balances)))).toBe(tag);
  });

  it('policy-commitment-retry-same: passes other content for the next number, and only the last one counts (A06)', () => {
    const channel = opened();
    const [first, last] = [three(channel.balances), atFeerate(channel.balances, 1100)];
    channel.ask(channel.model.validate(1, first));
    channel.ask(channel.model.validate(1, last));
    expect(channel.tagOf(channel.model.signCommitment(1, first))).toBe(
      'policy-commitment-holder-not-revoked',
    );
    channel.ask(channel.model.revoke(0));
    expect(channel.tagOf(channel.model.signCommitment(1, first))).toBe(
      'policy-commitment-holder-not-revoked',
    );
    channel.ask(channel.model.signCommitment(1, last));
  });

  it('passes more than eight contents of the next number: validating gives nothing away', () => {
    const channel = opened();
    for (let i = 0; i < 10; i++)
      channel.ask(channel.model.validate(1, atFeerate(channel.balances, 1000 + i)));
    channel.ask(channel.model.revoke(0));
    channel.ask(channel.model.signCommitment(1, atFeerate(channel.balances, 1009)));
  });
});

describe('policy-commitment-holder-not-revoked', () => {
  const tag = 'policy-commitment-holder-not-revoked';
  const revoked = (options = {}) => {
    const channel = opened(options);
    channel.validate();
    channel.revoke();
    return channel;
  };

  it.each(KINDS)(
    'policy-commitment-holder-not-revoked: trips on a revoked commitment (A01), %s',
    (_, options) => {
      const channel = revoked(options);
      expect(channel.refused(channel.model.signCommitment(0))).toMatchObject({
        tag,
        facts: { number: 0n, first_unrevoked: 1 },
      });
      expect(channel.tagOf(channel.model.validate(0))).toBe(tag);
    },
  );

  it('policy-commitment-holder-not-revoked: trips on a revoked commitment under the current number', () => {
    // CLN has asked for this after a splice.
    const channel = revoked();
    const request = { ...channel.model.signCommitment(0), commitNum: 1n };
    expect(channel.refused(request)).toMatchObject({ tag, facts: { number: 0n, number_requested: 1 } });
  });

  it('policy-commitment-holder-not-revoked: trips on a revoked commitment in a close or a splice', () => {
    const channel = revoked();
    const { tx } = channel.model.build('holder', 0, channel.balances);
    expect(channel.tagOf(channel.model.mutualClose(tx))).toBe(tag);
    const splice: MessageOf<'hsmd_sign_splice_tx'> = {
      ...channel.model.mutualClose(tx),
      name: 'hsmd_sign_splice_tx',
      inputIndex: 0,
    };
    expect(channel.tagOf(splice)).toBe(tag);
  });

  it('policy-commitment-holder-not-revoked: trips on what was never validated', () => {
    const channel = opened();
    const request = channel.model.signCommitment(1, channel.balances);
    expect(channel.refused(request)).toMatchObject({ tag, facts: { validated: 'none' } });
    expect(channel.tagOf(channel.model.signCommitment(0, atFeerate(channel.balances, 999)))).toBe(tag);
    // The peer's own commitment in our place.
    const { tx } = channel.model.build('counterparty', 0, channel.balances);
    const theirs = { ...channel.model.signCommitment(0), tx: wireTx(tx, [channel.model.fundingOutput()]) };
    expect(channel.tagOf(theirs)).toBe(tag);
  });

  it('policy-commitment-holder-not-revoked: trips on second-level transactions of a revoked one (A15)', () => {
    const channel = opened();
    const balances = three(channel.balances);
    channel.update(balances).update(channel.balances);
    for (const request of channel.model.signLocalHtlcs(1, balances)) expect(channel.tagOf(request)).toBe(tag);
  });

  it.each(KINDS)(
    'policy-commitment-holder-not-revoked: passes the current and the next one, %s',
    (_, options) => {
      const channel = revoked(options);
      const next = three(channel.balances);
      channel.ask(channel.model.validate(2, next));
      const reply = channel.ask(channel.model.signCommitment(2, next));
      expect(channel.ask(channel.model.signCommitment(2, next))).toEqual(reply);
      for (const request of channel.model.signLocalHtlcs(2, next)) channel.ask(request);
      // Its unrevoked predecessor as well, on its own right.
      channel.ask(channel.model.signCommitment(1));
    },
  );
});
