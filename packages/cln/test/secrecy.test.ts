/**
 * Whole sessions with known secrets, good requests and bad ones; then every byte the process wrote anywhere but to the
 * sockets that asked is searched for them.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { fromHex, toHex } from '@countersign/bitcoin';
import { decodeMessage, MESSAGES, type Reply } from '@countersign/wire';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { initRequest } from '../../core/test/init-request.ts';
import {
  ALL_BITS,
  endAll,
  type HsmdUnderTest,
  Link,
  networkDirectory,
  removeDirectories,
  SECRET,
  start,
} from './hsmd-under-test.ts';

afterEach(endAll);
afterAll(removeDirectories);

const VECTORS = new URL('../../../vectors/cln/', import.meta.url);

interface Line {
  readonly client: { readonly id: number; readonly dbid: number; readonly peer_id: string };
  readonly type_num: number;
  readonly request: string;
  readonly note?: string;
}

interface Session {
  readonly secretFile: Uint8Array;
  readonly lines: readonly Line[];
}

function session(scenario: string, node: string): Session {
  const meta = JSON.parse(readFileSync(new URL(`${scenario}/meta.json`, VECTORS), 'utf8'));
  const file = gunzipSync(readFileSync(new URL(`${scenario}/${node}.jsonl.gz`, VECTORS))).toString('utf8');
  const lines = file.split('\n').filter((line) => line !== '');
  return {
    secretFile: fromHex(meta.nodes[node].hsm_secret_hex),
    lines: lines.map((line): Line => JSON.parse(line)),
  };
}

/** Values of a message's fields that are secrets by the table of the wire, or by their name. */
function secretsIn(value: unknown, name = ''): Uint8Array[] {
  if (value instanceof Uint8Array) return /secret|^ss$|seed|privkey/i.test(name) ? [value] : [];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, part]) => secretsIn(part, key));
}

/** How a secret may look in a text or among bytes. */
function forms(secret: Uint8Array): Buffer[] {
  const bytes = Buffer.from(secret);
  const listed = [...secret].join(',');
  const texts = [
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
    bytes.toString('base64').slice(0, 40),
    listed,
  ];
  return [bytes, ...texts.map((text) => Buffer.from(text))];
}

function isIn(haystack: Uint8Array, secret: Uint8Array): boolean {
  return forms(secret).some((form) => Buffer.from(haystack).includes(form));
}

function everythingWritten(hsmd: HsmdUnderTest): Uint8Array {
  return Buffer.concat([hsmd.written('status'), hsmd.written('stdout'), hsmd.written('stderr')]);
}

function filesBelow(directory: string): Buffer {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return Buffer.concat(files.map((entry) => readFileSync(join(entry.parentPath, entry.name))));
}

/** Plays the session; after each request the same one again by a client without permissions, and cut short. */
async function play(hsmd: HsmdUnderTest, lines: readonly Line[], secrets: Set<string>): Promise<void> {
  const clients = new Map<number, Link>([[0, hsmd.master]]);
  const learn = (message: unknown) => {
    for (const secret of secretsIn(message))
      if (secret.some((byte) => byte !== 0)) secrets.add(toHex(secret));
  };
  let strangers = 0n;
  for (const { client, request: hex, note } of lines) {
    const request = fromHex(hex);
    const decoded = decodeMessage(request, 'request');
    if (decoded.ok) learn(decoded.message);
    const link = clients.get(client.id)!;
    await link.send(request);
    if (decoded.ok && decoded.message.name === 'hsmd_dev_preinit') continue;
    learn((await link.reply()) satisfies Reply | 'closed');
    const opened = /becomes client id (\d+)/.exec(note ?? '')?.[1];
    if (opened !== undefined) {
      clients.set(Number(opened), new Link(await hsmd.master.receiveDescriptor()));
    }
    if (!decoded.ok || secretsIn(decoded.message).length === 0 || decoded.message.name === 'hsmd_init')
      continue;
    strangers += 1n;
    const bad: [Uint8Array, bigint][] = [
      [request, 0n],
      [request.subarray(0, request.length - 1), ALL_BITS],
      [Uint8Array.of(0x12, 0x34, ...request), ALL_BITS],
    ];
    for (const [body, permissions] of bad) {
      const stranger = await hsmd.openClient(1_000_000n + strangers, permissions);
      expect(await stranger.ask(body)).toMatchObject({ name: 'vls_signer_error' });
      expect(await stranger.receive()).toBe('closed');
      expect(await hsmd.master.ask(body)).toBeDefined();
    }
  }
}

