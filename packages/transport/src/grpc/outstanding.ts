/**
 * What was asked and is not answered: in the order of its numbers, bounded in count and bytes, and kept whatever happens to
 * connections. A request that is asked again after a temporary failure gets a new number, as in VLS.
 */

import { LinkError } from '../link/error.ts';
import type { LinkAnswer, LinkClient } from '../link/protocol.ts';
import type { SignerStream } from './signer-stream.ts';

export interface Waiting {
  readonly client: LinkClient;
  readonly body: Uint8Array;
  readonly answered: (answer: LinkAnswer) => void;
  readonly failed: (error: LinkError) => void;
  /** Null while it waits to be asked again. */
  id: bigint | null;
  /** The stream it was sent on; null when it must be sent. */
  sentOn: SignerStream | null;
  /** Streams that ended while this was the oldest request on them. */
  losses: number;
  /** Temporary failures so far, and how long was waited because of them. */
  failures: number;
  waitedMs: number;
}

export interface OutstandingLimits {
  readonly requestsMax: number;
  readonly bytesMax: number;
}

export class Outstanding {
  readonly #limits: OutstandingLimits;
  readonly #numbered = new Map<bigint, Waiting>();
  readonly #all = new Set<Waiting>();
  #bytes = 0;
  /** VLS counts from 0. */
  #nextId = 0n;

  constructor(limits: OutstandingLimits) {
    this.#limits = limits;
  }

  get count(): number {
    return this.#all.size;
  }

  /** Throws `link-queue-full`. */
  add(waiting: Waiting): void {
    const { requestsMax, bytesMax } = this.#limits;
    const bytes = this.#bytes + waiting.body.length;
    if (this.#all.size >= requestsMax || bytes > bytesMax) {
      const facts = { requests: this.#all.size, requests_max: requestsMax, bytes, bytes_max: bytesMax };
      throw new LinkError('link-queue-full', 'too much waits for the signer already', facts);
    }
    this.#bytes = bytes;
    this.#all.add(waiting);
    this.renumber(waiting);
  }

  /** The newest number there is; it is sent after everything else. */
  renumber(waiting: Waiting): void {
    this.#unnumber(waiting);
    waiting.id = this.#nextId;
    this.#numbered.set(this.#nextId, waiting);
    this.#nextId += 1n;
  }

  /** It keeps its place in the bounds, without a number. */
  hold(waiting: Waiting): void {
    this.#unnumber(waiting);
    waiting.sentOn = null;
  }

  remove(waiting: Waiting): void {
    this.#unnumber(waiting);
    if (this.#all.delete(waiting)) this.#bytes -= waiting.body.length;
  }

  has(waiting: Waiting): boolean {
    return this.#all.has(waiting);
  }

  find(id: bigint): Waiting | undefined {
    return this.#numbered.get(id);
  }

  /** Those with a number, the lowest first: a map keeps the order of insertion, and numbers rise. */
  inOrder(): Waiting[] {
    return [...this.#numbered.values()];
  }

  /** Everything, also what waits to be asked again. */
  clear(): Waiting[] {
    const all = [...this.#all];
    this.#all.clear();
    this.#numbered.clear();
    this.#bytes = 0;
    return all;
  }

  #unnumber(waiting: Waiting): void {
    if (waiting.id !== null) this.#numbered.delete(waiting.id);
    waiting.id = null;
  }
}
