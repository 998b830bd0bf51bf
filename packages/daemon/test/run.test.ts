/** The daemon as a process: what keeps it, and what ends it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
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

/** A signer.toml with one node and nothing else, so that nothing but its purpose keeps the process. */
async function signerFile(): Promise<string> {
  const directory = temporaryDirectory();
  const passphrase = bytes('a long passphrase');
  writeFileSync(join(directory, 'pass'), passphrase);
  const path = join(directory, 'alice', 'seed');
  const input = { path, network: regtest, secret: plainSecret(1), passphrase };
  await writeSeed({ secp, randomBytes: random, cost: QUICK }, input);
  const file = join(directory, 'signer.toml');
  writeFileSync(file, '[node.alice]\nnetwork = "regtest"\npassphrase_file = "pass"\n');
  return file;
}

function started(code: string) {
  const run = ['--conditions=source', '--disable-warning=ExperimentalWarning', '--input-type=module', '-e'];
  return spawn(process.execPath, [...run, code], {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 90_000,
    killSignal: 'SIGKILL',
  });
}

it('goes on without a node to dial, until it is told to end', async () => {
  const child = started(`
    const { runSigner } = await import(${source('run.ts')});
    process.exitCode = await runSigner(${JSON.stringify(await signerFile())});
  `);
  const ended = once(child, 'exit');
  let log = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    log += chunk;
  });
  await expect.poll(() => log).toContain('serving node');
  await expect.poll(() => log).toMatch(/not paired with a node yet/);
  await Promise.race([ended, sleep(1_500)]);
  expect(child.exitCode).toBeNull();
  child.kill('SIGTERM');
  const [status] = await ended;
  expect(status).toBe(0);
});

it('ends after a bug, whatever hangs', async () => {
  const child = started(program(await signerFile()));
  const [log, [status]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  expect(log).toMatch(/a bug: Error: a bug of a test/);
  expect(status).toBe(70);
});
