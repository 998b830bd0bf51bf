/** A peer has two fundings of one channel mined, with something of ours in each: both are closed, claimed, punished. */
import { equalBytes, outPointToString, txid } from '@countersign/bitcoin';
import { channelRecords, Draft, isOver, outputRecords, paymentRecords } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { htlc } from './channel-model.ts';
import { deliver, hashOf, recordOf } from './forwarder.ts';
import { adding, FORMATS } from './open-channel.ts';
import { put } from './spending-model.ts';
import { bytesOf } from './test-signer.ts';
import { PUSHED_SAT, spends, TwoFundings } from './two-fundings.ts';

describe.each(FORMATS)('two fundings on the chain, %s', (format) => {
  const begun = () => new TwoFundings({ format }).mineBoth();

  it('are both closed by us, each with its claim', () => {
    const two = begun();
    expect(two.commitments()).toEqual([
      { of: 'second', isReleased: false },
      { of: 'first', isReleased: false },
    ]);
    expect(() => two.signAll()).toThrow(/only when the record says/);
    const outcome = two.close();
    expect(outcome).toMatchObject({ ok: true, left: [] });
    expect(outcome.ok && outcome.events).toMatchObject([
      { event: 'channel-force-closed', facts: { number: 0 } },
      { event: 'channel-force-closed', facts: { number: 0 } },
    ]);
    expect(two.planned()).toEqual([
      ['commitment', 'second'],
      ['delayed', 'not mined'],
      ['commitment', 'first'],
      ['delayed', 'not mined'],
    ]);
    expect(two.signAll()).toHaveLength(4);
    const closes = [two.commitment('holder', 0, two.first), two.commitment('holder', 0, two.second)];
    two.signer.mine(closes[1]!);
    expect(two.closing).toBeNull();
    expect(two.others).toMatchObject([{ kind: 'holder', number: 0 }]);
    two.signer.mine(closes[0]!);
    expect(two.closing).toMatchObject({ kind: 'holder', funding: { txid: two.first.outpoint.txid } });
    expect(two.planned()).toEqual([
      ['delayed', 'close of the first'],
      ['delayed', 'close of the second'],
    ]);
    const claims = two.plan.remedies.map(({ valueSat }) => valueSat);
    expect(claims.every((valueSat) => valueSat > PUSHED_SAT - 10_000n)).toBe(true);
    expect(two.signAll()).toHaveLength(2);
  });

  it.each([
    ['first', 'second'],
    ['second', 'first'],
  ] as const)('when the peer closes the %s, the %s is ours to close', (gone, left) => {
    const two = begun();
    two.signer.mine(two.commitment('counterparty', 0, two[gone]));
    expect(two.planned()).toEqual([
      ['to-remote', `close of the ${gone}`],
      ['commitment', left],
      ['delayed', 'not mined'],
    ]);
    expect(two.commitments()).toEqual([{ of: left, isReleased: false }]);
    // The channel is where the other funding is: that one ends it.
    expect(two.standing).toBe('open');
    two.close();
    expect(two.commitments()).toEqual([{ of: left, isReleased: true }]);
    expect(two.standing).toBe('closing');
    two.signer.mine(two.commitment('holder', 0, two[left]));
    expect(two.planned()).toEqual([
      ['delayed', `close of the ${left}`],
      ['to-remote', `close of the ${gone}`],
    ]);
    expect(two.signAll()).toHaveLength(2);
  });

  it('when the channel ended before the second was mined, it is closed too', () => {
    const two = new TwoFundings({ format }).mineFirst();
    two.signer.mine(two.commitment('counterparty', 0, two.first));
    expect(two.planned()).toEqual([['to-remote', 'close of the first']]);
    expect(two.close()).toMatchObject({ ok: true, changes: [], events: [] });
    two.mineSecond();
    expect(two.closing).toMatchObject({ kind: 'counterparty', funding: { txid: two.first.outpoint.txid } });
    expect(two.commitments()).toEqual([{ of: 'second', isReleased: false }]);
    expect(two.close()).toMatchObject({ ok: true, events: [{ event: 'channel-force-closed' }] });
    two.signer.mine(two.transactionOf(two.second));
    expect(two.others).toMatchObject([{ kind: 'holder', funding: { txid: two.second.outpoint.txid } }]);
    expect(two.planned().map(([kind]) => kind)).toEqual(['to-remote', 'delayed']);
  });

  it('a revoked commitment on each is punished, in either order', () => {
    for (const order of [['first', 'second'] as const, ['second', 'first'] as const]) {
      const two = new TwoFundings({ format }).mineFirst();
      const old = two.channel.balances;
      two.channel.update({ ...old, feeratePerKw: 1001 });
      two.mineSecond();
      for (const on of order) two.signer.mine(two.commitment('counterparty', 0, two[on], old));
      expect(two.planned()).toEqual([
        ['justice', `close of the ${order[1]}`],
        ['justice', `close of the ${order[0]}`],
      ]);
      const taken = two.plan.remedies.map(({ valueSat }) => valueSat);
      expect(taken.every((valueSat) => valueSat > 950_000n)).toBe(true);
      expect(two.alarms).toEqual(['breach', 'breach']);
      expect(two.deadlines.filter(({ what }) => what === 'penalty').length).toBeLessThanOrEqual(2);
      expect(two.signAll()).toHaveLength(2);
    }
  });

  it('HTLCs are claimed on both, through the second level of our commitment and on that of the peer', () => {
    const two = new TwoFundings({ format }).mineFirst();
    const offered = htlc('holder', 50_000, 'ours', 60);
    const received = htlc('counterparty', 60_000, 'theirs', 70);
    two.channel.update(adding(two.channel.balances, offered, received));
    deliver(two.signer, received);
    two.mineSecond();
    const theirs = two.commitment('counterparty', 1, two.first);
    two.signer.mine(theirs);
    two.close();
    expect(two.planned()).toEqual([
      ['claim-timeout', 'close of the first'],
      ['claim-preimage', 'close of the first'],
      ['to-remote', 'close of the first'],
      ...['commitment', 'htlc-timeout', 'htlc-success'].map((kind) => [kind, expect.any(String)]),
      ...(format === 'static_remotekey' ? ['delayed', 'delayed'] : []).map((kind) => [kind, 'not mined']),
      ['delayed', 'not mined'],
    ]);
    const ours = two.channel.model.build('holder', 1, two.channel.balances, two.second);
    const [one] = ours.htlcTransactions;
    two.signer.mine(ours.tx, one!.transaction);
    const second = { txid: txid(one!.transaction), vout: 0 };
    const id = `${Buffer.from(second.txid).reverse().toString('hex')}:0`;
    expect(two.signer.read(outputRecords, id)).toMatchObject({ role: 'second-level', spent: null });
    expect(two.plan.remedies.some(({ inputs }) => equalBytes(inputs[0]!.outpoint.txid, second.txid))).toBe(
      true,
    );
    expect(two.signAll().length).toBe(two.plan.remedies.length);
  });
});

