/**
 * BOLT 3 per-commitment secrets: generation from a seed, and the compact store of the peer's revealed secrets
 * (at most 49 entries for 2^48 secrets). Stores are values: inserting returns a new store or says why not.
 */
import { equalBytes } from '../bytes.ts';
import { FormError } from '../error.ts';
import { sha256 } from '../hash.ts';

/** The index of the first secret; each later commitment uses one less. */
export const FIRST_SECRET_INDEX = 0xffff_ffff_ffffn;
export const COMMITMENT_NUMBER_MAX = FIRST_SECRET_INDEX;
const SEED_BUCKET = 48;

/** The secret's index for commitment `number` (0 … 2^48−1): 2^48−1−number. Throws `FormError` outside. */
export function secretIndex(commitmentNumber: number | bigint): bigint {
  if (typeof commitmentNumber === 'number' && !Number.isSafeInteger(commitmentNumber))
    throw new FormError('commitment number is not an integer', { number: commitmentNumber });
  return checkedIndex(FIRST_SECRET_INDEX - BigInt(commitmentNumber));
}

function checkedIndex(index: bigint): bigint {
  if (index < 0n || index > FIRST_SECRET_INDEX)
    throw new FormError('secret index out of range', { index, max: FIRST_SECRET_INDEX });
  return index;
}

/** BOLT 3 `derive_secret`: walk down from a secret whose index has the bits above `bits` in common. */
function deriveSecret(base: Uint8Array, bits: number, index: bigint): Uint8Array {
  // 48 bits as two halves: bit tests on numbers are far cheaper than on bigints.
  const high = Number(index >> 24n);
  const low = Number(index & 0xff_ffffn);
  let secret: Uint8Array = base.slice();
  for (let bit = bits - 1; bit >= 0; bit--) {
    const set = bit >= 24 ? (high >> (bit - 24)) & 1 : (low >> bit) & 1;
    if (set === 0) continue;
    secret[bit >> 3]! ^= 1 << (bit & 7);
    const next = sha256(secret);
    secret.fill(0);
    secret = next;
  }
  return secret;
}

/** BOLT 3 `generate_from_seed`. `seed` 32 bytes, `index` 0 … 2^48−1. A new array, secret. */
export function generateFromSeed(seed: Uint8Array, index: bigint): Uint8Array {
  if (seed.length !== 32) throw new FormError('seed must be 32 bytes', { bytes: seed.length });
  return deriveSecret(seed, SEED_BUCKET, checkedIndex(index));
}

/** The secret of `index` from `base`, that of the index without its lowest `bits` bits. A new array, secret. */
export function secretBelow(base: Uint8Array, bits: number, index: bigint): Uint8Array {
  return deriveSecret(base, bits, index);
}

/** The secret of commitment `number`: its point is `secp.publicKey` of it. A new array, secret. */
export function perCommitmentSecret(seed: Uint8Array, commitmentNumber: number | bigint): Uint8Array {
  return generateFromSeed(seed, secretIndex(commitmentNumber));
}

export interface SecretEntry {
  readonly index: bigint;
  readonly secret: Uint8Array;
}

/** Entry b holds the lowest known index with exactly b trailing zero bits. Plain data: store it as it is. */
export interface SecretStore {
  readonly entries: readonly SecretEntry[];
}

export type SecretInsertion =
  | { readonly ok: true; readonly store: SecretStore }
  /** The secret does not derive the one already known in `bucket`: not of the same seed. */
  | { readonly ok: false; readonly reason: 'does-not-chain'; readonly bucket: number }
  /** Secrets arrive one by one, in descending order of index. */
  | { readonly ok: false; readonly reason: 'out-of-order'; readonly expectedIndex: bigint };

export const EMPTY_SECRET_STORE: SecretStore = { entries: [] };

/** BOLT 3 `where_to_put_secret`: the number of trailing zero bits, 48 for the seed itself. */
function bucketOf(index: bigint): number {
  let bucket = 0;
  while (bucket < SEED_BUCKET && ((index >> BigInt(bucket)) & 1n) === 0n) bucket++;
  return bucket;
}

