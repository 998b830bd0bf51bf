/**
 * The operator's commands against a real signer process: what they print, what they change, and what they say when there
 * is nothing to talk to.
 */
import { createHash, randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { msat, sat } from '@countersign/bitcoin';
import { encodeRecord, type PendingApproval, pendingRecords } from '@countersign/core';
import { openJournal } from '@countersign/store';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import {
  endAll,
  type HsmdUnderTest,
  networkDirectory,
  PEER,
  removeDirectories,
  SECRET,
  serving,
} from '../../cln/test/hsmd-under-test.ts';
import { run } from './run-in-process.ts';

const servers: Server[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) server.close();
  await endAll();
});
afterAll(removeDirectories);

const HASH = createHash('sha256').update('a payment').digest('hex');
const TXID = createHash('sha256').update('a withdrawal').digest('hex');
const ESCAPE = String.fromCharCode(27);

const waiting: readonly PendingApproval[] = [
  {
    id: HASH,
    kind: 'keysend',
    firstAskedAtSeconds: 1_800_000_000,
    lastAskedAtSeconds: 1_800_000_060,
    timesAsked: 2,
    amountMsat: msat(5_000n),
    payee: PEER,
    outputs: [],
    feeSat: null,
    description: `${ESCAPE}[31mpay me\u202e`,
    expiresAtSeconds: null,
  },
  {
    id: TXID,
    kind: 'onchain',
    firstAskedAtSeconds: 1_800_000_000,
    lastAskedAtSeconds: 1_800_000_000,
    timesAsked: 1,
    amountMsat: null,
    payee: null,
    outputs: [{ script: Buffer.from(`0014${'11'.repeat(20)}`, 'hex'), valueSat: sat(70_000n) }],
    feeSat: sat(200n),
    description: '',
    expiresAtSeconds: null,
  },
];

/** A running signer with requests that wait, and the options to reach it. */
async function signer(): Promise<{ hsmd: HsmdUnderTest; at: readonly string[] }> {
  const directory = networkDirectory({
    hsm_secret: SECRET,
    'countersign.toml': '[policy]\npreset = "hub"\n',
  });
  const state = join(directory, 'countersign');
  const monotonicMs = (): number => performance.now();
  const journal = openJournal(state, { mode: 'create', randomBytes, monotonicMs });
  const value = encodeRecord(pendingRecords, waiting);
  await journal.commit([{ key: 'pending/list', version: 1, value }], []);
  await journal.close();
  const hsmd = await serving({ directory });
  return { hsmd, at: ['--state-directory', state] };
}

describe('countersign approvals', () => {
  it('lists what waits, with nothing in it that a terminal must not get', async () => {
    const { at } = await signer();
    const { status, text } = await run('approvals', 'list', ...at);
    expect(status).toBe(0);
    expect(text).toContain('Waiting for approval: 2');
    expect(text).toContain('5000 msat');
    expect(text).toContain('2 times, last 2027-01-15 08:01:00 UTC');
    expect(text).toContain('70000 sat to bcrt1q');
    expect(text).toContain('pay me');
    expect(text).not.toContain(ESCAPE);
    expect(text).not.toContain('\u202e');
    const json = JSON.parse((await run('approvals', 'list', '--json', ...at)).text);
    expect(json.pending.map(({ id }: { id: string }) => id)).toEqual([HASH, TXID]);
  });

  it('approves by the beginning of an id, rejects, revokes, and each stands in the audit log', async () => {
    const { at } = await signer();
    const approved = await run('approvals', 'approve', HASH.slice(0, 10), '--expires-hours', '2', ...at);
    expect(approved).toMatchObject({ status: 0 });
    expect(approved.text).toContain(HASH);
    expect((await run('approvals', 'reject', TXID, ...at)).text).toBe(`Rejected: ${TXID}\n`);
    const list = (await run('approvals', 'list', ...at)).text;
    expect(list).toContain('Nothing waits for approval.');
    expect(list).toContain('Approvals in force: 1');
    expect(await run('approvals', 'revoke', HASH, ...at)).toMatchObject({ status: 0 });
    const audit = await run('audit', 'list', ...at);
    for (const operation of ['approve', 'reject', 'revoke'])
      expect(audit.text).toContain(`UTC  ${operation}\n`);
    expect((await run('audit', 'verify', ...at)).text).toMatch(
      /^Sound: \d+ entries, the newest [0-9a-f]{64}\n$/,
    );
  });

  it('says what it cannot do, and changes nothing', async () => {
    const { at } = await signer();
    const before = (await run('approvals', 'list', '--json', ...at)).text;
    const unknown = await run('approvals', 'approve', 'f'.repeat(64), ...at);
    expect(unknown.status).toBe(1);
    expect(unknown.text).toContain('countersign approvals list');
    expect((await run('approvals', 'approve', HASH.slice(0, 7), ...at)).status).toBe(2);
    expect((await run('approvals', 'approve', HASH, '--amount-msat', '9', ...at)).status).toBe(1);
    expect((await run('approvals', 'approve', HASH, '--amount-msat', '-9', ...at)).status).toBe(2);
    expect((await run('approvals', 'approve', HASH, '--expires-hours', 'x', ...at)).status).toBe(2);
    expect((await run('approvals', 'list', '--json', ...at)).text).toBe(before);
  });
});

