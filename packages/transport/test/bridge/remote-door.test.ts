/** An application's thread that sleeps while a signer elsewhere decides: over both carriers, with everything that can break. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeMessage } from '@countersign/wire';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SyncDoorError } from '../../src/sync-door.ts';
import { answered, ask, bytes, NODE, Place, text } from './signer-thread.ts';

let place: Place;
beforeEach(() => {
  place = new Place();
});
afterEach(() => place.close());

function thrown(action: () => unknown): SyncDoorError {
  try {
    action();
  } catch (error) {
    if (error instanceof SyncDoorError) return error;
    throw error;
  }
  throw new Error('it was answered');
}

async function until(condition: () => boolean): Promise<void> {
  const endMs = performance.now() + 30_000;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error('it did not come');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe.each(['worker', 'fifo'] as const)('%s', (bridge) => {
  it('asks and is answered before the call returns', async () => {
    place.signer();
    const door = await place.open({ bridge });
    expect(door.identity.nodeId).toEqual(Uint8Array.of(2, ...new Uint8Array(32).fill(1)));
    expect(ask(door, 'echo one')).toBe('echo one');
    const peerId = new Uint8Array(33).fill(2);
    expect(text(door.ask({ peerId, dbid: 2n ** 64n - 1n, permissions: 2n ** 63n }, bytes('who')))).toBe(
      `33 ${2n ** 64n - 1n} ${2n ** 63n}`,
    );
    expect(text(door.ask({ ...NODE, dbid: 0n }, bytes('who')))).toBe('none 0 31');
  });

  it('carries messages of every length up to the longest, in both directions', async () => {
    place.signer();
    const door = await place.open({ bridge, messageBytesMax: 300_000 });
    for (const length of [5, 4096, 65_535, 65_536, 81_000, 299_995]) {
      const request = bytes(`echo ${'x'.repeat(length - 5)}`);
      expect(door.ask(NODE, request)).toEqual(request);
    }
    expect(door.ask(NODE, bytes('size 300000'))).toEqual(new Uint8Array(300_000).fill(9));
    const refusal = decodeMessage(door.ask(NODE, bytes('size 300001')), 'reply');
    expect(refusal).toMatchObject({ ok: true, message: { name: 'vls_signer_error', code: 2 } });
    const own = decodeMessage(door.ask(NODE, new Uint8Array(300_001)), 'reply');
    expect(own).toMatchObject({ ok: true, message: { name: 'vls_signer_error', code: 2 } });
    expect(ask(door, 'echo after it')).toBe('echo after it');
  });

  it('carries several requests at once, in their order', async () => {
    const signer = place.signer();
    const door = await place.open({ bridge, messageBytesMax: 100_000 });
    const peerId = new Uint8Array(33).fill(2);
    const together = (...words: string[]): string[] =>
      door.askTogether(words.map((one) => ({ client: NODE, request: bytes(one) }))).map(text);
    expect(
      door
        .askTogether([
          { client: NODE, request: bytes('echo one') },
          { client: { peerId, dbid: 7n, permissions: 5n }, request: bytes('who') },
          { client: NODE, request: bytes('echo three') },
        ])
        .map(text),
    ).toEqual(['echo one', '33 7 5', 'echo three']);
    expect(together('after 50 slow', 'echo fast')).toEqual(['slow', 'echo fast']);
    // As long as each may be by itself.
    const long = `echo ${'x'.repeat(99_995)}`;
    expect(together(long, long, long, long)).toEqual([long, long, long, long]);
    // More of them, or one that is too long: one after another.
    expect(together('echo 1', 'echo 2', 'echo 3', 'echo 4', 'echo 5')).toHaveLength(5);
    const [first, tooLong] = door.askTogether([
      { client: NODE, request: bytes('echo x') },
      { client: NODE, request: new Uint8Array(100_001) },
    ]);
    expect(text(first!)).toBe('echo x');
    expect(decodeMessage(tooLong!, 'reply')).toMatchObject({
      message: { name: 'vls_signer_error', code: 2 },
    });
    const [yes, no] = door.askTogether([
      { client: NODE, request: bytes('echo yes') },
      { client: NODE, request: bytes('refuse') },
    ]);
    expect(text(yes!)).toBe('echo yes');
    expect(decodeMessage(no!, 'reply')).toMatchObject({ message: { code: 1 } });
    await until(() => signer.asked.length >= 3);
    expect(signer.asked.slice(0, 3)).toEqual(['echo one', 'who', 'echo three']);
  });

  it('knows nothing about several requests when one was not answered in time', async () => {
    place.signer();
    const door = await place.open({ bridge, patienceMs: 300 });
    const requests = ['echo one', 'hold late'].map((one) => ({ client: NODE, request: bytes(one) }));
    expect(thrown(() => door.askTogether(requests))).toMatchObject({ code: 'sync-door-unreachable' });
    expect(await answered(door, 'echo next')).toBe('echo next');
    await door.close();
    expect(thrown(() => door.askTogether(requests))).toMatchObject({ code: 'sync-door-closed' });
  });

  it('hands on refusals as messages', async () => {
    place.signer();
    const door = await place.open({ bridge });
    const no = decodeMessage(door.ask(NODE, bytes('refuse')), 'reply');
    expect(no).toMatchObject({ message: { code: 1, message: 'policy-test: no [limit_sat=5]' } });
    const later = decodeMessage(door.ask(NODE, bytes('for-now')), 'reply');
    expect(later).toMatchObject({
      message: { code: 1, message: 'policy-test: not now [limit_sat=5] (temporary: try again later)' },
    });
    // A signer that is about to end decides nothing: the next one is asked.
    expect(ask(door, 'ending 2')).toBe('begun');
  });

  it('gives up after its patience, drops the late answer, and asks the same request once', async () => {
    const signer = place.signer();
    const door = await place.open({ bridge, patienceMs: 2_000 });
    const began = performance.now();
    expect(thrown(() => ask(door, 'hold late'))).toMatchObject({ code: 'sync-door-unreachable' });
    expect(performance.now() - began).toBeGreaterThan(1_990);
    expect(await answered(door, 'echo next')).toBe('echo next');
    expect(thrown(() => ask(door, 'hold late')).message).toMatch(/answer within [23] s/);
    // The first of them is still being decided, and is the one that is answered: while this thread waits for it, as between two
    // waits its answer would be dropped, and it would be asked for anew.
    const together = ['hold late', 'release'].map((one) => ({ client: NODE, request: bytes(one) }));
    expect(door.askTogether(together).map(text)).toEqual(['late', 'released']);
    await until(() => signer.asked.includes('release'));
    expect(signer.asked.filter((asked) => asked.startsWith('hold'))).toHaveLength(1);
  });

  it('outlives a restart of the signer: what was asked is answered by the next', async () => {
    const first = place.signer();
    const door = await place.open({ bridge, patienceMs: 40_000 });
    expect(ask(door, 'echo one')).toBe('echo one');
    const killed = first.kill();
    // Starts while this thread sleeps in its call.
    place.signer();
    expect(ask(door, 'echo two')).toBe('echo two');
    await killed;
    await until(() => place.lines.some((line) => line.includes('has started anew')));
  });

  it('says so at once, while the signer is away for longer than it waits', async () => {
    const signer = place.signer();
    const door = await place.open({ bridge, patienceMs: 200 });
    await signer.kill();
    expect(thrown(() => ask(door, 'echo one'))).toMatchObject({ code: 'sync-door-unreachable' });
    await until(() => place.lines.some((line) => line.includes('requests are refused until it does')));
    // After its patience it would say how long that was.
    expect(thrown(() => ask(door, 'echo two')).message).toBe('the signer is away');
    place.signer();
    await until(() => place.lines.some((line) => line.includes('the signer is back')));
    expect(await answered(door, 'echo three')).toBe('echo three');
  });

  it('sends a signer with other keys away', async () => {
    const first = place.signer();
    const door = await place.open({ bridge, patienceMs: 200 });
    await first.kill();
    const other = place.signer({ fill: 2 });
    await until(() => place.lines.some((line) => line.includes('was sent away: it has other keys')));
    thrown(() => ask(door, 'echo secret'));
    expect(other.asked).toEqual([]);
  });

  it('feeds while it asks', async () => {
    place.signer();
    const door = await place.open({ bridge });
    const fed = [door.feed(bytes('one')), door.feed(bytes('two')), door.feed(bytes('refuse'))];
    expect(ask(door, 'echo meanwhile')).toBe('echo meanwhile');
    const [one, two, no] = await Promise.all(fed);
    expect([text(one!), text(two!)]).toEqual(['one', 'two']);
    expect(decodeMessage(no!, 'reply')).toMatchObject({ message: { name: 'vls_signer_error' } });
  });

  it('is closed once, and for good', async () => {
    place.signer();
    const door = await place.open({ bridge });
    const fed = door.feed(bytes('one'));
    const closing = door.close();
    expect(door.close()).toBe(closing);
    await Promise.allSettled([fed]);
    await closing;
    expect(thrown(() => ask(door, 'echo'))).toMatchObject({ code: 'sync-door-closed' });
    await expect(door.feed(bytes('two'))).rejects.toMatchObject({ code: 'sync-door-closed' });
  });

  it('does not start with a signer that refuses it, nor without one for longer than it may', async () => {
    place.signer({ refusesInit: true });
    await expect(place.open({ bridge })).rejects.toMatchObject({
      code: 'sync-door-unreachable',
      message: 'the signer does not serve this node: policy-test: another network [limit_sat=5]',
    });
    await place.close();
    place = new Place();
    await expect(place.open({ bridge, startPatienceMs: 100 })).rejects.toMatchObject({
      message: 'no signer came',
    });
    expect(place.lines.join('\n')).toContain(`waiting for the signer at ${place.path}`);
    const path = join(place.directory, 'file', 'signer.sock');
    writeFileSync(join(place.directory, 'file'), '');
    await expect(place.open({ bridge, listen: { path } })).rejects.toMatchObject({
      code: 'sync-door-unreachable',
      message: expect.stringContaining('cannot create'),
    });
  });

  it('answers a thousand requests of all lengths, with feeds between', async () => {
    place.signer();
    const door = await place.open({ bridge });
    for (let i = 0; i < 1_000; i++) {
      const length = 6 + ((i * 7919) % 9_000);
      const request = bytes(`echo ${i} ${'y'.repeat(length)}`);
      expect(text(door.ask(NODE, request)) === text(request)).toBe(true);
      if (i % 100 === 0) expect(text(await door.feed(bytes(`${i}`)))).toBe(`${i}`);
    }
  });
});