describe('no secret leaves but to who asked', () => {
  it.each([
    ['open-pay-close', 'l1'],
    ['messages', 'l1'],
  ])('in %s/%s', async (scenario, node) => {
    const { secretFile, lines } = session(scenario, node);
    const pid = lines.filter((line) => line.type_num === 11).length;
    expect(pid).toBeGreaterThan(0);
    const firstRun = lines.slice(0, secondInit(lines));
    const directory = networkDirectory({ hsm_secret: secretFile });
    const hsmd = start({ directory, args: ['--developer', '--log-trace'] });
    const secrets = new Set<string>();
    await play(hsmd, firstRun, secrets);
    await hsmd.hangUp();
    const written = everythingWritten(hsmd);
    // What is searched is really there, and the search finds what is in it.
    expect(isIn(written, new TextEncoder().encode('POLICY IS PERMISSIVE'))).toBe(true);
    expect(hsmd.statusNamed('hsmstatus_client_bad_request').length).toBeGreaterThan(0);
    expect(secrets.size).toBeGreaterThan(3);
    for (const secret of secrets)
      expect({ secret, found: isIn(written, fromHex(secret)) }).toEqual({ secret, found: false });
    const words = secretFile.subarray(32);
    const own = [secretFile, secretFile.subarray(0, 32), words].filter(
      (part) => part.length > 0 && part.some((b) => b !== 0),
    );
    const state = filesBelow(join(directory, 'countersign'));
    for (const part of own) expect([isIn(written, part), isIn(state, part)]).toEqual([false, false]);
  });

  it('when INIT fails over its passphrase, its developer fields or its settings', async () => {
    const passphrase = 'a passphrase that nobody may see';
    const forced = new Uint8Array(32).fill(0x5e);
    const failing = [
      initRequest('regtest', { tlvs: { hsmPassphrase: passphrase }, chainparams: forced }),
      initRequest('signet', { devForcePrivkey: forced, tlvs: { hsmPassphrase: passphrase } }),
      initRequest('regtest', { hsmWireMinVersion: 9, hsmWireMaxVersion: 9, devForceBip32Seed: forced }),
    ];
    for (const request of failing) {
      const hsmd = start({ directory: networkDirectory({}), args: ['--developer', '--log-trace'] });
      await hsmd.master.send({ name: 'hsmd_dev_preinit', tlvs: { seed: SECRET } });
      await hsmd.master.send(request);
      await hsmd.ended;
      const written = everythingWritten(hsmd);
      expect(hsmd.statusNamed('status_fail').length).toBe(1);
      expect(isIn(written, new TextEncoder().encode(passphrase))).toBe(false);
      expect(isIn(written, SECRET)).toBe(false);
      // As a chain hash it is no secret, so there it is told.
      if (request.name === 'hsmd_init' && request.chainparams !== forced)
        expect(isIn(written, forced)).toBe(false);
    }
  });

  it('when a new secret is made with a passphrase', async () => {
    const directory = networkDirectory({});
    const passphrase = 'a passphrase that nobody may see';
    const hsmd = start({ directory, args: ['--log-trace'] });
    expect(await hsmd.init({ tlvs: { hsmPassphrase: passphrase } })).toMatchObject({
      name: 'hsmd_init_reply_v4',
    });
    await hsmd.hangUp();
    const file = readFileSync(join(directory, 'hsm_secret'));
    const parts = [file.subarray(0, 32), file.subarray(32), new TextEncoder().encode(passphrase)];
    const state = filesBelow(join(directory, 'countersign'));
    for (const part of parts)
      expect([isIn(everythingWritten(hsmd), part), isIn(state, part)]).toEqual([false, false]);
  });
});

function secondInit(lines: readonly Line[]): number {
  const inits = lines.flatMap((line, i) => (line.type_num === MESSAGES.hsmd_init.number ? [i] : []));
  const second = inits[1];
  if (second === undefined) return lines.length;
  // A preinit comes before its INIT.
  return lines[second - 1]?.type_num === MESSAGES.hsmd_dev_preinit.number ? second - 1 : second;
}
