/** The daemon in this process: several nodes with nothing in common, real links, and an end in order. */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect, Server } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { PERMISSION } from '@countersign/core';
import { StoreError } from '@countersign/store';
import { PinStore } from '@countersign/transport';
import { encodeMessage, type Request } from '@countersign/wire';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { initRequest } from '../../core/test/init-request.ts';
import { ChainSide } from '../../host/src/chain/side.ts';
import { peerId, setupRequest } from '../../host/test/support.ts';
import { freePort } from '../../transport/test/free-port.ts';
import { parseSignerConfig } from '../src/config/config.ts';
import { Daemon, type DaemonOptions, startFailureText } from '../src/daemon.ts';
import { linkFiles, NODE_PIN_NAME } from '../src/link/files.ts';
import { openDoor } from '../src/link/open-door.ts';
import { LINES_PER_MINUTE_MAX } from '../src/observe/limited.ts';
import { writeSeed } from '../src/seed/new-seed.ts';
import { LIGHTNINGD, NodeMachine, replyOf } from './node-side.ts';
import {
  bytes,
  keyOf,
  logged,
  noPassphrases,
  plainSecret,
  QUICK,
  random,
  regtest,
  ringOf,
  secp,
  temporaryDirectory,
} from './support.ts';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const ECDH: Request = { name: 'hsmd_ecdh_req', point: keyOf('somebody') };
const passphrase = bytes('a long passphrase');

interface Place {
  readonly directory: string;
  readonly file: string;
}

/** A directory with a passphrase and a seed for each node. */
async function place(...names: readonly string[]): Promise<Place> {
  const directory = temporaryDirectory();
  writeFileSync(join(directory, 'pass'), passphrase);
  for (const [i, name] of names.entries()) await seed(directory, name, i + 1);
  return { directory, file: join(directory, 'signer.toml') };
}

function seed(
  directory: string,
  name: string,
  byte: number,
  keyStyle: 'cln' | 'ldk' = 'cln',
): Promise<Uint8Array> {
  const path = join(directory, name, 'seed');
  const input = { path, network: regtest, keyStyle, secret: plainSecret(byte), passphrase };
  return writeSeed({ secp, randomBytes: random, cost: QUICK }, input);
}

const toml = (...names: readonly string[]): string =>
  names.map((name) => `[node.${name}]\nnetwork = "regtest"\npassphrase_file = "pass"\n`).join('');

async function started({ file }: Place, content: string, changed: Partial<DaemonOptions> = {}) {
  const { log, lines } = logged();
  const bugs: unknown[] = [];
  const daemon = await Daemon.start({
    config: parseSignerConfig(content, file),
    passphrases: noPassphrases,
    secp,
    log,
    openDoor,
    randomBytes: random,
    monotonicMs: () => performance.now(),
    nowSeconds: () => Math.floor(Date.now() / 1000),
    onBug: (error) => void bugs.push(error),
    ...changed,
  });
  closers.push(() => daemon.stop());
  return { daemon, lines, bugs };
}

async function nodeMachine(): Promise<NodeMachine> {
  const machine = await NodeMachine.open(join(temporaryDirectory(), 'link'));
  closers.push(() => machine.link.close());
  return machine;
}

async function until(what: () => boolean): Promise<void> {
  const endMs = performance.now() + 30_000;
  while (!what()) {
    if (performance.now() > endMs) throw new Error(`not within 30 s: ${what}`);
    await sleep(5);
  }
}

async function get(daemon: Daemon, path: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port: daemon.healthPort, path }, (response) => {
      text(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject);
    });
    asked.on('error', reject);
    asked.end();
  });
}