/** The index the next insertion must have; −1 when all are known. */
export function nextSecretIndex(store: SecretStore): bigint {
  let lowest = FIRST_SECRET_INDEX + 1n;
  for (const { index } of store.entries) if (index < lowest) lowest = index;
  return lowest - 1n;
}

/**
 * BOLT 3 `insert_secret`, with its order enforced. A secret that is already known is accepted and changes
 * nothing; another one under a known index does not chain.
 */
export function insertSecret(store: SecretStore, index: bigint, secret: Uint8Array): SecretInsertion {
  if (secret.length !== 32) throw new FormError('secret must be 32 bytes', { bytes: secret.length });
  checkedIndex(index);
  const bucket = bucketOf(index);
  const known = lookupSecret(store, index);
  if (known !== null)
    return equalBytes(known, secret) ? { ok: true, store } : { ok: false, reason: 'does-not-chain', bucket };
  const expectedIndex = nextSecretIndex(store);
  if (index !== expectedIndex) return { ok: false, reason: 'out-of-order', expectedIndex };
  for (let below = 0; below < bucket; below++) {
    const entry = store.entries[below]!;
    if (!equalBytes(deriveSecret(secret, bucket, entry.index), entry.secret))
      return { ok: false, reason: 'does-not-chain', bucket: below };
  }
  const entries = store.entries.slice();
  entries[bucket] = { index, secret: secret.slice() };
  return { ok: true, store: { entries } };
}

/** BOLT 3 `derive_old_secret`; null when that index was not received yet. A new array. */
export function lookupSecret(store: SecretStore, index: bigint): Uint8Array | null {
  checkedIndex(index);
  for (const [bucket, entry] of store.entries.entries()) {
    if ((index >> BigInt(bucket)) << BigInt(bucket) === entry.index)
      return deriveSecret(entry.secret, bucket, index);
  }
  return null;
}

/**
 * A store from entries that were kept elsewhere. Throws `FormError` unless they are what insertions in order
 * produce: dense, each in its bucket, and each deriving all below it that it must.
 */
export function secretStoreFrom(entries: readonly SecretEntry[]): SecretStore {
  if (entries.length > SEED_BUCKET + 1) throw new FormError('too many secrets', { entries: entries.length });
  for (const [bucket, entry] of entries.entries()) {
    if (entry.secret.length !== 32) throw new FormError('secret must be 32 bytes', { bucket });
    if (bucketOf(checkedIndex(entry.index)) !== bucket)
      throw new FormError('secret in the wrong bucket', { bucket, index: entry.index });
  }
  const next = nextSecretIndex({ entries });
  const missing =
    entries.length <= SEED_BUCKET && FIRST_SECRET_INDEX + 1n - (1n << BigInt(entries.length)) > next;
  if (missing) throw new FormError('secrets have a gap', { bucket: entries.length });
  for (const [bucket, entry] of entries.entries()) {
    if (entry.index !== lowestReceived(bucket, next + 1n))
      throw new FormError('secrets have a gap', { bucket, index: entry.index });
    requireChain(entries, bucket);
  }
  return { entries: entries.map(({ index, secret }) => ({ index, secret: secret.slice() })) };
}

/** Of all indexes ≥ `lowest`, the least one with exactly `bucket` trailing zeros. */
function lowestReceived(bucket: number, lowest: bigint): bigint {
  if (bucket === SEED_BUCKET) return 0n;
  const unit = 1n << BigInt(bucket);
  const odd = (lowest + unit - 1n) >> BigInt(bucket);
  return (odd | 1n) * unit;
}

/** Lower buckets whose index has this entry's index as a prefix must derive from it. */
function requireChain(entries: readonly SecretEntry[], bucket: number): void {
  const parent = entries[bucket]!;
  for (let below = 0; below < bucket; below++) {
    const child = entries[below]!;
    if ((child.index >> BigInt(bucket)) << BigInt(bucket) !== parent.index) continue;
    if (!equalBytes(deriveSecret(parent.secret, bucket, child.index), child.secret))
      throw new FormError('stored secrets do not chain', { bucket, below });
  }
}
