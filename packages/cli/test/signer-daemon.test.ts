/**
 * The signer's machine as an operator sets it up: `signer init`, `signer pair`, `signer run` through the launcher, as real
 * processes under Node.js's permission model. At the end everything that was written is searched for secrets.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import {
  closeSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { newHsmSecret } from '@countersign/core';
import { encodeMessage, type Request } from '@countersign/wire';
import { afterEach, describe, expect, it } from 'vitest';
import { initRequest } from '../../core/test/init-request.ts';
import { LIGHTNINGD, NodeMachine } from '../../daemon/test/node-side.ts';
import { keyOf } from '../../daemon/test/support.ts';

const LAUNCHER = fileURLToPath(new URL('../bin/countersign', import.meta.url));
const PASSPHRASE = 'correct horse battery staple';
const ECDH: Request = { name: 'hsmd_ecdh_req', point: keyOf('somebody') };

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

function directoryWithPassphrase(): string {
  const directory = mkdtempSync(join(tmpdir(), 'countersign signer '));
  ends.push(() => rmSync(directory, { recursive: true, force: true }));
  writeFileSync(join(directory, 'pass'), `${PASSPHRASE}\n`, { mode: 0o600 });
  return directory;
}

interface Ran {
  readonly status: number;
  readonly out: string;
  readonly error: string;
}

/** Without a terminal, as from a script. */
const countersign = (directory: string, ...args: readonly string[]): Promise<Ran> =>
  piped('', directory, ...args);

/** The same, with something on standard input. */
function piped(input: string, directory: string, ...args: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    const child = execFile(LAUNCHER, args, { cwd: directory, timeout: 150_000 }, (error, out, stderr) => {
      const status = error === null ? 0 : Number(error.code);
      resolve({ status, out, error: stderr });
    });
    child.stdin?.end(input);
  });
}

const init = (directory: string, ...more: readonly string[]): Promise<Ran> =>
  countersign(directory, 'signer', 'init', '--passphrase-file', 'pass', ...more);

class RunningSigner {
  readonly child: ChildProcess;
  /** Its exit status, once all that it wrote is read. */
  readonly #closed: Promise<number | null>;
  output = '';

  constructor(directory: string, ...args: readonly string[]) {
    this.child = spawn(LAUNCHER, ['signer', 'run', ...args], {
      cwd: directory,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.output += chunk.toString();
      });
    }
    this.#closed = new Promise((resolve) => void this.child.once('close', resolve));
    ends.push(() => this.child.kill('SIGKILL'));
  }

  async saying(what: RegExp): Promise<void> {
    const endMs = performance.now() + 60_000;
    while (!what.test(this.output)) {
      if (performance.now() > endMs || this.child.exitCode !== null)
        throw new Error(`never said ${what}:\n${this.output}`);
      await sleep(10);
    }
  }

  async ended(): Promise<number | null> {
    return this.#closed;
  }
}

async function nodeMachine(): Promise<NodeMachine> {
  const machine = await NodeMachine.open(join(directoryWithPassphrase(), 'link'));
  ends.push(() => machine.link.close());
  return machine;
}

const configFor = (directory: string, more = ''): void =>
  writeFileSync(
    join(directory, 'signer.toml'),
    `[health]\nlisten = "unix:health.sock"\n[node.alice]\nnetwork = "regtest"\npassphrase_file = "pass"\n${more}`,
  );

function getHealth(directory: string, path: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath: join(directory, 'health.sock'), path }, (response) => {
      text(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject);
    });
    asked.on('error', reject);
    asked.end();
  });
}

