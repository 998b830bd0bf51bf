/** A real countersign-hsmd in remote mode, and a signer that the test plays over a real link: TLS, pinned keys, cuts. */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import {
  beginPairing,
  FrameSocket,
  type LinkAnswer,
  type LinkClient,
  nodeLinkFiles,
  openIdentity,
  openPairingBook,
  PinStore,
  pair,
  type RequestHandler,
  SignerSideLink,
} from '@countersign/transport';
import { decodeMessage, encodeMessage, type Reply } from '@countersign/wire';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { FakeBitcoind } from '../../chain/test/fake-bitcoind.ts';
import { afterTest, fileWith } from '../../chain/test/support.ts';
import { MinedChain } from '../../core/test/mined-chain.ts';
import { LINK_SOCKET, readStanding } from '../src/remote/standing.ts';
import { refusedBy } from './fake-link.ts';
import {
  DERIVE,
  ECDH,
  endAll,
  type HsmdUnderTest,
  initRequest,
  networkDirectory,
  PEER,
  POINT,
  removeDirectories,
  start,
} from './hsmd-under-test.ts';

const WAIT = { timeout: 10_000, interval: 10 };

const replied = (message: Reply): LinkAnswer => ({ kind: 'reply', body: encodeMessage(message) });
const DERIVED = replied({ name: 'hsmd_derive_secret_reply', secret: new Uint8Array(32).fill(3) });
const SHARED = replied({ name: 'hsmd_ecdh_resp', ss: new Uint8Array(32).fill(9) });
const initReply = (fill: number): LinkAnswer =>
  replied({
    name: 'hsmd_init_reply_v4',
    hsmVersion: 6,
    hsmCapabilities: [5, 19],
    nodeId: Uint8Array.of(2, ...new Uint8Array(32).fill(fill)),
    bip32: new Uint8Array(78),
    bolt12: POINT,
    tlvs: {},
  });

type Answering = (client: LinkClient, name: string) => LinkAnswer | Promise<LinkAnswer> | null;

/** INIT, secrets and ECDH as any signer would answer them; the test says what it wants otherwise. */
class PlayedSigner implements RequestHandler {
  answering: Answering = () => null;
  fill = 1;
  readonly asked: { readonly client: LinkClient; readonly name: string }[] = [];
  readonly fed: { readonly session: number; readonly name: string }[] = [];
  readonly ended: number[] = [];

  async ask(client: LinkClient, body: Uint8Array): Promise<LinkAnswer> {
    const decoded = decodeMessage(body, 'request');
    const name = decoded.ok ? decoded.message.name : 'malformed';
    const peerId = client.peerId === null ? null : Uint8Array.from(client.peerId);
    this.asked.push({ client: { ...client, peerId }, name });
    const own = await this.answering(client, name);
    if (own !== null) return own;
    if (name === 'hsmd_dev_preinit') return { kind: 'reply', body: new Uint8Array(0) };
    if (name === 'hsmd_init') return initReply(this.fill);
    if (name === 'hsmd_derive_secret') return DERIVED;
    if (name === 'hsmd_ecdh_req') return SHARED;
    return refusedBy({
      code: 'malformed',
      tag: 'policy-generic-error',
      request: name,
      text: 'unknown request',
    });
  }

  async feed(session: number, body: Uint8Array): Promise<LinkAnswer> {
    const decoded = decodeMessage(body, 'request');
    const name = decoded.ok ? decoded.message.name : 'malformed';
    this.fed.push({ session, name });
    if (name === 'countersign_chain_tip')
      return replied({ name: 'countersign_chain_tip_reply', tip: undefined, begins: undefined });
    return replied({ name: 'countersign_preimages_reply', learned: 1 });
  }

  feedEnded(session: number): void {
    this.ended.push(session);
  }

  inits(): number {
    return this.asked.filter(({ name }) => name === 'hsmd_init').length;
  }
}

const links: SignerSideLink[] = [];
const cables: Cable[] = [];

/** TCP that the test may cut. */
class Cable {
  readonly #sockets = new Set<Socket>();
  isCut = false;
  port = 0;
  readonly #server = createServer((near) => {
    if (this.isCut) {
      near.destroy();
      return;
    }
    const far = connect(this.#target, '127.0.0.1');
    for (const socket of [near, far]) {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        this.#sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far).pipe(near);
  });
  readonly #target: number;

  constructor(target: number) {
    this.#target = target;
    cables.push(this);
  }

