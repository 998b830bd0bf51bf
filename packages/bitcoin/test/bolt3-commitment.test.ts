/** BOLT 3 "Commitment Transaction": number, trimming, fees, ordering, conservation. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  buildCommitment,
  buildHtlcTransaction,
  buildHtlcTransactions,
  type Commitment,
  type CommitmentFormat,
  type CommitmentHtlc,
  type CommitmentParams,
  commitmentFeeSat,
  commitmentLocktime,
  commitmentNumberFrom,
  commitmentObscureFactor,
  commitmentSequence,
  commitmentWeight,
  commitmentWithOutputs,
  compareOutputs,
  FormError,
  fundingWitness,
  htlcTransactionFeeSat,
  htlcTrimThresholdSat,
  htlcWitness,
  isCommitmentForm,
  isTrimmed,
  mainOutputAmounts,
  msat,
  sat,
  serializeTransaction,
  sha256,
  txid,
  weight,
} from '../src/index.ts';
import {
  arbitraryCommitment,
  channel,
  FUNDING_SAT,
  formats,
  localFundingKey,
  localPaymentBasepoint,
  remoteFundingKey,
  remotePaymentBasepoint,
  vectorHtlcs,
} from './bolt3-channel.ts';

const NUMBER_MAX = 2n ** 48n - 1n;
const hash = sha256(new Uint8Array(32));
const htlcOf = (direction: 'offered' | 'received', amountMsat: bigint): CommitmentHtlc => ({
  direction,
  amountMsat: msat(amountMsat),
  paymentHash: hash,
  cltvExpiry: 500,
});
const kindsOf = (commitment: Commitment): string[] => commitment.outputs.map(({ kind }) => kind);
const total = (commitment: Commitment): bigint =>
  commitment.transaction.outputs.reduce((sum, { value }) => sum + value, 0n);

describe('BOLT 3 commitment number', () => {
  const { transaction } = buildCommitment(channel);

  it('is obscured as Appendix C says', () => {
    expect(commitmentObscureFactor(localPaymentBasepoint, remotePaymentBasepoint)).toBe(0x2bb038521914n);
    expect(transaction.locktime).toBe(0x20000000 + (0x521914 ^ 42));
    expect(transaction.inputs[0]!.sequence).toBe(0x802bb038);
    expect(transaction.version).toBe(2);
  });
  it('reads back for every number and factor', () => {
    const number = fc.bigInt({ min: 0n, max: NUMBER_MAX });
    fc.assert(
      fc.property(number, number, (commitmentNumber, obscureFactor) => {
        const tx = buildCommitment({ ...channel, commitmentNumber, obscureFactor }).transaction;
        expect(isCommitmentForm(tx)).toBe(true);
        expect(commitmentNumberFrom(tx, obscureFactor)).toBe(commitmentNumber);
      }),
      { numRuns: 50 },
    );
  });
  it('takes numbers and bigints alike', () => {
    expect(commitmentLocktime(42, 0n)).toBe(commitmentLocktime(42n, 0n));
    expect(commitmentSequence(2 ** 48 - 1, 0n)).toBe(0x80ffffff);
  });
  it.each([-1, 1.5, 2 ** 48, -1n, 2n ** 48n, Number.NaN])('refuses %s', (number) => {
    expect(() => commitmentLocktime(number, 0n)).toThrow(FormError);
    expect(() => commitmentSequence(0, BigInt(Number.isInteger(number) ? number : -1))).toThrow(FormError);
  });
  it('tells other transactions by the upper bytes of locktime and sequence', () => {
    const [input] = transaction.inputs;
    const withSequence = (sequence: number) => ({ ...transaction, inputs: [{ ...input!, sequence }] });
    for (const locktime of [0, 0x1fffffff, 0x21000000, 0xa0000000])
      expect(isCommitmentForm({ ...transaction, locktime })).toBe(false);
    for (const sequence of [0, 0x7fffffff, 0x81000000, 0xfffffffd, 0xffffffff]) {
      expect(isCommitmentForm(withSequence(sequence))).toBe(false);
      expect(commitmentNumberFrom(withSequence(sequence), 0n)).toBeNull();
    }
    expect(isCommitmentForm({ ...transaction, inputs: [] })).toBe(false);
    expect(commitmentNumberFrom({ ...transaction, inputs: [] }, 0n)).toBeNull();
  });
  it('looks at the input that spends the funding', () => {
    const other = { ...transaction.inputs[0]!, sequence: 0 };
    const tx = { ...transaction, inputs: [other, transaction.inputs[0]!] };
    expect(isCommitmentForm(tx)).toBe(false);
    expect(isCommitmentForm(tx, 1)).toBe(true);
    expect(commitmentNumberFrom(tx, channel.obscureFactor, 1)).toBe(42n);
    expect(isCommitmentForm(tx, 2)).toBe(false);
  });
});

describe('BOLT 3 "Fee Calculation"', () => {
  it('matches the example: 5000 per kw, dust limit 546', () => {
    const htlcs = [
      htlcOf('offered', 5_000_000n),
      htlcOf('offered', 1_000_000n),
      htlcOf('received', 7_000_000n),
      htlcOf('received', 800_000n),
    ];
    const commitment = buildCommitment({
      ...channel,
      feeratePerKw: 5000,
      toBroadcasterMsat: msat(7_000_000_000n - 13_800_000n),
      htlcs,
    });
    expect(htlcTransactionFeeSat('static_remotekey', 'offered', 5000)).toBe(3315n);
    expect(htlcTransactionFeeSat('static_remotekey', 'received', 5000)).toBe(3515n);
    expect(commitment.baseFeeSat).toBe(5340n);
    expect(FUNDING_SAT - total(commitment)).toBe(7140n);
    expect(commitment.trimmedHtlcs).toEqual([1, 3]);
  });
  it.each<[CommitmentFormat, number, number]>([
    ['static_remotekey', 724, 724 + 172 * 966],
    ['anchors', 1124, 1124 + 172 * 966],
    ['anchors_zero_fee_htlc', 1124, 1124 + 172 * 966],
  ])('expects for %s the weights of Appendix A', (format, empty, full) => {
    expect(commitmentWeight(format, 0)).toBe(empty);
    expect(commitmentWeight(format, 966)).toBe(full);
  });
  it('HTLC transactions pay nothing with option_anchors, 3 weight units more with option_anchor_outputs', () => {
    expect(htlcTransactionFeeSat('anchors_zero_fee_htlc', 'offered', 10_000)).toBe(0n);
    expect(htlcTransactionFeeSat('anchors', 'offered', 10_000)).toBe(6660n);
    expect(htlcTransactionFeeSat('anchors', 'received', 10_000)).toBe(7060n);
  });
  it('rounds down and stays exact at the largest feerate', () => {
    expect(commitmentFeeSat('static_remotekey', 999, 0)).toBe((999n * 724n) / 1000n);
    expect(commitmentFeeSat('anchors', 0xffffffff, 966)).toBe((0xffffffffn * 167276n) / 1000n);
  });
  it.each([-1, 0.5, 2 ** 32, Number.NaN])('refuses feerate %s', (feeratePerKw) => {
    expect(() => buildCommitment({ ...channel, feeratePerKw })).toThrow(FormError);
  });
  it.each(formats)('the signed weight of %s with 483 and 966 HTLCs is what the fee assumes', (format) => {
    for (const count of [483, 966]) {
      const htlcs = Array.from({ length: count }, (_, i) =>
        htlcOf('offered', 1_000_000n + BigInt(i) * 1000n),
      );
      const { transaction, outputs } = buildCommitment({ ...channel, format, feeratePerKw: 253, htlcs });
      const script = new Uint8Array(71);
      const signature = new Uint8Array(73);
      const witness = [new Uint8Array(0), signature, signature, script];
      const signed = { ...transaction, inputs: [{ ...transaction.inputs[0]!, witness }] };
      // More than 252 outputs take two more bytes to count; only the anchor formula has them.
      const uncounted = format === 'static_remotekey' ? 8 : 0;
      expect(outputs.length).toBe(count + (format === 'static_remotekey' ? 2 : 4));
      expect(weight(signed)).toBe(commitmentWeight(format, count) + uncounted);
    }
  });
});

describe('BOLT 3 "Trimmed Outputs"', () => {
  const cases = formats.flatMap((format) =>
    (['offered', 'received'] as const).map((direction) => [format, direction] as const),
  );
  it.each(cases)('%s, %s HTLC: exactly at the limit it has an output', (format, direction) => {
    const params: CommitmentParams = { ...channel, format, feeratePerKw: 2071 };
    const thresholdSat = htlcTrimThresholdSat(format, direction, 2071, params.dustLimitSat);
    for (const [amountMsat, trimmed] of [
      [thresholdSat * 1000n, false],
      [thresholdSat * 1000n + 999n, false],
      [thresholdSat * 1000n - 1n, true],
    ] as const) {
      const htlc = htlcOf(direction, amountMsat);
      const commitment = buildCommitment({ ...params, htlcs: [htlc] });
      expect(isTrimmed(htlc, params)).toBe(trimmed);
      expect(kindsOf(commitment).includes(`${direction}_htlc`)).toBe(!trimmed);
      expect(commitment.trimmedHtlcs).toEqual(trimmed ? [0] : []);
    }
  });
  it('thresholds are dust limit plus HTLC transaction fee', () => {
    expect(htlcTrimThresholdSat('static_remotekey', 'offered', 2071, sat(546))).toBe(546n + 1373n);
    expect(htlcTrimThresholdSat('static_remotekey', 'received', 2071, sat(546))).toBe(546n + 1455n);
    expect(htlcTrimThresholdSat('anchors_zero_fee_htlc', 'received', 2071, sat(546))).toBe(546n);
  });
  it.each(['broadcaster', 'countersignatory'] as const)(
    'main outputs exactly at the limit, funder %s',
    (funder) => {
      const feeMsat = 1000n * commitmentFeeSat('static_remotekey', 1000, 0);
      const limitMsat = 546_000n;
      const atLimit = { ...channel, funder, feeratePerKw: 1000 };
      const local = limitMsat + (funder === 'broadcaster' ? feeMsat : 0n);
      const remote = limitMsat + (funder === 'countersignatory' ? feeMsat : 0n);
      const build = (toLocal: bigint, toRemote: bigint) =>
        kindsOf(
          buildCommitment({
            ...atLimit,
            toBroadcasterMsat: msat(toLocal),
            toCountersignatoryMsat: msat(toRemote),
          }),
        ).sort();
      expect(build(local, remote)).toEqual(['to_local', 'to_remote']);
      expect(build(local - 1n, remote)).toEqual(['to_remote']);
      expect(build(local, remote - 1n)).toEqual(['to_local']);
      expect(build(local - 1n, remote - 1n)).toEqual([]);
    },
  );
});

describe('BOLT 3 anchors', () => {
  const format = 'anchors_zero_fee_htlc';
  const none = msat(0);
  it.each<[string, Partial<CommitmentParams>, string[]]>([
    ['both sides', {}, ['local_anchor', 'remote_anchor', 'to_local', 'to_remote']],
    ['only to_local', { toCountersignatoryMsat: none }, ['local_anchor', 'to_local']],
    ['only to_remote', { toBroadcasterMsat: none }, ['remote_anchor', 'to_remote']],
    [
      'only an HTLC',
      { toBroadcasterMsat: none, toCountersignatoryMsat: none, htlcs: [htlcOf('received', 600_000n)] },
      ['local_anchor', 'received_htlc', 'remote_anchor'],
    ],
    [
      'a trimmed HTLC',
      { toBroadcasterMsat: none, htlcs: [htlcOf('offered', 1000n)] },
      ['remote_anchor', 'to_remote'],
    ],
  ])('%s', (_name, params, kinds) => {
    expect(kindsOf(buildCommitment({ ...channel, format, ...params })).sort()).toEqual(kinds);
  });
  it('are 330 sat each and cost the funder 660, also where only one exists', () => {
    const params = { ...channel, format, feeratePerKw: 1000 } as const;
    expect(mainOutputAmounts(params, 0)).toEqual({
      baseFeeSat: 1124n,
      toLocalSat: 7_000_000n - 1124n - 660n,
      toRemoteSat: 3_000_000n,
    });
    const anchors = buildCommitment(params).outputs.filter(({ kind }) => kind.endsWith('anchor'));
    expect(anchors.map(({ value }) => value)).toEqual([330n, 330n]);
    const single = buildCommitment({ ...params, toCountersignatoryMsat: none });
    expect(total(single)).toBe(7_000_000n - 1124n - 660n + 330n);
  });
});

describe('BOLT 3 "Transaction Output Ordering"', () => {
  it('is the same for every order of the HTLCs', () => {
    fc.assert(
      fc.property(
        arbitraryCommitment.chain((params) =>
          fc.tuple(
            fc.constant(params),
            fc.shuffledSubarray([...params.htlcs], { minLength: params.htlcs.length }),
          ),
        ),
        ([params, htlcs]) => {
          const a = buildCommitment(params);
          const b = buildCommitment({ ...params, htlcs });
          expect(serializeTransaction(b.transaction)).toEqual(serializeTransaction(a.transaction));
          const commitmentTxid = txid(a.transaction);
          const second = (commitment: Commitment) =>
            buildHtlcTransactions({ ...params, commitmentTxid }, commitment.htlcs).map(
              (tx) => tx.transaction,
            );
          expect(second(b)).toEqual(second(a));
        },
      ),
      { numRuns: 100 },
    );
  });
  it('is by value, then script, then cltv_expiry of equal outputs', () => {
    fc.assert(
      fc.property(arbitraryCommitment, (params) => {
        const { outputs, transaction } = buildCommitment(params);
        expect(transaction.outputs).toEqual(outputs.map(({ value, script }) => ({ value, script })));
        for (let i = 1; i < outputs.length; i++) {
          const order = compareOutputs(outputs[i - 1]!, outputs[i]!);
          expect(order).toBeLessThanOrEqual(0);
          if (order === 0) expect(outputs[i - 1]!.cltvExpiry).toBeLessThanOrEqual(outputs[i]!.cltvExpiry);
        }
      }),
      { numRuns: 100 },
    );
  });
});

/** BOLT 3's steps again, in msat, without outputs: what each balance loses to fees and rounding. */
function expectedLossMsat(params: CommitmentParams, kinds: readonly string[]): bigint {
  const { format, feeratePerKw, dustLimitSat, funder, toBroadcasterMsat, toCountersignatoryMsat } = params;
  const rate = BigInt(feeratePerKw);
  const extra = format === 'static_remotekey' ? 0n : 3n;
  let loss = 0n;
  let untrimmed = 0n;
  for (const { direction, amountMsat } of params.htlcs) {
    const htlcWeight = (direction === 'offered' ? 663n : 703n) + extra;
    const fee = format === 'anchors_zero_fee_htlc' ? 0n : (rate * htlcWeight) / 1000n;
    const stays = amountMsat >= 1000n * (dustLimitSat + fee);
    loss += stays ? amountMsat % 1000n : amountMsat;
    untrimmed += stays ? 1n : 0n;
  }
  const anchored = format !== 'static_remotekey';
  const fee = (rate * ((anchored ? 1124n : 724n) + 172n * untrimmed)) / 1000n;
  const costMsat = 1000n * (fee + (anchored ? 660n : 0n));
  for (const [party, kind, balance] of [
    ['broadcaster', 'to_local', toBroadcasterMsat],
    ['countersignatory', 'to_remote', toCountersignatoryMsat],
  ] as const) {
    const cost = party !== funder ? 0n : costMsat < balance ? costMsat : balance;
    const left = balance - cost;
    loss += cost + (kinds.includes(kind) ? left % 1000n : left);
    expect(kinds.includes(kind)).toBe(left >= 1000n * dustLimitSat);
  }
  return loss - 330_000n * BigInt(kinds.filter((kind) => kind.endsWith('anchor')).length);
}

