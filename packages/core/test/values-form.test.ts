/**
 * Commitments and closes named by their values (1005, 1019, 1021, 1035): the same judgement, the same records and the same
 * signatures as where CLN sends the transaction, HTLC signatures in the order of the outputs, and nothing signed of what is
 * refused in part.
 */
import { compareOutputs, p2wpkhOfKey, type Sat, sat } from '@countersign/bitcoin';
import { releasePerCommitmentSecret } from '@countersign/core';
import type { HsmHtlc, MessageOf, Reply, Request } from '@countersign/wire';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Balances, htlc, type ModelOptions } from './channel-model.ts';
import { adding, KINDS, OpenChannel, removing } from './open-channel.ts';
import { bytesOf, MASTER, secp, TestSigner } from './test-signer.ts';
import { closeByValues, signRemoteByValues, validateByValues } from './values-model.ts';

/** Two signers of the same node: one is asked as CLN asks, the other by values. */
function pair(options: ModelOptions = {}) {
  const byTx = new OpenChannel(options, new TestSigner());
  const byValues = new OpenChannel(options, new TestSigner());
  for (const { signer } of [byTx, byValues]) signer.preset = 'permissive';
  byTx.ask(byTx.model.setup());
  byValues.ask(byValues.model.setup());
  return { byTx, byValues, model: byTx.model };
}

const permitted = (channel: OpenChannel) => ({
  channel: channel.model.ref,
  permissions: MASTER.permissions | 0xffn,
});

/** 1005 needs the master's permission and a channel: the one client an LDK channel has. */
const askAsAll = (channel: OpenChannel, request: Request): Reply =>
  channel.signer.ask(request, channel.model.ref, permitted(channel));
const tagAsAll = (channel: OpenChannel, request: Request): string =>
  channel.signer.refused(request, channel.model.ref, permitted(channel)).tag;

const local = (number: number): MessageOf<'vls_sign_local_commitment_tx2'> => ({
  name: 'vls_sign_local_commitment_tx2',
  commitNum: BigInt(number),
});

const expectSameState = (a: OpenChannel, b: OpenChannel) =>
  expect(b.signer.state.snapshot()).toBe(a.signer.state.snapshot());

/** The peer's commitment in both forms: one reply against one for the commitment and one for each HTLC. */
function signRemoteBoth({ byTx, byValues, model }: ReturnType<typeof pair>, number: number, b: Balances) {
  const single = byTx.ask(model.signRemote(number, b));
  const htlcs = model.signRemoteHtlcs(number, b).map((request) => byTx.ask(request));
  const reply = byValues.ask(signRemoteByValues(model, number, b));
  if (reply.name !== 'vls_sign_commitment_tx_with_htlcs_reply') throw new Error(reply.name);
  expect(reply.sig).toEqual('sig' in single && single.sig);
  expect(reply.htlcSigs).toEqual(htlcs.map((one) => 'sig' in one && one.sig));
  return reply;
}

function validateBoth({ byTx, byValues, model }: ReturnType<typeof pair>, number: number, b: Balances) {
  const reply = byTx.ask(model.validate(number, b));
  expect(byValues.ask(validateByValues(model, number, b))).toEqual(reply);
}

const HTLCS = [
  htlc('holder', 50_000, 'first', 700_100),
  htlc('counterparty', 20_000, 'second', 700_050),
  htlc('counterparty', 60_000, 'third', 700_060),
  // Equal in amount and hash: their outputs differ by nothing, their HTLC transactions by the expiry.
  htlc('holder', 30_000, 'twins', 700_090),
  htlc('holder', 30_000, 'twins', 700_080),
  // Without an output.
  htlc('counterparty', 300, 'dust', 700_070),
];

