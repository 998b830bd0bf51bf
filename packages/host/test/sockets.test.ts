/**
 * The sockets and the operator's desk in this process, on a real journal: every operation, every way to fail, and what a
 * bug behind them does.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { InvariantError, msat } from '@countersign/bitcoin';
import { type Journal, StoreError } from '@countersign/store';
import { FrameSocket } from '@countersign/transport';
import { decodeMessage, encodeMessage, type Request } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { AdminDesk, type OperatorSide } from '../src/admin/desk.ts';
import { pageOf, toJson } from '../src/admin/json.ts';
import { operatorSide } from '../src/admin/operator.ts';
import { ADMIN_LINE_BYTES_MAX } from '../src/admin/protocol.ts';
import { openSockets } from '../src/index.ts';
import { openAdminSocket } from '../src/sockets/admin-socket.ts';
import { openNodeSocket } from '../src/sockets/node-socket.ts';
import {
  channelClient,
  ecdhRequest,
  failing,
  inDirectory,
  keyOf,
  master,
  openStore,
  policyOf,
  setupRequest,
  signerOn,
} from './support.ts';

/** Longer than other texts may be, and with what JSON escapes. */
const HEARTBEAT = `{"heartbeat":"${'x"'.repeat(8000)}"}\n`;
const POLICY_TEXT = 'the policy\nin two lines\n';
const SCRIPT = `0014${'22'.repeat(20)}`;
const PEER_CHANNEL = `${'02'.padEnd(66, '1')}/1`;
const HASH = 'ab'.repeat(32);

function operated(journal: Journal) {
  const policy = policyOf('regtest', 'hub');
  const signer = signerOn(journal, { policy });
  const facts = { nodeId: keyOf('node'), startedAtSeconds: 5 };
  const heartbeat = async (): Promise<string> => HEARTBEAT;
  return { signer, journal, policy, ...facts, policyText: () => POLICY_TEXT, heartbeat };
}

interface Reply {
  readonly v: number;
  readonly id: number | null;
  readonly ok: boolean;
  readonly result?: Record<string, unknown>;
  readonly error?: { code: string; message: string; facts: Record<string, unknown> };
}

async function ask(desk: AdminDesk, asked: object): Promise<Reply> {
  return JSON.parse(await desk.answer(JSON.stringify({ v: 1, id: 7, ...asked })));
}

/** A desk on a journal of its own. */
const atDesk = (body: (desk: AdminDesk) => Promise<void>): Promise<void> =>
  inDirectory(async (directory) => {
    const journal = openStore(directory);
    await body(new AdminDesk(operatorSide(operated(journal))));
    await journal.close();
  });

/** A desk in front of something that behaves as the test says. */
const deskOf = (changed: Partial<OperatorSide>): AdminDesk =>
  new AdminDesk({
    journal: {
      auditHead: { seq: 0, hash: new Uint8Array(32) },
      audit: () => [],
      verifyAudit: async () => ({ seq: 0, hash: new Uint8Array(32) }),
    },
    administer: async () => ({ ok: true, result: { op: 'reject', id: HASH } }),
    recordEvent: () => {},
    settled: async () => {},
    status: () => ({}),
    policyText: () => POLICY_TEXT,
    heartbeat: async () => HEARTBEAT,
    chain: {
      status: () => ({}),
      tip: () => null,
      unlock: async () => ({ ok: true }),
      rescan: async () => ({ ok: true }),
      remedies: (channel) => ({ channel, remedies: [], unclaimed: [] }),
      forceClose: async (channel) => ({ ok: true, plan: { channel, remedies: [], unclaimed: [] } }),
      signed: () => new Uint8Array(0),
    },
    ...changed,
  });

