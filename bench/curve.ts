/**
 * Counting curve operations, and doing as many of the same kind with nothing around them.
 */
import type { Secp256k1 } from '@countersign/bitcoin';

type Operation = Exclude<keyof Secp256k1, 'name'>;
export type CurveCounts = Readonly<Partial<Record<Operation, number>>>;

export class CountingSecp256k1 implements Secp256k1 {
  readonly name: string;
  readonly #inner: Secp256k1;
  #counts: Partial<Record<Operation, number>> = {};

  constructor(inner: Secp256k1) {
    this.#inner = inner;
    this.name = `counting ${inner.name}`;
  }

  reset(): void {
    this.#counts = {};
  }

  /** What was counted since `reset`, added to `others`. */
  addTo(others: CurveCounts = {}): CurveCounts {
    const sum = { ...others };
    for (const [operation, count] of entriesOf(this.#counts)) sum[operation] = (sum[operation] ?? 0) + count;
    return sum;
  }

  #count(operation: Operation): Secp256k1 {
    this.#counts[operation] = (this.#counts[operation] ?? 0) + 1;
    return this.#inner;
  }

  isPrivateKey(key: Uint8Array): boolean {
    return this.#count('isPrivateKey').isPrivateKey(key);
  }
  isPublicKey(key: Uint8Array): boolean {
    return this.#count('isPublicKey').isPublicKey(key);
  }
  publicKey(key: Uint8Array): Uint8Array {
    return this.#count('publicKey').publicKey(key);
  }
  signEcdsa(hash: Uint8Array, key: Uint8Array, extraEntropy?: Uint8Array): Uint8Array {
    return this.#count('signEcdsa').signEcdsa(hash, key, extraEntropy);
  }
  signEcdsaRecoverable(hash: Uint8Array, key: Uint8Array): { signature: Uint8Array; recoveryId: number } {
    return this.#count('signEcdsaRecoverable').signEcdsaRecoverable(hash, key);
  }
  verifyEcdsa(hash: Uint8Array, signature: Uint8Array, key: Uint8Array): boolean {
    return this.#count('verifyEcdsa').verifyEcdsa(hash, signature, key);
  }
  recoverEcdsa(hash: Uint8Array, signature: Uint8Array, recoveryId: number): Uint8Array | null {
    return this.#count('recoverEcdsa').recoverEcdsa(hash, signature, recoveryId);
  }
  ecdh(publicKey: Uint8Array, privateKey: Uint8Array): Uint8Array {
    return this.#count('ecdh').ecdh(publicKey, privateKey);
  }
  privateKeyTweakAdd(key: Uint8Array, tweak: Uint8Array): Uint8Array {
    return this.#count('privateKeyTweakAdd').privateKeyTweakAdd(key, tweak);
  }
  privateKeyTweakMul(key: Uint8Array, tweak: Uint8Array): Uint8Array {
    return this.#count('privateKeyTweakMul').privateKeyTweakMul(key, tweak);
  }
  privateKeyNegate(key: Uint8Array): Uint8Array {
    return this.#count('privateKeyNegate').privateKeyNegate(key);
  }
  publicKeyTweakAdd(key: Uint8Array, tweak: Uint8Array): Uint8Array {
    return this.#count('publicKeyTweakAdd').publicKeyTweakAdd(key, tweak);
  }
  publicKeyTweakMul(key: Uint8Array, tweak: Uint8Array): Uint8Array {
    return this.#count('publicKeyTweakMul').publicKeyTweakMul(key, tweak);
  }
  publicKeyCombine(keys: readonly Uint8Array[]): Uint8Array {
    return this.#count('publicKeyCombine').publicKeyCombine(keys);
  }
  signSchnorr(hash: Uint8Array, key: Uint8Array, auxRand: Uint8Array): Uint8Array {
    return this.#count('signSchnorr').signSchnorr(hash, key, auxRand);
  }
  verifySchnorr(hash: Uint8Array, signature: Uint8Array, key: Uint8Array): boolean {
    return this.#count('verifySchnorr').verifySchnorr(hash, signature, key);
  }
}

export function entriesOf(counts: CurveCounts): [Operation, number][] {
  return Object.entries(counts) as [Operation, number][];
}

/** One call of each operation, on values that are valid and always the same. */
function calls(secp: Secp256k1): Readonly<Record<Operation, () => unknown>> {
  const key = new Uint8Array(32).fill(7);
  const tweak = new Uint8Array(32).fill(9);
  const hash = new Uint8Array(32).fill(11);
  const entropy = new Uint8Array(32);
  const point = secp.publicKey(key);
  const signature = secp.signEcdsa(hash, key, entropy);
  const recoverable = secp.signEcdsaRecoverable(hash, key);
  const schnorr = secp.signSchnorr(hash, key, entropy);
  return {
    isPrivateKey: () => secp.isPrivateKey(key),
    isPublicKey: () => secp.isPublicKey(point),
    publicKey: () => secp.publicKey(key),
    signEcdsa: () => secp.signEcdsa(hash, key, entropy),
    signEcdsaRecoverable: () => secp.signEcdsaRecoverable(hash, key),
    verifyEcdsa: () => secp.verifyEcdsa(hash, signature, point),
    recoverEcdsa: () => secp.recoverEcdsa(hash, recoverable.signature, recoverable.recoveryId),
    ecdh: () => secp.ecdh(point, key),
    privateKeyTweakAdd: () => secp.privateKeyTweakAdd(key, tweak),
    privateKeyTweakMul: () => secp.privateKeyTweakMul(key, tweak),
    privateKeyNegate: () => secp.privateKeyNegate(key),
    publicKeyTweakAdd: () => secp.publicKeyTweakAdd(point, tweak),
    publicKeyTweakMul: () => secp.publicKeyTweakMul(point, tweak),
    publicKeyCombine: () => secp.publicKeyCombine([point, secp.publicKey(tweak)]),
    signSchnorr: () => secp.signSchnorr(hash, key, entropy),
    verifySchnorr: () => secp.verifySchnorr(hash, schnorr, point.subarray(1)),
  };
}

/** How long these operations take one after the other, in microseconds. */
export function curveUs(secp: Secp256k1, counts: CurveCounts): number {
  const call = calls(secp);
  for (const [operation] of entriesOf(counts)) for (let i = 0; i < 50; i++) call[operation]();
  const started = process.hrtime.bigint();
  for (const [operation, count] of entriesOf(counts)) for (let i = 0; i < count; i++) call[operation]();
  return Number(process.hrtime.bigint() - started) / 1000;
}