describe.each(KINDS)('a channel asked for by values, %s', (_, options) => {
  it('gives the signatures, the replies and the records that CLN’s form gives, all its life', () => {
    const both = pair(options);
    const { byTx, byValues, model } = both;
    validateBoth(both, 0, model.initial);
    signRemoteBoth(both, 0, model.initial);
    let balances = model.initial;
    const lives = [
      adding(balances, HTLCS[1]!),
      adding(balances, ...HTLCS),
      removing(adding(balances, ...HTLCS), HTLCS[0]!, 'failed'),
      balances,
    ];
    for (const [i, next] of lives.entries()) {
      const number = i + 1;
      const reply = signRemoteBoth(both, number, next);
      const isVisible = ({ amountMsat }: { amountMsat: bigint }) => amountMsat > 1_000_000n;
      expect(reply.htlcSigs).toHaveLength(next.htlcs.filter(isVisible).length);
      // Whoever lost the reply gets the same again.
      expect(byValues.ask(signRemoteByValues(model, number, next))).toEqual(reply);
      for (const one of [byTx, byValues]) one.ask(model.validateRevocation(i));
      validateBoth(both, number, next);
      const secrets = [byTx, byValues].map((one) => one.ask(model.revoke(i)));
      expect(secrets[0]).toEqual(secrets[1]);
      expectSameState(byTx, byValues);
      balances = next;
    }
    const published = byTx.ask(model.signCommitment(lives.length, balances));
    expect(askAsAll(byValues, local(lives.length))).toEqual(published);
    expect(askAsAll(byValues, local(lives.length))).toEqual(published);
    expectSameState(byTx, byValues);
  });

  it('gives HTLC signatures in the order of the outputs, however the list is ordered', () => {
    const { byValues, model } = pair(options);
    byValues.ask(validateByValues(model, 0));
    byValues.ask(signRemoteByValues(model, 0));
    const next = adding(model.initial, ...HTLCS.slice(0, 3));
    const request = signRemoteByValues(model, 1, next);
    const reply = byValues.ask(request);
    for (const htlcs of [request.htlcs.toReversed(), [1, 2, 0].map((at) => request.htlcs[at]!)])
      expect(byValues.ask({ ...request, htlcs })).toEqual(reply);
    const { outputs } = model.build('counterparty', 1, next).tx;
    expect([...outputs].sort(compareOutputs)).toEqual(outputs);
  });

  it('has no output for a side with 0', () => {
    const side = options.isOutbound === true ? 'holder' : 'counterparty';
    // All the opener has left stays below the dust limit after the fee; all is the other's.
    const both = pair({ ...options, pushMsat: 999_000_000n });
    const request = signRemoteByValues(both.model, 0);
    const left = side === 'holder' ? request.toLocalValue : request.toRemoteValue;
    expect(left).toBe(0n);
    both.byTx.signer.preset = 'permissive';
    validateBoth(both, 0, both.model.initial);
    signRemoteBoth(both, 0, both.model.initial);
    expectSameState(both.byTx, both.byValues);
  });

  it('closes as CLN’s form does', () => {
    const { byTx, byValues, model } = pair(options);
    for (const one of [byTx, byValues]) {
      one.ask(model.validate(0));
      one.ask(model.signRemote(0));
    }
    const tx = model.closeTx(model.initial);
    const sorted = { ...tx, outputs: [...tx.outputs].sort(compareOutputs) };
    const reply = byTx.ask(model.mutualClose(sorted));
    expect(byValues.ask(closeByValues(model, model.initial))).toEqual(reply);
    expectSameState(byTx, byValues);
    expect(byValues.tagOf(signRemoteByValues(model, 1))).toBe('policy-revoke-not-closed');
    // Fee negotiation goes on.
    byValues.ask(closeByValues(model, model.initial, 900n));
  });
});

/** As open as a channel is that CLN opened. */
function opened(options: ModelOptions = {}): OpenChannel {
  const channel = new OpenChannel(options);
  channel.ask(channel.model.setup());
  channel.ask(validateByValues(channel.model, 0));
  channel.ask(signRemoteByValues(channel.model, 0));
  return channel;
}

const more = (value: Sat, by: bigint): Sat => sat(value + by);

