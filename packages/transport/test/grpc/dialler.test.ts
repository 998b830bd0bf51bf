/** Our signer at a node side of another library: what VLS's remote_hsmd_socket does, and what no node side should. */
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { MASTER_PERMISSIONS, PERMISSION } from '@countersign/core';
import { decodeMessage, encodeMessage, type MessageOf } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { COUNTED_MAX } from '../../src/grpc/answerer.ts';
import { MASTER_CLIENT, UNBOUND_CLIENT } from '../../src/grpc/client-of.ts';
import { type DiallerLimits, SignerDialler, type SignerDiallerOptions } from '../../src/grpc/index.ts';
import { LINES_PER_MINUTE_MAX } from '../../src/grpc/log.ts';
import { U64_MAX } from '../../src/grpc/messages.ts';
import type {
  LinkAnswer,
  LinkClient,
  LinkRefusal,
  LinkState,
  RequestHandler,
} from '../../src/link/protocol.ts';
import { freePort } from '../free-port.ts';
import { type ForeignNode, type ForeignRequest, type ForeignResponse, foreignNode } from './foreign.ts';
import { init, initReply, later, NODE_ID, pointRequest, until } from './support.ts';

const PEER = new Uint8Array(33).fill(2);

interface Asked {
  readonly client: LinkClient | 'feed';
  readonly session: number | null;
  readonly body: Uint8Array;
}

/** A handler that remembers what it was asked and answers as it is told. */
class Handler implements RequestHandler {
  readonly asked: Asked[] = [];
  readonly ended: number[] = [];
  answer: (body: Uint8Array) => LinkAnswer | Promise<LinkAnswer> = () => ({
    kind: 'reply',
    body: Uint8Array.of(0, 118),
  });

  async ask(client: LinkClient, body: Uint8Array): Promise<LinkAnswer> {
    this.asked.push({ client, session: null, body });
    return this.answer(body);
  }

  async feed(session: number, body: Uint8Array): Promise<LinkAnswer> {
    this.asked.push({ client: 'feed', session, body });
    return this.answer(body);
  }

  feedEnded(session: number): void {
    this.ended.push(session);
  }
}

function refusal(temporary: boolean): LinkAnswer {
  const refused: LinkRefusal = {
    code: 'policy',
    tag: 'policy-x',
    request: 'x',
    channel: null,
    text: 'no',
    temporary,
    auditId: 3,
    facts: {},
  };
  return { kind: 'refused', refusal: refused };
}

function refusalReply(_: Uint8Array, { tag, text }: LinkRefusal): Uint8Array {
  return encodeMessage({ name: 'vls_signer_error', code: 1, message: `${tag}: ${text}` });
}

interface Dialled {
  readonly handler: Handler;
  readonly dialler: SignerDialler;
  readonly log: string[];
  readonly bugs: unknown[];
}

function dial(
  port: number,
  limits: Partial<DiallerLimits> = {},
  more: Partial<SignerDiallerOptions> = {},
): Dialled {
  const handler = new Handler();
  const log: string[] = [];
  const bugs: unknown[] = [];
  const dialler = new SignerDialler({
    host: '127.0.0.1',
    port,
    tls: null,
    handler,
    refusalReply,
    networkName: 'regtest',
    log: (level, text) => log.push(`${level} ${text}`),
    onBug: (error) => bugs.push(error),
    limits: { redialFirstMs: 10, redialLongestMs: 50, ...limits },
    ...more,
  });
  dialler.start();
  later(() => dialler.close());
  return { handler, dialler, log, bugs };
}

/** Asks on each stream, and collects the answers. */
interface Stream {
  readonly send: (request: ForeignRequest) => void;
  readonly next: () => Promise<ForeignResponse>;
  readonly end: () => void;
}

