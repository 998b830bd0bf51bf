/**
 * Asking the signer, for callers that must not throw: every outcome is a value. Whoever asks gets the reply it expects or what
 * stood in its way, and the listener hears of everything that did.
 */
import { toHex } from '@countersign/bitcoin';
import type { SyncDoor, SyncDoorClient } from '@countersign/transport';
import {
  decodeMessage,
  encodeMessage,
  type MessageOf,
  type ReplyNameTo,
  type Request,
  type RequestName,
  SIGNER_ERROR_CODES,
} from '@countersign/wire';

/** Why a call was not answered as LDK wanted. */
export interface LdkRefusal {
  /** LDK's method, or the hook, that led to it. */
  readonly method: string;
  /** The message that was refused; null where none was sent. */
  readonly request: RequestName | null;
  /** Hex of LDK's `channel_keys_id`; null for what concerns the node. */
  readonly channelKeysId: string | null;
  /** The rule's tag; `unreachable` without a signer, `unsupported` for what this adapter has no answer to. */
  readonly tag: string;
  /** Tag, sentence and facts, as the signer says them. */
  readonly text: string;
  /** The same call may pass later: `retry` asks LDK to make it again. */
  readonly temporary: boolean;
}

/** Hears of every call that was not answered as LDK wanted. */
export type RefusalListener = (refusal: LdkRefusal) => void;

export type Asked<N extends RequestName> =
  | { readonly ok: true; readonly reply: MessageOf<ReplyNameTo<N>> }
  | { readonly ok: false; readonly refusal: LdkRefusal };

export type AnyReply = MessageOf<ReplyNameTo<RequestName>>;

export interface AskedTogether {
  readonly replies: readonly AnyReply[];
  /** Of the question after the last reply. */
  readonly refusal: LdkRefusal | null;
}

/** A request, and of whom: `channelKeysId` null is the node itself. */
export interface Question {
  readonly channelKeysId: Uint8Array | null;
  readonly request: Request;
}

/** Everything: the node is one client, whatever of it asks. */
const ALL_PERMISSIONS = 0xffff_ffff_ffff_ffffn;
/** A channel's number beside its name: LDK has none. */
export const CHANNEL_DBID = 1n;
/** First byte of the name of a channel whose peer is not known by node id. */
const NAMED_BY_KEYS_ID = 0x00;
const TEMPORARY_MARK = '(temporary: try again later)';
/** The signer is not there to judge: it could not be asked, is not ready, or its store failed. Another one may be, later. */
const ABSENT_CODES: readonly number[] = [
  SIGNER_ERROR_CODES.unreachable,
  SIGNER_ERROR_CODES['not-initialized'],
  SIGNER_ERROR_CODES['store-failed'],
];
/** By the operator, who may undo it; what froze for good gives nothing away either way. */
const FROZEN_TAG = 'policy-channel-frozen';

/** How the signer knows the channel. */
export function channelName(channelKeysId: Uint8Array): Uint8Array {
  const name = new Uint8Array(1 + channelKeysId.length);
  name[0] = NAMED_BY_KEYS_ID;
  name.set(channelKeysId, 1);
  return name;
}

export class SignerClient {
  #door: SyncDoor;
  readonly #listeners = new Set<RefusalListener>();

  constructor(door: SyncDoor) {
    this.#door = door;
  }

  get door(): SyncDoor {
    return this.#door;
  }

  /** Another door to the same signer. */
  moveTo(door: SyncDoor): void {
    this.#door = door;
  }

  /** Called after LDK's callback has returned, so it may use LDK. */
  onRefusal(listener: RefusalListener): void {
    this.#listeners.add(listener);
  }