describe('a signer from nothing', () => {
  it('is made, paired, run, stopped and run again, and shows no secret but the words', async () => {
    const directory = directoryWithPassphrase();
    const made = await init(directory, '--network', 'regtest', '--node', 'alice', '--skip-backup-check');
    expect(made).toMatchObject({ status: 0, error: '' });
    const words = [...made.out.matchAll(/\d+ ([a-z]{3,8})\b/g)].map((match) => match[1]);
    expect(words).toHaveLength(12);
    expect(made.out).toMatch(/seed file .*alice\/seed\nnode id {4}0[23][0-9a-f]{64}\n/);
    expect(readFileSync(join(directory, 'signer.toml'), 'utf8')).toBe('[node.alice]\nnetwork = "regtest"\n');
    expect(statSync(join(directory, 'alice', 'seed')).mode & 0o777).toBe(0o600);
    configFor(directory);

    const machine = await nodeMachine();
    const paired = await countersign(directory, 'signer', 'pair', machine.token());
    expect(paired).toMatchObject({
      status: 0,
      out: expect.stringMatching(/^Paired: node alice at 127\.0\.0\.1:\d+\n/),
    });

    const signer = new RunningSigner(directory);
    await signer.saying(/serving node/);
    await signer.saying(/the node introduced itself/);
    const reply = await machine.ask(initRequest());
    expect(reply).toMatchObject({ name: 'hsmd_init_reply_v4' });
    expect(made.out).toContain(Buffer.from('nodeId' in reply ? reply.nodeId : []).toString('hex'));
    expect(await machine.ask(ECDH)).toMatchObject({ name: 'hsmd_ecdh_resp' });
    expect(await getHealth(directory, '/ready')).toMatchObject({ status: 200 });
    expect((await getHealth(directory, '/metrics')).body).toMatch(/countersign_signing\{node="alice"\} 1/);

    const where =
      process.platform === 'linux' ? readFileSync(`/proc/${signer.child.pid}/cmdline`, 'utf8') : '';
    expect(where).toMatch(/--permission\0/);
    expect(readFileSync(`/proc/${signer.child.pid}/limits`, 'utf8')).toMatch(/Max core file size +0 +0 /);
    expect(signer.output).not.toMatch(/core dumps are possible|permission model/);
    signer.child.kill('SIGTERM');
    expect(await signer.ended()).toBe(0);
    // Closed in order: SQLite takes its log away.
    expect(readdirSync(join(directory, 'alice', 'state'))).not.toContain('journal.sqlite-wal');

    const waiting = machine.ask(ECDH);
    const again = new RunningSigner(directory);
    expect(await waiting).toMatchObject({ name: 'hsmd_ecdh_resp' });
    again.child.kill('SIGKILL');
    await again.ended();
    const third = new RunningSigner(directory, '--config', join(directory, 'signer.toml'));
    expect(await machine.ask(ECDH)).toMatchObject({ name: 'hsmd_ecdh_resp' });
    third.child.kill('SIGINT');
    expect(await third.ended()).toBe(0);

    const secrets = [PASSPHRASE, words.join(' '), words.slice(0, 3).join(' ')];
    const told = [signer.output, again.output, third.output, paired.out, where].join('\n');
    const files = filesBelow(join(directory, 'alice'));
    for (const secret of secrets) {
      expect(told).not.toContain(secret);
      expect(files.includes(secret)).toBe(false);
    }
  });

  it('with the hsm_secret of a node has its keys, in every form', async () => {
    const own = 'of the words themselves';
    const entropy = new Uint8Array(16).fill(9);
    const forms: readonly [string, Uint8Array, string | null][] = [
      ['plain', new Uint8Array(32).fill(0x42), null],
      ['mnemonic', newHsmSecret(entropy.slice()), null],
      ['mnemonic-with-passphrase', newHsmSecret(entropy.slice(), own), own],
    ];
    const ids = new Set<string>();
    for (const [name, bytes, passphrase] of forms) {
      const directory = directoryWithPassphrase();
      writeFileSync(join(directory, 'hsm_secret'), bytes, { mode: 0o400 });
      writeFileSync(join(directory, 'own'), passphrase ?? '', { mode: 0o600 });
      const more = passphrase === null ? [] : ['--import-passphrase-file', 'own'];
      const made = await init(directory, '--network', 'regtest', '--import', 'hsm_secret', ...more);
      expect([name, made.error]).toEqual([name, '']);
      expect(made.out).not.toMatch(/These words/);
      ids.add(/node id {4}(\w+)/.exec(made.out)?.[1] ?? '');
    }
    expect(ids.size).toBe(forms.length);
  });
});

