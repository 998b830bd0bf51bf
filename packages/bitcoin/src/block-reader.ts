/**
 * A whole block, read from pieces of any size in bounded memory, and proven against its header: merkle root over every
 * transaction, witness commitment (BIP 141) over every witness. What a caller sees before `finish` is not proven yet.
 */

import { type BlockHeader, blockHash, HEADER_BYTES, parseBlockHeader } from './block-header.ts';
import {
  BLOCK_WEIGHT_MAX,
  BlockCursor,
  type BlockTransaction,
  BlockTransactionReader,
  isNullInput,
  Truncated,
} from './block-transaction.ts';
import { equalBytes } from './bytes.ts';
import { FormError } from './error.ts';
import { hash256 } from './hash.ts';
import { HashList, merkleTree } from './merkle.ts';
import { compactSizeLength } from './transaction.ts';

/** The smallest transaction has 60 bytes, four weight units each. */
const TRANSACTIONS_MAX = Math.floor(BLOCK_WEIGHT_MAX / 240);
const COINBASE_SCRIPT_BYTES = { min: 2, max: 100 } as const;
/** OP_RETURN, a push of 36 bytes, and BIP 141's four. */
const COMMITMENT_PREFIX = Uint8Array.of(0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed);
const COMMITMENT_BYTES_MIN = 38;
/** What is kept for a transaction that has not ended yet. */
const PENDING_BYTES_MIN = 64 * 1024;
/** BIP 141: the coinbase's wtxid is taken as zero. */
const ZERO_HASH = new Uint8Array(32);

export interface ProvenBlock {
  readonly header: BlockHeader;
  /** Internal byte order. */
  readonly hash: Uint8Array;
  readonly transactionCount: number;
  readonly weight: number;
  /** The height that the coinbase begins with (BIP 34); null where it begins with something else. */
  readonly coinbaseHeightBlocks: number | null;
  /** Own copy of its bytes. */
  readonly coinbase: BlockTransaction;
  /** From the coinbase's txid to the merkle root, from the bottom up. */
  readonly coinbaseBranch: readonly Uint8Array[];
}

/** Index of the output with the witness commitment: the last that has its form; −1 for none. */
export function commitmentIndex(coinbase: Pick<BlockTransaction, 'outputs'>): number {
  return coinbase.outputs.findLastIndex(
    ({ script }) =>
      script.length >= COMMITMENT_BYTES_MIN && COMMITMENT_PREFIX.every((byte, i) => script[i] === byte),
  );
}

/** BIP 34, the height as a script number: OP_1 … OP_16 or a minimal push of at most four bytes. */
function coinbaseHeight(script: Uint8Array): number | null {
  const first = script[0]!;
  if (first >= 0x51 && first <= 0x60) return first - 0x50;
  if (first < 1 || first > 4 || script.length < 1 + first) return null;
  let height = 0;
  for (let i = first; i >= 1; i--) height = height * 256 + script[i]!;
  return height < 2 ** (8 * first - 1) ? height : null;
}

/**
 * `push` pieces in order, then `finish`. `onTransaction` is called once for each transaction in block order; what it
 * gets is views of the pieces. Throws `FormError` for whatever is no valid block, and is of no use afterwards.
 *
 * Transactions of 64 bytes, which look like a pair of hashes, are admitted as in Bitcoin Core: that an inner row of the tree is
 * passed off as the transactions would need a pair of hashes with the 37 fixed bytes of a coinbase.
 */
export class BlockReader {
  readonly #onTransaction: (transaction: BlockTransaction) => void;
  readonly #reader = new BlockTransactionReader();
  readonly #txids = new HashList();
  readonly #wtxids = new HashList();
  #header: Uint8Array | null = null;
  #count: number | null = null;
  #weight = 0;
  #hasWitness = false;
  #coinbase: BlockTransaction | null = null;
  #pending = new Uint8Array(0);
  #pendingBytes = 0;
  /** Until so many are there, another attempt would only read the same bytes again. */
  #attemptAtBytes = 0;
  #totalBytes = 0;
  #state: 'open' | 'done' = 'open';

  constructor(onTransaction: (transaction: BlockTransaction) => void) {
    this.#onTransaction = onTransaction;
  }

  push(piece: Uint8Array): void {
    this.#requireOpen();
    this.#guard(() => {
      this.#totalBytes += piece.length;
      // Weight counts every byte at least once.
      if (this.#totalBytes > BLOCK_WEIGHT_MAX)
        throw new FormError('block too large', { bytes: this.#totalBytes, bytes_max: BLOCK_WEIGHT_MAX });
      const bytes = this.#pendingBytes === 0 ? plain(piece) : this.#joined(piece);
      if (bytes.length >= this.#attemptAtBytes) this.#read(bytes);
      else this.#pendingBytes = bytes.length;
    });
  }

  /** The block as a whole, proven; `FormError` when anything is missing, left over or does not match. */
  finish(): ProvenBlock {
    this.#requireOpen();
    return this.#guard(() => {
      const left = this.#pending.subarray(0, this.#pendingBytes);
      this.#read(left);
      if (this.#header === null || this.#count === null || this.#txids.count < this.#count) {
        throw new FormError('block ends early', {
          transactions: this.#txids.count,
          transactions_announced: this.#count ?? 0,
          bytes: this.#totalBytes,
        });
      }
      this.#state = 'done';
      return this.#prove(this.#header, this.#coinbase!);
    });
  }

  #requireOpen(): void {
    if (this.#state === 'done') throw new FormError('the reader of this block is done');
  }

