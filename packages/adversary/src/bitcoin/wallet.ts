/**
 * The node's own wallet, out of what INIT's reply hands out. The extended key in the reply stands at m/0/0 already, and
 * index i is its child i; a node with a mnemonic gives BIP 86's base at m/86'/0'/0' besides, and then index i is child
 * 0/i of that for every kind of address. Source: CLN `hsmd/libhsmd.c` (`hsmd_init`, `bitcoin_key`, `bip86_key`),
 * `lightningd/hsm_control.c` (`bip32_pubkey`, `bip86_pubkey`), `wallet/wallet.c` (`our_addresses_add_for_index`).
 */
import { hmac } from '@noble/hashes/hmac.js';
import { sha512 } from '@noble/hashes/sha2.js';
import { concatBytes, toHex } from './bytes.ts';
import { tweakPoint } from './keys.ts';
import { p2sh, p2trOfKey, p2wpkh } from './scripts.ts';

const EXT_KEY_BYTES = 78;
const CHAIN_CODE_AT = 13;
const PUBLIC_KEY_AT = 45;

export interface ExtendedKey {
  readonly chainCode: Uint8Array;
  readonly publicKey: Uint8Array;
}

/** BIP 32's serialization of a public key, without base58. */
export function parseExtendedKey(bytes: Uint8Array): ExtendedKey {
  if (bytes.length !== EXT_KEY_BYTES) throw new Error(`an extended key has ${EXT_KEY_BYTES} bytes`);
  return { chainCode: bytes.slice(CHAIN_CODE_AT, PUBLIC_KEY_AT), publicKey: bytes.slice(PUBLIC_KEY_AT) };
}

/** BIP 32's CKDpub; not hardened. */
export function childKey({ chainCode, publicKey }: ExtendedKey, index: number): ExtendedKey {
  const indexBytes = new Uint8Array(4);
  new DataView(indexBytes.buffer).setUint32(0, index);
  const digest = hmac(sha512, chainCode, concatBytes(publicKey, indexBytes));
  return { chainCode: digest.slice(32), publicKey: tweakPoint(publicKey, digest.slice(0, 32)) };
}

export type WalletKind = 'p2wpkh' | 'p2sh-p2wpkh' | 'p2tr';

export interface WalletKey {
  readonly index: number;
  readonly publicKey: Uint8Array;
  readonly scripts: Readonly<Record<WalletKind, Uint8Array>>;
}

const KEYS_KEPT = 256;
const derived = new Map<string, WalletKey>();

/** All players and referees of a run have the same few wallets, and ask for the same few keys. */
function derivedKey(base: ExtendedKey, index: number): WalletKey {
  const id = `${toHex(base.publicKey)}${toHex(base.chainCode)}/${index}`;
  const known = derived.get(id);
  if (known !== undefined) return known;
  const { publicKey } = childKey(base, index);
  const segwit = p2wpkh(publicKey);
  const scripts = { p2wpkh: segwit, 'p2sh-p2wpkh': p2sh(segwit), p2tr: p2trOfKey(publicKey) };
  const key = { index, publicKey, scripts };
  if (derived.size < KEYS_KEPT) derived.set(id, key);
  return key;
}

/** Keys by index, and back from a script to its index. */
export class Wallet {
  readonly #base: ExtendedKey;
  readonly #keys = new Map<number, WalletKey>();
  readonly #byScript = new Map<string, { readonly key: WalletKey; readonly kind: WalletKind }>();

  /** `bip86Base` where INIT's reply has one (TLV 2); indices below `window` are known from the start. */
  constructor(bip32: Uint8Array, bip86Base: Uint8Array | undefined = undefined, window = 20) {
    this.#base = bip86Base === undefined ? parseExtendedKey(bip32) : childKey(parseExtendedKey(bip86Base), 0);
    for (let index = 0; index < window; index++) this.key(index);
  }

  key(index: number): WalletKey {
    const found = this.#keys.get(index);
    if (found !== undefined) return found;
    const key = derivedKey(this.#base, index);
    this.#keys.set(index, key);
    for (const kind of ['p2wpkh', 'p2sh-p2wpkh', 'p2tr'] as const)
      this.#byScript.set(toHex(key.scripts[kind]), { key, kind });
    return key;
  }

  /** Only among the indices asked for so far and those of the window. */
  find(script: Uint8Array): { readonly key: WalletKey; readonly kind: WalletKind } | undefined {
    return this.#byScript.get(toHex(script));
  }
}
