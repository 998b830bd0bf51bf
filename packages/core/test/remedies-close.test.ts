/**
 * What the signer would publish after an honest close, or one of a node that was rolled back (BOLT 5): every transaction
 * valid by an independent interpreter, and every satoshi of the channel accounted for.
 */
import { toHex } from '@countersign/bitcoin';
import { paymentRecords } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import type { ClosingKind } from '../src/records/chain.ts';
import { type Balances, hashOf, htlc, type ModelOptions, type Party } from './channel-model.ts';
import { CLOSED_AT } from './closing-model.ts';
import { adding, KINDS, OpenChannel } from './open-channel.ts';
import { RemedyModel } from './remedy-model.ts';

const A = htlc('holder', 50_000, 'a', CLOSED_AT + 10);
const B = htlc('counterparty', 30_000, 'b', CLOSED_AT + 40);
const C = htlc('counterparty', 40_000, 'c', CLOSED_AT + 60);
const D = htlc('holder', 60_000, 'd', CLOSED_AT + 300);

function living(options: ModelOptions = {}) {
  const channel = new OpenChannel(options).open();
  const first = adding(channel.balances, A, B);
  const second = adding(first, C, D);
  const history: Balances[] = [channel.balances, first, second];
  for (const balances of history.slice(1)) channel.update(balances);
  return { channel, model: channel.model, history };
}

type Living = ReturnType<typeof living>;

function closed({ channel, model, history }: Living, kind: ClosingKind, side: Party, number: number) {
  const { tx } = model.build(side, number, history[number] ?? history.at(-1)!);
  return new RemedyModel(channel).close(kind, number, tx);
}

/** Σ of the outputs of the close that are the peer's, or that the plan leaves, and its fee. */
function othersSat({ model, history }: Living, remedies: RemedyModel, side: Party, number: number) {
  const { tx } = model.build(side, number, history[number] ?? history.at(-1)!);
  const roles = remedies.outputsOf(side === 'holder' ? 'holder' : 'counterparty', number, tx);
  const theirs = roles.filter(({ role }) => role === 'main-counterparty' || role === 'anchor-counterparty');
  const theirsSat = theirs.reduce((sum, { vout }) => sum + tx.outputs[vout]!.value, 0n);
  const outSat = tx.outputs.reduce((sum, { value }) => sum + value, 0n);
  return theirsSat + (model.funding.valueSat - outSat);
}

const kindsOf = (plan: { readonly remedies: readonly { readonly kind: string }[] }) =>
  plan.remedies.map(({ kind }) => kind).toSorted();

