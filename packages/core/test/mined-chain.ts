/**
 * Chains of regtest for the tests, mined on the spot: valid proof of work, merkle root and witness commitment, with the
 * transactions given. Shares no code with what judges headers and blocks.
 */
import {
  concat,
  fromHex,
  hash256,
  parseTransaction,
  sat,
  serializeNoWitness,
  serializeTransaction,
  type Transaction,
} from '@countersign/bitcoin';

export interface MinedBlock {
  readonly heightBlocks: number;
  /** 80 bytes. */
  readonly header: Uint8Array;
  /** Internal byte order. */
  readonly hash: Uint8Array;
  readonly timeSeconds: number;
  /** The whole block as a peer sends it. */
  readonly raw: Uint8Array;
  /** The coinbase first. */
  readonly transactions: readonly Transaction[];
}

export interface MineOptions {
  /** Default: 600 seconds after the parent. */
  readonly timeSeconds?: number;
  /** Default: regtest's. Harder ones take long. */
  readonly bits?: number;
  /** Makes blocks of equal content differ, as two branches need. */
  readonly salt?: number;
  /** `false` leaves the witness commitment out. */
  readonly commits?: boolean;
}

export const REGTEST_BITS = 0x207fffff;
export const BLOCK_SPACING_SECONDS = 600;
/** BIP 141: the coinbase's own witness. */
const WITNESS_RESERVED = new Uint8Array(32);
const COMMITMENT_PREFIX = fromHex('6a24aa21a9ed');
const SUBSIDY_SAT = sat(5_000_000_000n);
const ANYONE = Uint8Array.of(0x51);

const GENESIS_COINBASE =
  '01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d04ffff001d0104455468652054696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f757420666f722062616e6b73ffffffff0100f2052a01000000434104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000';

export interface HeaderFields {
  readonly version: number;
  readonly previous: Uint8Array;
  readonly merkleRoot: Uint8Array;
  readonly timeSeconds: number;
  readonly bits: number;
  readonly nonce: number;
}

export function headerBytes(fields: HeaderFields): Uint8Array {
  const header = new Uint8Array(80);
  const view = new DataView(header.buffer);
  view.setInt32(0, fields.version, true);
  header.set(fields.previous, 4);
  header.set(fields.merkleRoot, 36);
  view.setUint32(68, fields.timeSeconds, true);
  view.setUint32(72, fields.bits, true);
  view.setUint32(76, fields.nonce, true);
  return header;
}

const numberOf = (hash: Uint8Array): bigint =>
  BigInt(`0x${Buffer.from(Uint8Array.from(hash).reverse()).toString('hex')}`);

/** Only for bits whose exponent is 3 or more. */
const targetOf = (bits: number): bigint => BigInt(bits & 0x7fffff) << BigInt(8 * ((bits >>> 24) - 3));

/** The first nonce from `fields.nonce` on whose hash is at most the target of `fields.bits`. */
export function mineHeader(fields: HeaderFields): { header: Uint8Array; hash: Uint8Array } {
  const target = targetOf(fields.bits);
  const header = headerBytes(fields);
  const view = new DataView(header.buffer);
  for (let nonce = fields.nonce; ; nonce++) {
    view.setUint32(76, nonce, true);
    const hash = hash256(header);
    if (numberOf(hash) <= target) return { header, hash };
  }
}

/** A transaction that stands in many blocks is hashed once. */
function once<T>(make: (tx: Transaction) => T): (tx: Transaction) => T {
  const known = new WeakMap<Transaction, T>();
  return (tx) => {
    const made = known.get(tx) ?? make(tx);
    known.set(tx, made);
    return made;
  };
}
const bytesOf = once(serializeTransaction);
const txidOf = once((tx) => hash256(serializeNoWitness(tx)));
const wtxidOf = once((tx) => hash256(bytesOf(tx)));

/** Bitcoin's tree, the last of an odd row doubled. */
export function merkleRootOf(hashes: readonly Uint8Array[]): Uint8Array {
  let row = hashes;
  while (row.length > 1) {
    row = Array.from({ length: Math.ceil(row.length / 2) }, (_, i) =>
      hash256(row[2 * i]!, row[2 * i + 1] ?? row[2 * i]!),
    );
  }
  return row[0]!;
}

/** BIP 34: the height, then the salt so that no two coinbases are the same. */
function coinbaseScript(heightBlocks: number, salt: number): Uint8Array {
  const height: number[] = [];
  for (let rest = heightBlocks; rest > 0; rest >>>= 8) height.push(rest & 0xff);
  if ((height.at(-1) ?? 0) >= 0x80) height.push(0);
  const pushed = heightBlocks <= 16 ? [0x50 + heightBlocks] : [height.length, ...height];
  return Uint8Array.of(...pushed, 4, salt & 0xff, (salt >>> 8) & 0xff, (salt >>> 16) & 0xff, 0);
}

