/**
 * INIT, told to every process of the signer before anything is asked of it: the first answers lightningd, and each later one must
 * answer the same. One that has other keys, or is of another version, is sent away; requests wait for the right one.
 */
import { equalBytes } from '@countersign/bitcoin';
import { MASTER_PERMISSIONS } from '@countersign/core';
import type { GreetingAsk, LinkClient } from '@countersign/transport';
import { decodeMessage } from '@countersign/wire';
import type { DoorLogLevel, Init, Opening } from '../door.ts';
import { doorAnswer } from './reply.ts';

/** lightningd itself, of all its clients. */
export const LIGHTNINGD: LinkClient = { peerId: null, dbid: 0n, permissions: MASTER_PERMISSIONS };
/** lightningd's EXITCODE_HSM_GENERIC_ERROR: it prints the text and exits with this. */
const GENERIC_ERROR_CODE = 20;

export type InitFailure = Extract<Opening, { ok: false }>;

export interface IntroductionOptions {
  readonly init: Init;
  readonly messageBytesMax: number;
  readonly log: (level: DoorLogLevel, text: string) => void;
  /** The first signer gave no reply that lightningd can start with. */
  readonly onFailed: (failure: InitFailure) => void;
}

export class Introduction {
  readonly #options: IntroductionOptions;
  #reply: Uint8Array | null = null;
  /** Said already: a signer that is sent away dials again and again. */
  #complaint = '';

  constructor(options: IntroductionOptions) {
    this.#options = options;
  }

  /** What lightningd gets. Null before the first signer. */
  get reply(): Uint8Array | null {
    return this.#reply;
  }

  /** Rejects for a signer that must not be asked. */
  readonly greet = async (ask: GreetingAsk, signer: string): Promise<void> => {
    const told = await this.#tell(ask);
    const why = told.ok
      ? 'it has other keys, or is of another version, than the one this node started with'
      : told.how === 'failed'
        ? told.errorMessage
        : told.why;
    if (this.#reply === null) {
      if (told.ok) {
        this.#reply = told.reply;
        return;
      }
      this.#options.onFailed(told);
      // It has served nothing, so the place is not its own.
      throw new Error(why);
    }
    const isSame = told.ok && equalBytes(told.reply, this.#reply);
    if (isSame) {
      this.#complaint = '';
      this.#options.log('info', `countersign: the signer ${signer} has started anew; it was told INIT again`);
      return;
    }
    const complaint = `countersign: the signer ${signer} was sent away: ${why}. Requests wait for the right one`;
    if (complaint !== this.#complaint) this.#options.log('broken', complaint);
    this.#complaint = complaint;
    throw new Error(why);
  };

  async #tell(ask: GreetingAsk): Promise<{ readonly ok: true; readonly reply: Uint8Array } | InitFailure> {
    const { init, messageBytesMax } = this.#options;
    // It has no reply; the link carries an empty one.
    if (init.preinit !== null) await ask(LIGHTNINGD, init.preinit.body);
    const answer = doorAnswer(init.body, await ask(LIGHTNINGD, init.body), messageBytesMax);
    if (answer.kind === 'refused') return failed(`${answer.refusal.tag}: ${answer.refusal.message}`);
    const decoded = decodeMessage(answer.body, 'reply', { messageBytesMax });
    if (!decoded.ok || decoded.message.name !== 'hsmd_init_reply_failure') {
      return { ok: true, reply: answer.body };
    }
    return failed(decoded.message.errorMessage, decoded.message.errorCode);
  }
}

function failed(why: string, errorCode = GENERIC_ERROR_CODE): InitFailure {
  const errorMessage = `countersign: the signer does not serve this node: ${why.replace(/^countersign: /, '')}`;
  return { ok: false, how: 'failed', errorCode, errorMessage, exitStatus: 242 };
}
