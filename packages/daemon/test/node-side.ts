/** A node's machine for the tests: the node side of a link in this process, and a pairing with it. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { MASTER_PERMISSIONS } from '@countersign/core';
import {
  beginPairing,
  type LinkAnswer,
  type LinkClient,
  NodeSideLink,
  openPairingBook,
  PinStore,
  pair,
  pairingDesk,
} from '@countersign/transport';
import { decodeMessage, encodeMessage, type Reply, type Request } from '@countersign/wire';
import { initRequest } from '../../core/test/init-request.ts';
import { linkFiles, NODE_PIN_NAME, writeAddress } from '../src/link/files.ts';

export const LIGHTNINGD: LinkClient = { peerId: null, dbid: 0n, permissions: MASTER_PERMISSIONS };

export function replyOf(answer: LinkAnswer): Reply {
  if (answer.kind === 'refused') throw new Error(`refused: ${answer.refusal.text}`);
  const decoded = decodeMessage(answer.body, 'reply');
  if (!decoded.ok || decoded.message.name === 'unknown') throw new Error('no reply');
  return decoded.message;
}

export class NodeMachine {
  readonly link: NodeSideLink;
  readonly #directory: string;
  readonly #port: number;
  /** Times a process of the signer was greeted. */
  greeted = 0;

  private constructor(directory: string, link: NodeSideLink) {
    this.#directory = directory;
    this.link = link;
    this.#port = link.port;
  }

  /** Listens on a port of the loopback interface; greets every signer's process with INIT. */
  static async open(directory: string, network = 'regtest'): Promise<NodeMachine> {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const [identityPath, pinsPath] = [join(directory, 'identity.pem'), join(directory, 'signers.json')];
    const pins = PinStore.open(pinsPath);
    const book = openPairingBook(join(directory, 'pairings.json'));
    const log = (): void => {};
    const greeting: { machine?: NodeMachine } = {};
    const link = await NodeSideLink.listen({
      listen: {
        kind: 'tcp',
        host: '127.0.0.1',
        port: 0,
        identityPath,
        pins,
        pairing: pairingDesk({ identityPath, pins, book, log }),
      },
      greet: async (ask) => {
        await ask(LIGHTNINGD, encodeMessage(initRequest(network)));
        if (greeting.machine !== undefined) greeting.machine.greeted += 1;
      },
      log,
    });
    const machine = new NodeMachine(directory, link);
    greeting.machine = machine;
    return machine;
  }

  /** The token of `countersign pair`. */
  token(name = 'signer'): string {
    const pins = PinStore.open(join(this.#directory, 'signers.json'));
    const book = openPairingBook(join(this.#directory, 'pairings.json'));
    const addresses = [{ host: '127.0.0.1', port: this.#port }];
    const identityPath = join(this.#directory, 'identity.pem');
    return beginPairing({ book, pins, identityPath, name, addresses }).token;
  }

  /** As `countersign signer pair`, for a node whose files lie in this directory. */
  async pairWith(nodeDirectory: string): Promise<void> {
    const files = linkFiles(nodeDirectory);
    const pins = PinStore.open(files.pins);
    const { address } = await pair({
      token: this.token(),
      identityPath: files.identity,
      pins,
      name: NODE_PIN_NAME,
    });
    writeAddress(files, address);
  }

  async ask(request: Request, client = LIGHTNINGD): Promise<Reply> {
    return replyOf(await this.link.ask(client, encodeMessage(request)));
  }
}
