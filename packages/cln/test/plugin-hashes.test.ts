/** Which values of lightningd's writes the plugin lets it wait for: those that may be preimages of HTLCs there are. */
import { createHash, randomBytes } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { FrameSocket } from '@countersign/transport';
import { decodeMessage, encodeMessage } from '@countersign/wire';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { KnownHashes } from '../src/plugin/hashes.ts';
import { hashesUnderWay } from '../src/plugin/lightning-rpc.ts';
import { Plugin, type PluginOptions } from '../src/plugin/plugin.ts';
import { networkDirectory, removeDirectories } from './hsmd-under-test.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});
afterAll(removeDirectories);

const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const [preimage, another, pending] = ['one', 'two', 'three'].map((text) => sha256(Buffer.from(text)));

describe('a value is waited for', () => {
  it('always, before the HTLCs from before are known', () => {
    const hashes = new KnownHashes();
    expect(hashes.urgentOf([preimage!, another!])).toEqual([preimage, another]);
  });

  it('when its hash was written before, or with it, or was there from before', () => {
    const hashes = new KnownHashes();
    hashes.urgentOf([sha256(preimage!)]);
    hashes.complete([sha256(pending!)], hashes.mark);
    expect(hashes.urgentOf([preimage!, randomBytes(32)])).toEqual([preimage]);
    expect(hashes.urgentOf([preimage!])).toEqual([preimage]);
    expect(hashes.urgentOf([pending!])).toEqual([pending]);
    expect(hashes.urgentOf([another!])).toEqual([]);
    expect(hashes.urgentOf([another!, sha256(another!)])).toEqual([another]);
  });

  const others = (count: number): Buffer[] => Array.from({ length: count }, () => randomBytes(32));

  it('always, when so much was written that a hash may be forgotten', () => {
    const hashes = new KnownHashes(100);
    hashes.complete([], hashes.mark);
    hashes.urgentOf([sha256(preimage!), ...others(49)]);
    expect(hashes.urgentOf([preimage!, another!]).map(hexOf)).toContain(hexOf(preimage!));
    hashes.urgentOf(others(1));
    expect(hashes.urgentOf([another!])).toEqual([another]);
    // Until lightningd has said anew what is under way.
    hashes.complete([sha256(preimage!)], hashes.mark);
    expect(hashes.urgentOf([another!])).toEqual([]);
    hashes.urgentOf(others(48));
    expect(hashes.urgentOf([preimage!])).toEqual([preimage]);
  });

  it('when its hash was written long ago, and again now', () => {
    const hashes = new KnownHashes(100);
    hashes.complete([], hashes.mark);
    hashes.urgentOf([sha256(preimage!)]);
    for (let i = 0; i < 20; i++) {
      hashes.urgentOf(others(30));
      // As for an HTLC that comes and goes: nothing else keeps the hash in mind.
      hashes.urgentOf([sha256(preimage!)]);
      hashes.complete([], hashes.mark);
      expect(hashes.urgentOf([another!])).toEqual([]);
      expect(hashes.urgentOf([preimage!])).toEqual([preimage]);
    }
  });

  it('always, when there are more HTLCs than can be remembered', () => {
    const hashes = new KnownHashes(100);
    hashes.complete(
      Array.from({ length: 101 }, (_, i) => sha256(Buffer.from(`${i}`))),
      hashes.mark,
    );
    expect(hashes.urgentOf([another!])).toEqual([another]);
  });

  it('when it came while lightningd told what was under way', () => {
    const hashes = new KnownHashes(100);
    const { mark } = hashes;
    hashes.urgentOf([sha256(preimage!), ...others(60)]);
    hashes.complete([], mark);
    expect(hashes.urgentOf([another!])).toEqual([another]);
  });

  it('by what lightningd is asked for in time, not at each write', () => {
    const hashes = new KnownHashes(100);
    hashes.urgentOf(others(100));
    expect(hashes.takeDue()).toBe(false);
    hashes.complete([], hashes.mark);
    let asked = 0;
    for (let i = 0; i < 130; i++) {
      hashes.urgentOf(others(1));
      if (!hashes.takeDue()) continue;
      asked += 1;
      // Every other time it does not answer.
      if (asked % 2 === 0) hashes.complete([], hashes.mark);
    }
    expect(asked).toBe(10);
  });
});

