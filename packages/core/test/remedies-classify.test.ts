/**
 * The outputs of a transaction that closed a channel get their roles by their scripts alone (BOLT 3, BOLT 5), at any age,
 * under leases, and where the record knows too little; second-level outputs are found beside their inputs.
 */
import { p2wpkhOfKey, ripemd160, sat, type Transaction } from '@countersign/bitcoin';
import { describe, expect, it } from 'vitest';
import { type ClosingKind, stubRecords } from '../src/records/chain.ts';
import { channelRecords } from '../src/records/channel.ts';
import { secondLevelOutputs } from '../src/remedies/classify-outputs.ts';
import { type Balances, type Built, hashOf, htlc, input, type Party } from './channel-model.ts';
import { ClosingModel } from './closing-model.ts';
import { adding, KINDS, OpenChannel, removing } from './open-channel.ts';
import { bytesOf } from './test-signer.ts';

const A = htlc('holder', 50_000, 'a', 700_010);
const B = htlc('counterparty', 30_000, 'b', 700_020);
const C = htlc('counterparty', 40_000, 'c', 700_030);
const D = htlc('holder', 60_000, 'd', 700_040);

/** Both at commitment 3: 1 has A B, 2 has A B C D, 3 has B D. */
function living(options = {}) {
  const channel = new OpenChannel(options).open();
  const first = adding(channel.balances, A, B);
  const second = adding(first, C, D);
  const third = removing(removing(second, A, 'failed'), C, 'failed');
  const history: Balances[] = [channel.balances, first, second, third];
  for (const balances of history.slice(1)) channel.update(balances);
  return { channel, model: channel.model, history };
}

/** Roles as BOLT 3's builder has them. */
function expected({ commitment }: Built, side: Party) {
  const mine = (isBroadcasters: boolean) =>
    (side === 'holder') === isBroadcasters ? 'holder' : 'counterparty';
  return commitment.outputs.map(({ kind }) => {
    if (kind === 'to_local') return `main-${mine(true)}`;
    if (kind === 'to_remote') return `main-${mine(false)}`;
    if (kind === 'local_anchor') return `anchor-${mine(true)}`;
    return kind === 'remote_anchor' ? `anchor-${mine(false)}` : 'htlc';
  });
}