describe('the operator’s desk', () => {
  it('tells how the signer is', () =>
    atDesk(async (desk) => {
      const { result } = await ask(desk, { op: 'status' });
      expect(result).toMatchObject({
        network: 'regtest',
        preset: 'hub',
        failure: null,
        pendingApprovals: 0,
        deliversPreimages: false,
        startedAtSeconds: 5,
        journal: { state: 'open' },
        audit: { seq: 0 },
      });
    }));

  it('counts what waits, and knows whether preimages come', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      const one = operated(journal);
      const desk = new AdminDesk(operatorSide(one));
      await one.signer.answer(master, { name: 'countersign_preimages', preimages: [] });
      const keysend: Request = {
        name: 'hsmd_preapprove_keysend_check',
        destination: keyOf('payee'),
        paymentHash: new Uint8Array(32).fill(0xab),
        amountMsat: msat(5000n),
        checkOnly: false,
      };
      await one.signer.answer(master, keysend);
      expect((await ask(desk, { op: 'status' })).result).toMatchObject({
        pendingApprovals: 1,
        deliversPreimages: true,
      });
      const { result } = await ask(desk, { op: 'pending-list' });
      expect(result).toMatchObject({ items: [{ id: HASH, amountMsat: '5000' }], total: 1, next: null });
      const approved = await ask(desk, { op: 'approve', target: HASH, expirySeconds: 60 });
      expect(approved).toMatchObject({
        v: 1,
        id: 7,
        ok: true,
        result: { op: 'approve', approval: { id: HASH } },
      });
      expect((await ask(desk, { op: 'approvals-list' })).result).toMatchObject({ items: [{ id: HASH }] });
      expect(await ask(desk, { op: 'revoke', target: HASH })).toMatchObject({ ok: true });
      await journal.close();
    }));

  it('changes the allowlist', () =>
    atDesk(async (desk) => {
      expect(await ask(desk, { op: 'allowlist-add', kind: 'script', text: SCRIPT })).toMatchObject({
        ok: true,
      });
      const { result } = await ask(desk, { op: 'allowlist-list', offset: 0 });
      expect(result).toMatchObject({ items: [{ kind: 'script', text: SCRIPT }], total: 1, next: null });
      expect(await ask(desk, { op: 'allowlist-remove', text: SCRIPT })).toMatchObject({ ok: true });
    }));

  it('passes on what core will not do', () =>
    atDesk(async (desk) => {
      const notFound = { ok: false, error: { code: 'not-found' } };
      for (const asked of [
        { op: 'approve', target: HASH, amountMsat: '5' },
        { op: 'reject', target: HASH },
        { op: 'channel-freeze', channel: PEER_CHANNEL },
        { op: 'channel-unfreeze', channel: PEER_CHANNEL },
      ]) {
        expect(await ask(desk, asked)).toMatchObject(notFound);
      }
    }));

  it('passes a heartbeat on to the letter, or says that the store failed', async () => {
    expect(await ask(deskOf({}), { op: 'heartbeat' })).toMatchObject({ result: { heartbeat: HEARTBEAT } });
    const failed = (): Promise<never> => Promise.reject(new StoreError('store-failed', 'earlier'));
    expect(await ask(deskOf({ heartbeat: failed }), { op: 'heartbeat' })).toMatchObject({
      ok: false,
      error: { code: 'store-failed' },
    });
    const broken = (): Promise<never> => Promise.reject(new InvariantError('broken'));
    await expect(ask(deskOf({ heartbeat: broken }), { op: 'heartbeat' })).rejects.toThrow('broken');
    await atDesk(async (desk) => {
      expect(await ask(desk, { op: 'heartbeat' })).toMatchObject({ result: { heartbeat: HEARTBEAT } });
    });
  });

  it('shows the policy line by line', () =>
    atDesk(async (desk) => {
      const { result } = await ask(desk, { op: 'policy-show', format: 'json', offset: 1 });
      expect(result).toEqual({ items: ['in two lines'], total: 2, next: null });
    }));

  it('reads and verifies the audit log', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      const one = operated(journal);
      const desk = new AdminDesk(operatorSide(one));
      await journal.commit([], [new TextEncoder().encode('no JSON'), new TextEncoder().encode('5')]);
      await signerOn(journal).answer(channelClient(1), setupRequest(1));
      const { result } = await ask(desk, { op: 'audit-list', from: 1, count: 10 });
      expect(result).toMatchObject({
        newest: 3,
        entries: [
          { seq: 1, text: 'no JSON' },
          { seq: 2, text: '5' },
          { seq: 3, body: { request: 'hsmd_setup_channel' } },
        ],
      });
      const verified = await ask(desk, { op: 'audit-verify' });
      expect(verified.result).toMatchObject({
        sound: true,
        seq: 3,
        hash: expect.stringMatching(/^[0-9a-f]{64}$/),
      });
      await journal.close();
      expect(await ask(desk, { op: 'audit-list', from: 1, count: 1 })).toMatchObject({
        ok: false,
        error: { code: 'store-failed' },
      });
      expect(await ask(desk, { op: 'audit-verify' })).toMatchObject({ error: { code: 'store-failed' } });
    }));

  it('tells where a log is not sound, and verifies once at a time', async () => {
    const { promise, reject } = Promise.withResolvers<never>();
    const verifyAudit = () => promise;
    const desk = deskOf({
      journal: { auditHead: { seq: 9, hash: new Uint8Array(32) }, audit: () => [], verifyAudit },
    });
    const first = ask(desk, { op: 'audit-verify' });
    expect(await ask(desk, { op: 'audit-verify' })).toMatchObject({ error: { code: 'busy' } });
    reject(new StoreError('store-corrupt', 'audit log, hash of the entry', { seq: 4 }));
    expect((await first).result).toEqual({ sound: false, seq: 4, problem: expect.any(String) });
  });

  it('says that the signer has stopped', () =>
    inDirectory(async (directory) => {
      const journal = failing(openStore(directory));
      const one = operated(journal);
      const desk = new AdminDesk(operatorSide(one));
      expect(await ask(desk, { op: 'allowlist-add', text: SCRIPT })).toMatchObject({
        error: { code: 'store-failed' },
      });
      const { result } = await ask(desk, { op: 'status' });
      expect(result).toMatchObject({ failure: { code: 'store-disk-full' } });
      expect(result).not.toHaveProperty('pendingApprovals');
      await journal.close();
    }));

  it('lets a bug of ours out', async () => {
    const administer = (): Promise<never> => Promise.reject(new InvariantError('broken'));
    await expect(ask(deskOf({ administer }), { op: 'reject', target: HASH })).rejects.toThrow('broken');
    const audit = (): never => {
      throw new InvariantError('broken too');
    };
    const journal = { auditHead: { seq: 1, hash: new Uint8Array(32) }, audit, verifyAudit: audit };
    await expect(ask(deskOf({ journal }), { op: 'audit-list', from: 1, count: 1 })).rejects.toThrow(
      'broken too',
    );
  });

  it('answers what is no request', () =>
    atDesk(async (desk) => {
      for (const line of ['', 'x', '[]', '7', '{"v":1}', '{"v":1,"id":1.5,"op":"status"}']) {
        expect(JSON.parse(await desk.answer(line))).toMatchObject({
          ok: false,
          id: null,
          error: { code: 'bad-request' },
        });
      }
      expect(await ask(desk, { op: 'channel-freeze', channel: 'x' })).toMatchObject({
        id: 7,
        error: { message: 'channel: expected a channel, <peer id hex>/<dbid>' },
      });
    }));

  it('gives no line longer than the protocol allows', async () => {
    const status = () =>
      Object.fromEntries(Array.from({ length: 400 }, (_, i) => [`key ${i}`, 'x'.repeat(900)]));
    expect(await ask(deskOf({ status }), { op: 'status' })).toMatchObject({
      id: 7,
      error: { message: 'the answer is larger than a line: ask for less' },
    });
  });
});