describe('what goes wrong is told with what to do', () => {
  it('at init', async () => {
    const directory = directoryWithPassphrase();
    const noTerminal = await init(directory, '--network', 'regtest');
    expect(noTerminal).toMatchObject({
      status: 2,
      error: expect.stringMatching(/no terminal.*\n.*--skip-backup-check/),
    });
    const again = await init(directory, '--network', 'regtest');
    expect(again).toMatchObject({ status: 2, error: expect.stringMatching(/has a \[node\.node\] already/) });
    writeFileSync(join(directory, 'short'), 'short');
    const short = await countersign(
      directory,
      'signer',
      'init',
      '--passphrase-file',
      'short',
      '--skip-backup-check',
    );
    expect(short).toMatchObject({ status: 2, error: expect.stringMatching(/less than 8 characters/) });
    expect((await init(directory, '--skip-backup-check')).status).toBe(0);
    const before = readFileSync(join(directory, 'node', 'seed'));
    const twice = await init(directory, '--skip-backup-check');
    expect(twice).toMatchObject({
      status: 1,
      error: expect.stringMatching(/has a seed already, which is never overwritten/),
    });
    expect(readFileSync(join(directory, 'node', 'seed'))).toEqual(before);
    const gone = await init(directory, '--network', 'regtest', '--node', 'bob', '--import', 'nowhere');
    expect(gone).toMatchObject({ status: 2, error: expect.stringMatching(/cannot read nowhere: ENOENT/) });
    writeFileSync(join(directory, 'junk'), 'no secret');
    const junk = await init(directory, '--node', 'bob', '--import', 'junk');
    expect(junk).toMatchObject({ status: 1, error: expect.not.stringMatching(/this is a bug/) });
  });

  it('at a change of the passphrase, which takes effect or does nothing', async () => {
    const directory = directoryWithPassphrase();
    await init(directory, '--network', 'regtest', '--node', 'alice', '--skip-backup-check');
    configFor(directory);
    writeFileSync(join(directory, 'next'), 'another long passphrase');
    const change = (...more: readonly string[]): Promise<Ran> =>
      countersign(directory, 'signer', 'passphrase', '--new-passphrase-file', 'next', ...more);
    const wrong = await change('--passphrase-file', 'next');
    expect(wrong).toMatchObject({ status: 1, error: expect.stringMatching(/does not open this seed file/) });
    expect(await change()).toMatchObject({
      status: 0,
      out: expect.stringMatching(/^Changed: .*alice\/seed/),
    });
    const old = new RunningSigner(directory);
    expect(await old.ended()).toBe(1);
    expect(old.output).toMatch(/did not start.*seed-wrong-passphrase/);
    // Over a descriptor, as a service manager may hand it over.
    configFor(directory);
    const file = join(directory, 'signer.toml');
    writeFileSync(file, readFileSync(file, 'utf8').replace('passphrase_file = "pass"', 'passphrase_fd = 3'));
    const descriptor = openSync(join(directory, 'next'), 'r');
    const child = spawn(LAUNCHER, ['signer', 'run'], {
      cwd: directory,
      stdio: ['ignore', 'pipe', 'inherit', descriptor],
    });
    ends.push(() => child.kill('SIGKILL'));
    closeSync(descriptor);
    let output = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    const endMs = performance.now() + 60_000;
    while (!/serving node/.test(output) && performance.now() < endMs && child.exitCode === null)
      await sleep(10);
    expect(output).toMatch(/serving node/);
    child.kill('SIGTERM');
    await new Promise((resolve) => child.once('exit', resolve));
  });

  it('at run', async () => {
    const directory = directoryWithPassphrase();
    const none = await countersign(directory, 'signer', 'run');
    expect(none).toMatchObject({
      status: 1,
      error: expect.stringMatching(/cannot read .*signer\.toml: ENOENT/),
    });
    writeFileSync(join(directory, 'signer.toml'), '[node.alice]\nnetwrok = "regtest"\n');
    const typo = await countersign(directory, 'signer', 'run');
    expect(typo).toMatchObject({
      status: 1,
      error: expect.stringMatching(
        /signer\.toml:2: unknown key "node\.alice\.netwrok"; did you mean "network"\?/,
      ),
    });
  });

  it('at pairing', async () => {
    const directory = directoryWithPassphrase();
    await init(directory, '--network', 'regtest', '--skip-backup-check');
    const nonsense = await countersign(directory, 'signer', 'pair', 'cspair1nonsense');
    expect(nonsense).toMatchObject({ status: 1, error: expect.stringMatching(/Copy the whole line/) });
    const machine = await nodeMachine();
    const token = machine.token();
    const twice = await countersign(directory, 'signer', 'pair', token, '--token-file', 'token');
    expect(twice).toMatchObject({ status: 2, error: expect.stringMatching(/comes from one place/) });
    for (const [more, why] of [
      [[], /no token was given/],
      [['--token-file', 'nowhere'], /cannot read the token/],
      [['--token-file', 'pass'], /Copy the whole line/],
    ] as const)
      expect((await countersign(directory, 'signer', 'pair', ...more)).error).toMatch(why);
    writeFileSync(join(directory, 'token'), `${token}\n`, { mode: 0o600 });
    expect((await countersign(directory, 'signer', 'pair', '--token-file', 'token')).status).toBe(0);
    // The same signer may bring it again, by any way.
    expect((await piped(`${token}\n`, directory, 'signer', 'pair', '--token-file', '-')).status).toBe(0);
    const listed = await countersign(directory, 'signer', 'link', 'list', '--json');
    const known = JSON.parse(listed.out);
    expect(known).toMatchObject({
      nextPin: null,
      nodes: [{ name: 'node' }],
      address: /^127/.exec(known.address)?.input,
    });
    const rotated = await countersign(directory, 'signer', 'link', 'rotate');
    expect(rotated).toMatchObject({
      status: 0,
      out: expect.stringMatching(`^key now   ${known.pin}\nnext key  `),
    });
    expect((await countersign(directory, 'signer', 'link', 'list')).out).toMatch(
      /its next key {2}[0-9a-f]{64}\nthe node /,
    );
    expect((await countersign(directory, 'signer', 'link', 'revoke')).out).toMatch(
      /^Forgotten: the node of node/,
    );
    expect((await countersign(directory, 'signer', 'link', 'list')).out).toMatch(/Not paired/);
    const other = directoryWithPassphrase();
    expect((await countersign(other, 'signer', 'link', 'rotate')).status).toBe(1);
    await init(other, '--network', 'regtest', '--skip-backup-check');
    const replayed = await countersign(other, 'signer', 'pair', token);
    expect(replayed).toMatchObject({
      status: 1,
      error: expect.stringMatching(/was used already.*\nMake a new token/),
    });
  });

  it('at pairing again: with another node, and under another name', async () => {
    const directory = directoryWithPassphrase();
    await init(directory, '--network', 'regtest', '--skip-backup-check');
    const [first, second] = [await nodeMachine(), await nodeMachine()];
    const pairWith = (token: string): Promise<Ran> => countersign(directory, 'signer', 'pair', token);
    expect((await pairWith(first.token())).status).toBe(0);
    expect(await pairWith(second.token())).toMatchObject({
      status: 1,
      error: expect.stringMatching(
        /^countersign: node node is paired with a node side of another key\n.*countersign signer link revoke/,
      ),
    });
    expect(await pairWith(first.token('cellar'))).toMatchObject({
      status: 1,
      error: expect.stringMatching(/knows this signer under another name.*\n"countersign link list"/),
    });
    expect((await countersign(directory, 'signer', 'link', 'revoke')).status).toBe(0);
    expect((await pairWith(second.token())).status).toBe(0);
  });
});

