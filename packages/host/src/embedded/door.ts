/**
 * The door of a signer in the node's own process, for a node whose callbacks can't wait: a request goes in as bytes, is decided,
 * made durable and answered before the call returns.
 */
import { FormError } from '@countersign/bitcoin';
import { type ClientIdentity, malformedRefusal, type Refusal } from '@countersign/core';
import { ownClient, type SyncDoor, type SyncDoorClient, SyncDoorError } from '@countersign/transport';
import { decodeMessage, encodeMessage, encodeSignerError, type Reply, type Request } from '@countersign/wire';
import type { Signer } from '../signer.ts';
import type { FeedSession } from '../sockets/feed.ts';
import { answerForPlace, type SignerIdentity } from './introduction.ts';

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
    const identity = identityOf(client);
    if (identity === null) return this.#malformed('a client that no node has', {});
    const { messageBytesMax } = this.#options;
    const decoded = decodeMessage(body, 'request', { messageBytesMax });
    if (!decoded.ok) return this.#malformed(decoded.error.message, decoded.error.facts);
    const { message } = decoded;
    if (message.name === 'unknown') return this.#malformed('unknown request', { message_type: message.type });
    const answer = this.#answer(identity, message);
    return answer.kind === 'refused' ? refused(answer.refusal) : this.#reply(answer.reply);
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

  #answer(client: ClientIdentity, request: Request) {
    const { signer, identity, randomBytes } = this.#options;
    const own = answerForPlace(identity, randomBytes, request);
    if (own === null) return signer.answerNow(client, request);
    if (own.kind === 'refused') signer.recordRefusal(own.refusal);
    return own;
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
