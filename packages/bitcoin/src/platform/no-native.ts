/**
 * What a browser has in place of the native curve: nothing. Whoever asks for it is told so, and names the WebAssembly
 * backend instead (`@countersign/bitcoin/wasm`); it is never chosen for them.
 */
import { CountersignError } from '../error.ts';
import type { Secp256k1 } from '../secp256k1.ts';

function unavailable(): never {
  throw new CountersignError(
    'crypto-unavailable',
    'there is no native libsecp256k1 in a browser: load the WebAssembly backend of @countersign/bitcoin/wasm',
  );
}

/** Throws `CountersignError` 'crypto-unavailable'. */
export function openSecp256k1(_load: (name: string) => unknown): Secp256k1 {
  return unavailable();
}

/** Throws `CountersignError` 'crypto-unavailable'. */
export function loadSecp256k1(): Secp256k1 {
  return unavailable();
}
