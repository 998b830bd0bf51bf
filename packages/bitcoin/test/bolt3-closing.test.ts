/** BOLT 3 "Legacy Closing Transaction", "Closing Transaction" and "Dust Limits". */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  buildLegacyClosing,
  buildSimpleClosing,
  type ClosingResult,
  closingWeight,
  closingWithOutputs,
  compareOutputs,
  FormError,
  fromHex,
  type LegacyClosing,
  msat,
  p2pkhScript,
  p2shScript,
  p2trScript,
  p2wpkhScript,
  p2wshScript,
  type SimpleClosing,
  sat,
  scriptDustLimitSat,
  type Transaction,
  weight,
} from '../src/index.ts';
import { channel } from './bolt3-channel.ts';

const hash20 = new Uint8Array(20).fill(7);
const hash32 = new Uint8Array(32).fill(7);
const ours = p2wpkhScript(hash20);
const theirs = p2wshScript(hash32);
const opReturn = fromHex('6a0401020304');

const legacy: LegacyClosing = {
  funding: channel.funding,
  funder: { balanceMsat: msat(7_000_000_999), script: ours },
  fundee: { balanceMsat: msat(2_999_999_001), script: theirs },
  feeSat: sat(1000),
  dustLimitSat: sat(546),
};
const simple: SimpleClosing = {
  funding: channel.funding,
  closer: legacy.funder,
  closee: legacy.fundee,
  feeSat: sat(1000),
  locktime: 812_345,
  outputs: 'both',
};

function transactionOf(result: ClosingResult): Transaction {
  if (!result.ok) throw new Error(result.reason);
  return result.transaction;
}

const pairs = (result: ClosingResult) =>
  transactionOf(result).outputs.map(({ value, script }) => [value, script]);

describe('BOLT 3 "Legacy Closing Transaction"', () => {
  it('has version 2, locktime 0, sequence 0xFFFFFFFF, outputs rounded down and ordered, the fee from the funder', () => {
    expect(transactionOf(buildLegacyClosing(legacy))).toEqual({
      version: 2,
      locktime: 0,
      inputs: [{ ...channel.funding, scriptSig: new Uint8Array(0), sequence: 0xffffffff, witness: [] }],
      outputs: [
        { value: 2_999_999n, script: theirs },
        { value: 6_999_000n, script: ours },
      ],
    });
  });
  it('leaves out what is below the dust limit, and only that', () => {
    const build = (funderMsat: number, fundeeMsat: number) =>
      buildLegacyClosing({
        ...legacy,
        funder: { ...legacy.funder, balanceMsat: msat(funderMsat) },
        fundee: { ...legacy.fundee, balanceMsat: msat(fundeeMsat) },
      });
    expect(pairs(build(1_546_000, 546_000))).toHaveLength(2);
    expect(pairs(build(1_545_999, 546_000))).toEqual([[546n, theirs]]);
    expect(pairs(build(1_546_000, 545_999))).toEqual([[546n, ours]]);
    expect(build(1_545_999, 545_999)).toEqual({ ok: false, reason: 'no-outputs' });
  });
  it('leaves out the output its owner gives up', () => {
    expect(pairs(buildLegacyClosing({ ...legacy, omit: 'funder' }))).toEqual([[2_999_999n, theirs]]);
    expect(pairs(buildLegacyClosing({ ...legacy, omit: 'fundee' }))).toEqual([[6_999_000n, ours]]);
  });
  it('reports a fee beyond the funder’s balance', () => {
    const feeSat = sat(7_000_001);
    const reason = { ok: false, reason: 'fee-exceeds-balance', balanceSat: 7_000_000n, feeSat };
    expect(buildLegacyClosing({ ...legacy, feeSat })).toEqual(reason);
    expect(buildLegacyClosing({ ...legacy, feeSat: sat(7_000_000) }).ok).toBe(true);
  });
});

describe('legacy closes by their outputs', () => {
  const value = (amount: bigint, script = ours) => ({ value: sat(amount), script });
  it('are what balances and fee give, in whatever order the outputs are named', () => {
    const built = buildLegacyClosing(legacy);
    const outputs = [value(6_999_000n), value(2_999_999n, theirs)];
    for (const named of [outputs, outputs.toReversed()])
      expect(closingWithOutputs(legacy.funding, named)).toEqual(built.ok && built.transaction);
  });
  it('leave out what is worth nothing; without any output there is none', () => {
    const one = closingWithOutputs(legacy.funding, [value(0n), value(9n, theirs)]);
    expect(one?.outputs).toEqual([value(9n, theirs)]);
    expect(closingWithOutputs(legacy.funding, [value(0n), value(0n, theirs)])).toBeNull();
    expect(closingWithOutputs(legacy.funding, [])).toBeNull();
  });
});

