/** Recognizing commitments from the wire: honest ones match, any change of an output is named. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  buildCommitment,
  type Commitment,
  type CommitmentExpectation,
  type CommitmentHtlc,
  type CommitmentParams,
  compareOutputs,
  FormError,
  matchCommitmentOutputs,
  msat,
  p2wshOfScript,
  sat,
  sha256,
  type TxOutput,
} from '../src/index.ts';
import { arbitraryCommitment, channel, formats, vectorHtlcs } from './bolt3-channel.ts';

const params: CommitmentParams = {
  ...channel,
  format: 'anchors_zero_fee_htlc',
  feeratePerKw: 253,
  htlcs: vectorHtlcs,
};
const commitment = buildCommitment(params);

const untrimmed = (built: Commitment): CommitmentHtlc[] => built.htlcs.map(({ htlc }) => htlc);
const withOutputs = (outputs: readonly TxOutput[]) => ({
  ...commitment.transaction,
  outputs: outputs.toSorted(compareOutputs),
});
const matchOutputs = (outputs: readonly TxOutput[], expectation: CommitmentExpectation = params) =>
  matchCommitmentOutputs(withOutputs(outputs), expectation);
const { outputs } = commitment;
const indexOf = (kind: string): number => outputs.findIndex((output) => output.kind === kind);
const without = (index: number): TxOutput[] => outputs.filter((_, i) => i !== index);

describe('an honest commitment matches', () => {
  it('whatever the order of the claimed HTLCs, and gives every output its meaning', () => {
    fc.assert(
      fc.property(
        arbitraryCommitment.chain((p) => {
          const claimed = untrimmed(buildCommitment(p));
          return fc.tuple(fc.constant(p), fc.shuffledSubarray(claimed, { minLength: claimed.length }));
        }),
        ([p, htlcs]) => {
          const built = buildCommitment(p);
          const match = matchCommitmentOutputs(built.transaction, { ...p, htlcs });
          if (!match.ok) throw new Error(match.reason);
          const amountOf = (kind: string) =>
            built.outputs.find((output) => output.kind === kind)?.value ?? null;
          expect(match.toLocalSat).toBe(amountOf('to_local'));
          expect(match.toRemoteSat).toBe(amountOf('to_remote'));
          for (const [kind, index] of Object.entries(match.outputIndices))
            expect(index ?? -1).toBe(built.outputs.findIndex((output) => output.kind === kind));
          expect(
            match.htlcOutputs.map(({ outputIndex, witnessScript }) => [outputIndex, witnessScript]),
          ).toEqual(built.htlcs.map(({ outputIndex, witnessScript }) => [outputIndex, witnessScript]));
          for (const { htlc, htlcIndex } of match.htlcOutputs) expect(htlc).toBe(htlcs[htlcIndex]);
        },
      ),
      { numRuns: 100 },
    );
  });
  it('assigns equal outputs by cltv_expiry, then by place in the claim', () => {
    const [five, six] = [vectorHtlcs[5]!, vectorHtlcs[6]!];
    const htlcs = [five, six, { ...six }, five];
    const built = buildCommitment({ ...params, htlcs });
    const match = matchCommitmentOutputs(built.transaction, { ...params, htlcs });
    expect(match.ok && match.htlcOutputs.map(({ htlcIndex }) => htlcIndex)).toEqual([1, 2, 0, 3]);
  });
  it('with a lease on either side, and not without it', () => {
    for (const funder of ['broadcaster', 'countersignatory'] as const) {
      const leased = { ...params, funder, leaseCsvBlocks: 4032 };
      const { transaction } = buildCommitment(leased);
      expect(matchCommitmentOutputs(transaction, leased).ok).toBe(true);
      expect(matchCommitmentOutputs(transaction, { ...params, funder })).toMatchObject({
        reason: 'unrecognized-output',
      });
    }
  });
});

describe('a changed commitment does not', () => {
  const foreign = p2wshOfScript(Uint8Array.of(0x51));

  it('names an unknown output, wherever its amount puts it', () => {
    for (const value of [1n, 330n, 1500n, 5000n, 4_000_000n, 9_000_000n]) {
      const tx = withOutputs([...outputs, { value: sat(value), script: foreign }]);
      const outputIndex = tx.outputs.findIndex(({ script }) => script === foreign);
      expect(matchCommitmentOutputs(tx, params)).toEqual({
        ok: false,
        reason: 'unrecognized-output',
        outputIndex,
      });
    }
  });
  it('names a missing HTLC', () => {
    for (const { outputIndex, htlc } of commitment.htlcs) {
      const result = matchOutputs(without(outputIndex));
      expect(result).toMatchObject({ ok: false, reason: 'missing-htlc' });
      const named = 'htlcIndex' in result ? params.htlcs[result.htlcIndex]! : undefined;
      expect(named?.paymentHash).toEqual(htlc.paymentHash);
    }
  });
  it('names one HTLC output too many', () => {
    for (const { outputIndex } of commitment.htlcs)
      expect(matchOutputs([...outputs, outputs[outputIndex]!])).toMatchObject({ reason: 'duplicate-htlc' });
  });
  it('refuses an HTLC output of another amount', () => {
    for (const { outputIndex } of commitment.htlcs) {
      for (const difference of [-1n, 1n]) {
        const changed = { ...outputs[outputIndex]!, value: sat(outputs[outputIndex]!.value + difference) };
        expect(matchOutputs([...without(outputIndex), changed]).ok).toBe(false);
      }
    }
  });
  it.each(['to_local', 'to_remote', 'local_anchor', 'remote_anchor'] as const)(
    'names a second %s',
    (kind) => {
      const second = outputs[indexOf(kind)]!;
      expect(matchOutputs([...outputs, second])).toMatchObject({ reason: 'duplicate-output', kind });
    },
  );
  it.each(['local_anchor', 'remote_anchor'] as const)(
    'names %s of another amount, missing, or not due',
    (kind) => {
      const index = indexOf(kind);
      const changed = { ...outputs[index]!, value: sat(331) };
      expect(matchOutputs([...without(index), changed])).toMatchObject({
        reason: 'anchor-amount',
        valueSat: 331n,
      });
      expect(matchOutputs(without(index))).toEqual({ ok: false, reason: 'missing-anchor', kind });
      const main = kind === 'local_anchor' ? 'to_local' : 'to_remote';
      const bare = outputs.filter((output) => output.htlcIndex < 0 && output.kind !== main);
      expect(matchOutputs(bare, { ...params, htlcs: [] })).toMatchObject({
        reason: 'unexpected-anchor',
        kind,
      });
    },
  );
  it('reports main outputs that are not there as null', () => {
    const match = matchOutputs(outputs.filter(({ kind }) => !kind.startsWith('to_')));
    expect(match).toMatchObject({ ok: true, toLocalSat: null, toRemoteSat: null });
  });
  it('names outputs out of order', () => {
    const swapped = [...commitment.transaction.outputs];
    [swapped[3], swapped[4]] = [swapped[4]!, swapped[3]!];
    const tx = { ...commitment.transaction, outputs: swapped };
    const equal = compareOutputs(swapped[3]!, swapped[4]!) === 0;
    expect(equal).toBe(false);
    expect(matchCommitmentOutputs(tx, params)).toEqual({ ok: false, reason: 'not-ordered', outputIndex: 4 });
  });
  it('refuses a transaction without the outputs it should have', () => {
    expect(matchOutputs([])).toMatchObject({ reason: 'missing-htlc' });
    expect(matchOutputs([], { ...params, htlcs: [] })).toMatchObject({ ok: true, toLocalSat: null });
  });
});

describe('a changed expectation does not match', () => {
  const key = params.countersignatoryFundingKey;
  const claim = (at: number, change: Partial<CommitmentHtlc>): Partial<CommitmentExpectation> => ({
    htlcs: params.htlcs.map((htlc, i) => (i === at ? { ...htlc, ...change } : htlc)),
  });
  it.each<[string, Partial<CommitmentExpectation>]>([
    ['revocation key', { keys: { ...params.keys, revocation: key } }],
    ['delayed key', { keys: { ...params.keys, broadcasterDelayed: key } }],
    ["broadcaster's HTLC key", { keys: { ...params.keys, broadcasterHtlc: key } }],
    ["countersignatory's HTLC key", { keys: { ...params.keys, countersignatoryHtlc: key } }],
    ['payment key', { keys: { ...params.keys, countersignatoryPayment: key } }],
    ['funding key', { broadcasterFundingKey: key }],
    ['delay', { toSelfDelayBlocks: 145 }],
    ['format', { format: 'static_remotekey' }],
    ['payment hash', claim(2, { paymentHash: sha256(key) })],
    ['amount', claim(2, { amountMsat: msat(2_001_000) })],
    ['direction', claim(2, { direction: 'received' })],
    ['expiry of a received HTLC', claim(0, { cltvExpiry: 499 })],
    ['one HTLC fewer', { htlcs: params.htlcs.slice(1) }],
    ['one HTLC more', { htlcs: [...params.htlcs, vectorHtlcs[0]!] }],
  ])('%s', (_name, change) => {
    expect(matchCommitmentOutputs(commitment.transaction, params).ok).toBe(true);
    expect(matchCommitmentOutputs(commitment.transaction, { ...params, ...change }).ok).toBe(false);
  });
  it('millisatoshis below a satoshi and the expiry of an offered HTLC are not in the outputs', () => {
    const change = claim(2, { amountMsat: msat(2_000_999), cltvExpiry: 77 });
    expect(matchCommitmentOutputs(commitment.transaction, { ...params, ...change }).ok).toBe(true);
  });
  it('impossible claims are a FormError', () => {
    const change = claim(2, { paymentHash: new Uint8Array(20) });
    expect(() => matchCommitmentOutputs(commitment.transaction, { ...params, ...change })).toThrow(FormError);
  });
  it.each(formats)('%s commitments match no other format', (format) => {
    const built = buildCommitment({ ...params, format });
    for (const other of formats) {
      const expectation = { ...params, format: other, htlcs: untrimmed(built) };
      const sameScripts = (other === 'static_remotekey') === (format === 'static_remotekey');
      expect(matchCommitmentOutputs(built.transaction, expectation).ok).toBe(sameScripts);
    }
  });
});
