/** Two builders of BOLT 3, written apart: the adversary's and the signer's must agree on every transaction. */
import * as signer from '@countersign/bitcoin';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  buildCommitment,
  buildHtlcTransactions,
  buildLegacyClose,
  buildSimpleClose,
  type CommitmentTerms,
  channelPoints,
  commitmentKeys,
  commitmentNumberOf,
  deriveRevocationPrivateKey,
  dustThresholdSat,
  htlcDigestOfBroadcaster,
  htlcDigestOfOther,
  makeChannelSecrets,
  makeObscurer,
  p2sh,
  p2trOfKey,
  p2wpkh,
  p2wsh,
  perCommitmentPoint,
  perCommitmentSecret,
  publicKeyOf,
  SecretStore,
  serializeTx,
  sha256,
  toHex,
  txidOf,
} from '../src/index.ts';

const secp = signer.loadSecp256k1();
const filled = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);
const [ours, theirs] = [makeChannelSecrets(filled(1)), makeChannelSecrets(filled(2))];
const [us, them] = [channelPoints(ours), channelPoints(theirs)];
const CAPACITY_MSAT = 10_000_000_000n;

const htlc = fc.record({
  isOffered: fc.boolean(),
  amountMsat: fc.oneof(fc.bigInt(1n, 5_000_000n), fc.constantFrom(1_000_000n, 1_000_999n, 2_500_000n)),
  paymentHash: fc.nat(3).map((byte) => sha256(filled(byte))),
  cltvExpiry: fc.oneof(fc.integer({ min: 500, max: 503 }), fc.integer({ min: 1, max: 499_999_999 })),
});

const commitment: fc.Arbitrary<CommitmentTerms> = fc
  .record({
    kind: fc.constantFrom('static_remotekey' as const, 'anchors_zero_fee_htlc' as const),
    commitmentNumber: fc.oneof(fc.nat(1000), fc.integer({ min: 0, max: 2 ** 48 - 1 })),
    funder: fc.constantFrom('broadcaster' as const, 'other' as const),
    toSelfDelayBlocks: fc.integer({ min: 1, max: 0xffff }),
    dustLimitSat: fc.bigInt(0n, 3000n),
    feeratePerKw: fc.oneof(fc.nat(5000), fc.nat(500_000)),
    htlcs: fc.array(htlc, { maxLength: 20 }),
    share: fc.oneof(fc.nat(1000), fc.constantFrom(0, 1000)),
    vout: fc.nat(3),
  })
  .map(({ share, vout, ...terms }) => {
    const free = CAPACITY_MSAT - terms.htlcs.reduce((sum, { amountMsat }) => sum + amountMsat, 0n);
    const toBroadcasterMsat = (free * BigInt(share)) / 1000n;
    return {
      ...terms,
      funding: { txid: filled(7), vout },
      obscurer: makeObscurer(us.payment, them.payment),
      keys: commitmentKeys(us, them, perCommitmentPoint(ours.seed, terms.commitmentNumber)),
      toBroadcasterMsat,
      toOtherMsat: free - toBroadcasterMsat,
    };
  });

/** The same terms in the words of the signer's builder. */
function signersParams(terms: CommitmentTerms): signer.CommitmentParams {
  return {
    format: terms.kind,
    funding: terms.funding,
    commitmentNumber: terms.commitmentNumber,
    obscureFactor: signer.commitmentObscureFactor(us.payment, them.payment),
    keys: signer.deriveCommitmentKeys(secp, {
      perCommitmentPoint: terms.keys.perCommitmentPoint,
      broadcaster: us,
      countersignatory: them,
    }),
    broadcasterFundingKey: us.funding,
    countersignatoryFundingKey: them.funding,
    toSelfDelayBlocks: terms.toSelfDelayBlocks,
    dustLimitSat: signer.sat(terms.dustLimitSat),
    feeratePerKw: terms.feeratePerKw,
    funder: terms.funder === 'broadcaster' ? 'broadcaster' : 'countersignatory',
    toBroadcasterMsat: signer.msat(terms.toBroadcasterMsat),
    toCountersignatoryMsat: signer.msat(terms.toOtherMsat),
    htlcs: terms.htlcs.map(({ isOffered, amountMsat, paymentHash, cltvExpiry }) => ({
      direction: isOffered ? 'offered' : 'received',
      amountMsat: signer.msat(amountMsat),
      paymentHash,
      cltvExpiry,
    })),
  };
}

