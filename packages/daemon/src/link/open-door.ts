/**
 * The door that a node's configuration asks for. Countersign's own link is dialled as soon as the two sides are paired, which
 * may be while the daemon runs.
 */
import {
  LINK_LIMITS,
  type LinkEvent,
  type LinkLog,
  type PairingAddress,
  PinStore,
  type SignerDial,
  type SignerLinkState,
  SignerSideLink,
} from '@countersign/transport';
import type { LinkConfig } from '../config/config.ts';
import { DaemonError } from '../error.ts';
import type { Log } from '../observe/log.ts';
import type { LinkStanding } from '../observe/standing.ts';
import { type Door, type DoorOptions, LAST_ANSWERS_LOOK_MS, LAST_ANSWERS_MS } from './door.ts';
import { type LinkFiles, linkFiles, NODE_PIN_NAME, readAddress } from './files.ts';

/** A frame of the link holds a message, and who asks. */
const FRAME_EXTRA_BYTES = 256;

export async function openDoor(options: DoorOptions): Promise<Door> {
  const { link } = options.config;
  if (link.transport === 'vls-grpc') {
    const { openVlsDoor } = await import('./vls-door.ts');
    return openVlsDoor(options, link);
  }
  return new LinkDoor(options, link);
}

class LinkDoor implements Door {
  readonly #options: DoorOptions;
  readonly #dial: Extract<LinkConfig, { transport: 'link' }>['dial'];
  readonly #files: LinkFiles;
  readonly #pins: PinStore;
  #link: SignerSideLink | null = null;
  #stopWatching: () => void = () => {};

  constructor(options: DoorOptions, { dial }: Extract<LinkConfig, { transport: 'link' }>) {
    this.#options = options;
    this.#dial = dial;
    this.#files = linkFiles(options.config.directory);
    this.#pins = PinStore.open(this.#files.pins);
    this.#open();
    if (this.#link !== null) return;
    options.log(
      'warn',
      `not paired with a node yet: run "countersign signer pair TOKEN --node ${options.config.name}"`,
    );
    // Another process pairs; the list of pins is looked at again and again.
    this.#stopWatching = this.#pins.onChange(() => this.#open());
  }

  get state(): LinkStanding {
    return this.#link === null ? 'none' : STANDINGS[this.#link.state];
  }

  async close(): Promise<void> {
    this.#stopWatching();
    const link = this.#link;
    if (link === null) return;
    const untilMs = performance.now() + LAST_ANSWERS_MS;
    while (link.state === 'up' && link.pending > 0 && performance.now() < untilMs) {
      await new Promise((resolve) => setTimeout(resolve, LAST_ANSWERS_LOOK_MS));
    }
    link.close();
  }

  #open(): void {
    const dial = this.#whereTo();
    if (dial === null || this.#link !== null) return;
    const { handler, log, onBug, messageBytesMax } = this.#options;
    const frameBytesMax = Math.max(LINK_LIMITS.frameBytesMax, messageBytesMax + FRAME_EXTRA_BYTES);
    this.#link = SignerSideLink.dial({ dial, handler, onBug, limits: { frameBytesMax }, log: linkLog(log) });
    log('info', `dialling the node at ${this.#link.target}`);
    this.#stopWatching();
    this.#stopWatching = () => {};
  }

  /** A node that was paired anew may be elsewhere. Null: nothing new; a file that cannot be read changes nothing. */
  #addressNow(): PairingAddress | null {
    try {
      return this.#dial === null ? readAddress(this.#files) : null;
    } catch (error) {
      if (!(error instanceof DaemonError)) throw error;
      return null;
    }
  }

  /** Null while there is nobody to dial. */
  #whereTo(): SignerDial | null {
    if (this.#dial?.kind === 'unix') return this.#dial;
    if (!this.#pins.list().some(({ name }) => name === NODE_PIN_NAME)) return null;
    const address = this.#dial ?? readAddress(this.#files);
    if (address === null) return null;
    const [identityPath, pins] = [this.#files.identity, this.#pins];
    const addressNow = (): PairingAddress | null => this.#addressNow();
    return { kind: 'tcp', ...address, addressNow, identityPath, pins, node: NODE_PIN_NAME };
  }
}

const STANDINGS: Readonly<Record<SignerLinkState, LinkStanding>> = {
  dialling: 'down',
  up: 'up',
  standby: 'standby',
  closed: 'closed',
};

function linkLog(log: Log): LinkLog {
  return ({ level, event, text, facts }: LinkEvent) => {
    const told = Object.entries(facts).map(([name, value]) => [
      name,
      typeof value === 'bigint' ? String(value) : value,
    ]);
    log(level, `link: ${text}`, { event, ...Object.fromEntries(told) });
  };
}