  async open(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const address = this.#server.address();
    this.port = typeof address === 'object' && address !== null ? address.port : 0;
    return this;
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): void {
    this.cut();
    this.#server.close();
  }
}

async function freePort(): Promise<number> {
  const cable = await new Cable(0).open();
  const { port } = cable;
  cable.close();
  return port;
}

interface Setting {
  readonly directory: string;
  readonly port: number;
  readonly state: string;
  readonly signerDirectory: string;
}

/** Lines of [remote], beside where to listen. */
async function setting(remote = '', listen?: string): Promise<Setting> {
  const port = await freePort();
  const toml = `mode = "remote"\n[remote]\nlisten = "${listen ?? `127.0.0.1:${port}`}"\n${remote}`;
  const directory = networkDirectory({ 'countersign.toml': toml });
  const state = join(directory, 'countersign');
  const signerDirectory = join(directory, 'signer');
  mkdirSync(state, { mode: 0o700 });
  mkdirSync(signerDirectory, { mode: 0o700 });
  return { directory, port, state, signerDirectory };
}

/** Another signer of this node, under its own name. */
function paired({ state, signerDirectory }: Setting, name = 'cellar') {
  const node = nodeLinkFiles(state);
  const identityPath = join(signerDirectory, `${name}.pem`);
  PinStore.open(node.pins).add(name, openIdentity(identityPath).pin);
  const pins = PinStore.open(join(signerDirectory, `${name}.json`));
  pins.add('node', openIdentity(node.identity).pin);
  return { identityPath, pins };
}

function dial(place: Setting, handler: RequestHandler, port = place.port, name = 'cellar'): SignerSideLink {
  return dialWith(paired(place, name), handler, port);
}

function dialWith(
  { identityPath, pins }: ReturnType<typeof paired>,
  handler: RequestHandler,
  port: number,
): SignerSideLink {
  const link = SignerSideLink.dial({
    dial: { kind: 'tcp', host: '127.0.0.1', port, identityPath, pins, node: 'node' },
    handler,
    onBug: (error) => {
      throw error;
    },
    log: () => {},
  });
  links.push(link);
  return link;
}

interface Remote extends Setting {
  readonly hsmd: HsmdUnderTest;
  readonly signer: PlayedSigner;
  readonly link: SignerSideLink;
  readonly cable: Cable;
}

/** An hsmd that has answered INIT with what its signer said. */
async function serving(remote = ''): Promise<Remote> {
  const place = await setting(remote);
  const signer = new PlayedSigner();
  const cable = await new Cable(place.port).open();
  const link = dial(place, signer, cable.port);
  const hsmd = start({ directory: place.directory });
  const reply = await hsmd.init();
  expect(reply).toMatchObject({ name: 'hsmd_init_reply_v4' });
  return { ...place, hsmd, signer, link, cable };
}

afterEach(async () => {
  await endAll();
  for (const link of links.splice(0)) link.close();
  for (const cable of cables.splice(0)) cable.close();
});
afterAll(removeDirectories);

