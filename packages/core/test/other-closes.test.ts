/**
 * Closes of fundings that a channel does not live on: only what took our signature is one, and when they are too many the one with the
 * least at stake goes, with a word about it.
 */
import {
  equalBytes,
  outPointToString,
  p2wpkhOfKey,
  sat,
  type Transaction,
  toHex,
  txid,
} from '@countersign/bitcoin';
import {
  type ClosingKind,
  type ClosingRecord,
  fundingRecords,
  OTHER_CLOSINGS_MAX,
  otherClosingRecords,
  outputRecords,
} from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { input } from './channel-model.ts';
import { put } from './spending-model.ts';
import { bytesOf, secp } from './test-signer.ts';
import { spends, TwoFundings } from './two-fundings.ts';

/** The second round is on record no more; nobody knows what its output was. */
function dropped(): TwoFundings {
  const two = new TwoFundings().mineFirst();
  two.channel.lock(two.first);
  two.channel.update({ ...two.channel.balances, feeratePerKw: 1001 });
  two.mineSecond();
  return two;
}

const revoked = (two: TwoFundings): Transaction =>
  two.commitment('counterparty', 0, two.second, two.channel.model.initial);

describe('a funding on record no more', () => {
  it('is closed by what shows our key, and what is ours there is taken', () => {
    const two = dropped();
    two.signer.mine(two.signed(revoked(two), two.second));
    expect(two.others).toMatchObject([{ kind: 'counterparty-revoked' }]);
    expect(two.planned()).toContainEqual(['justice', 'close of the second']);
    expect(two.closing).toBeNull();
  });

  it.each([
    ['without a witness', (tx: Transaction) => tx],
    ['with another key in the place of ours', (tx: Transaction, two: TwoFundings) => foreign(two, tx)],
    ['with a script that is too short', (tx: Transaction) => withScript(tx, Uint8Array.of(0x51))],
    ['of another output than the script’s', (tx: Transaction, two: TwoFundings) => two.signed(tx, two.first)],
  ])('is not closed %s: neither alarm nor claim', (_, change) => {
    const two = dropped();
    two.signer.mine(change(revoked(two), two));
    expect(two.others).toEqual([]);
    expect(two.closing).toBeNull();
    expect(two.alarms).toEqual([]);
    expect(two.plan.remedies.map(({ kind }) => kind)).not.toContain('justice');
  });

  it('that no block has shown is closed by what shows our key too', () => {
    const two = new TwoFundings().mineFirst();
    two.channel.lock(two.first);
    two.channel.update({ ...two.channel.balances, feeratePerKw: 1001 });
    two.signer.mine(two.signed(revoked(two), two.second));
    expect(two.others).toMatchObject([{ kind: 'counterparty-revoked' }]);
  });

  it('is left alone when its spend leaves nothing that we know', () => {
    const two = dropped();
    const [spend] = spends(two.second.tx, [1]);
    two.signer.mine(two.signed(spend!, two.second));
    expect(two.others).toEqual([]);
  });
});

/** A coin of a stranger under the name of a funding, and a transaction with the form of an old commitment that spends it. */
function foreign(two: TwoFundings, tx: Transaction): Transaction {
  const signed = two.signed(tx, two.second);
  const script = Uint8Array.from(signed.inputs[0]!.witness[3]!);
  const ours = two.channel.model.holderFundingKey;
  const at = equalBytes(script.subarray(2, 35), ours) ? 2 : 36;
  script.set(secp.publicKey(bytesOf('a stranger')), at);
  return withScript(tx, script);
}

const withScript = (tx: Transaction, script: Uint8Array): Transaction => ({
  ...tx,
  inputs: tx.inputs.map((one) => ({ ...one, witness: [new Uint8Array(0), script] })),
});

