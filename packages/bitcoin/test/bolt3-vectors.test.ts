/**
 * BOLT 3 Appendices C and F and their variants: every commitment and HTLC transaction byte for byte. All of the
 * vectors' signatures are plain RFC 6979: no extra entropy, no grinding for low R.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  broadcasterHtlcHash,
  buildCommitment,
  buildHtlcTransactions,
  type Commitment,
  type CommitmentParams,
  commitmentWeight,
  concat,
  countersignatoryHtlcHash,
  derivePublicKey,
  encodeDer,
  equalBytes,
  fundingScript,
  fundingSighash,
  fundingWitness,
  htlcTransactionWeight,
  matchCommitmentOutputs,
  msat,
  sat,
  serializeTransaction,
  sha256,
  signedHtlcTransaction,
  type Transaction,
  toHex,
  txid,
  weight,
} from '../src/index.ts';
import {
  channel,
  FUNDING_SAT,
  keys,
  localFundingKey,
  localHtlcSecret,
  perCommitmentPoint,
  remoteFundingKey,
  remoteHtlcSecret,
  remotePaymentBasepoint,
  secp,
  secrets,
  vectorHtlcs,
} from './bolt3-channel.ts';

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

const readVectors = (name: string): Vector[] =>
  JSON.parse(
    readFileSync(new URL(`../../../vectors/bolt03/test_vectors_${name}.json`, import.meta.url), 'utf8'),
  );

const script = fundingScript(localFundingKey, remoteFundingKey);

function signedCommitment({ transaction }: Commitment) {
  const hash = fundingSighash(transaction, script, FUNDING_SAT);
  const remoteSignature = secp.signEcdsa(hash, secrets.remoteFunding);
  const witness = fundingWitness(
    { fundingKey: localFundingKey, signature: secp.signEcdsa(hash, secrets.localFunding) },
    { fundingKey: remoteFundingKey, signature: remoteSignature },
  );
  const signed: Transaction = {
    ...transaction,
    inputs: transaction.inputs.map((input) => ({ ...input, witness })),
  };
  return { signed, remoteSignature };
}

const preimageOf = (hash: Uint8Array): Uint8Array =>
  vectorHtlcs.find(({ paymentHash }) => equalBytes(paymentHash, hash))!.preimage;

function signedHtlcs(params: CommitmentParams, commitment: Commitment) {
  const { format } = params;
  const commitmentTxid = txid(commitment.transaction);
  return buildHtlcTransactions({ ...params, commitmentTxid }, commitment.htlcs).map((tx) => {
    const countersignatorySignature = secp.signEcdsa(countersignatoryHtlcHash(tx, format), remoteHtlcSecret);
    const broadcasterSignature = secp.signEcdsa(broadcasterHtlcHash(tx), localHtlcSecret);
    const { direction, paymentHash } = tx.spent.htlc;
    const preimage = direction === 'received' ? preimageOf(paymentHash) : null;
    const parts = { format, countersignatorySignature, broadcasterSignature, preimage };
    return { signed: signedHtlcTransaction(tx, parts), countersignatorySignature, direction };
  });
}

const htlcsOf = (name: string) =>
  name.includes('2 offered having the same amount')
    ? [1, 5, 6].map((at) => vectorHtlcs[at]!)
    : vectorHtlcs.slice(0, 5);

const paramsOf = (vector: Vector): CommitmentParams => ({
  ...channel,
  feeratePerKw: vector.FeePerKw,
  dustLimitSat: sat(vector.DustLimitSatoshis ?? 546),
  toBroadcasterMsat: msat(vector.LocalBalance),
  toCountersignatoryMsat: msat(vector.RemoteBalance),
  htlcs: vector.UseTestHtlcs ? htlcsOf(vector.Name) : [],
});

const toWireHex = (tx: Transaction): string => toHex(serializeTransaction(tx));

/** The weight the transaction would have with signatures of 73 bytes; `signatures` are witness items 1 and 2. */
const weightAtMost = (tx: Transaction): number => {
  const witness = tx.inputs[0]!.witness;
  return weight(tx) + (73 - witness[1]!.length) + (73 - witness[2]!.length);
};

