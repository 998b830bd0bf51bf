/**
 * Regtest blocks as a node would give them: proof of work at the easiest target, coinbase with its height (BIP 34) and
 * the witness commitment (BIP 141). Sources: Bitcoin Core `kernel/chainparams.cpp`, `validation.cpp`.
 */
import { concatBytes, fromHex } from '../bitcoin/bytes.ts';
import { hash256 } from '../bitcoin/hash.ts';
import { assemble, pushNumber } from '../bitcoin/scripts.ts';
import { serializeTx, type Tx, type TxOutput, txidOf, wtxidOf } from '../bitcoin/transaction.ts';
import type { Coin } from './coin.ts';

/** One block of a chain, with all before it; never changed. */
export interface BlockNode {
  readonly height: number;
  /** Internal byte order. */
  readonly hash: Uint8Array;
  /** 80 bytes. */
  readonly header: Uint8Array;
  readonly timeSeconds: number;
  /** BIP 113: of this block and the ten before it. */
  readonly medianTimeSeconds: number;
  readonly parent: BlockNode | null;
  /** The coinbase first. */
  readonly txs: readonly Tx[];
  /** What its inputs spent, by outpoint: to undo it. */
  readonly spent: ReadonlyMap<string, Coin>;
}

const GENESIS_HEADER = fromHex(
  `01000000${'00'.repeat(32)}3ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4adae5494dffff7f2002000000`,
);
const BLOCK_VERSION = 0x20000000;
const REGTEST_BITS = 0x207fffff;
const MEDIAN_BLOCKS = 11;
const SUBSIDY_START = 5_000_000_000n;
const HALVING_BLOCKS = 150;
const NULL_TXID = new Uint8Array(32);
const COINBASE_VOUT = 0xffffffff;
const WITNESS_RESERVED = new Uint8Array(32);
/** OP_RETURN, and the beginning of a push of 36 bytes. */
const COMMITMENT_PREFIX = fromHex('6a24aa21a9ed');

/** Its own transaction cannot be spent and is left out. */
export const GENESIS: BlockNode = {
  height: 0,
  hash: hash256(GENESIS_HEADER),
  header: GENESIS_HEADER,
  timeSeconds: 1_296_688_602,
  medianTimeSeconds: 1_296_688_602,
  parent: null,
  txs: [],
  spent: new Map(),
};

export const subsidySat = (height: number): bigint =>
  SUBSIDY_START >> BigInt(Math.floor(height / HALVING_BLOCKS));

export const isCoinbase = (tx: Tx): boolean =>
  tx.inputs.length === 1 &&
  tx.inputs[0]?.vout === COINBASE_VOUT &&
  tx.inputs[0].txid.every((byte) => byte === 0);

export interface BlockPlan {
  readonly parent: BlockNode;
  /** Without the coinbase. */
  readonly txs: readonly Tx[];
  readonly spent: ReadonlyMap<string, Coin>;
  readonly feesSat: bigint;
  readonly payout: Uint8Array;
  readonly timeSeconds: number;
  /** Keeps coinbases of rival blocks apart. */
  readonly extraNonce: number;
}

function makeCoinbase(plan: BlockPlan, height: number): Tx {
  return {
    version: 2,
    inputs: [
      {
        txid: NULL_TXID,
        vout: COINBASE_VOUT,
        scriptSig: assemble([pushNumber(height), le32(plan.extraNonce)]),
        sequence: 0xffffffff,
        witness: [WITNESS_RESERVED],
      },
    ],
    outputs: [{ value: subsidySat(height) + plan.feesSat, script: plan.payout }, witnessCommitment(plan.txs)],
    locktime: 0,
  };
}

/** BIP 141: of the witness root, in which the coinbase counts as 32 zero bytes whatever it contains, and the reserve. */
function witnessCommitment(txs: readonly Tx[]): TxOutput {
  const root = merkleRoot([new Uint8Array(32), ...txs.map(wtxidOf)]);
  const commitment = hash256(concatBytes(root, WITNESS_RESERVED));
  return { value: 0n, script: concatBytes(COMMITMENT_PREFIX, commitment) };
}

/** An odd one at the end of a level is paired with itself. */
function merkleRoot(hashes: readonly Uint8Array[]): Uint8Array {
  let level = hashes;
  while (level.length > 1)
    level = Array.from({ length: Math.ceil(level.length / 2) }, (_, i) => {
      const left = level[2 * i] as Uint8Array;
      return hash256(concatBytes(left, level[2 * i + 1] ?? left));
    });
  return level[0] as Uint8Array;
}

function le32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

function medianTime(parent: BlockNode, timeSeconds: number): number {
  const times = [timeSeconds];
  for (let node: BlockNode | null = parent; node !== null && times.length < MEDIAN_BLOCKS; node = node.parent)
    times.push(node.timeSeconds);
  return times.sort((a, b) => a - b)[Math.floor(times.length / 2)] as number;
}

/** The block hash, read from its end, is below half of all. */
const hasWork = (hash: Uint8Array): boolean => (hash[31] as number) < 0x80;

/** The next block on its parent; the transactions must be valid there. */
export function mineBlock(plan: BlockPlan): BlockNode {
  const { parent, timeSeconds } = plan;
  const height = parent.height + 1;
  const txs = [makeCoinbase(plan, height), ...plan.txs];
  const header = concatBytes(
    le32(BLOCK_VERSION),
    parent.hash,
    merkleRoot(txs.map(txidOf)),
    le32(timeSeconds),
    le32(REGTEST_BITS),
    le32(0),
  );
  const view = new DataView(header.buffer);
  let hash = hash256(header);
  for (let nonce = 1; !hasWork(hash); nonce++) {
    view.setUint32(76, nonce, true);
    hash = hash256(header);
  }
  const medianTimeSeconds = medianTime(parent, timeSeconds);
  return { height, hash, header, timeSeconds, medianTimeSeconds, parent, txs, spent: plan.spent };
}

const rawBlocks = new WeakMap<BlockNode, Uint8Array>();

/** Header, count, transactions with their witnesses. */
export function serializeBlock(node: BlockNode): Uint8Array {
  let raw = rawBlocks.get(node);
  if (raw === undefined) {
    raw = concatBytes(node.header, compactSize(node.txs.length), ...node.txs.map(serializeTx));
    rawBlocks.set(node, raw);
  }
  return raw;
}

function compactSize(value: number): Uint8Array {
  return value < 0xfd ? Uint8Array.of(value) : Uint8Array.of(0xfd, value % 256, Math.floor(value / 256));
}
