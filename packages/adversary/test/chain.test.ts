/** The chain: blocks as bitcoinjs-lib reads them, and what may and what may not get into them. */
import { Block } from 'bitcoinjs-lib';
import { describe, expect, test } from 'vitest';
import {
  assemble,
  type BlockNode,
  buildHtlcTransactions,
  ChainSimulator,
  type Coin,
  equalBytes,
  fromHex,
  GENESIS,
  hash160,
  isCoinbase,
  LayeredMap,
  type MineOptions,
  opcodes,
  outpointKey,
  p2pkhScript,
  p2wpkh,
  p2wsh,
  publicKeyOf,
  type Refusal,
  reversed,
  SIGHASH,
  serializeBlock,
  sighashV0,
  sign,
  subsidySat,
  type Tx,
  type TxOutput,
  toHex,
  toScriptSignature,
  txidOf,
  withWitnesses,
} from '../src/index.ts';
import {
  CAPACITY,
  commitmentOf,
  DELAY,
  EXPIRY,
  filled,
  fundingOutput,
  htlcCases,
  signedCommitment,
  spendCases,
} from './channel.ts';

const key = filled(7);
const point = publicKeyOf(key);
const payout = p2wpkh(point);
const COIN = 100_000_000n;

/** From outputs of `payout`, signed. */
function pay(
  inputs: readonly { readonly tx: Tx; readonly vout?: number; readonly sequence?: number }[],
  outputs: readonly TxOutput[],
  { locktime = 0, version = 2 } = {},
): Tx {
  const tx: Tx = {
    version,
    inputs: inputs.map((from) => ({
      txid: txidOf(from.tx),
      vout: from.vout ?? 0,
      scriptSig: new Uint8Array(0),
      sequence: from.sequence ?? 0xfffffffd,
      witness: [],
    })),
    outputs,
    locktime,
  };
  const code = p2pkhScript(hash160(point));
  const witnesses = inputs.map((from, i) => {
    const value = (from.tx.outputs[from.vout ?? 0] as TxOutput).value;
    return [toScriptSignature(sign(sighashV0(tx, i, code, value, SIGHASH.ALL), key), SIGHASH.ALL), point];
  });
  return withWitnesses(tx, witnesses);
}

const to = (value: bigint): TxOutput => ({ value, script: payout });
const coinbaseOf = (chain: ChainSimulator, height: number): Tx => {
  let node: BlockNode = chain.tip;
  while (node.height > height) node = node.parent as BlockNode;
  return node.txs[0] as Tx;
};

/** A chain whose first coinbase can be spent; and a transaction that splits it into `parts` coins. */
function started(parts = 5, value = COIN): { chain: ChainSimulator; coins: Tx } {
  const chain = ChainSimulator.create({ payout });
  chain.mineMany(100);
  const coins = pay(
    [{ tx: coinbaseOf(chain, 1) }],
    Array.from({ length: parts }, () => to(value)),
  );
  chain.mine({ txs: [coins] });
  return { chain, coins };
}

function refusalOf(chain: ChainSimulator, tx: Tx): Refusal['reason'] | null {
  const submission = chain.submit(tx);
  return submission.accepted ? null : submission.refusal.reason;
}

