/** A bridge that dies or freezes while the application's thread sleeps in a call: the call ends, with an error of its own kind. */
import { ChildProcess, spawn } from 'node:child_process';
import { Worker } from 'node:worker_threads';
import { decodeMessage } from '@countersign/wire';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { RemoteDoor, RemoteDoorOptions } from '../../src/bridge/remote-door.ts';
import { type SyncDoorClient, SyncDoorError } from '../../src/sync-door.ts';
import { answered, ask, bytes, NODE, Place } from './signer-thread.ts';

let place: Place;
beforeEach(() => {
  place = new Place();
});
afterEach(async () => {
  await place.close();
  vi.restoreAllMocks();
});

/** The bridge of the door that is opened next, as its host has it. */
function bridgeOf(kind: 'worker' | 'fifo'): { tell: (message: unknown) => void; pid: () => number } {
  const posts = vi.spyOn(Worker.prototype, 'postMessage');
  const lets = vi.spyOn(ChildProcess.prototype, 'unref');
  const found = <T>(contexts: readonly T[]): T => {
    const [bridge] = contexts.slice(-1);
    if (bridge === undefined) throw new Error('no bridge was started');
    return bridge;
  };
  return {
    tell: (message) =>
      kind === 'worker'
        ? (found(posts.mock.contexts) as Worker).postMessage(message)
        : void (found(lets.mock.contexts) as ChildProcess).send(message as never),
    pid: () => (found(lets.mock.contexts) as ChildProcess).pid ?? 0,
  };
}

/** A message that no application sends: a bug, wherever it is from. */
const BUG = { kind: 'feed', id: 0, body: null };

/** While this thread sleeps. */
function signalSoon(pid: number, signal: string): void {
  spawn('sh', ['-c', `sleep 0.3; kill -${signal} ${pid}`]);
}

function thrown(action: () => unknown): { readonly error: SyncDoorError; readonly ms: number } {
  const began = performance.now();
  try {
    action();
  } catch (error) {
    if (error instanceof SyncDoorError) return { error, ms: performance.now() - began };
    throw error;
  }
  throw new Error('it was answered');
}

/** So long that what ends in half of it has not waited for it, however busy the machine is. */
const PATIENCE_MS = 40_000;

interface Opened {
  readonly door: RemoteDoor;
  readonly broken: SyncDoorError[];
  readonly bridge: ReturnType<typeof bridgeOf>;
}

async function opened(kind: 'worker' | 'fifo', changed: Partial<RemoteDoorOptions> = {}): Promise<Opened> {
  place.signer();
  const bridge = bridgeOf(kind);
  const broken: SyncDoorError[] = [];
  const onBroken = (error: SyncDoorError): void => void broken.push(error);
  const door = await place.open({ bridge: kind, patienceMs: PATIENCE_MS, onBroken, ...changed });
  expect(ask(door, 'echo one')).toBe('echo one');
  return { door, broken, bridge };
}

/** For good, and said once to whoever listens. */
async function expectBroken({ door, broken }: Opened): Promise<void> {
  for (const words of ['echo two', 'echo three'])
    expect(thrown(() => ask(door, words))).toMatchObject({ error: { code: 'sync-door-broken' } });
  await expect.poll(() => broken).toHaveLength(1);
  expect(broken[0]).toMatchObject({ code: 'sync-door-broken' });
  expect(place.lines.filter((line) => line.startsWith('broken '))).toHaveLength(1);
  const { ms, error } = thrown(() => ask(door, 'echo four'));
  expect(ms).toBeLessThan(PATIENCE_MS / 2);
  expect(error.message).toContain('the bridge is gone');
  await expect(door.feed(bytes('echo five'))).rejects.toMatchObject({ code: 'sync-door-broken' });
  await door.close();
  expect(thrown(() => ask(door, 'echo six'))).toMatchObject({ error: { code: 'sync-door-closed' } });
  expect(broken).toHaveLength(1);
}

describe.each(['worker', 'fifo'] as const)('a bridge (%s)', (kind) => {
  it('that dies of a bug in the middle of a request ends the call at once', async () => {
    const one = await opened(kind);
    one.bridge.tell(BUG);
    const waiting = one.door.feed(bytes('fed')).catch((error: unknown) => error);
    const { error, ms } = thrown(() => ask(one.door, 'after 60000 never'));
    expect(error.code).toBe('sync-door-broken');
    expect(ms).toBeLessThan(PATIENCE_MS / 2);
    expect(await waiting).toMatchObject({ code: 'sync-door-broken' });
    await expectBroken(one);
  });

  it('is not harmed by a client that no node has', async () => {
    const { door, broken } = await opened(kind);
    const clients: readonly SyncDoorClient[] = [
      { ...NODE, peerId: new Uint8Array(10) },
      { ...NODE, peerId: [...new Uint8Array(33)] as never },
      { ...NODE, peerId: undefined as never },
      { ...NODE, dbid: -1n },
      { ...NODE, dbid: 2n ** 64n },
      { ...NODE, permissions: 31 as never },
    ];
    for (const client of clients) {
      const refused = decodeMessage(door.ask(client, bytes('who')), 'reply');
      expect(refused).toMatchObject({ ok: true, message: { name: 'vls_signer_error' } });
    }
    expect(ask(door, 'echo after it')).toBe('echo after it');
    expect(broken).toEqual([]);
  });

  it('that nobody needs any more is not broken', async () => {
    const { door, broken } = await opened(kind);
    await door.close();
    expect(broken).toEqual([]);
  });
});

describe('a bridge in a process of its own', () => {
  it('that is killed in the middle of a request ends the call at once', async () => {
    const one = await opened('fifo');
    signalSoon(one.bridge.pid(), 'KILL');
    const { error, ms } = thrown(() => ask(one.door, 'after 60000 never'));
    expect(error.code).toBe('sync-door-broken');
    expect(ms).toBeLessThan(PATIENCE_MS / 2);
    await expectBroken(one);
  });

  it('that is killed is said once, also where what is written to it fails before its end is known', async () => {
    const { door, broken, bridge } = await opened('fifo');
    process.kill(bridge.pid(), 'SIGKILL');
    // In one turn of the event loop with the kill: nobody has heard of the end yet.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
    const fed = [1, 2, 3].map(() => door.feed(bytes('fed')).catch((error: unknown) => error));
    for (const error of await Promise.all(fed)) expect(error).toMatchObject({ code: 'sync-door-broken' });
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(broken).toHaveLength(1);
    expect(place.lines.filter((line) => line.startsWith('broken '))).toHaveLength(1);
  });

  it('that is stopped holds a call up no longer than a second beyond its patience, and goes on afterwards', async () => {
    const { door, bridge, broken } = await opened('fifo', { patienceMs: 1_000 });
    signalSoon(bridge.pid(), 'STOP');
    const { error, ms } = thrown(() => ask(door, 'after 60000 never'));
    expect(error.code).toBe('sync-door-unreachable');
    // 2 s, on a machine that has them.
    expect(ms).toBeLessThan(20_000);
    process.kill(bridge.pid(), 'SIGCONT');
    expect(await answered(door, 'echo again')).toBe('echo again');
    expect(broken).toEqual([]);
  });
});
