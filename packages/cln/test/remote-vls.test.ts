/** The node side waits for a signer of VLS's kind: by [remote] in countersign.toml, with and without pins. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_CONFIG, type RemoteConfig } from '@countersign/host';
import { type LinkAnswer, openIdentity } from '@countersign/transport';
import { type GrpcTls, SignerDialler } from '@countersign/transport/grpc';
import { afterEach, describe, expect, it } from 'vitest';
import { listenForSigner } from '../src/remote/listen.ts';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function directory(): string {
  const made = mkdtempSync(join(tmpdir(), 'countersign-grpc-'));
  closers.push(() => rmSync(made, { recursive: true }));
  return made;
}

async function listen(pins: readonly string[]) {
  const stateDirectory = join(directory(), 'state');
  const remote: RemoteConfig = {
    transport: 'vls-grpc',
    listen: { kind: 'tcp', host: '127.0.0.1', port: 0 },
    pins,
    startPatienceSeconds: null,
    linkPatienceSeconds: null,
    greetingSeconds: 10,
    retrySeconds: 0,
  };
  const greeted: string[] = [];
  const log: string[] = [];
  const { link, advice } = await listenForSigner(
    { ...DEFAULT_CONFIG, stateDirectory },
    remote,
    async (ask, signer) => {
      greeted.push(signer);
      await ask({ peerId: null, dbid: 0n, permissions: 0n }, Uint8Array.of(0, 23));
    },
    (level, text) => log.push(`${level} ${text}`),
  );
  closers.push(() => link.close());
  const port = Number(/127\.0\.0\.1:(\d+)/.exec(advice().join())?.[1]);
  return { stateDirectory, greeted, link, advice, log, port };
}

function dial(port: number, tls: GrpcTls | null): SignerDialler {
  const answer: LinkAnswer = { kind: 'reply', body: Uint8Array.of(0, 123) };
  const dialler = new SignerDialler({
    host: '127.0.0.1',
    port,
    tls,
    handler: { ask: async () => answer, feed: async () => answer, feedEnded: () => {} },
    refusalReply: () => Uint8Array.of(11, 184),
    networkName: 'regtest',
    log: () => {},
    onBug: (error) => expect.unreachable(String(error)),
  });
  closers.push(() => dialler.close());
  dialler.start();
  return dialler;
}

async function up(link: { readonly state: string }): Promise<void> {
  for (let i = 0; i < 500 && link.state !== 'up'; i++)
    await new Promise((resolve) => setTimeout(resolve, 10));
  expect(link.state).toBe('up');
}

describe('transport = "vls-grpc"', () => {
  it('without pins takes whoever connects, and says so', async () => {
    const { link, advice, greeted, log, port, stateDirectory } = await listen([]);
    expect(advice()[1]).toBe('no pins in [remote]: no TLS, and whoever connects is the signer');
    // Where the socket for feeders will be.
    expect(existsSync(stateDirectory)).toBe(true);
    dial(port, null);
    await up(link);
    expect(greeted).toEqual(['127.0.0.1']);
    expect(log.every((line) => line.includes('countersign: vls: '))).toBe(true);
    const answer = await link.ask({ peerId: null, dbid: 0n, permissions: 0n }, Uint8Array.of(0, 23));
    expect(answer).toEqual({ kind: 'reply', body: Uint8Array.of(0, 123) });
  });

  it('with pins takes that signer by TLS, and tells its own', async () => {
    const signer = openIdentity(join(directory(), 'identity.pem'));
    const { link, advice, greeted, port } = await listen([signer.pin]);
    const own = /key, for the signer: ([0-9a-f]{64})$/.exec(advice()[1] ?? '')?.[1] ?? '';
    const stranger = dial(port, null);
    dial(port, { ...signer, pins: [own], authoritiesPem: null });
    await up(link);
    expect(greeted).toEqual([signer.pin]);
    expect(stranger.state).toBe('waiting');
  });
});
