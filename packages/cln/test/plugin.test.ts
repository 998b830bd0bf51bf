/**
 * The plugin as lightningd drives it, with a real signer process: what it is told is known before lightningd goes on,
 * and nothing the signer does keeps lightningd from going on.
 */
import { createHash, randomBytes } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  decodeRecord,
  EMPTY_NODE,
  EMPTY_PAYMENT,
  encodeRecord,
  nodeRecords,
  paymentRecords,
} from '@countersign/core';
import { openJournal } from '@countersign/store';
import { FrameSocket } from '@countersign/transport';
import { decodeMessage, encodeMessage } from '@countersign/wire';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { Delivery, KEPT_VALUES_MAX } from '../src/plugin/delivery.ts';
import { Plugin } from '../src/plugin/plugin.ts';
import { endAll, networkDirectory, removeDirectories, serving } from './hsmd-under-test.ts';
import { endPlugins, PluginUnderTest } from './plugin-under-test.ts';

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) server.close();
  await Promise.all([endAll(), endPlugins()]);
});
afterAll(removeDirectories);

const CONTINUE = { result: 'continue' };
const preimages = Array.from({ length: 3 }, (_, i) => createHash('sha256').update(`preimage ${i}`).digest());
const hashOf = (preimage: Uint8Array): string => createHash('sha256').update(preimage).digest('hex');

async function until(isSo: () => boolean): Promise<void> {
  for (const end = performance.now() + 30_000; !isSo(); await sleep(2)) {
    if (performance.now() > end) throw new Error('not so within 30 s');
  }
}

function openStore(directory: string) {
  return openJournal(join(directory, 'countersign'), {
    mode: 'open-or-create',
    randomBytes,
    monotonicMs: () => performance.now(),
  });
}

/** A directory whose signer has a payment on record for each preimage. */
async function directoryWithPayments(): Promise<string> {
  const directory = networkDirectory();
  const journal = openStore(directory);
  const value = encodeRecord(paymentRecords, EMPTY_PAYMENT);
  await journal.commit(
    preimages.map((preimage) => ({ key: `payment/${hashOf(preimage)}`, version: 1, value })),
    [],
  );
  await journal.close();
  return directory;
}

/** What is on disk, of a signer that may be gone. */
async function stored(directory: string) {
  const journal = openStore(directory);
  const known = preimages.map((preimage) => {
    const value = journal.read(`payment/${hashOf(preimage)}`)?.value;
    return value ? decodeRecord(paymentRecords, value).preimage : undefined;
  });
  const node = journal.read('node/node')?.value;
  await journal.close();
  return { known, node: node ? decodeRecord(nodeRecords, node) : EMPTY_NODE };
}

