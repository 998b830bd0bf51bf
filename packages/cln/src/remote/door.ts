/**
 * Remote mode: the door to a signer on another machine. What travels twice, and what a new process of the signer has to hear
 * first, is the link's to arrange; here the wait of lightningd gets its bounds.
 */
import type { ClientIdentity } from '@countersign/core';
import { isAskedAgain } from '@countersign/host';
import {
  type LinkAnswer,
  type LinkClient,
  LinkError,
  type Presence,
  type SignerLink,
} from '@countersign/transport';
import type { Door, DoorAnswer } from '../door.ts';
import { doorAnswer, type RemoteAnswer, unreachable } from './reply.ts';

/** Between tries after a refusal for the moment. */
const RETRY_PAUSE_MS_MIN = 100;
const RETRY_PAUSE_MS_MAX = 2_000;
/** lightningd does nothing else while it waits for an answer itself: its own requests hold it up no longer. */
export const MASTER_RETRY_MS_MAX = 2_000;

/** So often a signer may say that it is on its way down, while it is not. */
const ENDINGS_MAX = 30;

export interface RemoteDoorOptions {
  readonly link: Pick<SignerLink, 'ask'>;
  readonly presence: Presence;
  readonly messageBytesMax: number;
  readonly retryMs: number;
  readonly monotonicMs: () => number;
  /** Ends what runs beside the door. */
  readonly onClose: () => Promise<void>;
}

export class RemoteDoor implements Door {
  readonly #options: RemoteDoorOptions;

  constructor(options: RemoteDoorOptions) {
    this.#options = options;
  }

  async ask(client: ClientIdentity, body: Uint8Array): Promise<DoorAnswer> {
    const { monotonicMs, retryMs } = this.#options;
    const boundMs = client.channel === null ? Math.min(retryMs, MASTER_RETRY_MS_MAX) : retryMs;
    const asker = linkClient(client);
    const began = monotonicMs();
    let pauseMs = RETRY_PAUSE_MS_MIN;
    for (let endings = 0; ; ) {
      const answer = await this.#askOnce(asker, body);
      if (isEnding(answer) && endings < ENDINGS_MAX) endings += 1;
      else if (answer.kind !== 'refused' || !isAskedAgain(body, answer.refusal)) return answer;
      else if (monotonicMs() - began + pauseMs > boundMs) return answer;
      await pause(pauseMs);
      pauseMs = Math.min(2 * pauseMs, RETRY_PAUSE_MS_MAX);
    }
  }

  /** Kept on the signer's machine alone. */
  recordRefusal(): null {
    return null;
  }

  close(): Promise<void> {
    return this.#options.onClose();
  }

  async #askOnce(client: LinkClient, body: Uint8Array): Promise<RemoteAnswer> {
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
}

/** A signer on its way down decides nothing any more: the next one will, and it will come as a lost link does. */
function isEnding(answer: RemoteAnswer): boolean {
  return answer.kind === 'refused' && answer.refusal.code === 'not-initialized';
}

function linkClient({ channel, permissions }: ClientIdentity): LinkClient {
  return channel === null
    ? { peerId: null, dbid: 0n, permissions }
    : { peerId: channel.peerId, dbid: channel.dbid, permissions };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms));
}