describe.each(KINDS)('%s', (_, options) => {
  const alive = living(options);
  const isAnchored = options.format === 'anchors_zero_fee_htlc';

  it.each([
    ['holder', 'holder'],
    ['counterparty', 'counterparty'],
  ] as const)('closed by the %s: every satoshi is ours, the peer’s, or a fee', (kind, side) => {
    const remedies = closed(alive, kind, side, 2).learn(B, C);
    const { savedSat, feesSat, left } = remedies.carryOut();
    const leftSat = left.unclaimed.reduce((sum, { valueSat }) => sum + valueSat, 0n);
    expect(left.unclaimed.map(({ reason }) => reason)).toEqual(isAnchored ? ['anchor'] : []);
    expect(savedSat + feesSat + leftSat + othersSat(alive, remedies, side, 2)).toBe(1_000_000n);
  });

  it('our commitment: HTLCs through their transactions, the rest after its delay', () => {
    const remedies = closed(alive, 'holder', 'holder', 2).learn(B);
    const plan = remedies.judged();
    const second = isAnchored ? [] : ['delayed', 'delayed', 'delayed'];
    expect(kindsOf(plan)).toEqual(['delayed', ...second, 'htlc-success', 'htlc-timeout', 'htlc-timeout']);
    expect(plan.unclaimed.map(({ reason }) => reason).toSorted()).toEqual(
      isAnchored ? ['anchor', 'no-preimage'] : ['no-preimage'],
    );
    const of = (kind: string) => plan.remedies.filter((one) => one.kind === kind);
    expect(
      of('htlc-timeout')
        .map((one) => one.earliestHeightBlocks)
        .toSorted(),
    ).toEqual([A.cltvExpiry, D.cltvExpiry]);
    // What stands behind an offered HTLC expires `cltvDelta` (6) later; 2 blocks are kept to notice.
    expect(
      of('htlc-timeout')
        .map((one) => one.deadlineHeightBlocks)
        .toSorted(),
    ).toEqual([A.cltvExpiry + 4, D.cltvExpiry + 4]);
    expect(of('htlc-success')).toMatchObject([
      { earliestHeightBlocks: CLOSED_AT, deadlineHeightBlocks: B.cltvExpiry + 1 },
    ]);
    for (const one of plan.remedies.filter(({ kind }) => kind.startsWith('htlc'))) {
      expect(one.bump).toBe(isAnchored ? 'fee-input' : 'none');
      expect(one.feeSat === 0n).toBe(isAnchored);
      expect(one.isFinal).toBe(false);
    }
    const main = of('delayed').find(({ after }) => after === null)!;
    expect(main).toMatchObject({ earliestHeightBlocks: CLOSED_AT + 143, deadlineHeightBlocks: null });
    expect(main.transaction.inputs[0]!.sequence).toBe(144);
    for (const one of of('delayed').filter(({ after }) => after !== null)) {
      expect(one.transaction.inputs[0]!.sequence).toBe(144);
      expect(one.isFinal).toBe(true);
    }
    expect(plan.remedies.every((one) => one.isReleased && !one.isFallback && !one.isPunishable)).toBe(true);
  });

  it('their commitment: to_remote now, offered HTLCs after their expiry, received ones with the preimage', () => {
    const remedies = closed(alive, 'counterparty', 'counterparty', 2).learn(C);
    const plan = remedies.judged();
    expect(kindsOf(plan)).toEqual(['claim-preimage', 'claim-timeout', 'claim-timeout', 'to-remote']);
    const of = (kind: string) => plan.remedies.filter((one) => one.kind === kind);
    expect(of('to-remote')).toMatchObject([
      { earliestHeightBlocks: CLOSED_AT, deadlineHeightBlocks: null, bump: 'replace' },
    ]);
    expect(of('claim-preimage')).toMatchObject([
      { earliestHeightBlocks: CLOSED_AT, deadlineHeightBlocks: C.cltvExpiry + 1 },
    ]);
    expect(
      of('claim-timeout')
        .map((one) => one.transaction.locktime)
        .toSorted(),
    ).toEqual([A.cltvExpiry, D.cltvExpiry]);
    expect(plan.unclaimed.map(({ reason }) => reason).toSorted()).toEqual(
      isAnchored ? ['anchor', 'no-preimage'] : ['no-preimage'],
    );
  });

  it('an HTLC for an invoice of ours is the node’s to take, unless it was paid on', () => {
    const invoice = { amountMsat: null, expiresAtSeconds: 0 };
    const id = toHex(hashOf(C));
    for (const [kind, name] of [
      ['holder', 'htlc-success'],
      ['counterparty', 'claim-preimage'],
    ] as const) {
      const remedies = closed(alive, kind, kind, 2).learn(C);
      const optional = () =>
        remedies
          .judged()
          .remedies.filter((one) => one.isOptional)
          .map((one) => one.kind);
      expect(optional()).toEqual([]);
      const payment = remedies.get(paymentRecords, id)!;
      remedies.put(paymentRecords, id, { ...payment, invoice });
      expect(optional()).toEqual([name]);
      remedies.put(paymentRecords, id, { ...payment, invoice, settledMsat: 1n });
      expect(optional()).toEqual([]);
      const [part] = payment.parts;
      for (const begun of [{ outMsat: 1n }, { creditMaxMsat: 1n }]) {
        remedies.put(paymentRecords, id, { ...payment, invoice, parts: [{ ...part!, ...begun }] });
        expect(optional()).toEqual([]);
      }
      const elsewhere = { ...part!, channel: 'another', creditMaxMsat: 1n };
      remedies.put(paymentRecords, id, { ...payment, invoice, parts: [elsewhere] });
      expect(optional()).toEqual([name]);
    }
  });

  it('what the peer has claimed is gone, and a claim of ours too', () => {
    const remedies = closed(alive, 'counterparty', 'counterparty', 2).learn(B, C);
    const claim = remedies.judged().remedies.find(({ kind }) => kind === 'claim-preimage')!;
    remedies.confirm(remedies.sign(claim), CLOSED_AT + 1);
    expect(kindsOf(remedies.judged(CLOSED_AT + 1))).toEqual([
      'claim-preimage',
      'claim-timeout',
      'claim-timeout',
      'to-remote',
    ]);
    const { htlcTransactions } = alive.model.build('counterparty', 2, alive.history[2]!);
    for (const { transaction } of htlcTransactions) remedies.confirm(transaction, CLOSED_AT + 2);
    // Their second level is theirs.
    expect(kindsOf(remedies.judged(CLOSED_AT + 2))).toEqual(['to-remote']);
  });

  it('a commitment from the future: our main output, whatever else it holds', () => {
    const remedies = closed(alive, 'counterparty-future', 'counterparty', 9);
    const plan = remedies.judged();
    expect(kindsOf(plan)).toEqual(['to-remote']);
    const reasons = plan.unclaimed.map(({ reason }) => reason);
    expect(reasons.filter((reason) => reason === 'script-unknown')).toHaveLength(5);
  });

  it('an unknown spend of the funding: outputs that pay our keys', () => {
    const { tx } = alive.model.build('counterparty', 9, alive.history[2]!);
    const plan = new RemedyModel(alive.channel).close('unknown', null, tx).judged();
    expect(kindsOf(plan)).toEqual(['to-remote']);
  });

  it('a mutual close leaves nothing to do', () => {
    const tx = alive.model.closeTx(alive.model.initial);
    expect(new RemedyModel(alive.channel).close('mutual', null, tx).judged()).toMatchObject({
      remedies: [],
      unclaimed: [],
    });
  });

  it('a revoked commitment of ours: the delayed output, and it says that the peer may take it first', () => {
    const remedies = closed(alive, 'holder-revoked', 'holder', 1);
    const plan = remedies.judged();
    expect(plan.remedies).toMatchObject([
      { kind: 'delayed', isPunishable: true, deadlineHeightBlocks: CLOSED_AT + 1 },
    ]);
    expect(plan.unclaimed.map(({ reason }) => reason).filter((reason) => reason !== 'anchor')).toEqual([
      'no-key-material',
      'no-key-material',
    ]);
    const { htlcTransactions } = alive.model.build('holder', 1, alive.history[1]!);
    remedies.confirm(htlcTransactions[0]!.transaction, CLOSED_AT + 20);
    expect(kindsOf(remedies.judged(CLOSED_AT + 20))).toEqual(['delayed', 'delayed']);
  });
});
