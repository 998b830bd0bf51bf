/**
 * Which cases the properties of the tests (fast-check) are tried with. The gate tries the same ones every time, so that its verdict
 * is about the change it is given; `npm run test:properties` tries others.
 */

/** The environment variable that says it. */
export const SEED_VARIABLE = 'PROPERTY_SEED';
const SEED_OF_THE_GATE = 1;
const SEED_MAX = 2 ** 31 - 1;

/** A seed as fast-check takes it. Throws `RangeError` for a text that is none. */
export function seedFrom(text: string | undefined): number {
  if (text === undefined) return SEED_OF_THE_GATE;
  const seed = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (seed <= SEED_MAX) return seed;
  throw new RangeError(`a seed of properties is a whole number up to ${SEED_MAX}, not "${text}"`);
}
