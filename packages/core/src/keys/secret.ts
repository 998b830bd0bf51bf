/**
 * A private key or seed in memory: never printed, never serialized, compared in constant time, wiped after use.
 * `reveal` reads the bytes and is not exported by the folder's index, so only code in `keys/` can see them.
 */
import { FormError, invariant } from '@countersign/bitcoin';

const PRINTED = '[secret]';

let peek: (secret: Secret) => Uint8Array;

/** Bytes that are never printed. Of 32 or 64 bytes. */
export class Secret {
  readonly #bytes: Uint8Array;
  #isWiped = false;

  private constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  static {
    peek = (secret) => {
      invariant(!secret.#isWiped, 'secret used after it was wiped');
      return secret.#bytes;
    };
  }

  /** Copies `bytes`; the caller wipes its own. `FormError` unless exactly `length` bytes. */
  static copy(bytes: Uint8Array, length: 32 | 64): Secret {
    // Not slice(): on a Node Buffer that is a view, which the caller's wiping would empty.
    return Secret.own(new Uint8Array(bytes), length);
  }

  /** Takes over `bytes` without a copy: the caller must not touch them again. */
  static own(bytes: Uint8Array, length: 32 | 64): Secret {
    if (bytes.length !== length) {
      const given = bytes.length;
      bytes.fill(0);
      throw new FormError('secret of the wrong length', { length_bytes: given, expected_bytes: length });
    }
    return new Secret(bytes);
  }

  get length(): number {
    return this.#bytes.length;
  }

  get isWiped(): boolean {
    return this.#isWiped;
  }

  /** Time depends on the lengths only. */
  equals(other: Secret | Uint8Array): boolean {
    const mine = peek(this);
    const theirs = other instanceof Secret ? peek(other) : other;
    if (mine.length !== theirs.length) return false;
    let difference = 0;
    for (let i = 0; i < mine.length; i++) difference |= mine[i]! ^ theirs[i]!;
    return difference === 0;
  }

  /** Overwrites the bytes with zeros; any later use is an `InvariantError`. */
  wipe(): void {
    this.#bytes.fill(0);
    this.#isWiped = true;
  }

  [Symbol.dispose](): void {
    this.wipe();
  }

  toString(): string {
    return PRINTED;
  }

  /** A secret inside a value that is being encoded is a bug: it must surface, not be written as something else. */
  toJSON(): never {
    throw new TypeError('a secret cannot be encoded as JSON');
  }

  [Symbol.toPrimitive](): string {
    return PRINTED;
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return PRINTED;
  }

  get [Symbol.toStringTag](): string {
    return 'Secret';
  }
}

/** The bytes themselves, not a copy: for derivations and signatures in this folder. They must not outlive the call. */
export function reveal(secret: Secret): Uint8Array {
  return peek(secret);
}

/** Runs `use` on a temporary private key and wipes it whatever happens. */
export function withTemporary<T>(bytes: Uint8Array, use: (bytes: Uint8Array) => T): T {
  try {
    return use(bytes);
  } finally {
    bytes.fill(0);
  }
}
