/**
 * A revoked commitment of any age confirms (BOLT 5 "Revoked Transaction Close Handling"): everything of it is ours, in one
 * transaction and in parts, on both levels, at fees that rise until the adversary's delay ends.
 */
import {
  outPointToString,
  parseTransaction,
  sat,
  type Transaction,
  toHex,
  txid,
  weight,
} from '@countersign/bitcoin';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { signRemedy } from '../src/keys/sign-remedy.ts';
import { outputRecords, stubRecords } from '../src/records/chain.ts';
import { channelRecords } from '../src/records/channel.ts';
import { type Balances, htlc, type ModelHtlc, type ModelOptions } from './channel-model.ts';
import { CLOSED_AT, stubOf } from './closing-model.ts';
import { adding, FORMATS, KINDS, OpenChannel, removing } from './open-channel.ts';
import { RemedyModel } from './remedy-model.ts';
import { scriptFault } from './script-interpreter.ts';

const DELAY = 720;
const A = htlc('holder', 50_000, 'a', CLOSED_AT - 100);
const B = htlc('counterparty', 30_000, 'b', CLOSED_AT + 40);
const C = htlc('counterparty', 40_000, 'c', CLOSED_AT + 60);
const D = htlc('holder', 60_000, 'd', CLOSED_AT + 300);

/** Lives through `steps`, each with the HTLCs of its number. */
function living(steps: readonly (readonly ModelHtlc[])[], options: ModelOptions = {}) {
  const channel = new OpenChannel(options).open();
  const history: Balances[] = [channel.balances];
  for (const htlcs of steps) {
    let balances = channel.balances;
    for (const gone of balances.htlcs.filter((one) => !htlcs.includes(one)))
      balances = removing(balances, gone, 'failed');
    balances = adding(balances, ...htlcs.filter((one) => !balances.htlcs.includes(one)));
    channel.update(balances);
    history.push(balances);
  }
  return { channel, model: channel.model, history };
}

type Living = ReturnType<typeof living>;

function breached({ channel, model, history }: Living, number: number) {
  const built = model.build('counterparty', number, history[number]!);
  const remedies = new RemedyModel(channel);
  return { built, remedies: remedies.close('counterparty-revoked', number, built.tx) };
}

const outSat = (tx: Transaction) => tx.outputs.reduce((sum, { value }) => sum + value, 0n);
/** By what does not overlap. */
const claimed = (plan: ReturnType<RemedyModel['plan']>['remedies']) =>
  plan
    .filter(({ isFallback }) => !isFallback)
    .reduce((sum, { valueSat, feeSat }) => sum + valueSat + feeSat, 0n);
const anchorsSat = ({ model }: Living) => (model.format === 'static_remotekey' ? 0n : 660n);

