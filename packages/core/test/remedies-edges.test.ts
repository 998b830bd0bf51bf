/**
 * Plans from records that lack something or contradict each other: what can't be proven is left alone and named, and the
 * rest is saved all the same.
 */
import { outPointToString, type Transaction, txid } from '@countersign/bitcoin';
import { describe, expect, it } from 'vitest';
import { closingRecords, outputRecords } from '../src/records/chain.ts';
import { channelRecords } from '../src/records/channel.ts';
import { forceClose } from '../src/remedies/force-close.ts';
import { htlc } from './channel-model.ts';
import { CLOSED_AT } from './closing-model.ts';
import { adding, FORMATS, OpenChannel } from './open-channel.ts';
import { FEERATES, RemedyModel } from './remedy-model.ts';

const A = htlc('holder', 50_000, 'a', CLOSED_AT + 10);
const B = htlc('counterparty', 30_000, 'b', CLOSED_AT + 40);

function living(format: (typeof FORMATS)[number] = 'anchors_zero_fee_htlc') {
  const channel = new OpenChannel({ format }).open();
  return channel.update(adding(channel.balances, A, B));
}

const reasonsOf = ({ unclaimed }: ReturnType<RemedyModel['plan']>) =>
  unclaimed
    .map(({ reason }) => reason)
    .filter((reason) => reason !== 'anchor')
    .toSorted();

/** Changes the records of all HTLC outputs of a close. */
function changeHtlcs(remedies: RemedyModel, tx: Transaction, change: 'no htlc' | 'no hash') {
  for (const vout of remedies.get(closingRecords, remedies.id)!.outputs) {
    const id = outPointToString({ txid: txid(tx), vout });
    const output = remedies.get(outputRecords, id)!;
    if (output.role !== 'htlc') continue;
    const changed = change === 'no htlc' ? null : { ...output.htlc!, paymentHash: null };
    remedies.put(outputRecords, id, { ...output, htlc: changed });
  }
}

