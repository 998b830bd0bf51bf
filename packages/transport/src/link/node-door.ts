/**
 * Where signers come in: a TCP port with TLS and pinned keys, or a Unix socket in a directory that nobody else can enter.
 * Gives out connections whose other end is known by name.
 */
import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Duplex } from 'node:stream';
import { UnixListener } from '../unix-listener.ts';
import type { LinkClock } from './clock.ts';
import { Doorman, type Visitor } from './doorman.ts';
import { LinkError } from './error.ts';
import { type LinkIdentity, openIdentity } from './identity.ts';
import type { LinkLimits } from './limits.ts';
import type { LinkLog, RefusalLog } from './log.ts';
import type { PairingDesk } from './pairing-desk.ts';
import type { PinStore } from './pins.ts';
import { LINK_PROTOCOL, PAIRING_PROTOCOL } from './tls.ts';

export type NodeAddress =
  | {
      readonly kind: 'tcp';
      readonly host: string;
      /** 0: any that is free. */
      readonly port: number;
      /** Made when there is none. */
      readonly identityPath: string;
      readonly pins: PinStore;
      /** Without it nobody is paired here. */
      readonly pairing?: PairingDesk;
    }
  /** The directory is made when there is none; others must not be able to enter it. */
  | { readonly kind: 'unix'; readonly path: string };

/** Somebody known. Nothing was read of it. */
export interface Arrival {
  readonly socket: Duplex;
  readonly name: string;
  /** Null on a Unix socket. */
  readonly pin: string | null;
  readonly address: string;
  /** It has said hello, or left. */
  admit(): void;
}

export interface NodeDoorOptions {
  readonly address: NodeAddress;
  readonly limits: LinkLimits;
  readonly clock: LinkClock;
  readonly log: LinkLog;
  readonly refusals: RefusalLog;
  readonly onArrival: (arrival: Arrival) => void;
}

/** The signer on a Unix socket. */
export const UNIX_SIGNER = 'local';

export class NodeDoor {
  /** For people. */
  readonly name: string;
  readonly #listener: Doorman | UnixListener;

  private constructor(name: string, listener: Doorman | UnixListener) {
    this.name = name;
    this.#listener = listener;
  }

  /** Rejects with `link-listen-failed`, `link-file`, or a `SocketError`. */
  static open(options: NodeDoorOptions): Promise<NodeDoor> {
    return options.address.kind === 'tcp'
      ? openTcp(options, options.address)
      : openUnix(options, options.address.path);

    async function openTcp(
      { limits, clock, refusals, onArrival }: NodeDoorOptions,
      address: Extract<NodeAddress, { kind: 'tcp' }>,
    ): Promise<NodeDoor> {
      const { host, port, pins, pairing, identityPath } = address;
      const doorman = await Doorman.open({
        host,
        port,
        identity: openIdentity(identityPath),
        protocols: pairing === undefined ? [LINK_PROTOCOL] : [LINK_PROTOCOL, PAIRING_PROTOCOL],
        limits,
        clock,
        refusals,
        onVisitor: (visitor) => {
          if (visitor.peer.protocol === PAIRING_PROTOCOL) pairing?.serve(visitor);
          else onArrival(arrivalOf(visitor, pins));
        },
      });
      return new NodeDoor(`${host}:${doorman.port}`, doorman);
    }

    async function openUnix({ limits, onArrival }: NodeDoorOptions, path: string): Promise<NodeDoor> {
      makePrivateDirectory(dirname(path));
      const listener = await UnixListener.open({
        path,
        connectionsMax: limits.connectionsMax,
        idleMs: 2 * limits.silenceMs,
        onConnection: (socket) =>
          onArrival({ socket, name: UNIX_SIGNER, pin: null, address: path, admit: () => {} }),
      });
      return new NodeDoor(path, listener);
    }
  }

  get port(): number {
    return this.#listener instanceof Doorman ? this.#listener.port : 0;
  }

  setIdentity(identity: LinkIdentity): void {
    if (this.#listener instanceof Doorman) this.#listener.setIdentity(identity);
  }

  close(): Promise<void> {
    return this.#listener.close();
  }
}

/** Throws `link-stranger`, `link-file`. */
function arrivalOf({ socket, peer, address, admit }: Visitor, pins: PinStore): Arrival {
  pins.refresh();
  const known = pins.find(peer.pin);
  if (known === undefined)
    throw new LinkError('link-stranger', `its key is not pinned: ${peer.pin}`, { pin: peer.pin });
  pins.confirm(peer.pin);
  return { socket, name: known.name, pin: peer.pin, address, admit };
}

/** Throws `link-file`. */
export function makePrivateDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new LinkError('link-file', `cannot create ${path}`, {}, { cause });
  }
  if ((statSync(path).mode & 0o077) !== 0)
    throw new LinkError('link-file', `others may enter ${path}: give it mode 700`);
}
