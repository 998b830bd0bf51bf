/**
 * Which 32-byte values of a write lightningd has to wait for. An HTLC's payment hash is written when the HTLC is made, long before
 * its preimage: so a value whose SHA-256 was never written is no preimage of any HTLC there is. It is delivered all the same,
 * but nobody waits. Until the hashes of the HTLCs that are under way are known, every value is waited for: before lightningd has
 * told them, and again when so much was written since that they may be forgotten.
 */
import { hash } from 'node:crypto';

/** Enough for tens of thousands of payments; the oldest go first. */
export const HASHES_MAX = 131_072;
/** So much of what may be remembered is remembered for certain: what is written again keeps its place until then. */
const CERTAIN_PART = 1 / 2;
/** When so much of it is new, lightningd is asked anew. */
const RENEWAL_PART = 1 / 4;
/** Of each hash: that two begin alike only means a wait too many. */
const PREFIX_BYTES = 6;

export class KnownHashes {
  /** Each with its newest place in the ring. */
  readonly #seen = new Map<number, number>();
  /** The same in the order they came, round and round: what is overwritten is forgotten. */
  readonly #ring: Float64Array;
  #at = 0;
  /** Values added. */
  #count = 0;
  /** Of them, those that need not be remembered any more: lightningd was asked after them. */
  #needed = Number.NEGATIVE_INFINITY;
  /** When lightningd is to be asked anew; never before it has answered once. */
  #dueAt = Number.POSITIVE_INFINITY;

  constructor(hashesMax = HASHES_MAX) {
    this.#ring = new Float64Array(hashesMax).fill(-1);
  }

  /** Values of one write. Those to wait for; all of them may be hashes of later ones. */
  urgentOf(values: readonly Uint8Array[]): readonly Uint8Array[] {
    for (const value of values) this.#add(prefixOf(value), false);
    if (this.#count - this.#needed > this.#certain) return values;
    return values.filter((value) => this.#seen.has(prefixOf(hash('sha256', value, 'buffer'))));
  }

  /** It is time to ask lightningd again what is under way: true once, then not before much more was written. */
  takeDue(): boolean {
    if (this.#count < this.#dueAt) return false;
    this.#dueAt = this.#count + this.#renewal;
    return true;
  }

  /** Where what is written from now on begins, for `complete`. */
  get mark(): number {
    return this.#count;
  }

  /** The payment hashes of every HTLC, as lightningd told them when it was asked at `mark`. */
  complete(hashes: readonly Uint8Array[], mark: number): void {
    for (const one of hashes) this.#add(prefixOf(one), true);
    this.#needed = mark;
    this.#dueAt = this.#count + this.#renewal;
  }

  get #certain(): number {
    return this.#ring.length * CERTAIN_PART;
  }

  get #renewal(): number {
    return Math.ceil(this.#certain * RENEWAL_PART);
  }

  #ageOf(place: number): number {
    return (this.#at - place + this.#ring.length) % this.#ring.length;
  }

  #add(prefix: number, isRenewed: boolean): void {
    const known = this.#seen.get(prefix);
    if (known !== undefined && !isRenewed && this.#ageOf(known) < this.#certain) return;
    const oldest = this.#ring[this.#at]!;
    if (this.#seen.get(oldest) === this.#at) this.#seen.delete(oldest);
    this.#seen.set(prefix, this.#at);
    this.#ring[this.#at] = prefix;
    this.#at = (this.#at + 1) % this.#ring.length;
    this.#count += 1;
  }
}

function prefixOf(value: Uint8Array): number {
  return Buffer.from(value.buffer, value.byteOffset, value.length).readUIntBE(0, PREFIX_BYTES);
}