describe('blocks', () => {
  test('are what a node would give: proof of work, roots, witness commitment, height', () => {
    const { chain, coins } = started();
    chain.submit(pay([{ tx: coins }], [to(COIN - 1000n)]));
    chain.submit(pay([{ tx: coins, vout: 1 }], [to(COIN - 1000n)]));
    chain.mine();
    let parent: BlockNode = GENESIS;
    const nodes: BlockNode[] = [];
    for (let node = chain.tip; node.parent !== null; node = node.parent) nodes.unshift(node);
    for (const node of nodes) {
      const block = Block.fromBuffer(serializeBlock(node));
      expect([block.checkProofOfWork(), block.checkTxRoots()]).toEqual([true, true]);
      expect(equalBytes(block.getHash(), node.hash)).toBe(true);
      expect(equalBytes(block.prevHash as Uint8Array, parent.hash)).toBe(true);
      expect([block.bits, block.timestamp]).toEqual([0x207fffff, node.timeSeconds]);
      parent = node;
    }
    expect(toHex(reversed(GENESIS.hash))).toBe(
      '0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206',
    );
    expect(chain.tip.txs).toHaveLength(3);
    expect(isCoinbase(chain.tip.txs[0] as Tx)).toBe(true);
    expect(isCoinbase(chain.tip.txs[1] as Tx)).toBe(false);
    expect((chain.tip.txs[0] as Tx).outputs[0]?.value).toBe(subsidySat(102) + 2000n);
    expect(toHex((coinbaseOf(chain, 17).inputs[0] as Tx['inputs'][0]).scriptSig)).toMatch(/^0111/);
    expect(toHex((coinbaseOf(chain, 1).inputs[0] as Tx['inputs'][0]).scriptSig)).toMatch(/^51/);
  });

  test('rewards halve; the count of many transactions takes three bytes', () => {
    expect([1, 149, 150, 300].map(subsidySat)).toEqual([50n * COIN, 50n * COIN, 25n * COIN, 1_250_000_000n]);
    const { chain, coins } = started(300, 10_000n);
    chain.mine({ txs: Array.from({ length: 300 }, (_, vout) => pay([{ tx: coins, vout }], [to(9000n)])) });
    expect(Block.fromBuffer(serializeBlock(chain.tip)).transactions).toHaveLength(301);
  });

  test('times go on, and cannot go back behind the median', () => {
    const { chain } = started();
    const { timeSeconds, medianTimeSeconds } = chain.tip;
    expect(timeSeconds).toBe(GENESIS.timeSeconds + 101 * 600);
    expect(medianTimeSeconds).toBe(timeSeconds - 5 * 600);
    expect(() => chain.mine({ timeSeconds: medianTimeSeconds })).toThrow('median');
    chain.mine({ timeSeconds: medianTimeSeconds + 1 });
    expect(chain.height).toBe(102);
  });
});

describe('what is valid', () => {
  test('coins exist, are ripe, and are spent once', () => {
    const { chain, coins } = started();
    const spend = pay([{ tx: coins }], [to(COIN)]);
    expect(refusalOf(chain, pay([{ tx: coinbaseOf(chain, 3) }], [to(COIN)]))).toBe('immature');
    expect(refusalOf(chain, pay([{ tx: coinbaseOf(chain, 2) }], [to(COIN)]))).toBeNull();
    expect(refusalOf(chain, spend)).toBeNull();
    expect(refusalOf(chain, spend)).toBe('known');
    chain.mine();
    expect(refusalOf(chain, spend)).toBe('known');
    expect(refusalOf(chain, pay([{ tx: coins }], [to(COIN - 1n)]))).toBe('missing-input');
    expect(refusalOf(chain, pay([{ tx: coins, vout: 1 }], [to(COIN + 1n)]))).toBe('value');
    expect(refusalOf(chain, pay([{ tx: coins, vout: 1 }], []))).toBe('malformed');
    expect(refusalOf(chain, pay([{ tx: coins, vout: 1 }], [to(-1n)]))).toBe('malformed');
    expect(
      refusalOf(
        chain,
        pay(
          [
            { tx: coins, vout: 1 },
            { tx: coins, vout: 1 },
          ],
          [to(COIN)],
        ),
      ),
    ).toBe('malformed');
    const stolen = { ...pay([{ tx: coins, vout: 1 }], [to(COIN)]), outputs: [to(COIN - 5n)] };
    expect(refusalOf(chain, stolen)).toBe('script');
    expect(chain.judge(stolen)).toMatchObject({ reason: 'script', detail: 'input 0: NULLFAIL' });
    expect(() => chain.mine({ txs: [stolen] })).toThrow('script');
    expect(() => chain.mine({ txs: [pay([{ tx: coins }], [to(1n)])] })).toThrow('missing-input');
    expect(chain.height).toBe(102);
  });

  test('locktimes by height and by median time', () => {
    const { chain, coins } = started();
    const at = (locktime: number, sequence = 0xfffffffd) =>
      refusalOf(chain.fork(), pay([{ tx: coins, sequence }], [to(COIN)], { locktime }));
    expect([at(101), at(102), at(102, 0xffffffff)]).toEqual([null, 'non-final', null]);
    const median = chain.tip.medianTimeSeconds;
    expect([at(median - 1), at(median)]).toEqual([null, 'non-final']);
  });

  test('relative locks by blocks and by time', () => {
    const { chain, coins } = started();
    const at = (sequence: number, version = 2) =>
      refusalOf(chain, pay([{ tx: coins, sequence }], [to(COIN - BigInt(sequence % 1000))], { version }));
    expect(at(2)).toBe('sequence-lock');
    expect(at((1 << 22) | 2)).toBe('sequence-lock');
    const fork = chain.fork();
    expect(refusalOf(fork, pay([{ tx: coins, sequence: 2 }], [to(COIN)], { version: 1 }))).toBeNull();
    expect(at(1)).toBeNull();
    chain.reorganize(1, [{ txs: [coins] }, { txs: [] }]);
    expect(refusalOf(chain.fork(), pay([{ tx: coins, sequence: 2 }], [to(COIN)]))).toBeNull();
    // Blocks come every 600 seconds: 1024 seconds of median time after the block before the coin's.
    expect(refusalOf(chain.fork(), pay([{ tx: coins, sequence: (1 << 22) | 2 }], [to(COIN)]))).toBe(null);
    expect(refusalOf(chain.fork(), pay([{ tx: coins, sequence: (1 << 22) | 3 }], [to(COIN)]))).toBe(
      'sequence-lock',
    );
  });
});