describe.each(KINDS)('%s', (_, options) => {
  const alive = living([[A, B], [A, B, C, D], [B, D], [B]], options);

  it.each([1, 2, 3])('number %i: what is safe together, the HTLCs together and one by one', (number) => {
    const { built, remedies } = breached(alive, number);
    const { remedies: plan, unclaimed } = remedies.judged();
    const [safe, moved, ...parts] = plan;
    const htlcs = built.commitment.htlcs.length;
    const sum = (some: typeof plan) => some.reduce((total, one) => total + one.valueSat + one.feeSat, 0n);
    for (const one of [safe, moved]) {
      expect(one).toMatchObject({ kind: 'justice', isFallback: false, bump: 'replace' });
      expect(one!.deadlineHeightBlocks).toBe(CLOSED_AT + DELAY);
    }
    expect(sum([safe!, moved!])).toBe(outSat(built.tx) - anchorsSat(alive));
    expect(safe!.inputs).toHaveLength(2);
    expect(moved!.inputs).toHaveLength(htlcs);
    expect(parts).toHaveLength(htlcs);
    expect(parts.every(({ isFallback }) => isFallback)).toBe(true);
    expect(sum(parts)).toBe(sum([moved!]));
    expect(unclaimed.map(({ reason }) => reason)).toEqual(anchorsSat(alive) === 0n ? [] : ['anchor']);
  });

  it('every satoshi of the channel is ours, a fee, or an anchor', () => {
    const { built, remedies } = breached(alive, 2);
    const { savedSat, feesSat, left } = remedies.carryOut();
    expect(left.remedies).toEqual([]);
    const closeFeeSat = 1_000_000n - outSat(built.tx);
    expect(savedSat + feesSat + closeFeeSat + anchorsSat(alive)).toBe(1_000_000n);
    // At 1,000 sat per kw all of it costs less than half a percent.
    expect(feesSat).toBeLessThan(5_000n);
  });

  it('the peer moves HTLCs to the second level: those are ours there, until its delay ends', () => {
    const { built, remedies } = breached(alive, 2);
    const [first, second] = built.htlcTransactions;
    remedies.confirm(first!.transaction, CLOSED_AT + 5).confirm(second!.transaction, CLOSED_AT + 9);
    const { remedies: plan } = remedies.judged(CLOSED_AT + 9);
    // There nobody but us can spend them before the delay ends: they join what is safe.
    const spent = new Set(plan[0]!.transaction.inputs.map((input) => toHex(input.txid)));
    for (const { transaction } of [first!, second!]) expect(spent.has(toHex(txid(transaction)))).toBe(true);
    expect(plan.map(({ inputs }) => inputs.length)).toEqual([4, 2, 1, 1]);
    const { savedSat, feesSat } = remedies.carryOut(CLOSED_AT + 9);
    const htlcFeesSat = first!.feeSat + second!.feeSat;
    expect(savedSat + feesSat + htlcFeesSat + anchorsSat(alive)).toBe(outSat(built.tx));
  });

  it('whichever HTLC the peer takes first, the main outputs and every other HTLC have a transaction that stands', () => {
    const { built, remedies } = breached(alive, 2);
    const plan = remedies.judged();
    for (const { transaction } of built.htlcTransactions) {
      const { vout } = transaction.inputs[0]!;
      const standing = plan.remedies.filter((one) =>
        one.transaction.inputs.every((input) => input.vout !== vout),
      );
      const saved = new Set(standing.flatMap((one) => one.transaction.inputs.map((input) => input.vout)));
      expect(saved.size).toBe(2 + built.commitment.htlcs.length - 1);
    }
  });

  it('as the delay ends its output goes alone and pays what it can; HTLCs stay at the urgent rate', () => {
    const { built, remedies } = breached(alive, 2);
    const [second] = built.htlcTransactions;
    remedies.confirm(second!.transaction, CLOSED_AT + 9);
    const plan = remedies.judged(CLOSED_AT + DELAY - 1).remedies;
    // to_remote and what has moved; the other HTLCs; to_local; the HTLCs one by one.
    expect(plan.map(({ inputs }) => inputs.length)).toEqual([2, 3, 1, 1, 1, 1]);
    expect(plan.map(({ isFallback }) => isFallback)).toEqual([false, false, false, true, true, true]);
    expect(plan[0]!.deadlineHeightBlocks).toBe(CLOSED_AT + 9 + DELAY);
    const rateOf = ({ feeSat, weight: weightOf }: (typeof plan)[number]) =>
      Number((feeSat * 1000n) / BigInt(weightOf));
    expect(rateOf(plan[1]!)).toBe(5000);
    expect(rateOf(plan[2]!)).toBeGreaterThan(300_000);
    const before = remedies.judged(CLOSED_AT + DELAY - 73).remedies;
    expect(before.map(({ inputs }) => inputs.length)).toEqual([3, 3, 1, 1, 1]);
    expect(rateOf(before[0]!)).toBe(1000);
    expect(rateOf(remedies.judged(CLOSED_AT + DELAY - 72).remedies[0]!)).toBe(5000);
  });

  it('a commitment that the peer revokes after it confirmed is punished too', () => {
    const { tx } = alive.model.build('counterparty', 4, alive.history[4]!);
    const remedies = new RemedyModel(alive.channel).close('counterparty', 4, tx);
    expect(remedies.judged().remedies.some(({ kind }) => kind === 'justice')).toBe(false);
    const later = living([[A, B], [A, B, C, D], [B, D], [B], []], options);
    remedies.put(
      channelRecords,
      remedies.id,
      later.channel.signer.state.read(channelRecords, remedies.id)!.value,
    );
    expect(remedies.judged().remedies[0]).toMatchObject({ kind: 'justice', isFallback: false });
  });

  it('a stub that is missing: its output is left and reported, everything else is taken', () => {
    const { model, channel, history } = alive;
    const built = model.build('counterparty', 2, history[2]!);
    const remedies = new RemedyModel(channel);
    remedies.put(stubRecords, remedies.stubId(2), null);
    const plan = remedies.close('counterparty-revoked', 2, built.tx).judged();
    const unknown = plan.unclaimed.filter(({ reason }) => reason === 'script-unknown');
    expect(unknown.map(({ valueSat }) => valueSat)).toEqual([40_000n, 60_000n]);
    expect(claimed(plan.remedies) + 100_000n + anchorsSat(alive)).toBe(outSat(built.tx));
  });

  it('records that name another HTLC than the script has are not believed', () => {
    const { built, remedies } = breached(alive, 2);
    const { outputIndex } = built.commitment.htlcs[0]!;
    const at = built.commitment.htlcs[1]!.outputIndex;
    const idOf = (vout: number) => outPointToString({ txid: txid(built.tx), vout });
    const other = remedies.get(outputRecords, idOf(at))!;
    const record = remedies.get(outputRecords, idOf(outputIndex))!;
    remedies.put(outputRecords, idOf(outputIndex), { ...record, htlc: other.htlc });
    const plan = remedies.judged();
    expect(plan.unclaimed.filter(({ reason }) => reason === 'script-differs')).toHaveLength(1);
    expect(plan.remedies[1]!.inputs).toHaveLength(3);
  });

  it('another secret gives other scripts: nothing but to_remote is taken by it', () => {
    const { remedies } = breached(alive, 2);
    const record = remedies.record;
    const [first, ...rest] = record.counterpartySecrets;
    for (const at of [0, 31]) {
      const counterpartySecrets = [first!, ...rest].map((one) => {
        const secret = one.secret.slice();
        secret[at]! ^= 1;
        return { ...one, secret };
      });
      remedies.put(channelRecords, remedies.id, { ...record, counterpartySecrets });
      const plan = remedies.judged();
      expect(plan.remedies.map(({ kind }) => kind)).toEqual(['to-remote']);
      expect(plan.unclaimed.filter(({ reason }) => reason === 'script-differs')).toHaveLength(5);
    }
    remedies.put(channelRecords, remedies.id, { ...record, counterpartySecrets: [] });
    const plan = remedies.judged();
    expect(plan.remedies.map(({ kind }) => kind)).toEqual(['to-remote']);
    expect(plan.unclaimed.filter(({ reason }) => reason !== 'anchor')).toHaveLength(5);
  });

  it('the interpreter sees every wrong byte', () => {
    const { built, remedies } = breached(alive, 2);
    const [whole] = remedies.plan().remedies;
    const { ring } = remedies.channel.signer;
    const faults = (remedy: typeof whole) => {
      const raw = signRemedy(ring, remedy!);
      return parseTransaction(raw).inputs.map(({ vout }, i) => scriptFault(raw, i, built.tx.outputs[vout]!));
    };
    expect(faults(whole)).toEqual(whole!.inputs.map(() => null));
    const wrongSecret = whole!.inputs.map((one) =>
      one.key.kind === 'revocation'
        ? { ...one, key: { ...one.key, perCommitmentSecret: new Uint8Array(32).fill(7) } }
        : one,
    );
    expect(faults({ ...whole!, inputs: wrongSecret }).filter((one) => one === null)).toHaveLength(1);
    const wrongAmount = whole!.inputs.map((one) => ({
      ...one,
      spent: { ...one.spent, value: sat(one.spent.value + 1n) },
    }));
    expect(faults({ ...whole!, inputs: wrongAmount })).not.toContain(null);
    const unreleased = { ...whole!, isReleased: false };
    expect(() => signRemedy(ring, unreleased)).toThrow(/only when the record says/);
  });
});