describe('values that are refused', () => {
  it('are refused by the rule that refuses the transaction they give, and change nothing', () => {
    const channel = opened();
    const { model, signer } = channel;
    signer.preset = 'hub';
    const next = adding(model.initial, HTLCS[1]!, HTLCS[2]!);
    const sign = signRemoteByValues(model, 1, next);
    const check = validateByValues(model, 1, next);
    const [first, ...others] = sign.htlcs as readonly [HsmHtlc, ...HsmHtlc[]];
    const before = signer.state.snapshot();
    const cases: readonly (readonly [string, Request, string])[] = [
      [
        'more for the peer',
        { ...sign, toRemoteValue: more(sign.toRemoteValue, 1n) },
        'policy-commitment-balance-conserved',
      ],
      [
        'less for us',
        { ...sign, toLocalValue: more(sign.toLocalValue, -200_000n) },
        'policy-commitment-dust-exposure',
      ],
      [
        'less for us in ours',
        { ...check, toLocalValue: more(check.toLocalValue, -1n) },
        'policy-revoke-new-commitment-signed',
      ],
      [
        'an HTLC turned',
        { ...sign, htlcs: [{ ...first, side: 'local' as const }, ...others] },
        'policy-commitment-htlc-offered-hash-matches',
      ],
      ['a number ahead', { ...sign, commitNum: 2n }, 'policy-commitment-previous-revoked'],
      ['a number ahead in ours', { ...check, commitNum: 2n }, 'policy-revoke-new-commitment-valid'],
      ['a number beyond 48 bits', { ...sign, commitNum: 1n << 48n }, 'policy-generic-error'],
      ['a number beyond 48 bits in ours', { ...check, commitNum: 1n << 48n }, 'policy-generic-error'],
      ['our own point', { ...sign, remotePerCommit: model.point('holder', 1) }, 'policy-key-use'],
      [
        'no point',
        { ...sign, remotePerCommit: new Uint8Array(33).fill(0xff).fill(2, 0, 1) },
        'policy-generic-error',
      ],
      ['another signature', { ...check, sig: check.htlcSigs[0]! }, 'policy-revoke-new-commitment-signed'],
      [
        'signatures swapped',
        { ...check, htlcSigs: check.htlcSigs.toReversed() },
        'policy-revoke-new-commitment-signed',
      ],
      [
        'a signature missing',
        { ...check, htlcSigs: check.htlcSigs.slice(1) },
        'policy-revoke-new-commitment-signed',
      ],
      ['967 HTLCs', { ...sign, htlcs: Array.from({ length: 967 }, () => first) }, 'policy-generic-error'],
      [
        'an expiry no script holds',
        { ...sign, htlcs: [{ ...first, cltvExpiry: 0xffff_ffff }] },
        'policy-generic-error',
      ],
    ];
    const told = (request: Request) => {
      const decision = signer.decide(request, signer.clientFor(request, model.ref));
      return decision.kind === 'refused' ? decision.refusal.tag : 'approved';
    };
    expect(cases.map(([what, request]) => [what, told(request)])).toEqual(
      cases.map(([what, , tag]) => [what, tag]),
    );
    expect(signer.state.snapshot()).toBe(before);
    channel.ask(sign);
    channel.ask(check);
  });

  it('are those of a channel that is not set up, or frozen; and of a client without a channel', () => {
    const fresh = new OpenChannel();
    const { model } = fresh;
    const requests: readonly Request[] = [
      signRemoteByValues(model, 0),
      validateByValues(model, 0),
      closeByValues(model, model.initial),
      local(0),
    ];
    for (const request of requests) {
      expect(tagAsAll(fresh, request)).toBe('policy-generic-error');
      expect(fresh.signer.refused(request, null, { channel: null, permissions: 2047n }).code).toBe(
        'malformed',
      );
    }
    const frozen = opened();
    frozen.ask({
      name: 'hsmd_check_future_secret',
      n: 7n,
      commitmentSecret: releasePerCommitmentSecret(frozen.signer.ring, frozen.model.ref, 7),
    });
    for (const request of requests) expect(tagAsAll(frozen, request)).toBe('policy-channel-frozen');
  });

  it('policy-htlc-fee-range: trips on one HTLC of the peer’s above the rate: nothing at all is signed', () => {
    const channel = opened({ format: 'static_remotekey', isOutbound: false });
    const { model, signer } = channel;
    const atRate = (feeratePerKw: number) => ({ ...adding(model.initial, HTLCS[2]!), feeratePerKw });
    signer.preset = 'hub';
    // That of the commitment itself would come first.
    const severities = new Map([['policy-commitment-fee-range', 'warn' as const]]);
    signer.set = { limits: { feerateMaxPerKw: 20_000 }, severities };
    const before = signer.state.snapshot();
    expect(channel.tagOf(signRemoteByValues(model, 1, atRate(20_001)))).toBe('policy-htlc-fee-range');
    expect(signer.state.snapshot()).toBe(before);
    // Without HTLCs it is the peer's own money.
    channel.ask(signRemoteByValues(model, 1, { ...model.initial, feeratePerKw: 20_001 }));
    channel.ask(signRemoteByValues(model, 1, atRate(20_000)));
  });

  it('names a rate that is not the recorded one in vain: a repetition signs what it signed', () => {
    const channel = opened({ format: 'static_remotekey' });
    const { model } = channel;
    const request = signRemoteByValues(model, 1, adding(model.initial, HTLCS[0]!));
    const reply = channel.ask(request);
    expect(channel.ask({ ...request, feerate: request.feerate + 300 })).toEqual(reply);
  });

  it('reads nothing in the sighash bytes of HTLC signatures: VLS’s client writes ALL beside each', () => {
    const channel = opened();
    const { model } = channel;
    const check = validateByValues(model, 1, adding(model.initial, HTLCS[0]!));
    expect(check.htlcSigs[0]!.sighash).toBe(0x83);
    channel.ask({ ...check, htlcSigs: check.htlcSigs.map((one) => ({ ...one, sighash: 1 })) });
    expect(channel.tagOf({ ...check, sig: { ...check.sig, sighash: 0x83 } })).toBe(
      'policy-revoke-new-commitment-signed',
    );
  });
});

