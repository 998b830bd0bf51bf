/**
 * The default curve backend: libsecp256k1 through the N-API bindings of `secp256k1` (ECDSA, ECDH, tweaks) and
 * through the WASM build in `tiny-secp256k1` (BIP 340). It never falls back to a JavaScript curve: where the
 * native library does not load, `loadSecp256k1` throws and nothing can be signed.
 */
import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { type CurveBindings, createBackend, type SchnorrBindings } from '../curve.ts';
import { CountersignError } from '../error.ts';
import type { Secp256k1 } from '../secp256k1.ts';

/** The part of `secp256k1/bindings` used here. */
interface NativeBindings extends CurveBindings {
  contextRandomize(seed: Uint8Array): void;
}

function requireModule<T>(load: (name: string) => unknown, name: string): T {
  try {
    return load(name) as T;
  } catch (cause) {
    throw new CountersignError(
      'crypto-unavailable',
      `cannot load ${name}: install it for this platform (npm install; where no prebuilt binary fits, npm rebuild secp256k1 --ignore-scripts=false with a C++ compiler and Python)`,
      { module: name, platform: process.platform, arch: process.arch, node: process.version },
      { cause },
    );
  }
}

/**
 * Build a backend from the modules `load` returns for `secp256k1/bindings` and `tiny-secp256k1`. Throws
 * `CountersignError` 'crypto-unavailable' when one does not load.
 */
export function openSecp256k1(load: (name: string) => unknown): Secp256k1 {
  const native = requireModule<NativeBindings>(load, 'secp256k1/bindings');
  const schnorr = requireModule<SchnorrBindings>(load, 'tiny-secp256k1');
  // Blinds libsecp256k1's scalar multiplications against side channels; results do not depend on it.
  native.contextRandomize(randomBytes(32));
  return createBackend('libsecp256k1 (secp256k1 N-API, tiny-secp256k1 WASM)', native, schnorr);
}

let loaded: Secp256k1 | undefined;

/**
 * The default backend, loaded once per process (about 20 ms). Throws `CountersignError` 'crypto-unavailable'
 * when the native library or the WASM module cannot be loaded.
 */
export function loadSecp256k1(): Secp256k1 {
  loaded ??= openSecp256k1(createRequire(import.meta.url));
  return loaded;
}
