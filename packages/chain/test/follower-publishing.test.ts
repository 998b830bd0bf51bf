/** What a follower publishes for its signer, and what it tells it of fees. */
import { toHex } from '@countersign/bitcoin';
import { describe, expect, it } from 'vitest';
import { MinedChain } from '../../core/test/mined-chain.ts';
import { follow, nodeWith, sinkFor, sourceOf, until } from './support.ts';

describe('publishing', () => {
  const transaction = (salt: number) => {
    const chain = new MinedChain(undefined, salt);
    return { id: `${salt}`, raw: transactionBytes(chain), reason: 'a breach' };
  };
  const transactionBytes = (chain: MinedChain): Uint8Array => {
    chain.extend([], { commits: false });
    // The coinbase, alone after the header and the count.
    return chain.tip.raw.slice(81);
  };

  it('hands out each transaction once a block, while it is wanted', async () => {
    const fake = await nodeWith(3);
    const sink = sinkFor(fake);
    sink.wanted = [transaction(1), transaction(2)];
    const hex = sink.wanted.map(({ raw }) => toHex(raw));
    const { log } = follow(sink, sourceOf(fake));
    await until('both', () => fake.mempool.length === 2 && log.length === 2);
    expect(fake.mempool).toEqual(hex);
    expect(log).toEqual(['info: published 1 (a breach)', 'info: published 2 (a breach)']);
    await until('a poll', () => fake.calls.filter((method) => method === 'waitforblockheight').length > 2);
    expect(fake.mempool).toEqual(hex);
    sink.wanted = sink.wanted.slice(1);
    fake.mine();
    await until('the second again', () => fake.mempool.length === 3);
    expect(fake.mempool[2]).toBe(hex[1]);
    await until('the line', () => log.at(-1) === 'debug: offered 2 (a breach) to the network again');
  });

  it('tells of a refusal once, and tries again after a minute or with the next block', async () => {
    const fake = await nodeWith(3);
    const sink = sinkFor(fake);
    sink.wanted = [transaction(1)];
    const refuseWith = (code: number, message: string): void => {
      fake.rpcFault = ({ method }) => (method === 'sendrawtransaction' ? { code, message } : undefined);
    };
    refuseWith(-26, 'min relay fee not met');
    let laterMs = 0;
    const { log } = follow(sink, sourceOf(fake), { monotonicMs: () => performance.now() + laterMs });
    const tries = (): number => fake.calls.filter((method) => method === 'sendrawtransaction').length;
    const polls = (): number => fake.calls.filter((method) => method === 'waitforblockheight').length;
    await until('some polls', () => polls() > 3);
    expect(tries()).toBe(1);
    laterMs = 60_000;
    await until('another try', () => tries() === 2);
    fake.mine();
    await until('one with the block', () => tries() === 3);
    expect(log.filter((line) => !line.startsWith('debug'))).toEqual([
      'error: the network refuses 1 (a breach): min relay fee not met',
    ]);
    refuseWith(-26, 'txn-mempool-conflict');
    fake.mine();
    await until('the change', () =>
      log.includes('warn: the network refuses 1 (a breach): txn-mempool-conflict'),
    );
    refuseWith(-27, 'Transaction outputs already in utxo set');
    fake.mine();
    await until('the end', () => log.includes('info: published 1 (a breach)'));
  });

  it('tells the signer once a block what transactions pay', async () => {
    const fake = await nodeWith(3);
    const sink = sinkFor(fake);
    fake.feerate = 0.0001;
    follow(sink, sourceOf(fake));
    await until('an estimate', () => sink.feerates.length === 1);
    expect(sink.feerates).toEqual([{ normalPerKw: 30_000, urgentPerKw: 5_000 }]);
    fake.mine();
    await until('another', () => sink.feerates.length === 2);
    fake.feerate = null;
    fake.mine();
    await until('block 5', () => sink.isAt(fake.chain));
    fake.rpcFault = ({ method }) =>
      method === 'estimatesmartfee' ? { code: -32601, message: 'no' } : undefined;
    fake.mine();
    await until('block 6', () => sink.isAt(fake.chain));
    expect(sink.feerates).toHaveLength(2);
  });

  it('leaves it to others when told so', async () => {
    const fake = await nodeWith(3);
    const sink = sinkFor(fake);
    sink.wanted = [transaction(1)];
    follow(sink, sourceOf(fake), { publishes: false });
    await until('catching up', () => sink.isAt(fake.chain));
    fake.mine();
    await until('block 4', () => sink.isAt(fake.chain));
    expect(fake.calls).not.toContain('sendrawtransaction');
    expect(fake.calls).not.toContain('estimatesmartfee');
  });
});
