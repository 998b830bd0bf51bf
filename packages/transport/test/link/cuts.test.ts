import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LinkLimits } from '../../src/link/limits.ts';
import type { LinkAnswer } from '../../src/link/protocol.ts';
import {
  BRISK,
  bytes,
  Cleanup,
  channel,
  dial,
  Echo,
  introduce,
  listen,
  MASTER,
  QUICK,
  Side,
  text,
} from './harness.ts';
import { WireProxy } from './wire-proxy.ts';

let cleanup: Cleanup;
let node: Side;
let signer: Side;
beforeEach(() => {
  cleanup = new Cleanup();
  node = new Side(cleanup);
  signer = new Side(cleanup);
  introduce(node, signer);
});
afterEach(() => cleanup.run());

async function line(limits: Partial<LinkLimits> = QUICK) {
  const link = await listen(cleanup, node, { limits });
  const proxy = await WireProxy.open(link.port);
  cleanup.add(() => proxy.close());
  return { link, proxy };
}

const wordsOf = (answer: LinkAnswer): string => (answer.kind === 'reply' ? text(answer.body) : 'refused');

describe('a line that breaks', () => {
  it('thirty times at random under load, cut, silent or slow: every request is decided once and answered', async () => {
    const { link, proxy } = await line(BRISK);
    const handler = new Echo();
    handler.answer = async (_client, body) => {
      await sleep(Math.random() * 4);
      return { kind: 'reply', body };
    };
    dial(cleanup, signer, proxy.port, handler, { limits: BRISK });
    let isOver = false;
    let asked = 0;
    const load = Array.from({ length: 8 }, async (_, index) => {
      for (let count = 0; !isOver || count < 20; count++) {
        const words = `${index}:${count}:${'x'.repeat(randomBytes(1)[0]! * 8)}`;
        asked++;
        expect(wordsOf(await link.ask(channel(index), bytes(words)))).toBe(words);
      }
    });
    for (let round = 0; round < 30; round++) {
      await sleep(10 + Math.random() * 30);
      if (round % 10 === 3) proxy.silence();
      else if (round % 10 === 6) proxy.delay(30);
      else if (round % 10 === 8) proxy.delay(0);
      else proxy.cut();
    }
    isOver = true;
    await Promise.all(load);
    expect(handler.asked).toHaveLength(asked);
    expect(new Set(handler.asked).size).toBe(asked);
    expect(proxy.connections).toBeGreaterThan(5);
    // Of each channel in the order it was asked.
    for (let index = 0; index < 8; index++) {
      const counts = handler.asked
        .filter((one) => one.startsWith(`${index}:`))
        .map((one) => Number(one.split(':')[2]));
      expect(counts).toEqual(counts.map((_, count) => count));
    }
  });

  it('without a word is noticed by both sides, and made anew', async () => {
    const { link, proxy } = await line(BRISK);
    const handler = new Echo();
    dial(cleanup, signer, proxy.port, handler, { limits: BRISK });
    await link.ask(MASTER, bytes('1'));
    proxy.silence();
    const waiting = link.ask(MASTER, bytes('2'));
    expect(wordsOf(await waiting)).toBe('2');
    expect(handler.asked).toEqual(['0:1', '0:2']);
    const reasons = [...node.events, ...signer.events].flatMap(({ facts }) => [facts.reason, facts.code]);
    expect(reasons).toContain('link-silent');
  });

  it('to a process that was greeted is not greeted again', async () => {
    let greetings = 0;
    const link = await listen(cleanup, node, {
      greet: async (ask) => {
        greetings++;
        await ask(MASTER, bytes('init'));
      },
    });
    const proxy = await WireProxy.open(link.port);
    cleanup.add(() => proxy.close());
    const handler = new Echo();
    dial(cleanup, signer, proxy.port, handler);
    await link.ask(MASTER, bytes('1'));
    proxy.cut();
    await expect.poll(() => proxy.connections).toBe(2);
    await link.ask(MASTER, bytes('2'));
    expect(handler.asked).toEqual(['0:init', '0:1', '0:2']);
    expect(greetings).toBe(1);
  });

  it('while the answer is being decided brings the same answer, and no second decision', async () => {
    const { link, proxy } = await line();
    const handler = new Echo();
    let settle: (answer: LinkAnswer) => void = () => {};
    handler.answer = () =>
      new Promise((resolve) => {
        settle = resolve;
      });
    const limits = { ...QUICK, redialMs: 300, redialMsMax: 300 };
    const remote = dial(cleanup, signer, proxy.port, handler, { limits });
    const waiting = link.ask(MASTER, bytes('1'));
    await expect.poll(() => handler.asked.length).toBe(1);
    const down = new Promise<void>((resolve) => void link.onState((state) => state === 'down' && resolve()));
    proxy.cut();
    await down;
    settle({ kind: 'reply', body: bytes('once') });
    expect(wordsOf(await waiting)).toBe('once');
    expect(handler.asked).toEqual(['0:1']);
    await expect.poll(() => remote.pending).toBe(0);
  });

  it('for a time that nobody notices, when it is slow for less than the silence allowed', async () => {
    const { link, proxy } = await line();
    dial(cleanup, signer, proxy.port, new Echo());
    await link.ask(MASTER, bytes('1'));
    proxy.delay(150);
    const startedMs = performance.now();
    await link.ask(MASTER, bytes('2'));
    expect(performance.now() - startedMs).toBeGreaterThan(290);
    await sleep(500);
    expect(proxy.connections).toBe(1);
    expect(link.state).toBe('up');
  });

  it('is dialled with growing pauses, and quickly again after a good connection', async () => {
    const { link, proxy } = await line();
    const limits = { ...QUICK, handshakeMs: 100 };
    proxy.silenceNew(true);
    const remote = dial(cleanup, signer, proxy.port, new Echo(), { limits });
    await expect
      .poll(() => signer.names().filter((name) => name === 'link-dial-failed').length)
      .toBeGreaterThan(2);
    expect(remote.state).toBe('dialling');
    proxy.silenceNew(false);
    proxy.cut();
    await link.ask(MASTER, bytes('1'));
    expect(remote.state).toBe('up');
  });
});
