/** How often each rule has refused since the start. Tags are the rules' own and few; the bound holds if one ever is not. */

const TAGS_MAX = 256;
const OTHER = 'other';

export class RefusalCounts {
  readonly #byTag = new Map<string, number>();

  add(tag: string): void {
    const key = this.#byTag.has(tag) || this.#byTag.size < TAGS_MAX ? tag : OTHER;
    this.#byTag.set(key, (this.#byTag.get(key) ?? 0) + 1);
  }

  get byTag(): ReadonlyMap<string, number> {
    return this.#byTag;
  }
}
