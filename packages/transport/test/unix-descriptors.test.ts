import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, fstatSync, readdirSync, readFileSync, readSync, writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import {
  blockingMode,
  closeDescriptor,
  DescriptorError,
  FrameSocket,
  readFrameBlocking,
  receiveDescriptor,
  sendDescriptor,
  setBlocking,
  socketPair,
  trySendDescriptor,
  writeFrameBlocking,
} from '../src/index.ts';

const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;
const peerPath = fileURLToPath(new URL('./descriptor-peer.ts', import.meta.url));
const children: ChildProcess[] = [];

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

/** Start the other process with one end of a pair as its descriptor 3; we keep the other, blocking. */
function startPeer(role: 'serve' | 'receive'): { ours: number; exited: Promise<number | null> } {
  const [ours, theirs] = socketPair();
  const child = spawn(process.execPath, ['--conditions=source', peerPath, role], {
    stdio: ['ignore', 'inherit', 'inherit', theirs],
  });
  children.push(child);
  closeDescriptor(theirs);
  return { ours, exited: new Promise((resolve) => child.once('exit', resolve)) };
}

/** Flags of an open file as the kernel tells them, independent of our own fcntl. */
function flagsOf(descriptor: number): number {
  const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'latin1'))?.[1];
  return Number.parseInt(flags ?? '', 8);
}

function isOpen(descriptor: number): boolean {
  try {
    fstatSync(descriptor);
    return true;
  } catch {
    return false;
  }
}

function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

/** Fill the socket's buffer with copies of one descriptor; how many it took. */
function fill(socket: number, passed: number): number {
  let sent = 0;
  while (trySendDescriptor(socket, passed)) sent += 1;
  return sent;
}

function drain(socket: number, count: number): void {
  for (let n = 0; n < count; n += 1) closeDescriptor(receiveDescriptor(socket)!);
}

