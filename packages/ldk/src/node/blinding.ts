/**
 * The factors of blinded paths. LDK hands them to `ecdh`, but its bindings (0.1.2) give out the first byte of one and zeros for the
 * rest. What they are BOLT 4 says (route blinding): HMAC-SHA256 with the key "blinded_node_id" over the shared secret of the path
 * key, and LDK asks for that secret just before.
 */
import { hmacSha256 } from '@countersign/bitcoin';

const KEY = new TextEncoder().encode('blinded_node_id');
const REMEMBERED_MAX = 16;

export class BlindingFactors {
  /** Of the shared secrets that were given last, the newest first. */
  readonly #factors: Uint8Array[] = [];

  /** A shared secret of the node's own key. */
  noteSecret(secret: Uint8Array): void {
    this.#factors.unshift(hmacSha256(KEY, secret));
    this.#factors.length = Math.min(this.#factors.length, REMEMBERED_MAX);
  }

  /** The factor that the bindings mean; undefined when it is none of a secret given lately. */
  meant(shown: Uint8Array): Uint8Array | undefined {
    // Bindings that show all of it need no guess.
    if (shown.subarray(1).some((byte) => byte !== 0)) return shown;
    return this.#factors.find((factor) => factor[0] === shown[0]);
  }
}
