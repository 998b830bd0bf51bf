/**
 * Which key of a wallet owns an output script: scripts of the keys 0, 1, 2, … are derived as far as they are asked for,
 * and kept. Pure in effect: the answer depends on script and bound alone, never on what was asked before.
 */
import { FormError } from '@countersign/bitcoin';

/** P2PKH: the longest of the scripts that a single key owns is P2TR's with 34 bytes. */
const SCRIPT_BYTES_MAX = 34;

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
