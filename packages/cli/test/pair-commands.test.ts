/** `countersign pair` and `countersign link` on the node side: a signer that meets it, and what they say when something is wrong. */
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { createServer } from 'node:net';
import os from 'node:os';
import { join } from 'node:path';
import { openIdentity, type Paired, PinStore, pair } from '@countersign/transport';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { networkDirectory, removeDirectories } from '../../cln/test/hsmd-under-test.ts';
import { freePort } from '../../transport/test/free-port.ts';
import { run, written } from './run-in-process.ts';

afterAll(removeDirectories);

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

/** As an application with LDK leaves it, which has no countersign.toml. */
async function application(host = '127.0.0.1'): Promise<Node> {
  const port = await freePort();
  const directory = networkDirectory({});
  mkdirSync(join(directory, 'link'), { mode: 0o700 });
  writeFileSync(join(directory, 'link', 'listen.json'), JSON.stringify({ host, port }));
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
    const waiting = run('pair', '--wait', '--seconds', '300', ...place.at);
    await expect.poll(() => tokenIn(written())).not.toBe('');
    await expect.poll(written).toContain('Waiting for it');
    const token = tokenIn(written());
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

  it.each([
    ['lightningd', node, 'countersign', 'lightningd has to run', 'lightningd’s hsmd, if it runs'],
    ['an application', application, '', 'The application has to run', 'the application, if it runs'],
  ])('speaks of the node it stands beside, %s, and of no other', async (_, make, below, toRun, listening) => {
    const place = await make();
    const printed = (await run('pair', ...place.at)).text;
    expect(printed).toContain(`\n${toRun}, or wait for its signer`);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(place.port, '127.0.0.1', resolve));
    const waited = (await run('pair', '--name', 'cellar', '--wait', ...place.at)).text;
    server.close();
    expect(waited).toContain(`Something listens there already: ${listening}`);
    PinStore.open(join(place.directory, below, 'link', 'signers.json')).add('attic', 'ab'.repeat(32));
    const listed = (await run('link', 'list', ...place.at)).text;
    const all = printed + waited + listed;
    expect(all.includes('application')).toBe(make === application);
    expect(all.includes('lightningd')).toBe(make === node);
  });

  it('speaks of the state directory that the hsmd has, wherever it lies', async () => {
    const place = await node();
    const elsewhere = networkDirectory({});
    const file = join(place.directory, 'countersign.toml');
    const absolute = join(elsewhere, 'state');
    writeFileSync(file, `state_directory = "${absolute}"\n${readFileSync(file, 'utf8')}`);
    const identityPath = join(absolute, 'link', 'identity.pem');
    mkdirSync(join(absolute, 'link'), { recursive: true, mode: 0o700 });
    const { pin } = openIdentity(identityPath);
    const { status, text } = await run('link', 'list', ...place.at);
    expect({ status, text }).toMatchObject({ status: 0, text: expect.stringContaining(pin) });
  });

  it('names the addresses that were given', async () => {
    const place = await node('0.0.0.0:9737');
    const given = ['--address', 'node.example:1', '--address', '[2001:db8::5]:9737'];
    const { text } = await run('pair', '--json', ...given, ...place.at);
    expect(JSON.parse(text)).toMatchObject({ addresses: ['node.example:1', '[2001:db8::5]:9737'] });
  });

  it.each([
    ['0.0.0.0', ['192.168.1.5:9737']],
    ['[::]', ['192.168.1.5:9737', '[2001:db8::5]:9737']],
  ])(
    'for a node that listens at %s names the addresses of this machine that lead there',
    async (host, want) => {
      const of = (address: string, family: 'IPv4' | 'IPv6', internal = false) =>
        ({ address, family, internal }) as os.NetworkInterfaceInfo;
      vi.spyOn(os, 'networkInterfaces').mockReturnValue({
        lo: [of('127.0.0.1', 'IPv4', true), of('::1', 'IPv6', true)],
        eth0: [of('2001:db8::5', 'IPv6'), of('fe80::5', 'IPv6'), of('192.168.1.5', 'IPv4')],
      });
      syncBuiltinESMExports();
      const place = await node(`${host}:9737`);
      const { text } = await run('pair', '--json', ...place.at);
      vi.restoreAllMocks();
      syncBuiltinESMExports();
      expect(JSON.parse(text)).toMatchObject({ addresses: want });
    },
  );

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
    expect(text).toContain('An application with LDK says where it listens when it starts');
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
  it('shows tokens that wait, never their secret, and withdraws them', async () => {
    const place = await node();
    const token = tokenIn((await run('pair', '--name', 'cellar', ...place.at)).text);
    const book = readFileSync(join(place.directory, 'countersign', 'link', 'pairings.json'), 'utf8');
    const { secret } = (JSON.parse(book) as { pairings: [{ secret: string }] }).pairings[0];
    for (const format of [[], ['--json']]) {
      const { text } = await run('link', 'list', ...format, ...place.at);
      expect(text).toContain('cellar');
      expect(text).not.toContain(secret);
      expect(text).not.toContain(token);
    }
    expect((await run('link', 'list', ...place.at)).text).toMatch(
      /A token for cellar waits for its signer until \d{4}-/,
    );
    expect((await run('link', 'revoke', 'cellar', ...place.at)).text).toBe(
      'Withdrawn: the token for cellar. It lets nobody in any more.\n',
    );
    expect((await run('link', 'list', ...place.at)).text).not.toContain('cellar');
    const waiting = run('pair', '--name', 'attic', '--wait', '--seconds', '10', ...place.at);
    await expect.poll(written).toContain('Waiting for it');
    await expect(met(place, token)).rejects.toMatchObject({ facts: { reason: 'unknown' } });
    await waiting;
  });

  it('shows who is connected, as what and since when', async () => {
    const place = await node();
    const pins = PinStore.open(join(place.directory, 'countersign', 'link', 'signers.json'));
    await run('pair', ...place.at);
    const names = ['cellar', 'attic', 'barn', 'shed'];
    names.forEach((name, index) => void pins.add(name, `${index}a`.repeat(32)));
    pins.activate('shed');
    const unknown = (await run('link', 'list', ...place.at)).text;
    expect(unknown).toMatch(/^shed .* active$/m);
    expect(unknown).toMatch(/^cellar .* –$/m);
    expect(unknown).toContain('lightningd’s hsmd does not run here');
    const signers = (['active', 'standby', 'greeted'] as const).map((role, index) => ({
      name: names[index]!,
      address: '192.0.2.7',
      sinceSeconds: 1_700_000_000,
      role,
    }));
    const path = join(place.directory, 'countersign', 'link.sock');
    const standing = { version: 1, state: 'up', pending: 0, signers };
    const server = createServer((socket) => void socket.end(JSON.stringify(standing)));
    await new Promise<void>((resolve) => server.listen(path, resolve));
    const { text } = await run('link', 'list', ...place.at);
    const { text: json } = await run('link', 'list', '--json', ...place.at);
    await new Promise((resolve) => server.close(resolve));
    expect(text).toMatch(/^cellar .* active, connected since 2023-11-14 22:13:20 UTC$/m);
    expect(text).toMatch(/^attic .* standby, connected since 2023-/m);
    expect(text).toMatch(/^barn .* is being told INIT, connected since 2023-/m);
    expect(text).toMatch(/^shed .* active, but away$/m);
    expect(JSON.parse(json)).toMatchObject({
      state: 'up',
      active: 'shed',
      signers: [{ connected: { role: 'active' } }, {}, {}, { name: 'shed', connected: null }],
      pairings: [{ name: 'signer' }],
    });
  });

  it('makes another signer the active one, and says what that takes', async () => {
    const place = await node();
    await run('pair', ...place.at);
    const path = join(place.directory, 'countersign', 'link', 'signers.json');
    const pins = PinStore.open(path);
    pins.add('cellar', 'ab'.repeat(32));
    pins.add('attic', 'cd'.repeat(32));
    const first = await run('link', 'promote', 'cellar', ...place.at);
    expect(first).toEqual({
      status: 0,
      text: 'The active signer is cellar from now on: a running link changes to it within a second.\n',
    });
    const second = await run('link', 'promote', 'attic', ...place.at);
    expect(second.text).toContain('is attic from now on, not cellar:');
    expect(second.text).toContain('Its records must hold all that cellar has signed');
    expect(PinStore.open(path).active).toBe('attic');
    expect((await run('link', 'promote', 'attic', ...place.at)).text).toContain('active signer already');
    expect(await run('link', 'promote', 'barn', ...place.at)).toMatchObject({
      status: 1,
      text: expect.stringContaining('no key is pinned as barn'),
    });
  });

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