  /** Whatever leaves by an exception, the reader does not go on. */
  #guard<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      this.#state = 'done';
      throw error;
    }
  }

  /** The bytes kept and the piece. Written only behind what was handed out. */
  #joined(piece: Uint8Array): Uint8Array {
    const length = this.#pendingBytes + piece.length;
    if (length > this.#pending.length) {
      const grown = new Uint8Array(Math.max(PENDING_BYTES_MIN, 2 * length));
      grown.set(this.#pending.subarray(0, this.#pendingBytes));
      this.#pending = grown;
    }
    this.#pending.set(piece, this.#pendingBytes);
    return this.#pending.subarray(0, length);
  }

  /** Everything complete in `bytes`; keeps the rest. */
  #read(bytes: Uint8Array): void {
    const cursor = new BlockCursor(bytes);
    let done = 0;
    this.#attemptAtBytes = 0;
    try {
      while (cursor.at < bytes.length) {
        this.#readNext(cursor);
        done = cursor.at;
      }
    } catch (error) {
      if (!(error instanceof Truncated)) throw error;
      // At least half as much again, so that pieces of one byte cost no more than a few passes.
      const leftBytes = bytes.length - done;
      this.#attemptAtBytes = Math.max(error.needed - done, leftBytes + (leftBytes >>> 1));
    }
    this.#keep(bytes, done);
  }

  #keep(bytes: Uint8Array, done: number): void {
    const rest = bytes.subarray(done);
    this.#pendingBytes = rest.length;
    if (rest.length === 0 || (done === 0 && bytes.buffer === this.#pending.buffer)) return;
    this.#pending = new Uint8Array(Math.max(PENDING_BYTES_MIN, 2 * rest.length));
    this.#pending.set(rest);
  }

  #readNext(cursor: BlockCursor): void {
    if (this.#header === null) {
      const at = cursor.skip(HEADER_BYTES, 'block header');
      this.#header = cursor.bytes.slice(at, at + HEADER_BYTES);
    } else if (this.#count === null) {
      const count = cursor.compact(TRANSACTIONS_MAX, 'transaction count');
      if (count === 0) throw new FormError('block without transactions');
      this.#count = count;
      this.#weight = 4 * (HEADER_BYTES + compactSizeLength(count));
    } else if (this.#txids.count === this.#count) {
      throw new FormError('trailing bytes after the block', { left: cursor.bytes.length - cursor.at });
    } else this.#take(this.#reader.read(cursor, this.#txids.count));
  }

  #take(transaction: BlockTransaction): void {
    const { index } = transaction;
    this.#weight += transaction.weight;
    if (this.#weight > BLOCK_WEIGHT_MAX)
      throw new FormError('block too heavy', { weight: this.#weight, weight_max: BLOCK_WEIGHT_MAX });
    if (index === 0) this.#coinbase = ownCoinbase(transaction);
    else if (transaction.inputs.some(isNullInput))
      throw new FormError('an input without an outpoint beside the coinbase', { transaction: index });
    this.#hasWitness ||= transaction.hasWitness;
    this.#txids.push(transaction.txid);
    this.#wtxids.push(index === 0 ? ZERO_HASH : transaction.wtxid);
    this.#onTransaction(transaction);
  }

  #prove(headerBytes: Uint8Array, coinbase: BlockTransaction): ProvenBlock {
    const header = parseBlockHeader(headerBytes);
    const { root, firstBranch } = merkleTree(this.#txids);
    if (!equalBytes(root, header.merkleRoot))
      throw new FormError('the transactions do not have the merkle root');
    this.#requireCommitment(coinbase);
    return {
      header,
      hash: blockHash(headerBytes),
      transactionCount: this.#txids.count,
      weight: this.#weight,
      coinbaseHeightBlocks: coinbaseHeight(coinbase.inputs[0]!.scriptSig),
      coinbase,
      coinbaseBranch: firstBranch,
    };
  }

  /** BIP 141 "Commitment structure". Segwit is taken as active, as it is wherever channels are. */
  #requireCommitment(coinbase: BlockTransaction): void {
    const at = commitmentIndex(coinbase);
    if (at === -1) {
      if (this.#hasWitness) throw new FormError('witnesses without a commitment to them');
      return;
    }
    const [reserved, ...others] = coinbase.inputs[0]!.witness;
    if (reserved === undefined || reserved.length !== 32 || others.length > 0)
      throw new FormError('the witness of the coinbase is not one value of 32 bytes');
    const { root } = merkleTree(this.#wtxids);
    const { script } = coinbase.outputs[at]!;
    if (!equalBytes(hash256(root, reserved), script.subarray(6, COMMITMENT_BYTES_MIN)))
      throw new FormError('the witnesses do not have the commitment of the coinbase', { output: at });
  }
}

/** A Node Buffer's `slice` shares memory, so one is looked at as what it is made of. */
const plain = (bytes: Uint8Array): Uint8Array =>
  new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function ownCoinbase(transaction: BlockTransaction): BlockTransaction {
  const script = transaction.inputs[0]!.scriptSig;
  if (!transaction.isCoinbase) throw new FormError('the first transaction is no coinbase');
  const { min, max } = COINBASE_SCRIPT_BYTES;
  if (script.length < min || script.length > max)
    throw new FormError('the coinbase has a script of impossible length', { bytes: script.length });
  return new BlockTransactionReader().read(new BlockCursor(transaction.bytes.slice()), 0);
}

/** A block at hand as one piece. */
export function readBlock(
  bytes: Uint8Array,
  onTransaction: (transaction: BlockTransaction) => void = () => {},
): ProvenBlock {
  const reader = new BlockReader(onTransaction);
  reader.push(bytes);
  return reader.finish();
}