describe('value', () => {
  it('is conserved: what no output holds went to fee, trimming and rounding', () => {
    fc.assert(
      fc.property(arbitraryCommitment, (params) => {
        const commitment = buildCommitment(params);
        const loss = expectedLossMsat(params, kindsOf(commitment));
        expect((FUNDING_SAT - total(commitment)) * 1000n).toBe(loss);
        expect(commitment.htlcs.length + commitment.trimmedHtlcs.length).toBe(params.htlcs.length);
      }),
      { numRuns: 300 },
    );
  });
  it('every HTLC output refers to its HTLC once', () => {
    fc.assert(
      fc.property(arbitraryCommitment, (params) => {
        const { htlcs, outputs, trimmedHtlcs } = buildCommitment(params);
        const all = [...htlcs.map(({ htlcIndex }) => htlcIndex), ...trimmedHtlcs].sort((a, b) => a - b);
        expect(all).toEqual(params.htlcs.map((_, index) => index));
        for (const { htlc, htlcIndex, outputIndex, witnessScript } of htlcs) {
          expect(htlc).toBe(params.htlcs[htlcIndex]);
          const output = outputs[outputIndex]!;
          expect(output.value).toBe(htlc.amountMsat / 1000n);
          expect(output.kind).toBe(`${htlc.direction}_htlc`);
          expect(output.script).toEqual(Uint8Array.of(0, 32, ...sha256(witnessScript)));
        }
      }),
      { numRuns: 50 },
    );
  });
});