describe('countersign-cln-plugin', () => {
  it('asks for the hook, and for no more', async () => {
    const plugin = new PluginUnderTest(networkDirectory());
    const { result } = await plugin.ask('getmanifest', { 'allow-deprecated-apis': false });
    expect(result).toMatchObject({
      dynamic: false,
      hooks: [{ name: 'db_write' }],
      rpcmethods: [],
      subscriptions: [],
    });
    expect(await plugin.hangUp()).toBe(0);
  });

  it('has the preimages of a write in the signer’s store before it answers', async () => {
    const directory = await directoryWithPayments();
    const hsmd = await serving({ directory });
    const plugin = new PluginUnderTest(directory);
    await plugin.ask('getmanifest');
    // lightningd writes before it initializes plugins.
    expect((await plugin.dbWrite(randomBytes(32), preimages[0]!)).result).toEqual(CONTINUE);
    await plugin.init();
    expect((await plugin.dbWrite(preimages[1]!, preimages[1]!)).result).toEqual(CONTINUE);
    // Killed at once: nothing of it may be lost.
    await hsmd.kill('SIGKILL');
    const { known, node } = await stored(directory);
    expect(known.map((one) => one && Buffer.from(one))).toEqual([preimages[0], preimages[1], null]);
    expect(node.deliversPreimages).toBe(true);
    expect(plugin.logged('error')).toEqual([]);
  });

  it('says that it delivers before there is a preimage', async () => {
    const directory = networkDirectory();
    const hsmd = await serving({ directory });
    const plugin = new PluginUnderTest(directory);
    await plugin.init();
    expect((await plugin.dbWrite()).result).toEqual(CONTINUE);
    await hsmd.kill('SIGTERM');
    expect((await stored(directory)).node.deliversPreimages).toBe(true);
  });

  it('takes a write of thousands of values', async () => {
    const directory = await directoryWithPayments();
    const hsmd = await serving({ directory });
    const plugin = new PluginUnderTest(directory);
    const many = Array.from({ length: 3000 }, () => randomBytes(32));
    expect((await plugin.dbWrite(...many, preimages[2]!)).result).toEqual(CONTINUE);
    await hsmd.kill('SIGKILL');
    expect((await stored(directory)).known[2]).toBeTruthy();
  });

  it('lets lightningd go on without a signer, waits once, and delivers when it is there', async () => {
    const directory = await directoryWithPayments();
    const plugin = new PluginUnderTest(directory);
    await plugin.ask('getmanifest');
    const startMs = performance.now();
    expect((await plugin.dbWrite(preimages[0]!)).result).toEqual(CONTINUE);
    expect(performance.now() - startMs).toBeGreaterThan(4_500);
    const againMs = performance.now();
    expect((await plugin.dbWrite(preimages[1]!)).result).toEqual(CONTINUE);
    expect(performance.now() - againMs).toBeLessThan(4_500);
    expect(plugin.logged('error')).toHaveLength(1);
    expect(plugin.logged('error')[0]).toMatch(/did not take preimages within 5000 ms/);
    const hsmd = await serving({ directory });
    await plugin.waitFor('word that all is delivered', ({ params }) =>
      /has all preimages again/.test(JSON.stringify(params ?? '')),
    );
    await hsmd.kill('SIGKILL');
    expect((await stored(directory)).known.map((one) => one !== null)).toEqual([true, true, false]);
    const all = JSON.stringify(plugin.messages);
    for (const preimage of preimages) expect(all).not.toContain(preimage.toString('hex'));
  });

  it('goes on with a signer started anew', async () => {
    const directory = await directoryWithPayments();
    const first = await serving({ directory });
    const plugin = new PluginUnderTest(directory);
    await plugin.dbWrite(preimages[0]!);
    await first.kill('SIGKILL');
    const second = await serving({ directory });
    await plugin.dbWrite(preimages[1]!);
    await second.kill('SIGKILL');
    expect((await stored(directory)).known.map((one) => one !== null)).toEqual([true, true, false]);
  });

  it('ends lightningd rather than let it write a preimage when its hsmd is gone', async () => {
    const directory = await directoryWithPayments();
    const hsmd = await serving({ directory });
    const plugin = new PluginUnderTest(directory);
    expect((await plugin.dbWrite(preimages[0]!)).result).toEqual(CONTINUE);
    await hsmd.kill('SIGKILL');
    const startMs = performance.now();
    const { result } = await plugin.dbWrite(preimages[1]!);
    expect(result).not.toEqual(CONTINUE);
    expect(result).toEqual({ result: 'the hsmd is gone' });
    expect(performance.now() - startMs).toBeGreaterThan(4_500);
    expect(plugin.logged('error').join()).toMatch(/the hsmd is gone that listened at .*node\.sock/);
  });

  it.each([
    ['does not answer any more', 'silent'],
    ['hangs up on everybody', 'rude'],
    ['was gone, is there again, and does not answer', 'back'],
  ] as const)('lets lightningd go on when a signer that was there %s', async (_, becomes) => {
    const socketPath = join(networkDirectory({}), 'node.sock');
    const reply = encodeMessage({ name: 'countersign_preimages_reply', learned: 0 });
    const open: FrameSocket[] = [];
    const serve = (answers: number) => {
      let left = answers;
      const server = createServer((socket) => {
        const frames = new FrameSocket(socket);
        const frame = (): void => {
          if (left-- > 0) void frames.send(reply);
          else if (becomes === 'rude') frames.destroy();
        };
        frames.start({ frame, closed: () => {} });
        open.push(frames);
      }).listen(socketPath);
      servers.push(server);
      return server;
    };
    const logged: string[] = [];
    // Time for some attempts beyond the pause below, of one that is there again.
    const waitMs = becomes === 'back' ? 4_000 : 600;
    const delivery = new Delivery({ socketPath, log: (_level, text) => void logged.push(text), waitMs });
    const first = serve(1);
    expect(await delivery.deliver([preimages[0]!], [preimages[0]!])).toBe(true);
    const last = delivery.deliver([preimages[1]!], [preimages[1]!]);
    if (becomes === 'back') {
      first.close();
      for (const one of open.splice(0)) one.destroy();
      await until(() => logged.some((text) => /does not take preimages/.test(text)));
      // A few attempts find nobody.
      await new Promise((resolve) => setTimeout(resolve, 200));
      serve(0);
    }
    expect(await last).toBe(true);
    delivery.close();
    for (const one of open) one.destroy();
  });

  it('lets lightningd write what may be no preimage, though its hsmd is gone', async () => {
    const socketPath = join(networkDirectory({}), 'node.sock');
    const open: FrameSocket[] = [];
    const server = createServer((socket) => {
      const frames = new FrameSocket(socket);
      const reply = encodeMessage({ name: 'countersign_preimages_reply', learned: 0 });
      frames.start({ frame: () => void frames.send(reply), closed: () => {} });
      open.push(frames);
    }).listen(socketPath);
    const delivery = new Delivery({ socketPath, log: () => {}, waitMs: 100 });
    expect(await delivery.deliver([preimages[0]!], [preimages[0]!])).toBe(true);
    server.close();
    for (const one of open) one.destroy();
    await until(() => !server.listening);
    expect(await delivery.deliver([preimages[1]!])).toBe(true);
    delivery.close();
  });

  it.each([
    ['is silent', () => {}],
    ['hangs up', (socket: Socket) => void socket.end()],
    ['answers rubbish', (socket: Socket) => void socket.write(Buffer.from([0, 0, 0, 2, 0xff, 0xff]))],
    ['answers otherwise', (socket: Socket) => void socket.write(Buffer.from([0, 0, 0, 2, 0x00, 0xbc]))],
    ['announces a frame without end', (socket: Socket) => void socket.write(Buffer.alloc(4, 0xff))],
  ])('answers continue when the signer %s', async (_, behave) => {
    const socketPath = join(networkDirectory({}), 'node.sock');
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.unref();
      behave(socket);
    }).listen(socketPath);
    servers.push(server);
    const lines: string[] = [];
    const plugin = new Plugin({ socketPath, write: (text) => void lines.push(text), waitMs: 150 });
    const write = JSON.stringify({
      id: 1,
      method: 'db_write',
      params: { writes: [`x'${hashOf(preimages[0]!)}'`] },
    });
    for (let answered = 1; answered <= 2; answered++) {
      plugin.receive(Buffer.from(`${write}\n\n`));
      await until(() => lines.filter((line) => line.includes('"continue"')).length === answered);
    }
    plugin.close();
    expect(lines.filter((line) => line.includes('"error"'))).toHaveLength(1);
  });

  it('keeps the newest values while the signer is away, and says how many it lost', async () => {
    const socketPath = join(networkDirectory({}), 'node.sock');
    const logged: string[] = [];
    const delivery = new Delivery({ socketPath, log: (_, text) => void logged.push(text), waitMs: 1 });
    const value = (i: number): Uint8Array => createHash('sha256').update(`${i}`).digest();
    await delivery.deliver(Array.from({ length: KEPT_VALUES_MAX }, (_, i) => value(i)));
    await delivery.deliver([value(-1), value(-2), value(KEPT_VALUES_MAX - 1)]);
    expect(delivery.waiting).toBe(KEPT_VALUES_MAX);
    const got: Uint8Array[] = [];
    const server = createServer((socket) => {
      const frames = new FrameSocket(socket);
      frames.start({
        frame: (body) => {
          const decoded = decodeMessage(body, 'request');
          if (!decoded.ok || decoded.message.name !== 'countersign_preimages')
            throw new Error('no preimages');
          got.push(...decoded.message.preimages);
          frames.send(encodeMessage({ name: 'countersign_preimages_reply', learned: 0 }));
        },
        closed: () => {},
      });
    }).listen(socketPath);
    servers.push(server);
    await until(() => delivery.waiting === 0);
    await until(() => logged.some((text) => text === '2 values were too old to keep for the signer'));
    expect(got).toHaveLength(KEPT_VALUES_MAX);
    expect(got[0]).toEqual(Uint8Array.from(value(2)));
    expect(got.at(-1)).toEqual(Uint8Array.from(value(KEPT_VALUES_MAX - 1)));
    delivery.close();
  });

  it('looks where the option says', async () => {
    const directory = await directoryWithPayments();
    const hsmd = await serving({ directory });
    const plugin = new PluginUnderTest(networkDirectory());
    await plugin.init({ 'countersign-socket': join(directory, 'countersign/node.sock') });
    expect((await plugin.dbWrite(preimages[0]!)).result).toEqual(CONTINUE);
    await hsmd.kill('SIGKILL');
    expect((await stored(directory)).known[0]).toBeTruthy();
  });

  it('looks in the state directory of countersign.toml', async () => {
    const directory = networkDirectory({
      hsm_secret: new Uint8Array(32).fill(7),
      'countersign.toml': 'state_directory = "elsewhere"\n[policy]\npreset = "hub"\n',
    });
    await serving({ directory });
    const plugin = new PluginUnderTest(directory);
    expect((await plugin.dbWrite(preimages[0]!)).result).toEqual(CONTINUE);
    expect(plugin.logged('warn')).toEqual([]);
  });

  it('lives on whatever comes in', async () => {
    const directory = networkDirectory();
    await serving({ directory });
    const plugin = new PluginUnderTest(directory);
    plugin.writeText('no json\n\n{"jsonrpc":"2.0"}\n\n[]\n\n\n\n\n\n');
    plugin.write({ jsonrpc: '2.0', method: 'shutdown', params: {} });
    for (const params of [null, [], 'x', {}, { writes: 5 }, { writes: [null, 5, {}] }]) {
      expect((await plugin.ask('db_write', params)).result).toEqual(CONTINUE);
    }
    expect((await plugin.ask('no_such_method')).error).toMatchObject({ code: -32601 });
    expect((await plugin.dbWrite(randomBytes(32))).result).toEqual(CONTINUE);
    expect(await plugin.hangUp()).toBe(0);
  });
});
