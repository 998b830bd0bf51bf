/**
 * Preimages on a node side: whoever brings them is answered once they are on the disk and in front of all that is asked next, and
 * they reach the signer across refusals, lost links and restarts.
 */
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeFrame, FrameSocket, type LinkAnswer, LinkError } from '@countersign/transport';
import { decodeMessage, encodeMessage, MESSAGES } from '@countersign/wire';
import fc from 'fast-check';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import type { DoorLogLevel } from '../src/door.ts';
import { openFeedSocket } from '../src/remote/feed-socket.ts';
import { HeldValues } from '../src/remote/held-values.ts';
import { LIGHTNINGD } from '../src/remote/introduction.ts';
import { openHeldValues, PreimageDesk, preimagesIn } from '../src/remote/preimages.ts';
import { FakeLink, refusedBy } from './fake-link.ts';

const directory = mkdtempSync(join(tmpdir(), 'countersign-held-'));
let files = 0;
const fresh = (): string => join(directory, `held-${files++}`);
const value = (n: number): Uint8Array => new Uint8Array(32).fill(n + 1);
const valuesOf = (...numbers: number[]): Uint8Array[] => numbers.map(value);
const messageOf = (...numbers: number[]): Uint8Array =>
  encodeMessage({ name: 'countersign_preimages', preimages: valuesOf(...numbers) });
const replyOf = (learned: number): LinkAnswer => ({
  kind: 'reply',
  body: encodeMessage({ name: 'countersign_preimages_reply', learned }),
});
function learnedIn(body: Uint8Array | null): number | string {
  const decoded = decodeMessage(body ?? new Uint8Array(0), 'reply');
  if (!decoded.ok) return decoded.error.message;
  const { message } = decoded;
  return message.name === 'countersign_preimages_reply' ? message.learned : message.name;
}
/** Without a word until the test gives it. */
function later<T>() {
  const waiting: ((given: T) => void)[] = [];
  return { ask: () => new Promise<T>((resolve) => waiting.push(resolve)), waiting };
}
function deskOn(link: FakeLink, held: HeldValues | null) {
  const logged: [DoorLogLevel, string][] = [];
  const desk = new PreimageDesk({ link, held, log: (level, text) => logged.push([level, text]) });
  return { desk, logged };
}

afterEach(() => {
  vi.useRealTimers();
});

describe('the file', () => {
  it('is its owner’s alone, and of one size from the beginning', () => {
    const path = fresh();
    const held = HeldValues.open(path, 8);
    const { mode, size } = statSync(path);
    expect([mode & 0o777, size]).toEqual([0o600, 8 * 64]);
    held.hold(valuesOf(1, 2));
    expect(statSync(path).size).toBe(size);
    held.close();
  });

  it('has what was held after a process that ended without a word', () => {
    const path = fresh();
    const held = HeldValues.open(path, 8);
    held.hold(valuesOf(1, 2));
    held.hold(valuesOf(3));
    const next = HeldValues.open(path, 8);
    expect(next.left).toEqual(valuesOf(1, 2, 3));
    held.close();
    next.close();
  });

  it('takes nothing new in the place of what is left, until that is brought', () => {
    const path = fresh();
    HeldValues.open(path, 4).hold(valuesOf(1));
    const held = HeldValues.open(path, 4);
    expect(held.hold(valuesOf(2))).toBeNull();
    held.leftIsBrought();
    expect(held.hold(valuesOf(2))).not.toBeNull();
    expect(HeldValues.open(path, 4).left).toEqual(valuesOf(2));
  });

  it('has no more places than it has, and gives them back in order', () => {
    const held = HeldValues.open(fresh(), 4);
    const [first, second] = [held.hold(valuesOf(1, 2)), held.hold(valuesOf(3))];
    expect(held.hold(valuesOf(4, 5))).toBeNull();
    second!();
    expect(held.hold(valuesOf(4, 5))).toBeNull();
    first!();
    expect(held.hold(valuesOf(4, 5, 6, 7))).not.toBeNull();
    expect(held.hold(valuesOf(8))).toBeNull();
    held.close();
  });

  it('loses nothing that is not brought, whatever comes and goes', () => {
    const size = 5;
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(4), fc.boolean()), { maxLength: 30 }), (steps) => {
        const path = fresh();
        const held = HeldValues.open(path, size);
        const out: { numbers: number[]; brought: () => void }[] = [];
        let next = 0;
        for (const [count, isBringing] of steps) {
          if (isBringing) out.splice(count % (out.length || 1), 1)[0]?.brought();
          else {
            const numbers = Array.from({ length: count }, () => next++ % 200);
            const brought = held.hold(valuesOf(...numbers));
            if (brought !== null) out.push({ numbers, brought });
          }
        }
        held.close();
        const again = HeldValues.open(path, size);
        const found = new Set(again.left.map(([first]) => first! - 1));
        again.close();
        for (const { numbers } of out) for (const number of numbers) expect(found).toContain(number);
      }),
      { numRuns: 60 },
    );
  });

  it('a place that was half written holds nothing', () => {
    const path = fresh();
    HeldValues.open(path, 4).hold(valuesOf(1, 2));
    const bytes = readFileSync(path);
    bytes[64] = 0xff;
    writeFileSync(path, bytes);
    expect(HeldValues.open(path, 4).left).toEqual(valuesOf(1));
    truncateSync(path, 70);
    expect(HeldValues.open(path, 4).left).toEqual(valuesOf(1));
    expect(statSync(path).size).toBe(4 * 64);
  });

  it('one that can’t be made is said, and nothing is held', () => {
    const logged: string[] = [];
    const file = fresh();
    writeFileSync(file, '');
    expect(openHeldValues(join(file, 'held'), (_, text) => logged.push(text))).toBeNull();
    expect(logged.join()).toContain('lightningd will wait for the signer');
  });
});