function expectVector(params: CommitmentParams, vector: Vector) {
  const commitment = buildCommitment(params);
  const { signed, remoteSignature } = signedCommitment(commitment);
  expect(toWireHex(signed)).toBe(vector.ExpectedCommitmentTxHex);
  expect(toHex(encodeDer(remoteSignature))).toBe(vector.RemoteSigHex);
  const htlcs = signedHtlcs(params, commitment);
  expect(htlcs.map((htlc) => toWireHex(htlc.signed))).toEqual(
    vector.HtlcDescs.map(({ ResolutionTxHex }) => ResolutionTxHex),
  );
  expect(htlcs.map((htlc) => toHex(encodeDer(htlc.countersignatorySignature)))).toEqual(
    vector.HtlcDescs.map(({ RemoteSigHex }) => RemoteSigHex),
  );
  expectWeights(params, commitment, signed, htlcs);
  expectMatch(params, commitment);
}

/**
 * Appendix A counts both main outputs, for anchors 3 bytes of output count, for expiries 4 bytes (500 takes 2), and
 * for HTLC-success one more "for historical reasons".
 */
function expectWeights(
  params: CommitmentParams,
  commitment: Commitment,
  signed: Transaction,
  htlcs: ReturnType<typeof signedHtlcs>,
) {
  const kinds = commitment.outputs.map(({ kind }) => kind);
  if (kinds.includes('to_local') && kinds.includes('to_remote'))
    expect(commitmentWeight(params.format, commitment.htlcs.length) - weightAtMost(signed)).toBe(
      params.format === 'static_remotekey' ? 0 : 2 * 4,
    );
  for (const { signed: tx, direction } of htlcs)
    expect(htlcTransactionWeight(params.format, direction) - weightAtMost(tx)).toBe(
      direction === 'received' ? 2 + 1 : 0,
    );
}

function expectMatch(params: CommitmentParams, commitment: Commitment) {
  const claimed = commitment.htlcs.map(({ htlc }) => htlc).reverse();
  const match = matchCommitmentOutputs(commitment.transaction, { ...params, htlcs: claimed });
  expect(match.ok && match.htlcOutputs.map(({ htlc, ...at }) => [at.outputIndex, htlc])).toEqual(
    commitment.htlcs.map(({ htlc, outputIndex }) => [outputIndex, htlc]),
  );
}

describe('commitments before static_remotekey (remotepubkey still derived)', () => {
  const countersignatoryPayment = derivePublicKey(secp, remotePaymentBasepoint, perCommitmentPoint);
  it.each(readVectors('legacy'))('$Name, $FeePerKw per kw', (vector) => {
    expectVector({ ...paramsOf(vector), keys: { ...keys, countersignatoryPayment } }, vector);
  });
});

describe('option_anchor_outputs: HTLC transactions with fees', () => {
  it.each(readVectors('anchors'))('$Name, $FeePerKw per kw', (vector) => {
    expectVector({ ...paramsOf(vector), format: 'anchors' }, vector);
  });
});

describe('BOLT 3 Appendix F: option_anchors', () => {
  it.each(readVectors('zero_fee_htlc_tx'))('$Name, $FeePerKw per kw', (vector) => {
    expectVector({ ...paramsOf(vector), format: 'anchors_zero_fee_htlc' }, vector);
  });
});

/**
 * to_local and to_remote in msat, feerate per kw, base fee and actual fee in sat, number of HTLC transactions, and
 * SHA-256 over the published signed commitment followed by its HTLC transactions.
 */