describe.runIf(existsSync('/proc/self/fdinfo'))('descriptor passing', () => {
  it('makes pairs that are connected, blocking and closed on exec', () => {
    const [a, b] = socketPair();
    for (const end of [a, b]) {
      expect(flagsOf(end) & O_NONBLOCK).toBe(0);
      expect(flagsOf(end) & O_CLOEXEC).toBe(O_CLOEXEC);
    }
    writeFrameBlocking(a, Uint8Array.of(1, 2));
    expect([...(readFrameBlocking(b) ?? [])]).toEqual([1, 2]);
    closeDescriptor(a);
    expect(readFrameBlocking(b)).toBeUndefined();
    closeDescriptor(b);
  });

  it('sends one byte 0x00 with the descriptor', () => {
    const [a, b] = socketPair();
    expect(trySendDescriptor(a, b)).toBe(true);
    const byte = new Uint8Array(8).fill(0xaa);
    expect(readSync(b, byte)).toBe(1);
    expect(byte[0]).toBe(0);
    closeDescriptor(a);
    closeDescriptor(b);
  });

  it('passes a working blocking descriptor to another process, after the reply', async () => {
    const { ours, exited } = startPeer('serve');
    writeFrameBlocking(ours, Uint8Array.of(9));
    expect([...(readFrameBlocking(ours) ?? [])]).toEqual([0, 109]);
    const client = receiveDescriptor(ours)!;
    expect(flagsOf(client) & O_NONBLOCK).toBe(0);
    expect(blockingMode(client)).toBe('blocking');
    expect(flagsOf(client) & O_CLOEXEC).toBe(O_CLOEXEC);
    // The peer answers after 30 ms: a non-blocking descriptor would fail with EAGAIN here.
    writeFrameBlocking(client, Uint8Array.of(30));
    expect([...(readFrameBlocking(client) ?? [])]).toEqual([30, 0xee]);
    expect(blockingMode(client)).toBe('blocking');
    closeDescriptor(client);
    closeDescriptor(ours);
    expect(await exited).toBe(0);
  });

  it('receives in another process: blocking there, and served by libuv here', async () => {
    const { ours, exited } = startPeer('receive');
    const [kept, passed] = socketPair();
    const client = FrameSocket.fromDescriptor(kept);
    expect(flagsOf(kept) & O_NONBLOCK).toBe(O_NONBLOCK);
    await sendDescriptor(ours, passed);
    closeDescriptor(passed);
    expect(new TextDecoder().decode(readFrameBlocking(ours))).toBe('blocking');
    await new Promise((resolve) => setTimeout(resolve, 20));
    client.send(Uint8Array.of(5));
    for await (const reply of client.frames()) {
      expect([...reply]).toEqual([5, 0xee]);
      break;
    }
    expect(await exited).toBe(0);
    closeDescriptor(ours);
  });

  it('leaks no descriptor in either process over 1000 clients', async () => {
    const { ours, exited } = startPeer('serve');
    const countThere = (): number => {
      writeFrameBlocking(ours, Uint8Array.of(1));
      const [high, low] = readFrameBlocking(ours) ?? [];
      return (high! << 8) | low!;
    };
    const openClient = (): number => {
      writeFrameBlocking(ours, Uint8Array.of(9));
      readFrameBlocking(ours);
      return receiveDescriptor(ours)!;
    };
    closeDescriptor(openClient());
    const before = { here: openDescriptors(), there: countThere() };
    for (let n = 0; n < 1000; n += 1) closeDescriptor(openClient());
    // The peer hears of an end a little later.
    await expect.poll(() => openDescriptors() - before.here).toBeLessThan(5);
    await expect.poll(() => countThere() - before.there).toBeLessThan(5);
    closeDescriptor(ours);
    expect(await exited).toBe(0);
  });

  it('does not wait when the buffer is full, also on a blocking socket', () => {
    const [a, b] = socketPair();
    const count = fill(a, b);
    expect(count).toBeGreaterThan(10);
    expect(trySendDescriptor(a, b)).toBe(false);
    drain(b, count);
    expect(trySendDescriptor(a, b)).toBe(true);
    drain(b, 1);
    closeDescriptor(a);
    closeDescriptor(b);
  });

  it('retries while the buffer is full, until there is room', async () => {
    const [a, b] = socketPair();
    const count = fill(a, b);
    const sent = sendDescriptor(a, b, { waitMs: 30_000 });
    await new Promise((resolve) => setTimeout(resolve, 20));
    drain(b, count);
    await sent;
    drain(b, 1);
    closeDescriptor(a);
    closeDescriptor(b);
  });

  it('gives up after the wait, and at once when the connection is gone', async () => {
    const [a, b] = socketPair();
    const count = fill(a, b);
    await expect(sendDescriptor(a, b, { waitMs: 20 })).rejects.toMatchObject({
      code: 'descriptor-send-timeout',
    });
    const abort = new AbortController();
    const sent = sendDescriptor(a, b, { waitMs: 30_000, signal: abort.signal });
    abort.abort();
    await expect(sent).rejects.toMatchObject({ code: 'descriptor-call-failed', facts: { errno: 'EPIPE' } });
    drain(b, count);
    closeDescriptor(a);
    closeDescriptor(b);
  });

  it('names the failing call: peer gone (and no SIGPIPE), bad descriptor, nothing to read', () => {
    const [a, b] = socketPair();
    const failure = (run: () => unknown): unknown => {
      try {
        run();
      } catch (error) {
        return error instanceof DescriptorError ? error.facts.errno : error;
      }
      return undefined;
    };
    setBlocking(b, 'non-blocking');
    expect(blockingMode(b)).toBe('non-blocking');
    expect(flagsOf(b) & O_NONBLOCK).toBe(O_NONBLOCK);
    expect(failure(() => receiveDescriptor(b))).toBe('EAGAIN');
    setBlocking(b, 'blocking');
    expect(flagsOf(b) & O_NONBLOCK).toBe(0);
    expect(failure(() => trySendDescriptor(a, 999_999))).toBe('EBADF');
    closeDescriptor(b);
    expect(failure(() => trySendDescriptor(a, a))).toBe('EPIPE');
    expect(receiveDescriptor(a)).toBeUndefined();
    closeDescriptor(a);
    expect(failure(() => blockingMode(999_999))).toBe('EBADF');
  });

  it('refuses a byte that carries no descriptor', () => {
    const [a, b] = socketPair();
    writeSync(a, Uint8Array.of(0));
    expect(() => receiveDescriptor(b)).toThrow(/without exactly one descriptor/);
    closeDescriptor(a);
    closeDescriptor(b);
  });

  it('keeps the descriptor usable for whoever holds it after we close our copy', () => {
    const [a, b] = socketPair();
    const [kept, passed] = socketPair();
    trySendDescriptor(a, passed);
    closeDescriptor(passed);
    expect(isOpen(passed)).toBe(false);
    const got = receiveDescriptor(b)!;
    writeFrameBlocking(kept, Uint8Array.of(1));
    expect([...(readFrameBlocking(got) ?? [])]).toEqual([1]);
    for (const descriptor of [a, b, kept, got]) closeSync(descriptor);
  });
});
