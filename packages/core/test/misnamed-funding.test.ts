/**
 * A round of an opening whose name the chain has, with another output behind it: no funding of the channel. Nothing of ours can be left
 * in it, so the channel ends without it; nobody lives on it, and what is taken back with a reorg may come again as it was named.
 */
import { outPointToString, p2wshOfScript, sat, type Transaction, txid } from '@countersign/bitcoin';
import { outputRecords, paymentRecords, stubRecords } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { ChainedSigner, idsIn } from './chained-signer.ts';
import { type Funding, htlc } from './channel-model.ts';
import { hashOf } from './forwarder.ts';
import { adding } from './open-channel.ts';
import { spends, TwoFundings } from './two-fundings.ts';

/** Both rounds are set up with a commitment of ours, and the second is not what it was named. */
class Misnamed extends TwoFundings {
  readonly named: Funding;

  constructor(how: (funding: Funding) => Funding) {
    super({}, new ChainedSigner());
    this.named = this.channel.candidate(how(this.channel.model.newFunding('misnamed', 1_000_000n)));
  }

  get output() {
    return this.signer.read(outputRecords, outPointToString(this.named.outpoint));
  }

  /** The peer's commitment on the first, with everything that it leaves, buried for good. */
  end(number: number): void {
    const close = this.commitment('counterparty', number, this.first);
    const all = close.outputs.map((_, vout) => vout);
    this.signer
      .mine(close)
      .mine(...spends(close, all))
      .mineEmpty(150);
  }
}

const withOutput = (funding: Funding, at: number, output: Transaction['outputs'][number]): Funding => {
  const tx = { ...funding.tx, outputs: funding.tx.outputs.with(at, output) };
  return { ...funding, tx, outpoint: { txid: txid(tx), vout: at } };
};
const OTHER = p2wshOfScript(Uint8Array.of(0x51));

const ways: Readonly<Record<string, (funding: Funding) => Funding>> = {
  'another script': (funding) =>
    withOutput(funding, 1, { value: funding.tx.outputs[1]!.value, script: OTHER }),
  'another value': (funding) => withOutput(funding, 1, { ...funding.tx.outputs[1]!, value: sat(999_999n) }),
  'no such output': (funding) => ({ ...funding, outpoint: { ...funding.outpoint, vout: 7 } }),
};

describe.each(Object.entries(ways))('a round that the chain has with %s', (_, how) => {
  it('does not keep the channel from its end', () => {
    const one = new Misnamed(how).mineFirst();
    const received = htlc('counterparty', 60_000, 'theirs', 900);
    one.channel.update(adding(one.channel.balances, received));
    one.signer.mine(one.named.tx);
    one.end(1);
    expect(one.standing).toBe('closed');
    expect(one.closing?.outputs).toEqual([]);
    expect(one.signer.read(paymentRecords, hashOf(received))?.parts ?? []).toEqual([]);
    expect(idsIn(one.signer.state, stubRecords.name, '')).toEqual([]);
    expect(one.deadlines).toEqual([]);
    expect(one.plan.remedies).toEqual([]);
  });

  it('lets an outgoing HTLC be gone with the close of the other', () => {
    const one = new Misnamed(how).mineFirst();
    const offered = htlc('holder', 50_000, 'ours', 40);
    one.channel.update(adding(one.channel.balances, offered));
    one.signer.mine(one.named.tx).mineEmpty(20);
    const close = one.commitment('counterparty', 1, one.first);
    one.signer.mine(close).mineEmpty(8);
    const at = close.outputs.findIndex(({ value }) => value === 50_000n);
    one.signer.mine(...spends(close, [at])).mineEmpty(8);
    expect(one.signer.read(paymentRecords, hashOf(offered))?.parts).toMatchObject([{ outMsat: 0n }]);
    expect(one.deadlines).toEqual([]);
  });

  it('is told of as what it is, and no commitment is given on it', () => {
    const one = new Misnamed(how);
    one.signer.mine(one.named.tx).mineEmpty(6);
    expect(one.signer.events.at(-1)).toMatchObject({
      event: 'funding-differs',
      facts: { channel: one.id, outpoint: outPointToString(one.named.outpoint), value_named_sat: 1_000_000n },
    });
    expect(one.standing).toBe('opening');
    for (const named of [one.named, one.first])
      expect(one.channel.tagOf(one.channel.model.lock(named))).toBe('policy-channel-funding-onchain');
    one.mineFirst();
    expect(one.standing).toBe('open');
    one.channel.ask(one.channel.model.lock(one.first));
  });

  it('is forgotten with its block, and followed as the funding it is when that comes', () => {
    const one = new Misnamed(how).mineFirst();
    const { mined } = one.signer;
    const fork = one.signer.view.heightBlocks;
    one.signer.mine(one.named.tx);
    expect(one.output?.role).toBe('unknown');
    one.signer.mined = mined.forkAt(fork);
    one.signer.mined.extendBy(3);
    one.signer.follow();
    expect(one.output).toBeNull();
    one.mineSecond();
    const second = one.signer.read(outputRecords, outPointToString(one.second.outpoint));
    expect(second).toMatchObject({ role: 'funding', spent: null });
    one.end(0);
    // It stands: the channel has not ended with the first.
    expect(one.standing).toBe('open');
    expect(one.commitments()).toEqual([{ of: 'second', isReleased: false }]);
  });
});
