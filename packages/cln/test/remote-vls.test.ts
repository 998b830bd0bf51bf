/** The node side waits for a signer of VLS's kind: by [remote] in countersign.toml, with and without pins. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decide, MASTER_PERMISSIONS, PERMISSION } from '@countersign/core';
import { DEFAULT_CONFIG, type RemoteConfig } from '@countersign/host';
import { type LinkAnswer, type LinkClient, openIdentity } from '@countersign/transport';
import { type GrpcTls, SignerDialler } from '@countersign/transport/grpc';
import { encodeMessage, type Request } from '@countersign/wire';
import { afterEach, describe, expect, it } from 'vitest';
import { LIGHTNINGD } from '../src/remote/introduction.ts';
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
      await ask(LIGHTNINGD, ECDH);
    },
    (level, text) => log.push(`${level} ${text}`),
  );
  closers.push(() => link.close());
  const port = Number(/127\.0\.0\.1:(\d+)/.exec(advice().join())?.[1]);
  return { stateDirectory, greeted, link, advice, log, port };
}

function dial(port: number, tls: GrpcTls | null, asked: LinkClient[] = []): SignerDialler {
  const answer: LinkAnswer = { kind: 'reply', body: Uint8Array.of(0, 123) };
  const ask = async (client: LinkClient) => {
    asked.push(client);
    return answer;
  };
  const dialler = new SignerDialler({
    host: '127.0.0.1',
    port,
    tls,
    handler: { ask, feed: async () => answer, feedEnded: () => {} },
    refusalReply: () => Uint8Array.of(11, 184),
    networkName: 'regtest',
    log: () => {},
    onBug: (error) => expect.unreachable(String(error)),
  });
  closers.push(() => dialler.close());
  dialler.start();
  return dialler;
}

const POINT = Uint8Array.of(2, ...new Uint8Array(32).fill(0x11));
const ECDH = encodeMessage({ name: 'hsmd_ecdh_req', point: POINT });
const DERIVE: Request = { name: 'hsmd_derive_secret', info: new Uint8Array(3) };
const REVOKE: Request = { name: 'hsmd_revoke_commitment_tx', commitNum: 1n };

async function up(link: { readonly state: string }): Promise<void> {
  await expect.poll(() => link.state).toBe('up');
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
    const answer = await link.ask(LIGHTNINGD, ECDH);
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

/** VLS's protocol says nothing of them, and its signer lets whoever has no channel ask what lightningd asks. */
describe('permissions over VLS’s protocol', () => {
  const { ECDH: ecdh, SIGN_GOSSIP: gossip } = PERMISSION;
  const connectd: LinkClient = { peerId: null, dbid: 0n, permissions: ecdh | gossip };
  const channeld: LinkClient = { peerId: POINT, dbid: 7n, permissions: ecdh | gossip };
  const channel = `${'02'.padEnd(66, '1')}/7`;

  async function serving() {
    const { link, port } = await listen([]);
    const asked: LinkClient[] = [];
    dial(port, null, asked);
    await up(link);
    asked.length = 0;
    return { link, asked };
  }

  it.each([
    ['connectd what lightningd asks', connectd, DERIVE, null],
    ['connectd for a channel', connectd, REVOKE, null],
    ['a channel’s daemon what lightningd asks', channeld, DERIVE, channel],
    ['a channel’s daemon beyond its own', channeld, REVOKE, channel],
  ])('are judged here: not %s', async (_, client, request, named) => {
    const { link, asked } = await serving();
    expect(await link.ask(client, encodeMessage(request))).toEqual({
      kind: 'refused',
      refusal: {
        code: 'permission',
        tag: 'policy-client-permission',
        request: request.name,
        channel: named,
        text: `client does not have capability to run ${request.name}`,
        temporary: false,
        auditId: null,
        facts: { permissions: 3n, permission_needed: request === DERIVE ? 1024n : 16n },
      },
    });
    expect(asked).toEqual([]);
  });

  it('are the same that a signer in place wants, in the same words', async () => {
    const { link } = await serving();
    const identity = { channel: null, permissions: connectd.permissions };
    const input = { state: { get: () => undefined }, client: identity };
    const decision = decide(input as never, DERIVE);
    const answer = await link.ask(connectd, encodeMessage(DERIVE));
    if (decision.kind !== 'refused' || answer.kind !== 'refused') throw new Error('not refused');
    const { code, tag, message: text, request, channel: of, facts } = decision.refusal;
    expect(answer.refusal).toMatchObject({ code, tag, text, request, channel: of, facts });
  });

  it('let through what they allow, and connectd is not lightningd to a signer of ours', async () => {
    const { link, asked } = await serving();
    for (const client of [LIGHTNINGD, connectd, channeld])
      expect(await link.ask(client, ECDH)).toMatchObject({ kind: 'reply' });
    expect(asked.map(({ permissions }) => permissions)).toEqual([MASTER_PERMISSIONS, 3n, 511n]);
    expect(await link.ask(LIGHTNINGD, encodeMessage(DERIVE))).toMatchObject({ kind: 'reply' });
  });

  it.each([
    ['noise', Uint8Array.of(0xff, 0xfe, 1, 2)],
    ['half of a request', ECDH.subarray(0, 20)],
    ['nothing', new Uint8Array(0)],
  ])('need a request that can be read: %s ends no signer', async (_, body) => {
    const { link, asked } = await serving();
    for (const client of [LIGHTNINGD, connectd, channeld])
      expect(await link.ask(client, body)).toMatchObject({ kind: 'refused', refusal: { code: 'malformed' } });
    expect(asked).toEqual([]);
  });
});