const appendixC: readonly [string, number, number, number, number, number, number, string][] = [
  [
    'no HTLCs',
    7e9,
    3e9,
    15000,
    10860,
    10860,
    0,
    '171a4f3870ee29a832b95388e58d8f1c17c5528197f4527110f6974794a66336',
  ],
  [
    'all five HTLCs, minimum feerate',
    6988e6,
    3e9,
    0,
    0,
    0,
    5,
    '0a471276772ceefac79c6c4ac373bfc81fd8a75ba75736460f41f17f73970938',
  ],
  [
    'seven outputs, maximum feerate',
    6988e6,
    3e9,
    647,
    1024,
    1024,
    5,
    'b64e78b5b2ff76d1f60944635d6e8e698d2362227881981fd87cc78cfc2edb31',
  ],
  [
    'six outputs, minimum feerate',
    6988e6,
    3e9,
    648,
    914,
    1914,
    4,
    '81b95fe26ba0817ce9ec1421af32e04421330767c2a311afc694ae4bcbee584d',
  ],
  [
    'six outputs, maximum feerate',
    6988e6,
    3e9,
    2069,
    2921,
    3921,
    4,
    'f373010c76d53ce59e03c6796fce79698dd573ca7767f81bdf9fb31dfcb1994c',
  ],
  [
    'five outputs, minimum feerate',
    6988e6,
    3e9,
    2070,
    2566,
    5566,
    3,
    'f94f243ab9dfe318e4ef4378bdb43fc0fa5dda1e1d53f534da70e7b01ee1eb92',
  ],
  [
    'five outputs, maximum feerate',
    6988e6,
    3e9,
    2194,
    2720,
    5720,
    3,
    'abd4775366fb4d0545eee68bf6405daef20c0a95752d628a7491cec639e4d7c6',
  ],
  [
    'four outputs, minimum feerate',
    6988e6,
    3e9,
    2195,
    2344,
    7344,
    2,
    '9ebf11eab7cec9751b0395a3c2f63b41664426201a8d12f6d13836e22fffe481',
  ],
  [
    'four outputs, maximum feerate',
    6988e6,
    3e9,
    3702,
    3953,
    8953,
    2,
    'bb45e61dc27bd77072bf1c31057cdd27b279504105adf6b232f4dd2e17a3106c',
  ],
  [
    'three outputs, minimum feerate',
    6988e6,
    3e9,
    3703,
    3317,
    11317,
    1,
    'f4abe034895fa30724bbe72b4763bed08590d325b66fb244e9ecde726d86a2f1',
  ],
  [
    'three outputs, maximum feerate',
    6988e6,
    3e9,
    4914,
    4402,
    12402,
    1,
    '8f39562e6c9674b80d86c2d219aa8df29c994291072ba9c5d0a634c4b2d91e53',
  ],
  [
    'two outputs, minimum feerate',
    6988e6,
    3e9,
    4915,
    3558,
    15558,
    0,
    'a3eed6c9eaac1c4bc54fe337bbe0eea81f85ef686a90927fbabfd9818de0aa90',
  ],
  [
    'two outputs, maximum feerate',
    6988e6,
    3e9,
    9651180,
    6987454,
    6999454,
    0,
    '27cd63bd9e14155d4fa1649c08f6f97e0b75783e76f30af734395e0cb9f568cf',
  ],
  [
    'one output, minimum feerate',
    6988e6,
    3e9,
    9651181,
    6987455,
    7000000,
    0,
    '981679d4282f9d37b39a23150d2e798594d848f7d8de418a3e848a0577a2495a',
  ],
  [
    'fee greater than funder amount',
    6988e6,
    3e9,
    9651936,
    6988001,
    7000000,
    0,
    '981679d4282f9d37b39a23150d2e798594d848f7d8de418a3e848a0577a2495a',
  ],
  [
    '2 offered having the same amount',
    6987999999,
    3e9,
    253,
    313,
    314,
    3,
    '45c6357189b240f6cf52c20414e1ae7164f7967159c741777e1ae0ca97ed9fbb',
  ],
];

describe('BOLT 3 Appendix C: option_static_remotekey', () => {
  it.each(appendixC)('%s', (name, local, remote, feeratePerKw, baseFeeSat, feeSat, htlcCount, digest) => {
    const params: CommitmentParams = {
      ...channel,
      feeratePerKw,
      toBroadcasterMsat: msat(local),
      toCountersignatoryMsat: msat(remote),
      htlcs: name === 'no HTLCs' ? [] : htlcsOf(name),
    };
    const commitment = buildCommitment(params);
    const { signed } = signedCommitment(commitment);
    const htlcs = signedHtlcs(params, commitment);
    expect(commitment.baseFeeSat).toBe(BigInt(baseFeeSat));
    expect(FUNDING_SAT - commitment.outputs.reduce((sum, { value }) => sum + value, 0n)).toBe(BigInt(feeSat));
    expect(htlcs.length).toBe(htlcCount);
    const all = [signed, ...htlcs.map((htlc) => htlc.signed)].map(serializeTransaction);
    expect(toHex(sha256(concat(...all)))).toBe(digest);
    expectWeights(params, commitment, signed, htlcs);
  });
});
