/**
 * Contents of blocks as an attacker would show them (A71) and as they are: mined ones with witnesses, and the first ten of the default
 * signet with their solutions.
 */
import { readFileSync } from 'node:fs';
import {
  type BlockTransaction,
  concat,
  FormError,
  fromHex,
  hash256,
  loadSecp256k1,
  parseTransaction,
  readBlock,
  sat,
  serializeNoWitness,
  serializeTransaction,
  type Transaction,
  toHex,
  txid,
} from '@countersign/bitcoin';
import { networkByName, policyOf, proveBlock } from '@countersign/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chainParams } from '../src/chain/params.ts';
import { requireSignetSolution } from '../src/chain/signet.ts';
import { RefusalSignal } from '../src/refusal.ts';
import { expectRefused } from './header-chain.ts';
import {
  blockBytes,
  type MinedBlock,
  MinedChain,
  merkleRootOf,
  mineBlock,
  mineExactly,
} from './mined-chain.ts';

const TAG = 'policy-chain-proof';
const secp = loadSecp256k1();
const place = { policy: policyOf(networkByName('regtest')!, 'hub'), secp };
const ignore = (): void => {};

/** A transaction with as many inputs as it has witnesses. */
const spend = (seed: number, witnesses: readonly (readonly Uint8Array[])[]): Transaction => ({
  version: 2,
  inputs: witnesses.map((witness, i) => ({
    txid: hash256(Uint8Array.of(seed, i)),
    vout: seed,
    scriptSig: new Uint8Array(seed % 3),
    sequence: 0xffff_fffd,
    witness,
  })),
  outputs: [{ value: sat(1000 + seed), script: Uint8Array.of(0x51, seed & 0xff) }],
  locktime: seed,
});
const WITNESSED = [
  spend(1, [[new Uint8Array(71), new Uint8Array(33)]]),
  spend(2, [[]]),
  spend(3, [[], [new Uint8Array(300)]]),
];

const mined = new MinedChain();
const block = mined.extend(WITNESSED);
const prove = (raw: Uint8Array, expected: MinedBlock = block) => proveBlock(place, expected, raw, ignore);
/** The header of `of` over other contents. */
const contents = (of: MinedBlock, transactions: readonly Transaction[]): Uint8Array =>
  blockBytes(of.header, transactions);
const [coinbase, ...others] = block.transactions as [Transaction, ...Transaction[]];

