import { once } from 'node:events';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  checkSocketPath,
  SOCKET_PATH_BYTES_MAX,
  SocketError,
  UnixListener,
  type UnixListenerOptions,
} from '../src/index.ts';

let directory = '';
const listeners: UnixListener[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'countersign-listener-'));
});
afterEach(async () => {
  for (const listener of listeners.splice(0)) await listener.close();
  rmSync(directory, { recursive: true, force: true });
});

const echo = (socket: Socket): void => void socket.pipe(socket);

async function open(options: Partial<UnixListenerOptions> = {}): Promise<UnixListener> {
  const path = join(directory, 'x.sock');
  const listener = await UnixListener.open({
    path,
    connectionsMax: 2,
    idleMs: 10_000,
    onConnection: echo,
    ...options,
  });
  listeners.push(listener);
  return listener;
}

/** What comes back, or `closed`. */
function ask(path: string, text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.on('error', () => resolve('closed'));
    socket.on('close', () => resolve('closed'));
    socket.on('data', (chunk) => {
      resolve(chunk.toString());
      socket.destroy();
    });
    socket.write(text);
  });
}

const codeOf = async (opening: Promise<unknown>): Promise<string> => {
  try {
    await opening;
    return 'opened';
  } catch (error) {
    if (!(error instanceof SocketError)) throw error;
    return error.code;
  }
};

describe('a listening Unix socket', () => {
  it('is this user’s alone, whatever the umask', async () => {
    const { path } = await open();
    expect(lstatSync(path).isSocket()).toBe(true);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(await ask(path, 'hello')).toBe('hello');
  });

  it('replaces the socket of a process that died, and removes its own at the end', async () => {
    const path = join(directory, 'x.sock');
    const dead = createServer().listen({ path });
    await once(dead, 'listening');
    // Closed without its file being removed, as by SIGKILL: a second name keeps the inode.
    dead.unref();
    const listener = await open();
    expect(await ask(path, 'new')).toBe('new');
    await listener.close();
    expect(existsSync(path)).toBe(false);
    await listener.close();
    dead.close();
  });

  it('touches no file that is none of its own', async () => {
    const path = join(directory, 'x.sock');
    writeFileSync(path, 'precious');
    expect(await codeOf(open())).toBe('socket-path-taken');
    expect(readFileSync(path, 'utf8')).toBe('precious');
    rmSync(path);
    mkdirSync(path);
    expect(await codeOf(open())).toBe('socket-path-taken');
  });

  it('says how long a path may be, before anything is made', async () => {
    const path = join(directory, 'x'.repeat(SOCKET_PATH_BYTES_MAX));
    await expect(open({ path })).rejects.toThrow(/at most 10\d bytes, this one 1\d\d/);
    expect(() => checkSocketPath('x'.repeat(SOCKET_PATH_BYTES_MAX))).not.toThrow();
    expect(() => checkSocketPath('é'.repeat(SOCKET_PATH_BYTES_MAX / 2 + 1))).toThrow(SocketError);
  });

  it('tells why it cannot listen', async () => {
    expect(await codeOf(open({ path: join(directory, 'missing', 'x.sock') }))).toBe('socket-listen-failed');
  });

  it('drops connections beyond its limit and takes others when one is gone', async () => {
    const listener = await open();
    const held = [connect(listener.path), connect(listener.path)];
    await expect.poll(() => listener.connections).toBe(2);
    expect(await ask(listener.path, 'third')).toBe('closed');
    held[0]!.destroy();
    await expect.poll(() => listener.connections).toBe(1);
    expect(await ask(listener.path, 'again')).toBe('again');
    held[1]!.destroy();
  });

  it('closes what is silent, and what is open at the end', async () => {
    const listener = await open({ idleMs: 40 });
    const silent = connect(listener.path);
    const ended = new Promise((resolve) => silent.once('close', resolve));
    silent.resume();
    await ended;
    const open2 = connect(listener.path);
    const ended2 = new Promise((resolve) => open2.once('close', resolve));
    open2.on('error', () => {});
    open2.resume();
    await sleep(10);
    await listener.close();
    await ended2;
  });
});
