/** `link.sock`: what it tells, to whom, and what a reader makes of anything else that lies there. */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type LinkStanding, openStandingSocket, readStanding } from '../src/remote/standing.ts';

let directory: string;
let path: string;
const ends: (() => unknown)[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'standing-'));
  path = join(directory, 'link.sock');
});
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
  rmSync(directory, { recursive: true, force: true });
});

const STANDING: LinkStanding = {
  state: 'up',
  pending: 3,
  signers: [
    { name: 'cellar', address: '192.0.2.7', sinceSeconds: 1_700_000_000, role: 'active' },
    { name: 'attic', address: '192.0.2.8', sinceSeconds: 1_700_000_001, role: 'standby' },
  ],
};

describe('the standing of a link', () => {
  it('is told to this user alone, as it is at that moment', async () => {
    let now = STANDING;
    const listener = await openStandingSocket(path, () => now);
    ends.push(() => listener.close());
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(await readStanding(path)).toEqual(STANDING);
    now = { state: 'down', pending: 0, signers: [] };
    expect(await readStanding(path)).toEqual(now);
  });

  it('is told to who says something too, and nothing is made of it', async () => {
    const listener = await openStandingSocket(path, () => STANDING);
    ends.push(() => listener.close());
    const socket = connect({ path }).setEncoding('utf8');
    ends.push(() => socket.destroy());
    socket.write('x'.repeat(100_000));
    let text = '';
    socket.on('data', (chunk: string) => {
      text += chunk;
    });
    socket.on('error', () => {});
    await new Promise((resolve) => socket.once('close', resolve));
    expect(JSON.parse(text)).toEqual({ version: 1, ...STANDING });
  });

  it.each<[string, string]>([
    ['nothing', ''],
    ['no JSON', 'hello'],
    ['nobody', 'null'],
    ['a newer form', JSON.stringify({ ...STANDING, version: 2 })],
    ['a state that is none', JSON.stringify({ ...STANDING, version: 1, state: 'asleep' })],
    ['no number', JSON.stringify({ ...STANDING, version: 1, pending: '3' })],
    ['no signers', JSON.stringify({ ...STANDING, version: 1, signers: {} })],
    ['a signer that is none', JSON.stringify({ ...STANDING, version: 1, signers: [null] })],
    ['a role that is none', JSON.stringify({ ...STANDING, version: 1, signers: [{ role: 'king' }] })],
    ['more than there can be', ' '.repeat(200_000)],
  ])('is not known where somebody says %s', async (_name, text) => {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.end(text);
    });
    await new Promise<void>((resolve) => server.listen(path, resolve));
    ends.push(() => new Promise((resolve) => server.close(resolve)));
    expect(await readStanding(path)).toBeNull();
  });
});
