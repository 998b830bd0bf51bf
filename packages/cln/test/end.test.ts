import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sat } from '@countersign/bitcoin';
import { encodeFrame } from '@countersign/transport';
import { encodeMessage, type Request } from '@countersign/wire';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { initRequest } from '../../core/test/init-request.ts';
import {
  ECDH,
  EXIT_WAIT_MS,
  endAll,
  isServing,
  type Link,
  networkDirectory,
  POINT,
  removeDirectories,
  serving,
  start,
} from './hsmd-under-test.ts';

afterEach(endAll);
afterAll(removeDirectories);

/** Changes the state of the client's channel each time. */
function setupRequest(channel: number): Request {
  return {
    name: 'hsmd_setup_channel',
    isOutbound: true,
    channelValue: sat(1_000_000n),
    pushValue: 0n,
    fundingTxid: new Uint8Array(32).fill(channel),
    fundingTxout: 0,
    localToSelfDelay: 144,
    localShutdownScript: new Uint8Array(0),
    localShutdownWalletIndex: undefined,
    remoteBasepoints: { revocation: POINT, payment: POINT, htlc: POINT, delayedPayment: POINT },
    remoteFundingPubkey: POINT,
    remoteToSelfDelay: 144,
    remoteShutdownScript: new Uint8Array(0),
    channelType: Uint8Array.of(0x40, 0x10, 0x00),
  };
}

/** SQLite takes its log away when the last connection closes in order. */
function isClosedInOrder(directory: string): boolean {
  const database = join(directory, 'countersign', 'journal.sqlite');
  return existsSync(database) && !existsSync(`${database}-wal`);
}

describe('when lightningd hangs up', () => {
  it('the process ends with 2, at once, its store closed', async () => {
    const directory = networkDirectory();
    const hsmd = await serving({ directory });
    const client = await hsmd.openClient(1n);
    expect(await client.ask(setupRequest(1))).toMatchObject({ name: 'hsmd_setup_channel_reply' });
    expect(isClosedInOrder(directory)).toBe(false);
    const { code, afterMs } = await hsmd.hangUp();
    expect(code).toBe(2);
    expect(afterMs).toBeLessThan(EXIT_WAIT_MS);
    expect(await client.receive()).toBe('closed');
    expect(isClosedInOrder(directory)).toBe(true);
    expect(hsmd.logged('debug').at(-1)).toBe('countersign stats {"commits":4,"batches":4,"records":5}');
    expect(hsmd.statusNamed('status_fail')).toEqual([]);
    expect(hsmd.output()).toBe('');
  });

  it('with requests in flight, nothing that was answered is lost', async () => {
    const directory = networkDirectory();
    const hsmd = await serving({ directory });
    const clients = await openMany(hsmd, 8);
    await Promise.all(clients.map((client, i) => sendMany(client, i + 1)));
    const ended = hsmd.hangUp();
    const answered = await Promise.all(clients.map(countReplies));
    const { code, afterMs } = await ended;
    expect(code).toBe(2);
    expect(afterMs).toBeLessThan(EXIT_WAIT_MS);
    expect(isClosedInOrder(directory)).toBe(true);

    const again = await serving({ directory });
    const others = await openMany(again, 8);
    for (const [i, count] of answered.entries()) {
      if (count === 0) continue;
      // Known with its value: another one is refused, so the channel's record was durable.
      const changed = { ...setupRequest(i + 1), channelValue: sat(5n) } as Request;
      expect(await others[i]!.ask(changed)).toMatchObject({ name: 'vls_signer_error', code: 1 });
    }
  });

  it('with clients that are stuck, all the same', async () => {
    const hsmd = await serving();
    const [half, deaf] = [await hsmd.openClient(1n), await hsmd.openClient(2n)];
    await half.sendRaw(encodeFrame(encodeMessage(ECDH)).subarray(0, 9));
    void deaf.sendRaw(Buffer.concat(Array(6_000).fill(encodeFrame(encodeMessage(ECDH))))).catch(() => {});
    expect(await isServing(hsmd)).toBe(true);
    const { code, afterMs } = await hsmd.hangUp();
    expect(code).toBe(2);
    expect(afterMs).toBeLessThan(EXIT_WAIT_MS);
    deaf.close();
  });

  it('and reads no status messages, all the same', async () => {
    const directory = networkDirectory();
    const hsmd = await serving({ directory, ignoresStatus: true });
    const client = await hsmd.openClient(1n);
    // Each refusal is a line of the log: far more than the socket takes.
    const refused: Request = { name: 'hsmd_revoke_commitment_tx', commitNum: 5n };
    await client.sendRaw(Buffer.concat(Array(2_000).fill(encodeFrame(encodeMessage(refused)))));
    for (let i = 0; i < 2_000; i++) expect(await client.receive()).not.toBe('closed');
    const { code, afterMs } = await hsmd.hangUp();
    expect(code).toBe(2);
    expect(afterMs).toBeLessThan(EXIT_WAIT_MS);
    expect(isClosedInOrder(directory)).toBe(true);
  });

  it('before INIT, or in the middle of it', async () => {
    const early = start();
    expect(await early.hangUp()).toMatchObject({ code: 2 });
    const directory = networkDirectory({});
    const middle = start({ directory });
    await middle.master.send(initRequest('regtest'));
    expect(await middle.hangUp()).toMatchObject({ code: 2 });
    const cut = start();
    await cut.master.sendRaw(encodeFrame(encodeMessage(initRequest('regtest'))).subarray(0, 30));
    expect(await cut.hangUp()).toMatchObject({ code: 2 });
  });

  it('on the status socket only, goes on', async () => {
    const hsmd = await serving();
    hsmd.closeStatus();
    const client = await hsmd.openClient(1n, 0n);
    expect(await client.ask(ECDH)).toMatchObject({ name: 'vls_signer_error' });
    expect(await isServing(hsmd)).toBe(true);
    expect(await hsmd.hangUp()).toMatchObject({ code: 2 });
  });
});