describe('commitments', () => {
  test('every byte of commitment and HTLC transactions, and every digest', () => {
    fc.assert(
      fc.property(commitment, (terms) => {
        const mine = buildCommitment(terms);
        const params = signersParams(terms);
        const built = signer.buildCommitment(params);
        expect(toHex(serializeTx(mine.tx))).toBe(toHex(signer.serializeTransaction(built.transaction)));
        expect(mine.outputs.map(({ witnessScript, htlc }) => [witnessScript ?? null, htlc ?? -1])).toEqual(
          built.outputs.map(({ witnessScript, htlcIndex }) => [witnessScript, htlcIndex]),
        );
        const mineHtlcs = buildHtlcTransactions(mine);
        const theirHtlcs = signer.buildHtlcTransactions(
          { ...params, commitmentTxid: txidOf(mine.tx) },
          built.htlcs,
        );
        expect(mineHtlcs.map(({ tx }) => toHex(serializeTx(tx)))).toEqual(
          theirHtlcs.map(({ transaction }) => toHex(signer.serializeTransaction(transaction))),
        );
        expect(mineHtlcs.map(htlcDigestOfOther)).toEqual(
          theirHtlcs.map((one) => signer.countersignatoryHtlcHash(one, params.format)),
        );
        expect(mineHtlcs.map((one) => htlcDigestOfBroadcaster(one))).toEqual(
          theirHtlcs.map(signer.broadcasterHtlcHash),
        );
        expect(commitmentNumberOf(mine.tx, terms.obscurer)).toBe(terms.commitmentNumber);
      }),
      { numRuns: 300 },
    );
  });

  test('a funder who cannot pay gets nothing, and it is said', () => {
    const [terms] = fc.sample(commitment, { seed: 3, numRuns: 1 }) as [CommitmentTerms];
    const short = { ...terms, toBroadcasterMsat: 1000n, funder: 'broadcaster', feeratePerKw: 5000 } as const;
    expect(buildCommitment(short).isFunderShort).toBe(true);
    expect(buildCommitment({ ...short, toBroadcasterMsat: CAPACITY_MSAT }).isFunderShort).toBe(false);
  });
});

describe('keys and secrets', () => {
  test('revocation keys fit their points, as the signer derives them', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 48 - 1 }), (number) => {
        const secret = perCommitmentSecret(ours.seed, number);
        expect(secret).toEqual(signer.perCommitmentSecret(ours.seed, number));
        const key = deriveRevocationPrivateKey(theirs.revocation, secret);
        expect(key).toEqual(signer.deriveRevocationPrivateKey(secp, theirs.revocation, secret));
        expect(publicKeyOf(key)).toEqual(
          commitmentKeys(us, them, perCommitmentPoint(ours.seed, number)).revocation,
        );
      }),
      { numRuns: 50 },
    );
  });

  test('stores accept and refuse the same', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 40 }), (isRight) => {
        const store = new SecretStore();
        let other = signer.EMPTY_SECRET_STORE;
        for (const [number, right] of isRight.entries()) {
          const secret = perCommitmentSecret(right ? ours.seed : theirs.seed, number);
          const inserted = signer.insertSecret(other, signer.secretIndex(number), secret);
          expect(store.insert(number, secret)).toBe(inserted.ok);
          if (!inserted.ok) return;
          other = inserted.store;
        }
        for (let number = 0; number <= isRight.length; number++)
          expect(store.get(number) ?? null).toEqual(signer.lookupSecret(other, signer.secretIndex(number)));
      }),
      { numRuns: 100 },
    );
  });
});

describe('closes', () => {
  const key = publicKeyOf(filled(9));
  const scripts = [p2wpkh(key), p2sh(p2wpkh(key)), p2trOfKey(key), p2wsh(key), Uint8Array.of(0x6a, 1, 7)];
  const side = fc.record({
    amountMsat: fc.bigInt(10_000_000n, 5_000_000_000n),
    script: fc.constantFrom(...scripts),
  });
  const funding = { txid: filled(4), vout: 1 };
  const share = ({ amountMsat, script }: { amountMsat: bigint; script: Uint8Array }) => ({
    balanceMsat: signer.msat(amountMsat),
    script,
  });

  test('are the signer’s, in both forms', () => {
    fc.assert(
      fc.property(side, side, fc.bigInt(0n, 9000n), fc.nat(800_000), (one, two, feeSat, locktime) => {
        const legacy = signer.buildLegacyClosing({
          funding,
          funder: share(one),
          fundee: share(two),
          feeSat: signer.sat(feeSat),
          dustLimitSat: signer.sat(546n),
        });
        const simple = signer.buildSimpleClosing({
          funding,
          closer: share(one),
          closee: share(two),
          feeSat: signer.sat(feeSat),
          locktime,
          outputs: 'both',
        });
        if (!legacy.ok || !simple.ok) throw new Error('not built');
        expect(
          serializeTx(buildLegacyClose({ funding, funder: one, other: two, feeSat, dustLimitSat: 546n })),
        ).toEqual(signer.serializeTransaction(legacy.transaction));
        expect(
          serializeTx(buildSimpleClose({ funding, closer: one, closee: two, feeSat, locktime })),
        ).toEqual(signer.serializeTransaction(simple.transaction));
      }),
      { numRuns: 100 },
    );
  });

  test('one side only', () => {
    const closee = { amountMsat: 9_999_999n, script: p2wpkh(key) };
    const tx = buildSimpleClose({ funding, closer: null, closee, feeSat: 5n, locktime: 0 });
    expect(tx.outputs).toEqual([{ value: 9999n, script: closee.script }]);
  });

  test('dust thresholds of scripts', () => {
    const others = [
      new Uint8Array(25).fill(0x76),
      Uint8Array.of(0x51, 2, 0x4e, 0x73),
      Uint8Array.of(0x52, 2, 1, 1),
    ];
    expect([...scripts, ...others].map(dustThresholdSat)).toEqual([
      294n,
      540n,
      330n,
      330n,
      0n,
      546n,
      240n,
      354n,
    ]);
  });
});