describe('whoever brings preimages', () => {
  it('is answered while the signer is silent: they are held, and were asked in the same turn', async () => {
    const { ask, waiting } = later<LinkAnswer>();
    const link = new FakeLink(ask);
    const path = fresh();
    const { desk } = deskOn(link, HeldValues.open(path, 8));
    const taken = desk.take(messageOf(1, 2), valuesOf(1, 2));
    expect(link.asked).toEqual([{ client: LIGHTNINGD, body: messageOf(1, 2) }]);
    expect(learnedIn(await taken)).toBe(2);
    expect(HeldValues.open(path, 8).left).toEqual(valuesOf(1, 2));
    expect(waiting).toHaveLength(1);
    desk.close();
  });

  it('waits for the signer where nothing more can be held, and is told what that says', async () => {
    const { ask, waiting } = later<LinkAnswer>();
    const link = new FakeLink(ask);
    const { desk } = deskOn(link, HeldValues.open(fresh(), 1));
    const settled = vi.fn();
    const taken = desk.take(messageOf(1, 2), valuesOf(1, 2)).finally(settled);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(settled).not.toHaveBeenCalled();
    waiting[0]!(replyOf(1));
    expect(learnedIn(await taken)).toBe(1);
    desk.close();
  });

  it('has room again once the signer has answered', async () => {
    const link = new FakeLink(() => replyOf(0));
    const { desk } = deskOn(link, HeldValues.open(fresh(), 1));
    for (let n = 0; n < 5; n++) {
      expect(learnedIn(await desk.take(messageOf(n), valuesOf(n)))).toBe(1);
      await new Promise((resolve) => setImmediate(resolve));
    }
    desk.close();
  });

  it('of a file that can’t be written any more waits for the signer, and the log says it once', async () => {
    const held = HeldValues.open(fresh(), 8);
    const { desk, logged } = deskOn(new FakeLink(() => replyOf(3)), held);
    held.close();
    for (let n = 0; n < 2; n++) expect(learnedIn(await desk.take(messageOf(n), valuesOf(n)))).toBe(3);
    expect(logged).toEqual([['unusual', expect.stringContaining('cannot be held')]]);
  });
});

