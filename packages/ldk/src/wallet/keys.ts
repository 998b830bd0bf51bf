/**
 * The public side of the signer's wallet: index i is child i of the extended key that the signer hands out, as P2WPKH; the first
 * ones it names one by one. Scripts of the first indices are known from the start; the window moves with what is handed out.
 */
import { ByteReader, FormError, hmacSha512, p2wpkhOfKey, type Secp256k1, toHex } from '@countersign/bitcoin';

/** BIP 32's serialization of a public key, without base58: chain code and key stand at the end. */
const EXT_KEY_BYTES = 78;
const CHAIN_CODE_AT = 13;
const PUBLIC_KEY_AT = 45;
/** Scripts known beyond the highest index that was handed out or seen. */
const WINDOW = 100;
const INDEX_MAX = 1_000_000;

/** Public keys and scripts of the signer’s wallet, by index. */
export class WalletKeys {
  readonly #secp: Secp256k1;
  readonly #chainCode: Uint8Array;
  readonly #publicKey: Uint8Array;
  readonly #scripts: Uint8Array[] = [];
  readonly #indexByScript = new Map<string, number>();

  readonly #first: readonly Uint8Array[];

  /** `nextIndex`: the lowest that was not handed out yet. */
  constructor(secp: Secp256k1, extendedKey: Uint8Array, first: readonly Uint8Array[] = [], nextIndex = 0) {
    if (extendedKey.length !== EXT_KEY_BYTES)
      throw new FormError('not an extended key', { bytes: extendedKey.length });
    this.#secp = secp;
    this.#chainCode = extendedKey.slice(CHAIN_CODE_AT, PUBLIC_KEY_AT);
    this.#publicKey = extendedKey.slice(PUBLIC_KEY_AT);
    this.#first = first;
    this.#extendTo(Math.min(nextIndex + WINDOW, INDEX_MAX));
  }

  publicKey(index: number): Uint8Array {
    return this.#first[index] ?? this.#child(index);
  }

  /** BIP 32 CKDpub. */
  #child(index: number): Uint8Array {
    const data = new Uint8Array(37);
    data.set(this.#publicKey);
    new DataView(data.buffer).setUint32(33, index);
    const digest = hmacSha512(this.#chainCode, data);
    return this.#secp.publicKeyTweakAdd(this.#publicKey, digest.slice(0, 32));
  }

  script(index: number): Uint8Array {
    if (!Number.isInteger(index) || index < 0 || index > INDEX_MAX)
      throw new FormError('no such wallet index', { index, index_max: INDEX_MAX });
    this.#extendTo(index + 1);
    return this.#scripts[index] as Uint8Array;
  }

  /** Undefined for a script beyond the window. Seen, the window moves on. */
  indexOf(script: Uint8Array): number | undefined {
    const index = this.#indexByScript.get(toHex(script));
    if (index !== undefined) this.#extendTo(Math.min(index + WINDOW, INDEX_MAX));
    return index;
  }

  #extendTo(count: number): void {
    for (let index = this.#scripts.length; index < count; index++) {
      const script = p2wpkhOfKey(this.publicKey(index));
      this.#scripts.push(script);
      this.#indexByScript.set(toHex(script), index);
    }
  }
}

/** `OP_0` and 20 bytes: the key hash inside. */
export function keyHashOf(script: Uint8Array): Uint8Array {
  const reader = new ByteReader(script);
  if (reader.u8() !== 0 || reader.u8() !== 20)
    throw new FormError('not a P2WPKH script', { bytes: script.length });
  return reader.take(20);
}
