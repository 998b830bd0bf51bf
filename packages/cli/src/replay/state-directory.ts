/**
 * The working directory of a replayed hsmd: what lightningd's network directory holds, made fresh for each recording
 * and kept over the restarts in it.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isRegtest, type Recording } from './recording.ts';

/** The recordings are test sessions: laws that need a chain view can't be judged from them alone. */
const REGTEST_CONFIGURATION = '[policy]\npreset = "permissive"\n';

/** A new directory with `hsm_secret` and, off mainnet, the configuration of a test node. Returns its path. */
export function createStateDirectory(recording: Recording): string {
  const directory = mkdtempSync(join(tmpdir(), 'countersign-replay-'));
  writeFileSync(join(directory, 'hsm_secret'), recording.hsmSecret, { mode: 0o400 });
  if (isRegtest(recording)) writeFileSync(join(directory, 'countersign.toml'), REGTEST_CONFIGURATION);
  return directory;
}

export function removeStateDirectory(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
}
