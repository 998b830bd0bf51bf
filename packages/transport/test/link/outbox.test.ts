/** The node side’s queue: bounds, another signer’s limits, and acknowledgements. */
import { describe, expect, it } from 'vitest';
import type { LinkFrame } from '../../src/link/frames.ts';
import { Outbox } from '../../src/link/outbox.ts';
import { framesIn, LIMITS, reply, Timers } from './halves.ts';
import { bytes, channel } from './harness.ts';

describe('the node side’s queue', () => {
  it('is bounded by count and bytes, and takes what it can again later', async () => {
    const outbox = new Outbox({ ...LIMITS, queueMax: 3, queueBytesMax: 1_000 }, new Timers());
    const asker = { kind: 'client', client: channel(1) } as const;
    const waiting = [outbox.ask(asker, new Uint8Array(500))];
    await expect(outbox.ask(asker, new Uint8Array(500))).rejects.toMatchObject({ code: 'link-queue-full' });
    waiting.push(outbox.ask(asker, bytes('a')), outbox.ask(asker, bytes('b')));
    await expect(outbox.ask(asker, bytes('c'))).rejects.toMatchObject({ code: 'link-queue-full' });
    await expect(outbox.ask(asker, new Uint8Array(5_000_000))).rejects.toMatchObject({
      code: 'link-request-too-large',
    });
    outbox.close();
    for (const one of waiting) await expect(one).rejects.toMatchObject({ code: 'link-closed' });
  });

  it('keeps nothing of feeders that left before their messages could', async () => {
    const outbox = new Outbox({ ...LIMITS, queueMax: 3 }, new Timers());
    for (let session = 1; session <= 10; session++) {
      const asked = outbox.ask({ kind: 'feed', session }, bytes('tip?'));
      outbox.endFeed(session);
      await expect(asked).rejects.toMatchObject({ code: 'link-ended' });
    }
    expect(outbox.size).toBe(0);
    const sent: LinkFrame[] = [];
    outbox.attach({ send: (frame: Buffer) => void sent.push(...framesIn(frame)) }, LIMITS);
    expect(sent).toEqual([]);
  });

  it('tells the end of a feeder that the signer knows, also when it is full and nothing travels', async () => {
    const limits = { ...LIMITS, feedsMax: 4, queueMax: 1 };
    const outbox = new Outbox(limits, new Timers());
    const sent: LinkFrame[] = [];
    const wire = { send: (frame: Buffer) => void sent.push(...framesIn(frame)) };
    outbox.attach(wire, limits);
    const known = outbox.ask({ kind: 'feed', session: 1 }, bytes('tip?'));
    outbox.answered(1, reply(bytes('none')));
    await known;
    const under = outbox.ask({ kind: 'feed', session: 2 }, bytes('tip?'));
    outbox.detach();
    const waiting = outbox.ask({ kind: 'client', client: channel(1) }, bytes('a'));
    outbox.endFeed(1);
    outbox.endFeed(2);
    outbox.attach(wire, limits);
    expect(sent.map((frame) => ('id' in frame ? `${frame.kind} ${frame.id}` : frame.kind))).toEqual([
      'request 1',
      'ack',
      'request 2',
      'request 2',
      'request 3',
      'feed-end 4',
      'feed-end 5',
    ]);
    outbox.close();
    for (const one of [under, waiting]) await expect(one).rejects.toMatchObject({ code: 'link-closed' });
  });

  it('what a signer took and the next one does not take is refused, and the rest goes on', async () => {
    const outbox = new Outbox(LIMITS, new Timers());
    const sent: LinkFrame[] = [];
    const wire = { send: (frame: Buffer) => void sent.push(...framesIn(frame)) };
    outbox.attach(wire, LIMITS);
    const asker = { kind: 'client', client: channel(1) } as const;
    const long = outbox.ask(asker, new Uint8Array(300));
    const short = outbox.ask(asker, bytes('x'));
    const refused = expect(long).rejects.toMatchObject({ code: 'link-request-too-large' });
    outbox.attach(wire, { ...LIMITS, frameBytesMax: 200 });
    await refused;
    expect(sent.map((frame) => (frame.kind === 'request' ? frame.id : 0))).toEqual([1, 2, 2]);
    outbox.answered(2, reply(bytes('y')));
    expect(await short).toEqual(reply(bytes('y')));
    expect(outbox.size).toBe(0);
  });

  it('does not take an answer that nobody waits for', () => {
    const outbox = new Outbox(LIMITS, new Timers());
    outbox.attach({ send: () => {} }, LIMITS);
    expect(() => outbox.answered(1, reply(bytes('x')))).toThrow(/nobody waits/);
  });

  it('acknowledges after a while, or when much is to be acknowledged', () => {
    const timers = new Timers();
    const sent: LinkFrame[] = [];
    const wide = { ...LIMITS, requestsMax: 500, requestBytesMax: 1_000_000 };
    const outbox = new Outbox(wide, timers);
    outbox.attach({ send: (frame) => sent.push(...framesIn(frame)) }, wide);
    const asker = { kind: 'client', client: channel(1) } as const;
    for (let index = 0; index < 70; index++) void outbox.ask(asker, bytes('x'));
    for (let id = 1; id <= 63; id++) outbox.answered(id, reply(bytes('x')));
    expect(sent.filter(({ kind }) => kind === 'ack')).toEqual([]);
    outbox.answered(64, reply(bytes('x')));
    expect(sent.filter(({ kind }) => kind === 'ack')).toHaveLength(1);
    outbox.answered(65, reply(bytes('x')));
    timers.fire();
    expect(sent.at(-1)).toEqual({ kind: 'ack', ids: [65] });
    outbox.answered(66, reply(bytes('x')));
    void outbox.ask(asker, new Uint8Array(20_000));
    expect(sent.slice(-2).map(({ kind }) => kind)).toEqual(['ack', 'request']);
  });
});
