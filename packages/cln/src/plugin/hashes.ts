/**
 * Which 32-byte values of a write lightningd has to wait for. An HTLC's payment hash is written when the HTLC is made, long before
 * its preimage: so a value whose SHA-256 was never written is no preimage of any HTLC there is. It is delivered all the same,
 * but nobody waits. Until the hashes of the HTLCs from before this process are known, every value is waited for.
 */
import { hash } from 'node:crypto';

/** Enough for tens of thousands of payments at a time; the oldest go first. */
export const HASHES_MAX = 131_072;
/** Of each hash: that two begin alike only means a wait too many. */
const PREFIX_BYTES = 6;

export class KnownHashes {
  readonly #seen = new Set<number>();
  /** The same in the order they came, round and round: what is overwritten is forgotten. */
  readonly #ring: Float64Array;
  #at = 0;
  #isComplete = false;

  constructor(hashesMax = HASHES_MAX) {
    this.#ring = new Float64Array(hashesMax).fill(-1);
  }

  /** Values of one write. Those to wait for; all of them may be hashes of later ones. */
  urgentOf(values: readonly Uint8Array[]): readonly Uint8Array[] {
    for (const value of values) this.#add(value);
    if (!this.#isComplete) return values;
    return values.filter((value) => this.#seen.has(prefixOf(hash('sha256', value, 'buffer'))));
  }

  /** The payment hashes of every HTLC from before. */
  complete(hashes: readonly Uint8Array[]): void {
    for (const hash of hashes) this.#add(hash);
    this.#isComplete = hashes.length <= this.#ring.length;
  }

  #add(value: Uint8Array): void {
    const prefix = prefixOf(value);
    if (this.#seen.has(prefix)) return;
    this.#seen.delete(this.#ring[this.#at]!);
    this.#seen.add(prefix);
    this.#ring[this.#at] = prefix;
    this.#at = (this.#at + 1) % this.#ring.length;
  }
}

function prefixOf(value: Uint8Array): number {
  return Buffer.from(value.buffer, value.byteOffset, value.length).readUIntBE(0, PREFIX_BYTES);
}
