/**
 * The two sockets of a running hsmd: what they take, what they do with bad input of any kind, and that lightningd's own
 * sockets notice nothing of it.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ADMIN_LINE_BYTES_MAX } from '@countersign/host';
import { encodeFrame, FrameDecoder } from '@countersign/transport';
import { decodeMessage, encodeMessage, PREIMAGES_MAX, type Request } from '@countersign/wire';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { initRequest } from '../../core/test/init-request.ts';
import {
  DERIVE,
  ECDH,
  endAll,
  type HsmdUnderTest,
  isServing,
  networkDirectory,
  PEER,
  removeDirectories,
  serving,
  start,
} from './hsmd-under-test.ts';

const open: Socket[] = [];
afterEach(async () => {
  for (const socket of open.splice(0)) socket.destroy();
  await endAll();
});
afterAll(removeDirectories);

interface Here {
  readonly hsmd: HsmdUnderTest;
  readonly directory: string;
  readonly node: string;
  readonly admin: string;
}

async function here(): Promise<Here> {
  const directory = networkDirectory();
  const hsmd = await serving({ directory });
  const state = join(directory, 'countersign');
  return { hsmd, directory, node: join(state, 'node.sock'), admin: join(state, 'admin.sock') };
}

/** A connection, what came back on it, and whether it is closed. */
class Caller {
  readonly socket: Socket;
  #bytes = Buffer.alloc(0);
  closed = false;

  constructor(path: string) {
    this.socket = connect(path);
    open.push(this.socket);
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.closed = true;
    });
    this.socket.on('data', (chunk) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
    });
  }

  async until<T>(what: string, find: (bytes: Buffer) => T | undefined): Promise<T> {
    for (const end = performance.now() + 30_000; performance.now() < end; await sleep(2)) {
      const found = find(this.#bytes);
      if (found !== undefined) return found;
    }
    throw new Error(`no ${what}`);
  }

  /** The names of `count` replies on node.sock. */
  replies(count: number): Promise<string[]> {
    return this.until(`${count} replies`, (bytes) => {
      const decoder = new FrameDecoder();
      decoder.push(Uint8Array.from(bytes));
      const names: string[] = [];
      for (let body = decoder.next(); body !== undefined; body = decoder.next()) {
        const decoded = decodeMessage(body, 'reply');
        names.push(decoded.ok ? decoded.message.name : 'malformed');
      }
      return names.length >= count ? names : undefined;
    });
  }

  /** The answers on admin.sock. */
  lines(
    count: number,
  ): Promise<{ ok: boolean; id: number | null; error?: { code: string; message: string } }[]> {
    return this.until(`${count} lines`, (bytes) => {
      const lines = bytes.toString().split('\n');
      return lines.length > count ? lines.slice(0, -1).map((line) => JSON.parse(line)) : undefined;
    });
  }

  ends(): Promise<true> {
    return this.until('end', () => (this.closed ? true : undefined));
  }
}

const frame = (request: Request): Uint8Array => encodeFrame(encodeMessage(request));
const preimages = (count: number): Request => ({
  name: 'countersign_preimages',
  preimages: Array.from({ length: count }, () => Uint8Array.from(randomBytes(32))),
});