/** Streams in the order they are opened. */
async function node(at?: number): Promise<{ node: ForeignNode; stream: () => Promise<Stream> }> {
  const port = at ?? (await freePort());
  const opened: Stream[] = [];
  const waiting: ((stream: Stream) => void)[] = [];
  const one = await foreignNode(async (responses, send) => {
    await new Promise<void>((end) => {
      const next = async (): Promise<ForeignResponse> => {
        const { done, value } = await responses.next();
        if (done === true) throw new Error('the signer ended the stream');
        return value;
      };
      const stream = { send, next, end };
      const waiter = waiting.shift();
      if (waiter === undefined) opened.push(stream);
      else waiter(stream);
    });
  }, port);
  later(() => one.close());
  const stream = () => {
    const there = opened.shift();
    return there === undefined
      ? new Promise<Stream>((resolve) => waiting.push(resolve))
      : Promise.resolve(there);
  };
  return { node: one, stream };
}

/** A stream of a signer that is connected. */
async function connected(limits: Partial<DiallerLimits> = {}) {
  const { node: peer, stream } = await node();
  const dialled = dial(peer.port, limits);
  return { ...dialled, node: peer, stream, first: await stream() };
}

/** Takes connections and what is sent on them, and says nothing. */
async function silentServer(): Promise<Server> {
  const server = createTcpServer((socket) => socket.on('error', () => {}).resume());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  later(() => new Promise((resolve) => server.close(resolve)));
  return server;
}

function within<T>(ms: number, what: Promise<T>, name: string): Promise<T> {
  const late = new Promise<never>((_, reject) => {
    setTimeout(() => reject(new Error(`not in time: ${name}`)), ms).unref();
  });
  return Promise.race([what, late]);
}

const typed = (type: number): Uint8Array => Uint8Array.of(type >> 8, type & 0xff);

describe('dialling', () => {
  it('greets, opens the stream, answers', async () => {
    const { node: peer, stream } = await node();
    const { dialler, handler } = dial(peer.port);
    const states: LinkState[] = [];
    dialler.onState((state) => states.push(state));
    const { send, next } = await stream();
    expect(peer.pings).toEqual(['countersign']);
    send({ requestId: 0n, message: pointRequest(5n) });
    expect(await next()).toMatchObject({
      requestId: 0n,
      message: Uint8Array.of(0, 118),
      error: '',
      isTemporaryFailure: false,
    });
    expect(handler.asked[0]?.body).toEqual(pointRequest(5n));
    expect(states).toEqual(['up']);
    await dialler.close();
    expect(dialler.state).toBe('closed');
  });

  it('waits for a node side that is not there yet, without a line for each attempt', async () => {
    const { node: gone } = await node();
    const { port } = gone;
    await gone.close();
    const { dialler, log } = dial(port);
    await until(() => log.length > 0, 'the failure is told');
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(dialler.state).toBe('waiting');
    expect(log.filter((line) => line.startsWith('unusual'))).toHaveLength(1);
    const { stream } = await node(port);
    // This library sends the head of its answer only with the first request.
    (await stream()).send({ requestId: 0n, message: pointRequest(1n) });
    await until(() => dialler.state === 'up', 'the stream is open');
  });

  it('comes back when the node side ends the stream, and when the connection breaks', async () => {
    const { node: peer, stream, first, dialler, handler } = await connected();
    first.end();
    const second = await stream();
    second.send({ requestId: U64_MAX, message: init() });
    handler.answer = () => ({ kind: 'reply', body: initReply() });
    await second.next();
    const states: LinkState[] = [];
    dialler.onState((state) => states.push(state));
    await peer.close();
    await until(() => dialler.state === 'down', 'the loss is seen');
    const next = await node(peer.port);
    const third = await next.stream();
    third.send({ requestId: 3n, message: pointRequest(1n) });
    expect((await third.next()).requestId).toBe(3n);
    expect(states).toEqual(['down', 'up']);
    expect(handler.ended.length).toBeGreaterThanOrEqual(2);
  });

  it('gives up a node side that takes the connection and says nothing', async () => {
    const silent = await silentServer();
    const { log } = dial((silent.address() as AddressInfo).port, { connectMs: 100 });
    await until(() => log.length > 0, 'the attempt is given up');
    expect(log[0]).toMatch(/^unusual no node side at 127\.0\.0\.1:\d+: the node side does not answer/);
    await new Promise((resolve) => setTimeout(resolve, 300));
    // Every attempt that was given up has let go of its connection; the server hears of it a little later.
    const open = () => new Promise<number>((resolve) => silent.getConnections((_, count) => resolve(count)));
    await expect.poll(open).toBeLessThanOrEqual(1);
  });

  it('closing ends an attempt and a wait', async () => {
    const silent = await silentServer();
    const { dialler } = dial((silent.address() as AddressInfo).port);
    await new Promise((resolve) => setTimeout(resolve, 30));
    await dialler.close();
    expect(dialler.state).toBe('closed');
    const { dialler: other } = dial(1, { redialFirstMs: 60_000, redialLongestMs: 60_000 });
    await new Promise((resolve) => setTimeout(resolve, 50));
    await other.close();
  });
});