describe('any age', () => {
  it.each(FORMATS)('%s: fifty commitments ago, with HTLCs that came and went since', (format) => {
    const all = Array.from({ length: 52 }, (_, i) =>
      htlc(i % 2 === 0 ? 'holder' : 'counterparty', 2_000 + 100 * i, `h${i}`, CLOSED_AT + i),
    );
    const steps = all.map((_, i) => all.slice(Math.max(0, i - 3), i + 1));
    const alive = living(steps, { format });
    for (const number of [1, 2, 50, 51]) {
      const { built, remedies } = breached(alive, number);
      const plan = remedies.judged(CLOSED_AT + 1);
      expect(claimed(plan.remedies)).toBe(outSat(built.tx) - anchorsSat(alive));
    }
  });
});

describe('as many HTLCs as a commitment can have', () => {
  it('more than one transaction may weigh: several take them all', () => {
    const alive = living([[A], []]);
    const many = Array.from({ length: 966 }, (_, i) =>
      htlc(i % 2 === 0 ? 'holder' : 'counterparty', 700 + i, `many ${i}`, CLOSED_AT + i),
    );
    const { model, channel } = alive;
    const balances = { ...adding(model.initial, ...many.slice(0, 10)), htlcs: many };
    const { tx } = model.build('counterparty', 1, balances);
    const remedies = new RemedyModel(channel);
    remedies.put(stubRecords, remedies.stubId(1), many.map(stubOf));
    remedies.close('counterparty-revoked', 1, tx);
    remedies.feerates = { normalPerKw: 253, urgentPerKw: 253 };
    const plan = remedies.plan();
    const primary = plan.remedies.filter(({ isFallback }) => !isFallback);
    expect(primary.map(({ inputs }) => inputs.length > 2)).toEqual([false, true, true]);
    expect(primary.reduce((sum, { inputs }) => sum + inputs.length, 0)).toBe(968);
    for (const one of primary) {
      const signed = remedies.sign(one);
      expect(weight(signed)).toBeLessThanOrEqual(400_000);
      expect(weight(signed)).toBeGreaterThan(100);
    }
  });
});

