/**
 * Which preimages the signer has, so that each goes to it once though LDK names it several times. The signer forgets a payment
 * that is over, and its preimage with it: when an HTLC of the same hash comes anew, the preimage has to come anew too.
 */
import { sha256, toHex } from '@countersign/bitcoin';

const HASHES_MAX = 2048;

export class PreimageBook {
  /** Payment hashes in hex, the newest. */
  readonly #known = new Set<string>();
  /** By commitment line, the hashes of its HTLCs as they were last. */
  readonly #standing = new Map<string, ReadonlySet<string>>();

  /** The HTLCs of a commitment, before anything else is done with it. `line`: the channel, and whose commitment. */
  standing(line: string, htlcs: readonly { readonly paymentHash: Uint8Array }[]): void {
    const before = this.#standing.get(line);
    if (htlcs.length === 0) {
      this.#standing.delete(line);
      return;
    }
    const hashes = new Set(htlcs.map(({ paymentHash }) => toHex(paymentHash)));
    for (const hash of hashes) if (before?.has(hash) !== true) this.#known.delete(hash);
    this.#standing.set(line, hashes);
  }

  unknown(preimages: readonly Uint8Array[]): readonly Uint8Array[] {
    return preimages.filter((preimage) => !this.#known.has(toHex(sha256(preimage))));
  }

  learned(preimages: readonly Uint8Array[]): void {
    for (const preimage of preimages) {
      this.#known.add(toHex(sha256(preimage)));
      const [oldest] = this.#known;
      if (this.#known.size > HASHES_MAX && oldest !== undefined) this.#known.delete(oldest);
    }
  }
}
