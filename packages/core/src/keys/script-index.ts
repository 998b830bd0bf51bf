/**
 * Which key of a wallet owns an output script: scripts of the keys 0, 1, 2, … are derived as far as they are asked for,
 * and kept. Pure in effect: the answer depends on script and bound alone, never on what was asked before.
 */
import {
  FormError,
  hash160,
  p2pkhScript,
  p2shOfScript,
  p2trScript,
  p2wpkhOfKey,
  type Secp256k1,
  taprootOutputKey,
  xOnlyKey,
} from '@countersign/bitcoin';

/** P2PKH: the longest of the scripts that a single key owns is P2TR's with 34 bytes. */
const SCRIPT_BYTES_MAX = 34;

/** P2WPKH, P2SH-P2WPKH and P2TR (BIP 86) of one public key: what a wallet of CLN's can spend. */
export function keyScripts(secp: Secp256k1, publicKey: Uint8Array): readonly Uint8Array[] {
  const program = p2wpkhOfKey(publicKey);
  const { outputKey } = taprootOutputKey(secp, xOnlyKey(publicKey));
  return [program, p2shOfScript(program), p2trScript(outputKey)];
}

/** As `keyScripts`, and P2PKH, which other wallets have. */
export function anyKeyScripts(secp: Secp256k1, publicKey: Uint8Array): readonly Uint8Array[] {
  return [...keyScripts(secp, publicKey), p2pkhScript(hash160(publicKey))];
}

/** One character for each byte: the shortest name a map can have for a script. */
const nameOf = (script: Uint8Array): string => String.fromCharCode(...script);

export class ScriptIndex {
  readonly #scriptsAt: (index: number) => readonly Uint8Array[];
  readonly #indices = new Map<string, number>();
  #next = 0;

  constructor(scriptsAt: (index: number) => readonly Uint8Array[]) {
    this.#scriptsAt = scriptsAt;
  }

  /** The lowest index up to `indexMax` whose key owns `script`, or null. */
  find(script: Uint8Array, indexMax: number): number | null {
    if (script.length > SCRIPT_BYTES_MAX) return null;
    const name = nameOf(script);
    while (!this.#indices.has(name) && this.#next <= indexMax) this.#extend();
    const index = this.#indices.get(name);
    return index !== undefined && index <= indexMax ? index : null;
  }

  #extend(): void {
    const index = this.#next++;
    for (const script of scriptsUnlessNone(this.#scriptsAt, index)) {
      const name = nameOf(script);
      if (!this.#indices.has(name)) this.#indices.set(name, index);
    }
  }
}

/** BIP 32: one index in 2^127 has no key. */
function scriptsUnlessNone(
  scriptsAt: (index: number) => readonly Uint8Array[],
  index: number,
): readonly Uint8Array[] {
  try {
    return scriptsAt(index);
  } catch (error) {
    if (error instanceof FormError) return [];
    throw error;
  }
}
