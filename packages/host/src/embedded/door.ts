/**
 * The door of a signer in the node's own process, for a node whose callbacks can't wait: a request goes in as bytes, is decided,
 * made durable and answered before the call returns.
 */
import { FormError } from '@countersign/bitcoin';
import { type ClientIdentity, malformedRefusal, type Refusal } from '@countersign/core';
import {
  ownClient,
  REQUESTS_TOGETHER_MAX,
  type SyncDoor,
  type SyncDoorClient,
  SyncDoorError,
  type SyncDoorRequest,
} from '@countersign/transport';
import { decodeMessage, encodeMessage, encodeSignerError, type Reply } from '@countersign/wire';
import type { Answer, ClientRequest, Signer } from '../signer.ts';
import type { FeedSession } from '../sockets/feed.ts';
import { answerForPlace, type IntroductionAnswer, type SignerIdentity } from './introduction.ts';

export interface EmbeddedDoorOptions {
  readonly signer: Signer;
  readonly identity: SignerIdentity;
  readonly feed: FeedSession;
  readonly messageBytesMax: number;
  readonly randomBytes: (count: number) => Uint8Array;
  /** Closes the signer behind the door. */
  readonly onClose: () => Promise<void>;
}

export class EmbeddedDoor implements SyncDoor {
  readonly #options: EmbeddedDoorOptions;
  #closing: Promise<void> | null = null;

  constructor(options: EmbeddedDoorOptions) {
    this.#options = options;
  }

  ask(client: SyncDoorClient, body: Uint8Array): Uint8Array {
    this.#requireOpen();
    const asked = this.#read(client, body);
    if (asked instanceof Uint8Array) return asked;
    return this.#told(this.#options.signer.answerNow(asked.client, asked.request));
  }

  askTogether(requests: readonly SyncDoorRequest[]): readonly Uint8Array[] {
    this.#requireOpen();
    if (requests.length > REQUESTS_TOGETHER_MAX)
      throw new FormError('too many requests together', { requests: requests.length });
    const read = requests.map(({ client, request }) => this.#read(client, request));
    const asked = read.flatMap((one) => (one instanceof Uint8Array ? [] : [one]));
    const answers = this.#options.signer.answerAllNow(asked).map((answer) => this.#told(answer));
    let at = 0;
    return read.map((one) => (one instanceof Uint8Array ? one : (answers[at++] ?? NO_BYTES)));
  }

  async feed(body: Uint8Array): Promise<Uint8Array> {
    this.#requireOpen();
    const { reply } = await this.#options.feed.answer(body);
    return this.#reply(reply);
  }

  close(): Promise<void> {
    this.#closing ??= this.#options.onClose();
    return this.#closing;
  }

  /** What the signer is to decide; the answer to everything else. */
  #read(client: SyncDoorClient, body: Uint8Array): ClientRequest | Uint8Array {
    const own = identityOf(client);
    if (own === null) return this.#malformed('a client that no node has', {});
    const { messageBytesMax, signer, identity, randomBytes } = this.#options;
    const decoded = decodeMessage(body, 'request', { messageBytesMax });
    if (!decoded.ok) return this.#malformed(decoded.error.message, decoded.error.facts);
    const { message } = decoded;
    if (message.name === 'unknown') return this.#malformed('unknown request', { message_type: message.type });
    const ofPlace = answerForPlace(identity, randomBytes, message);
    if (ofPlace === null) return { client: own, request: message };
    if (ofPlace.kind === 'refused') signer.recordRefusal(ofPlace.refusal);
    return this.#told(ofPlace);
  }

  #told(answer: Answer | IntroductionAnswer): Uint8Array {
    return answer.kind === 'refused' ? refused(answer.refusal) : this.#reply(answer.reply);
  }

  /** A PSBT grows by its signatures: a reply that is too long becomes a refusal, and nothing of it leaves. */
  #reply(reply: Reply): Uint8Array {
    const { messageBytesMax } = this.#options;
    try {
      return encodeMessage(reply, NO_BYTES, { messageBytesMax });
    } catch (error) {
      if (!(error instanceof FormError)) throw error;
      return this.#malformed(`the reply: ${error.message}`, error.facts);
    }
  }

  #malformed(message: string, facts: Refusal['facts']): Uint8Array {
    const refusal = malformedRefusal('unknown', null, message, facts);
    this.#options.signer.recordRefusal(refusal);
    return refused(refusal);
  }

  #requireOpen(): void {
    if (this.#closing !== null) throw new SyncDoorError('sync-door-closed', 'the signer was closed');
  }
}

const NO_BYTES = new Uint8Array(0);

/** As lightningd's clients: who has no channel speaks for the node. Null for what no node has. */
function identityOf(client: SyncDoorClient): ClientIdentity | null {
  const own = ownClient(client);
  if (own === null) return null;
  const { peerId, dbid, permissions } = own;
  return { channel: peerId === null ? null : { peerId, dbid }, permissions };
}

/** Always as text: the node side of this door has a form for it, unlike lightningd. */
function refused(refusal: Refusal): Uint8Array {
  return encodeSignerError(refusal.code, refusal);
}
