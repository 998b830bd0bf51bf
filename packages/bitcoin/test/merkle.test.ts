/** Merkle trees of Bitcoin: roots against a plain model, branches, and the duplication attack at every level. */
import { FormError, HashList, hash256, merkleTree, rootOfFirst, sha256, toHex } from '@countersign/bitcoin';
import { describe, expect, it } from 'vitest';

const leaf = (i: number): Uint8Array => sha256(Uint8Array.of(i & 0xff, i >>> 8));
const leaves = (count: number): Uint8Array[] => Array.from({ length: count }, (_, i) => leaf(i));

function listOf(hashes: readonly Uint8Array[]): HashList {
  const list = new HashList();
  for (const hash of hashes) list.push(hash);
  return list;
}

function model(hashes: readonly Uint8Array[]): Uint8Array {
  if (hashes.length === 1) return hashes[0]!;
  const next: Uint8Array[] = [];
  for (let i = 0; i < hashes.length; i += 2) next.push(hash256(hashes[i]!, hashes[i + 1] ?? hashes[i]!));
  return model(next);
}

describe('a merkle tree', () => {
  it('has the root of the model and a branch for its first leaf, for 1 to 70 leaves', () => {
    for (let count = 1; count <= 70; count++) {
      const tree = merkleTree(listOf(leaves(count)));
      expect(toHex(tree.root)).toBe(toHex(model(leaves(count))));
      expect(toHex(rootOfFirst(leaf(0), tree.firstBranch))).toBe(toHex(tree.root));
    }
  });

  it('has leaves', () => {
    expect(() => merkleTree(new HashList())).toThrow(FormError);
  });

  it('refuses every list that repeats its tail and has the same root (CVE-2012-2459, A71)', () => {
    for (let count = 1; count <= 70; count++) {
      const honest = leaves(count);
      const root = toHex(model(honest));
      for (let tail = 1; tail <= count; tail++) {
        const doubled = [...honest, ...honest.slice(count - tail)];
        if (toHex(model(doubled)) !== root) continue;
        expect(() => merkleTree(listOf(doubled)), `${count} and ${tail} again`).toThrow(FormError);
      }
    }
  });

  it('admits equal hashes that are not combined', () => {
    const apart = [leaf(1), leaf(2), leaf(2), leaf(3)];
    expect(toHex(merkleTree(listOf(apart)).root)).toBe(toHex(model(apart)));
  });
});