describe('one after the other', () => {
  it('a request is handed over when the one before is answered', async () => {
    const { handler, first } = await connected();
    const releases: (() => void)[] = [];
    handler.answer = (body) =>
      new Promise((resolve) => releases.push(() => resolve({ kind: 'reply', body: body.slice(0, 2) })));
    for (let i = 0; i < 5; i++) first.send({ requestId: BigInt(i), message: typed(i + 1) });
    for (let i = 0; i < 5; i++) {
      await until(() => releases.length === 1, 'one is under way');
      await new Promise((resolve) => setTimeout(resolve, 5));
      expect(handler.asked).toHaveLength(i + 1);
      releases.shift()?.();
      expect(await first.next()).toMatchObject({ requestId: BigInt(i), message: typed(i + 1) });
    }
  });

  it('nothing of the next connection is handed over while a request of the last is under way', async () => {
    const { handler, first, stream, dialler } = await connected();
    let release = (): void => {};
    handler.answer = () =>
      new Promise((resolve) => {
        release = () => resolve({ kind: 'reply', body: typed(118) });
      });
    first.send({ requestId: 0n, message: pointRequest(1n) });
    await until(() => handler.asked.length === 1, 'it is under way');
    first.end();
    await new Promise((resolve) => setTimeout(resolve, 100));
    release();
    const second = await stream();
    handler.answer = () => ({ kind: 'reply', body: typed(118) });
    second.send({ requestId: 0n, message: pointRequest(1n) });
    expect((await second.next()).requestId).toBe(0n);
    expect(handler.asked).toHaveLength(2);
    expect(dialler.state).toBe('up');
  });

  it('an answer whose connection broke meanwhile holds up neither the next one nor the end', async () => {
    const { handler, first, node: peer, dialler } = await connected({ writeMs: 600_000 });
    const releases: (() => void)[] = [];
    handler.answer = () =>
      new Promise((resolve) => releases.push(() => resolve({ kind: 'reply', body: typed(118) })));
    for (let id = 0n; id < 3n; id++) first.send({ requestId: id, message: pointRequest(1n) });
    await until(() => releases.length === 1, 'one is under way');
    await peer.close();
    const next = await node(peer.port);
    await new Promise((resolve) => setTimeout(resolve, 100));
    releases.shift()?.();
    // Far sooner than a node side may take to read.
    const second = await within(60_000, next.stream(), 'it dials again');
    // What else came with the broken connection is asked again too: to decide it now is to decide it twice.
    expect(handler.asked).toHaveLength(1);
    second.send({ requestId: 0n, message: pointRequest(1n) });
    await until(() => releases.length === 1, 'it is asked again');
    await next.node.close();
    await new Promise((resolve) => setTimeout(resolve, 100));
    releases.shift()?.();
    await within(60_000, dialler.close(), 'it is closed');
  });

  it.each([
    ['before', 100],
    ['while', 0],
  ])('a long answer is not waited for when the connection breaks %s it is sent', async (_, waitMs) => {
    const { handler, first, node: peer, dialler } = await connected();
    const due = Promise.withResolvers<LinkAnswer>();
    handler.answer = () => due.promise;
    first.send({ requestId: 0n, message: pointRequest(1n) });
    await until(() => handler.asked.length === 1, 'it is under way');
    const long = { kind: 'reply', body: new Uint8Array(2 * 1024 * 1024).fill(1) } as const;
    if (waitMs === 0) due.resolve(long);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await peer.close();
    await new Promise((resolve) => setTimeout(resolve, waitMs));
    due.resolve(long);
    const next = await node(peer.port);
    await within(2_000, next.stream(), 'it dials again');
    expect(dialler.isAnswering).toBe(false);
  });

  it('closing does not wait for a handler that answers no more', async () => {
    const { handler, first, dialler } = await connected();
    handler.answer = () => new Promise(() => {});
    first.send({ requestId: 0n, message: pointRequest(1n) });
    await until(() => handler.asked.length === 1, 'it is under way');
    await dialler.close();
    await expect(first.next()).rejects.toThrow();
  });

  it('a rejection of the handler is a bug: it is told, and the dialler is closed', async () => {
    const { handler, first, bugs, dialler } = await connected();
    const bug = new Error('bug');
    handler.answer = () => Promise.reject(bug);
    first.send({ requestId: 0n, message: pointRequest(1n) });
    await until(() => bugs.length === 1, 'the bug is told');
    expect(bugs).toEqual([bug]);
    expect(dialler.state).toBe('closed');
  });
});

