/**
 * From a request of VLS's node side to its response. A permanent error would end that node side and with it lightningd, so
 * a refusal travels as a reply: the same bytes that lightningd gets of a signer beside it. Nothing that is asked makes this throw.
 */
import { createHash } from 'node:crypto';
import { encodeMessage, type MessageOf } from '@countersign/wire';
import type { LinkAnswer, LinkClient, LinkRefusal, RequestHandler } from '../link/protocol.ts';
import { clientOf, MASTER_CLIENT } from './client-of.ts';
import { nameOf } from './foreign-answer.ts';
import { isChainMessage, isNodeInfo, isPreinit, isTipInfo, isTipInfoReply } from './message-type.ts';
import { ERROR_TEXT_MAX, type SignerRequest, type SignerResponse } from './messages.ts';
import { initReplyForVls, nodeInfoReply, tipInfoReply } from './vls-form.ts';

export interface AnswererOptions {
  readonly handler: RequestHandler;
  /** The bytes in which a refusal reaches whoever asked with `body`: those that lightningd's own hsmd would be given. */
  readonly refusalReply: (body: Uint8Array, refusal: LinkRefusal) => Uint8Array;
  /** As VLS names it: `bitcoin`, `testnet`, `signet`, `regtest`. Its frontend compares. */
  readonly networkName: string;
  /**
   * What the signer knows of the chain, however it knows it; null: nothing. VLS's node side asks once at its start, on mainnet and
   * testnet, even when it will not tell of the chain, and ends without an answer.
   */
  readonly chainTip?: () => ChainTip | null;
  /**
   * How often the same request fails for the moment before its refusal is final. VLS waits 1 s, 2 s, 4 s and so on between them,
   * three minutes in all, while a daemon of lightningd, or lightningd, waits for it.
   */
  readonly temporaryFailuresMax: number;
}

export interface ChainTip {
  readonly heightBlocks: number;
  /** In internal byte order. */
  readonly hash: Uint8Array;
}

/** Requests whose temporary failures are counted. */
export const COUNTED_MAX = 256;

const NO_BYTES = new Uint8Array(0);

export class Answerer {
  readonly #options: AnswererOptions;
  /** By content: VLS asks again under another number. */
  readonly #failures = new Map<string, number>();
  #started: MessageOf<'hsmd_init_reply_v4'> | null = null;

  constructor(options: AnswererOptions) {
    this.#options = options;
  }

  /** `feedSession`: of this stream. Null: no response may be sent. Rejects only for a bug of the handler. */
  async answer(request: SignerRequest, feedSession: number): Promise<SignerResponse | null> {
    const body = Uint8Array.from(request.message);
    if (isPreinit(body)) return null;
    const client = clientOf(request.context);
    if (client === null)
      return this.#replied(
        request,
        refusedHere(body, 'a channel without the 33 bytes of its peer', false),
        body,
      );
    const answer = await this.#ask(client, body, feedSession);
    if (answer.kind === 'refused' && answer.refusal.temporary && this.#mayTryAgain(client, body))
      return {
        requestId: request.requestId,
        message: NO_BYTES,
        error: `${answer.refusal.tag}: ${answer.refusal.text}`.slice(0, ERROR_TEXT_MAX),
        isTemporaryFailure: true,
      };
    this.#failures.delete(keyOf(client, body));
    return this.#replied(request, answer, body);
  }

  async #ask(client: LinkClient, body: Uint8Array, feedSession: number): Promise<LinkAnswer> {
    const { handler, networkName } = this.#options;
    const isMaster = client === MASTER_CLIENT;
    if (isMaster && isNodeInfo(body) && this.#started !== null)
      return { kind: 'reply', body: nodeInfoReply(networkName, this.#started) };
    if (isMaster && isChainMessage(body)) return this.#feed(body, feedSession);
    const answer = await handler.ask(client, body);
    if (answer.kind === 'refused' || !isMaster) return answer;
    const started = initReplyForVls(answer.body);
    if (started === null) return answer;
    if (started.name === 'hsmd_init_reply_v4') this.#started = started;
    return { kind: 'reply', body: encodeMessage(started) };
  }

  /**
   * Who feeds the signer by other means is asked nothing here but where the chain ends. Any other reply to that ends VLS's node side;
   * it asks again after a failure for the moment, and a chain that has just begun has an end by then.
   */
  async #feed(body: Uint8Array, session: number): Promise<LinkAnswer> {
    const { handler, chainTip } = this.#options;
    const answer = await handler.feed(session, body);
    if (!isTipInfo(body) || (answer.kind === 'reply' && isTipInfoReply(answer.body))) return answer;
    const tip = chainTip?.() ?? null;
    if (tip !== null) return { kind: 'reply', body: tipInfoReply(tip.heightBlocks, tip.hash) };
    const text = 'the signer does not know where the chain ends: see [chain] in its policy file';
    return refusedHere(body, text, true);
  }

  #replied({ requestId }: SignerRequest, answer: LinkAnswer, body: Uint8Array): SignerResponse {
    const message = answer.kind === 'reply' ? answer.body : this.#options.refusalReply(body, answer.refusal);
    return { requestId, message, error: '', isTemporaryFailure: false };
  }

  #mayTryAgain(client: LinkClient, body: Uint8Array): boolean {
    const key = keyOf(client, body);
    const failures = (this.#failures.get(key) ?? 0) + 1;
    if (failures > this.#options.temporaryFailuresMax) return false;
    // The newest are kept.
    this.#failures.delete(key);
    this.#failures.set(key, failures);
    const [oldest] = this.#failures.keys();
    if (this.#failures.size > COUNTED_MAX && oldest !== undefined) this.#failures.delete(oldest);
    return true;
  }
}

function keyOf({ peerId, dbid, permissions }: LinkClient, body: Uint8Array): string {
  return createHash('sha256')
    .update(peerId ?? NO_BYTES)
    .update(`/${dbid}/${permissions}/`)
    .update(body)
    .digest('base64');
}

function refusedHere(body: Uint8Array, text: string, temporary: boolean): LinkAnswer {
  const refusal: LinkRefusal = {
    code: 'malformed',
    tag: 'policy-generic-error',
    request: nameOf(body),
    channel: null,
    text,
    temporary,
    auditId: null,
    facts: {},
  };
  return { kind: 'refused', refusal };
}
