/** The LDK example does what it says, in a process of its own. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { REPOSITORY } from '../../tools/workspace.ts';

const PROGRAM = join(REPOSITORY, 'examples/node-ldk/main.ts');

it('opens, pays, refuses five thefts and a payment, and closes', async () => {
  const flags = ['--conditions=source', '--disable-warning=ExperimentalWarning'];
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, PROGRAM], { timeout: 280_000 });
  expect(stdout).toContain('A channel of 1,000,000 sat is open.');
  expect(stdout.match(/: done/g)).toHaveLength(2);
  expect(stdout.match(/declined by the signer/g)).toHaveLength(1);
  expect(stdout.match(/refused by policy-/g)).toHaveLength(5);
  expect(stdout).toMatch(/Alice has 174\d{4} sat on chain/);
}, 300_000);
