/**
 * `countersign heartbeat`: shown by a real signer process, verified by who knows the node id only, and watched over a socket, a file
 * and a URL, in this process and in one of its own.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, createServer as createSocketServer } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Alarm, Deadline } from '@countersign/core';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import {
  endAll,
  networkDirectory,
  removeDirectories,
  SECRET,
  serving,
} from '../../cln/test/hsmd-under-test.ts';
import { CHANNEL, NODE, ringOf, signed, well } from './heartbeat-support.ts';
import { run } from './run-in-process.ts';

const servers: { close(): unknown }[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) server.close();
  await endAll();
});
afterAll(removeDirectories);

/** What a terminal must not get. */
const UNFIT = /\p{Cf}|(?!\n)\p{Cc}/u;

const nowSeconds = (): number => Math.floor(Date.now() / 1000);

/** A running signer, its node id, and the options to reach it. */
async function signer(config = '') {
  const text = `[policy]\npreset = "hub"\n${config}`;
  const directory = networkDirectory({ hsm_secret: SECRET, 'countersign.toml': text });
  const hsmd = await serving({ directory });
  const state = join(directory, 'countersign');
  const at = ['--state-directory', state] as const;
  const { nodeId } = JSON.parse((await run('status', '--json', ...at)).text);
  return { hsmd, state, at, nodeId: String(nodeId) };
}

/** The file as it is once there is one. */
async function contentOf(path: string): Promise<string> {
  for (const endMs = performance.now() + 30_000; performance.now() < endMs; ) {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      await sleep(10);
    }
  }
  throw new Error(`no ${path}`);
}

function file(content: string): string {
  const path = join(networkDirectory({}), 'heartbeat.json');
  writeFileSync(path, content);
  return path;
}

const alarm: Alarm = {
  code: 'breach',
  severity: 'critical',
  channel: CHANNEL,
  sinceHeightBlocks: 90,
  message: 'a revoked\u001b[31m commitment\u202e',
  facts: { number: 5 },
};
const deadline: Deadline = {
  channel: CHANNEL,
  heightBlocks: 110,
  blocksLeft: 10,
  level: 'urgent',
  what: 'penalty',
  amountMsat: 7n,
};

