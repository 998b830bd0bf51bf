/** Two ends of a link over loopback, with everything that a test wants to look at or break. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openIdentity } from '../../src/link/identity.ts';
import type { LinkLimits } from '../../src/link/limits.ts';
import type { LinkEvent } from '../../src/link/log.ts';
import { NodeSideLink, type NodeSideOptions } from '../../src/link/node-side.ts';
import { PinStore } from '../../src/link/pins.ts';
import type { LinkAnswer, LinkClient, RequestHandler } from '../../src/link/protocol.ts';
import { SignerSideLink, type SignerSideOptions } from '../../src/link/signer-side.ts';

export const MASTER: LinkClient = { peerId: null, dbid: 0n, permissions: 31n };

export function channel(dbid: number): LinkClient {
  return { peerId: new Uint8Array(33).fill(2), dbid: BigInt(dbid), permissions: 12n };
}

export const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
export const bytes = (words: string): Uint8Array => new TextEncoder().encode(words);

/** Everything a test opened, closed in reverse order. */
export class Cleanup {
  readonly #actions: (() => void | Promise<void>)[] = [];

  add(action: () => void | Promise<void>): void {
    this.#actions.push(action);
  }

  async run(): Promise<void> {
    for (const action of this.#actions.splice(0).reverse()) await action();
  }
}

export function directory(cleanup: Cleanup): string {
  const path = mkdtempSync(join(tmpdir(), 'link-'));
  cleanup.add(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** A handler that answers what it is asked, and remembers it. */
export class Echo implements RequestHandler {
  readonly asked: string[] = [];
  readonly ended: number[] = [];
  prefix = '';
  answer: (client: LinkClient, body: Uint8Array) => Promise<LinkAnswer> = async (_client, body) => ({
    kind: 'reply',
    body: bytes(`${this.prefix}${text(body)}`),
  });

  ask(client: LinkClient, body: Uint8Array): Promise<LinkAnswer> {
    this.asked.push(`${client.dbid}:${text(body)}`);
    return this.answer(client, body);
  }

  feed(session: number, body: Uint8Array): Promise<LinkAnswer> {
    this.asked.push(`feed ${session}:${text(body)}`);
    return this.answer(MASTER, body);
  }

  feedEnded(session: number): void {
    this.ended.push(session);
  }
}

export class Side {
  readonly directory: string;
  readonly identityPath: string;
  readonly pins: PinStore;
  readonly events: LinkEvent[] = [];

  constructor(cleanup: Cleanup) {
    this.directory = directory(cleanup);
    this.identityPath = join(this.directory, 'link.pem');
    this.pins = PinStore.open(join(this.directory, 'pins.json'));
  }

  get pin(): string {
    return openIdentity(this.identityPath).pin;
  }

  readonly log = (event: LinkEvent): void => {
    this.events.push(event);
  };

  names(): string[] {
    return this.events.map(({ event }) => event);
  }
}

/** Times short enough for tests. A busy machine may be silent for a while: only `BRISK` finds a dead line soon. */
export const QUICK: Partial<LinkLimits> = {
  redialMs: 5,
  redialMsMax: 40,
  redialUnwantedMs: 40,
  pingMs: 50,
  silenceMs: 30_000,
  handshakeMs: 30_000,
  greetingMs: 30_000,
  ackMs: 2,
};

export const BRISK: Partial<LinkLimits> = { ...QUICK, silenceMs: 400, handshakeMs: 2_000 };

export async function listen(
  cleanup: Cleanup,
  side: Side,
  options: Partial<NodeSideOptions> = {},
): Promise<NodeSideLink> {
  const { identityPath, pins, log } = side;
  const link = await NodeSideLink.listen({
    listen: { kind: 'tcp', host: '127.0.0.1', port: 0, identityPath, pins },
    log,
    limits: QUICK,
    ...options,
  });
  cleanup.add(() => link.close());
  return link;
}

export function dial(
  cleanup: Cleanup,
  side: Side,
  port: number,
  handler: RequestHandler,
  options: Partial<SignerSideOptions> = {},
): SignerSideLink {
  const { identityPath, pins, log } = side;
  const link = SignerSideLink.dial({
    dial: { kind: 'tcp', host: '127.0.0.1', port, identityPath, pins, node: 'node' },
    handler,
    onBug: (error) => {
      throw error;
    },
    log,
    limits: QUICK,
    ...options,
  });
  cleanup.add(() => link.close());
  return link;
}

/** Each has the other's key on its list. */
export function introduce(node: Side, signer: Side, name = 'signer'): void {
  node.pins.add(name, signer.pin);
  signer.pins.add('node', node.pin);
}