/** lightningd's own socket, which answers everything with this text. */
async function lightningd(text: string, onRead: () => void = () => {}): Promise<string> {
  const path = join(networkDirectory({}), 'lightning-rpc');
  const server = createServer((socket) => {
    socket.on('error', () => {});
    // Whoever asks closes the connection with the whole answer in its hands.
    socket.on('close', onRead);
    socket.on('data', () => {
      const [half, rest] = [text.slice(0, text.length / 2), text.slice(text.length / 2)];
      socket.write(half);
      setTimeout(() => socket.write(rest), 5);
    });
    socket.unref();
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return path;
}

const answer = (channels: unknown): string =>
  `${JSON.stringify({ jsonrpc: '2.0', id: 'x', result: { channels } }, null, 3)}\n\n`;
const htlc = (hash: Uint8Array) => ({ direction: 'in', payment_hash: Buffer.from(hash).toString('hex') });

describe('lightningd is asked for the HTLCs under way', () => {
  it('of all channels', async () => {
    const path = await lightningd(
      answer([{ htlcs: [htlc(preimage!), htlc(another!)] }, {}, { htlcs: [htlc(pending!)] }]),
    );
    expect((await hashesUnderWay(path)).map((hash) => Buffer.from(hash))).toEqual([
      preimage,
      another,
      pending,
    ]);
  });

  it.each([
    ['an error', `${JSON.stringify({ error: { code: -32601, message: 'no' } })}\n\n`],
    ['no JSON', 'lightning\n\n'],
    ['an HTLC without a hash', answer([{ htlcs: [{ direction: 'in' }] }])],
    ['a hash that is none', answer([{ htlcs: [{ payment_hash: 'zz' }] }])],
  ])('and may answer %s', async (_, text) => {
    await expect(hashesUnderWay(await lightningd(text))).rejects.toThrow(Error);
  });

  it('and may not be there', async () => {
    await expect(hashesUnderWay(join(networkDirectory({}), 'lightning-rpc'))).rejects.toThrow('ENOENT');
  });
});

describe('the plugin', () => {
  /** A signer that answers its first message, and no other before it is told. */
  function slowSigner() {
    const path = join(networkDirectory({}), 'node.sock');
    const got: string[] = [];
    let answersAll = false;
    let reply: () => void = () => {};
    const server = createServer((socket) => {
      const frames = new FrameSocket(socket);
      frames.start({
        frame: async (body) => {
          const decoded = decodeMessage(body, 'request');
          if (!decoded.ok || decoded.message.name !== 'countersign_preimages')
            throw new Error('no preimages');
          got.push(...decoded.message.preimages.map((one) => Buffer.from(one).toString('hex')));
          if (got.length > 0 && !answersAll) await new Promise<void>((resolve) => (reply = resolve));
          frames.send(encodeMessage({ name: 'countersign_preimages_reply', learned: 0 }));
        },
        closed: () => {},
      });
      socket.unref();
    }).listen(path);
    servers.push(server);
    return {
      path,
      got,
      answer: () => {
        answersAll = true;
        reply();
      },
    };
  }

  async function until(isSo: () => boolean): Promise<void> {
    for (const end = performance.now() + 30_000; !isSo(); await sleep(2))
      if (performance.now() > end) throw new Error('not so within 30 s');
  }

  /** So long, and turns of the event loop, each of which moves what sockets of this process have for each other. */
  async function settled(ms: number): Promise<void> {
    await sleep(ms);
    for (let turns = 0; turns < 50; turns++) await new Promise((resolve) => setImmediate(resolve));
  }

  it('lets lightningd go on with what is no preimage, and wait for what may be one', async () => {
    const { path, got, answer: answerAll } = slowSigner();
    const lines: string[] = [];
    const { plugin, ask, write, answered } = await running(path, lines, { underWay: [pending!] });
    write('w1', another!);
    await until(() => answered('w1'));
    await until(() => got.includes(another!.toString('hex')));
    write('w2', pending!);
    await settled(200);
    expect(answered('w2')).toBe(false);
    ask('w3', 'db_write', { writes: ['UPDATE t SET n=1'] });
    await until(() => answered('w3'));
    expect(answered('w2')).toBe(false);
    answerAll();
    await until(() => answered('w2'));
    expect(got).toContain(pending!.toString('hex'));
    plugin.close();
    expect(lines.filter((line) => line.includes('"error"'))).toEqual([]);
  });

  /** A signer that says what it has learned, when it is told to answer; each of its connections remembers nothing. */
  function learningSigner(learns: (value: string) => boolean) {
    const path = join(networkDirectory({}), 'node.sock');
    const asked: { readonly values: readonly string[]; readonly answer: () => void }[] = [];
    const sockets: Socket[] = [];
    const server = createServer((socket) => {
      sockets.push(socket);
      const frames = new FrameSocket(socket);
      frames.start({
        frame: (body) => {
          const decoded = decodeMessage(body, 'request');
          if (!decoded.ok || decoded.message.name !== 'countersign_preimages')
            throw new Error('no preimages');
          const values = decoded.message.preimages.map((one) => Buffer.from(one).toString('hex'));
          const learned = values.filter(learns).length;
          const answer = (): void => {
            frames.send(encodeMessage({ name: 'countersign_preimages_reply', learned }));
          };
          if (values.length === 0) answer();
          else asked.push({ values, answer });
        },
        closed: () => {},
      });
      socket.unref();
    }).listen(path);
    servers.push(server);
    return { path, asked, cut: () => sockets.forEach((socket) => void socket.destroy()) };
  }

  /** A plugin that lightningd has told what is under way: until then every value is waited for. */
  async function running(
    path: string,
    lines: string[],
    {
      underWay = [preimage!, pending!],
      ...changed
    }: Partial<PluginOptions> & { underWay?: Uint8Array[] } = {},
  ) {
    let isRead = false;
    const rpc = await lightningd(answer([{ htlcs: underWay.map((one) => htlc(sha256(one))) }]), () => {
      isRead = true;
    });
    const options = { socketPath: path, write: (text: string) => void lines.push(text), waitMs: 600_000 };
    const plugin = new Plugin({ ...options, ...changed });
    const ask = (id: string, method: string, params: unknown): void =>
      plugin.receive(Buffer.from(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n\n`));
    const answered = (id: string): boolean => lines.some((line) => line.includes(`"id":"${id}"`));
    ask('init', 'init', { options: {}, configuration: { 'lightning-dir': '/', 'rpc-file': rpc } });
    await until(() => answered('init') && isRead);
    await settled(50);
    const write = (id: string, ...values: readonly Uint8Array[]): void =>
      ask(id, 'db_write', { writes: values.map((one) => `x'${Buffer.from(one).toString('hex')}'`) });
    return { plugin, ask, write, answered };
  }

  it('waits for a preimage once: what the signer knows for good holds nobody up when it is written again', async () => {
    const known = preimage!.toString('hex');
    const signer = learningSigner((value) => value === known);
    const lines: string[] = [];
    const { plugin, write, answered } = await running(signer.path, lines);
    write('w1', preimage!, another!);
    await until(() => signer.asked.length === 1);
    await settled(50);
    expect(answered('w1')).toBe(false);
    signer.asked[0]!.answer();
    await until(() => answered('w1'));
    // It is delivered again all the same.
    write('w2', preimage!);
    await until(() => answered('w2'));
    await until(() => signer.asked.length === 2);
    expect(signer.asked[1]!.values).toEqual([another!.toString('hex'), known]);
    signer.asked[1]!.answer();
    await settled(50);
    // A connection anew may lead to another signer.
    signer.cut();
    await settled(50);
    write('w3', another!);
    await until(() => signer.asked.length === 3);
    signer.asked[2]!.answer();
    await settled(50);
    write('w4', preimage!);
    await until(() => signer.asked.length === 4);
    await settled(50);
    expect(answered('w4')).toBe(false);
    signer.asked[3]!.answer();
    await until(() => answered('w4'));
    plugin.close();
  });

  it('waits once more when an HTLC of the same hash comes anew: the signer forgets a payment that is over', async () => {
    const known = preimage!.toString('hex');
    const signer = learningSigner((value) => value === known);
    const lines: string[] = [];
    const { plugin, write, answered } = await running(signer.path, lines);
    write('w1', preimage!);
    await until(() => signer.asked.length === 1);
    signer.asked[0]!.answer();
    await until(() => answered('w1'));
    // The payment's own row, which has both, tells of no new HTLC.
    write('w2', sha256(preimage!), preimage!);
    await until(() => answered('w2') && signer.asked.length === 2);
    signer.asked[1]!.answer();
    await settled(50);
    write('w3', sha256(preimage!));
    await until(() => answered('w3') && signer.asked.length === 3);
    signer.asked[2]!.answer();
    await settled(50);
    write('w4', preimage!);
    await until(() => signer.asked.length === 4);
    await settled(50);
    expect(answered('w4')).toBe(false);
    signer.asked[3]!.answer();
    await until(() => answered('w4'));
    plugin.close();
  });

  it('sends together what nobody waits for, and what somebody does alone and at once', async () => {
    const signer = learningSigner(() => true);
    const lines: string[] = [];
    const { plugin, write, answered } = await running(signer.path, lines);
    const [first, second, third] = Array.from({ length: 3 }, () => randomBytes(32));
    write('w1', first!);
    write('w2', second!, preimage!);
    write('w3', third!);
    expect(answered('w1') && answered('w3')).toBe(true);
    await until(() => signer.asked.length === 1);
    expect(signer.asked[0]!.values).toEqual([hexOf(preimage!)]);
    await settled(100);
    expect(answered('w2')).toBe(false);
    signer.asked[0]!.answer();
    await until(() => answered('w2'));
    await until(() => signer.asked.length === 2);
    expect(signer.asked[1]!.values).toEqual([first, second, third].map((one) => hexOf(one!)));
    signer.asked[1]!.answer();
    plugin.close();
  });

  it('asks lightningd anew for what is under way, before it forgets', async () => {
    const signer = learningSigner(() => false);
    const lines: string[] = [];
    const changed = { underWay: [preimage!], hashesMax: 32 };
    const { plugin, write, answered } = await running(signer.path, lines, changed);
    // Far more than is remembered: only asked again, it can know that none of this is to be waited for, and the preimage is.
    for (let i = 0; i < 60; i++) {
      write(`w${i}`, randomBytes(32));
      expect(answered(`w${i}`)).toBe(true);
      await settled(5);
    }
    write('last', preimage!);
    await settled(100);
    expect(answered('last')).toBe(false);
    for (const { answer: reply } of signer.asked) reply();
    await until(() => {
      signer.asked.at(-1)!.answer();
      return answered('last');
    });
    plugin.close();
  });

  it('waits again for what the signer did not learn', async () => {
    const known = preimage!.toString('hex');
    const signer = learningSigner((value) => value === known);
    const lines: string[] = [];
    const { plugin, write, answered } = await running(signer.path, lines);
    // The signer learns one of the two, and does not say which.
    for (const [index, id] of ['w1', 'w2'].entries()) {
      write(id, preimage!, pending!);
      await until(() => signer.asked.length === index + 1);
      await settled(50);
      expect(answered(id)).toBe(false);
      signer.asked[index]!.answer();
      await until(() => answered(id));
    }
    plugin.close();
  });

  it('waits longer than usual for a node side that waits itself, and no longer for one that is gone', async () => {
    const { path, answer: answerAll } = slowSigner();
    const lines: string[] = [];
    const options = { write: (text: string) => void lines.push(text), waitMs: 2_000, patienceMs: 60_000 };
    const plugin = new Plugin({ socketPath: path, ...options });
    const nobody = new Plugin({ socketPath: join(networkDirectory({}), 'node.sock'), ...options });
    const write = (id: string): Buffer =>
      Buffer.from(
        `${JSON.stringify({ id, method: 'db_write', params: { writes: [`x'${another!.toString('hex')}'`] } })}\n\n`,
      );
    const answered = (id: string): boolean => lines.some((line) => line.includes(`"id":"${id}"`));
    plugin.receive(write('held'));
    nobody.receive(write('gone'));
    await until(() => answered('gone'));
    await sleep(2_500);
    expect(answered('held')).toBe(false);
    answerAll();
    await until(() => answered('held'));
    for (const one of [plugin, nobody]) one.close();
    expect(lines.filter((line) => line.includes('did not take preimages'))).toHaveLength(1);
  });

  it('waits for everything when lightningd does not say what is under way', async () => {
    const { path, answer: answerAll } = slowSigner();
    const lines: string[] = [];
    const plugin = new Plugin({ socketPath: path, write: (text) => void lines.push(text), waitMs: 600_000 });
    const params = {
      options: {},
      configuration: { 'lightning-dir': '/', 'rpc-file': '/nowhere/lightning-rpc' },
    };
    plugin.receive(Buffer.from(`${JSON.stringify({ id: 'init', method: 'init', params })}\n\n`));
    await until(() => lines.some((line) => line.includes('lightningd waits for every value')));
    const writes = [`x'${another!.toString('hex')}'`];
    plugin.receive(
      Buffer.from(`${JSON.stringify({ id: 'w1', method: 'db_write', params: { writes } })}\n\n`),
    );
    await settled(200);
    expect(lines.some((line) => line.includes('"id":"w1"'))).toBe(false);
    answerAll();
    await until(() => lines.some((line) => line.includes('"id":"w1"')));
    plugin.close();
  });
});
