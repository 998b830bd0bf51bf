import { closeSync, readSync, writeSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import {
  type ConnectionEnd,
  encodeFrame,
  type FrameHandler,
  FrameSocket,
  type FrameSocketOptions,
  readFrameBlocking,
  setBlocking,
  socketPair,
  writeFrameBlocking,
} from '../src/index.ts';

/** A frame socket on one end of a pair; the peer's end is a plain descriptor the test owns. */
function connected(options: FrameSocketOptions = {}): { frames: FrameSocket; peer: number } {
  const [ours, peer] = socketPair();
  return { frames: FrameSocket.fromDescriptor(ours, options), peer };
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function until(condition: () => boolean): Promise<void> {
  for (const endMs = performance.now() + 30_000; !condition() && performance.now() < endMs; ) await pause(2);
  expect(condition()).toBe(true);
}

/** Start with this frame handler; the promise tells how the connection ended. */
function run(frames: FrameSocket, frame: FrameHandler['frame']): Promise<ConnectionEnd> {
  return new Promise((resolve) => frames.start({ frame, closed: resolve }));
}

function errorCode(end: ConnectionEnd): string | undefined {
  return end.how === 'failed' && 'code' in end.error ? String(end.error.code) : undefined;
}

describe('FrameSocket', () => {
  it('answers requests in order and tells a hang-up between frames apart', async () => {
    const { frames, peer } = connected();
    let answers = 0;
    const ended = run(frames, async (body) => {
      await pause(1);
      frames.send(Uint8Array.of(...body, 0xff));
      answers += 1;
    });
    for (const n of [1, 2, 3]) writeFrameBlocking(peer, Uint8Array.of(n));
    // Reading below holds this thread up, which is to write first.
    await until(() => answers === 3 && frames.sendQueueBytes === 0);
    expect([1, 2, 3].map(() => [...(readFrameBlocking(peer) ?? [])])).toEqual([
      [1, 0xff],
      [2, 0xff],
      [3, 0xff],
    ]);
    closeSync(peer);
    expect(await ended).toEqual({ how: 'hung-up' });
    expect(frames.isOpen).toBe(false);
  });

  it('hands over no more requests than the limit, and then all of them', async () => {
    const { frames, peer } = connected({ requestsOutstandingMax: 2 });
    const settle: (() => void)[] = [];
    let most = 0;
    let handed = 0;
    let open = 0;
    void run(frames, () => {
      handed += 1;
      open += 1;
      most = Math.max(most, open);
      return new Promise<void>((resolve) =>
        settle.push(() => {
          open -= 1;
          resolve();
        }),
      );
    });
    for (let n = 0; n < 50; n += 1) writeFrameBlocking(peer, Uint8Array.of(n));
    await until(() => handed === 2);
    await pause(20);
    expect(handed).toBe(2);
    while (handed < 50 || settle.length > 0) {
      settle.shift()?.();
      await pause(0);
    }
    expect(most).toBe(2);
    await frames.close();
    closeSync(peer);
  });

  it('stops reading from a peer that runs ahead: its socket fills', async () => {
    const { frames, peer } = connected({ requestsOutstandingMax: 1 });
    void run(frames, () => new Promise<void>(() => {}));
    const flood = FrameSocket.fromDescriptor(peer, { sendQueueBytesMax: 64 * 1024 * 1024 });
    for (let n = 0; n < 40; n += 1) flood.send(new Uint8Array(100_000));
    await pause(100);
    expect(flood.sendQueueBytes).toBeGreaterThan(3_000_000);
    frames.destroy();
    flood.destroy();
  });

  it('hands over nothing while replies pile up, and gives up at the limit', async () => {
    const { frames, peer } = connected({ sendQueuePauseBytes: 1_000_000, sendQueueBytesMax: 3_000_000 });
    let handed = 0;
    const ended = run(frames, () => {
      handed += 1;
      frames.send(new Uint8Array(400_000));
    });
    for (let n = 0; n < 20; n += 1) writeFrameBlocking(peer, Uint8Array.of(n));
    await until(() => handed > 1);
    await pause(50);
    expect(handed).toBeLessThan(6);
    while (frames.send(new Uint8Array(400_000)));
    expect(errorCode(await ended)).toBe('send-queue-full');
    expect(frames.send(Uint8Array.of(1))).toBe(false);
    closeSync(peer);
  });

  it('resumes when the peer reads its replies', async () => {
    const { frames, peer } = connected({ sendQueuePauseBytes: 1_000_000 });
    let handed = 0;
    void run(frames, () => {
      handed += 1;
      frames.send(new Uint8Array(400_000));
    });
    const client = FrameSocket.fromDescriptor(peer);
    for (let n = 0; n < 20; n += 1) client.send(Uint8Array.of(n));
    await pause(50);
    const before = handed;
    let replies = 0;
    void run(client, () => {
      replies += 1;
    });
    await until(() => replies === 20);
    expect(before).toBeLessThan(20);
    client.destroy();
    frames.destroy();
  });

  it('ends with frame-truncated when the peer hangs up inside a frame', async () => {
    const { frames, peer } = connected();
    const ended = run(frames, () => {});
    writeSync(peer, Uint8Array.of(0, 0, 0, 9, 1, 2));
    closeSync(peer);
    expect(errorCode(await ended)).toBe('frame-truncated');
  });

  it('ends with frame-too-large on a lying header, after the frames before it', async () => {
    const { frames, peer } = connected({ frameBytesMax: 100 });
    const got: number[] = [];
    const ended = run(frames, (body) => {
      got.push(body.length);
    });
    writeSync(peer, Uint8Array.of(...encodeFrame(new Uint8Array(100)), 0, 0, 0, 101));
    expect(errorCode(await ended)).toBe('frame-too-large');
    expect(got).toEqual([100]);
    closeSync(peer);
  });

  it.each([
    [
      'throws',
      () => {
        throw new RangeError('boom');
      },
    ],
    ['rejects', () => Promise.reject(new RangeError('boom'))],
  ])('ends the connection when a handler %s', async (_, frame) => {
    const { frames, peer } = connected();
    const ended = run(frames, frame);
    writeFrameBlocking(peer, Uint8Array.of(1));
    const end = await ended;
    expect(end.how === 'failed' && end.error).toBeInstanceOf(RangeError);
    closeSync(peer);
  });

  it('still answers requests that came before a hang-up, and reports the hang-up at once', async () => {
    const { frames, peer } = connected();
    const order: string[] = [];
    const ended = new Promise<ConnectionEnd>((resolve) =>
      frames.start({
        frame: async () => {
          await pause(30);
          order.push('answered');
        },
        hungUp: () => order.push('hung-up'),
        closed: resolve,
      }),
    );
    writeFrameBlocking(peer, Uint8Array.of(1));
    writeFrameBlocking(peer, Uint8Array.of(2));
    closeSync(peer);
    expect(await ended).toEqual({ how: 'hung-up' });
    expect(order).toContain('hung-up');
    expect(order.filter((what) => what === 'answered')).toHaveLength(2);
  });

  it('holds later frames until the action of sendThen is done', async () => {
    const { frames, peer } = connected();
    void run(frames, () => {});
    const order: string[] = [];
    const passed = frames.sendThen(Uint8Array.of(1), async () => {
      order.push('kernel has it');
      expect([...(readFrameBlocking(peer) ?? [])]).toEqual([1]);
      await pause(20);
      order.push('action done');
      setBlocking(peer, 'non-blocking');
      expect(() => readSync(peer, new Uint8Array(1))).toThrow(/EAGAIN/);
      setBlocking(peer, 'blocking');
    });
    frames.send(Uint8Array.of(2));
    frames.send(Uint8Array.of(3));
    expect(frames.sendQueueBytes).toBe(15);
    await passed;
    await until(() => frames.sendQueueBytes === 0);
    order.push('later frames');
    expect(order).toEqual(['kernel has it', 'action done', 'later frames']);
    expect([...(readFrameBlocking(peer) ?? [])]).toEqual([2]);
    expect([...(readFrameBlocking(peer) ?? [])]).toEqual([3]);
    closeSync(peer);
  });

  it('rejects sendThen when the connection ends first or is closed already', async () => {
    const { frames, peer } = connected();
    void run(frames, () => {});
    let ran = 0;
    const first = frames.sendThen(new Uint8Array(3_000_000), () => {
      ran += 1;
    });
    const second = frames.sendThen(Uint8Array.of(1), () => {
      ran += 1;
    });
    frames.destroy();
    await expect(first).rejects.toMatchObject({ code: 'connection-closed' });
    await expect(second).rejects.toMatchObject({ code: 'connection-closed' });
    await expect(frames.sendThen(Uint8Array.of(1), () => {})).rejects.toMatchObject({
      code: 'connection-closed',
    });
    expect(ran).toBe(0);
    expect(frames.signal.aborted).toBe(true);
    closeSync(peer);
  });

  it('close lets queued frames leave, delivers no further request, and ends as closed', async () => {
    const { frames, peer } = connected();
    let handed = 0;
    const ended = run(frames, () => {
      handed += 1;
    });
    const client = FrameSocket.fromDescriptor(peer);
    frames.send(new Uint8Array(2_000_000));
    const closing = frames.close();
    expect(frames.send(Uint8Array.of(1))).toBe(false);
    client.send(Uint8Array.of(7));
    const got: number[] = [];
    const clientEnded = run(client, (body) => {
      got.push(body.length);
    });
    await Promise.all([closing, frames.close()]);
    expect(await ended).toEqual({ how: 'closed' });
    expect((await clientEnded).how).toBe('hung-up');
    expect(got).toEqual([2_000_000]);
    expect(handed).toBe(0);
  });

  it('close does not wait longer than told for a peer that does not read', async () => {
    const { frames, peer } = connected();
    const ended = run(frames, () => {});
    frames.send(new Uint8Array(2_000_000));
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const closing = frames.close(50);
    vi.advanceTimersByTime(50);
    vi.useRealTimers();
    await closing;
    expect(await ended).toEqual({ how: 'closed' });
    closeSync(peer);
  });

  it('gives requests as a loop; leaving it closes the connection', async () => {
    const { frames, peer } = connected({ requestsOutstandingMax: 2 });
    for (const n of [1, 2, 3, 4]) writeFrameBlocking(peer, Uint8Array.of(n));
    const got: number[] = [];
    for await (const body of frames.frames()) {
      got.push(body[0]!);
      if (got.length === 3) break;
    }
    expect(got).toEqual([1, 2, 3]);
    await until(() => !frames.isOpen);
    closeSync(peer);
  });

  it('the loop ends at a hang-up and throws a failure', async () => {
    for (const [bytes, fails] of [
      [[0, 0, 0, 1, 5], false],
      [[0, 0, 0, 2, 5], true],
    ] as const) {
      const { frames, peer } = connected();
      writeSync(peer, Uint8Array.from(bytes));
      closeSync(peer);
      const loop = (async () => {
        for await (const body of frames.frames()) expect([...body]).toEqual([5]);
      })();
      if (fails) await expect(loop).rejects.toMatchObject({ code: 'frame-truncated' });
      else await loop;
    }
  });

  it('refuses to send a body above the limit', async () => {
    const { frames, peer } = connected({ frameBytesMax: 10 });
    expect(() => frames.send(new Uint8Array(11))).toThrow(/longer than the limit/);
    expect(frames.sendQueueBytes).toBe(0);
    await frames.close();
    closeSync(peer);
  });
});
