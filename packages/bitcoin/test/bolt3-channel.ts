/**
 * The channel of BOLT 3 Appendix C as parameters for builders, and random commitments on its keys. Secrets here are
 * the published ones.
 */
import fc from 'fast-check';
import {
  type CommitmentFormat,
  type CommitmentHtlc,
  type CommitmentParams,
  commitmentObscureFactor,
  deriveCommitmentKeys,
  derivePrivateKey,
  fromHex,
  loadSecp256k1,
  msat,
  sat,
  sha256,
  txidFromHex,
} from '../src/index.ts';

export const secp = loadSecp256k1();

const repeated = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);

export const secrets = {
  localFunding: fromHex('30ff4956bbdd3222d44cc5e8a1261dab1e07957bdac5ae88fe3261ef321f3749'),
  remoteFunding: fromHex('1552dfba4f6cf29a62a0af13c8d6981d36d0ef8d61ba10fb0fe90da7634d7e13'),
  localPayment: repeated(0x11),
  remoteRevocation: repeated(0x22),
  localDelayed: repeated(0x33),
  remotePayment: repeated(0x44),
  perCommitment: fromHex('1f1e1d1c1b1a191817161514131211100f0e0d0c0b0a09080706050403020100'),
};

export const perCommitmentPoint = secp.publicKey(secrets.perCommitment);
export const localFundingKey = secp.publicKey(secrets.localFunding);
export const remoteFundingKey = secp.publicKey(secrets.remoteFunding);
export const localPaymentBasepoint = secp.publicKey(secrets.localPayment);
export const remotePaymentBasepoint = secp.publicKey(secrets.remotePayment);
export const localHtlcSecret = derivePrivateKey(secp, secrets.localPayment, perCommitmentPoint);
export const remoteHtlcSecret = derivePrivateKey(secp, secrets.remotePayment, perCommitmentPoint);

export const keys = deriveCommitmentKeys(secp, {
  perCommitmentPoint,
  broadcaster: { delayedPayment: secp.publicKey(secrets.localDelayed), htlc: localPaymentBasepoint },
  countersignatory: {
    revocation: secp.publicKey(secrets.remoteRevocation),
    payment: remotePaymentBasepoint,
    htlc: remotePaymentBasepoint,
  },
});

export const FUNDING_SAT = sat(10_000_000);

const htlc = (
  direction: 'offered' | 'received',
  amountMsat: number,
  cltvExpiry: number,
  preimageByte: number,
): CommitmentHtlc & { readonly preimage: Uint8Array } => {
  const preimage = repeated(preimageByte);
  return { direction, amountMsat: msat(amountMsat), cltvExpiry, paymentHash: sha256(preimage), preimage };
};

/** HTLCs 0 to 6 of Appendix C. */
export const vectorHtlcs = [
  htlc('received', 1_000_000, 500, 0),
  htlc('received', 2_000_000, 501, 1),
  htlc('offered', 2_000_000, 502, 2),
  htlc('offered', 3_000_000, 503, 3),
  htlc('received', 4_000_000, 504, 4),
  htlc('offered', 5_000_000, 506, 5),
  htlc('offered', 5_000_001, 505, 5),
];

/** The opener's commitment 42 without HTLCs; tests replace what they are about. */
export const channel: CommitmentParams = {
  format: 'static_remotekey',
  funding: { txid: txidFromHex('8984484a580b825b9972d7adb15050b3ab624ccd731946b3eeddb92f4e7ef6be'), vout: 0 },
  commitmentNumber: 42,
  obscureFactor: commitmentObscureFactor(localPaymentBasepoint, remotePaymentBasepoint),
  broadcasterFundingKey: localFundingKey,
  countersignatoryFundingKey: remoteFundingKey,
  keys,
  toSelfDelayBlocks: 144,
  dustLimitSat: sat(546),
  feeratePerKw: 15_000,
  funder: 'broadcaster',
  toBroadcasterMsat: msat(7_000_000_000),
  toCountersignatoryMsat: msat(3_000_000_000),
  htlcs: [],
};

export const formats: readonly CommitmentFormat[] = ['static_remotekey', 'anchors', 'anchors_zero_fee_htlc'];

/** Few distinct values, so that equal HTLCs, amounts and hashes are common. */
const arbitraryHtlc: fc.Arbitrary<CommitmentHtlc> = fc.record({
  direction: fc.constantFrom('offered', 'received'),
  amountMsat: fc
    .oneof(fc.integer({ min: 1, max: 4_000_000 }), fc.constantFrom(1_000_000, 1_000_999, 2_500_000))
    .map(msat),
  paymentHash: fc.integer({ min: 0, max: 3 }).map((byte) => sha256(repeated(byte))),
  cltvExpiry: fc.oneof(fc.integer({ min: 500, max: 503 }), fc.integer({ min: 0, max: 499_999_999 })),
});

/** Commitments of the Appendix C channel with any format, split, feerate, dust limit and up to 30 HTLCs. */
export const arbitraryCommitment: fc.Arbitrary<CommitmentParams> = fc
  .record({
    format: fc.constantFrom(...formats),
    commitmentNumber: fc.bigInt({ min: 0n, max: 2n ** 48n - 1n }),
    funder: fc.constantFrom('broadcaster', 'countersignatory'),
    toSelfDelayBlocks: fc.integer({ min: 1, max: 0xffff }),
    dustLimitSat: fc.integer({ min: 0, max: 3000 }).map(sat),
    feeratePerKw: fc.oneof(fc.integer({ min: 0, max: 5000 }), fc.integer({ min: 0, max: 10_000_000 })),
    htlcs: fc.array(arbitraryHtlc, { maxLength: 30 }),
    share: fc.oneof(fc.integer({ min: 0, max: 1000 }), fc.constantFrom(0, 1000)),
  })
  .map(({ share, ...params }) => {
    const inHtlcs = params.htlcs.reduce((sum, { amountMsat }) => sum + amountMsat, 0n);
    const balances = FUNDING_SAT * 1000n - inHtlcs;
    const toBroadcasterMsat = msat((balances * BigInt(share)) / 1000n);
    const toCountersignatoryMsat = msat(balances - toBroadcasterMsat);
    return { ...channel, ...params, toBroadcasterMsat, toCountersignatoryMsat } as CommitmentParams;
  });
