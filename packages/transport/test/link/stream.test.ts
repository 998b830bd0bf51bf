import { Duplex } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { LinkClock } from '../../src/link/clock.ts';
import type { LinkError } from '../../src/link/error.ts';
import { encodeLinkFrame, type LinkFrame } from '../../src/link/frames.ts';
import { LINK_LIMITS, type LinkLimits } from '../../src/link/limits.ts';
import { LinkStream } from '../../src/link/stream.ts';
import { bytes, channel } from './harness.ts';

/** A clock that the test moves; what is due fires in order. */
class Hand implements LinkClock {
  #nowMs = 0;
  #timers: { atMs: number; run: () => void }[] = [];
  nowMs = (): number => this.#nowMs;
  monotonicMs = (): number => this.#nowMs;
  after(delayMs: number, run: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer);
    };
  }
  /** Like a process that sleeps when `isSleep`: nothing fires before the end of it. */
  move(byMs: number, isSleep = false): void {
    const endMs = this.#nowMs + byMs;
    if (isSleep) this.#nowMs = endMs;
    for (;;) {
      const due = this.#timers.filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      this.#timers = this.#timers.filter((one) => one !== due);
      this.#nowMs = Math.max(this.#nowMs, due.atMs);
      due.run();
    }
    this.#nowMs = endMs;
  }
  get waiting(): number {
    return this.#timers.length;
  }
}

function open(limits: Partial<LinkLimits> = {}, isReading = true) {
  const written: Buffer[] = [];
  const frames: LinkFrame[] = [];
  const ends: LinkError[] = [];
  const socket = new Duplex({
    read: () => {},
    write: (chunk: Buffer, _encoding, done) => {
      written.push(chunk);
      if (isReading) done();
    },
  });
  const clock = new Hand();
  const all = { ...LINK_LIMITS, pingMs: 1_000, silenceMs: 3_000, ...limits };
  const stream = new LinkStream(socket, all, clock, {
    frame: (frame) => void frames.push(frame),
    closed: (reason) => ends.push(reason),
  });
  const feed = (...more: LinkFrame[]): boolean =>
    socket.emit('data', Buffer.concat(more.map(encodeLinkFrame)));
  return { stream, socket, clock, written, frames, ends, feed };
}

const codes = (ends: readonly LinkError[]): string[] =>
  ends.map(({ code, facts }) => `${code} ${facts.reason ?? ''}`);

describe('a connection', () => {
  it('asks for a sign of life, and is dead without one', () => {
    const { clock, written, ends, socket } = open();
    clock.move(3_000);
    expect(written).toHaveLength(3);
    expect(ends).toEqual([]);
    clock.move(1_000);
    expect(codes(ends)).toEqual(['link-silent ']);
    expect(socket.destroyed).toBe(true);
    expect(clock.waiting).toBe(0);
  });

  it('gives signs of life also while it only listens: a long frame on a slow line', () => {
    const { clock, written, ends, socket } = open();
    const long = encodeLinkFrame({
      kind: 'request',
      id: 1,
      asker: { kind: 'client', client: channel(1) },
      body: new Uint8Array(100_000),
    });
    for (let at = 0; at < 10_000; at += 200) {
      socket.emit('data', long.subarray(at, at + 200));
      clock.move(200);
    }
    expect(ends).toEqual([]);
    expect(written.length).toBeGreaterThanOrEqual(8);
  });

  it('lives as long as anything comes, and answers pings', () => {
    const { clock, written, ends, feed, frames } = open();
    for (let second = 0; second < 20; second++) {
      clock.move(1_000);
      feed({ kind: second % 2 === 0 ? 'pong' : 'ping', nonce: second });
    }
    expect(ends).toEqual([]);
    expect(frames).toEqual([]);
    expect(written.filter((frame) => frame[4] === 11)).toHaveLength(10);
  });

  it('of a process that slept is not judged by its sleep', () => {
    const { clock, ends, feed } = open();
    clock.move(60_000, true);
    expect(ends).toEqual([]);
    feed({ kind: 'pong', nonce: 1 });
    clock.move(2_000);
    expect(ends).toEqual([]);
  });

  it('is given up when the other side does not read', () => {
    const { stream, ends } = open({ sendBytesMax: 10_000 }, false);
    const frame = encodeLinkFrame({
      kind: 'request',
      id: 1,
      asker: { kind: 'client', client: channel(1) },
      body: new Uint8Array(3_000),
    });
    for (let count = 0; count < 5; count++) stream.send(frame);
    expect(codes(ends)).toEqual(['link-not-read ']);
    expect(stream.isOpen).toBe(false);
    stream.bye('closing');
  });

  it('gives no signs of life to one that asks for many and reads none', () => {
    const { feed, stream, socket } = open({}, false);
    for (let count = 0; count < 20_000; count++) feed({ kind: 'ping', nonce: count });
    expect(stream.isOpen).toBe(true);
    expect(socket.writableLength).toBeLessThan(70_000);
  });

  it('ends with a last word, which does not take for ever', () => {
    const { stream, socket, written, ends, clock, feed, frames } = open({}, false);
    stream.bye('replaced');
    expect(codes(ends)).toEqual(['link-ended replaced']);
    expect(written).toHaveLength(1);
    feed({ kind: 'ack', ids: [1] });
    expect(frames).toEqual([]);
    expect(socket.destroyed).toBe(false);
    clock.move(500);
    expect(socket.destroyed).toBe(true);
    expect(ends).toHaveLength(1);
  });

  it('ends by the other side’s word, its hanging up, a fault of the line, or bytes that are no frame', async () => {
    const said = open();
    said.feed({ kind: 'bye', reason: 'revoked' });
    const hungUp = open();
    hungUp.socket.emit('end');
    const broken = open();
    broken.socket.destroy(new Error('reset'));
    const closed = open();
    closed.socket.destroy();
    const garbage = open();
    garbage.socket.emit('data', bytes('hello, who is there?'));
    await new Promise((resolve) => setImmediate(resolve));
    expect([said, hungUp, broken, closed, garbage].flatMap(({ ends }) => codes(ends))).toEqual([
      'link-ended revoked',
      'link-ended hung up',
      'link-ended broken',
      'link-ended broken',
      'link-protocol ',
    ]);
  });

  it('takes nothing more after what ended it, and does not hide a bug of ours', () => {
    const { feed, frames, stream } = open();
    feed({ kind: 'ack', ids: [1] }, { kind: 'bye', reason: 'closing' }, { kind: 'ack', ids: [2] });
    expect(frames).toHaveLength(1);
    expect(stream.isOpen).toBe(false);
    const socket = new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() });
    const buggy = new LinkStream(socket, LINK_LIMITS, new Hand(), {
      frame: () => {
        throw new TypeError('bug');
      },
      closed: () => {},
    });
    expect(() => socket.emit('data', encodeLinkFrame({ kind: 'ack', ids: [] }))).toThrow(TypeError);
    expect(buggy.isOpen).toBe(false);
  });
});