describe('one that was closed before the other was mined', () => {
  /** The peer's commitment on the first is buried, with an HTLC of ours; the second comes then. */
  function ended() {
    const two = new TwoFundings().mineFirst();
    const offered = htlc('holder', 50_000, 'ours', 40);
    two.channel.update(adding(two.channel.balances, offered));
    const close = two.commitment('counterparty', 1, two.first);
    two.signer.mineEmpty(20).mine(close).mineEmpty(8);
    const at = close.outputs.findIndex(({ value }) => value === 50_000n);
    const outMsat = () =>
      two.signer.read(paymentRecords, hashOf(offered))?.parts.map(({ outMsat: msat }) => msat);
    return { two, timeout: spends(close, [at]), outMsat };
  }

  it('has its HTLCs claimed twice, so an incoming one waits for both', () => {
    const { two, timeout, outMsat } = ended();
    two.mineSecond();
    two.signer.mine(...timeout).mineEmpty(8);
    expect(outMsat()).toEqual([50_000_000n]);
    const alone = ended();
    alone.two.signer.mine(...alone.timeout).mineEmpty(8);
    expect(alone.outMsat()).toEqual([0n]);
  });

  it('has the deadline of an HTLC that the other one has too', () => {
    const { two } = ended();
    expect(two.deadlines).toEqual([]);
    two.mineSecond();
    expect(two.deadlines).toMatchObject([{ what: 'offered-htlc-expires', amountMsat: 50_000_000n }]);
  });

  it('is one of ours: its second level is followed, whatever ends the channel', () => {
    const two = new TwoFundings().mineFirst();
    two.channel.update(adding(two.channel.balances, htlc('holder', 50_000, 'ours', 60)));
    two.mineSecond();
    const ours = two.channel.model.build('holder', 1, two.channel.balances, two.first);
    two.close();
    two.signer.mine(ours.tx).mine(two.commitment('counterparty', 1, two.second));
    expect(two.others).toMatchObject([{ kind: 'holder' }]);
    const second = ours.htlcTransactions[0]!.transaction;
    two.signer.mine(second);
    const output = two.signer.read(outputRecords, outPointToString({ txid: txid(second), vout: 0 }));
    expect(output).toMatchObject({ role: 'second-level', spent: null });
  });
});