describe('the start', () => {
  it('waits for the signer, and tells the terminal for whom and what to do', async () => {
    const place = await setting();
    const hsmd = start({ directory: place.directory });
    await hsmd.master.send(initRequest('regtest'));
    await expect.poll(() => hsmd.output(), WAIT).toContain('"countersign pair"');
    expect(hsmd.output()).toContain(`countersign: waiting for the signer at 127.0.0.1:${place.port}\n`);
    expect(hsmd.output()).toContain('no signer is paired with this node yet');
    expect(hsmd.logged('unusual')[0]).toBe(`countersign: waiting for the signer at 127.0.0.1:${place.port}`);
    dial(place, new PlayedSigner());
    expect(await hsmd.master.reply()).toMatchObject({ name: 'hsmd_init_reply_v4' });
    expect(await hsmd.master.ask(DERIVE)).toMatchObject({ name: 'hsmd_derive_secret_reply' });
  });

  it('lets a signer in that brings a token meanwhile', async () => {
    const place = await setting();
    const hsmd = start({ directory: place.directory });
    await hsmd.master.send(initRequest('regtest'));
    await expect.poll(() => hsmd.output(), WAIT).toContain('no signer is paired with this node yet');
    const files = nodeLinkFiles(place.state);
    const { token } = beginPairing({
      book: openPairingBook(files.pairings),
      pins: PinStore.open(files.pins),
      identityPath: files.identity,
      name: 'cellar',
      addresses: [{ host: '127.0.0.1', port: place.port }],
    });
    const identityPath = join(place.signerDirectory, 'cellar.pem');
    const pins = PinStore.open(join(place.signerDirectory, 'cellar.json'));
    await pair({ token, identityPath, pins, name: 'node' });
    dialWith({ identityPath, pins }, new PlayedSigner(), place.port);
    expect(await hsmd.master.reply()).toMatchObject({ name: 'hsmd_init_reply_v4' });
    expect(hsmd.logged('info').join('\n')).toContain('countersign: link: ');
  });

  it('asks the next signer where the first does not answer INIT, and says so', async () => {
    const place = await setting('greeting_seconds = 1');
    const hsmd = start({ directory: place.directory });
    await hsmd.master.send(initRequest('regtest'));
    const mute = new PlayedSigner();
    mute.answering = () => new Promise(() => {});
    dial(place, mute, place.port, 'attic');
    await expect.poll(() => mute.inits(), WAIT).toBe(1);
    const signer = new PlayedSigner();
    dial(place, signer, place.port, 'cellar');
    expect(await hsmd.master.reply()).toMatchObject({ name: 'hsmd_init_reply_v4' });
    const line = 'countersign: link: attic did not answer INIT within 1 s: cellar is asked instead';
    expect(hsmd.output()).toContain(line);
    expect(hsmd.logged('unusual')).toContain(line);
    expect(signer.inits()).toBe(1);
    const { state, pending, signers } = (await readStanding(join(place.state, LINK_SOCKET)))!;
    expect([state, pending]).toEqual(['up', 0]);
    expect(signers.map(({ name, role }) => [name, role])).toContainEqual(['cellar', 'active']);
    expect(statSync(join(place.state, LINK_SOCKET)).mode & 0o777).toBe(0o600);
  });

  it('says nothing of its link where it does not run', async () => {
    const { state } = await setting();
    expect(await readStanding(join(state, LINK_SOCKET))).toBeNull();
    expect(await readStanding(`/${'x'.repeat(200)}`)).toBeNull();
  });

  it('names the signers that it knows', async () => {
    const place = await setting();
    paired(place, 'cellar');
    const hsmd = start({ directory: place.directory });
    await hsmd.master.send(initRequest('regtest'));
    await expect.poll(() => hsmd.output(), WAIT).toContain('paired with cellar');
  });

  it('makes no secret and no store, loads no curve, and keeps its link private', async () => {
    const { directory, state, hsmd } = await serving();
    expect(existsSync(join(directory, 'hsm_secret'))).toBe(false);
    expect(readdirSync(state).sort()).toEqual(['link', 'link.sock', 'node.sock']);
    const loaded = existsSync('/proc') ? readFileSync(`/proc/${hsmd.pid}/maps`, 'utf8') : '';
    expect(loaded).not.toContain('secp256k1');
  });

  it('gives up when the operator’s patience ends', async () => {
    const place = await setting('start_patience_seconds = 1\n');
    const hsmd = start({ directory: place.directory });
    expect(await hsmd.init()).toMatchObject({
      name: 'hsmd_init_reply_failure',
      errorCode: 20,
      errorMessage: 'countersign: no signer came within 1 s (start_patience_seconds in [remote])',
    });
    expect((await hsmd.ended).code).toBe(242);
  });

  it('fails where it cannot listen', async () => {
    const place = await setting('', '192.0.2.1:9737');
    const hsmd = start({ directory: place.directory });
    const reply = await hsmd.init();
    expect(reply).toMatchObject({ name: 'hsmd_init_reply_failure', errorCode: 20 });
    expect(JSON.stringify(reply)).toContain('cannot listen at 192.0.2.1:9737');
  });

  it('fails with the signer’s reason', async () => {
    const place = await setting();
    const signer = new PlayedSigner();
    signer.answering = (_, name) =>
      name === 'hsmd_init' ? refusedBy({ tag: 'policy-init-binding', text: 'the node is on regtest' }) : null;
    dial(place, signer);
    const hsmd = start({ directory: place.directory });
    expect(await hsmd.init()).toMatchObject({
      errorMessage:
        'countersign: the signer does not serve this node: policy-init-binding: the node is on regtest',
    });
    expect((await hsmd.ended).code).toBe(242);
  });

  it('ends when lightningd hangs up meanwhile', async () => {
    const place = await setting();
    const hsmd = start({ directory: place.directory });
    await hsmd.master.send(initRequest('regtest'));
    await expect.poll(() => hsmd.output(), WAIT).toContain('waiting for the signer');
    expect((await hsmd.hangUp()).code).toBe(2);
  });

  it('ends when lightningd hangs up while its signer is away', async () => {
    const { hsmd, cable } = await serving();
    const client = await hsmd.openClient(3n);
    cable.isCut = true;
    cable.cut();
    await client.send(ECDH);
    await hsmd.master.send(DERIVE);
    await expect
      .poll(() => hsmd.logged('unusual').join('\n'), WAIT)
      .toContain('the link to the signer is lost');
    const { code, afterMs } = await hsmd.hangUp();
    expect(code).toBe(2);
    expect(afterMs).toBeLessThan(3_000);
  });

  it('is the same over a Unix socket', async () => {
    const place = await setting('', 'unix:countersign/link/signer.sock');
    const hsmd = start({ directory: place.directory });
    await hsmd.master.send(initRequest('regtest'));
    await expect.poll(() => hsmd.output(), WAIT).toContain('waiting for the signer at');
    const path = join(place.state, 'link', 'signer.sock');
    const link = SignerSideLink.dial({
      dial: { kind: 'unix', path },
      handler: new PlayedSigner(),
      onBug: () => {},
      log: () => {},
    });
    links.push(link);
    expect(await hsmd.master.reply()).toMatchObject({ name: 'hsmd_init_reply_v4' });
  });
});

