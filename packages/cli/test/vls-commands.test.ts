/** The commands where one side speaks VLS's protocol: nothing is paired there, and each side's operator needs the other's key. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newHsmSecret } from '@countersign/core';
import { openIdentity } from '@countersign/transport';
import { afterAll, describe, expect, it } from 'vitest';
import { networkDirectory, removeDirectories } from '../../cln/test/hsmd-under-test.ts';
import { run } from './run-in-process.ts';

const PIN = 'ab'.repeat(32);
const made: string[] = [];

afterAll(() => {
  removeDirectories();
  for (const directory of made) rmSync(directory, { recursive: true });
});

function nodeSide(pins: string) {
  const directory = networkDirectory({
    'countersign.toml': `mode = "remote"\n[remote]\ntransport = "vls-grpc"\n${pins}`,
  });
  const own = () => openIdentity(join(directory, 'countersign', 'link', 'identity.pem')).pin;
  return { at: ['--node-directory', directory], own };
}

function signer(link: string) {
  const directory = mkdtempSync(join(tmpdir(), 'countersign-vls-'));
  made.push(directory);
  const config = join(directory, 'signer.toml');
  const node = `[node.alice]\nnetwork = "regtest"\npassphrase_file = "pass"\n`;
  writeFileSync(config, `${node}[node.alice.link]\ntransport = "vls-grpc"\n${link}`);
  writeFileSync(join(directory, 'pass'), 'a long passphrase\n', { mode: 0o600 });
  writeFileSync(join(directory, 'hsm_secret'), new Uint8Array(32).fill(7), { mode: 0o600 });
  const identity = join(directory, 'alice', 'link', 'identity.pem');
  return { directory, identity, at: ['--config', config], own: () => openIdentity(identity).pin };
}

const TLS = `url = "https://node.example:7701"\npin = "${PIN}"\n`;
const PLAIN = 'url = "http://127.0.0.1:7701"\n';

describe('countersign link, with transport = "vls-grpc"', () => {
  it('list shows the key for the signer, and those that are let in', async () => {
    const { at, own } = nodeSide(`pins = ["${PIN}"]`);
    const { status, text } = await run('link', 'list', ...at);
    expect(status).toBe(0);
    expect(text).toContain(`this node side  ${own()}`);
    expect(text).toContain(`signer          ${PIN}`);
    expect(text).not.toContain('countersign pair');
    const { text: json } = await run('link', 'list', '--json', ...at);
    expect(JSON.parse(json)).toEqual({ transport: 'vls-grpc', pin: own(), signers: [{ pin: PIN }] });
  });

  it('list says who may connect where nothing is pinned', async () => {
    const { status, text } = await run('link', 'list', ...nodeSide('').at);
    expect(status).toBe(0);
    expect(text).toContain('whoever connects is the signer');
    expect(text).toContain('pins = ["…"]');
  });

  it.each([
    [['pair']],
    [['link', 'revoke', 'signer']],
    [['link', 'promote', 'signer']],
    [['link', 'rotate']],
  ])('%s has nothing to do there, and says where keys stand', async (command) => {
    const { at } = nodeSide('');
    const { status, text } = await run(...command, ...at);
    expect(status).not.toBe(0);
    expect(text).toContain('a signer of VLS is not paired');
    expect(text).toMatch(/pins.*docs\/vls-interop\.md/);
  });
});

describe('countersign signer, with transport = "vls-grpc"', () => {
  it('link list shows the key for the node, and the one that it must have', async () => {
    const { at, own, identity } = signer(TLS);
    const { status, text } = await run('signer', 'link', 'list', ...at);
    expect(status).toBe(0);
    // Before the signer runs for the first time: the node's side needs it first.
    expect(existsSync(identity)).toBe(true);
    expect(text).toMatch(new RegExp(`^this signer +${own()}$`, 'm'));
    expect(text).toMatch(new RegExp(`^the node +${PIN}$`, 'm'));
    expect(text).toMatch(/^dialled at +https:\/\/node\.example:7701$/m);
    expect(text).not.toContain('pair');
    const { text: json } = await run('signer', 'link', 'list', '--json', ...at);
    expect(JSON.parse(json)).toEqual({
      transport: 'vls-grpc',
      pin: own(),
      address: 'https://node.example:7701',
      nodes: [{ pin: PIN }],
    });
  });

  it('link list says that without TLS there is no key', async () => {
    const { status, text } = await run('signer', 'link', 'list', ...signer(PLAIN).at);
    expect(status).toBe(0);
    expect(text).toMatch(/^the node +whoever listens there: no TLS$/m);
  });

  it.each([[['pair', 'cspair1qqqq']], [['link', 'revoke']], [['link', 'rotate']]])(
    '%s changes nothing, and says where keys stand',
    async (command) => {
      const { at, identity } = signer(TLS);
      const { status, text } = await run('signer', ...command, ...at);
      expect(status).not.toBe(0);
      expect(text).toContain('node alice is reached by VLS’s protocol: nothing is paired there');
      expect(text).toMatch(/pin.*docs\/vls-interop\.md/);
      expect(existsSync(identity)).toBe(false);
    },
  );

  it.each([
    [PLAIN, /^Next: countersign signer run$/m],
    [TLS, /^Next: countersign signer link list --node alice, whose key goes into pins .*signer run$/m],
  ])('init does not send its operator to pair: %#', async (link, next) => {
    const { at, directory } = signer(link);
    const { status, text } = await run('signer', 'init', '--import', join(directory, 'hsm_secret'), ...at);
    expect(status).toBe(0);
    expect(text).toMatch(next);
    expect(text).not.toContain('pair');
  });

  it.each([
    ['a new seed', () => []],
    [
      'the words of another node',
      (directory: string) => {
        const file = join(directory, 'words');
        writeFileSync(file, newHsmSecret(new Uint8Array(16).fill(3)), { mode: 0o600 });
        return ['--import', file];
      },
    ],
  ])('init makes no seed of words, whose wallet the node would not hear of: %s', async (_, more) => {
    const { at, directory } = signer(PLAIN);
    const { status, text } = await run('signer', 'init', ...at, ...more(directory));
    expect(status).not.toBe(0);
    expect(text).toContain('has twelve words, and VLS’s protocol cannot tell the node of the wallet');
    expect(text).toContain('--import');
    expect(existsSync(join(directory, 'alice', 'seed'))).toBe(false);
  });
});