describe('a funding with nothing of ours in it', () => {
  it('is left to the peer, and the other one is over only while something of its close is open', () => {
    const two = new TwoFundings({ pushMsat: 0n });
    const { channel } = two;
    const { model } = channel;
    const third = model.newFunding('third round', two.first.valueSat);
    const pushed = { ...model.initial, holderMsat: 300_000_000n, counterpartyMsat: 700_000_000n };
    channel.ask({ ...model.setup(third), pushValue: 300_000_000n });
    channel.ask(model.validate(0, pushed, third));
    channel.ask(model.signRemote(0, pushed, third));
    two.name(third.tx, 'third').mineBoth().signer.mine(third.tx);
    expect(two.commitments()).toEqual([{ of: 'third', isReleased: false }]);
    // The channel would lose what is in the third, though it has nothing on the first.
    channel.ask(model.lock(two.first));
    const next = { ...channel.balances, feeratePerKw: 1001 };
    expect(channel.tagOf(model.signRemote(1, next))).toBe('policy-candidate-exclusive');
    const close = model.build('counterparty', 0, pushed, third).tx;
    two.signer.mine(close);
    const over = () => {
      const { state } = two.signer;
      return isOver({ draft: new Draft(state) }, { id: two.id, record: recordOf(channel) });
    };
    expect(over()).toBe(true);
    const all = close.outputs.map((_, vout) => vout);
    two.signer.mine(...spends(close, all)).mineEmpty(145);
    expect(over()).toBe(false);
    channel.ask(model.signRemote(1, next));
  });
});

describe('a reorganisation', () => {
  it('takes back the close of one funding, and the other one’s stays', () => {
    const two = new TwoFundings().mineBoth();
    const fork = two.signer.view.heightBlocks;
    two.signer.mine(two.commitment('counterparty', 0, two.second));
    const between = two.signer.view.heightBlocks;
    two.signer.mine(two.commitment('counterparty', 0, two.first));
    expect(two.others).toHaveLength(1);
    expect(two.closing).not.toBeNull();
    const { mined } = two.signer;
    two.signer.mined = mined.forkAt(between);
    two.signer.mined.extendBy(3);
    two.signer.follow();
    expect(two.closing).toBeNull();
    expect(two.others).toHaveLength(1);
    expect(two.planned()).toEqual([
      ['to-remote', 'close of the second'],
      ['commitment', 'first'],
      ['delayed', 'not mined'],
    ]);
    two.signer.mined = mined.forkAt(fork, 9);
    two.signer.mined.extendBy(6);
    two.signer.follow();
    expect(two.others).toEqual([]);
    expect(two.commitments().map(({ of }) => of)).toEqual(['second', 'first']);
    expect(two.signer.events.filter(({ event }) => event === 'close-reorganised-away')).toHaveLength(2);
  });

  it('takes back the second funding: nothing of it is left to close', () => {
    const two = new TwoFundings().mineFirst();
    const fork = two.signer.view.heightBlocks;
    two.signer.mine(two.second.tx);
    two.close();
    expect(two.commitments()).toHaveLength(2);
    two.signer.mined = two.signer.mined.forkAt(fork);
    two.signer.mined.extendBy(3);
    two.signer.follow();
    expect(two.commitments()).toEqual([{ of: 'first', isReleased: true }]);
  });
});