describe('what is held', () => {
  it('is asked again after each no, until the signer has it', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout'] });
    const answers: LinkAnswer[] = [
      refusedBy({ code: 'not-initialized', temporary: true }),
      refusedBy({ code: 'store-failed', tag: 'store-io', text: 'disk full' }),
      refusedBy({ code: 'store-failed', tag: 'store-io', text: 'disk full' }),
      replyOf(1),
    ];
    const link = new FakeLink(async () => {
      await new Promise((resolve) => setImmediate(resolve));
      await new Promise((resolve) => setImmediate(resolve));
      return answers.shift()!;
    });
    const held = HeldValues.open(fresh(), 1);
    const { desk, logged } = deskOn(link, held);
    await desk.take(messageOf(1), valuesOf(1));
    for (let i = 0; i < 20; i++) {
      await vi.advanceTimersByTimeAsync(500);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(link.asked.map(({ body }) => preimagesIn(body))).toEqual(Array(4).fill(valuesOf(1)));
    expect(held.hold(valuesOf(2))).not.toBeNull();
    expect(logged.map(([, text]) => text)).toEqual([
      expect.stringContaining('policy-test'),
      expect.stringContaining('disk full'),
    ]);
  });

  it('has no place in a queue that is full: nobody is answered before the signer has it', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout'] });
    let isFull = true;
    const link = new FakeLink(() => {
      if (isFull) throw new LinkError('link-queue-full', 'no');
      return replyOf(1);
    });
    const { desk } = deskOn(link, HeldValues.open(fresh(), 8));
    const settled = vi.fn();
    const taken = desk.take(messageOf(1), valuesOf(1)).finally(settled);
    await vi.advanceTimersByTimeAsync(1_000);
    await new Promise((resolve) => setImmediate(resolve));
    expect(settled).not.toHaveBeenCalled();
    isFull = false;
    await vi.advanceTimersByTimeAsync(2_000);
    expect(learnedIn(await taken)).toBe(1);
    desk.close();
  });

  it('a link that is closed ends it: what is held comes after the next start', async () => {
    const silence = Promise.withResolvers<LinkAnswer>();
    const held = HeldValues.open(fresh(), 1);
    const { desk } = deskOn(new FakeLink(() => silence.promise), held);
    await desk.take(messageOf(1), valuesOf(1));
    silence.reject(new LinkError('link-closed', 'no'));
    await new Promise((resolve) => setImmediate(resolve));
    expect(held.hold(valuesOf(2))).toBeNull();
    desk.close();
  });

  it('is not asked again after the end', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout'] });
    const link = new FakeLink(async () => {
      await new Promise((resolve) => setTimeout(resolve, 10));
      return refusedBy({});
    });
    const { desk } = deskOn(link, HeldValues.open(fresh(), 1));
    await desk.take(messageOf(1), valuesOf(1));
    desk.close();
    for (let i = 0; i < 20; i++) {
      await vi.advanceTimersByTimeAsync(500);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(link.asked).toHaveLength(1);
  });

  it('is brought after a start, in front of everything else', async () => {
    const path = fresh();
    HeldValues.open(path, 4).hold(valuesOf(1, 2));
    const link = new FakeLink(() => replyOf(1));
    const held = HeldValues.open(path, 4);
    const { desk } = deskOn(link, held);
    desk.begin();
    expect(link.asked.map(({ body }) => preimagesIn(body))).toEqual([valuesOf(1, 2)]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(held.left).toEqual([]);
    expect(learnedIn(await desk.take(messageOf(3), valuesOf(3)))).toBe(1);
    desk.close();
  });

  it('nothing left, nothing asked', () => {
    const link = new FakeLink(() => replyOf(0));
    deskOn(link, HeldValues.open(fresh(), 4)).desk.begin();
    deskOn(link, null).desk.begin();
    expect(link.asked).toEqual([]);
  });
});

describe('node.sock of a node side', () => {
  async function fed(frames: readonly Uint8Array[], link: FakeLink) {
    const path = join(directory, `n${files++}.sock`);
    const { desk } = deskOn(link, HeldValues.open(fresh(), 8));
    const bugs: unknown[] = [];
    const listener = await openFeedSocket({ path, link, preimages: desk, onBug: (bug) => bugs.push(bug) });
    const socket = connect(path);
    const answers: Uint8Array[] = [];
    const all = new Promise<void>((resolve) => {
      new FrameSocket(socket).start({
        frame: (body) => {
          answers.push(body);
          if (answers.length === frames.length) resolve();
        },
        closed: () => resolve(),
      });
    });
    for (const frame of frames) socket.write(encodeFrame(frame));
    await all;
    socket.destroy();
    await listener.close();
    desk.close();
    return { answers, bugs };
  }

  it('preimages are taken at once, each message in its turn', async () => {
    const link = new FakeLink(() => new Promise(() => {}));
    const { answers, bugs } = await fed([messageOf(1), messageOf(), messageOf(2, 3)], link);
    expect(answers.map(learnedIn)).toEqual([1, 0, 2]);
    expect(link.asked.map(({ client }) => client)).toEqual([LIGHTNINGD, LIGHTNINGD, LIGHTNINGD]);
    expect(bugs).toEqual([]);
  });

  it('what is no such message, or none that can be read, is the signer’s to refuse', async () => {
    const broken = messageOf(1).subarray(0, 20);
    const other = encodeMessage({ name: 'countersign_chain_tip' });
    const link = new FakeLink(() => refusedBy({ text: 'no' }));
    const { answers } = await fed([broken, other], link);
    expect(answers.map(learnedIn)).toEqual(['vls_signer_error', 'vls_signer_error']);
    expect(link.asked.map(({ client }) => client.permissions)).toEqual([0n, 0n]);
    expect(preimagesIn(Uint8Array.of(MESSAGES.countersign_preimages.number >> 8))).toBeNull();
  });
});

afterAll(() => rmSync(directory, { recursive: true }));