describe('values no channel can have', () => {
  const bad = (htlc: Partial<CommitmentHtlc>): Partial<CommitmentParams> => ({
    htlcs: [{ ...htlcOf('received', 5_000_000n), ...htlc }],
  });
  it.each<[string, Partial<CommitmentParams>]>([
    ['a payment hash of 31 bytes', bad({ paymentHash: new Uint8Array(31) })],
    ['an expiry beyond heights', bad({ cltvExpiry: 500_000_000 })],
    ['an offered HTLC with such an expiry', bad({ direction: 'offered', cltvExpiry: 500_000_000 })],
    ['a negative expiry', bad({ cltvExpiry: -1 })],
    ['a fractional expiry', bad({ cltvExpiry: 1.5 })],
    ['a delay beyond 16 bits', { toSelfDelayBlocks: 0x10000 }],
    ['a negative delay', { toSelfDelayBlocks: -1 }],
    ['967 HTLCs', { htlcs: Array.from({ length: 967 }, () => htlcOf('offered', 1n)) }],
  ])('%s is a FormError', (_name, params) => {
    expect(() => buildCommitment({ ...channel, feeratePerKw: 253, ...params })).toThrow(FormError);
  });
});

describe('BOLT 3 "HTLC-Timeout and HTLC-Success Transactions"', () => {
  const params = { ...channel, feeratePerKw: 253, htlcs: vectorHtlcs.slice(0, 5) };
  const commitment = buildCommitment(params);
  const commitmentTxid = txid(commitment.transaction);

  it.each(formats)('%s: locktime, sequence, outpoint and amount', (format) => {
    const built = buildCommitment({ ...params, format });
    for (const spent of built.htlcs) {
      const tx = buildHtlcTransaction({ ...params, format, commitmentTxid }, spent);
      const { inputs, outputs, locktime, version } = tx.transaction;
      expect(version).toBe(2);
      expect(inputs).toHaveLength(1);
      expect(inputs[0]).toMatchObject({ txid: commitmentTxid, vout: spent.outputIndex, witness: [] });
      expect(inputs[0]!.sequence).toBe(format === 'static_remotekey' ? 0 : 1);
      expect(locktime).toBe(spent.htlc.direction === 'offered' ? spent.htlc.cltvExpiry : 0);
      expect(outputs.map(({ value }) => value)).toEqual([tx.spentSat - tx.feeSat]);
      expect(outputs[0]!.script).toEqual(Uint8Array.of(0, 32, ...sha256(tx.outputWitnessScript)));
    }
  });
  it('refuses an HTLC that cannot pay its fee', () => {
    const spent = { ...commitment.htlcs[0]!, htlc: htlcOf('received', 177_999n) };
    expect(() => buildHtlcTransaction({ ...params, commitmentTxid, feeratePerKw: 254 }, spent)).toThrow(
      FormError,
    );
    const exact = { ...spent, htlc: htlcOf('received', 178_000n) };
    expect(
      buildHtlcTransaction({ ...params, commitmentTxid, feeratePerKw: 254 }, exact).transaction.outputs[0]!
        .value,
    ).toBe(0n);
  });
  it('takes a preimage for HTLC-success and none for HTLC-timeout', () => {
    const txs = buildHtlcTransactions({ ...params, commitmentTxid }, commitment.htlcs);
    const signature = new Uint8Array(64).fill(1);
    const parts = {
      format: params.format,
      countersignatorySignature: signature,
      broadcasterSignature: signature,
    };
    for (const tx of txs) {
      const isSuccess = tx.spent.htlc.direction === 'received';
      const preimage = new Uint8Array(32);
      expect(htlcWitness(tx, { ...parts, preimage: isSuccess ? preimage : null })).toHaveLength(5);
      expect(() => htlcWitness(tx, { ...parts, preimage: isSuccess ? null : preimage })).toThrow(FormError);
      expect(() => htlcWitness(tx, { ...parts, preimage: new Uint8Array(31) })).toThrow(FormError);
    }
  });
});