describe('the end', () => {
  it('comes when both closes are resolved, and the stubs stay until then', () => {
    const two = new TwoFundings().mineFirst();
    const received = htlc('counterparty', 60_000, 'theirs', 900);
    two.channel.update(adding(two.channel.balances, received));
    two.mineSecond();
    const [first, second] = [
      two.commitment('counterparty', 1, two.first),
      two.commitment('counterparty', 1, two.second),
    ];
    const all = first.outputs.map((_, vout) => vout);
    two.signer.mine(first).mine(...spends(first, all));
    two.signer.mineEmpty(150);
    // It had an HTLC: what became of it counts until the channel is through.
    expect(two.others).not.toMatchObject([{ outputs: [] }]);
    expect(two.standing).toBe('open');
    two.signer.mine(second).mineEmpty(150);
    expect(two.closing?.outputs).not.toEqual([]);
    expect(two.standing).toBe('closing');
    two.signer.mine(...spends(second, all)).mineEmpty(143);
    expect(two.closing?.outputs).toEqual([]);
    expect(two.others).toMatchObject([{ outputs: [] }]);
    expect(two.standing).toBe('closed');
    const resolved = two.signer.events.filter(({ event }) => event === 'close-resolved');
    expect(resolved.length).toBe(2);
    two.signer.mineEmpty(3);
    expect(two.signer.events.filter(({ event }) => event === 'close-resolved')).toHaveLength(2);
  });

  it('does not come while a funding is left open with something of ours', () => {
    const two = new TwoFundings().mineFirst();
    const close = two.commitment('counterparty', 0, two.first);
    two.signer.mine(close).mine(
      ...spends(
        close,
        close.outputs.map((_, vout) => vout),
      ),
    );
    two.mineSecond();
    two.signer.mineEmpty(150);
    expect(two.closing?.outputs).toEqual([]);
    expect(two.standing).toBe('closing');
    expect(two.commitments()).toEqual([{ of: 'second', isReleased: false }]);
  });

  it('lets an incoming HTLC go only when the outgoing one is gone on both', () => {
    const two = new TwoFundings().mineFirst();
    const offered = htlc('holder', 50_000, 'ours', 60);
    two.channel.update(adding(two.channel.balances, offered));
    two.mineSecond();
    const closes = [
      two.commitment('counterparty', 1, two.first),
      two.commitment('counterparty', 1, two.second),
    ];
    const payment = () => two.signer.read(paymentRecords, hashOf(offered));
    two.signer.mine(...closes).mineEmpty(8);
    const at = closes.map((tx) => tx.outputs.findIndex(({ value }) => value === 50_000n));
    two.signer.mine(...spends(closes[0]!, [at[0]!])).mineEmpty(8);
    expect(payment()?.parts).toMatchObject([{ outMsat: 50_000_000n }]);
    two.signer.mine(...spends(closes[1]!, [at[1]!])).mineEmpty(8);
    expect(payment()?.parts ?? []).toMatchObject([{ outMsat: 0n }]);
  });
});

describe('a funding that the laws do not let us close', () => {
  it('is left, with the reason, and the other one is closed', () => {
    const two = new TwoFundings().mineBoth();
    const record = recordOf(two.channel);
    const candidates = record.candidates.map((one) =>
      equalBytes(one.outpoint.txid, two.second.outpoint.txid)
        ? {
            ...one,
            validated: one.validated.map((content) => ({ ...content, feeratePerKw: 4, txid: bytesOf('?') })),
          }
        : one,
    );
    put(two.signer, channelRecords, two.id, { ...record, candidates });
    const outcome = two.close();
    expect(outcome).toMatchObject({ ok: true, left: [{ tag: 'policy-commitment-holder-not-revoked' }] });
    expect(two.commitments()).toEqual([{ of: 'first', isReleased: true }]);
  });
});