describe('policy-chain-proof', () => {
  it('policy-chain-proof: passes whole blocks, in one piece or many', () => {
    for (const pieces of [block.raw, [block.raw], [block.raw.subarray(0, 90), block.raw.subarray(90)]]) {
      const seen: BlockTransaction[] = [];
      const { block: proven, warnings } = proveBlock(place, block, pieces, (one) => seen.push(one));
      expect(toHex(proven.hash)).toBe(toHex(block.hash));
      expect(proven.coinbaseHeightBlocks).toBe(1);
      expect(warnings).toEqual([]);
      expect(seen.map((one) => toHex(one.txid))).toEqual(block.transactions.map((one) => toHex(txid(one))));
      expect(seen.map((one) => one.inputs.map(({ witness }) => witness.map(toHex)))).toEqual(
        block.transactions.map((one) => one.inputs.map(({ witness }) => witness.map(toHex))),
      );
    }
  });

  it('policy-chain-proof: passes the genesis block and blocks of any number of transactions', () => {
    expect(prove(mined.blocks[0]!.raw, mined.blocks[0]).block.transactionCount).toBe(1);
    for (let count = 0; count < 20; count++) {
      const many = mineBlock(
        mined.tip,
        Array.from({ length: count }, (_, i) => spend(i, [[Uint8Array.of(i)]])),
      );
      expect(prove(many.raw, many).block.transactionCount).toBe(count + 1);
    }
  });

  it('policy-chain-proof: trips on a block other than the one on record', () => {
    const other = mineBlock(mined.blocks[0]!, [], { salt: 9 });
    const refusal = expectRefused(TAG, 'not the one on record', () => prove(other.raw));
    expect(refusal.facts.height_blocks).toBe(1);
  });

  it('policy-chain-proof: trips on a transaction left out, added, changed or moved', () => {
    for (const transactions of [
      [coinbase, ...others.slice(1)],
      [coinbase, ...others.slice(0, -1)],
      [coinbase, ...others, spend(4, [[]])],
      [coinbase, ...others.toReversed()],
      [coinbase, spend(9, [[]]), ...others.slice(1)],
    ]) {
      expectRefused(TAG, 'merkle root', () => prove(contents(block, transactions)));
    }
    expectRefused(TAG, 'no coinbase', () => prove(contents(block, others)));
    expectRefused(TAG, 'beside the coinbase', () => prove(contents(block, [coinbase, coinbase, ...others])));
    expectRefused(TAG, 'ends early', () => prove(block.raw.subarray(0, -1)));
    expectRefused(TAG, 'trailing bytes', () => prove(concat(block.raw, Uint8Array.of(0))));
  });

  it('policy-chain-proof: trips on transactions repeated at the end, though the merkle root is the same (CVE-2012-2459)', () => {
    for (const count of [2, 4, 5, 6, 9]) {
      const honest = mineBlock(
        mined.tip,
        Array.from({ length: count }, (_, i) => spend(i, [[]])),
      );
      const ids = honest.transactions.map(txid);
      let tried = 0;
      for (let tail = 1; tail < ids.length; tail++) {
        const again = honest.transactions.slice(ids.length - tail);
        const root = merkleRootOf([...ids, ...again.map(txid)]);
        if (toHex(root) !== toHex(merkleRootOf(ids))) continue;
        tried++;
        expectRefused(TAG, 'equal hashes', () =>
          prove(contents(honest, [...honest.transactions, ...again]), honest),
        );
      }
      expect(tried, `${count}`).toBeGreaterThan(0);
    }
  });

  it('policy-chain-proof: trips on pairs of hashes passed off as transactions', () => {
    const honest = mineBlock(mined.tip, [spend(1, [[]]), spend(2, [[]]), spend(3, [[]])]);
    const ids = honest.transactions.map(txid);
    const pairs = [concat(ids[0]!, ids[1]!), concat(ids[2]!, ids[3]!)];
    expect(() => prove(concat(honest.header, Uint8Array.of(2), ...pairs), honest)).toThrow(RefusalSignal);
  });

  it('policy-chain-proof: passes a transaction of 64 bytes, which consensus admits', () => {
    const small: Transaction = {
      ...spend(1, [[]]),
      inputs: [{ txid: hash256(), vout: 0, scriptSig: new Uint8Array(0), sequence: 0, witness: [] }],
      outputs: [{ value: sat(0), script: new Uint8Array(4) }],
    };
    expect(serializeTransaction(small)).toHaveLength(64);
    const honest = mineBlock(mined.tip, [small]);
    expect(prove(honest.raw, honest).block.transactionCount).toBe(2);
  });

  it('policy-chain-proof: trips on witnesses without the commitment, or with another', () => {
    const changed = spend(1, [[new Uint8Array(71).fill(1), new Uint8Array(33)]]);
    expectRefused(TAG, 'commitment of the coinbase', () =>
      prove(contents(block, [coinbase, changed, ...others.slice(1)])),
    );
    const stripped = spend(1, [[]]);
    expectRefused(TAG, 'commitment of the coinbase', () =>
      prove(contents(block, [coinbase, stripped, ...others.slice(1)])),
    );
    const bare = mineBlock(mined.tip, [], { commits: false });
    expect(prove(bare.raw, bare).block.transactionCount).toBe(1);
    const without = mineBlock(mined.tip, WITNESSED, { commits: false });
    expectRefused(TAG, 'without a commitment', () => prove(without.raw, without));
  });

  it('policy-chain-proof: trips on a coinbase witness that is not one value of 32 bytes', () => {
    const withWitness = (witness: readonly Uint8Array[]): Transaction => ({
      ...coinbase,
      inputs: [{ ...coinbase.inputs[0]!, witness }],
    });
    for (const witness of [[], [new Uint8Array(31)], [new Uint8Array(32), new Uint8Array(0)]]) {
      expectRefused(TAG, 'one value of 32 bytes', () =>
        prove(contents(block, [withWitness(witness), ...others])),
      );
    }
    const other = withWitness([new Uint8Array(32).fill(1)]);
    expectRefused(TAG, 'commitment of the coinbase', () => prove(contents(block, [other, ...others])));
  });

  it('policy-chain-proof: passes with the last of several commitments', () => {
    const decoy = { value: sat(0), script: concat(fromHex('6a24aa21a9ed'), new Uint8Array(32)) };
    const before = mineExactly(mined.tip, [
      { ...coinbase, outputs: [decoy, ...coinbase.outputs] },
      ...others,
    ]);
    expect(prove(before.raw, before).block.transactionCount).toBe(4);
    const after = mineExactly(mined.tip, [{ ...coinbase, outputs: [...coinbase.outputs, decoy] }, ...others]);
    expectRefused(TAG, 'commitment of the coinbase', () => prove(after.raw, after));
    const short = { value: sat(0), script: decoy.script.subarray(0, 37) };
    const same = mineExactly(mined.tip, [{ ...coinbase, outputs: [...coinbase.outputs, short] }, ...others]);
    expect(prove(same.raw, same).block.transactionCount).toBe(4);
  });

  it('any byte of a block changed is refused by this rule', () => {
    const { raw } = block;
    for (let at = 0; at < raw.length; at++) {
      for (const by of [1, 0x80, 0xff]) {
        const other = raw.slice();
        other[at] = other[at]! ^ by;
        try {
          prove(other);
        } catch (error) {
          if (error instanceof RefusalSignal && error.rule.tag === TAG) continue;
          throw error;
        }
        throw new Error(`byte ${at} changed by ${by} was taken`);
      }
    }
  });

  it('a block too heavy is refused before it is all there', () => {
    let seen = 0;
    const big = Array.from({ length: 12 }, (_, i) => ({
      ...spend(i, [[]]),
      outputs: [{ value: sat(0), script: new Uint8Array(99_000) }],
    }));
    const heavy = contents(block, [coinbase, ...big]);
    const refusal = expectRefused(TAG, 'too heavy', () => proveBlock(place, block, heavy, () => seen++));
    expect(refusal.facts.weight_max).toBe(4_000_000);
    expect(seen).toBeLessThan(12);
  });

  it('a large transaction arrives in many pieces and is whole', () => {
    const big = spend(7, [[new Uint8Array(300_000).fill(7)], [new Uint8Array(20)]]);
    const wide = {
      ...big,
      outputs: Array.from({ length: 900 }, (_, i) => ({ value: sat(i), script: new Uint8Array(30) })),
    };
    const large = mineBlock(mined.tip, [big, wide, spend(8, [[]])]);
    for (const size of [100, 9_999, 100_000]) {
      const pieces: Uint8Array[] = [];
      for (let at = 0; at < large.raw.length; at += size) pieces.push(large.raw.slice(at, at + size));
      const seen: string[] = [];
      proveBlock(place, large, pieces, (one) => seen.push(toHex(one.bytes)));
      expect(seen).toEqual(large.transactions.map((one) => toHex(serializeTransaction(one))));
    }
  });

  it('what a reader of transactions throws is not hidden', () => {
    const fails = () => {
      throw new RangeError('mine');
    };
    expect(() => proveBlock(place, block, block.raw, fails)).toThrow(RangeError);
    const policy = policyOf(networkByName('signet')!, 'hub');
    const broken = { policy, secp: { ...secp, verifyEcdsa: fails } };
    const [raw] = SIGNET_BLOCKS;
    const expected = { hash: hash256(raw!.subarray(0, 80)), heightBlocks: 1 };
    expect(() => proveBlock(broken, expected, raw!, ignore)).toThrow(RangeError);
  });
});

