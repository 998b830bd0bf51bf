/**
 * What a round of the signer's own work was refused, told once: the same round comes again with every block and every tick, and a
 * reason that stays is no news. A restart tells it again.
 */
import type { Refusal } from '@countersign/core';

/** Refusals of the newest round of each channel. */
export class ToldRefusals {
  readonly #told = new Map<string, ReadonlySet<string>>();

  /** Those of this round that the round before did not have. No more is kept than channels have reasons. */
  news(channel: string, refusals: readonly Refusal[]): readonly Refusal[] {
    const before = this.#told.get(channel);
    if (refusals.length === 0) this.#told.delete(channel);
    else this.#told.set(channel, new Set(refusals.map(reasonOf)));
    return refusals.filter((one) => before?.has(reasonOf(one)) !== true);
  }
}

/** Not by its facts: heights among them change with every block. */
const reasonOf = ({ tag, message }: Refusal): string => `${tag}: ${message}`;