describe('a run that is confined', () => {
  it('can read and write what signer.toml names and nothing beside it', async () => {
    const directory = directoryWithPassphrase();
    await init(directory, '--network', 'regtest', '--node', 'alice', '--skip-backup-check');
    configFor(directory);
    const listed = await countersign(directory, 'signer', 'permissions');
    const args = listed.out.trimEnd().split('\n');
    const forbidden = join(directory, 'beside');
    mkdirSync(forbidden);
    writeFileSync(join(forbidden, 'file'), 'not yours');
    const probe = `const fs = require('node:fs');
      const tried = (what) => { try { what(); return 'done'; } catch (error) { return error.code; } };
      console.log(JSON.stringify([
        tried(() => fs.readFileSync(${JSON.stringify(join(forbidden, 'file'))})),
        tried(() => fs.writeFileSync(${JSON.stringify(join(directory, 'signer.toml'))}, '')),
        tried(() => fs.writeFileSync(${JSON.stringify(join(directory, 'pass'))}, '')),
        tried(() => require('node:child_process').execSync('true')),
        tried(() => fs.readFileSync(${JSON.stringify(join(directory, 'alice/seed'))})),
        tried(() => fs.writeFileSync(${JSON.stringify(join(directory, 'alice/state/x'))}, '')),
      ]))`;
    const ran = await new Promise<string>((resolve) => {
      execFile(process.execPath, ['--no-warnings', ...args, '-e', probe], (_, out, error) =>
        resolve(out + error),
      );
    });
    const denied = 'ERR_ACCESS_DENIED';
    expect(JSON.parse(ran)).toEqual([denied, denied, denied, denied, 'done', 'done']);
  });
});