describe('values as JSON', () => {
  it('are cut, not lost', () => {
    expect(toJson({ a: 5n, b: null, c: true, d: undefined, e: 1.5 })).toEqual({
      a: '5',
      b: null,
      c: true,
      e: 1.5,
    });
    expect(toJson(new Map<unknown, unknown>([[1, new Uint8Array(2)]]))).toEqual({ 1: '0000' });
    expect(toJson(new Uint8Array(600))).toBe(`${'00'.repeat(512)}… (600 bytes)`);
    expect(toJson('x'.repeat(2000))).toBe(`${'x'.repeat(1024)}…`);
    expect((toJson(Array.from({ length: 30 }, (_, i) => i)) as unknown[]).slice(-1)).toEqual(['… 6 more']);
    expect(toJson(Symbol('odd'))).toBe('Symbol(odd)');
  });

  it('come in pages that hold at least one', () => {
    const items = Array.from({ length: 100 }, (_, i) => `${i}`.padEnd(1000, 'x'));
    const first = pageOf(items, 0);
    expect(first.items.length).toBeGreaterThan(20);
    expect(first.next).toBe(first.items.length);
    expect(pageOf(items, 99)).toMatchObject({ total: 100, next: null });
    expect(pageOf(items, 1000)).toEqual({ items: [], total: 100, next: null });
    const huge = (): string => 'y'.repeat(60_000);
    expect(pageOf([1, 2], 0, huge)).toMatchObject({ items: ['y'.repeat(60_000)], next: 1 });
  });
});

