/** BOLT 3's published vectors: Appendix C and F (commitments, HTLC transactions), D (secrets), E (keys). */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  buildCommitment,
  buildHtlcTransactions,
  type ChannelKind,
  type CommitmentHtlc,
  commitmentKeys,
  commitmentNumberOf,
  derivePrivateKey,
  derivePublicKey,
  deriveRevocationPrivateKey,
  deriveRevocationPublicKey,
  fromHex,
  fundingScript,
  fundingWitness,
  generateFromSeed,
  htlcDigestOfBroadcaster,
  htlcDigestOfOther,
  htlcTransactionWitness,
  makeObscurer,
  publicKeyOf,
  reversed,
  SecretStore,
  SIGHASH,
  serializeTx,
  sha256,
  sighashV0,
  sign,
  toHex,
  toScriptSignature,
  withWitnesses,
} from '../src/index.ts';

interface Vector {
  readonly Name: string;
  readonly LocalBalance: number;
  readonly RemoteBalance: number;
  readonly DustLimitSatoshis?: number;
  readonly FeePerKw: number;
  readonly UseTestHtlcs: boolean;
  readonly HtlcDescs: readonly { readonly RemoteSigHex: string; readonly ResolutionTxHex: string }[];
  readonly ExpectedCommitmentTxHex: string;
  readonly RemoteSigHex: string;
}

const read = (name: string): readonly Vector[] =>
  JSON.parse(
    readFileSync(new URL(`../../../vectors/bolt03/test_vectors_${name}.json`, import.meta.url), 'utf8'),
  );

const filled = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);
const secrets = {
  localFunding: fromHex('30ff4956bbdd3222d44cc5e8a1261dab1e07957bdac5ae88fe3261ef321f3749'),
  remoteFunding: fromHex('1552dfba4f6cf29a62a0af13c8d6981d36d0ef8d61ba10fb0fe90da7634d7e13'),
  localPayment: filled(0x11),
  remoteRevocation: filled(0x22),
  localDelayed: filled(0x33),
  remotePayment: filled(0x44),
  perCommitment: fromHex('1f1e1d1c1b1a191817161514131211100f0e0d0c0b0a09080706050403020100'),
};
const point = publicKeyOf(secrets.perCommitment);
const unused = publicKeyOf(filled(0x55));
const keys = commitmentKeys(
  {
    funding: publicKeyOf(secrets.localFunding),
    revocation: unused,
    payment: publicKeyOf(secrets.localPayment),
    delayedPayment: publicKeyOf(secrets.localDelayed),
    htlc: publicKeyOf(secrets.localPayment),
  },
  {
    funding: publicKeyOf(secrets.remoteFunding),
    revocation: publicKeyOf(secrets.remoteRevocation),
    payment: publicKeyOf(secrets.remotePayment),
    delayedPayment: unused,
    htlc: publicKeyOf(secrets.remotePayment),
  },
  point,
);
const obscurer = makeObscurer(publicKeyOf(secrets.localPayment), publicKeyOf(secrets.remotePayment));
const CAPACITY = 10_000_000n;

const htlc = (isOffered: boolean, amountMsat: bigint, cltvExpiry: number, preimage: number) => ({
  isOffered,
  amountMsat,
  cltvExpiry,
  paymentHash: sha256(filled(preimage)),
});
const htlcs: readonly CommitmentHtlc[] = [
  htlc(false, 1_000_000n, 500, 0),
  htlc(false, 2_000_000n, 501, 1),
  htlc(true, 2_000_000n, 502, 2),
  htlc(true, 3_000_000n, 503, 3),
  htlc(false, 4_000_000n, 504, 4),
  htlc(true, 5_000_000n, 506, 5),
  htlc(true, 5_000_001n, 505, 5),
];
const preimages = new Map([0, 1, 2, 3, 4, 5].map((byte) => [toHex(sha256(filled(byte))), filled(byte)]));

function htlcsOf({ UseTestHtlcs, Name }: Vector): readonly CommitmentHtlc[] {
  if (!UseTestHtlcs) return [];
  return Name.includes('same amount')
    ? [1, 5, 6].map((at) => htlcs[at] as CommitmentHtlc)
    : htlcs.slice(0, 5);
}

function build(kind: ChannelKind, vector: Vector, otherPayment = keys.otherPayment) {
  return buildCommitment({
    kind,
    funding: {
      txid: reversed(fromHex('8984484a580b825b9972d7adb15050b3ab624ccd731946b3eeddb92f4e7ef6be')),
      vout: 0,
    },
    commitmentNumber: 42,
    obscurer,
    keys: { ...keys, otherPayment },
    toSelfDelayBlocks: 144,
    dustLimitSat: BigInt(vector.DustLimitSatoshis ?? 546),
    feeratePerKw: vector.FeePerKw,
    funder: 'broadcaster',
    toBroadcasterMsat: BigInt(vector.LocalBalance),
    toOtherMsat: BigInt(vector.RemoteBalance),
    htlcs: htlcsOf(vector),
  });
}