describe('who asks', () => {
  it('is lightningd without a context, a client without a channel at dbid 0, else a channel’s', async () => {
    const { handler, first } = await connected();
    const contexts = [
      undefined,
      { peerId: PEER, dbid: 0n },
      { peerId: new Uint8Array(0), dbid: 0n },
      { peerId: PEER, dbid: 7n, capabilities: 0n },
    ];
    for (const [i, context] of contexts.entries()) {
      first.send({ requestId: BigInt(i), message: pointRequest(1n), ...(context && { context }) });
      await first.next();
    }
    const all = Object.values(PERMISSION).reduce((sum, bit) => sum | bit, 0n);
    expect(handler.asked.map(({ client }) => client)).toEqual([
      { peerId: null, dbid: 0n, permissions: MASTER_PERMISSIONS },
      { peerId: null, dbid: 0n, permissions: PERMISSION.ECDH | PERMISSION.SIGN_GOSSIP },
      { peerId: null, dbid: 0n, permissions: PERMISSION.ECDH | PERMISSION.SIGN_GOSSIP },
      { peerId: PEER, dbid: 7n, permissions: all & ~PERMISSION.MASTER },
    ]);
    expect(MASTER_CLIENT.permissions & UNBOUND_CLIENT.permissions & PERMISSION.MASTER).toBe(0n);
  });

  it('a channel without a whole peer is refused, and nobody is asked', async () => {
    const { handler, first } = await connected();
    for (const length of [0, 32, 34]) {
      first.send({
        requestId: 1n,
        message: pointRequest(1n),
        context: { peerId: new Uint8Array(length), dbid: 7n },
      });
      const { message, error } = await first.next();
      expect(error).toBe('');
      expect(decodeMessage(message ?? typed(0), 'reply')).toMatchObject({
        message: {
          name: 'vls_signer_error',
          message: expect.stringMatching(/^policy-generic-error: a channel without/),
        },
      });
    }
    expect(handler.asked).toHaveLength(0);
  });
});

describe('a no', () => {
  it('for good travels as a reply: an error would end the node', async () => {
    const { handler, first } = await connected();
    handler.answer = () => refusal(false);
    first.send({ requestId: 4n, message: pointRequest(1n) });
    const { message, error, isTemporaryFailure } = await first.next();
    expect({ error, isTemporaryFailure }).toEqual({ error: '', isTemporaryFailure: false });
    expect(decodeMessage(message ?? typed(0), 'reply')).toMatchObject({
      message: { name: 'vls_signer_error', message: 'policy-x: no' },
    });
  });

  it('for the moment is said so, a few times for the same request; then it is final', async () => {
    const { handler, first } = await connected({ temporaryFailuresMax: 2 });
    handler.answer = () => refusal(true);
    const context = { peerId: PEER, dbid: 7n };
    const ask = async (requestId: bigint, message: Uint8Array) => {
      first.send({ requestId, message, context });
      return (await first.next()).isTemporaryFailure;
    };
    expect(await ask(0n, pointRequest(1n))).toBe(true);
    expect(await ask(1n, pointRequest(1n))).toBe(true);
    expect(await ask(2n, pointRequest(2n))).toBe(true);
    expect(await ask(3n, pointRequest(1n))).toBe(false);
    // And begins anew.
    expect(await ask(4n, pointRequest(1n))).toBe(true);
    handler.answer = () => ({ kind: 'reply', body: typed(118) });
    expect(await ask(5n, pointRequest(2n))).toBe(false);
    handler.answer = () => refusal(true);
    expect(await ask(6n, pointRequest(2n))).toBe(true);
  });

  it('says why, and a count of no more requests than the limit is kept', async () => {
    const { handler, first } = await connected({ temporaryFailuresMax: 1 });
    handler.answer = () => refusal(true);
    first.send({ requestId: 0n, message: pointRequest(0n) });
    expect((await first.next()).error).toBe('policy-x: no');
    for (let i = 1; i <= COUNTED_MAX; i++) {
      first.send({ requestId: BigInt(i), message: pointRequest(BigInt(i)) });
      await first.next();
    }
    first.send({ requestId: 1n, message: pointRequest(0n) });
    expect((await first.next()).isTemporaryFailure).toBe(true);
    first.send({ requestId: 2n, message: pointRequest(BigInt(COUNTED_MAX)) });
    expect((await first.next()).isTemporaryFailure).toBe(false);
  });
});

