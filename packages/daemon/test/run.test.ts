/** The daemon as a process that a bug ends. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, it } from 'vitest';
import { writeSeed } from '../src/seed/new-seed.ts';
import { bytes, plainSecret, QUICK, random, regtest, secp, temporaryDirectory } from './support.ts';

const source = (name: string): string => JSON.stringify(new URL(`../src/${name}`, import.meta.url).href);

/** What stops the daemon hangs, as it may after a bug, and something keeps the process, as a link does. */
const program = (file: string): string => `
  const { Daemon } = await import(${source('daemon.ts')});
  const { runSigner } = await import(${source('run.ts')});
  Daemon.prototype.stop = () => new Promise(() => {});
  setInterval(() => {}, 1000);
  setTimeout(() => { throw new Error('a bug of a test'); }, 500);
  process.exitCode = await runSigner(${JSON.stringify(file)});
`;

it('ends after a bug, whatever hangs', async () => {
  const directory = temporaryDirectory();
  const passphrase = bytes('a long passphrase');
  writeFileSync(join(directory, 'pass'), passphrase);
  const path = join(directory, 'alice', 'seed');
  const input = { path, network: regtest, secret: plainSecret(1), passphrase };
  await writeSeed({ secp, randomBytes: random, cost: QUICK }, input);
  const file = join(directory, 'signer.toml');
  writeFileSync(file, '[node.alice]\nnetwork = "regtest"\npassphrase_file = "pass"\n');
  const run = ['--conditions=source', '--disable-warning=ExperimentalWarning', '--input-type=module', '-e'];
  const child = spawn(process.execPath, [...run, program(file)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 20_000,
    killSignal: 'SIGKILL',
  });
  const [log, [status]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  expect(log).toMatch(/a bug: Error: a bug of a test/);
  expect(status).toBe(70);
}, 40_000);
