/**
 * Transactions as they stand in a block: one pass over the bytes that checks the form and notes where things are. Fields
 * are made only when somebody asks, as views of the block's bytes: copy what outlives the block.
 */
import { SAT_MAX, type Sat } from './amount.ts';
import { FormError } from './error.ts';
import { hash256 } from './hash.ts';
import { type Transaction, type TxInput, type TxOutput, txidToHex } from './transaction.ts';

/** BIP 141. */
export const BLOCK_WEIGHT_MAX = 4_000_000;
const BASE_BYTES_MAX = BLOCK_WEIGHT_MAX / 4;
const INPUTS_MAX = Math.floor(BASE_BYTES_MAX / 41);
const OUTPUTS_MAX = Math.floor(BASE_BYTES_MAX / 9);
const NO_WITNESS: readonly Uint8Array[] = [];
const NULL_VOUT = 0xffff_ffff;
const SUPPLY_SAT = Number(SAT_MAX);

/** The bytes end before the value does; more may come. `needed` counts from the start of the bytes. */
export class Truncated extends FormError {
  readonly needed: number;

  constructor(what: string, needed: number, bytes: number) {
    super(`truncated: ${what}`, { needed_bytes: needed, bytes });
    this.needed = needed;
  }
}

/** Reads in place; every step is checked against the end. */
export class BlockCursor {
  readonly bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  /** Where the next `length` bytes begin. */
  skip(length: number, what: string): number {
    const at = this.at;
    if (at + length > this.bytes.length) throw new Truncated(what, at + length, this.bytes.length);
    this.at = at + length;
    return at;
  }

  u8(what: string): number {
    return this.bytes[this.skip(1, what)]!;
  }

  u32(what: string): number {
    return u32At(this.bytes, this.skip(4, what));
  }

  /** Shortest form only, at most `max`. */
  compact(max: number, what: string): number {
    const first = this.u8(what);
    let value = first;
    if (first === 0xfd) {
      const at = this.skip(2, what);
      value = this.bytes[at]! | (this.bytes[at + 1]! << 8);
    } else if (first === 0xfe) value = this.u32(what);
    else if (first === 0xff) value = this.u32(what) + this.u32(what) * 0x1_0000_0000;
    if (first >= 0xfd && value < (first === 0xfd ? 0xfd : first === 0xfe ? 0x1_0000 : 0x1_0000_0000)) {
      throw new FormError(`not minimal: ${what}`, { value });
    }
    if (value > max) throw new FormError(`too large: ${what}`, { value, value_max: max });
    return value;
  }
}