describe('the height in a coinbase (BIP 34)', () => {
  const heightOf = (script: string): number | null => {
    const transaction = { ...coinbase, inputs: [{ ...coinbase.inputs[0]!, scriptSig: fromHex(script) }] };
    const one = mineExactly(mined.tip, [
      {
        ...transaction,
        outputs: coinbase.outputs.slice(0, 1),
        inputs: transaction.inputs.map((input) => ({ ...input, witness: [] })),
      },
    ]);
    return readBlock(one.raw).coinbaseHeightBlocks;
  };

  it.each([
    ['5100', 1],
    ['6000', 16],
    ['011100', 17],
    ['02ff7f', 32_767],
    ['03a0860100', 100_000],
    ['03ffff7f', 8_388_607],
    ['0400000001', 16_777_216],
    ['0003', null],
    ['0180', null],
    ['03ffffff', null],
    ['050000000001', null],
    ['0401', null],
  ])('of %s is %s', (script, height) => {
    expect(heightOf(script)).toBe(height);
  });

  it('of mined blocks is theirs', () => {
    const at = (heightBlocks: number) =>
      readBlock(mineBlock({ ...mined.tip, heightBlocks: heightBlocks - 1 }).raw).coinbaseHeightBlocks;
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 0x7fff_fffe }), (height) => {
        expect(at(height)).toBe(height);
      }),
      { numRuns: 50 },
    );
  });
});

const SIGNET_BLOCKS = (
  JSON.parse(readFileSync(new URL('./vectors/signet-blocks.json', import.meta.url), 'utf8')) as {
    readonly blocks: readonly string[];
  }
).blocks.map(fromHex);