describe('the funding that values mean', () => {
  it('is the one set up last while the channel opens, and the locked one from then on', () => {
    const channel = opened();
    const { model } = channel;
    const round = model.newFunding('another round', 1_000_000n);
    channel.ask(model.setup(round));
    channel.ask(validateByValues(model, 0, model.initial, round));
    channel.ask(signRemoteByValues(model, 0, model.initial, round));
    expect(channel.tagOf(validateByValues(model, 0))).toBe('policy-revoke-new-commitment-signed');
    channel.ask(model.lock(model.funding));
    const next = adding(model.initial, HTLCS[1]!);
    channel.ask(validateByValues(model, 1, next));
    expect(channel.tagOf(validateByValues(model, 1, next, round))).toBe(
      'policy-revoke-new-commitment-signed',
    );
    channel.ask(model.revoke(0));
    const commitment = askAsAll(channel, local(1));
    expect(commitment).toEqual(channel.signer.ask(model.signCommitment(1, next)));
  });
});

describe('vls_sign_local_commitment_tx2', () => {
  it('policy-commitment-holder-not-revoked: trips on a number that is revoked, or never validated', () => {
    const channel = opened();
    const next = adding(channel.model.initial, HTLCS[1]!);
    channel.update(next);
    for (const number of [0, 2, 3, 2 ** 48 - 1])
      expect(tagAsAll(channel, local(number)), `${number}`).toBe('policy-commitment-holder-not-revoked');
    expect(tagAsAll(channel, { ...local(0), commitNum: 1n << 48n })).toBe('policy-generic-error');
    askAsAll(channel, local(1));
    expect(channel.tagOf(channel.model.revoke(1))).toBe('policy-revoke-not-closed');
  });
  it('needs the master’s permission, as CLN’s form does', () => {
    expect(opened().tagOf(local(0))).toBe('policy-generic-error');
    const channel = opened();
    const client = { channel: channel.model.ref, permissions: 1023n };
    expect(channel.signer.refused(local(0), null, client).tag).toBe('policy-client-permission');
  });
});

