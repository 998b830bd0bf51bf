/**
 * An application with LDK and its signer on another machine, as two operators set them up: `countersign pair` beside the
 * application, `signer init --import`, `signer pair` and `signer run` as real processes. The application's thread sleeps in its
 * calls; the signer is killed and comes back.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadSecp256k1, toHex } from '@countersign/bitcoin';
import { KeyRing, networkByName, Secret } from '@countersign/core';
import { openRemoteDoor, type RemoteDoor } from '@countersign/transport/bridge';
import { decodeMessage, encodeMessage, type Request } from '@countersign/wire';
import { afterEach, describe, expect, it } from 'vitest';
import { keyOf } from '../../daemon/test/support.ts';

const LAUNCHER = fileURLToPath(new URL('../bin/countersign', import.meta.url));
const LDK_SEED = new Uint8Array(32).fill(77);
const NODE = { peerId: null, dbid: 0n, permissions: 0xffff_ffff_ffff_ffffn };
const ECDH: Request = { name: 'hsmd_ecdh_req', point: keyOf('somebody') };

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

function directory(): string {
  const path = mkdtempSync(join(tmpdir(), 'countersign-ldk-'));
  ends.push(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Its output; rejects when it ends with another status than 0. */
function countersign(cwd: string, ...args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(LAUNCHER, args, { cwd, timeout: 150_000 }, (error, out, stderr) => {
      if (error === null) resolve(out);
      else reject(new Error(`${args.join(' ')}: ${out}${stderr}`));
    });
  });
}

function signerRuns(cwd: string): ChildProcess {
  const child = spawn(LAUNCHER, ['signer', 'run'], { cwd, stdio: 'ignore' });
  ends.push(() => child.kill('SIGKILL'));
  return child;
}

function told(door: RemoteDoor, request: Request) {
  const decoded = decodeMessage(door.ask(NODE, encodeMessage(request)), 'reply');
  if (!decoded.ok) throw decoded.error;
  return decoded.message;
}

async function until(condition: () => boolean): Promise<void> {
  const endMs = performance.now() + 60_000;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error('it did not come');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe.each(['worker', 'fifo'] as const)('an application with LDK over a bridge (%s)', (bridge) => {
  it('has its old seed on the signer’s machine, and the same answers after restarts of either side', async () => {
    const [application, signer] = [directory(), directory()];
    writeFileSync(join(signer, 'ldk_seed'), LDK_SEED);
    writeFileSync(join(signer, 'pass'), 'a long passphrase\n', { mode: 0o600 });
    const made = await countersign(
      signer,
      ...['signer', 'init', '--network', 'regtest', '--key-style', 'ldk', '--import', 'ldk_seed'],
      ...['--passphrase-file', 'pass'],
    );
    const ring = new KeyRing({
      secp256k1: loadSecp256k1(),
      seed: Secret.copy(LDK_SEED, 32),
      style: 'ldk',
      bip32PublicVersion: networkByName('regtest')!.bip32Public,
    });
    expect(made).toContain(toHex(ring.nodeId));

    const lines: string[] = [];
    const options = {
      directory: application,
      listen: { host: '127.0.0.1', port: 0 },
      network: 'regtest',
      keyStyle: 'ldk',
      bridge,
      // A signer's start under a loaded machine takes its time.
      patienceMs: 100_000,
      log: (level: string, line: string) => void lines.push(`${level} ${line}`),
    } as const;
    const opening = openRemoteDoor(options);
    ends.push(async () => (await opening).close());
    await until(() =>
      lines.some((line) => line.includes(`countersign pair --node-directory ${application}`)),
    );
    const printed = await countersign(application, 'pair', '--node-directory', application);
    const token = /cspair1[0-9a-z]+/.exec(printed)?.[0] ?? '';
    await countersign(signer, 'signer', 'pair', token);
    writeFileSync(
      join(signer, 'signer.toml'),
      '[node.node]\nnetwork = "regtest"\nkey_style = "ldk"\npassphrase_file = "pass"\n',
    );
    const first = signerRuns(signer);
    const door = await opening;
    expect(door.identity.nodeId).toEqual(ring.nodeId);
    expect(told(door, { name: 'vls_node_info' })).toMatchObject({
      networkName: 'regtest',
      nodeId: ring.nodeId,
    });
    const secret = told(door, ECDH);
    expect(secret).toMatchObject({ name: 'hsmd_ecdh_resp' });
    const tip = decodeMessage(await door.feed(encodeMessage({ name: 'countersign_chain_tip' })), 'reply');
    expect(tip.ok).toBe(true);

    first.kill('SIGKILL');
    signerRuns(signer);
    expect(told(door, ECDH)).toEqual(secret);
    expect(await countersign(application, 'link', 'list', '--node-directory', application)).toContain(
      'signer',
    );
    await door.close();

    const port = Number(
      /:(\d+)/.exec(lines.find((line) => line.includes('waiting for the signer')) ?? '')?.[1],
    );
    const again = await openRemoteDoor({ ...options, listen: { host: '127.0.0.1', port } });
    ends.push(() => again.close());
    expect(told(again, ECDH)).toEqual(secret);
  });
});
