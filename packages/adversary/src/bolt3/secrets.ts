/**
 * Per-commitment secrets: made from a seed, and those of the other side kept and checked against each other. BOLT 3,
 * "Per-commitment Secret Requirements" and "Efficient Per-commitment Secret Storage". Commitment number n has the secret
 * of index 2^48 − 1 − n.
 */
import { equalBytes } from '../bitcoin/bytes.ts';
import { sha256 } from '../bitcoin/hash.ts';
import { publicKeyOf } from '../bitcoin/keys.ts';

const INDEX_BITS = 48;
const INDEX_MAX = 2 ** INDEX_BITS - 1;

/** Whether bit `bit` of an index is set; indices go beyond what JavaScript's bit operators can take. */
const hasBit = (index: number, bit: number): boolean => Math.floor(index / 2 ** bit) % 2 === 1;

/** BOLT 3's derive_secret: from the secret of an index that ends in `bits` zeros to one with the same beginning. */
function deriveSecret(base: Uint8Array, bits: number, index: number): Uint8Array {
  let secret = base;
  for (let bit = bits - 1; bit >= 0; bit--) {
    if (!hasBit(index, bit)) continue;
    const flipped = secret.slice();
    const at = Math.floor(bit / 8);
    flipped[at] = (flipped[at] as number) ^ (1 << (bit % 8));
    secret = sha256(flipped);
  }
  return secret;
}

/** BOLT 3's generate_from_seed. */
export const generateFromSeed = (seed: Uint8Array, index: number): Uint8Array =>
  deriveSecret(seed, INDEX_BITS, index);

export const perCommitmentSecret = (seed: Uint8Array, commitmentNumber: number): Uint8Array =>
  generateFromSeed(seed, INDEX_MAX - commitmentNumber);

export const perCommitmentPoint = (seed: Uint8Array, commitmentNumber: number): Uint8Array =>
  publicKeyOf(perCommitmentSecret(seed, commitmentNumber));

function trailingZeros(index: number): number {
  for (let bit = 0; bit < INDEX_BITS; bit++) if (hasBit(index, bit)) return bit;
  return INDEX_BITS;
}

/** The other side's revealed secrets. */
export class SecretStore {
  readonly #known: { readonly index: number; readonly secret: Uint8Array }[] = [];

  /** False, and nothing kept, if the secret does not fit those before: it is not of the same seed. */
  insert(commitmentNumber: number, secret: Uint8Array): boolean {
    return this.insertIndex(INDEX_MAX - commitmentNumber, secret);
  }

  insertIndex(index: number, secret: Uint8Array): boolean {
    const bucket = trailingZeros(index);
    for (const earlier of this.#known.slice(0, bucket))
      if (!equalBytes(deriveSecret(secret, bucket, earlier.index), earlier.secret)) return false;
    this.#known[bucket] = { index, secret };
    return true;
  }

  /** Undefined where it has not been revealed. */
  get(commitmentNumber: number): Uint8Array | undefined {
    const index = INDEX_MAX - commitmentNumber;
    for (const [bits, known] of this.#known.entries())
      if (known !== undefined && Math.floor(index / 2 ** bits) * 2 ** bits === known.index)
        return deriveSecret(known.secret, bits, index);
    return undefined;
  }
}