describe('countersign allowlist', () => {
  it('adds, lists and removes', async () => {
    const { at } = await signer();
    const script = `0014${'22'.repeat(20)}`;
    const payee = '0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798';
    expect((await run('allowlist', 'list', ...at)).text).toBe('The allowlist is empty.\n');
    const added = await run('allowlist', 'add', script, payee, ...at);
    expect(added.text).toBe(`Added script ${script}\nAdded payee ${payee}\n`);
    expect((await run('allowlist', 'list', ...at)).text).toMatch(
      new RegExp(`payee +${payee} +since 20\\d\\d-`),
    );
    expect((await run('allowlist', 'remove', script, ...at)).text).toBe(`Removed script ${script}\n`);
    const json = JSON.parse((await run('allowlist', 'list', '--json', ...at)).text);
    expect(json).toMatchObject([{ kind: 'payee', text: payee }]);
    expect(await run('allowlist', 'add', payee, ...at)).toMatchObject({ status: 1 });
    expect(await run('allowlist', 'add', 'nonsense!', ...at)).toMatchObject({ status: 1 });
  });

  it('lists more entries than a line holds', async () => {
    const { at } = await signer();
    const scripts = Array.from({ length: 400 }, (_, i) => `5120${i.toString(16).padStart(64, '0')}`);
    expect((await run('allowlist', 'add', ...scripts, ...at)).status).toBe(0);
    const json: { text: string }[] = JSON.parse((await run('allowlist', 'list', '--json', ...at)).text);
    expect(json.map(({ text }) => text)).toEqual(scripts);
  });
});