function u32At(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

class BlockInput implements TxInput {
  readonly #bytes: Uint8Array;
  readonly #at: number;
  readonly #scriptAt: number;
  readonly #sequenceAt: number;
  readonly #witnessAt: number;

  constructor(bytes: Uint8Array, at: number, scriptAt: number, sequenceAt: number, witnessAt: number) {
    this.#bytes = bytes;
    this.#at = at;
    this.#scriptAt = scriptAt;
    this.#sequenceAt = sequenceAt;
    this.#witnessAt = witnessAt;
  }

  get txid(): Uint8Array {
    return this.#bytes.subarray(this.#at, this.#at + 32);
  }
  get vout(): number {
    return u32At(this.#bytes, this.#at + 32);
  }
  get scriptSig(): Uint8Array {
    return this.#bytes.subarray(this.#scriptAt, this.#sequenceAt);
  }
  get sequence(): number {
    return u32At(this.#bytes, this.#sequenceAt);
  }
  get witness(): readonly Uint8Array[] {
    if (this.#witnessAt === 0) return NO_WITNESS;
    const cursor = new BlockCursor(this.#bytes, this.#witnessAt);
    const count = cursor.compact(BLOCK_WEIGHT_MAX, 'witness count');
    return Array.from({ length: count }, () => {
      const length = cursor.compact(BLOCK_WEIGHT_MAX, 'witness item');
      const at = cursor.skip(length, 'witness item');
      return this.#bytes.subarray(at, at + length);
    });
  }
}

class BlockOutput implements TxOutput {
  readonly #bytes: Uint8Array;
  readonly #at: number;
  readonly #scriptAt: number;
  readonly #end: number;

  constructor(bytes: Uint8Array, at: number, scriptAt: number, end: number) {
    this.#bytes = bytes;
    this.#at = at;
    this.#scriptAt = scriptAt;
    this.#end = end;
  }

  get value(): Sat {
    return BigInt(amountAt(this.#bytes, this.#at)) as Sat;
  }
  get script(): Uint8Array {
    return this.#bytes.subarray(this.#scriptAt, this.#end);
  }
}

/** Exact below 2^53; anything else is far above the supply. */
const amountAt = (bytes: Uint8Array, at: number): number =>
  u32At(bytes, at) + u32At(bytes, at + 4) * 0x1_0000_0000;

export interface BlockTransaction extends Transaction {
  /** Place in the block; the coinbase is 0. */
  readonly index: number;
  readonly isCoinbase: boolean;
  /** Internal byte order, own copies. */
  readonly txid: Uint8Array;
  readonly wtxid: Uint8Array;
  readonly hasWitness: boolean;
  /** As explorers show it; made at the first call. */
  readonly txidHex: string;
  /** Both serializations counted as BIP 141 does. */
  readonly weight: number;
  /** The whole serialization. */
  readonly bytes: Uint8Array;
}

interface Parts {
  readonly inputs: readonly BlockInput[];
  readonly outputs: readonly BlockOutput[];
}

class ReadTransaction implements BlockTransaction {
  readonly index: number;
  readonly inputs: readonly BlockInput[];
  readonly outputs: readonly BlockOutput[];
  readonly bytes: Uint8Array;
  readonly txid: Uint8Array;
  readonly wtxid: Uint8Array;
  readonly bareBytes: number;
  #hex: string | null = null;

  constructor(
    index: number,
    { inputs, outputs }: Parts,
    bytes: Uint8Array,
    bareBytes: number,
    txid: Uint8Array,
  ) {
    this.index = index;
    this.inputs = inputs;
    this.outputs = outputs;
    this.bytes = bytes;
    this.bareBytes = bareBytes;
    this.txid = txid;
    this.wtxid = this.hasWitness ? hash256(bytes) : txid;
  }

  get hasWitness(): boolean {
    return this.bareBytes < this.bytes.length;
  }
  get weight(): number {
    return 3 * this.bareBytes + this.bytes.length;
  }
  get version(): number {
    return u32At(this.bytes, 0) | 0;
  }
  get locktime(): number {
    return u32At(this.bytes, this.bytes.length - 4);
  }
  get isCoinbase(): boolean {
    return this.inputs.length === 1 && isNullInput(this.inputs[0]!);
  }
  get txidHex(): string {
    this.#hex ??= txidToHex(this.txid);
    return this.#hex;
  }
}

/** An input that spends nothing: only a coinbase has one. */
export const isNullInput = ({ vout, txid }: TxInput): boolean =>
  vout === NULL_VOUT && txid.every((byte) => byte === 0);

interface InputPlace {
  readonly at: number;
  readonly scriptAt: number;
  readonly sequenceAt: number;
}

function scanInputs(cursor: BlockCursor): InputPlace[] {
  const count = cursor.compact(INPUTS_MAX, 'input count');
  if (count === 0) throw new FormError('transaction without inputs');
  const places: InputPlace[] = [];
  for (let i = 0; i < count; i++) {
    const at = cursor.skip(36, 'outpoint');
    const scriptAt = cursor.skip(cursor.compact(BASE_BYTES_MAX, 'scriptSig'), 'scriptSig');
    places.push({ at, scriptAt, sequenceAt: cursor.skip(4, 'sequence') });
  }
  return places;
}

function scanOutputs(cursor: BlockCursor): BlockOutput[] {
  const count = cursor.compact(OUTPUTS_MAX, 'output count');
  if (count === 0) throw new FormError('transaction without outputs');
  const outputs: BlockOutput[] = [];
  let totalSat = 0;
  for (let i = 0; i < count; i++) {
    const at = cursor.skip(8, 'output value');
    // Exact while both are within the supply, and far above it where they are not.
    totalSat += amountAt(cursor.bytes, at);
    if (totalSat > SUPPLY_SAT) throw new FormError('outputs exceed the money supply');
    const scriptAt = cursor.skip(cursor.compact(BASE_BYTES_MAX, 'output script'), 'output script');
    outputs.push(new BlockOutput(cursor.bytes, at, scriptAt, cursor.at));
  }
  return outputs;
}

/** Where each input's witness begins. `FormError` when all of them are empty: BIP 144 has a shorter form for that. */
function scanWitnesses(cursor: BlockCursor, count: number): number[] {
  const places: number[] = [];
  let hasAny = false;
  for (let i = 0; i < count; i++) {
    places.push(cursor.at);
    const items = cursor.compact(BLOCK_WEIGHT_MAX, 'witness count');
    hasAny ||= items > 0;
    for (let item = 0; item < items; item++) {
      cursor.skip(cursor.compact(BLOCK_WEIGHT_MAX, 'witness item'), 'witness item');
    }
  }
  if (!hasAny) throw new FormError('segwit marker without a witness');
  return places;
}

/** Reads one transaction after the other; keeps a buffer for the form that the txid commits to. */
export class BlockTransactionReader {
  #bare = new Uint8Array(4096);

  /** Leaves the cursor behind the transaction. Throws `Truncated` when it does not end within the bytes. */
  read(cursor: BlockCursor, index: number): BlockTransaction {
    const { bytes, at: start } = cursor;
    cursor.skip(4, 'version');
    const marker = cursor.skip(2, 'input count');
    const isSegwit = bytes[marker] === 0;
    if (isSegwit && bytes[marker + 1] !== 1)
      throw new FormError('transaction without inputs', { flag: bytes[marker + 1]! });
    if (!isSegwit) cursor.at = marker;
    const bodyAt = cursor.at;
    const places = scanInputs(cursor);
    const outputs = scanOutputs(cursor);
    const bodyEnd = cursor.at;
    const witnesses = isSegwit ? scanWitnesses(cursor, places.length) : null;
    cursor.skip(4, 'locktime');
    const inputs = places.map(
      ({ at, scriptAt, sequenceAt }, i) =>
        new BlockInput(bytes, at, scriptAt, sequenceAt, witnesses?.[i] ?? 0),
    );
    const whole = bytes.subarray(start, cursor.at);
    const bareBytes = isSegwit ? 8 + bodyEnd - bodyAt : whole.length;
    const txid = isSegwit
      ? this.#bareHash(whole, bodyAt - start, bodyEnd - start, bareBytes)
      : hash256(whole);
    return new ReadTransaction(index, { inputs, outputs }, whole, bareBytes, txid);
  }

  #bareHash(whole: Uint8Array, bodyAt: number, bodyEnd: number, bareBytes: number): Uint8Array {
    if (bareBytes > this.#bare.length) this.#bare = new Uint8Array(2 * bareBytes);
    this.#bare.set(whole.subarray(0, 4));
    this.#bare.set(whole.subarray(bodyAt, bodyEnd), 4);
    this.#bare.set(whole.subarray(whole.length - 4), bareBytes - 4);
    return hash256(this.#bare.subarray(0, bareBytes));
  }
}