describe('requests', () => {
  it('reach the signer with who asked, and their answers come back', async () => {
    const { hsmd, signer } = await serving();
    const client = await hsmd.openClient(3n, 447n);
    expect(await client.ask(ECDH)).toMatchObject({ name: 'hsmd_ecdh_resp' });
    expect(await hsmd.master.ask(DERIVE)).toMatchObject({ name: 'hsmd_derive_secret_reply' });
    expect(signer.asked.slice(1)).toEqual([
      { client: { peerId: PEER, dbid: 3n, permissions: 447n }, name: 'hsmd_ecdh_req' },
      { client: { peerId: null, dbid: 0n, permissions: 1027n }, name: 'hsmd_derive_secret' },
    ]);
  });

  it('of one client do not wait for another’s', async () => {
    const { hsmd, signer } = await serving();
    const held = Promise.withResolvers<LinkAnswer>();
    signer.answering = ({ dbid }, name) => (name === 'hsmd_ecdh_req' && dbid === 1n ? held.promise : null);
    const [one, two] = [await hsmd.openClient(1n), await hsmd.openClient(2n)];
    await one.send(ECDH);
    expect(await two.ask(ECDH)).toMatchObject({ name: 'hsmd_ecdh_resp' });
    held.resolve(SHARED);
    expect(await one.reply()).toMatchObject({ name: 'hsmd_ecdh_resp' });
  });

  it('that are refused fail alone, with the reason and its number', async () => {
    const { hsmd, signer } = await serving();
    signer.answering = (_, name) => (name === 'hsmd_ecdh_req' ? refusedBy() : null);
    const client = await hsmd.openClient(3n);
    expect(await client.ask(ECDH)).toEqual({
      name: 'vls_signer_error',
      code: 1,
      message: 'policy-test: no [value_sat=5]',
    });
    await expect
      .poll(() => hsmd.logged('unusual'), WAIT)
      .toContain('refused hsmd_ecdh_req: policy-test: no [value_sat=5] (refusal 7)');
    signer.answering = () => null;
    expect(await client.ask(ECDH)).toMatchObject({ name: 'hsmd_ecdh_resp' });
    expect(await hsmd.master.ask(DERIVE)).toMatchObject({ name: 'hsmd_derive_secret_reply' });
  });

  it('that the client may not ask close its socket', async () => {
    const { hsmd, signer } = await serving();
    signer.answering = (_, name) => (name === 'hsmd_ecdh_req' ? refusedBy({ code: 'permission' }) : null);
    const client = await hsmd.openClient(3n);
    expect(await client.ask(ECDH)).toMatchObject({ name: 'vls_signer_error', code: 3 });
    expect(await client.receive()).toBe('closed');
    await hsmd.waitForStatus(({ name }) => name === 'hsmstatus_client_bad_request');
    expect(await hsmd.master.ask(DERIVE)).toMatchObject({ name: 'hsmd_derive_secret_reply' });
  });

  it('that are noise close the socket of who sent it, by the signer’s word', async () => {
    const { hsmd, signer } = await serving();
    const client = await hsmd.openClient(3n);
    expect(await client.ask(Uint8Array.of(0xff, 0xfe, 1, 2, 3))).toMatchObject({
      name: 'vls_signer_error',
      code: 2,
    });
    expect(await client.receive()).toBe('closed');
    expect(signer.asked.at(-1)?.name).toBe('unknown');
  });

  it('that are refused for the moment are asked again', async () => {
    const { hsmd, signer } = await serving();
    let left = 2;
    signer.answering = (_, name) =>
      name === 'hsmd_ecdh_req' && left-- > 0 ? refusedBy({ temporary: true }) : null;
    const client = await hsmd.openClient(3n);
    expect(await client.ask(ECDH)).toMatchObject({ name: 'hsmd_ecdh_resp' });
    expect(signer.asked.filter(({ name }) => name === 'hsmd_ecdh_req')).toHaveLength(3);
  });

  it('beyond the limit are refused here, and nothing of them travels', async () => {
    const { hsmd, signer } = await serving('');
    const client = await hsmd.openClient(3n);
    const asked = signer.asked.length;
    expect(await client.ask(new Uint8Array(4 * 1024 * 1024 + 1))).toMatchObject({
      name: 'vls_signer_error',
      code: 2,
      message: expect.stringContaining('larger than message_bytes_max'),
    });
    expect(signer.asked).toHaveLength(asked);
    expect(await hsmd.master.ask(DERIVE)).toMatchObject({ name: 'hsmd_derive_secret_reply' });
  });

  it.each<[string, LinkAnswer]>([
    ['nothing', { kind: 'reply', body: new Uint8Array(0) }],
    ['noise', { kind: 'reply', body: new Uint8Array(300_000).fill(0xaa) }],
    ['an answer to something else', DERIVED],
    ['a reply cut off', { kind: 'reply', body: (SHARED as { body: Uint8Array }).body.subarray(0, 9) }],
  ])('answered with %s are refused, and the node lives', async (_, answer) => {
    const { hsmd, signer } = await serving();
    signer.answering = (_client, name) => (name === 'hsmd_ecdh_req' ? answer : null);
    const client = await hsmd.openClient(3n);
    expect(await client.ask(ECDH)).toMatchObject({
      name: 'vls_signer_error',
      code: 2,
      message: expect.stringContaining("the signer's answer is none to this request"),
    });
    signer.answering = () => null;
    expect(await client.ask(ECDH)).toMatchObject({ name: 'hsmd_ecdh_resp' });
  });
});