describe('the sockets of a signer', () => {
  it('are there when INIT is answered, for this user alone, and gone when it ends', async () => {
    const { hsmd, node, admin } = await here();
    for (const path of [node, admin]) {
      expect(statSync(path).isSocket()).toBe(true);
      expect(statSync(path).mode & 0o777).toBe(0o600);
    }
    expect(await hsmd.hangUp()).toMatchObject({ code: 2 });
    expect([existsSync(node), existsSync(admin)]).toEqual([false, false]);
  });

  it('replace those that a killed signer left', async () => {
    const { hsmd, directory, node } = await here();
    await hsmd.kill('SIGKILL');
    expect(existsSync(node)).toBe(true);
    await serving({ directory });
    const caller = new Caller(node);
    caller.socket.write(frame(preimages(1)));
    expect(await caller.replies(1)).toEqual(['countersign_preimages_reply']);
  });

  it('are left out, loudly, where they cannot be: the signer itself runs', async () => {
    const directory = networkDirectory();
    mkdirSync(join(directory, 'countersign'), { mode: 0o700 });
    writeFileSync(join(directory, 'countersign/admin.sock'), 'precious');
    const hsmd = await serving({ directory });
    expect(await isServing(hsmd)).toBe(true);
    await expect
      .poll(() => hsmd.logged('broken'))
      .toEqual([
        'countersign: something that is no socket lies at countersign/admin.sock: remove it (socket-path-taken)',
      ]);
    expect(existsSync(join(directory, 'countersign/node.sock'))).toBe(true);
  });

  it('say when the state directory’s path is too long', async () => {
    const deep = 'd'.repeat(120);
    const directory = networkDirectory({
      hsm_secret: new Uint8Array(32).fill(9),
      'countersign.toml': `state_directory = "${deep}"\n[policy]\npreset = "permissive"\n`,
    });
    const hsmd = start({ directory });
    expect(await hsmd.master.ask(initRequest('regtest'))).toMatchObject({ name: 'hsmd_init_reply_v4' });
    await expect.poll(() => hsmd.logged('broken')).toHaveLength(2);
    expect(hsmd.logged('broken')[0]).toMatch(
      /a socket has at most 10\d bytes, this one 1\d\d: d+.*node\.sock/,
    );
    expect(readdirSync(join(directory, deep)).filter((name) => name.endsWith('.sock'))).toEqual([]);
  });
});

describe('node.sock', () => {
  it('takes preimages, many messages on one connection', async () => {
    const { node } = await here();
    const caller = new Caller(node);
    for (const count of [0, 1, PREIMAGES_MAX]) caller.socket.write(frame(preimages(count)));
    expect(await caller.replies(3)).toEqual(Array.from({ length: 3 }, () => 'countersign_preimages_reply'));
  });

  it.each([
    ['an ECDH', frame(ECDH)],
    ['a derived secret', frame(DERIVE)],
    ['INIT', frame(initRequest('regtest'))],
    ['a new client', frame({ name: 'hsmd_client_hsmfd', id: PEER, dbid: 0n, permissions: 1027n })],
    ['an unknown request', encodeFrame(Uint8Array.of(0x0f, 0xff, 1))],
    ['no type', encodeFrame(new Uint8Array(1))],
    ['a count that lies', encodeFrame(Uint8Array.of(0x0f, 0xa0, 0xff, 0xff, 1))],
  ])('refuses %s, and ends the connection', async (_, bytes) => {
    const { hsmd, node } = await here();
    const caller = new Caller(node);
    caller.socket.write(bytes);
    expect(await caller.replies(1)).toEqual(['vls_signer_error']);
    await caller.ends();
    expect(await isServing(hsmd)).toBe(true);
  });

  it.each([
    ['a frame too large', Buffer.from('ffffffff', 'hex')],
    ['an end in the middle', Buffer.from('0000ffff00', 'hex')],
    ['noise', randomBytes(100_000)],
  ])('ends a connection with %s, and no other', async (_, bytes) => {
    const { hsmd, node } = await here();
    const honest = new Caller(node);
    const caller = new Caller(node);
    caller.socket.end(bytes);
    await caller.ends();
    honest.socket.write(frame(preimages(2)));
    expect(await honest.replies(1)).toEqual(['countersign_preimages_reply']);
    expect(await isServing(hsmd)).toBe(true);
  });

  it('lets 16 in, and others again when they are gone', async () => {
    const { hsmd, node } = await here();
    const held = Array.from({ length: 16 }, () => new Caller(node));
    for (const caller of held) caller.socket.write(frame(preimages(0)));
    await Promise.all(held.map((caller) => caller.replies(1)));
    await new Caller(node).ends();
    expect(await isServing(hsmd)).toBe(true);
    held[3]!.socket.destroy();
    // Once the process has seen its end.
    const isLetIn = async (): Promise<boolean> => {
      const late = new Caller(node);
      late.socket.write(frame(preimages(0)));
      return Promise.race([late.replies(1).then(() => true), late.ends().then(() => false)]);
    };
    await expect.poll(isLetIn).toBe(true);
  });
});

