/**
 * Preimages on their way to a signer elsewhere. Whoever brings them is answered as soon as they can't be lost any more: they
 * are on the disk of this machine, and in front of everything that is asked of the signer from then on. So neither a write of
 * lightningd nor the node with it waits for the way to the signer and back, or for a link that is down.
 */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { CountersignError } from '@countersign/bitcoin';
import { LinkError, type SignerLink } from '@countersign/transport';
import { decodeMessage, encodeMessage, MESSAGES, PREIMAGES_MAX } from '@countersign/wire';
import type { Surroundings } from '../door.ts';
import { HeldValues } from './held-values.ts';
import { LIGHTNINGD } from './introduction.ts';
import { doorAnswer, typeOf } from './reply.ts';

/** In the state directory. */
export const HELD_FILE = 'preimages.held';
/** Between tries, when the signer says no. */
const PAUSE_MS_MIN = 100;
const PAUSE_MS_MAX = 2_000;
const MESSAGE_BYTES_MAX = 64 * 1024;

export interface PreimageDeskOptions {
  /** In order: what is asked first is there first. */
  readonly link: Pick<SignerLink, 'ask'>;
  /** Null where nothing can be held: everybody waits for the signer then. */
  readonly held: HeldValues | null;
  readonly log: Surroundings['log'];
}

/** The values of a message of this kind; null for every other, and for one that can't be read. */
export function preimagesIn(body: Uint8Array): readonly Uint8Array[] | null {
  if (typeOf(body) !== MESSAGES.countersign_preimages.number) return null;
  const decoded = decodeMessage(body, 'request', { messageBytesMax: MESSAGE_BYTES_MAX });
  return decoded.ok && decoded.message.name === 'countersign_preimages' ? decoded.message.preimages : null;
}

/** Where nothing can be held says so, once: then everybody waits for the signer, as without it. */
export function openHeldValues(path: string, log: Surroundings['log']): HeldValues | null {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    return HeldValues.open(path);
  } catch (error) {
    log('unusual', `countersign: lightningd will wait for the signer with each preimage: ${textOf(error)}`);
    return null;
  }
}

/** The signer's reply, or why there is none. */
type Said = Uint8Array | { readonly no: string };

export class PreimageDesk {
  readonly #options: PreimageDeskOptions;
  #complaint = '';
  #isClosed = false;

  constructor(options: PreimageDeskOptions) {
    this.#options = options;
  }

  /** What the process before had taken, in front of all that is asked. */
  begin(): void {
    const { held, log } = this.#options;
    if (held === null || held.left.length === 0) return;
    const { left } = held;
    const parts = Array.from({ length: Math.ceil(left.length / PREIMAGES_MAX) }, (_, i) =>
      left.slice(i * PREIMAGES_MAX, (i + 1) * PREIMAGES_MAX),
    );
    const brought = Promise.all(parts.map((preimages) => this.#bring(requestWith(preimages))));
    brought.then(
      () => {
        held.leftIsBrought();
        log('debug', `countersign: ${left.length} values of before this start are with the signer`);
      },
      () => {},
    );
  }

  /**
   * `body` is the message of `values`. Resolves to the reply: at once where they are held, else when the signer has them. Rejects
   * with `link-closed`. Must be called in the turn in which the message came, so that nothing gets in front.
   */
  async take(body: Uint8Array, values: readonly Uint8Array[]): Promise<Uint8Array> {
    const first = this.#ask(body);
    const bringing = this.#bring(body, first);
    const brought = this.#hold(values);
    if (brought === null) return replyWith(learnedIn(await bringing));
    // Closed for good: what is held is brought after the next start.
    bringing.then(brought, () => {});
    // Without a place in the link's queue it would come after what is asked meanwhile.
    if (!(await hasPlace(first))) return replyWith(learnedIn(await bringing));
    return replyWith(values.length);
  }

  close(): void {
    this.#isClosed = true;
    this.#options.held?.close();
  }

  #hold(values: readonly Uint8Array[]): (() => void) | null {
    const { held } = this.#options;
    if (held === null) return null;
    try {
      return held.hold(values);
    } catch (error) {
      this.#complain(`preimages cannot be held, lightningd waits for the signer: ${textOf(error)}`);
      return null;
    }
  }

  /** Until the signer has them. Resolves to its reply. */
  async #bring(body: Uint8Array, first = this.#ask(body)): Promise<Uint8Array> {
    let asked = first;
    for (let pauseMs = PAUSE_MS_MIN; ; pauseMs = Math.min(2 * pauseMs, PAUSE_MS_MAX)) {
      const said = await asked;
      if (said instanceof Uint8Array) return said;
      this.#complain(`the signer does not take preimages: ${said.no}`);
      await new Promise<void>((resolve) => void setTimeout(resolve, pauseMs).unref());
      if (this.#isClosed) throw new LinkError('link-closed', 'the link to the signer was closed');
      asked = this.#ask(body);
    }
  }

  async #ask(body: Uint8Array): Promise<Said> {
    try {
      const answer = doorAnswer(body, await this.#options.link.ask(LIGHTNINGD, body), MESSAGE_BYTES_MAX);
      return answer.kind === 'body'
        ? answer.body
        : { no: `${answer.refusal.tag}: ${answer.refusal.message}` };
    } catch (error) {
      if (!(error instanceof LinkError) || error.code === 'link-closed') throw error;
      return { no: error.message };
    }
  }

  #complain(text: string): void {
    if (text !== this.#complaint) this.#options.log('unusual', `countersign: ${text}`);
    this.#complaint = text;
  }
}

/** Not refused by the link itself, which says so in the turn in which it is asked. */
async function hasPlace(asked: Promise<Said>): Promise<boolean> {
  const turn = new Promise<null>((resolve) => void setImmediate(resolve, null));
  const said = await Promise.race([asked.catch(() => ({ no: '' })), turn]);
  return said === null || said instanceof Uint8Array;
}

function requestWith(preimages: readonly Uint8Array[]): Uint8Array {
  return encodeMessage({ name: 'countersign_preimages', preimages: [...preimages] });
}

function replyWith(learned: number): Uint8Array {
  return encodeMessage({ name: 'countersign_preimages_reply', learned });
}

function learnedIn(body: Uint8Array): number {
  const decoded = decodeMessage(body, 'reply');
  return decoded.ok && decoded.message.name === 'countersign_preimages_reply' ? decoded.message.learned : 0;
}

function textOf(error: unknown): string {
  if (error instanceof CountersignError) return error.message;
  return error instanceof Error ? error.message : String(error);
}
