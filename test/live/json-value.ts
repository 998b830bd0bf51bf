/** Reads values out of JSON-RPC answers by path. Promises that a missing or wrong-typed value is an error that names the
 *  path, so that a changed answer of a daemon fails the scenario instead of passing as `undefined`. */

export type JsonValue = null | boolean | number | string | JsonValue[] | { [key: string]: JsonValue };

export class ShapeError extends Error {
  override readonly name = 'ShapeError';
}

/** The value at the path, or undefined where the path ends early. */
export function find(value: JsonValue, ...path: (string | number)[]): JsonValue | undefined {
  let here: JsonValue | undefined = value;
  for (const step of path) {
    if (here === null || typeof here !== 'object') return undefined;
    if (Array.isArray(here)) here = typeof step === 'number' ? here.at(step) : undefined;
    else here = here[step];
    if (here === undefined) return undefined;
  }
  return here;
}

function fail(expected: string, value: JsonValue, path: (string | number)[]): never {
  throw new ShapeError(`no ${expected} at ${path.join('.')} in ${JSON.stringify(value).slice(0, 400)}`);
}

export function textAt(value: JsonValue, ...path: (string | number)[]): string {
  const found = find(value, ...path);
  return typeof found === 'string' ? found : fail('text', value, path);
}

export function numberAt(value: JsonValue, ...path: (string | number)[]): number {
  const found = find(value, ...path);
  return typeof found === 'number' ? found : fail('number', value, path);
}

export function listAt(value: JsonValue, ...path: (string | number)[]): JsonValue[] {
  const found = find(value, ...path);
  return Array.isArray(found) ? found : fail('list', value, path);
}
