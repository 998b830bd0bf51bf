import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageVersion } from '../src/program.ts';

const BIN = join(import.meta.dirname, '../src/bin/countersign.ts');

function countersign(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, ['--conditions=source', BIN, ...args], {
    cwd: tmpdir(),
    encoding: 'utf8',
  });
}

describe('countersign', () => {
  it('prints its version and its help', () => {
    expect(countersign('--version').stdout).toBe(`${packageVersion()}\n`);
    const help = countersign('help', 'replay');
    expect(help.status).toBe(0);
    expect(help.stdout).toMatch(/Usage: countersign replay/);
    expect(help.stdout).toMatch(/Exit status: 0 faithful/);
  });

  it.each([
    [['replya'], /Did you mean replay/],
    [['replay', '--recording', 'nowhere'], /no recording "nowhere"\nName a directory, or one of: .*breach/],
    [['replay', '--hsmd', '/nowhere/hsmd'], /no hsmd at \/nowhere\/hsmd\nCheck the path/],
    [['replay', '--hsmd', '/bin/true', '--node', 'l9'], /no recording has a node "l9"/],
    [['replay', '--timeout', 'soon'], /Give seconds/],
  ])('%j ends with 2 and says what to do', (args, message) => {
    const { status, stderr } = countersign(...args);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/at .*\.ts:\d+/);
    expect(status).toBe(2);
  });
});