describe('vls_sign_mutual_close_tx2', () => {
  const closed = () => {
    const channel = opened();
    return { channel, request: closeByValues(channel.model, channel.model.initial) };
  };
  it('is refused where it pays another, less, or nobody', () => {
    const { channel, request } = closed();
    const stranger = p2wpkhOfKey(secp.publicKey(bytesOf('a stranger')));
    channel.signer.preset = 'hub';
    expect(channel.tagOf({ ...request, localScript: stranger })).toBe(
      'policy-mutual-destination-allowlisted',
    );
    expect(channel.tagOf({ ...request, toLocalValue: sat(0) })).toBe('policy-mutual-destination-allowlisted');
    expect(channel.tagOf({ ...request, toLocalValue: sat(0), toRemoteValue: sat(0) })).toBe(
      'policy-generic-error',
    );
    channel.ask({ ...request, localWalletPathHint: [] });
  });
  it('policy-onchain-wallet-path-predictable: trips on a hint far above all in use, passes one that finds ours', () => {
    const { channel, request } = closed();
    channel.signer.preset = 'hub';
    const far = 900_000;
    const localScript = p2wpkhOfKey(channel.signer.keys.walletPublicKey(far)!);
    const at = (localWalletPathHint: number[]) => ({ ...request, localScript, localWalletPathHint });
    expect(channel.tagOf(at([far]))).toBe('policy-onchain-wallet-path-predictable');
    expect(channel.tagOf(at([]))).toBe('policy-mutual-destination-allowlisted');
    expect(channel.tagOf(at([0, far]))).toBe('policy-mutual-destination-allowlisted');
    channel.signer.set = { severities: new Map([['policy-onchain-wallet-path-predictable', 'warn']]) };
    channel.ask(at([far]));
  });
});

describe('vls_get_per_commitment_point2', () => {
  it('is the point and never a secret, in every version', () => {
    const channel = opened();
    for (const version of [4, 5, 6]) {
      channel.signer.protocolVersion = version;
      const reply = channel.ask({ name: 'vls_get_per_commitment_point2', n: 5n });
      expect(reply).toEqual({
        name: 'vls_get_per_commitment_point2_reply',
        perCommitmentPoint: channel.model.point('holder', 5),
      });
    }
    expect(channel.tagOf({ name: 'vls_get_per_commitment_point2', n: 1n << 48n })).toBe(
      'policy-generic-error',
    );
  });
});

describe('any values', () => {
  const u64 = fc.bigInt(0n, 21_000_000n * 100_000_000n);
  const hsmHtlc = fc.record({
    side: fc.constantFrom('local' as const, 'remote' as const),
    amount: fc.bigInt(0n, 2_000_000_000n),
    paymentHash: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    cltvExpiry: fc.nat(0xffff_ffff),
  });
  const signature = fc.record({
    signature: fc.uint8Array({ minLength: 64, maxLength: 64 }),
    sighash: fc.constantFrom(1, 0x83),
  });
  const values = fc.record({
    commitNum: fc.oneof(fc.constantFrom(0n, 1n, 2n), fc.bigInt(0n, 2n ** 64n - 1n)),
    feerate: fc.nat(0xffff_ffff),
    toLocalValue: u64,
    toRemoteValue: u64,
    htlcs: fc.array(hsmHtlc, { maxLength: 5 }),
  });
  const script = fc.uint8Array({ maxLength: 80 });

  it('are answered or refused, and change nothing where they are refused', () => {
    const channel = opened();
    const { signer, model } = channel;
    const requests = fc.oneof(
      values.map((one) => ({
        ...one,
        name: 'vls_sign_remote_commitment_tx2',
        remotePerCommit: model.point('counterparty', 1),
      })),
      fc
        .tuple(values, signature, fc.array(signature, { maxLength: 5 }))
        .map(([one, sig, htlcSigs]) => ({ ...one, name: 'vls_validate_commitment_tx2', sig, htlcSigs })),
      values.map(({ commitNum }) => ({ name: 'vls_sign_local_commitment_tx2', commitNum })),
      fc
        .tuple(values, script, script, fc.array(fc.nat(0xffff_ffff), { maxLength: 2 }))
        .map(([{ toLocalValue, toRemoteValue }, localScript, remoteScript, localWalletPathHint]) => ({
          name: 'vls_sign_mutual_close_tx2',
          toLocalValue,
          toRemoteValue,
          localScript,
          remoteScript,
          localWalletPathHint,
        })),
      fc.uint8Array({ maxLength: 500 }).map((message) => ({ name: 'vls_sign_gossip_message', message })),
    ) as unknown as fc.Arbitrary<Request>;
    fc.assert(
      fc.property(requests, (request) => {
        const decision = signer.decide(request, permitted(channel));
        if (decision.kind === 'refused') expect(decision.refusal.code).not.toBe('store-failed');
      }),
      { numRuns: 300 },
    );
  });
});