describe('blocks of signet', () => {
  const VALIDATED = 'policy-chain-validated';
  const network = networkByName('signet')!;
  const onSignet = { policy: policyOf(network, 'hub'), secp };
  const challenge = chainParams(network).signetChallenge!;
  const expected = (raw: Uint8Array, heightBlocks: number) => ({
    hash: hash256(raw.subarray(0, 80)),
    heightBlocks,
  });
  const first = SIGNET_BLOCKS[0]!;

  /** The first block with another coinbase, mined for nothing. */
  function changed(change: (coinbase: Transaction) => Transaction): Uint8Array {
    const transaction = change(parseTransaction(first.subarray(81)));
    const header = first.slice(0, 80);
    header.set(hash256(serializeNoWitness(transaction)), 36);
    return blockBytes(header, [transaction]);
  }
  /** Replaces the script of the commitment. */
  const withScript = (script: (old: Uint8Array) => Uint8Array): Uint8Array =>
    changed((one) => ({
      ...one,
      outputs: one.outputs.map((output, i) =>
        i === 1 ? { ...output, script: script(output.script) } : output,
      ),
    }));
  const solutionAt = 38 + 2 + 4;

  it('carry the solution of the default challenge', () => {
    for (const [i, raw] of SIGNET_BLOCKS.entries()) {
      const { block: proven, warnings } = proveBlock(onSignet, expected(raw, i + 1), raw, ignore);
      expect(proven.coinbaseHeightBlocks).toBe(i + 1);
      expect(warnings).toEqual([]);
    }
  });

  it('policy-chain-validated: trips on a signet block whose time or content nobody signed', () => {
    const later = first.slice();
    later[68] = later[68]! ^ 1;
    const refusal = expectRefused(VALIDATED, 'not signed by a key of the signet', () =>
      proveBlock(onSignet, expected(later, 1), later, ignore),
    );
    expect(refusal.facts).toEqual({ height_blocks: 1 });
    const richer = changed((one) => ({ ...one, locktime: one.locktime + 1 }));
    expectRefused(VALIDATED, 'not signed by', () =>
      proveBlock(onSignet, expected(richer, 1), richer, ignore),
    );
  });

  it('policy-chain-validated: trips on a signet block without a solution, passes where it is set to warn', () => {
    const raw = withScript((old) => old.subarray(0, 38));
    expectRefused(VALIDATED, 'no signet solution', () => proveBlock(onSignet, expected(raw, 1), raw, ignore));
    const severities = new Map([[VALIDATED, 'warn' as const]]);
    const warning = { policy: policyOf(network, 'hub', { severities }), secp };
    const { warnings } = proveBlock(warning, expected(raw, 1), raw, ignore);
    expect(warnings).toMatchObject([{ tag: VALIDATED, message: 'the block has no signet solution' }]);
    // The first block of all has none.
    expect(proveBlock(onSignet, expected(raw, 0), raw, ignore).warnings).toEqual([]);
  });

  it('are refused with solutions of another form', () => {
    const forms: readonly [string, (old: Uint8Array) => Uint8Array][] = [
      ['no signet solution', (old) => concat(old.subarray(0, 38), Uint8Array.of(5, 1, 2, 3, 4, 5, 0x51))],
      ['no signet solution', (old) => concat(old.subarray(0, 38), Uint8Array.of(4), old.subarray(40, 44))],
      ['truncated', (old) => old.subarray(0, -1)],
      [
        'truncated',
        (old) => concat(old.subarray(0, 38), Uint8Array.of(5), old.subarray(40, 44), Uint8Array.of(7)),
      ],
    ];
    for (const [message, script] of forms) {
      const proven = readBlock(withScript(script));
      expect(() => requireSignetSolution(secp, challenge, proven), message).toThrow(message);
    }
    const at = (offset: number, to: number) =>
      readBlock(
        withScript((old) => {
          const copy = old.slice();
          copy[solutionAt + offset] = to;
          return copy;
        }),
      );
    const solution = parseTransaction(first.subarray(81)).outputs[1]!.script.subarray(solutionAt);
    // Length of the script, OP_0, length of the signature, the signature, its type; no witness.
    expect([...solution.subarray(0, 3)]).toEqual([0x49, 0x00, 0x47]);
    const broken: readonly [number, number, string][] = [
      [1, 0x51, 'not one signature'],
      [2, 0x46, 'not one signature'],
      [2, 0xff, 'not one signature'],
      [solution.length - 2, 2, 'sign the whole block'],
      [solution.length - 1, 1, 'has a witness'],
      [0, 0x48, 'has a witness'],
      [0, 0, 'trailing'],
    ];
    for (const [offset, to, message] of broken)
      expect(() => requireSignetSolution(secp, challenge, at(offset, to)), message).toThrow(FormError);
    const bare = mineBlock(mined.tip, [], { commits: false });
    expect(() => requireSignetSolution(secp, challenge, readBlock(bare.raw))).toThrow('no signet solution');
  });
});
