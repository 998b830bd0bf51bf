/** What is worth computing only when it is asked for, and then once. */

/** The value of `compute`, computed at the first call. What it throws is thrown, and computed again by the next call. */
export function once<T>(compute: () => T): () => T {
  let value: { readonly of: T } | undefined;
  return () => {
    value ??= { of: compute() };
    return value.of;
  };
}