/** What a socket gives back until it closes. */
function readAll(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    socket.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(text));
  });
}

describe('admin.sock', () => {
  it('answers line by line, and ends with its client', () =>
    atDesk(async (desk) => {
      await inDirectory(async (directory) => {
        mkdirSync(directory);
        const bugs: unknown[] = [];
        const at = join(directory, 'admin.sock');
        const listener = await openAdminSocket({ path: at, desk, onBug: (bug) => void bugs.push(bug) });
        const client = connect(at);
        const all = readAll(client);
        client.end('{"v":1,"id":1,"op":"status"}\nrubbish\n{"v":1,"id":2,"op":"audit-verify"}\nhalf');
        const lines = (await all).trimEnd().split('\n');
        expect(lines.map((line) => JSON.parse(line).id)).toEqual([1, null, 2]);
        const long = connect(at);
        const answer = readAll(long);
        long.write('x'.repeat(ADMIN_LINE_BYTES_MAX + 5));
        expect(JSON.parse(await answer)).toMatchObject({ error: { code: 'bad-request' } });
        const ended = connect(at);
        const answerToEnded = readAll(ended);
        ended.write('x'.repeat(40_000));
        await sleep(50);
        ended.write(`${'x'.repeat(30_000)}\n{"v":1,"id":1,"op":"status"}\n`);
        expect(JSON.parse(await answerToEnded)).toMatchObject({ error: { code: 'bad-request' } });
        expect(bugs).toEqual([]);
        await listener.close();
      });
    }));

  it('ends the connection over a bug, and tells of it', () =>
    inDirectory(async (directory) => {
      mkdirSync(directory);
      const bugs: unknown[] = [];
      const path = join(directory, 'admin.sock');
      const desk = { answer: () => Promise.reject(new InvariantError('broken')) };
      const listener = await openAdminSocket({ path, desk, onBug: (bug) => void bugs.push(bug) });
      const client = connect(path);
      const all = readAll(client);
      client.write('{}\n');
      expect(await all).toBe('');
      expect(bugs).toEqual([new InvariantError('broken')]);
      await listener.close();
    }));

  it('gives up a client that does not read', () =>
    inDirectory(async (directory) => {
      mkdirSync(directory);
      const path = join(directory, 'admin.sock');
      const asked = Promise.withResolvers<void>();
      const desk = {
        answer: async () => {
          asked.resolve();
          return 'y'.repeat(60_000);
        },
      };
      const listener = await openAdminSocket({ path, desk, onBug: () => {}, idleMs: 50 });
      const client = connect(path);
      client.on('error', () => {});
      client.pause();
      client.write('{}\n'.repeat(500));
      await asked.promise;
      await expect.poll(() => listener.connections).toBe(0);
      client.destroy();
      await listener.close();
    }));
});