describe('funding witness', () => {
  it('puts the signatures in the order of the keys, whoever comes first', () => {
    const a = { fundingKey: localFundingKey, signature: new Uint8Array(64).fill(1) };
    const b = { fundingKey: remoteFundingKey, signature: new Uint8Array(64).fill(2) };
    expect(fundingWitness(a, b)).toEqual(fundingWitness(b, a));
    // 023da0… of the local side is the lesser key.
    expect(fundingWitness(b, a)[1]).toEqual(fundingWitness(a, { ...b, signature: a.signature })[1]);
    expect(fundingWitness(b, a)[1]).not.toEqual(fundingWitness(b, a)[2]);
  });
});

describe('commitments by their outputs', () => {
  const outputsOf = (params: CommitmentParams) => {
    const { transaction, outputs, htlcs, trimmedHtlcs } = buildCommitment(params);
    const worth = (kind: string) => outputs.find((one) => one.kind === kind)?.value ?? null;
    const main = { toLocalSat: worth('to_local'), toRemoteSat: worth('to_remote') };
    const untrimmed = params.htlcs.filter((_, i) => !trimmedHtlcs.includes(i));
    return { transaction, main, untrimmed, htlcs };
  };
  it('are the transactions that balances and feerate give, with the same HTLCs in the same order', () => {
    fc.assert(
      fc.property(arbitraryCommitment, (params) => {
        const { transaction, main, untrimmed, htlcs } = outputsOf(params);
        const built = commitmentWithOutputs({ ...params, ...main, htlcs: untrimmed });
        expect(built.transaction).toEqual(transaction);
        expect(built.htlcs.map(({ outputIndex, htlc }) => ({ outputIndex, htlc }))).toEqual(
          htlcs.map(({ outputIndex, htlc }) => ({ outputIndex, htlc })),
        );
      }),
    );
  });
  it('have an anchor beside a main output or any HTLC, and no other', () => {
    const params = { ...channel, format: 'anchors_zero_fee_htlc' as const, htlcs: [] };
    const kinds = (toLocalSat: bigint | null, toRemoteSat: bigint | null, htlcs: CommitmentHtlc[] = []) =>
      commitmentWithOutputs({
        ...params,
        toLocalSat: toLocalSat === null ? null : sat(toLocalSat),
        toRemoteSat: toRemoteSat === null ? null : sat(toRemoteSat),
        htlcs,
      })
        .outputs.map(({ kind }) => kind)
        .sort();
    expect(kinds(null, null)).toEqual([]);
    expect(kinds(1n, null)).toEqual(['local_anchor', 'to_local']);
    expect(kinds(null, 1n)).toEqual(['remote_anchor', 'to_remote']);
    expect(kinds(null, null, [htlcOf('offered', 1_000_000n)])).toEqual([
      'local_anchor',
      'offered_htlc',
      'remote_anchor',
    ]);
  });
  it('have at most 966 HTLCs', () => {
    const htlcs = Array.from({ length: 967 }, () => htlcOf('offered', 1_000_000n));
    const build = (count: number) =>
      commitmentWithOutputs({
        ...channel,
        toLocalSat: null,
        toRemoteSat: null,
        htlcs: htlcs.slice(0, count),
      });
    expect(build(966).htlcs).toHaveLength(966);
    expect(() => build(967)).toThrow(FormError);
  });
});