describe('property', () => {
  it('random HTLCs at a random age: all is taken, on whichever level', () => {
    const amount = fc.integer({ min: 1_500, max: 60_000 });
    const one = fc.record({
      amount,
      isOurs: fc.boolean(),
      expiry: fc.integer({ min: 1, max: 200 }),
      hash: fc.nat(3),
    });
    const steps = fc.array(fc.array(one, { maxLength: 4 }), { minLength: 2, maxLength: 5 });
    const moves = fc.array(fc.nat(9), { maxLength: 3 });
    const format = fc.constantFrom(...FORMATS);
    fc.assert(
      fc.property(steps, moves, fc.nat(100), format, fc.boolean(), (lists, moved, pick, kind, isOutbound) => {
        const htlcs = lists.map((list) =>
          list.map(({ amount: value, isOurs, expiry, hash }) =>
            htlc(isOurs ? 'holder' : 'counterparty', value, `p${isOurs} ${hash}`, CLOSED_AT + expiry),
          ),
        );
        const alive = living(htlcs, { format: kind, isOutbound });
        const number = pick % htlcs.length;
        const { built, remedies } = breached(alive, number);
        let paidSat = 0n;
        const transactions = [...new Set(moved)].flatMap((i) => built.htlcTransactions[i] ?? []);
        for (const { transaction, feeSat } of transactions) {
          remedies.confirm(transaction, CLOSED_AT + 3);
          paidSat += feeSat;
        }
        const { savedSat, feesSat, left } = remedies.carryOut(CLOSED_AT + 3);
        const leftSat = left.unclaimed.reduce(
          (sum, { valueSat, reason }) => sum + (reason === 'anchor' ? 0n : valueSat),
          0n,
        );
        expect(savedSat + feesSat + paidSat + leftSat + anchorsSat(alive)).toBe(outSat(built.tx));
        expect(left.unclaimed.every(({ reason }) => reason === 'anchor' || reason === 'below-fee')).toBe(
          true,
        );
      }),
      { numRuns: 40 },
    );
  });
});