it('a confined signer keeps a witness, and finds a state that was rolled back', async () => {
  const directory = directoryWithPassphrase();
  await init(directory, '--network', 'regtest', '--node', 'alice', '--skip-backup-check');
  configFor(directory, 'policy_file = "policy.toml"\n');
  writeFileSync(join(directory, 'policy.toml'), 'witness_file = "witness"\n');
  writeFileSync(join(directory, 'witness'), '');
  const run = async (): Promise<RunningSigner> => {
    const signer = new RunningSigner(directory);
    await signer.saying(/serving node|did not start/);
    signer.child.kill('SIGTERM');
    await signer.ended();
    return signer;
  };
  expect((await run()).child.exitCode).toBe(0);
  cpSync(join(directory, 'alice', 'state'), join(directory, 'backup'), { recursive: true });
  expect((await run()).child.exitCode).toBe(0);
  rmSync(join(directory, 'alice', 'state'), { recursive: true });
  cpSync(join(directory, 'backup'), join(directory, 'alice', 'state'), { recursive: true });
  expect((await run()).output).toMatch(/did not start: .*store-rolled-back/);
});

function filesBelow(directory: string): Buffer {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
  return Buffer.concat(
    entries
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath, entry.name))),
  );
}

it('a request that is malformed fails alone, over the link too', async () => {
  const directory = directoryWithPassphrase();
  await init(directory, '--network', 'regtest', '--node', 'alice', '--skip-backup-check');
  configFor(directory);
  const machine = await nodeMachine();
  await machine.pairWith(join(directory, 'alice'));
  const signer = new RunningSigner(directory);
  await signer.saying(/the node introduced itself/);
  for (const body of [
    new Uint8Array(0),
    Uint8Array.of(1),
    new Uint8Array(70_000),
    encodeMessage(initRequest('signet')),
  ]) {
    await machine.link.ask(LIGHTNINGD, body);
  }
  expect(await machine.ask(ECDH)).toMatchObject({ name: 'hsmd_ecdh_resp' });
  signer.child.kill('SIGTERM');
  expect(await signer.ended()).toBe(0);
});