type Hsmd = Awaited<ReturnType<typeof serving>>;

async function openMany(hsmd: Hsmd, count: number): Promise<Link[]> {
  const clients: Link[] = [];
  for (let dbid = 1; dbid <= count; dbid++) clients.push(await hsmd.openClient(BigInt(dbid)));
  return clients;
}

const sendMany = (client: Link, channel: number): Promise<boolean> =>
  client.sendRaw(Buffer.concat(Array(50).fill(encodeFrame(encodeMessage(setupRequest(channel))))));

async function countReplies(client: Link): Promise<number> {
  let count = 0;
  while ((await client.receive()) !== 'closed') count += 1;
  return count;
}

describe('when the disk is full', () => {
  it('everything is refused from then on, the process lives, and a later start goes on', async () => {
    const directory = networkDirectory();
    // No file may grow beyond 512 KiB (POSIX counts in 512 bytes): enough for INIT and some channels.
    const hsmd = await serving({ directory, prefix: ['sh', '-c', 'ulimit -f 1024; exec "$@"', 'sh'] });
    const clients = await openMany(hsmd, 100);
    let durable = 0;
    for (const [i, client] of clients.entries()) {
      const reply = await client.ask(setupRequest(i + 1));
      if (reply === 'closed' || reply.name !== 'hsmd_setup_channel_reply') break;
      durable += 1;
    }
    expect(durable).toBeGreaterThan(3);
    expect(durable).toBeLessThan(clients.length);
    const stopped = { name: 'vls_signer_error', code: 5, message: expect.stringMatching(/stopped signing/) };
    for (const client of clients) expect(await client.ask(ECDH)).toMatchObject(stopped);
    expect(await hsmd.master.ask(ECDH)).toMatchObject(stopped);
    await expect
      .poll(() => hsmd.logged('broken')[0])
      .toMatch(
        /^refused hsmd_setup_channel: store-(io|disk-full): the signer stopped signing because its store failed: /,
      );
    expect(hsmd.statusNamed('hsmstatus_client_bad_request')).toEqual([]);
    expect(await hsmd.hangUp()).toMatchObject({ code: 2 });

    const again = await serving({ directory });
    const others = await openMany(again, durable + 1);
    for (const [i, client] of others.entries()) {
      const changed = { ...setupRequest(i + 1), channelValue: sat(5n) } as Request;
      const known = i < durable ? 'vls_signer_error' : 'hsmd_setup_channel_reply';
      expect({ i, name: nameOf(await client.ask(changed)) }).toEqual({ i, name: known });
    }
  });
});

const nameOf = (reply: Awaited<ReturnType<Link['ask']>>) => (reply === 'closed' ? reply : reply.name);