describe('a daemon', () => {
  it('has the keys of an LDK node in its style, in its threads too, and in no other', async () => {
    const machine = await nodeMachine();
    const here = await place();
    const nodeId = await seed(here.directory, 'alice', 5, 'ldk');
    await machine.pairWith(join(here.directory, 'alice'));
    await started(here, `workers = 1\n${toml('alice')}key_style = "ldk"\n`);
    expect(await machine.ask(ECDH)).toMatchObject({ name: 'hsmd_ecdh_resp' });
    const init = { derivationStyle: 2, networkName: 'regtest', devSeed: undefined, devAllowlist: [] };
    const reply = await machine.ask({ name: 'vls_hsmd_init2', ...init });
    expect(reply).toMatchObject({ name: 'vls_hsmd_init2_reply', nodeId });
    await expect(started(here, toml('alice'))).rejects.toThrow(/in another way than key_style = "cln"/);
  });

  it('logs each introduction, but not those of a node that does nothing else', async () => {
    const at = await place('alice');
    const machine = await nodeMachine();
    await machine.pairWith(join(at.directory, 'alice'));
    const { lines } = await started(at, toml('alice'));
    for (let i = 0; i < 200; i++) await machine.ask(initRequest());
    const told = lines.filter((line) => /introduced itself/.test(line)).length;
    expect(told).toBe(LINES_PER_MINUTE_MAX);
  });

  it('serves a node over a link, and again after its own restart', async () => {
    const at = await place('alice');
    const machine = await nodeMachine();
    await machine.pairWith(join(at.directory, 'alice'));
    const first = await started(at, toml('alice'));
    await until(() => machine.greeted === 1);
    expect(await machine.ask(initRequest())).toMatchObject({ nodeId: ringOf(1).nodeId });
    expect(await machine.ask(ECDH)).toMatchObject({ name: 'hsmd_ecdh_resp' });
    expect(first.daemon.standing).toMatchObject([
      { name: 'alice', link: 'up', isInitialized: true, failure: null },
    ]);
    await first.daemon.stop();
    const waiting = machine.ask(ECDH);
    await started(at, toml('alice'));
    // Greeted anew, before what waited is asked.
    expect(await waiting).toMatchObject({ name: 'hsmd_ecdh_resp' });
    expect(machine.greeted).toBe(2);
    expect(first.bugs).toEqual([]);
  });

  it('has several nodes, each with its own keys, store and socket', async () => {
    const at = await place('alice', 'bob');
    const machines = [await nodeMachine(), await nodeMachine()];
    await machines[0]!.pairWith(join(at.directory, 'alice'));
    await machines[1]!.pairWith(join(at.directory, 'bob'));
    await started(at, toml('alice', 'bob'));
    await until(() => machines.every(({ greeted }) => greeted === 1));
    for (const [i, machine] of machines.entries()) {
      expect(await machine.ask(initRequest())).toMatchObject({ nodeId: ringOf(i + 1).nodeId });
      expect(
        await machine.ask({ name: 'hsmd_new_channel', id: keyOf('peer'), dbid: BigInt(i + 1) }),
      ).toBeDefined();
    }
    for (const name of ['alice', 'bob']) {
      const state = join(at.directory, name, 'state');
      expect(existsSync(join(state, 'journal.sqlite'))).toBe(true);
      expect(existsSync(join(state, 'node.sock'))).toBe(false);
      const operator = connect(join(state, 'admin.sock'));
      operator.end(`${JSON.stringify({ v: 1, id: 1, op: 'status' })}\n`);
      const seedByte = name === 'alice' ? 1 : 2;
      expect(await text(operator)).toMatch(Buffer.from(ringOf(seedByte).nodeId).toString('hex'));
    }
  });

  it('dials as soon as it is paired, without a restart', async () => {
    const at = await place('alice');
    const machine = await nodeMachine();
    const { daemon, lines } = await started(at, toml('alice'));
    expect(daemon.standing).toMatchObject([{ link: 'none' }]);
    expect(lines.join()).toMatch(
      /not paired with a node yet: run "countersign signer pair TOKEN --node alice"/,
    );
    await machine.pairWith(join(at.directory, 'alice'));
    await until(() => machine.greeted === 1);
    expect(daemon.standing).toMatchObject([{ link: 'up' }]);
  });

  it('paired anew dials the node where it is now', async () => {
    const at = await place('alice');
    const [before, after] = [await nodeMachine(), await nodeMachine()];
    await before.pairWith(join(at.directory, 'alice'));
    const { daemon, bugs } = await started(at, toml('alice'));
    await until(() => before.greeted === 1);
    PinStore.open(linkFiles(join(at.directory, 'alice')).pins).revoke(NODE_PIN_NAME);
    await until(() => daemon.standing[0]?.link === 'down');
    await after.pairWith(join(at.directory, 'alice'));
    await until(() => after.greeted === 1);
    expect(await after.ask(ECDH)).toMatchObject({ name: 'hsmd_ecdh_resp' });
    expect(bugs).toEqual([]);
  });

  it('dials nobody whose key was revoked', async () => {
    const at = await place('alice');
    const machine = await nodeMachine();
    await machine.pairWith(join(at.directory, 'alice'));
    PinStore.open(linkFiles(join(at.directory, 'alice')).pins).revoke(NODE_PIN_NAME);
    const { daemon, lines } = await started(at, toml('alice'));
    expect(daemon.standing).toMatchObject([{ link: 'none' }]);
    expect(lines.join()).toMatch(/not paired with a node yet/);
  });

  it('refuses a node on another network, for good', async () => {
    const at = await place('alice');
    const machine = await nodeMachine();
    await machine.pairWith(join(at.directory, 'alice'));
    await started(at, toml('alice'));
    await until(() => machine.greeted === 1);
    const answer = await machine.link.ask(LIGHTNINGD, encodeMessage(initRequest('signet')));
    expect(replyOf(answer)).toMatchObject({ name: 'hsmd_init_reply_failure' });
  });

  it('may have threads for large commitments', async () => {
    const at = await place('alice');
    const machine = await nodeMachine();
    await machine.pairWith(join(at.directory, 'alice'));
    const { daemon } = await started(at, `workers = 1\n${toml('alice')}`);
    await until(() => machine.greeted === 1);
    expect(await machine.ask(ECDH)).toMatchObject({ name: 'hsmd_ecdh_resp' });
    await daemon.stop();
  });

  it('takes a policy from its file', async () => {
    const at = await place('alice');
    writeFileSync(join(at.directory, 'policy.toml'), '[policy]\npreset = "hub"\n');
    const { lines } = await started(at, `${toml('alice')}policy_file = "policy.toml"\n`);
    expect(lines.join()).not.toMatch(/PERMISSIVE/);
  });
});

