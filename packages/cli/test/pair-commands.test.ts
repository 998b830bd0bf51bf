/** `countersign pair` and `countersign link` on the node side: a signer that meets it, and what they say when something is wrong. */
import { mkdirSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { openIdentity, type Paired, PinStore, pair } from '@countersign/transport';
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { networkDirectory, removeDirectories } from '../../cln/test/hsmd-under-test.ts';
import { runProgram } from '../src/index.ts';

let written = '';

beforeEach(() => {
  written = '';
  const keep = (text: string | Uint8Array): boolean => {
    written += String(text);
    return true;
  };
  vi.spyOn(process.stdout, 'write').mockImplementation(keep);
  vi.spyOn(process.stderr, 'write').mockImplementation(keep);
});
afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = undefined;
});
afterAll(removeDirectories);

async function run(...argv: string[]): Promise<{ status: number; text: string }> {
  written = '';
  process.exitCode = undefined;
  const status = await runProgram(argv);
  return { status, text: written };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

interface Node {
  readonly port: number;
  readonly at: readonly string[];
  readonly directory: string;
}

async function node(listen?: string): Promise<Node> {
  const port = await freePort();
  const directory = networkDirectory({
    'countersign.toml': `mode = "remote"\n[remote]\nlisten = "${listen ?? `127.0.0.1:${port}`}"\n`,
  });
  return { port, directory, at: ['--node-directory', directory] };
}

const tokenIn = (text: string): string => /cspair1[0-9a-z]+/.exec(text)?.[0] ?? '';

/** As the signer's machine does it. */
function met({ directory }: Node, token: string): Promise<Paired> {
  const signer = join(directory, 'signer');
  mkdirSync(signer, { recursive: true, mode: 0o700 });
  const pins = PinStore.open(join(signer, 'nodes.json'));
  return pair({ token, identityPath: join(signer, 'identity.pem'), pins, name: 'node' });
}

describe('countersign pair', () => {
  it('prints a token that lets one signer in, once', async () => {
    const place = await node();
    const waiting = run('pair', '--wait', '--seconds', '20', ...place.at);
    await expect.poll(() => tokenIn(written), { timeout: 5_000 }).not.toBe('');
    await expect.poll(() => written, { timeout: 5_000 }).toContain('Waiting for it');
    const token = tokenIn(written);
    const { address } = await met(place, token);
    expect(address).toEqual({ host: '127.0.0.1', port: place.port });
    const { status, text } = await waiting;
    expect(status).toBe(0);
    const pin = openIdentity(join(place.directory, 'signer', 'identity.pem')).pin;
    expect(text).toContain(`Paired: signer\nits key ${pin}\n`);
    const { text: listed } = await run('link', 'list', ...place.at);
    expect(listed).toMatch(new RegExp(`signer +${pin} +\\d{4}-`));
    // Again it lets nobody in: the name is taken, and nobody listens.
    expect(await run('pair', ...place.at)).toMatchObject({
      status: 1,
      text: expect.stringContaining('signer is paired already'),
    });
  });

  it('says what to do, and where the token leads', async () => {
    const place = await node();
    const { status, text } = await run('pair', '--name', 'cellar', ...place.at);
    expect(status).toBe(0);
    expect(text).toContain(`  countersign signer pair ${tokenIn(text)}\n`);
    expect(text).toContain(`and leads to 127.0.0.1:${place.port}.`);
    expect(text).toContain('called "cellar"');
  });

  it('names the addresses that were given', async () => {
    const place = await node('0.0.0.0:9737');
    const given = ['--address', 'node.example:1', '--address', '[2001:db8::5]:9737'];
    const { text } = await run('pair', '--json', ...given, ...place.at);
    expect(JSON.parse(text)).toMatchObject({ addresses: ['node.example:1', '[2001:db8::5]:9737'] });
  });

  it('gives up when nobody comes', async () => {
    const place = await node();
    const { status, text } = await run('pair', '--wait', '--seconds', '1', ...place.at);
    expect(status).toBe(1);
    expect(text).toContain('no signer came in time');
  });

  it('leaves it to a process that listens already', async () => {
    const place = await node();
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(place.port, '127.0.0.1', resolve));
    const { status, text } = await run('pair', '--wait', ...place.at);
    server.close();
    expect(status).toBe(0);
    expect(text).toContain('Something listens there already');
  });

  it('keeps its files to the user', async () => {
    const place = await node();
    await run('pair', ...place.at);
    for (const file of ['', 'identity.pem', 'pairings.json'])
      expect(statSync(join(place.directory, 'countersign', 'link', file)).mode & 0o077).toBe(0);
  });

  it.each([
    ['no address', ['--address', 'nowhere'], 'Give an address and a port'],
    ['no time', ['--seconds', '0'], 'Give a whole number above 0'],
    ['too long a time', ['--seconds', '90000'], 'a pairing waits for 1 to 86400 seconds'],
    ['no name', ['--name', 'A Signer'], 'Give up to 32 small letters'],
  ])('refuses %s', async (_, flags, why) => {
    const { status, text } = await run('pair', ...flags, ...(await node()).at);
    expect(status).not.toBe(0);
    expect(text).toContain(why);
  });

  it('says so where the signer is in place', async () => {
    const directory = networkDirectory({ 'countersign.toml': '' });
    const { status, text } = await run('pair', '--node-directory', directory);
    expect(status).toBe(2);
    expect(text).toContain('does not say mode = "remote"');
  });

  it('needs no keys on a Unix socket', async () => {
    const { status, text } = await run('pair', ...(await node('unix:link.sock')).at);
    expect(status).toBe(2);
    expect(text).toContain('a signer on a Unix socket needs no keys');
  });

  it('repeats what is wrong with the configuration', async () => {
    const directory = networkDirectory({ 'countersign.toml': 'mode = "remot"' });
    const { status, text } = await run('link', 'list', '--node-directory', directory);
    expect(status).toBe(2);
    expect(text).toContain('countersign.toml:1: "mode" is "remot"');
  });
});

describe('countersign link', () => {
  it('forgets a signer', async () => {
    const place = await node();
    PinStore.open(join(place.directory, 'countersign', 'link', 'signers.json'));
    await run('pair', ...place.at);
    const pins = PinStore.open(join(place.directory, 'countersign', 'link', 'signers.json'));
    pins.add('cellar', 'ab'.repeat(32));
    expect((await run('link', 'list', ...place.at)).text).toContain('cellar');
    expect((await run('link', 'revoke', 'cellar', ...place.at)).text).toContain('Forgotten: cellar');
    expect((await run('link', 'list', ...place.at)).text).toContain('No signer is paired');
    expect(await run('link', 'revoke', 'cellar', ...place.at)).toMatchObject({
      status: 1,
      text: expect.stringContaining('no key is pinned as cellar'),
    });
  });

  it('makes a next key, the same until it is taken', async () => {
    const place = await node();
    const first = await run('link', 'rotate', ...place.at);
    const again = await run('link', 'rotate', ...place.at);
    expect(again.text).toBe(first.text);
    const { text } = await run('link', 'list', '--json', ...place.at);
    const { pin, nextPin } = JSON.parse(text) as { pin: string; nextPin: string };
    expect(first.text).toContain(`key now   ${pin}\nnext key  ${nextPin}\n`);
    expect((await run('link', 'list', ...place.at)).text).toContain(`its next key    ${nextPin}`);
  });
});
