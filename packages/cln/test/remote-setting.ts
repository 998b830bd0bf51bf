/** A countersign-hsmd in remote mode, and a signer that the test plays over a real link: TLS, pinned keys, cuts. */
import { mkdirSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import {
  type LinkAnswer,
  type LinkClient,
  nodeLinkFiles,
  openIdentity,
  PinStore,
  type RequestHandler,
  SignerSideLink,
} from '@countersign/transport';
import { decodeMessage, encodeMessage, type Reply } from '@countersign/wire';
import { expect } from 'vitest';
import { freePort } from '../../transport/test/free-port.ts';
import { refusedBy } from './fake-link.ts';
import { endAll, type HsmdUnderTest, networkDirectory, POINT, start } from './hsmd-under-test.ts';

export const WAIT = { timeout: 30_000, interval: 10 };

const replied = (message: Reply): LinkAnswer => ({ kind: 'reply', body: encodeMessage(message) });

export const DERIVED = replied({ name: 'hsmd_derive_secret_reply', secret: new Uint8Array(32).fill(3) });

export const SHARED = replied({ name: 'hsmd_ecdh_resp', ss: new Uint8Array(32).fill(9) });

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
export class PlayedSigner implements RequestHandler {
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

/** Closed by `endRemotes`. */
export const links: SignerSideLink[] = [];

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

interface Setting {
  readonly directory: string;
  readonly port: number;
  readonly state: string;
  readonly signerDirectory: string;
}

/** Lines of [remote], beside where to listen. */
export async function setting(remote = '', listen?: string): Promise<Setting> {
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
export function paired({ state, signerDirectory }: Setting, name = 'cellar') {
  const node = nodeLinkFiles(state);
  const identityPath = join(signerDirectory, `${name}.pem`);
  PinStore.open(node.pins).add(name, openIdentity(identityPath).pin);
  const pins = PinStore.open(join(signerDirectory, `${name}.json`));
  pins.add('node', openIdentity(node.identity).pin);
  return { identityPath, pins };
}

export function dial(
  place: Setting,
  handler: RequestHandler,
  port = place.port,
  name = 'cellar',
): SignerSideLink {
  return dialWith(paired(place, name), handler, port);
}

export function dialWith(
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
export async function serving(remote = ''): Promise<Remote> {
  const place = await setting(remote);
  const signer = new PlayedSigner();
  const cable = await new Cable(place.port).open();
  const link = dial(place, signer, cable.port);
  const hsmd = start({ directory: place.directory });
  const reply = await hsmd.init();
  // Compared as a whole text: where it fails, its reason is told.
  expect(JSON.stringify(reply)).toContain('"hsmd_init_reply_v4"');
  return { ...place, hsmd, signer, link, cable };
}

/** Ends what the test has begun. */
export async function endRemotes(): Promise<void> {
  await endAll();
  for (const link of links.splice(0)) link.close();
  for (const cable of cables.splice(0)) cable.close();
}