describe('countersign heartbeat', () => {
  it('shows one of the running signer, and its signed text verifies', async () => {
    const { at, nodeId, state } = await signer();
    const { status, text } = await run('heartbeat', ...at);
    expect(status).toBe(0);
    expect(text).toMatch(new RegExp(`node +${nodeId}\n`));
    expect(text).toMatch(/network +regtest\n/);
    expect(text).toMatch(/time +20.* UTC \(\d s ago\)\n/);
    expect(text).toMatch(/chain +not followed\n/);
    expect(text).toMatch(/channels +0 set up\n/);
    expect(text).toMatch(/approvals +0 waiting\n/);
    expect(text).toMatch(/refusals +none since the start\n/);
    expect(text).toMatch(/policy +hub: .*not refusing: policy-commitment-payment-settled-preimage\n/);
    expect(text).toMatch(/alarms +none\n/);
    const json = await run('heartbeat', '--json', ...at);
    expect(json.text).toMatch(/^\{"heartbeat":\{.*\},"signature":"[0-9a-f]{128}"\}\n$/);
    const path = file(json.text);
    expect(await run('heartbeat', 'verify', path, '--node-id', nodeId, '--max-age', '60')).toMatchObject({
      status: 0,
      text: expect.stringMatching(/^Valid\.\nnode /),
    });
    expect(await run('heartbeat', 'verify', path, '--node-id', NODE)).toMatchObject({
      status: 1,
      text: `Not valid: the heartbeat of another node, ${nodeId}\n`,
    });
    // The socket stands beside the file with the newest one.
    const kept = await contentOf(join(state, 'heartbeat.json'));
    expect(kept).toMatch(/^\{"heartbeat":\{/);
    expect(
      await run('heartbeat', 'verify', join(state, 'heartbeat.json'), '--node-id', nodeId),
    ).toMatchObject({
      status: 0,
    });
  });

  it('tells of refusals, and of the promise', async () => {
    const { at, hsmd } = await signer('[policy.rules]\n"policy-commitment-fee-range" = "warn"\n');
    const client = await hsmd.openClient(1n, 1n);
    await client.ask({ name: 'hsmd_get_per_commitment_point', n: 0n });
    const { text } = await run('heartbeat', ...at);
    expect(text).toMatch(/refusals +1 since the start: policy-client-permission 1\n/);
    expect(text).toMatch(/policy +hub: THE PROMISE IS VOID; not refusing: policy-commitment-fee-range/);
    expect(text).toMatch(/alarm promise-void: the promise is void: policy-commitment-fee-range is at warn\n/);
  });

  it('is written where and as often as the configuration says', async () => {
    const { state, nodeId, hsmd } = await signer('[heartbeat]\nevery_seconds = 1\nfile = "../alive"\n');
    const path = join(state, '../alive');
    const first = await contentOf(path);
    await expect.poll(() => readFileSync(path, 'utf8')).not.toBe(first);
    const watch = ['heartbeat', 'watch', '--node-id', nodeId, '--file', path, '--once', '--max-age', '60'];
    expect(await run(...watch)).toMatchObject({ status: 0, text: expect.stringContaining('WELL') });
    await hsmd.kill('SIGTERM');
    expect(await run('heartbeat', 'verify', path, '--node-id', nodeId)).toMatchObject({ status: 0 });
  });

  it('does not believe an answer that does not verify', async () => {
    const path = join(networkDirectory({}), 'admin.sock');
    const heartbeat = JSON.stringify(signed().replace('"commits":1234', '"commits":1235'));
    const server = createSocketServer((socket) => {
      socket.once('data', () => socket.end(`{"v":1,"id":1,"ok":true,"result":{"heartbeat":${heartbeat}}}\n`));
    }).listen(path);
    servers.push(server);
    expect(await run('heartbeat', '--socket', path)).toMatchObject({
      status: 1,
      text: expect.stringContaining('the heartbeat does not verify'),
    });
  });

  it('shows everything there can be, with nothing in it that a terminal must not get', async () => {
    const path = file(
      signed({
        alarms: [alarm, { ...alarm, severity: 'warn', channel: null, sinceHeightBlocks: null, facts: {} }],
        deadlines: [deadline],
        chain: { ...well.chain!, provenHeightBlocks: 98 },
        nowSeconds: nowSeconds() + 1000,
        counters: {
          channelsLive: null,
          channels: { opening: 1, open: 2, closing: 3, closed: 4 },
          pendingApprovals: null,
          commits: 5,
          refusalsByTag: new Map([
            ['policy-a', 1],
            ['policy-b', 2000],
          ]),
        },
        policy: {
          preset: 'hub',
          promise: 'limited',
          weakened: Array.from({ length: 50 }, (_, i) => `policy-${i}`),
        },
      }),
    );
    const { text } = await run('heartbeat', 'verify', path, '--node-id', NODE);
    expect(text).not.toMatch(UNFIT);
    expect(text).toMatch(/\((?:1000|999) s in the future\)/);
    expect(text).toMatch(/chain +height 100, proven up to 98 \(2 behind\), median time 20/);
    expect(text).toMatch(/channels +2 open, 1 opening, 3 closing, 4 closed\n/);
    expect(text).toMatch(/approvals +unknown\n/);
    expect(text).toMatch(/refusals +2,001 since the start: policy-b 2000, policy-a 1\n/);
    expect(text).toMatch(/ and 2 more\n/);
    expect(text).toMatch(/ALARM breach, channel .*, since height 90: a revoked.*\n {2}number=5\n/);
    expect(text).toMatch(/\nalarm breach: a revoked/);
    expect(text).toContain(
      `deadline urgent: penalty, 10 blocks left to height 110, 7 msat, channel ${CHANNEL}\n`,
    );
    const many = file(
      signed({
        deadlines: Array.from({ length: 99 }, () => deadline),
        chain: null,
        counters: { ...well.counters, channelsLive: null },
      }),
    );
    const cut = (await run('heartbeat', 'verify', many, '--node-id', NODE)).text;
    expect(cut).toMatch(/deadlines +99, of which \d\d are told\n/);
    expect(cut).toMatch(/channels +unknown\n/);
  });
});

describe('countersign heartbeat verify', () => {
  const verify = (path: string, ...more: string[]) =>
    run('heartbeat', 'verify', path, '--node-id', NODE, ...more);

  it('reads standard input', async () => {
    const stdin = vi.spyOn(process, 'stdin', 'get');
    stdin.mockReturnValue(Readable.from([signed()]) as typeof process.stdin);
    expect(await verify('-')).toMatchObject({ status: 0 });
    stdin.mockReturnValue(Readable.from(['x'.repeat(9000), 'x'.repeat(9000)]) as typeof process.stdin);
    expect(await verify('-')).toMatchObject({
      status: 1,
      text: 'Not valid: longer than a heartbeat may be\n',
    });
  });

  it('says why not', async () => {
    const cases: [string, RegExp][] = [
      [file('nonsense'), /^Not valid: not the form of a heartbeat\n$/],
      [file('x'.repeat(100_000)), /^Not valid: longer than a heartbeat may be\n$/],
      [file(signed({}, ringOf(2))), /^Not valid: the heartbeat of another node, 0/],
      [file(signed().replace('"commits":1234', '"commits":1235')), /^Not valid: not signed by this node/],
      [join(networkDirectory({}), 'missing'), /^Not valid: cannot read it: ENOENT/],
      [networkDirectory({}), /^Not valid: cannot read it: .* is no file\n$/],
    ];
    for (const [path, text] of cases) {
      expect(await verify(path)).toMatchObject({ status: 1, text: expect.stringMatching(text) });
    }
  });

  it('does not wait for a pipe', async () => {
    const path = join(networkDirectory({}), 'pipe');
    execFileSync('mkfifo', [path]);
    expect(await verify(path)).toMatchObject({ status: 1, text: expect.stringContaining('is no file') });
  });

  it('judges the age if it is told to', async () => {
    const of = (ageSeconds: number) => file(signed({ nowSeconds: nowSeconds() - ageSeconds }));
    expect(await verify(of(1000))).toMatchObject({ status: 0 });
    expect(await verify(of(50), '--max-age', '60')).toMatchObject({ status: 0 });
    expect(await verify(of(70), '--max-age', '60')).toMatchObject({
      status: 1,
      text: expect.stringMatching(/^Not valid: it is 7\d s old, at most 60 s are allowed\n$/),
    });
    expect(await verify(of(-70), '--max-age', '60')).toMatchObject({
      status: 1,
      text: expect.stringMatching(/^Not valid: it is \d\d s from the future, /),
    });
  });

  it.each([
    [['--node-id', '02']],
    [['--node-id', `02${'ff'.repeat(32)}`]],
    [['--node-id', NODE, '--max-age', '-1']],
    [[]],
  ])('takes no %j', async (flags) => {
    expect(await run('heartbeat', 'verify', file(signed()), ...flags)).toMatchObject({ status: 2 });
  });
});

async function listening(server: Server): Promise<string> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('countersign heartbeat watch --once', () => {
  const watch = (...more: string[]) => run('heartbeat', 'watch', '--node-id', NODE, '--once', ...more);
  const fresh = (changed = {}) => signed({ nowSeconds: nowSeconds(), ...changed });

  it('is well or not, by the exit status', async () => {
    expect(await watch('--file', file(fresh()))).toMatchObject({
      status: 0,
      text: expect.stringMatching(/^20.* UTC {2}WELL\n$/),
    });
    const cases: [string, readonly string[], RegExp][] = [
      [signed({ nowSeconds: nowSeconds() - 125 }), [], / ALARM\n {2}stale: /],
      [fresh({ nowSeconds: nowSeconds() + 70 }), [], / {2}future: /],
      [fresh({ nowSeconds: nowSeconds() - 5 }), ['--max-age', '3'], / {2}stale: /],
      [fresh({ alarms: [alarm] }), [], / {2}alarm: breach of channel /],
      [fresh({ chain: null }), ['--lag-max', '3'], / {2}no-chain: /],
      [fresh({ chain: { ...well.chain, provenHeightBlocks: 93 } }), [], / {2}lag: /],
      [signed({}, ringOf(2)), [], / {2}other-node: /],
      ['nonsense', [], / {2}malformed: /],
    ];
    for (const [text, flags, expected] of cases) {
      const ran = await watch('--file', file(text), ...flags);
      expect(ran).toMatchObject({ status: 1, text: expect.stringMatching(expected) });
      expect(ran.text).not.toMatch(UNFIT);
    }
    expect(
      await watch('--file', file(fresh({ nowSeconds: nowSeconds() + 70 })), '--future-max', '90'),
    ).toMatchObject({ status: 0 });
    expect(await watch('--file', '/nonexistent/heartbeat.json')).toMatchObject({
      status: 1,
      text: expect.stringContaining('unreachable: ENOENT'),
    });
  });

  it('knows an older one over its restarts, if it may remember', async () => {
    const remember = join(networkDirectory({}), 'newest');
    const of = (start: number, count: number, ...more: string[]) =>
      watch('--file', file(fresh({ sequence: { start, count } })), ...more);
    expect(await of(7, 2, '--remember', remember)).toMatchObject({ status: 0 });
    expect(await of(7, 1, '--remember', remember)).toMatchObject({
      status: 1,
      text: expect.stringContaining(
        'sequence-back: an earlier heartbeat than one seen before (7/1 after 7/2)',
      ),
    });
    expect(await of(7, 3, '--remember', remember)).toMatchObject({ status: 0 });
    expect(await of(7, 2, '--remember', remember)).toMatchObject({ status: 1 });
    expect(await of(7, 1)).toMatchObject({ status: 0 });
    // One that cannot be read now was recent.
    expect(await watch('--file', '/nonexistent/x', '--remember', remember)).toMatchObject({ status: 0 });
    writeFileSync(remember, signed({}, ringOf(2)));
    expect(await of(8, 1, '--remember', remember)).toMatchObject({
      status: 2,
      text: expect.stringContaining('is no heartbeat of this node'),
    });
    expect(await of(8, 1, '--remember', '/nonexistent/newest')).toMatchObject({
      status: 2,
      text: expect.stringContaining('cannot use /nonexistent/newest: ENOENT'),
    });
  });

  it('asks the running signer', async () => {
    const { at, nodeId } = await signer();
    const ran = await run('heartbeat', 'watch', '--node-id', nodeId, '--once', '--json', ...at);
    expect(ran.status).toBe(0);
    expect(JSON.parse(ran.text)).toMatchObject({ event: 'well', nodeId, problems: [] });
    const none = await watch('--socket', '/nonexistent/admin.sock');
    expect(none).toMatchObject({ status: 1, text: expect.stringContaining('there is no such socket') });
  });

  it('reads a URL, and posts what is wrong', async () => {
    let text = fresh();
    const posted: unknown[] = [];
    let isDown = true;
    const base = await listening(
      createServer(async (request, response) => {
        if (request.method === 'GET') {
          response.end(text);
          return;
        }
        let body = '';
        for await (const part of request) body += String(part);
        response.writeHead(isDown ? 503 : 204).end();
        if (!isDown) posted.push(JSON.parse(body));
        isDown = false;
      }),
    );
    const flags = ['--url', `${base}/heartbeat.json`, '--webhook', `${base}/hook`];
    expect(await watch(...flags)).toMatchObject({ status: 0 });
    expect(posted).toEqual([]);
    text = fresh({ alarms: [alarm] });
    const ran = await watch(...flags);
    expect(ran).toMatchObject({ status: 1, text: expect.stringContaining('answered 503') });
    expect(posted).toMatchObject([
      {
        event: 'alarm',
        nodeId: NODE,
        problems: [{ code: 'alarm' }],
        text: expect.stringContaining('ALARM: breach'),
      },
    ]);
  });

  it.each([
    [['--url', 'ftp://x/'], 'http:// or https://'],
    [['--url', 'nonsense'], 'http:// or https://'],
    [['--url', 'http://user:password@x/'], 'not supported'],
    [['--webhook', 'file:///etc/passwd'], 'http:// or https://'],
    [['--file', 'a', '--url', 'http://x/'], 'one place only'],
    [['--file', 'a', '--socket', 'b'], 'one place only'],
    [['--state-directory', 'a', '--url', 'http://x/'], 'one place only'],
    [['--every', '0'], 'above 0'],
    [['--lag-max', 'x'], 'above 0'],
  ])('takes no %j', async (flags, text) => {
    expect(await watch(...flags)).toMatchObject({ status: 2, text: expect.stringContaining(text) });
  });
});

const MAIN = fileURLToPath(new URL('../src/bin/countersign.ts', import.meta.url));

describe('countersign heartbeat watch', () => {
  it('raises an alarm, tells that it is over, and ends at a signal', async () => {
    const directory = networkDirectory({});
    const path = join(directory, 'heartbeat.json');
    const put = (text: string): void => {
      writeFileSync(`${path}.new`, text);
      renameSync(`${path}.new`, path);
    };
    const posted: { readonly event: string; readonly problems: readonly { readonly code: string }[] }[] = [];
    const base = await listening(
      createServer(async (request, response) => {
        let body = '';
        for await (const part of request) body += String(part);
        posted.push(JSON.parse(body));
        response.end();
      }),
    );
    mkdirSync(join(directory, 'elsewhere'));
    put(signed({ nowSeconds: nowSeconds() }));
    const child = spawn(
      process.execPath,
      [
        ...['--conditions=source', '--disable-warning=ExperimentalWarning', MAIN],
        ...['heartbeat', 'watch', '--node-id', NODE, '--file', path, '--every', '1', '--webhook', `${base}/`],
      ],
      {
        cwd: join(directory, 'elsewhere'),
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { PATH: process.env.PATH },
      },
    );
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    try {
      await expect.poll(() => output).toContain('WELL');
      put(signed({ nowSeconds: nowSeconds(), sequence: { start: 4, count: 9 } }));
      await expect.poll(() => posted.length).toBe(1);
      put(signed({ nowSeconds: nowSeconds(), sequence: { start: 5, count: 2 } }));
      await expect.poll(() => posted.length).toBe(2);
    } finally {
      child.kill('SIGTERM');
    }
    expect(await ended).toBe(0);
    expect(posted.map(({ event, problems }) => [event, problems.map(({ code }) => code)])).toEqual([
      ['alarm', ['sequence-back']],
      ['recovered', []],
    ]);
    expect(output).toMatch(/WELL\n20.* ALARM\n {2}sequence-back: .*\n20.* RECOVERED\n$/);
  });
});