describe('too many closes', () => {
  const gone = (
    i: number,
    outputs: readonly number[] = [0],
    kind: ClosingKind = 'counterparty',
  ): ClosingRecord => ({
    funding: { txid: bytesOf(`gone ${i}`), vout: 0 },
    heightBlocks: 1,
    txid: bytesOf(`close ${i}`),
    kind,
    number: 0,
    outputs,
  });

  /** `worth`: what each has at stake, satoshi. The list is full; then the second is closed. */
  function full(closings: readonly ClosingRecord[], worth: readonly bigint[] = []) {
    const two = dropped();
    put(two.signer, otherClosingRecords, two.id, closings);
    closings.forEach((closing, i) => {
      put(two.signer, outputRecords, outPointToString({ txid: closing.txid, vout: 0 }), {
        channel: two.id,
        role: 'main-holder',
        htlc: null,
        created: {
          heightBlocks: 1,
          valueSat: sat(worth[i] ?? 5000n),
          script: p2wpkhOfKey(two.channel.model.holder.payment),
        },
        spent: null,
      });
    });
    two.signer.watch = two.signer.watchAnew();
    return two;
  }
  const close = (two: TwoFundings) => two.signer.mine(two.signed(revoked(two), two.second));
  const list = (count: number) => Array.from({ length: count }, (_, i) => gone(i));
  const droppedOf = (two: TwoFundings) =>
    two.signer.events.filter(({ event }) => event === 'other-close-dropped').map(({ facts }) => facts);
  const names = (two: TwoFundings) => two.others.map(({ txid: id }) => toHex(id));

  it('are kept up to the limit', () => {
    const two = full(list(OTHER_CLOSINGS_MAX - 1));
    close(two);
    expect(two.others).toHaveLength(OTHER_CLOSINGS_MAX);
    expect(droppedOf(two)).toEqual([]);
  });

  it('lose the one with the least that is ours, not the oldest and not the new one; and it is told', () => {
    const worth = list(OTHER_CLOSINGS_MAX).map((_, i) => (i === 7 ? 999n : 1000n + BigInt(i)));
    const two = full(list(OTHER_CLOSINGS_MAX), worth);
    close(two);
    expect(two.others).toHaveLength(OTHER_CLOSINGS_MAX);
    expect(names(two)).not.toContain(toHex(gone(7).txid));
    expect(two.planned()).toContainEqual(['justice', 'close of the second']);
    expect(droppedOf(two)).toMatchObject([{ channel: two.id, kind: 'counterparty', at_stake_sat: 999n }]);
    // Nothing of it is followed any more; of the others everything is.
    const output = (i: number) =>
      two.signer.read(outputRecords, outPointToString({ txid: gone(i).txid, vout: 0 }));
    expect(output(7)).toBeNull();
    expect(output(8)).not.toBeNull();
  });

  it('lose what is resolved before anything that is not, without a word', () => {
    const two = full(list(OTHER_CLOSINGS_MAX).with(20, gone(20, [])), [1n]);
    close(two);
    expect(names(two)).not.toContain(toHex(gone(20).txid));
    expect(droppedOf(two)).toEqual([]);
  });

  it('never lose what is worth more, however many come that hold nothing of ours', () => {
    const two = full(
      list(OTHER_CLOSINGS_MAX),
      list(OTHER_CLOSINGS_MAX).map(() => 2_000_000n),
    );
    close(two);
    // The new one has less than all others.
    expect(names(two)).not.toContain(toHex(txid(revoked(two))));
    expect(droppedOf(two)).toMatchObject([{ kind: 'counterparty-revoked' }]);
    expect(two.planned()).not.toContainEqual(['justice', 'close of the second']);
  });

  it('keep outputs that another close has too', () => {
    const shared = list(OTHER_CLOSINGS_MAX).map((one, i) =>
      i < 2 ? { ...one, txid: bytesOf('both') } : one,
    );
    const two = full(
      shared,
      list(OTHER_CLOSINGS_MAX).map((_, i) => (i < 2 ? 10n : 5000n)),
    );
    close(two);
    expect(names(two).filter((name) => name === toHex(bytesOf('both')))).toHaveLength(1);
    expect(
      two.signer.read(outputRecords, outPointToString({ txid: bytesOf('both'), vout: 0 })),
    ).not.toBeNull();
  });

  it('never lose those of fundings that are still candidates', () => {
    const two = new TwoFundings().mineBoth();
    const own = { ...gone(0), funding: two.second.outpoint };
    put(two.signer, otherClosingRecords, two.id, list(OTHER_CLOSINGS_MAX).with(0, own));
    const third = { txid: bytesOf('a third funding'), vout: 0 };
    put(two.signer, fundingRecords, outPointToString(third), two.id);
    two.signer.watch = two.signer.watchAnew();
    const tx = two.commitment('counterparty', 0, two.second);
    const spend = { ...tx, inputs: tx.inputs.map((one) => ({ ...one, ...input(third, one.sequence) })) };
    two.signer.mine(two.signed(spend, two.second));
    expect(two.others).toHaveLength(OTHER_CLOSINGS_MAX);
    expect(names(two)[0]).toBe(toHex(own.txid));
    // None has an output on record: the oldest of equals goes.
    expect(droppedOf(two)).toMatchObject([{ at_stake_sat: 0n }]);
    expect(names(two)).not.toContain(toHex(gone(1).txid));
  });
});