describe('what VLS’s node side can carry', () => {
  it('the reply to INIT loses what VLS does not read', async () => {
    const { handler, first } = await connected();
    handler.answer = () => ({
      kind: 'reply',
      body: initReply({ tlvs: { hsmSecretType: 0 } }),
    });
    first.send({ requestId: 0n, message: init() });
    const { message } = await first.next();
    const expected = initReply({ hsmCapabilities: [28, 142, 147, 149, 29, 32, 34, 40, 41] });
    expect(message).toEqual(expected);
  });

  it('a wallet that VLS cannot tell of is refused: coins would go to nobody’s addresses', async () => {
    const { handler, first } = await connected();
    handler.answer = () => ({
      kind: 'reply',
      body: initReply({ tlvs: { bip86Base: new Uint8Array(78).fill(4) } }),
    });
    first.send({ requestId: 0n, message: init() });
    expect(decodeMessage((await first.next()).message ?? typed(0), 'reply')).toMatchObject({
      message: {
        name: 'hsmd_init_reply_failure',
        errorCode: 20,
        errorMessage: expect.stringContaining('BIP 86'),
      },
    });
  });

  it('a failure of INIT passes as it is', async () => {
    const { handler, first } = await connected();
    const failure = encodeMessage({
      name: 'hsmd_init_reply_failure',
      errorCode: 20,
      errorMessage: 'no',
    });
    handler.answer = () => ({ kind: 'reply', body: failure });
    first.send({ requestId: 0n, message: init() });
    expect((await first.next()).message).toEqual(failure);
  });

  it('its frontend’s question who we are is answered from INIT', async () => {
    const { handler, first } = await connected();
    handler.answer = (body) => (body[1] === 11 ? { kind: 'reply', body: initReply() } : refusal(false));
    const info = { requestId: 0n, message: typed(1012) };
    first.send(info);
    expect(decodeMessage((await first.next()).message ?? typed(0), 'reply')).toMatchObject({
      message: { name: 'vls_signer_error' },
    });
    first.send({ requestId: 1n, message: init() });
    await first.next();
    first.send(info);
    const answered = decodeMessage((await first.next()).message ?? typed(0), 'reply');
    const expected: MessageOf<'vls_node_info_reply'> = {
      name: 'vls_node_info_reply',
      networkName: 'regtest',
      nodeId: NODE_ID,
      bip32: new Uint8Array(78).fill(3),
    };
    expect(answered).toMatchObject({ message: expected });
  });

  it('what it tells of the chain goes to the feed of its stream, and ends with it', async () => {
    const { handler, first, stream } = await connected();
    for (const type of [2002, 2003, 2004, 2005, 2006, 2009]) {
      first.send({ requestId: BigInt(type), message: typed(type) });
      await first.next();
    }
    expect(handler.asked.map(({ client }) => client)).toEqual(Array(6).fill('feed'));
    const session = handler.asked[0]?.session ?? 0;
    first.end();
    const second = await stream();
    expect(handler.ended).toContain(session);
    second.send({ requestId: 0n, message: typed(2002) });
    await second.next();
    expect(handler.asked.at(-1)?.session).not.toBe(session);
  });

  it('where the chain ends is told by the feed, else by the signer', async () => {
    const { node: peer, stream } = await node();
    const tip = { heightBlocks: 800_000, hash: new Uint8Array(32).fill(8) };
    const tips = [null, tip, tip];
    const { handler } = dial(peer.port, {}, { chainTip: () => tips.shift() ?? null });
    const { send, next } = await stream();
    const answerTo = async (type: number) => {
      send({ requestId: 0n, message: typed(type) });
      return next();
    };
    const ask = async (type: number) => decodeMessage((await answerTo(type)).message ?? typed(0), 'reply');
    // The two forms in which a handler may say no.
    const noes: LinkAnswer[] = [
      refusal(false),
      {
        kind: 'reply',
        body: encodeMessage({
          name: 'vls_signer_error',
          code: 2,
          message: 'the chain does not come from the node',
        }),
      },
    ];
    handler.answer = () => noes[0]!;
    expect(await ask(2003)).toMatchObject({ message: { name: 'vls_signer_error' } });
    // It ends the node side, and a chain that has just begun has an end soon.
    expect(await answerTo(2002)).toMatchObject({
      isTemporaryFailure: true,
      error: expect.stringContaining('the signer does not know where the chain ends'),
    });
    for (const no of noes) {
      handler.answer = () => no;
      expect(await ask(2002)).toMatchObject({
        message: { name: 'vls_tip_info_reply', height: 800_000, blockHash: new Uint8Array(32).fill(8) },
      });
    }
    const told = encodeMessage({ name: 'vls_tip_info_reply', height: 7, blockHash: new Uint8Array(32) });
    handler.answer = () => ({ kind: 'reply', body: told });
    expect(await ask(2002)).toMatchObject({ message: { height: 7 } });
  });

  it('a channel’s client feeds nothing', async () => {
    const { handler, first } = await connected();
    first.send({ requestId: 0n, message: typed(2005), context: { peerId: PEER, dbid: 1n } });
    await first.next();
    expect(handler.asked[0]?.client).toMatchObject({ dbid: 1n });
  });

  it('a developer’s settings get no answer: VLS ends of one', async () => {
    const { handler, first } = await connected();
    first.send({ requestId: 0n, message: typed(99) });
    first.send({ requestId: 1n, message: pointRequest(1n) });
    expect((await first.next()).requestId).toBe(1n);
    expect(handler.asked).toHaveLength(1);
  });

  it('messages without a type, or of none we know, are the handler’s to refuse', async () => {
    const { handler, first } = await connected();
    handler.answer = () => refusal(false);
    for (const message of [new Uint8Array(0), Uint8Array.of(7), typed(65535)]) {
      first.send({ requestId: 1n, message });
      expect((await first.next()).error).toBe('');
    }
    expect(handler.asked).toHaveLength(3);
  });
});