describe.each(FORMATS)('%s', (format) => {
  it('HTLC outputs of which the record tells nothing', () => {
    const channel = living(format);
    const current = channel.model.build('counterparty', 1, channel.balances);
    const remedies = new RemedyModel(channel).learn(B).close('counterparty', 1, current.tx);
    changeHtlcs(remedies, current.tx, 'no hash');
    // Ours comes back by its script alone; the peer's takes a preimage, which only the whole hash finds.
    expect(
      remedies
        .judged()
        .remedies.map(({ kind }) => kind)
        .toSorted(),
    ).toEqual(['claim-timeout', 'to-remote']);
    expect(reasonsOf(remedies.plan())).toEqual(['no-preimage']);
    changeHtlcs(remedies, current.tx, 'no htlc');
    expect(reasonsOf(remedies.plan())).toEqual(['no-key-material', 'no-key-material']);

    channel.update({ ...channel.balances, feeratePerKw: 1100 });
    const breach = new RemedyModel(channel).close('counterparty-revoked', 1, current.tx);
    changeHtlcs(breach, current.tx, 'no htlc');
    expect(reasonsOf(breach.plan())).toEqual(['no-key-material', 'no-key-material']);
    expect(breach.judged().remedies[0]!.inputs).toHaveLength(2);
  });

  it('a point without its secret punishes nothing', () => {
    const channel = living(format);
    const { tx } = channel.model.build('counterparty', 1, channel.balances);
    const point = channel.model.point('counterparty', 1);
    channel.update({ ...channel.balances, feeratePerKw: 1100 });
    const remedies = new RemedyModel(channel);
    const { record } = remedies;
    const points = [...record.counterpartyPoints, { number: 1, point }].slice(-2);
    const changes = { counterpartySecrets: [], counterpartyPoints: points };
    remedies.put(channelRecords, remedies.id, { ...record, ...changes });
    const plan = remedies.close('counterparty-revoked', 1, tx).judged();
    expect(plan.remedies.map(({ kind }) => kind)).toEqual(['to-remote']);
    expect(reasonsOf(plan)).toEqual(['no-key-material', 'no-key-material', 'no-key-material']);
  });

  it('second-level outputs whose point or script is not known', () => {
    const channel = living(format);
    const { tx, htlcTransactions } = channel.model.build('counterparty', 1, channel.balances);
    channel.update({ ...channel.balances, feeratePerKw: 1100 });
    const remedies = new RemedyModel(channel).close('counterparty-revoked', 1, tx);
    for (const { transaction } of htlcTransactions) remedies.confirm(transaction, CLOSED_AT + 2);
    const id = `${outPointToString({ txid: txid(htlcTransactions[0]!.transaction), vout: 0 })}`;
    const second = remedies.get(outputRecords, id)!;
    const created = { ...second.created!, script: channel.model.fundingOutput().script };
    remedies.put(outputRecords, id, { ...second, created });
    expect(reasonsOf(remedies.plan(CLOSED_AT + 2))).toEqual(['script-differs']);
    const { record } = remedies;
    remedies.put(channelRecords, remedies.id, { ...record, counterpartySecrets: [] });
    expect(reasonsOf(remedies.plan(CLOSED_AT + 2))).toEqual([
      'no-key-material',
      'no-key-material',
      'script-differs',
    ]);
  });

  it('a side without a main output: our commitment is rebuilt without it and its anchor', () => {
    for (const isOutbound of [true, false]) {
      const channel = new OpenChannel({ format, isOutbound, pushMsat: 0n }).open();
      const remedies = new RemedyModel(channel).know(channel.model.funding.tx, null);
      const outcome = forceClose(
        { place: remedies.place, chain: null, heightBlocks: CLOSED_AT, feerates: FEERATES },
        remedies.id,
      );
      if (outcome.ok) remedies.state.apply(outcome.changes);
      const [commitment, ...rest] = remedies.judged().remedies;
      expect(commitment!.valueSat > 0n).toBe(isOutbound);
      expect(rest.map(({ kind }) => kind)).toEqual(isOutbound ? ['delayed'] : []);
      expect(commitment!.transaction.outputs).toHaveLength(format === 'static_remotekey' ? 1 : 2);
    }
  });

  it('our commitment revoked after it confirmed counts as revoked', () => {
    const channel = living(format);
    const { tx } = channel.model.build('holder', 1, channel.balances);
    const remedies = new RemedyModel(channel).close('holder', 1, tx);
    expect(remedies.judged().remedies.some(({ kind }) => kind.startsWith('htlc'))).toBe(true);
    remedies.put(channelRecords, remedies.id, { ...remedies.record, holderNextRevoke: 2 });
    expect(remedies.judged().remedies).toMatchObject([{ kind: 'delayed', isPunishable: true }]);
  });

  it('a close whose number nobody knows', () => {
    const channel = living(format);
    const { tx } = channel.model.build('counterparty', 1, channel.balances);
    const plan = new RemedyModel(channel).close('counterparty', null, tx).judged();
    expect(plan.remedies.map(({ kind }) => kind)).toEqual(['to-remote']);
  });
});

it('no commitment that no law has judged', () => {
  const remedies = new RemedyModel(new OpenChannel().open());
  const candidates = remedies.record.candidates.map((one) => ({
    ...one,
    validated: one.validated.map((content) => ({ ...content, ledger: null })),
  }));
  remedies.put(channelRecords, remedies.id, { ...remedies.record, candidates });
  expect(remedies.plan()).toMatchObject({ remedies: [], unclaimed: [{ reason: 'no-commitment' }] });
});

it('a bug is no refusal', () => {
  const remedies = new RemedyModel(new OpenChannel().open());
  const keys = {
    ...remedies.place.keys,
    fundingPublicKey: () => {
      throw new Error('broken');
    },
  };
  const place = { ...remedies.place, keys };
  const input = { place, chain: null, heightBlocks: CLOSED_AT, feerates: FEERATES };
  expect(() => forceClose(input, remedies.id)).toThrow('broken');
});