describe('the link', () => {
  it('may be cut while a request is decided: it is decided once, and answered', async () => {
    const { hsmd, signer, cable } = await serving();
    const held = Promise.withResolvers<LinkAnswer>();
    signer.answering = (_, name) => (name === 'hsmd_ecdh_req' ? held.promise : null);
    const client = await hsmd.openClient(3n);
    await client.send(ECDH);
    await expect.poll(() => signer.asked.at(-1)?.name, WAIT).toBe('hsmd_ecdh_req');
    cable.cut();
    held.resolve(SHARED);
    expect(await client.reply()).toMatchObject({ name: 'hsmd_ecdh_resp' });
    expect(signer.asked.filter(({ name }) => name === 'hsmd_ecdh_req')).toHaveLength(1);
    expect(signer.inits()).toBe(1);
    expect(hsmd.logged('broken')).toEqual([]);
  });

  it('may be away for a while: what is asked meanwhile waits', async () => {
    const { hsmd, cable } = await serving();
    const client = await hsmd.openClient(3n);
    cable.isCut = true;
    cable.cut();
    await client.send(ECDH);
    await expect
      .poll(() => hsmd.logged('unusual'), WAIT)
      .toContain('countersign: the link to the signer is lost: requests wait for it');
    cable.isCut = false;
    expect(await client.reply()).toMatchObject({ name: 'hsmd_ecdh_resp' });
    expect(hsmd.logged('unusual').at(-1)).toMatch(/^countersign: the signer is back after \d+\.\d s$/);
  });

  it('may be away for longer than the operator wants: then requests are refused', async () => {
    const { hsmd, cable } = await serving('link_patience_seconds = 1\n');
    const client = await hsmd.openClient(3n);
    cable.isCut = true;
    cable.cut();
    expect(await client.ask(ECDH)).toMatchObject({
      name: 'vls_signer_error',
      code: 6,
      message: 'signer-away: the signer is away for longer than link_patience_seconds allows',
    });
    cable.isCut = false;
    await expect.poll(() => hsmd.logged('unusual').at(-1), WAIT).toContain('the signer is back');
    expect(await client.ask(ECDH)).toMatchObject({ name: 'hsmd_ecdh_resp' });
  });

  it('to a signer that started anew begins with INIT, silently', async () => {
    const remote = await serving();
    const { hsmd, link, cable } = remote;
    const client = await hsmd.openClient(3n);
    link.close();
    await client.send(ECDH);
    const again = new PlayedSigner();
    dial(remote, again, cable.port);
    expect(await client.reply()).toMatchObject({ name: 'hsmd_ecdh_resp' });
    expect(again.asked.map(({ name }) => name)).toEqual(['hsmd_init', 'hsmd_ecdh_req']);
    expect(hsmd.logged('broken')).toEqual([]);
  });

  it('to a signer with other keys is refused loudly; requests wait for the right one', async () => {
    const remote = await serving();
    const { hsmd, link, cable } = remote;
    const client = await hsmd.openClient(3n);
    link.close();
    const other = new PlayedSigner();
    other.fill = 2;
    const wrong = dial(remote, other, cable.port);
    await client.send(ECDH);
    await expect.poll(() => hsmd.logged('broken').at(-1), WAIT).toContain('was sent away: it has other keys');
    expect(other.asked.every(({ name }) => name === 'hsmd_init')).toBe(true);
    wrong.close();
    dial(remote, new PlayedSigner(), cable.port);
    expect(await client.reply()).toMatchObject({ name: 'hsmd_ecdh_resp' });
  });

  it('lets no stranger in, and says so', async () => {
    const remote = await serving();
    const { hsmd, port, signerDirectory, state } = remote;
    const stranger = new PlayedSigner();
    const pins = PinStore.open(join(signerDirectory, 'stranger.json'));
    pins.add('node', openIdentity(nodeLinkFiles(state).identity).pin);
    const identityPath = join(signerDirectory, 'stranger.pem');
    openIdentity(identityPath);
    const link = SignerSideLink.dial({
      dial: { kind: 'tcp', host: '127.0.0.1', port, identityPath, pins, node: 'node' },
      handler: stranger,
      onBug: () => {},
      log: () => {},
    });
    links.push(link);
    await expect.poll(() => hsmd.logged('unusual').join('\n'), WAIT).toContain('its key is not pinned');
    expect(stranger.asked).toEqual([]);
    expect(await hsmd.master.ask(DERIVE)).toMatchObject({ name: 'hsmd_derive_secret_reply' });
  });
});