function coinbaseOf(heightBlocks: number, others: readonly Transaction[], options: MineOptions): Transaction {
  const wtxids = [new Uint8Array(32), ...others.map(wtxidOf)];
  const commitment = concat(COMMITMENT_PREFIX, hash256(merkleRootOf(wtxids), WITNESS_RESERVED));
  const commits = options.commits !== false;
  return {
    version: 2,
    inputs: [
      {
        txid: new Uint8Array(32),
        vout: 0xffff_ffff,
        scriptSig: coinbaseScript(heightBlocks, options.salt ?? 0),
        sequence: 0xffff_ffff,
        witness: commits ? [WITNESS_RESERVED] : [],
      },
    ],
    outputs: [
      { value: SUBSIDY_SAT, script: ANYONE },
      ...(commits ? [{ value: sat(0n), script: commitment }] : []),
    ],
    locktime: 0,
  };
}

function countBytes(count: number): Uint8Array {
  if (count < 0xfd) return Uint8Array.of(count);
  return count <= 0xffff
    ? Uint8Array.of(0xfd, count & 0xff, count >>> 8)
    : Uint8Array.of(0xfe, count & 0xff, (count >>> 8) & 0xff, (count >>> 16) & 0xff, count >>> 24);
}

/** A header and transactions as one block, valid or not. */
export const blockBytes = (header: Uint8Array, transactions: readonly Transaction[]): Uint8Array =>
  concat(header, countBytes(transactions.length), ...transactions.map(bytesOf));

type Parent = Pick<MinedBlock, 'heightBlocks' | 'hash' | 'timeSeconds'>;

/** A block with exactly these transactions, the coinbase included, valid or not beyond proof of work and merkle root. */
export function mineExactly(
  parent: Parent,
  transactions: readonly Transaction[],
  options: MineOptions = {},
): MinedBlock {
  const timeSeconds = options.timeSeconds ?? parent.timeSeconds + BLOCK_SPACING_SECONDS;
  const { header, hash } = mineHeader({
    version: 0x2000_0000,
    previous: parent.hash,
    merkleRoot: merkleRootOf(transactions.map(txidOf)),
    timeSeconds,
    bits: options.bits ?? REGTEST_BITS,
    nonce: 0,
  });
  const heightBlocks = parent.heightBlocks + 1;
  const raw = blockBytes(header, transactions);
  return { heightBlocks, header, hash, timeSeconds, raw, transactions };
}

/** A valid block with these transactions after a coinbase of its own. */
export function mineBlock(
  parent: Parent,
  others: readonly Transaction[] = [],
  options: MineOptions = {},
): MinedBlock {
  const coinbase = coinbaseOf(parent.heightBlocks + 1, others, options);
  return mineExactly(parent, [coinbase, ...others], options);
}

/** Block 0 of regtest, the real one. */
export function regtestGenesis(): MinedBlock {
  const coinbase = parseTransaction(fromHex(GENESIS_COINBASE));
  const timeSeconds = 1_296_688_602;
  const header = headerBytes({
    version: 1,
    previous: new Uint8Array(32),
    merkleRoot: hash256(serializeNoWitness(coinbase)),
    timeSeconds,
    bits: REGTEST_BITS,
    nonce: 2,
  });
  const raw = blockBytes(header, [coinbase]);
  return { heightBlocks: 0, header, hash: hash256(header), timeSeconds, raw, transactions: [coinbase] };
}

/** A chain from regtest's genesis. `blocks[h]` is the block of height h. */
export class MinedChain {
  readonly blocks: MinedBlock[];
  readonly #salt: number;

  constructor(blocks: readonly MinedBlock[] = [regtestGenesis()], salt = 0) {
    this.blocks = [...blocks];
    this.#salt = salt;
  }

  get tip(): MinedBlock {
    return this.blocks[this.blocks.length - 1]!;
  }

  /** Mines one block with these transactions on top. */
  extend(others: readonly Transaction[] = [], options: MineOptions = {}): MinedBlock {
    const block = mineBlock(this.tip, others, { salt: this.#salt, ...options });
    this.blocks.push(block);
    return block;
  }

  /** Mines that many empty blocks. */
  extendBy(count: number, options: MineOptions = {}): void {
    for (let i = 0; i < count; i++) this.extend([], options);
  }

  /** Another chain that shares the blocks up to this height; its own blocks differ by the salt. */
  forkAt(heightBlocks: number, salt = this.#salt + 1): MinedChain {
    return new MinedChain(this.blocks.slice(0, heightBlocks + 1), salt);
  }

  /** The headers of these heights, both included, as one run. */
  headers(fromHeightBlocks: number, toHeightBlocks = this.tip.heightBlocks): Uint8Array {
    return concat(...this.blocks.slice(fromHeightBlocks, toHeightBlocks + 1).map((block) => block.header));
  }
}
