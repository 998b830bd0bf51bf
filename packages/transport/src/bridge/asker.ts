/**
 * Requests of an application that blocks, on their way to a signer elsewhere. Each is answered within a bounded time: by the
 * signer, or by saying that it cannot be reached. What nobody waits for any more is still decided once: the link keeps it until the
 * signer has answered, and the same request meanwhile joins it.
 */
import { createHash } from 'node:crypto';
import { encodeSignerError } from '@countersign/wire';
import { LinkError } from '../link/error.ts';
import type { Presence } from '../link/presence.ts';
import type { LinkAnswer, LinkClient, LinkRefusal, SignerLink } from '../link/protocol.ts';
import { askHead, type BridgeAnswer } from './messages.ts';

export interface AskerOptions {
  readonly link: Pick<SignerLink, 'ask'>;
  readonly presence: Pick<Presence, 'isGivenUp'>;
  /** Longest reply that is handed on. */
  readonly messageBytesMax: number;
  /** A request waits so long for its answer. */
  readonly patienceMs: number;
}

/** Requests that nobody waits for and the signer has not answered. */
export const ABANDONED_MAX = 64;
/** A signer on its way down answers nothing but that: the next one is asked. */
const ENDING_PAUSE_MS = 100;

const AWAY = 'the signer is away';

export class Asker {
  readonly #options: AskerOptions;
  readonly #abandoned = new Map<string, Promise<LinkAnswer>>();

  constructor(options: AskerOptions) {
    this.#options = options;
  }

  async ask(client: LinkClient, body: Uint8Array): Promise<BridgeAnswer> {
    const { presence, patienceMs, messageBytesMax } = this.#options;
    if (presence.isGivenUp) return unreachable(AWAY);
    try {
      const answer = await this.#within(patienceMs, client, body);
      if (answer === null) return unreachable(`${AWAY}: no answer within ${patienceMs / 1000} s`);
      if (answer.kind === 'refused') return refused(answer.refusal);
      if (answer.body.length <= messageBytesMax) return answer;
      return refused(tooLong(answer.body.length, messageBytesMax));
    } catch (error) {
      if (!(error instanceof LinkError)) throw error;
      return unreachable(error.message);
    }
  }

  async #within(patienceMs: number, client: LinkClient, body: Uint8Array): Promise<LinkAnswer | null> {
    const late = Promise.withResolvers<null>();
    const timer = setTimeout(() => late.resolve(null), patienceMs);
    try {
      for (;;) {
        const asked = this.#again(client, body) ?? this.#options.link.ask(client, body);
        const answer = await Promise.race([asked, late.promise]);
        if (answer === null) this.#abandon(client, body, asked);
        if (answer === null || !isEnding(answer)) return answer;
        if ((await Promise.race([pause(ENDING_PAUSE_MS), late.promise])) === null) return null;
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** The same request, already on its way for somebody who gave it up. */
  #again(client: LinkClient, body: Uint8Array): Promise<LinkAnswer> | undefined {
    if (this.#abandoned.size === 0) return undefined;
    const asked = this.#abandoned.get(keyOf(client, body));
    if (asked !== undefined) return asked;
    if (this.#abandoned.size < ABANDONED_MAX) return undefined;
    throw new LinkError('link-queue-full', `${AWAY}, and too many requests wait for it`, {
      waiting: this.#abandoned.size,
    });
  }

  #abandon(client: LinkClient, body: Uint8Array, asked: Promise<LinkAnswer>): void {
    const key = keyOf(client, body);
    if (this.#abandoned.has(key)) return;
    this.#abandoned.set(key, asked);
    const forget = (): void => void this.#abandoned.delete(key);
    asked.then(forget, forget);
  }
}

function keyOf(client: LinkClient, body: Uint8Array): string {
  return createHash('sha256').update(askHead(client)).update(body).digest('hex');
}

function isEnding(answer: LinkAnswer): boolean {
  return answer.kind === 'refused' && answer.refusal.code === 'not-initialized';
}

function pause(ms: number): Promise<true> {
  return new Promise((resolve) => void setTimeout(() => resolve(true), ms));
}

const unreachable = (why: string): BridgeAnswer => ({ kind: 'unreachable', why });

/** In the form that every signer's refusal has at a door that blocks. */
export function refusalBody({ code, text: message, ...rest }: LinkRefusal): Uint8Array {
  return encodeSignerError(code, { ...rest, message });
}

function refused(refusal: LinkRefusal): BridgeAnswer {
  return { kind: 'reply', body: refusalBody(refusal) };
}

function tooLong(bytes: number, bytesMax: number): LinkRefusal {
  return {
    code: 'malformed',
    tag: 'policy-generic-error',
    request: 'unknown',
    channel: null,
    text: 'the signer’s reply is longer than this side takes (messageBytesMax)',
    temporary: false,
    auditId: null,
    facts: { bytes, bytes_max: bytesMax },
  };
}