describe.each(KINDS)('outputs of commitments, %s', (_, options) => {
  const { channel, model, history } = living(options);
  const closing = new ClosingModel(channel);

  const cases: readonly (readonly [ClosingKind, Party, number])[] = [
    ['holder', 'holder', 3],
    ['holder-revoked', 'holder', 2],
    ['counterparty', 'counterparty', 3],
    ['counterparty-revoked', 'counterparty', 2],
    ['counterparty-revoked', 'counterparty', 1],
    ['counterparty-revoked', 'counterparty', 0],
  ];
  it.each(cases)('%s, of the %s, number %i', (kind, side, number) => {
    const built = model.build(side, number, history[number]!);
    const outputs = closing.outputsOf(kind, number, built.tx);
    expect(outputs.map(({ role }) => role)).toEqual(expected(built, side));
    const isKnown = kind === 'holder' || kind === 'counterparty';
    for (const { outputIndex, htlcIndex } of built.commitment.htlcs) {
      const source = history[number]!.htlcs[htlcIndex]!;
      expect(outputs[outputIndex]!.htlc).toEqual({
        offeredBy: source.offeredBy,
        paymentHash160: ripemd160(hashOf(source)),
        cltvExpiry: source.cltvExpiry,
        paymentHash: isKnown ? hashOf(source) : null,
        amountMsat: isKnown ? source.amountMsat : null,
      });
    }
    expect(outputs.every(({ vout }, i) => vout === i)).toBe(true);
  });

  it('of a commitment that the store never signed: our main output and the anchors', () => {
    const built = model.build('counterparty', 9, history[2]!);
    const roles = expected(built, 'counterparty').map((role) =>
      role === 'htlc' || role === 'main-counterparty' ? 'unknown' : role,
    );
    for (const kind of ['counterparty-future', 'unknown'] as const)
      expect(closing.outputsOf(kind, 9, built.tx).map(({ role }) => role)).toEqual(roles);
  });

  it('of a number whose secret or point nobody has: the same', () => {
    const built = model.build('counterparty', 9, history[2]!);
    for (const kind of ['counterparty', 'counterparty-revoked', 'unknown'] as const)
      for (const number of [9, null])
        expect(
          closing.outputsOf(kind, number, built.tx).filter(({ role }) => role === 'main-holder'),
        ).toHaveLength(1);
  });

  it('of a mutual close: none to follow', () => {
    expect(closing.outputsOf('mutual', null, model.closeTx(model.initial))).toEqual([]);
  });

  it('a missing stub leaves its outputs unknown, and only those', () => {
    const behind = new ClosingModel(channel);
    behind.put(stubRecords, behind.stubId(2), null);
    const built = model.build('counterparty', 2, history[2]!);
    const lost = built.commitment.htlcs.filter(({ htlcIndex }) =>
      [C, D].includes(history[2]!.htlcs[htlcIndex]!),
    );
    const unknown = behind
      .outputsOf('counterparty-revoked', 2, built.tx)
      .filter(({ role }) => role === 'unknown');
    expect(unknown.map(({ vout }) => vout)).toEqual(lost.map(({ outputIndex }) => outputIndex));
  });

  it('a stub of a later number explains nothing', () => {
    const behind = new ClosingModel(channel);
    behind.put(stubRecords, behind.stubId(1), null);
    const known = behind.get(stubRecords, behind.stubId(2))!;
    behind.put(stubRecords, behind.stubId(2), [...known, { ...known[0]!, ...stubLike(B) }]);
    const built = model.build('counterparty', 1, history[1]!);
    const roles = behind.outputsOf('counterparty-revoked', 1, built.tx).map(({ role }) => role);
    expect(roles.filter((role) => role === 'unknown')).toHaveLength(2);
  });

  it('a stranger’s output in a revoked commitment is unknown', () => {
    const { tx } = model.build('counterparty', 2, history[2]!);
    const odd: Transaction = {
      ...tx,
      outputs: [...tx.outputs, { value: sat(1000), script: p2wpkhOfKey(model.counterparty.payment) }],
    };
    expect(closing.outputsOf('counterparty-revoked', 2, odd).at(-1)!.role).toBe('unknown');
  });
});

const stubLike = (one: typeof B) => ({
  isOfferedByHolder: false,
  paymentHash160: ripemd160(hashOf(one)),
  cltvExpiry: one.cltvExpiry,
});

describe('equal outputs', () => {
  it('HTLCs of one script and amount are told apart by BOLT 3’s order: the earliest expiry first', () => {
    const late = htlc('holder', 20_000, 'same', 700_200);
    const early = htlc('holder', 20_000, 'same', 700_100);
    const more = htlc('holder', 21_000, 'same', 700_050);
    const channel = new OpenChannel().open();
    const balances = adding(channel.balances, late, early, more);
    channel.update(balances);
    const closing = new ClosingModel(channel);
    const { tx } = channel.model.build('holder', 1, balances);
    const found = closing.outputsOf('holder', 1, tx).flatMap(({ htlc: one }) => one?.cltvExpiry ?? []);
    expect(found).toEqual([700_100, 700_200, 700_050]);
  });
});

