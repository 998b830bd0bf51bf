import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { packageVersion } from '../src/index.ts';

const LAUNCHER = fileURLToPath(new URL('../bin/countersign', import.meta.url));

it('the command starts from anywhere, also by a link, and keeps no compiled code where it is run', () => {
  const directory = mkdtempSync(join(tmpdir(), 'countersign-cli-'));
  try {
    // A directory of this name may be anybody's.
    mkdirSync(join(directory, 'countersign'));
    symlinkSync(LAUNCHER, join(directory, 'link'));
    const environment = { PATH: process.env.PATH };
    const ran = execFileSync(join(directory, 'link'), ['--version'], { cwd: directory, env: environment });
    expect(ran.toString()).toBe(`${packageVersion()}\n`);
    expect(() => rmSync(join(directory, 'countersign/compile-cache'))).toThrow(/ENOENT/);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