describe('admin.sock', () => {
  it.each([
    ['no JSON', 'hello'],
    ['nothing', ''],
    ['a number', '5'],
    ['null', 'null'],
    ['no version', '{"id":1,"op":"status"}'],
    ['another version', '{"v":2,"id":1,"op":"status"}'],
    ['an unknown operation', '{"v":1,"id":1,"op":"sign"}'],
    ['an unknown key', '{"v":1,"id":1,"op":"status","x":1}'],
    ['a name of Object', '{"v":1,"id":1,"op":"constructor"}'],
    ['an id of another type', '{"v":1,"id":"x","op":"status"}'],
    ['an amount as a number', '{"v":1,"id":1,"op":"approve","target":"ab","amountMsat":5}'],
    ['a negative offset', '{"v":1,"id":1,"op":"pending-list","offset":-1}'],
    ['too many entries', '{"v":1,"id":1,"op":"audit-list","from":1,"count":501}'],
    ['entry 0', '{"v":1,"id":1,"op":"audit-list","from":0,"count":1}'],
    ['bytes that are no text', '\ud800\u0000'],
  ])('answers %s with an error, and goes on', async (_, line) => {
    const { hsmd, admin } = await here();
    const caller = new Caller(admin);
    caller.socket.write(`${line}\n{"v":1,"id":8,"op":"status"}\n`);
    const [bad, good] = await caller.lines(2);
    expect(bad).toMatchObject({ ok: false, error: { code: 'bad-request' } });
    expect(good).toMatchObject({ ok: true, id: 8 });
    expect(await isServing(hsmd)).toBe(true);
  });

  it('takes a line in any chunks, and several in one', async () => {
    const { admin } = await here();
    const caller = new Caller(admin);
    for (const char of '{"v":1,"id":1,"op":"status"}\n') {
      caller.socket.write(char);
      await sleep(1);
    }
    caller.socket.end('{"v":1,"id":2,"op":"status"}\n{"v":1,"id":3,"op":"policy-show"}\n{"v":1,"id":4');
    expect((await caller.lines(3)).map(({ id, ok }) => [id, ok])).toEqual([
      [1, true],
      [2, true],
      [3, true],
    ]);
    await caller.ends();
  });

  it('gives up a line without end, and one that is too long', async () => {
    const { hsmd, admin } = await here();
    for (const bytes of ['x'.repeat(ADMIN_LINE_BYTES_MAX), `${'x'.repeat(ADMIN_LINE_BYTES_MAX)}\n`]) {
      const caller = new Caller(admin);
      caller.socket.write(bytes);
      expect((await caller.lines(1))[0]).toMatchObject({ ok: false, error: { code: 'bad-request' } });
      await caller.ends();
    }
    expect(await isServing(hsmd)).toBe(true);
  });

  it('verifies the audit log once at a time', async () => {
    const { admin } = await here();
    const callers = Array.from({ length: 4 }, () => new Caller(admin));
    for (const caller of callers) caller.socket.write('{"v":1,"id":1,"op":"audit-verify"}\n');
    const answers = await Promise.all(callers.map(async (caller) => (await caller.lines(1))[0]!));
    for (const answer of answers) expect(answer.ok ? 'ok' : answer.error!.code).toMatch(/^(ok|busy)$/);
    expect(answers.some(({ ok }) => ok)).toBe(true);
  });

  it('is not reachable with what the node says', async () => {
    const { hsmd, admin } = await here();
    const caller = new Caller(admin);
    caller.socket.write(frame(preimages(1)));
    caller.socket.end();
    await caller.ends();
    expect(await isServing(hsmd)).toBe(true);
  });
});