describe('node.sock', () => {
  it('takes what feeders bring to the signer, each connection for itself', async () => {
    const { state, signer } = await serving();
    const feeders = [1, 2].map(() => new FrameSocket(connect(join(state, 'node.sock'))));
    const replies: string[] = [];
    for (const frames of feeders) {
      frames.start({
        frame: (body) => {
          const decoded = decodeMessage(body, 'reply');
          replies.push(decoded.ok ? decoded.message.name : 'malformed');
        },
        closed: () => {},
      });
      frames.send(encodeMessage({ name: 'countersign_preimages', preimages: [new Uint8Array(32)] }));
    }
    await expect
      .poll(() => replies, WAIT)
      .toEqual(['countersign_preimages_reply', 'countersign_preimages_reply']);
    expect(signer.fed.map(({ name }) => name)).toEqual(['countersign_preimages', 'countersign_preimages']);
    expect(new Set(signer.fed.map(({ session }) => session)).size).toBe(2);
    for (const frames of feeders) frames.destroy();
    await expect.poll(() => signer.ended.length, WAIT).toBe(2);
  });

  it('takes the chain to the signer, where [chain] names a source for this side', async () => {
    const chain = new MinedChain();
    chain.extendBy(3);
    const fake = await FakeBitcoind.start(chain);
    afterTest(() => fake.stop());
    const cookie = fileWith(fake.cookie);
    const { hsmd, signer } = await serving(
      `[chain]\nsource = "bitcoind"\nurl = "${fake.url.href}"\ncookie_file = "${cookie}"\npoll_seconds = 1\n`,
    );
    await expect.poll(() => signer.fed.map(({ name }) => name), WAIT).toContain('countersign_chain_tip');
    expect(hsmd.logged('info').join('\n')).toContain('countersign: chain: following bitcoind at');
    expect((await hsmd.hangUp()).code).toBe(2);
  });
});
