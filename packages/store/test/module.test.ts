/** Loading node:sqlite: one warning is dropped, no other. */
import { describe, expect, it } from 'vitest';
import { loadSqlite, withoutSqliteWarning } from '../src/sqlite/module.ts';

describe('the experimental warning of SQLite', () => {
  it('is dropped while loading, and only it, and only then', () => {
    const emitted: unknown[][] = [];
    const emitWarning = (...given: unknown[]): void => void emitted.push(given);
    const door = { emitWarning };
    const result = withoutSqliteWarning(door, () => {
      door.emitWarning(
        'SQLite is an experimental feature and might change at any time',
        'ExperimentalWarning',
      );
      door.emitWarning(new Error('SQLite is an experimental feature and might change at any time'));
      door.emitWarning('Other is an experimental feature', 'ExperimentalWarning');
      return 7;
    });
    expect(result).toBe(7);
    expect(emitted).toEqual([['Other is an experimental feature', 'ExperimentalWarning']]);
    expect(door.emitWarning).toBe(emitWarning);
    expect(() =>
      withoutSqliteWarning(door, () => {
        throw new Error('no such module');
      }),
    ).toThrow('no such module');
    expect(door.emitWarning).toBe(emitWarning);
  });

  it('leaves a working module', () => {
    expect(typeof loadSqlite().DatabaseSync).toBe('function');
  });
});
