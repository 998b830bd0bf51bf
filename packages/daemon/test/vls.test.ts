/** A node whose side speaks VLS's protocol: the daemon dials it, with and without TLS, and serves it as any other. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createPsbt, type Psbt } from '@countersign/bitcoin';
import { FeedDesk } from '@countersign/host';
import { type LinkAnswer, openIdentity } from '@countersign/transport';
import { GrpcNodeSide, type GrpcTls } from '@countersign/transport/grpc';
import { encodeMessage, type Request } from '@countersign/wire';
import { afterEach, describe, expect, it } from 'vitest';
import { initRequest } from '../../core/test/init-request.ts';
import { channelClient, setupRequest } from '../../host/test/support.ts';
import { type NodeConfig, parseSignerConfig } from '../src/config/config.ts';
import { Daemon } from '../src/daemon.ts';
import { linkFiles } from '../src/link/files.ts';
import { openDoor } from '../src/link/open-door.ts';
import { writeSeed } from '../src/seed/new-seed.ts';
import { LIGHTNINGD, replyOf } from './node-side.ts';
import {
  bytes,
  keyOf,
  logged,
  noPassphrases,
  plainSecret,
  QUICK,
  random,
  regtest,
  ringOf,
  secp,
  temporaryDirectory,
} from './support.ts';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const MIB = 1024 * 1024;
const ECDH: Request = { name: 'hsmd_ecdh_req', point: keyOf('somebody') };

async function nodeSide(
  tls: GrpcTls | null,
  messageBytesMax = 4 * MIB,
): Promise<{ side: GrpcNodeSide; greeted: () => number }> {
  let greeted = 0;
  const side = await GrpcNodeSide.open({
    host: '127.0.0.1',
    port: 0,
    tls,
    greet: async (ask) => {
      await ask(LIGHTNINGD, encodeMessage(initRequest()));
      greeted += 1;
    },
    log: () => {},
    limits: { messageBytesMax },
  });
  closers.push(() => side.close());
  return { side, greeted: () => greeted };
}

async function daemonAt(directory: string, link: string, ownPolicy = ''): Promise<Daemon> {
  const passphrase = bytes('a long passphrase');
  writeFileSync(join(directory, 'pass'), passphrase);
  const path = join(directory, 'alice', 'seed');
  const input = { path, network: regtest, secret: plainSecret(1), passphrase };
  await writeSeed({ secp, randomBytes: random, cost: QUICK }, input);
  writeFileSync(join(directory, 'policy.toml'), ownPolicy);
  const text = `[node.alice]\nnetwork = "regtest"\npassphrase_file = "pass"\npolicy_file = "policy.toml"\n[node.alice.link]\ntransport = "vls-grpc"\n${link}`;
  const bugs: unknown[] = [];
  const daemon = await Daemon.start({
    config: parseSignerConfig(text, join(directory, 'signer.toml')),
    passphrases: noPassphrases,
    secp,
    log: logged().log,
    openDoor,
    randomBytes: random,
    monotonicMs: () => performance.now(),
    nowSeconds: () => Math.floor(Date.now() / 1000),
    onBug: (error) => void bugs.push(error),
  });
  closers.push(() => daemon.stop());
  closers.push(async () => expect(bugs).toEqual([]));
  return daemon;
}

function nodeAt(port: number): NodeConfig {
  const link = `[node.alice.link]\ntransport = "vls-grpc"\nurl = "http://127.0.0.1:${port}"\n`;
  const text = `[node.alice]\nnetwork = "regtest"\n${link}`;
  return parseSignerConfig(text, join(temporaryDirectory(), 'signer.toml')).nodes[0]!;
}

describe("VLS's protocol", () => {
  it('brings requests of a node, and refusals in the form of an hsmd in place', async () => {
    const { side, greeted } = await nodeSide(null);
    const daemon = await daemonAt(temporaryDirectory(), `url = "http://127.0.0.1:${side.port}"\n`);
    await expect.poll(greeted).toBe(1);
    expect(daemon.standing).toMatchObject([{ link: 'up', isInitialized: true }]);
    expect(replyOf(await side.ask(LIGHTNINGD, encodeMessage(initRequest())))).toMatchObject({
      nodeId: ringOf(1).nodeId,
    });
    expect(replyOf(await side.ask(LIGHTNINGD, encodeMessage(ECDH)))).toMatchObject({
      name: 'hsmd_ecdh_resp',
    });
    const { channel, permissions } = channelClient(1);
    const client = { peerId: channel?.peerId ?? null, dbid: 1n, permissions };
    expect(replyOf(await side.ask(client, encodeMessage(setupRequest(1))))).toMatchObject({
      name: 'hsmd_setup_channel_reply',
    });
    const revocation = encodeMessage({ name: 'hsmd_revoke_commitment_tx', commitNum: 5n });
    expect(replyOf(await side.ask(client, revocation))).toMatchObject({
      name: 'vls_signer_error',
      message: expect.stringMatching(/^policy-/),
    });
    expect(replyOf(await side.ask(LIGHTNINGD, encodeMessage(ECDH)))).toMatchObject({
      name: 'hsmd_ecdh_resp',
    });
    await daemon.stop();
  });

  it('says no to a request near a raised message_bytes_max, and goes on', async () => {
    const { side, greeted } = await nodeSide(null, 8 * MIB);
    const url = `url = "http://127.0.0.1:${side.port}"\n`;
    await daemonAt(temporaryDirectory(), url, `message_bytes_max = ${8 * MIB}\n`);
    await expect.poll(greeted).toBe(1);
    const plain = createPsbt({ version: 2, inputs: [], outputs: [], locktime: 0 });
    const proprietary = { type: 0xfc, keyData: bytes('x'), value: new Uint8Array(5 * MIB) };
    const psbt: Psbt = { ...plain, global: [...plain.global, proprietary] };
    const request: Request = {
      name: 'hsmd_sign_anchorspend',
      peerid: keyOf('somebody'),
      channelDbid: 1n,
      inputs: [],
      psbt,
    };
    const body = encodeMessage(request, new Uint8Array(0), { messageBytesMax: 8 * MIB });
    // Refused by returning what came, unsigned.
    const { channel, permissions } = channelClient(1);
    const client = { peerId: channel?.peerId ?? null, dbid: 1n, permissions };
    const answer = await side.ask(client, body);
    if (answer.kind !== 'reply') throw new Error('no reply');
    expect(answer.body.length).toBeGreaterThan(5 * MIB);
    expect(replyOf(await side.ask(LIGHTNINGD, encodeMessage(ECDH)))).toMatchObject({
      name: 'hsmd_ecdh_resp',
    });
  });

  it('tells where the chain ends, which VLS’s node side asks at its start on mainnet and ends without', async () => {
    const { side, greeted } = await nodeSide(null);
    const desk = new FeedDesk(
      { answer: () => Promise.reject(new Error('no request')), recordRefusal: () => null },
      null,
    );
    const door = await openDoor({
      config: nodeAt(side.port),
      handler: {
        ask: async () => ({ kind: 'reply', body: bytes('..') }),
        feed: async (_, body) => ({
          kind: 'reply',
          body: encodeMessage((await desk.open().answer(body)).reply),
        }),
        feedEnded: () => {},
      },
      messageBytesMax: 4 * MIB,
      chainTip: () => ({ heightBlocks: 900_000, hash: new Uint8Array(32).fill(4) }),
      log: logged().log,
      onBug: (error) => expect.unreachable(String(error)),
    });
    closers.push(() => door.close());
    await expect.poll(greeted, { timeout: 10_000 }).toBe(1);
    const feed = side.openFeed();
    expect(replyOf(await feed.ask(encodeMessage({ name: 'vls_tip_info' })))).toEqual({
      name: 'vls_tip_info_reply',
      height: 900_000,
      blockHash: new Uint8Array(32).fill(4),
    });
    expect(replyOf(await feed.ask(encodeMessage({ name: 'vls_forward_watches' })))).toMatchObject({
      name: 'vls_signer_error',
    });
  });

  it('lets the answer that is due leave before it closes, and waits for none that never comes', async () => {
    const { side, greeted } = await nodeSide(null);
    const due = Promise.withResolvers<LinkAnswer>();
    const answers = [Promise.resolve({ kind: 'reply', body: bytes('..') } as const), due.promise];
    const door = await openDoor({
      config: nodeAt(side.port),
      handler: {
        ask: () => answers.shift() ?? new Promise(() => {}),
        feed: () => new Promise(() => {}),
        feedEnded: () => {},
      },
      messageBytesMax: 4 * MIB,
      chainTip: () => null,
      log: logged().log,
      onBug: (error) => expect.unreachable(String(error)),
    });
    await expect.poll(greeted, { timeout: 10_000 }).toBe(1);
    const asked = side.ask(LIGHTNINGD, encodeMessage(ECDH));
    await expect.poll(() => answers.length).toBe(0);
    const late = side.ask(LIGHTNINGD, encodeMessage(ECDH));
    late.catch(() => {});
    // As when the process is told to end while it decides: what comes after that is never answered.
    due.resolve({ kind: 'reply', body: bytes('an answer') });
    const beganMs = performance.now();
    await door.close();
    expect(performance.now() - beganMs).toBeLessThan(5_000);
    expect(door.state).toBe('closed');
    expect(await Promise.race([asked, new Promise((resolve) => setTimeout(resolve, 1_000))])).toEqual({
      kind: 'reply',
      body: bytes('an answer'),
    });
    expect(side.outstanding).toBe(1);
  });

  it('goes over TLS with the key that was configured, and no other', async () => {
    const [directory, other] = [temporaryDirectory(), temporaryDirectory()];
    mkdirSync(join(directory, 'alice'), { mode: 0o700 });
    const own = openIdentity(linkFiles(join(directory, 'alice')).identity);
    const proxy = openIdentity(join(other, 'identity.pem'));
    const tls = { ...proxy, pins: [own.pin], authoritiesPem: null };
    const { side, greeted } = await nodeSide(tls);
    const url = `url = "https://127.0.0.1:${side.port}"\n`;
    const daemon = await daemonAt(directory, `${url}pin = "${proxy.pin}"\n`);
    await expect.poll(greeted).toBe(1);
    await daemon.stop();
    const stranger = await daemonAt(temporaryDirectory(), `${url}pin = "${'ab'.repeat(32)}"\n`);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(stranger.standing).toMatchObject([{ link: 'down', isInitialized: false }]);
    expect(greeted()).toBe(1);
  });
});
