/**
 * A map that can be forked for next to nothing: both sides go on from the entries so far, which are shared and no longer
 * written to, and each writes into a layer of its own.
 */
const LAYERS_MAX = 6;
/** In place of a value that a lower layer has and this map has no longer. */
const GONE = Symbol('gone');

export class LayeredMap<V> {
  /** Lowest first; frozen. */
  #below: readonly ReadonlyMap<string, V | typeof GONE>[];
  #top = new Map<string, V | typeof GONE>();

  constructor(below: readonly ReadonlyMap<string, V | typeof GONE>[] = []) {
    this.#below = below;
  }

  get(key: string): V | undefined {
    let found = this.#top.get(key);
    for (let at = this.#below.length - 1; found === undefined && at >= 0; at--)
      found = this.#below[at]?.get(key);
    return found === GONE ? undefined : found;
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  set(key: string, value: V): void {
    this.#top.set(key, value);
  }

  delete(key: string): void {
    if (this.#below.length === 0) this.#top.delete(key);
    else this.#top.set(key, GONE);
  }

  fork(): LayeredMap<V> {
    if (this.#top.size > 0) {
      this.#below = [...this.#below, this.#top];
      this.#top = new Map();
    }
    if (this.#below.length > LAYERS_MAX) this.#below = [new Map(this.entries())];
    return new LayeredMap(this.#below);
  }

  *entries(): IterableIterator<[string, V]> {
    if (this.#below.length === 0) {
      // Nothing to delete from: no entry is marked as gone.
      yield* this.#top.entries() as IterableIterator<[string, V]>;
      return;
    }
    const seen = new Set<string>();
    for (const layer of [...this.#below, this.#top].reverse())
      for (const [key, value] of layer) {
        if (seen.has(key)) continue;
        seen.add(key);
        if (value !== GONE) yield [key, value];
      }
  }
}