describe('leases', () => {
  it.each([
    ['ours, in our commitment', false, 'holder'],
    ['ours, in the peer’s', false, 'counterparty'],
    ['the peer’s, in its own', true, 'counterparty'],
    ['the peer’s, in ours', true, 'holder'],
  ] as const)('%s', (_, isOutbound, side) => {
    const channel = new OpenChannel({ isOutbound }).open();
    channel.update(channel.balances);
    const closing = new ClosingModel(channel);
    const { record } = closing;
    closing.put(channelRecords, closing.id, { ...record, leaseSigned: !isOutbound });
    const built = channel.model.build(side, 1, channel.balances, channel.model.funding, {
      leaseCsvBlocks: 3000,
    });
    const kind = side === 'holder' ? 'holder' : 'counterparty';
    expect(closing.outputsOf(kind, 1, built.tx).map(({ role }) => role)).toEqual(expected(built, side));
    closing.put(channelRecords, closing.id, {
      ...record,
      candidates: record.candidates.map((one) => ({ ...one, pushValue: 0n })),
    });
    const unleased = closing.outputsOf(kind, 1, built.tx).map(({ role }) => role);
    expect(unleased).toContain('unknown');
    // Of a commitment from the future only a lease of our own output is told.
    if (side === 'counterparty' && isOutbound)
      expect(closing.outputsOf('counterparty-future', 1, built.tx).map(({ role }) => role)).toContain(
        'main-holder',
      );
  });

  it('a funding that is not on record any more may have been leased', () => {
    const channel = new OpenChannel().open();
    const closing = new ClosingModel(channel);
    const built = channel.model.build('counterparty', 0, channel.balances, channel.model.funding, {
      leaseCsvBlocks: 3000,
    });
    closing.put(channelRecords, closing.id, { ...closing.record, candidates: [] });
    const roles = closing.outputsOf('counterparty', 0, built.tx).map(({ role }) => role);
    // All but the peer's anchor, which needs its funding key.
    expect(roles.toSorted()).toEqual(['anchor-holder', 'main-counterparty', 'main-holder', 'unknown']);
    expect(closing.outputsOf('counterparty-future', 9, built.tx).map(({ role }) => role)).toContain(
      'main-holder',
    );
  });
});

describe.each(KINDS)('second-level outputs, %s', (_, options) => {
  const { channel, model, history } = living(options);
  const closing = new ClosingModel(channel);
  const funding = model.funding.outpoint;
  const { record } = closing;

  it.each([
    ['holder', 'holder', 3],
    ['counterparty', 'counterparty', 3],
    ['counterparty-revoked', 'counterparty', 2],
  ] as const)('%s: the output at the index of its input', (kind, side, number) => {
    const { htlcTransactions } = model.build(side, number, history[number]!);
    for (const { transaction } of htlcTransactions) {
      const found = (tx: Transaction, at: number) =>
        secondLevelOutputs(closing.place, { record, closing: { kind, number, funding }, tx, inputIndex: at });
      expect(found(transaction, 0)).toEqual([0]);
      // With anchors other inputs and outputs may stand beside it.
      const wallet = input({ txid: bytesOf('a coin'), vout: 0 });
      const change = { value: sat(1000), script: p2wpkhOfKey(model.counterparty.payment) };
      const mingled = {
        ...transaction,
        inputs: [wallet, ...transaction.inputs],
        outputs: [change, ...transaction.outputs],
      };
      expect(found(mingled, 1)).toEqual([1]);
      expect(found(mingled, 0)).toEqual([]);
      expect(found(transaction, 1)).toEqual([]);
    }
  });

  it('none where the point is not known, nor of a mutual close', () => {
    const { htlcTransactions } = model.build('counterparty', 3, history[3]!);
    for (const kind of ['counterparty-future', 'unknown', 'mutual'] as const) {
      const tx = htlcTransactions[0]!.transaction;
      const close = { kind, number: 3, funding };
      expect(secondLevelOutputs(closing.place, { record, closing: close, tx, inputIndex: 0 })).toEqual([]);
    }
  });

  it('none where a claim pays elsewhere', () => {
    const { htlcTransactions } = model.build('counterparty', 2, history[3]!);
    const tx = htlcTransactions[0]!.transaction;
    const close = { kind: 'counterparty' as const, number: 3, funding };
    expect(secondLevelOutputs(closing.place, { record, closing: close, tx, inputIndex: 0 })).toEqual([]);
  });
});
