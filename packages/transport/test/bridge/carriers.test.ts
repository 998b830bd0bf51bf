/** Both carriers, the end that answers in this thread: late answers, ends, frames that are none, ends that do not read. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import type { Answering, AnsweringEnd, Exchange } from '../../src/bridge/carrier.ts';
import { FifoCaller, FifoEnd, openFifo } from '../../src/bridge/fifo.ts';
import { MailboxEnd, mailboxMemory } from '../../src/bridge/mailbox.ts';
import { placeBytes } from '../../src/bridge/messages.ts';
import { bytes, text } from './signer-thread.ts';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

const monotonicMs = (): number => performance.now();
const MESSAGE_BYTES_MAX = 300_000;

function fifos(): { readonly requests: string; readonly replies: string } {
  const directory = mkdtempSync(join(tmpdir(), 'fifo-'));
  ends.push(() => rmSync(directory, { recursive: true, force: true }));
  const [requests, replies] = [join(directory, 'requests'), join(directory, 'replies')];
  execFileSync('mkfifo', [requests, replies]);
  return { requests, replies };
}

interface Pair {
  readonly end: AnsweringEnd;
  readonly bugs: unknown[];
  exchange(words: string, timeoutMs?: number): Promise<Exchange>;
}

async function pairOf(kind: 'mailbox' | 'fifo', answering: Answering): Promise<Pair> {
  const bugs: unknown[] = [];
  const onBug = (error: unknown): void => void bugs.push(error);
  const memory = mailboxMemory(MESSAGE_BYTES_MAX);
  const paths = kind === 'fifo' ? fifos() : null;
  const workerData = paths === null ? { memory } : { ...paths, frameBytesMax: MESSAGE_BYTES_MAX };
  const worker = new Worker(new URL('./caller-thread.ts', import.meta.url), {
    workerData,
    execArgv: ['--conditions=source', '--disable-warning=ExperimentalWarning'],
  });
  ends.push(() => worker.terminate());
  await once(worker, 'message');
  const end =
    paths === null
      ? new MailboxEnd(memory, answering, onBug)
      : new FifoEnd(paths, MESSAGE_BYTES_MAX, answering, onBug);
  ends.push(() => end.end());
  return {
    end,
    bugs,
    exchange: async (words, timeoutMs = 30_000) => {
      worker.postMessage({ body: bytes(words), timeoutMs });
      const [result] = await once(worker, 'message');
      return result as Exchange;
    },
  };
}

const replyText = (exchange: Exchange): string =>
  exchange.kind === 'reply' ? text(exchange.body) : exchange.kind;

describe.each(['mailbox', 'fifo'] as const)('%s', (kind) => {
  it('carries one request after another, of any length', async () => {
    const { exchange, bugs } = await pairOf(kind, async (request) => request);
    for (const words of ['one', '', 'x'.repeat(80_000), 'y'.repeat(299_000), 'two'])
      expect(replyText(await exchange(words))).toBe(words);
    expect(bugs).toEqual([]);
  });

  it('never takes a late answer for the next', async () => {
    const late = Promise.withResolvers<Uint8Array>();
    const { exchange } = await pairOf(kind, async (request) =>
      text(request) === 'slow' ? late.promise : request,
    );
    expect((await exchange('slow', 50)).kind).toBe('silent');
    expect(replyText(await exchange('next'))).toBe('next');
    const third = exchange('third');
    late.resolve(bytes('late'));
    expect(replyText(await third)).toBe('third');
  });

  it('drops an answer that came between two requests', async () => {
    const late = Promise.withResolvers<Uint8Array>();
    const { exchange } = await pairOf(kind, async (request) =>
      text(request) === 'slow' ? late.promise : request,
    );
    expect((await exchange('slow', 50)).kind).toBe('silent');
    late.resolve(bytes('late'));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(replyText(await exchange('next'))).toBe('next');
  });

  it('wakes whoever sleeps when it ends', async () => {
    const asked = Promise.withResolvers<void>();
    const { exchange, end } = await pairOf(kind, () => {
      asked.resolve();
      return new Promise(() => {});
    });
    const asleep = exchange('one');
    await asked.promise;
    end.end();
    expect((await asleep).kind).toBe('gone');
    expect((await exchange('two')).kind).toBe('gone');
  });

  it('tells of a handler that fails', async () => {
    const { exchange, bugs } = await pairOf(kind, async () => {
      throw new TypeError('a bug');
    });
    expect((await exchange('one', 100)).kind).toBe('silent');
    await expect.poll(() => bugs).toHaveLength(1);
  });
});

it('a mailbox has no place for a reply beyond its length', async () => {
  const { exchange, bugs } = await pairOf('mailbox', async () => new Uint8Array(MESSAGE_BYTES_MAX + 1));
  expect((await exchange('one', 100)).kind).toBe('silent');
  await expect.poll(() => bugs).toEqual([new RangeError('a reply is longer than its place')]);
});

describe('the end of FIFOs that blocks', () => {
  interface Opened {
    readonly caller: FifoCaller;
    /** The other end's descriptors. */
    readonly reads: number;
    readonly writes: number;
  }

  function opened(): Opened {
    const paths = fifos();
    const replies = openFifo(paths.replies, 'read');
    const reads = openSync(paths.requests, constants.O_RDONLY | constants.O_NONBLOCK);
    const writes = openSync(paths.replies, constants.O_WRONLY);
    const caller = new FifoCaller(openFifo(paths.requests, 'write'), replies, 1_000, monotonicMs);
    ends.push(() => caller.end());
    return { caller, reads, writes };
  }

  const NOTHING = new Uint8Array(0);
  const frame = (length: number, number: number, ...body: readonly number[]): Uint8Array => {
    const head = Buffer.alloc(8);
    head.writeUInt32BE(length, 0);
    head.writeUInt32BE(number, 4);
    return Uint8Array.from([...head, ...body]);
  };

  it('knows that the other has ended', () => {
    const { caller, reads, writes } = opened();
    closeSync(writes);
    expect(caller.exchange(NOTHING, bytes('x'), 10_000)).toEqual({ kind: 'gone', why: 'the bridge ended' });
    closeSync(reads);
    expect(caller.exchange(NOTHING, bytes('x'), 10_000).kind).toBe('gone');
  });

  it('knows that nobody reads, at once or for too long', () => {
    const first = opened();
    closeSync(first.reads);
    expect(first.caller.exchange(NOTHING, bytes('x'), 10_000)).toMatchObject({
      why: 'the bridge does not read',
    });
    closeSync(first.writes);
    const { caller, reads, writes } = opened();
    const began = monotonicMs();
    expect(caller.exchange(NOTHING, new Uint8Array(200_000), 100)).toMatchObject({
      why: 'the bridge does not read',
    });
    expect(monotonicMs() - began).toBeLessThan(20_000);
    for (const descriptor of [reads, writes]) closeSync(descriptor);
  });

  it.each([
    ['an end in a frame', frame(5, 1, 1, 2), 'the bridge ended in a frame'],
    ['an end in a header', frame(5, 1).subarray(0, 3), 'the bridge ended'],
    ['a frame beyond the limit', frame(1_001, 1), 'the bridge announced a frame beyond the limit'],
  ])('takes %s for what it is', (_, written, why) => {
    const { caller, reads, writes } = opened();
    writeSync(writes, written);
    closeSync(writes);
    expect(caller.exchange(NOTHING, bytes('x'), 10_000)).toEqual({ kind: 'gone', why });
    closeSync(reads);
  });

  it('is silent for no longer than it may be', () => {
    const { caller, reads, writes } = opened();
    expect(caller.exchange(NOTHING, bytes('x'), 50)).toEqual({ kind: 'silent' });
    writeSync(writes, frame(1, 1, 9));
    writeSync(writes, frame(1, 2, 8));
    expect(caller.exchange(NOTHING, bytes('y'), 10_000)).toEqual({ kind: 'reply', body: Uint8Array.of(8) });
    for (const descriptor of [reads, writes]) closeSync(descriptor);
  });

  it('hangs up on frames beyond the limit', async () => {
    const paths = fifos();
    const replies = openFifo(paths.replies, 'read');
    const end = new FifoEnd(
      paths,
      100,
      async (request) => request,
      () => {},
    );
    const caller = new FifoCaller(openFifo(paths.requests, 'write'), replies, 1_000, monotonicMs);
    ends.push(() => caller.end());
    const asked = caller.exchange(NOTHING, new Uint8Array(placeBytes(100) + 1), 0);
    expect(asked.kind).toBe('silent');
    await expect.poll(() => caller.exchange(NOTHING, bytes('x'), 0).kind).toBe('gone');
    end.end();
  });
});