describe('mempool', () => {
  test('a replacement pays for what it replaces, and for its own way', () => {
    const { chain, coins } = started();
    const first = pay([{ tx: coins }], [to(COIN - 1000n)]);
    const child = pay([{ tx: first }], [to(COIN - 3000n)]);
    expect([refusalOf(chain, first), refusalOf(chain, child)]).toEqual([null, null]);
    const better = (feeSat: bigint) => pay([{ tx: coins }], [to(COIN - feeSat)]);
    expect([refusalOf(chain, better(3000n)), refusalOf(chain, better(3100n))]).toEqual([
      'replacement',
      'replacement',
    ]);
    const circular = pay([{ tx: coins }, { tx: child }], [to(COIN)]);
    expect(refusalOf(chain, circular)).toBe('replacement');
    const winner = better(3200n);
    expect(chain.submit(winner)).toEqual({ accepted: true, replaced: [first, child] });
    expect(chain.waiting.map(({ tx }) => tx)).toEqual([winner]);
    expect(chain.spendOf({ txid: txidOf(coins), vout: 0 })).toEqual({ tx: winner, vin: 0, height: null });
    expect(chain.find(txidOf(first))).toBeUndefined();
    // More, but at a lower rate.
    const fat = pay(
      [{ tx: coins }, ...Array.from({ length: 4 }, (_, i) => ({ tx: coins, vout: i + 1 }))],
      [to(5n * COIN - 4000n)],
    );
    expect(chain.submit(fat)).toMatchObject({ refusal: { detail: 'feerate no higher' } });
  });

  test('too low a feerate does not get in, but a miner can take it', () => {
    const chain = ChainSimulator.create({ payout, feeratePerKwMin: 250 });
    chain.mineMany(100);
    const free = pay([{ tx: coinbaseOf(chain, 1) }], [to(50n * COIN)]);
    expect(refusalOf(chain, free)).toBe('feerate');
    chain.mine({ txs: [free] });
    expect(chain.confirmations(txidOf(free))).toBe(1);
  });

  test('a miner takes the best first, parents with the children that pay for them', () => {
    const { chain, coins } = started();
    const parent = pay([{ tx: coins }], [to(COIN)]);
    const rich = pay([{ tx: parent }], [to(COIN - 50_000n)]);
    const fair = pay([{ tx: coins, vout: 1 }], [to(COIN - 1000n)]);
    const poor = pay([{ tx: coins, vout: 2 }], [to(COIN - 10n)]);
    for (const tx of [poor, fair, parent, rich]) expect(refusalOf(chain, tx)).toBeNull();
    chain.mine({ feeratePerKwMin: 1000 });
    expect(chain.tip.txs.slice(1)).toEqual([parent, rich, fair]);
    expect(chain.waiting.map(({ tx }) => tx)).toEqual([poor]);
    chain.mine();
    expect(chain.waiting).toEqual([]);
  });

  test('what conflicts with a block goes, with its children', () => {
    const { chain, coins } = started();
    const ours = pay([{ tx: coins }], [to(COIN - 1000n)]);
    const child = pay([{ tx: ours }], [to(COIN - 3000n)]);
    const other = pay([{ tx: coins, vout: 1 }], [to(COIN)]);
    for (const tx of [ours, child, other]) chain.submit(tx);
    const theirs = pay([{ tx: coins }], [to(COIN - 1n)]);
    chain.mine({ txs: [theirs] });
    expect(chain.waiting.map(({ tx }) => tx)).toEqual([other]);
    expect(chain.spendOf({ txid: txidOf(coins), vout: 0 })).toEqual({ tx: theirs, vin: 0, height: 102 });
  });
});

