/**
 * Remote mode: the door to a signer on another machine. What travels twice is the link's to make harmless; here the wait of
 * lightningd has its bounds, INIT is repeated where the signer has started anew, and a signer that is another is told apart.
 */
import { equalBytes } from '@countersign/bitcoin';
import { type ClientIdentity, MASTER_PERMISSIONS } from '@countersign/core';
import { type LinkAnswer, type LinkClient, LinkError, type SignerLink } from '@countersign/transport';
import type { Door, DoorAnswer, DoorLogLevel } from '../door.ts';
import { isAskedAgain } from '../refusal-form.ts';
import type { Presence } from './presence.ts';
import { doorAnswer, unreachable } from './reply.ts';

export const MASTER: LinkClient = { peerId: null, dbid: 0n, permissions: MASTER_PERMISSIONS };

/** Between tries after a refusal for the moment. */
const RETRY_PAUSE_MS_MIN = 100;
const RETRY_PAUSE_MS_MAX = 2_000;
/** lightningd does nothing else while it waits for an answer itself: its own requests hold it up no longer. */
export const MASTER_RETRY_MS_MAX = 2_000;
/** Signers that start anew while one request waits for them. */
const INITS_MAX = 5;

export interface RemoteDoorOptions {
  readonly link: SignerLink;
  readonly presence: Presence;
  /** What lightningd sent to start with, preinit before INIT, and what INIT was answered. */
  readonly greeting: readonly Uint8Array[];
  readonly initReply: Uint8Array;
  readonly messageBytesMax: number;
  readonly retryMs: number;
  readonly log: (level: DoorLogLevel, text: string) => void;
  readonly monotonicMs: () => number;
  /** Of what runs beside the door. */
  readonly onClose: () => Promise<void>;
}

export class RemoteDoor implements Door {
  readonly #options: RemoteDoorOptions;
  readonly #endListening: () => void;
  /** INIT on its way to a signer that does not know it. */
  #initializing: Promise<string | null> | null = null;
  /** Why the signer that is there must not be asked. */
  #foreign: string | null = null;

  constructor(options: RemoteDoorOptions) {
    this.#options = options;
    this.#endListening = options.link.onState((state) => {
      // Whoever comes next may be the right one: INIT will tell.
      if (state === 'up' && this.#foreign !== null) this.#initialize();
    });
  }

  async ask(client: ClientIdentity, body: Uint8Array): Promise<DoorAnswer> {
    const { monotonicMs, retryMs } = this.#options;
    const boundMs = client.channel === null ? Math.min(retryMs, MASTER_RETRY_MS_MAX) : retryMs;
    const asker = linkClient(client);
    const began = monotonicMs();
    let pauseMs = RETRY_PAUSE_MS_MIN;
    for (;;) {
      const answer = await this.#askInitialized(asker, body);
      if (answer.kind !== 'refused' || !isAskedAgain(body, answer.refusal)) return answer;
      if (monotonicMs() - began + pauseMs > boundMs) return answer;
      await pause(pauseMs);
      pauseMs = Math.min(2 * pauseMs, RETRY_PAUSE_MS_MAX);
    }
  }

  /** Kept on the signer's machine alone. */
  recordRefusal(): null {
    return null;
  }

  async close(): Promise<void> {
    this.#endListening();
    await this.#options.onClose();
  }

  /** A signer that was not told INIT is told first: it has started anew, and decides what it never decided. */
  async #askInitialized(client: LinkClient, body: Uint8Array): Promise<DoorAnswer> {
    for (let inits = 0; ; inits++) {
      const foreign = this.#initializing === null ? this.#foreign : await this.#initializing;
      if (foreign !== null) return unreachable(body, 'signer-is-another', foreign, false);
      const answer = await this.#askOnce(client, body);
      const isNew = answer.kind === 'refused' && answer.refusal.code === 'not-initialized';
      if (!isNew || inits === INITS_MAX) return answer;
      this.#initialize();
    }
  }

  async #askOnce(client: LinkClient, body: Uint8Array): Promise<DoorAnswer> {
    const { messageBytesMax } = this.#options;
    try {
      const answer = await this.#patiently(client, body);
      if (answer !== null) return doorAnswer(body, answer, messageBytesMax);
    } catch (error) {
      if (!(error instanceof LinkError)) throw error;
      return unreachable(body, error.code, error.message, error.code === 'link-queue-full');
    }
    const message = 'the signer is away for longer than link_patience_seconds allows';
    return unreachable(body, 'signer-away', message, false);
  }

  async #patiently(client: LinkClient, body: Uint8Array): Promise<LinkAnswer | null> {
    const { link, presence } = this.#options;
    if (presence.isGivenUp) return null;
    return presence.patiently(link.ask(client, body));
  }

  #initialize(): void {
    this.#initializing ??= this.#initializeNow().then((foreign) => {
      this.#initializing = null;
      this.#foreign = foreign;
      return foreign;
    });
  }

  /** Null when the signer is the one of the start; else why it is not. Never rejects for what the signer does. */
  async #initializeNow(): Promise<string | null> {
    const { greeting, initReply, log } = this.#options;
    let answer: DoorAnswer | null = null;
    for (const body of greeting) answer = await this.#askOnce(MASTER, body);
    if (answer?.kind === 'body' && equalBytes(answer.body, initReply)) {
      log('info', 'countersign: the signer has started anew; it was told INIT again');
      return null;
    }
    const why =
      answer?.kind === 'refused'
        ? `the signer does not take INIT again: ${answer.refusal.tag}: ${answer.refusal.message}`
        : 'the signer that came back has other keys, or is of another version, than the one this node started with';
    log(
      'broken',
      `countersign: ${why}. Nothing is asked of it until the right one is there, or lightningd is started anew`,
    );
    return why;
  }
}

function linkClient({ channel, permissions }: ClientIdentity): LinkClient {
  return channel === null
    ? { peerId: null, dbid: 0n, permissions }
    : { peerId: channel.peerId, dbid: channel.dbid, permissions };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms));
}