describe('countersign audit, explain, status and policy', () => {
  it('explains a refusal by the number in lightningd’s log', async () => {
    const { hsmd, at } = await signer();
    const client = await hsmd.openClient(1n, 1n);
    await client.ask({ name: 'hsmd_get_per_commitment_point', n: 0n });
    await expect.poll(() => hsmd.logged('broken')).toHaveLength(1);
    const [line] = hsmd.logged('broken');
    const id = /\(refusal (\d+)\)$/.exec(line!)?.[1];
    expect(id).toBeDefined();
    const { status, text } = await run('explain', id!, ...at);
    expect(status).toBe(0);
    expect(text).toContain(`Refusal ${id}`);
    expect(text).toContain('policy-client-permission (form, hard)');
    expect(text).toContain('permission_needed = 8');
    expect(text).toContain('The client that asked does not hold the permission');
    const listed = await run('audit', 'list', '--refusals', ...at);
    expect(listed.text).toContain('refused hsmd_get_per_commitment_point: policy-client-permission');
    expect(await run('explain', '1', ...at)).toMatchObject({ status: 1 });
    expect(await run('explain', '99999', ...at)).toMatchObject({ status: 1 });
    expect(await run('explain', 'x', ...at)).toMatchObject({ status: 2 });
  });

  it('shows the last entries, or those from a number on', async () => {
    const { hsmd, at } = await signer();
    const client = await hsmd.openClient(1n, 8n);
    for (let i = 0; i < 30; i++)
      await client.ask({ name: 'hsmd_ecdh_req', point: PEER }).catch(() => 'closed');
    const numbers = async (...more: string[]): Promise<number[]> => {
      const { text } = await run('audit', 'list', '--json', ...more, ...at);
      return JSON.parse(text).map(({ seq }: { seq: number }) => seq);
    };
    expect(await numbers('--from', '1', '--count', '2')).toEqual([1, 2]);
    expect((await numbers()).at(0)).toBe(1);
    expect(await numbers('--from', '500')).toEqual([]);
  });

  it('tells how the signer is, and its policy', async () => {
    const { at } = await signer();
    const { status, text } = await run('status', ...at);
    expect(status).toBe(0);
    expect(text).toMatch(/signer +running/);
    expect(text).toMatch(/preset +hub/);
    expect(text).toMatch(/approvals +2 waiting/);
    expect(text).toMatch(/preimages +not delivered/);
    expect((await run('policy', 'show', ...at)).text).toContain('hub');
    JSON.parse((await run('policy', 'show', '--json', ...at)).text);
  });

  it('freezes no channel that the signer does not know', async () => {
    const { at } = await signer();
    const name = `${'02'.padEnd(66, '1')}/1`;
    expect(await run('channel', 'freeze', name, ...at)).toMatchObject({ status: 1 });
    const bad = await run('channel', 'unfreeze', '5', ...at);
    expect(bad.status).toBe(1);
    expect(bad.text).toContain('channel: expected a channel, <peer id hex>/<dbid>');
  });
});

describe('without a signer', () => {
  it('says what to do', async () => {
    const directory = networkDirectory({});
    const { status, text } = await run('status', '--state-directory', directory);
    expect(status).toBe(1);
    expect(text).toContain('there is no such socket');
    expect(text).toContain('Is the node running?');
    const here = await run('status', '--socket', join(directory, 'x'.repeat(120)));
    expect(here.status).toBe(2);
    expect(here.text).toContain('Change into its directory');
  });

  it('finds the socket by option, else by the environment, else in the working directory', async () => {
    vi.stubEnv('COUNTERSIGN_STATE_DIRECTORY', '/nonexistent/by-environment');
    expect((await run('status')).text).toContain('/nonexistent/by-environment/admin.sock');
    expect((await run('status', '--state-directory', 'by-option')).text).toContain('by-option/admin.sock');
    expect((await run('status', '--socket', './by-socket')).text).toContain('at ./by-socket:');
    vi.stubEnv('COUNTERSIGN_STATE_DIRECTORY', '');
    expect((await run('status')).text).toContain(' countersign/admin.sock');
    vi.unstubAllEnvs();
  });

  it.each([
    ['rubbish', 'no json\n'],
    ['another protocol', '{"v":2,"id":1,"ok":true,"result":{}}\n'],
    ['another request’s answer', '{"v":1,"id":7,"ok":true,"result":{}}\n'],
    ['a result of another form', '{"v":1,"id":1,"ok":true,"result":{"nodeId":5}}\n'],
    ['an end', ''],
    ['a line without end', 'x'.repeat(200_000)],
  ])('is not led astray by %s', async (_, answer) => {
    const path = join(networkDirectory({}), 'admin.sock');
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => socket.end(answer));
    }).listen(path);
    servers.push(server);
    const { status, text } = await run('status', '--socket', path);
    expect(status).toBe(1);
    expect(text).toMatch(/^countersign: /);
    expect(text).not.toContain('this is a bug');
  });

  it('has help for every command, from any directory', async () => {
    expect(tmpdir()).not.toBe('');
    for (const name of ['approvals', 'allowlist', 'policy', 'audit', 'explain', 'status', 'channel', 'chain'])
      expect(await run(name, '--help')).toMatchObject({ status: 0 });
  });
});