function expectVector(vector: Vector, commitment: ReturnType<typeof build>): void {
  const script = fundingScript(keys.broadcasterFunding, keys.otherFunding);
  const digest = sighashV0(commitment.tx, 0, script, CAPACITY, SIGHASH.ALL);
  const signed = (key: Uint8Array) => toScriptSignature(sign(digest, key), SIGHASH.ALL);
  const witness = fundingWitness(
    { key: keys.broadcasterFunding, signature: signed(secrets.localFunding) },
    { key: keys.otherFunding, signature: signed(secrets.remoteFunding) },
    script,
  );
  expect(toHex(serializeTx(withWitnesses(commitment.tx, [witness])))).toBe(vector.ExpectedCommitmentTxHex);
  expect(toHex(signed(secrets.remoteFunding))).toBe(`${vector.RemoteSigHex}01`);

  const localHtlc = derivePrivateKey(secrets.localPayment, point);
  const remoteHtlc = derivePrivateKey(secrets.remotePayment, point);
  const resolutions = buildHtlcTransactions(commitment).map((one) => {
    const other = toScriptSignature(sign(htlcDigestOfOther(one), remoteHtlc), one.otherSighashType);
    const own = toScriptSignature(sign(htlcDigestOfBroadcaster(one), localHtlc), SIGHASH.ALL);
    const preimage = one.htlc.isOffered ? null : (preimages.get(toHex(one.htlc.paymentHash)) ?? null);
    return withWitnesses(one.tx, [htlcTransactionWitness(other, own, preimage, one.witnessScript)]);
  });
  expect(resolutions.map((tx) => toHex(serializeTx(tx)))).toEqual(
    vector.HtlcDescs.map(({ ResolutionTxHex }) => ResolutionTxHex),
  );
}

describe('Appendix C and F', () => {
  // The file of the legacy form is older than option_static_remotekey: there `remotepubkey` is derived.
  const derived = derivePublicKey(publicKeyOf(secrets.remotePayment), point);
  test.each(read('legacy'))('legacy: $Name', (vector) => {
    expectVector(vector, build('static_remotekey', vector, derived));
  });

  test.each(read('zero_fee_htlc_tx'))('anchors: $Name', (vector) => {
    expectVector(vector, build('anchors_zero_fee_htlc', vector));
  });

  test('the number is hidden and found again', () => {
    const { tx } = build('static_remotekey', read('legacy')[0] as Vector);
    expect(tx.locktime).toBe(0x20000000 + ((0x2bb038521914 ^ 42) & 0xffffff));
    expect(commitmentNumberOf(tx, obscurer)).toBe(42);
    expect(commitmentNumberOf({ ...tx, locktime: 0 }, obscurer)).toBeUndefined();
    expect(commitmentNumberOf({ ...tx, inputs: [...tx.inputs, ...tx.inputs] }, obscurer)).toBeUndefined();
    expect(commitmentNumberOf({ ...tx, inputs: [] }, obscurer)).toBeUndefined();
  });
});

describe('Appendix D', () => {
  test.each([
    ['00', 281474976710655, '02a40c85b6f28da08dfdbe0926c53fab2de6d28c10301f8f7c4073d5e42e3148'],
    ['ff', 281474976710655, '7cc854b54e3e0dcdb010d7a3fee464a9687be6e8db3be6854c475621e007a5dc'],
    ['ff', 0xaaaaaaaaaaa, '56f4008fb007ca9acf0e15b054d5c9fd12ee06cea347914ddbaed70d1c13a528'],
    ['ff', 0x555555555555, '9015daaeb06dba4ccc05b91b2f73bd54405f2be9f217fbacd3c5ac2e62327d31'],
    ['01', 1, '915c75942a26bb3a433a8ce2cb0427c29ec6c1775cfc78328b57f6ba7bfeaa9c'],
  ])('generate_from_seed %s %i', (seed, index, expected) => {
    expect(toHex(generateFromSeed(fromHex(seed.repeat(32)), index))).toBe(expected);
  });

  const seed = filled(0xff);
  const index = (n: number): number => 281474976710655 - n;

  test('secrets of one seed are kept and found again', () => {
    const store = new SecretStore();
    for (let n = 0; n < 100; n++) expect(store.insert(n, generateFromSeed(seed, index(n)))).toBe(true);
    for (let n = 0; n < 100; n++) expect(store.get(n)).toEqual(generateFromSeed(seed, index(n)));
    expect(store.get(100)).toBeUndefined();
  });

  // Each of the BOLT's "incorrect" cases: the secrets from which on are of another seed, and where it shows.
  test.each([
    [[0], 1],
    [[1], undefined],
    [[2], 3],
    [[0, 1], 3],
    [[3], undefined],
    [[4], 5],
    [[5], undefined],
    [[6], 7],
    [[4, 5], 7],
    [[0, 1, 2, 3], 7],
  ])('of another seed: %j, seen at %s', (wrong, seen) => {
    const store = new SecretStore();
    const refused = Array.from({ length: 8 }, (_, n) => n).find(
      (n) => !store.insert(n, generateFromSeed(wrong.includes(n) ? filled(0) : seed, index(n))),
    );
    // A wrong secret on a boundary is only seen against its children: at itself, before what comes later.
    expect(refused).toBe(seen ?? wrong[0]);
  });
});

describe('Appendix E', () => {
  const base = fromHex('000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f');
  test('public and private keys, and those of revocation', () => {
    const basepoint = publicKeyOf(base);
    expect(toHex(derivePublicKey(basepoint, point))).toBe(
      '0235f2dbfaa89b57ec7b055afe29849ef7ddfeb1cefdb9ebdc43f5494984db29e5',
    );
    expect(toHex(derivePrivateKey(base, point))).toBe(
      'cbced912d3b21bf196a766651e436aff192362621ce317704ea2f75d87e7be0f',
    );
    expect(toHex(deriveRevocationPublicKey(basepoint, point))).toBe(
      '02916e326636d19c33f13e8c0c3a03dd157f332f3e99c317c141dd865eb01f8ff0',
    );
    expect(toHex(deriveRevocationPrivateKey(base, secrets.perCommitment))).toBe(
      'd09ffff62ddb2297ab000cc85bcb4283fdeb6aa052affbc9dddcf33b61078110',
    );
  });
});