describe('readiness and metrics', () => {
  it('say what is, and why not', async () => {
    const at = await place('alice');
    const machine = await nodeMachine();
    const { daemon } = await started(
      at,
      `[health]\nlisten = "127.0.0.1:${await freePort()}"\n${toml('alice')}`,
    );
    expect(await get(daemon, '/live')).toEqual({ status: 200, body: 'live\n' });
    const { status, body } = await get(daemon, '/ready');
    expect([status, JSON.parse(body)]).toEqual([
      503,
      {
        ready: false,
        nodes: [
          {
            node: 'alice',
            ready: false,
            why: ['it is not paired with a node', 'no node has introduced itself'],
          },
        ],
      },
    ]);
    await machine.pairWith(join(at.directory, 'alice'));
    await until(() => machine.greeted === 1);
    expect(await get(daemon, '/ready')).toMatchObject({ status: 200 });
    await machine.ask(ECDH);
    await machine.link.ask({ ...LIGHTNINGD, permissions: 0n }, encodeMessage(ECDH));
    const metrics = (await get(daemon, '/metrics')).body;
    for (const line of [
      'countersign_decisions_total{node="alice",message="hsmd_ecdh_req",result="succeeded"} 1',
      'countersign_decisions_total{node="alice",message="hsmd_ecdh_req",result="failed"} 1',
      'countersign_decisions_total{node="alice",message="hsmd_init",result="succeeded"} 1',
      'countersign_request_seconds_count{node="alice",message="hsmd_ecdh_req"} 2',
      'countersign_signing{node="alice"} 1',
      'countersign_link_state{node="alice",state="up"} 1',
      'countersign_link_state{node="alice",state="none"} 0',
      'countersign_deadlines{node="alice"} 0',
    ]) {
      expect(metrics).toContain(line);
    }
    expect(metrics).not.toMatch(/countersign_chain_lag_blocks\{/);
    expect(await get(daemon, '/')).toMatchObject({ status: 404 });
  });

  it('show a store that cannot be read, and live on', async () => {
    const at = await place('alice');
    const content = `[health]\nlisten = "127.0.0.1:${await freePort()}"\n${toml('alice')}`;
    const { daemon, bugs } = await started(at, content);
    const broken = vi.spyOn(ChainSide.prototype, 'observe').mockImplementation(() => {
      throw new StoreError('store-io', 'reading a record: the disk is gone');
    });
    closers.push(async () => broken.mockRestore());
    const { status, body } = await get(daemon, '/ready');
    expect(status).toBe(503);
    expect(JSON.parse(body).nodes[0].why).toContainEqual(
      expect.stringMatching(/^its store failed: .*the disk is gone \(store-io\)$/),
    );
    expect((await get(daemon, '/metrics')).body).toContain('countersign_signing{node="alice"} 0');
    expect(bugs).toEqual([]);
  });

  it('end with the store: it signs nothing any more, and readiness is off', async () => {
    const at = await place('alice');
    const machine = await nodeMachine();
    await machine.pairWith(join(at.directory, 'alice'));
    writeFileSync(join(at.directory, 'policy.toml'), 'witness_file = "witness"\n');
    writeFileSync(join(at.directory, 'witness'), '');
    const health = `[health]\nlisten = "127.0.0.1:${await freePort()}"\n`;
    const content = `${health}${toml('alice')}policy_file = "policy.toml"\n`;
    const { daemon, bugs } = await started(at, content);
    await until(() => machine.greeted === 1);
    expect(await get(daemon, '/ready')).toMatchObject({ status: 200 });
    // Another process takes over, as far as the witness knows.
    writeFileSync(join(at.directory, 'witness'), `countersign witness 1 ${'ab'.repeat(16)}\n`, {
      flag: 'r+',
    });
    const channeld = { peerId, dbid: 1n, permissions: PERMISSION.COMMITMENT_POINT };
    for (let i = 0; i < 2; i++) {
      const answer = await machine.link.ask(channeld, encodeMessage(setupRequest(1)));
      expect(answer).toMatchObject({ kind: 'refused', refusal: { code: 'store-failed', temporary: false } });
    }
    expect(await machine.link.ask(LIGHTNINGD, encodeMessage(ECDH))).toMatchObject({ kind: 'refused' });
    expect(daemon.standing).toMatchObject([{ failure: { code: 'store-fenced' }, chain: null }]);
    const { status, body } = await get(daemon, '/ready');
    expect(status).toBe(503);
    expect(JSON.parse(body).nodes[0].why).toEqual([
      expect.stringMatching(/^its store failed: .*\(store-fenced\)$/),
    ]);
    expect((await get(daemon, '/metrics')).body).toContain('countersign_signing{node="alice"} 0');
    expect(await get(daemon, '/live')).toMatchObject({ status: 200 });
    expect(bugs).toEqual([]);
  });
});

describe('a start that fails', () => {
  const failureOf = async (at: Place, content: string): Promise<string> => {
    const failed = await started(at, content).catch((error: unknown) => startFailureText(error));
    return typeof failed === 'string' ? failed : 'it started';
  };

  it('says why, and leaves nothing open', async () => {
    const at = await place('alice', 'bob');
    expect(await failureOf(at, '[node.eve]\nnetwork = "regtest"\npassphrase_file = "pass"\n')).toMatch(
      /cannot read .*eve\/seed: ENOENT.*\(seed-file\)$/s,
    );
    expect(await failureOf(at, '[node.alice]\nnetwork = "signet"\npassphrase_file = "pass"\n')).toMatch(
      /node alice is on signet, but .* was made for regtest \(node-start-failed\)$/,
    );
    expect(await failureOf(at, '[node.alice]\nnetwork = "regtest"\n')).toMatch(/\(passphrase-missing\)$/);
    writeFileSync(join(at.directory, 'wrong'), 'another passphrase');
    expect(await failureOf(at, '[node.alice]\nnetwork = "regtest"\npassphrase_file = "wrong"\n')).toMatch(
      /\(seed-wrong-passphrase\)$/,
    );
    // The second fails: the first is closed again, and starts.
    expect(await failureOf(at, toml('alice', 'eve'))).toMatch(/eve/);
    const { daemon } = await started(at, toml('alice', 'bob'));
    expect(daemon.standing).toHaveLength(2);
    expect(await failureOf(at, toml('alice'))).toMatch(/\(store-locked\)$/);
  });

  it('with the same keys for two nodes is none', async () => {
    const at = await place('alice');
    await seed(at.directory, 'twin', 1);
    expect(await failureOf(at, toml('alice', 'twin'))).toMatch(/nodes alice and twin have the same keys/);
  });

  it('with an address that is taken says so', async () => {
    const at = await place('alice');
    const first = await started(at, `[health]\nlisten = "127.0.0.1:${await freePort()}"\n${toml('alice')}`);
    const other = await place('bob');
    const listen = `[health]\nlisten = "127.0.0.1:${first.daemon.healthPort}"\n`;
    expect(await failureOf(other, listen + toml('bob'))).toMatch(/EADDRINUSE.*\(health-listen-failed\)$/);
    await started(other, toml('bob'));
  });

  it('with a broken address of its node says which file', async () => {
    const at = await place('alice');
    const machine = await nodeMachine();
    await machine.pairWith(join(at.directory, 'alice'));
    writeFileSync(join(at.directory, 'alice', 'link', 'address.json'), '{}');
    expect(await failureOf(at, toml('alice'))).toMatch(/cannot use .*address\.json.*\(node-start-failed\)$/);
  });
});

describe('health on a socket', () => {
  it('lives on when the system has no descriptors left for whoever asks', async () => {
    const at = await place('alice');
    const listens = vi.spyOn(Server.prototype, 'listen');
    await started(at, `[health]\nlisten = "unix:health.sock"\n${toml('alice')}`);
    const path = join(at.directory, 'health.sock');
    const index = listens.mock.calls.findIndex(([where]) => where === path);
    const server = listens.mock.contexts[index];
    listens.mockRestore();
    if (!(server instanceof Server)) throw new TypeError('nothing listens');
    // As Node.js tells an accept that failed, each time.
    for (let i = 0; i < 2; i++) expect(() => server.emit('error', new Error('accept EMFILE'))).not.toThrow();
  });

  it('replaces what a killed process left, for this user only', async () => {
    const at = await place('alice');
    const path = join(at.directory, 'health.sock');
    const content = `[health]\nlisten = "unix:health.sock"\n${toml('alice')}`;
    const { daemon } = await started(at, content);
    const body = await new Promise<string>((resolve, reject) => {
      request({ socketPath: path, path: '/live' }, (response) => {
        text(response).then(resolve, reject);
      }).end();
    });
    expect(body).toBe('live\n');
    await daemon.stop();
    expect(existsSync(path)).toBe(false);
    rmSync(path, { force: true });
    mkdirSync(path);
    await expect(started(at, content)).rejects.toMatchObject({ code: 'health-listen-failed' });
  });
});