describe('a hostile node side', () => {
  it('a request beyond the limit ends the stream; the next is opened', async () => {
    const { first, stream, handler } = await connected({ messageBytesMax: 10_000 });
    first.send({ requestId: 0n, message: new Uint8Array(20_000) });
    const second = await stream();
    expect(handler.asked).toHaveLength(0);
    second.send({ requestId: 0n, message: pointRequest(1n) });
    await second.next();
    first.end();
  });

  it('that hangs up after each request makes the log no longer than a signer may', async () => {
    const { first, stream, log } = await connected();
    let one = first;
    for (let i = 0; i < 2 * LINES_PER_MINUTE_MAX; i++) {
      one.send({ requestId: 0n, message: pointRequest(1n) });
      await one.next();
      one.end();
      one = await stream();
    }
    expect(log.length).toBeLessThanOrEqual(2 * LINES_PER_MINUTE_MAX);
  });

  it('who does not read is cut off', async () => {
    const { node: peer, stream } = await node();
    const { log, handler } = dial(peer.port, { writeMs: 100 });
    const first = await stream();
    handler.answer = () => ({ kind: 'reply', body: new Uint8Array(1024 * 1024).fill(1) });
    for (let i = 0; i < 8; i++) first.send({ requestId: BigInt(i), message: pointRequest(1n) });
    await until(() => log.some((line) => line.includes('does not read')), 'it is cut off');
  });
});
