/**
 * A block as VLS's messages bring it: in pieces, how many is not said. It is proven against its own header while it comes, so
 * that a bad one ends at the first piece that shows it, and what is whole has its merkle root. All connections share one room.
 */
import { BlockReader, FormError } from '@countersign/bitcoin';
import { NODE_BLOCK_BYTES_MAX } from './chain-session.ts';

/**
 * For the blocks of all connections together: those that come in, and those kept for branches. While a block comes in, its
 * reader has up to three times as many bytes again: a transaction that has not ended, in a buffer of up to twice its length.
 */
export const VLS_ROOM_BYTES = 24_000_000;
const FIRST_BYTES = 64 * 1024;

/** Counts what is held; holds nothing itself. */
export class BlockRoom {
  #freeBytes: number;

  constructor(bytes = VLS_ROOM_BYTES) {
    this.#freeBytes = bytes;
  }

  get freeBytes(): number {
    return this.#freeBytes;
  }

  /** False, and nothing taken, where there is not that much. */
  take(bytes: number): boolean {
    if (bytes > this.#freeBytes) return false;
    this.#freeBytes -= bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.#freeBytes += bytes;
  }
}

export class CollectedBlock {
  /** As the sender names it; whoever uses the block compares it with its header. */
  readonly hash: Uint8Array;
  readonly #room: BlockRoom;
  #reader = new BlockReader(() => {});
  #bytes = new Uint8Array(0);
  #filledBytes = 0;
  #heldBytes = 0;

  constructor(hash: Uint8Array, room: BlockRoom) {
    this.hash = hash.slice();
    this.#room = room;
  }

  get filledBytes(): number {
    return this.#filledBytes;
  }

  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#filledBytes);
  }

  /** False where the room is full. Throws `FormError` for what is no part of a valid block. */
  push(content: Uint8Array): boolean {
    const filledBytes = this.#filledBytes + content.length;
    if (filledBytes > NODE_BLOCK_BYTES_MAX) {
      throw new FormError('the block is too large', { bytes: filledBytes, bytes_max: NODE_BLOCK_BYTES_MAX });
    }
    if (filledBytes > this.#bytes.length && !this.#grow(filledBytes)) return false;
    this.#bytes.set(content, this.#filledBytes);
    this.#filledBytes = filledBytes;
    this.#reader.push(content);
    return true;
  }

  /** Nothing more comes. The hash of the block; `FormError` unless it is whole, and what its header vouches for. */
  finish(): Uint8Array {
    const { hash } = this.#reader.finish();
    // What is kept of the block for a branch is its bytes alone.
    this.#reader = new BlockReader(() => {});
    return hash;
  }

  /** May be called again. */
  release(): void {
    this.#room.giveBack(this.#heldBytes);
    this.#heldBytes = 0;
  }

  #grow(neededBytes: number): boolean {
    const lengthBytes = Math.min(
      NODE_BLOCK_BYTES_MAX,
      Math.max(FIRST_BYTES, neededBytes, 2 * this.#bytes.length),
    );
    if (!this.#room.take(lengthBytes - this.#heldBytes)) return false;
    this.#heldBytes = lengthBytes;
    const grown = new Uint8Array(lengthBytes);
    grown.set(this.bytes);
    this.#bytes = grown;
    return true;
  }
}