/** One frame there, one back; `closed` when none comes. */
async function exchange(path: string, body: Uint8Array): Promise<string> {
  const frames = new FrameSocket(connect(path));
  try {
    frames.send(body);
    for await (const reply of frames.frames()) {
      const decoded = decodeMessage(reply, 'reply');
      return decoded.ok ? decoded.message.name : 'malformed';
    }
    return 'closed';
  } catch {
    return 'closed';
  }
}

describe('node.sock', () => {
  const preimages = encodeMessage({ name: 'countersign_preimages', preimages: [new Uint8Array(32)] });

  it('takes preimages, and refuses the rest', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      const signer = signerOn(journal);
      const path = join(directory, 'node.sock');
      const listener = await openNodeSocket({ path, signer, chain: null, onBug: () => {} });
      expect(await exchange(path, preimages)).toBe('countersign_preimages_reply');
      const before = journal.auditHead.seq;
      for (const body of [encodeMessage(ecdhRequest), Uint8Array.of(0x0f, 0xff), Uint8Array.of(1)])
        expect(await exchange(path, body)).toBe('vls_signer_error');
      await journal.settled();
      // Each refusal is on the log.
      expect(journal.auditHead.seq).toBe(before + 3);
      await listener.close();
      await journal.close();
    }));

  it('says that the signer has stopped', () =>
    inDirectory(async (directory) => {
      const store = openStore(directory);
      const signer = signerOn(failing(store));
      const path = join(directory, 'node.sock');
      const listener = await openNodeSocket({ path, signer, chain: null, onBug: () => {} });
      expect(await exchange(path, preimages)).toBe('vls_signer_error');
      await listener.close();
      await store.close();
    }));

  it('tells of a bug', () =>
    inDirectory(async (directory) => {
      mkdirSync(directory);
      const bugs: unknown[] = [];
      const path = join(directory, 'node.sock');
      const signer = {
        answer: () => Promise.reject(new InvariantError('broken')),
        recordRefusal: () => null,
      };
      const listener = await openNodeSocket({
        path,
        signer,
        chain: null,
        onBug: (bug) => void bugs.push(bug),
      });
      const client = new FrameSocket(connect(path));
      client.start({ frame: () => {}, closed: () => {} });
      client.send(preimages);
      await expect.poll(() => bugs).toEqual([new InvariantError('broken')]);
      client.destroy();
      await listener.close();
    }));
});

describe('both sockets', () => {
  it('open in the state directory, or say why not', () =>
    inDirectory(async (directory) => {
      const journal = openStore(directory);
      writeFileSync(join(directory, 'node.sock'), 'precious');
      const problems: string[] = [];
      const onProblem = (text: string): void => void problems.push(text);
      const onBug = (): void => {};
      const operating = { ...operated(journal), stateDirectory: directory, onProblem, onBug };
      const options = { ...operating, hasNodeSide: true };
      const sockets = await openSockets(options);
      expect(problems).toEqual([expect.stringMatching(/remove it \(socket-path-taken\)$/)]);
      await sockets.close();
      const missing = await openSockets({ ...options, stateDirectory: join(directory, 'missing') });
      expect(problems.slice(1)).toEqual([
        expect.stringMatching(/cannot listen at .*node\.sock: .* \(socket-listen-failed\)$/),
        expect.stringMatching(/cannot listen at .*admin\.sock: .* \(socket-listen-failed\)$/),
      ]);
      await missing.close();
      problems.length = 0;
      const alone = await openSockets({ ...options, hasNodeSide: false });
      expect(problems).toEqual([]);
      await alone.close();
      await journal.close();
    }));
});
