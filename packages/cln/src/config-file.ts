/**
 * `countersign.toml` as lightningd's children find it: in their working directory, lightningd's network directory, or
 * where the environment says.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CountersignError } from '@countersign/bitcoin';
import { type Config, ConfigError, DEFAULT_CONFIG, parseConfig } from '@countersign/host';

export const CONFIG_VARIABLE = 'COUNTERSIGN_CONFIG';
const CONFIG_FILE = 'countersign.toml';

/** The settings, or why they can't be used: INIT then fails with the reason. */
export function readConfig(directory = '.'): Config | CountersignError {
  const named = process.env[CONFIG_VARIABLE];
  const file = named ?? join(directory, CONFIG_FILE);
  try {
    return parseConfig(readFileSync(file, 'utf8'), file);
  } catch (error) {
    if (error instanceof CountersignError) return error;
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    if (isMissing && named === undefined) return DEFAULT_CONFIG;
    const reason = error instanceof Error ? error.message : String(error);
    return new ConfigError(`cannot read ${file}: ${reason}`, { file });
  }
}