describe('reorganizations', () => {
  test('what was in the blocks waits again; coins are as they were', () => {
    const { chain, coins } = started();
    const before = new Map([...chain.unspent()].map(({ outpoint, coin }) => [outpoint, coin]));
    const known = chain.tip;
    const spend = pay([{ tx: coins }], [to(COIN)]);
    const chained = pay([{ tx: spend }], [to(COIN)]);
    chain.mine({ txs: [spend, chained] });
    const stale = chain.tip;
    chain.mine();
    expect(() => chain.reorganize(2, [{}, {}])).toThrow('work');
    expect(() => chain.reorganize(0, [{}])).toThrow('depth');
    const empty: MineOptions[] = [{ txs: [] }, { txs: [] }, { txs: [] }];
    chain.reorganize(2, empty);
    expect(chain.waiting.map(({ tx }) => tx)).toEqual([spend, chained]);
    expect([chain.height, chain.confirmations(txidOf(spend))]).toEqual([104, 0]);
    for (const tx of [spend, chained]) expect(chain.coin({ txid: txidOf(tx), vout: 0 })).toBeUndefined();
    for (const [outpoint, coin] of before)
      expect([...chain.unspent()].find((one) => one.outpoint === outpoint)?.coin).toEqual(coin);
    const branch = chain.branchFrom(stale);
    expect([branch.forkHeight, branch.headers.length, branch.blocks.length]).toEqual([101, 3, 3]);
    expect(chain.branchFrom(known).forkHeight).toBe(101);
    expect(chain.branchFrom(GENESIS).blocks).toHaveLength(104);
    expect(chain.branchFrom(chain.tip).blocks).toEqual([]);
    chain.mine();
    expect(chain.confirmations(txidOf(chained))).toBe(1);
    expect(chain.output({ txid: txidOf(chained), vout: 0 })).toEqual(to(COIN));
    expect(chain.output({ txid: filled(1), vout: 0 })).toBeUndefined();
  });

  test('a conflicting transaction on the new branch wins for good', () => {
    const { chain, coins } = started();
    chain.mine({ txs: [pay([{ tx: coins }], [to(COIN)])] });
    const rival = pay([{ tx: coins }], [to(COIN - 7n)]);
    chain.reorganize(1, [{ txs: [rival] }, {}]);
    expect(chain.waiting).toEqual([]);
    expect(chain.coin({ txid: txidOf(rival), vout: 0 })).toMatchObject({ height: 102, isCoinbase: false });
  });
});