  /** `channelKeysId` null: the node itself asks. */
  ask<N extends RequestName>(
    method: string,
    channelKeysId: Uint8Array | null,
    request: Extract<Request, { name: N }>,
  ): Asked<N> {
    const ask = () => [this.#door.ask(clientOf(channelKeysId), encodeMessage(request))];
    const [outcome = UNREADABLE] = readAll(ask, 1);
    return this.#asked(method, { channelKeysId, request }, outcome);
  }

  /**
   * All of them are asked, in this order; the replies up to the first refusal. Null where the door takes one at a time: then
   * nothing was asked.
   */
  askTogether(method: string, questions: readonly Question[]): AskedTogether | null {
    const door = this.#door;
    if (door.askTogether === undefined) return null;
    const requests = questions.map(({ channelKeysId, request }) => ({
      client: clientOf(channelKeysId),
      request: encodeMessage(request),
    }));
    const outcomes = readAll(() => door.askTogether?.(requests) ?? [], questions.length);
    const replies: AnyReply[] = [];
    for (const [i, question] of questions.entries()) {
      const asked = this.#asked(method, question, outcomes[i] ?? UNREADABLE);
      if (!asked.ok) return { replies, refusal: asked.refusal };
      replies.push(asked.reply);
    }
    return { replies, refusal: null };
  }

  #asked<N extends RequestName>(
    method: string,
    { channelKeysId, request }: Question,
    outcome: Outcome,
  ): Asked<N> {
    if (typeof outcome !== 'string' && outcome.name !== 'vls_signer_error')
      return { ok: true, reply: outcome as MessageOf<ReplyNameTo<N>> };
    return {
      ok: false,
      refusal: this.refuse(method, channelKeysId, request.name, textOf(outcome), codeOf(outcome)),
    };
  }

  /** Notes a refusal and tells the listeners, once nothing of LDK is under way. */
  refuse(
    method: string,
    channelKeysId: Uint8Array | null,
    request: RequestName | null,
    text: string,
    wireCode: number | null = null,
  ): LdkRefusal {
    const tag = text.slice(0, Math.max(0, text.indexOf(':'))) || text;
    const isAbsent = tag === 'unreachable' || (wireCode !== null && ABSENT_CODES.includes(wireCode));
    const refusal: LdkRefusal = {
      method,
      request,
      channelKeysId: channelKeysId === null ? null : toHex(channelKeysId),
      tag,
      text,
      temporary: isAbsent || tag === FROZEN_TAG || text.endsWith(TEMPORARY_MARK),
    };
    queueMicrotask(() => this.#tell(refusal));
    return refusal;
  }

  #tell(refusal: LdkRefusal): void {
    for (const listener of this.#listeners) listener(refusal);
  }

  async feed<N extends RequestName>(request: Extract<Request, { name: N }>): Promise<Asked<N>> {
    const method = 'feed';
    try {
      const decoded = decodeMessage(await this.#door.feed(encodeMessage(request)), 'reply');
      if (decoded.ok && decoded.message.name !== 'unknown' && decoded.message.name !== 'vls_signer_error')
        return { ok: true, reply: decoded.message as MessageOf<ReplyNameTo<N>> };
      const text =
        decoded.ok && decoded.message.name === 'vls_signer_error'
          ? decoded.message.message
          : 'unreachable: the signer’s answer cannot be read';
      return { ok: false, refusal: this.refuse(method, null, request.name, text) };
    } catch (error) {
      const why = error instanceof Error ? error.message : 'the signer could not be asked';
      return { ok: false, refusal: this.refuse(method, null, request.name, `unreachable: ${why}`) };
    }
  }
}

/** The reply; a string says why there is none. */
type Outcome = MessageOf<ReplyNameTo<RequestName> | 'vls_signer_error'> | string;

const UNREADABLE = 'unreachable: the signer’s answer cannot be read';

function clientOf(channelKeysId: Uint8Array | null): SyncDoorClient {
  const permissions = ALL_PERMISSIONS;
  if (channelKeysId === null) return { peerId: null, dbid: 0n, permissions };
  return { peerId: channelName(channelKeysId), dbid: CHANNEL_DBID, permissions };
}

function readReply(reply: Uint8Array): Outcome {
  const decoded = decodeMessage(reply, 'reply');
  if (!decoded.ok || decoded.message.name === 'unknown') return UNREADABLE;
  return decoded.message as MessageOf<ReplyNameTo<RequestName>>;
}

/** Where the door throws, nothing is known about any of the `count` questions. */
function readAll(ask: () => readonly Uint8Array[], count: number): readonly Outcome[] {
  try {
    return ask().map(readReply);
  } catch (error) {
    const why = error instanceof Error ? error.message : 'the signer could not be asked';
    return new Array<Outcome>(count).fill(`unreachable: ${why}`);
  }
}

const textOf = (outcome: Outcome): string =>
  typeof outcome === 'string' ? outcome : outcome.name === 'vls_signer_error' ? outcome.message : '';

const codeOf = (outcome: Outcome): number | null =>
  typeof outcome !== 'string' && outcome.name === 'vls_signer_error' ? outcome.code : null;