describe('BOLT 3 "Closing Transaction" (option_simple_close)', () => {
  it('has the locktime of closing_complete, sequence 0xFFFFFFFD, the fee from the closer', () => {
    const tx = transactionOf(buildSimpleClosing(simple));
    expect([tx.version, tx.locktime, tx.inputs[0]!.sequence]).toEqual([2, 812_345, 0xfffffffd]);
    expect(tx.outputs.map(({ value }) => value)).toEqual([2_999_999n, 6_999_000n]);
  });
  it('builds the variants with one output', () => {
    expect(pairs(buildSimpleClosing({ ...simple, outputs: 'closer' }))).toEqual([[6_999_000n, ours]]);
    expect(pairs(buildSimpleClosing({ ...simple, outputs: 'closee' }))).toEqual([[2_999_999n, theirs]]);
  });
  it('gives an OP_RETURN output nothing', () => {
    const closer = { ...simple.closer, script: opReturn };
    expect(pairs(buildSimpleClosing({ ...simple, closer }))).toEqual([
      [0n, opReturn],
      [2_999_999n, theirs],
    ]);
  });
  it('keeps outputs below any dust limit: the closer chose the variant', () => {
    const closee = { ...simple.closee, balanceMsat: msat(1999) };
    expect(pairs(buildSimpleClosing({ ...simple, closee }))[0]).toEqual([1n, theirs]);
  });
  it('reports a fee beyond the closer’s balance', () => {
    expect(buildSimpleClosing({ ...simple, feeSat: sat(7_000_001) })).toMatchObject({
      reason: 'fee-exceeds-balance',
    });
  });
  it.each([-1, 0.5, 2 ** 32])('refuses locktime %s', (locktime) => {
    expect(() => buildSimpleClosing({ ...simple, locktime })).toThrow(FormError);
  });
});

describe('closing transactions', () => {
  const script = fc.constantFrom(ours, theirs, p2pkhScript(hash20), p2shScript(hash20), p2trScript(hash32));
  const balance = fc.integer({ min: 0, max: 3_000_000 }).map(msat);
  const share = fc.record({ balanceMsat: balance, script });

  it('never pay out more than the balances less the fee, ordered by BIP 69', () => {
    fc.assert(
      fc.property(share, share, fc.integer({ min: 0, max: 4000 }).map(sat), (a, b, feeSat) => {
        const results = [
          buildLegacyClosing({ ...legacy, funder: a, fundee: b, feeSat, dustLimitSat: sat(330) }),
          buildSimpleClosing({ ...simple, closer: a, closee: b, feeSat }),
        ];
        for (const result of results) {
          if (!result.ok) continue;
          const { outputs } = result.transaction;
          const paid = outputs.reduce((sum, { value }) => sum + value, 0n);
          expect(paid + feeSat).toBeLessThanOrEqual((a.balanceMsat + b.balanceMsat) / 1000n);
          expect(outputs.toSorted(compareOutputs)).toEqual(outputs);
        }
        expect(results[1]!.ok).toBe(a.balanceMsat / 1000n >= feeSat);
      }),
    );
  });
  it('have the expected weight with signatures of 73 bytes', () => {
    fc.assert(
      fc.property(fc.array(script, { minLength: 1, maxLength: 2 }), (scripts) => {
        const signature = new Uint8Array(73);
        const witness = [new Uint8Array(0), signature, signature, new Uint8Array(71)];
        const tx = transactionOf(buildLegacyClosing(legacy));
        const outputs = scripts.map((to) => ({ value: sat(1000), script: to }));
        expect(closingWeight(scripts)).toBe(
          weight({ ...tx, outputs, inputs: [{ ...tx.inputs[0]!, witness }] }),
        );
      }),
    );
  });
});

describe('BOLT 3 "Dust Limits"', () => {
  it.each([
    ['p2pkh', p2pkhScript(hash20), 546n],
    ['p2sh', p2shScript(hash20), 540n],
    ['p2wpkh', ours, 294n],
    ['p2wsh', theirs, 330n],
    ['p2tr', p2trScript(hash32), 330n],
    ['p2a', fromHex('51024e73'), 240n],
    ['the longest unknown segwit version', fromHex(`6028${'00'.repeat(40)}`), 354n],
    ['OP_RETURN', opReturn, 0n],
  ])('%s', (_name, script, limit) => {
    expect(scriptDustLimitSat(script)).toBe(limit);
  });
});