describe('forks', () => {
  test('neither side sees the other', () => {
    const { chain, coins } = started();
    const fork = chain.fork();
    const spend = pay([{ tx: coins }], [to(COIN)]);
    fork.mine({ txs: [spend] });
    const outpoint = { txid: txidOf(coins), vout: 0 };
    expect([chain.coin(outpoint) !== undefined, fork.coin(outpoint)]).toEqual([true, undefined]);
    expect([chain.spendOf(outpoint), fork.spendOf(outpoint)?.height]).toEqual([undefined, 102]);
    chain.submit(pay([{ tx: coins }], [to(COIN - 9n)]));
    expect([chain.waiting.length, fork.waiting.length]).toEqual([1, 0]);
    fork.reorganize(1, [{ txs: [] }, { txs: [] }]);
    expect(fork.coin(outpoint)).toEqual(chain.coin(outpoint));
  });

  test('a layered map is a map, however often it is forked', () => {
    let map = new LayeredMap<number>();
    const plain = new Map<string, number>();
    for (let i = 0; i < 300; i++) {
      const name = `k${(i * 7) % 40}`;
      if (i % 3 === 0) {
        map.delete(name);
        plain.delete(name);
      } else {
        map.set(name, i);
        plain.set(name, i);
      }
      if (i % 5 === 0) {
        const old = map;
        map = map.fork();
        old.set('only there', i);
      }
      expect(map.get(name)).toBe(plain.get(name));
    }
    expect(new Map(map.entries())).toEqual(plain);
    expect(map.has('only there')).toBe(false);
  });
});

describe('a channel on chain', () => {
  test.each(['static_remotekey', 'anchors_zero_fee_htlc'] as const)(
    '%s: delays and expiries hold',
    (kind) => {
      const { chain, coins } = started();
      const funding = pay([{ tx: coins }], [fundingOutput, to(COIN - CAPACITY)]);
      chain.mine({ txs: [funding] });
      const commitment = commitmentOf(kind, { txid: txidOf(funding), vout: 0 });
      const published = signedCommitment(commitment);
      expect(refusalOf(chain, published)).toBeNull();
      chain.mine();
      const published2 = { txid: txidOf(published), vout: 0 };
      expect(chain.coin(published2)).toBeDefined();

      const spends = [...spendCases(commitment), ...htlcCases(commitment)];
      // Each alone, at the first height at which it is valid; before it is refused.
      for (const { name, tx } of spends) {
        const fork = chain.fork();
        const wait = tx.inputs[0]?.sequence ?? 0;
        const relative = wait < 1000 ? 103 + wait : 0;
        const height = Math.max(fork.height + 1, relative, tx.locktime + 1);
        while (fork.height + 1 < height) {
          expect(['sequence-lock', 'non-final'], name).toContain(refusalOf(fork, tx));
          fork.mine();
        }
        expect([name, refusalOf(fork, tx)]).toEqual([name, null]);
        fork.mine();
        expect([name, fork.confirmations(txidOf(tx))]).toEqual([name, 1]);
      }
      expect(buildHtlcTransactions(commitment)).toHaveLength(2);
      expect(EXPIRY + DELAY).toBeLessThan(200);
    },
  );
});

describe('coins that nothing can spend', () => {
  test('are not kept', () => {
    const { chain, coins } = started();
    const data = assemble([opcodes.OP_RETURN as number, fromHex('aabb')]);
    const tx = pay(
      [{ tx: coins }],
      [
        { value: 0n, script: data },
        { value: 1n, script: p2wsh(data) },
      ],
    );
    chain.mine({ txs: [tx] });
    const kept = [...chain.unspent()].map(({ outpoint }) => outpoint);
    const at = (vout: number): string => outpointKey({ txid: txidOf(tx), vout });
    expect([kept.includes(at(0)), kept.includes(at(1))]).toEqual([false, true]);
    const coin: Coin | undefined = chain.coin({ txid: txidOf(tx), vout: 1 });
    expect(coin?.value).toBe(1n);
  });
});
