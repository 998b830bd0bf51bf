/**
 * Extended public keys as text (BIP 32 "Serialization format", base58check): what an operator puts on the allowlist for
 * a wallet of his. A text that is none of this network is null, not an exception.
 */
import { anyKeyScripts, ByteReader, type Secp256k1, sha256 } from '@countersign/bitcoin';
import { base58check } from '@scure/base';
import { derivePublicChild, type ExtendedPublicKey } from './bip32.ts';
import { ScriptIndex } from './script-index.ts';

const SERIALIZED_BYTES = 78;
/** 78 bytes and a checksum in base58. */
const TEXT_CHARS_MAX = 112;
const base58 = base58check(sha256);

/** `version` of the network: 0x0488B21E (xpub) on mainnet, 0x043587CF (tpub) elsewhere. */
export function parseExtendedPublicKey(
  secp: Secp256k1,
  text: string,
  version: number,
): ExtendedPublicKey | null {
  const bytes = decodeText(text);
  if (bytes === null) return null;
  const reader = new ByteReader(bytes);
  if (reader.u32be() !== version) return null;
  const depth = reader.u8();
  const parentFingerprint = reader.take(4);
  const childNumber = reader.u32be();
  const chainCode = reader.take(32);
  const publicKey = reader.take(33);
  if (!secp.isPublicKey(publicKey)) return null;
  return { publicKey, chainCode, depth, parentFingerprint, childNumber };
}

function decodeText(text: string): Uint8Array | null {
  if (text.length > TEXT_CHARS_MAX) return null;
  try {
    const bytes = base58.decode(text);
    return bytes.length === SERIALIZED_BYTES ? bytes : null;
  } catch {
    return null;
  }
}

/** Wallets whose scripts stay derived in memory. */
const WALLETS_MAX = 16;

/** The scripts of wallets known by their extended public keys: receiving addresses m/0/i and change m/1/i. */
export class ExtendedKeyScripts {
  readonly #secp: Secp256k1;
  readonly #version: number;
  readonly #wallets = new Map<string, readonly ScriptIndex[]>();

  constructor(secp: Secp256k1, version: number) {
    this.#secp = secp;
    this.#version = version;
  }

  owns(text: string, script: Uint8Array, indexMax: number): boolean {
    return this.#branches(text).some((branch) => branch.find(script, indexMax) !== null);
  }

  #branches(text: string): readonly ScriptIndex[] {
    const known = this.#wallets.get(text);
    if (known !== undefined) return known;
    const account = parseExtendedPublicKey(this.#secp, text, this.#version);
    const branches =
      account === null || account.depth >= 254 ? [] : [0, 1].map((at) => this.#branch(account, at));
    const [oldest] = this.#wallets.keys();
    if (oldest !== undefined && this.#wallets.size >= WALLETS_MAX) this.#wallets.delete(oldest);
    this.#wallets.set(text, branches);
    return branches;
  }

  #branch(account: ExtendedPublicKey, at: number): ScriptIndex {
    const parent = derivePublicChild(this.#secp, account, at);
    return new ScriptIndex((index) =>
      anyKeyScripts(this.#secp, derivePublicChild(this.#secp, parent, index).publicKey),
    );
  }
}