describe('a signal to end', () => {
  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)('%s closes the store, tells lightningd and exits with %i', async (signal, status) => {
    const directory = networkDirectory();
    const hsmd = await serving({ directory });
    const clients = await openMany(hsmd, 2);
    expect(await clients[0]!.ask(setupRequest(1))).toMatchObject({ name: 'hsmd_setup_channel_reply' });
    await sendMany(clients[1]!, 2);
    const { code, signal: by, afterMs } = await hsmd.kill(signal);
    expect({ code, by }).toEqual({ code: status, by: null });
    expect(afterMs).toBeLessThan(EXIT_WAIT_MS);
    expect(isClosedInOrder(directory)).toBe(true);
    expect(hsmd.logged('unusual').at(-1)).toBe(`ended by ${signal}`);
    expect(hsmd.statusNamed('status_fail')).toEqual([]);
    expect(await hsmd.master.receive()).toBe('closed');
    expect(await isServing(await serving({ directory }))).toBe(true);
  });

  it('before INIT does the same', async () => {
    const hsmd = start();
    // Until it listens: the reply to nothing can't be waited for.
    await hsmd.master.send(initRequest('regtest'));
    await hsmd.master.reply();
    expect(await hsmd.kill('SIGTERM')).toMatchObject({ code: 143 });
  });

  it('that comes twice does no harm', async () => {
    const directory = networkDirectory();
    const hsmd = await serving({ directory });
    void hsmd.kill('SIGTERM');
    expect(await hsmd.kill('SIGTERM')).toMatchObject({ code: 143 });
    expect(isClosedInOrder(directory)).toBe(true);
  });
});

/** Loaded before the program: a bug that happens when the test wants it. */
const bug = (statement: string) => [
  '--import',
  `data:text/javascript,process.on('SIGUSR2',()=>{${encodeURIComponent(statement)}})`,
];

describe('a bug of ours', () => {
  it.each([
    ['an exception nobody catches', 'throw new TypeError("no such thing")', 'TypeError: no such thing'],
    ['a rejection nobody waits for', 'Promise.reject(new RangeError("too far"))', 'RangeError: too far'],
    ['something that is no error', 'Promise.reject("a text")', 'a text'],
  ])('(%s) ends the process with 242 and says so', async (_, statement, text) => {
    const directory = networkDirectory();
    const hsmd = await serving({ directory, nodeArgs: bug(statement) });
    const client = await hsmd.openClient(1n);
    await client.ask(setupRequest(1));
    expect(await hsmd.kill('SIGUSR2')).toMatchObject({ code: 242, signal: null });
    expect(hsmd.statusNamed('status_fail')).toEqual([
      { name: 'status_fail', failreason: 'internalError', desc: text },
    ]);
    expect(hsmd.output()).toBe('');
    expect(await isServing(await serving({ directory }))).toBe(true);
  });
});

describe('the command line', () => {
  const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
  const command = ['--conditions=source', '--disable-warning=ExperimentalWarning', main];
  const run = (args: readonly string[], stdio: ('ignore' | 'pipe' | number)[]) =>
    spawnSync(process.execPath, [...command, ...args], {
      stdio,
      encoding: 'utf8',
      cwd: networkDirectory({}),
    });

  it.each(['--help', '-h'])('%s explains', (flag) => {
    const { status, stdout, stderr } = run([flag], ['ignore', 'pipe', 'pipe']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain('lightningd --subdaemon=hsmd:');
    expect(stdout).toContain('countersign.toml');
    expect(stdout).toContain('hsm_secret');
    expect(stdout).toContain('SIGTERM');
  });

  it('without lightningd explains too, and fails', () => {
    const file = openSync(main, 'r');
    for (const stdio of [
      ['ignore', 'pipe', 'pipe'],
      ['pipe', 'pipe', 'pipe', file],
    ] as const) {
      const { status, stdout, stderr } = run([], [...stdio]);
      expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
      expect(stderr).toMatch(
        /^countersign-hsmd is started by lightningd and was not\.\n\ncountersign-hsmd: the/,
      );
    }
    closeSync(file);
  });

  it('takes the flags lightningd may give', async () => {
    const args = ['--log-io', '--log-trace', '--dev-debug-self', '--developer'];
    expect(await isServing(await serving({ args }))).toBe(true);
  });
});
