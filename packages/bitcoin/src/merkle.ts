/**
 * Bitcoin's merkle tree over transaction hashes. A row of odd length pairs its last hash with itself, so lists with repeated
 * tails have the root of shorter ones (CVE-2012-2459): two equal hashes side by side are never accepted.
 */
import { FormError } from './error.ts';
import { hash256 } from './hash.ts';

/** Hashes of 32 bytes one after the other, growing. */
export class HashList {
  #bytes = new Uint8Array(32 * 64);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  push(hash: Uint8Array): void {
    if (32 * (this.#count + 1) > this.#bytes.length) {
      const grown = new Uint8Array(this.#bytes.length * 2);
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    this.#bytes.set(hash, 32 * this.#count++);
  }

  /** A copy of all of them. */
  bytes(): Uint8Array {
    return this.#bytes.slice(0, 32 * this.#count);
  }
}

export interface MerkleTree {
  readonly root: Uint8Array;
  /** What the first leaf is combined with, from the bottom up. */
  readonly firstBranch: readonly Uint8Array[];
}

function equalNeighbours(row: Uint8Array, at: number): boolean {
  for (let i = 0; i < 32; i++) if (row[at + i] !== row[at + 32 + i]) return false;
  return true;
}

/** `FormError` for an empty list, and for two equal hashes that are combined on any level. */
export function merkleTree(leaves: HashList): MerkleTree {
  if (leaves.count === 0) throw new FormError('merkle tree without leaves');
  const row = leaves.bytes();
  const firstBranch: Uint8Array[] = [];
  const pair = new Uint8Array(64);
  for (let count = leaves.count, level = 0; count > 1; count = (count + 1) >>> 1, level++) {
    firstBranch.push(row.slice(32, 64));
    const pairs = count >>> 1;
    for (let i = 0; i < pairs; i++) {
      if (equalNeighbours(row, 64 * i)) {
        throw new FormError('equal hashes side by side in the merkle tree', { level, position: 2 * i });
      }
      row.set(hash256(row.subarray(64 * i, 64 * i + 64)), 32 * i);
    }
    if (count % 2 === 1) {
      const last = row.subarray(32 * (count - 1), 32 * count);
      pair.set(last);
      pair.set(last, 32);
      row.set(hash256(pair), 32 * pairs);
    }
  }
  return { root: row.slice(0, 32), firstBranch };
}

/** The root of the tree whose first leaf is `leaf`, the rest as in the tree the branch is from. */
export function rootOfFirst(leaf: Uint8Array, firstBranch: readonly Uint8Array[]): Uint8Array {
  return firstBranch.reduce((hash, beside) => hash256(hash, beside), leaf);
}
