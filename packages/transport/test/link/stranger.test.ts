import { type AddressInfo, connect as connectTcp, createServer } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { encodeLinkFrame, type LinkFrame } from '../../src/link/frames.ts';
import { openIdentity } from '../../src/link/identity.ts';
import { contextOf, LINK_PROTOCOL, serverOptions } from '../../src/link/tls.ts';
import { bytes, Cleanup, dial, Echo, introduce, listen, MASTER, QUICK, Side } from './harness.ts';

let cleanup: Cleanup;
let node: Side;
let signer: Side;
beforeEach(() => {
  cleanup = new Cleanup();
  node = new Side(cleanup);
  signer = new Side(cleanup);
});
afterEach(() => cleanup.run());

const reasons = (side: Side): string[] => side.events.map(({ facts, text }) => String(facts.reason ?? text));

describe('a stranger at the link (A83)', () => {
  it('with a key that is not pinned is refused before a byte of it is read, and logged with its key', async () => {
    introduce(node, signer);
    const link = await listen(cleanup, node);
    const stranger = new Side(cleanup);
    stranger.pins.add('node', node.pin);
    const handler = new Echo();
    const remote = dial(cleanup, stranger, link.port, handler);
    await expect
      .poll(() => reasons(node).filter((one) => one.includes(stranger.pin)).length)
      .toBeGreaterThan(1);
    expect(link.state).toBe('waiting');
    expect(remote.state).toBe('dialling');
    expect(handler.asked).toEqual([]);
  });

  it('in place of the node is refused by the signer, which sends it nothing', async () => {
    introduce(node, signer);
    const impostor = new Side(cleanup);
    const heard: Buffer[] = [];
    const server = createTlsServer(
      serverOptions(openIdentity(impostor.identityPath), [LINK_PROTOCOL], 30_000),
      (socket) => {
        socket.on('error', () => {});
        socket.on('data', (chunk) => heard.push(chunk));
      },
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    cleanup.add(() => void server.close());
    dial(cleanup, signer, (server.address() as AddressInfo).port, new Echo());
    await expect
      .poll(() => signer.names().filter((name) => name === 'link-dial-failed').length)
      .toBeGreaterThan(1);
    expect(signer.events[0]!.text).toMatch(/is not node/);
    expect(heard).toEqual([]);
  });

  it('in place of the node with an old version of TLS gets no handshake', async () => {
    introduce(node, signer);
    const { privateKeyPem: key, certificatePem: cert } = openIdentity(node.identityPath);
    const options = {
      key,
      cert,
      minVersion: 'TLSv1.2',
      maxVersion: 'TLSv1.2',
      ALPNProtocols: [LINK_PROTOCOL],
    } as const;
    let connections = 0;
    const server = createTlsServer(options, () => {
      connections++;
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    cleanup.add(() => void server.close());
    dial(cleanup, signer, (server.address() as AddressInfo).port, new Echo());
    await expect
      .poll(() => signer.names().filter((name) => name === 'link-dial-failed').length)
      .toBeGreaterThan(1);
    expect(connections).toBe(0);
  });

  it('who replays a recorded handshake, with the signer’s requests after it, gets nothing', async () => {
    introduce(node, signer);
    const link = await listen(cleanup, node);
    const recorded: Buffer[] = [];
    const tap = createServer((near) => {
      const far = connectTcp(link.port, '127.0.0.1');
      near.on('data', (chunk) => {
        recorded.push(chunk);
        far.write(chunk);
      });
      far.on('data', (chunk) => near.write(chunk));
      for (const socket of [near, far]) {
        socket.on('error', () => {});
        socket.on('close', () => [near, far].forEach((one) => void one.destroy()));
      }
    });
    await new Promise<void>((resolve) => tap.listen(0, '127.0.0.1', resolve));
    cleanup.add(() => void tap.close());
    const remote = dial(cleanup, signer, (tap.address() as AddressInfo).port, new Echo());
    await link.ask(MASTER, bytes('1'));
    remote.close();
    await expect.poll(() => link.state).toBe('down');
    const seen = node.events.length;
    const replay = connectTcp(link.port, '127.0.0.1');
    replay.on('error', () => {});
    const over = new Promise((resolve) => replay.once('close', resolve));
    for (const chunk of recorded) replay.write(chunk);
    replay.resume();
    await over;
    await expect.poll(() => node.events.length).toBeGreaterThan(seen);
    expect(node.events.at(-1)).toMatchObject({ event: 'link-refused' });
    expect(String(node.events.at(-1)!.facts.reason)).toMatch(/^ERR_SSL/);
    expect(link.state).toBe('down');
  });

  it('cannot come back by a ticket of an earlier session: none counts', async () => {
    introduce(node, signer);
    const link = await listen(cleanup, node);
    const attempt = (session?: Buffer): Promise<{ session: Buffer | undefined; reused: boolean }> =>
      new Promise((resolve) => {
        let last: Buffer | undefined;
        let reused = false;
        const socket = connectTls({
          ...contextOf(openIdentity(signer.identityPath)),
          port: link.port,
          host: '127.0.0.1',
          rejectUnauthorized: false,
          ALPNProtocols: [LINK_PROTOCOL],
          ...(session === undefined ? {} : { session }),
        });
        socket.on('session', (one) => {
          last = one;
        });
        socket.on('error', () => {});
        socket.on('secureConnect', () => {
          reused = socket.isSessionReused();
          setTimeout(() => socket.destroy(), 50);
        });
        socket.on('close', () => resolve({ session: last, reused }));
      });
    const first = await attempt();
    const second = await attempt(first.session);
    expect([first.reused, second.reused]).toEqual([false, false]);
  });

  it('fills no log: ten lines a minute, and a count', async () => {
    introduce(node, signer);
    const link = await listen(cleanup, node);
    for (let index = 0; index < 40; index++) {
      await new Promise((resolve) => {
        const socket = connectTcp(link.port, '127.0.0.1');
        socket.on('error', () => {});
        socket.on('close', resolve);
        socket.end('x'.repeat(100));
      });
    }
    expect(node.names().filter((name) => name === 'link-refused')).toHaveLength(10);
    await link.close();
    expect(node.events.find(({ event }) => event === 'link-refused-more')?.facts).toEqual({ refused: 30 });
  });
});

describe('a known signer that does not keep to the protocol', () => {
  /** Speaks for the signer, frame by frame. */
  async function speak(frames: readonly (LinkFrame | Uint8Array)[]) {
    introduce(node, signer);
    // Only who says nothing is to be late.
    const handshakeMs = frames.length === 0 ? 2_000 : 30_000;
    const link = await listen(cleanup, node, { limits: { ...QUICK, handshakeMs } });
    const socket = connectTls({
      ...contextOf(openIdentity(signer.identityPath)),
      port: link.port,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      ALPNProtocols: [LINK_PROTOCOL],
    });
    socket.on('error', () => {});
    const over = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    for (const frame of frames) socket.write('kind' in frame ? encodeLinkFrame(frame) : frame);
    socket.resume();
    await over;
    return link;
  }

  const hello: LinkFrame = {
    kind: 'hello',
    versionMin: 2,
    versionMax: 2,
    instance: new Uint8Array(16),
    requestsMax: 10,
    requestBytesMax: 1_000_000,
    feedsMax: 1,
    frameBytesMax: 1_000_000,
  };
  const answer: LinkFrame = { kind: 'answer', id: 1, answer: { kind: 'reply', body: bytes('forged') } };

  it.each<[string, (LinkFrame | Uint8Array)[], RegExp]>([
    ['says nothing', [], /in time/],
    ['answers before hello', [answer], /hello comes first/],
    ['says hello twice', [hello, hello], /hello comes once/],
    ['answers what nobody asked', [hello, answer], /nobody waits/],
    ['greets nobody back', [hello, { ...answer, kind: 'greeting-answer' }], /no greeting/],
    ['takes no requests', [{ ...hello, requestsMax: 0 }], /lets nothing in/],
    ['speaks another version', [{ ...hello, versionMin: 1, versionMax: 1 }], /version/],
    ['asks itself', [hello, { kind: 'ack', ids: [] }], /does not send/],
    ['announces a frame without end', [Uint8Array.of(255, 255, 255, 255)], /no frame/],
    ['sends garbage', [hello, Uint8Array.of(0, 0, 0, 2, 99, 99)], /no known kind/],
    [
      'changes its key all the time',
      [
        hello,
        ...Array.from({ length: 5 }, (_, index) => ({
          kind: 'next-key' as const,
          pin: `0${index}`.repeat(32),
        })),
      ],
      /too many new keys/,
    ],
  ])('and %s is dropped, with a line in the log', async (_name, frames, reason) => {
    const link = await speak(frames);
    await expect.poll(() => node.events.some(({ text }) => reason.test(text))).toBe(true);
    expect(link.state).not.toBe('up');
  });

  it('and knocks again and again without a word has one place, and its own link goes on', async () => {
    introduce(node, signer);
    const link = await listen(cleanup, node, { limits: { ...QUICK, connectionsMax: 2 } });
    dial(cleanup, signer, link.port, new Echo());
    await link.ask(MASTER, bytes('1'));
    const silent = await Promise.all(
      Array.from({ length: 5 }, async () => {
        const socket = connectTls({
          ...contextOf(openIdentity(signer.identityPath)),
          port: link.port,
          host: '127.0.0.1',
          rejectUnauthorized: false,
          ALPNProtocols: [LINK_PROTOCOL],
        });
        socket.on('error', () => {});
        socket.resume();
        await new Promise((resolve) => socket.once('secureConnect', resolve));
        return socket;
      }),
    );
    await expect.poll(() => silent.filter(({ destroyed }) => destroyed).length).toBe(4);
    await link.ask(MASTER, bytes('2'));
    expect(node.names()).not.toContain('link-down');
    expect(node.events.some(({ text }) => /a newer one came/.test(text))).toBe(true);
    for (const socket of silent) socket.destroy();
  });

  it('cannot take the key of another signer for its own', async () => {
    const other = new Side(cleanup);
    node.pins.add('other', other.pin);
    await Promise.race([
      speak([hello, { kind: 'next-key', pin: other.pin }]),
      expect.poll(() => node.events.some(({ text }) => /pinned as other already/.test(text))).toBe(true),
    ]);
    expect(node.pins.list().find(({ name }) => name === 'signer')?.nextPin).toBeNull();
  });
});

describe('a known node that does not keep to the protocol', () => {
  async function answerWith(frames: readonly LinkFrame[]) {
    introduce(node, signer);
    const server = createTlsServer(
      serverOptions(openIdentity(node.identityPath), [LINK_PROTOCOL], 30_000),
      (socket) => {
        socket.on('error', () => {});
        socket.resume();
        for (const frame of frames) socket.write(encodeLinkFrame(frame));
      },
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    cleanup.add(() => void server.close());
    const handler = new Echo();
    const limits = { ...QUICK, handshakeMs: frames.length === 0 ? 2_000 : 30_000 };
    dial(cleanup, signer, (server.address() as AddressInfo).port, handler, { limits });
    await expect.poll(() => signer.names()).toContain('link-down');
    return handler;
  }

  const welcome: LinkFrame = {
    kind: 'welcome',
    version: 2,
    run: new Uint8Array(16),
    isActive: true,
    frameBytesMax: 1_000_000,
    outstanding: [],
  };
  const request: LinkFrame = {
    kind: 'request',
    id: 1,
    asker: { kind: 'client', client: MASTER },
    body: bytes('x'),
  };

  it.each<[string, LinkFrame[], RegExp]>([
    ['says nothing', [], /welcome in time/],
    ['asks before its welcome', [request], /nobody asks here yet/],
    ['asks a standby', [{ ...welcome, isActive: false }, request], /nobody asks here yet/],
    ['welcomes twice', [welcome, welcome], /comes once/],
    ['takes a version nobody offered', [{ ...welcome, version: 1 }], /nobody offered/],
    ['takes frames too short for anything', [{ ...welcome, frameBytesMax: 1_000 }], /takes no answer/],
    ['promotes the active one', [welcome, { kind: 'promote', outstanding: [] }], /only a standby/],
    [
      'answers',
      [welcome, { kind: 'answer', id: 1, answer: { kind: 'reply', body: bytes('x') } }],
      /does not send/,
    ],
    ['asks twice', [welcome, request, request], /must rise/],
    ['ends with a reason', [welcome, { kind: 'bye', reason: 'refused' }], /refused/],
    [
      'greets without end',
      [
        welcome,
        ...Array.from({ length: 20 }, (_, id) => ({
          kind: 'greeting' as const,
          id,
          client: MASTER,
          body: bytes('x'),
        })),
      ],
      /too many greetings/,
    ],
    [
      'greets with more than a greeting has',
      [welcome, { kind: 'greeting', id: 1, client: MASTER, body: new Uint8Array(70_000) }],
      /too long a greeting/,
    ],
  ])('and %s is dropped', async (_name, frames, reason) => {
    await answerWith(frames);
    expect(signer.events.some(({ text }) => reason.test(text))).toBe(true);
  });

  it('and comes again and again has no more greetings heard at once', async () => {
    introduce(node, signer);
    const greeting = { kind: 'greeting' as const, client: MASTER, body: bytes('slow') };
    const greetings = Array.from({ length: 10 }, (_, id) => ({ ...greeting, id }));
    const server = createTlsServer(
      serverOptions(openIdentity(node.identityPath), [LINK_PROTOCOL], 30_000),
      (socket) => {
        socket.on('error', () => {});
        for (const frame of [welcome, ...greetings]) socket.write(encodeLinkFrame(frame));
        socket.end();
      },
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    cleanup.add(() => void server.close());
    const handler = new Echo();
    handler.answer = () => new Promise(() => {});
    dial(cleanup, signer, (server.address() as AddressInfo).port, handler);
    await expect.poll(() => signer.events.some(({ text }) => /too many greetings/.test(text))).toBe(true);
    expect(handler.asked.length).toBeLessThanOrEqual(16);
  });
});
