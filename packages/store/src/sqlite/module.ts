/**
 * Loads `node:sqlite`. Some supported Node releases print an ExperimentalWarning at its first use; that one warning is
 * dropped here, every other passes.
 */

export type Sqlite = typeof import('node:sqlite');

/** The part of `process` that warnings go through. */
export interface WarningDoor {
  emitWarning: typeof process.emitWarning;
}

/** Run `load` while the door drops the warning that SQLite is experimental. */
export function withoutSqliteWarning<T>(door: WarningDoor, load: () => T): T {
  const emit = door.emitWarning;
  door.emitWarning = (warning: string | Error, ...rest: unknown[]): void => {
    const text = typeof warning === 'string' ? warning : warning.message;
    if (/^SQLite is an experimental feature/.test(text)) return;
    Reflect.apply(emit, door, [warning, ...rest]);
  };
  try {
    return load();
  } finally {
    door.emitWarning = emit;
  }
}

export function loadSqlite(): Sqlite {
  return withoutSqliteWarning(process, () => process.getBuiltinModule('node:sqlite'));
}
