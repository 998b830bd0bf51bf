/**
 * Work for what a node asks next, done when its answers have left. Nothing depends on it: where it can't be done, it is done when it
 * is asked for.
 */
import { type ClientIdentity, deriveAhead } from '@countersign/core';
import type { Request } from '@countersign/wire';
import { isStoreFailure } from './store-failure.ts';

/** Runs the work soon, after what is under way. */
export type WhenIdle = (work: () => void) => void;

export class Ahead {
  readonly #place: Parameters<typeof deriveAhead>[0];
  readonly #whenIdle: WhenIdle | undefined;
  #hasEnded = false;

  constructor(place: Parameters<typeof deriveAhead>[0], whenIdle: WhenIdle | undefined) {
    this.#place = place;
    this.#whenIdle = whenIdle;
  }

  /** After a request that was approved. */
  after(client: ClientIdentity, request: Request): void {
    this.#whenIdle?.(() => {
      if (this.#hasEnded) return;
      try {
        deriveAhead(this.#place, client, request);
      } catch (error) {
        // The store has failed, or is closed by now: whoever asks next is told.
        if (!isStoreFailure(error)) throw error;
      }
    });
  }

  /** The keys may be wiped from now on. */
  end(): void {
    this.#hasEnded = true;
  }
}
