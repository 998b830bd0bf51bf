/**
 * The per-commitment secrets of one channel (BOLT 3 "Per-commitment Secret Requirements"). What the secrets of 256 neighbouring
 * commitments share of their derivation is kept: an update asks for several of them, and each from the seed on is some fifty hashes.
 */
import { generateFromSeed, secretBelow, secretIndex } from '@countersign/bitcoin';
import { reveal, Secret } from './secret.ts';

/** Bits of the index below what is kept. */
const OWN_BITS = 8;

interface Branch {
  readonly index: bigint;
  readonly secret: Secret;
}

export class CommitmentSecrets {
  readonly #seed: Secret;
  #branch: Branch | null = null;

  /** The seed stays the caller's, to wipe too. */
  constructor(seed: Secret) {
    this.#seed = seed;
  }

  /** A new array, secret. Throws `FormError` for a number that no commitment has. */
  derive(commitmentNumber: number | bigint): Uint8Array {
    const index = secretIndex(commitmentNumber);
    const { secret } = this.#branchOf((index >> BigInt(OWN_BITS)) << BigInt(OWN_BITS));
    return secretBelow(reveal(secret), OWN_BITS, index);
  }

  wipe(): void {
    this.#branch?.secret.wipe();
    this.#branch = null;
  }

  #branchOf(index: bigint): Branch {
    if (this.#branch?.index === index) return this.#branch;
    this.wipe();
    const branch = { index, secret: Secret.own(generateFromSeed(reveal(this.#seed), index), 32) };
    this.#branch = branch;
    return branch;
  }
}
