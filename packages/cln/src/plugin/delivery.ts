/**
 * Values on their way to the signer. Whoever delivers waits until the signer has them, but never long: what does not
 * arrive in time is kept and sent as soon as the signer is there, and until then nobody waits for it again.
 */
import { fromHex, sha256, toHex } from '@countersign/bitcoin';
import { PREIMAGES_MAX } from '@countersign/wire';
import { Link, type LinkAnswer } from './link.ts';

/** Kept while the signer is away; the oldest go first. */
export const KEPT_VALUES_MAX = 16_384;
/** Remembered as learned; the oldest go first. */
export const LEARNED_MAX = 4_096;
export const WAIT_MS = 5_000;
/** What nobody waits for is sent together, after so long: each message is work for three processes beside a payment under way. */
export const SOON_MS = 1_000;
const RETRY_MS_MIN = 50;
const RETRY_MS_MAX = 1_000;

export type LogLevel = 'info' | 'warn' | 'error';

export interface DeliveryOptions {
  readonly socketPath: string;
  readonly log: (level: LogLevel, text: string) => void;
  /** How long one delivery may hold its caller up. */
  readonly waitMs?: number;
  /**
   * The same while the node side has taken the values and waits itself for a signer on another machine. If lightningd went on
   * without, it would ask to revoke before the signer knows the preimage, and be refused once the link is back.
   */
  readonly patienceMs?: number;
}

export class Delivery {
  readonly #options: DeliveryOptions;
  /** By hex, in the order they came. */
  readonly #kept = new Map<string, Uint8Array>();
  /** Of them, those that may be preimages by what lightningd has written before. */
  readonly #urgent = new Set<string>();
  /** The signer knows them, by its own word: written again, they keep nobody. Of the present connection; by payment hash. */
  readonly #learned = new Map<string, string>();
  #socketPath: string;
  #link: Link | null = null;
  /** The signer must hear once that values are delivered, even when there are none yet. */
  #greeted = false;
  #sending: Promise<void> | null = null;
  /** Somebody has answered where the signer listens, since it is known where that is. */
  #wasThere = false;
  /** Nobody listens there, at the last attempt. */
  #isAbsent = false;
  /** The last wait was in vain: values go in the background until the signer is back. */
  #isAway = false;
  #soon: NodeJS.Timeout | null = null;
  /** Also what nobody waits for is due. */
  #sendsAll = false;
  #lost = 0;
  #closed = false;

  constructor(options: DeliveryOptions) {
    this.#options = options;
    this.#socketPath = options.socketPath;
  }

  /** Values kept, not yet with the signer. */
  get waiting(): number {
    return this.#kept.size;
  }

  /** The signer has heard that values are delivered. */
  get isGreeted(): boolean {
    return this.#greeted;
  }

  /** The signer has said that it knows this preimage now. lightningd writes each one three to five times. */
  hasLearned(value: Uint8Array): boolean {
    return this.#learned.has(toHex(sha256(value)));
  }

  /**
   * What lightningd writes. A hash without its preimage may be that of a new HTLC: the signer forgets a payment that is over, so
   * its preimage is waited for once more.
   */
  written(values: readonly Uint8Array[]): void {
    if (this.#learned.size === 0) return;
    const written = new Set(values.map(toHex));
    for (const value of written) {
      const preimage = this.#learned.get(value);
      if (preimage !== undefined && !written.has(preimage)) this.#learned.delete(value);
    }
  }

  /** Where the signer listens, once known better. */
  moveTo(socketPath: string): void {
    if (socketPath === this.#socketPath) return;
    this.#socketPath = socketPath;
    this.#greeted = false;
    this.#wasThere = false;
    this.#drop();
  }

  /**
   * Resolves when the signer has the values, or when waiting would hold lightningd up. Never rejects. False: the hsmd that was there is
   * gone, so lightningd is at its end too, and must not write what no signer will have. The peer sends it again after a restart.
   */
  async deliver(values: readonly Uint8Array[], urgent: readonly Uint8Array[] = []): Promise<boolean> {
    this.#keep(values);
    for (const value of urgent) this.#urgent.add(toHex(value));
    if (urgent.length === 0) this.#sendsAll = true;
    if (this.#kept.size === 0 && this.#greeted) return true;
    const sending = this.#begin();
    if (this.#isAway) return true;
    const { waitMs = WAIT_MS, patienceMs = waitMs } = this.#options;
    let waitedMs = 0;
    do {
      if (await isDoneWithin(sending, waitMs)) return true;
      waitedMs += waitMs;
    } while (this.#link?.isOpen === true && waitedMs < patienceMs);
    // One that is there again, and slow, is an attempt under way.
    if (this.#wasThere && this.#isAbsent && this.#link === null && urgent.length > 0) {
      this.#options.log(
        'error',
        `the hsmd is gone that listened at ${this.#socketPath}: lightningd ends before it writes preimages that no signer has. ` +
          'Start it again; peers send them once more',
      );
      return false;
    }
    this.#isAway = true;
    this.#options.log(
      'error',
      `the signer did not take preimages within ${waitedMs} ms at ${this.#socketPath}: lightningd goes on without. ` +
        'Payments whose preimages it does not know may be refused until it has them',
    );
    return true;
  }

  /** Nobody waits: together with what else comes within `SOON_MS`. */
  deliverSoon(values: readonly Uint8Array[]): void {
    this.#keep(values);
    if (this.#sending === null) this.#comeSoon();
  }

  #comeSoon(): void {
    if (this.#kept.size === 0 || this.#closed) return;
    this.#soon ??= setTimeout(() => {
      this.#sendsAll = true;
      void this.#begin();
    }, SOON_MS).unref();
  }

  close(): void {
    this.#closed = true;
    this.#cancelSoon();
    this.#link?.end();
  }

  #cancelSoon(): void {
    clearTimeout(this.#soon ?? undefined);
    this.#soon = null;
  }

  #begin(): Promise<void> {
    if (this.#sendsAll) this.#cancelSoon();
    this.#sending ??= this.#send().finally(() => {
      this.#sending = null;
      this.#comeSoon();
    });
    return this.#sending;
  }

  #keep(values: readonly Uint8Array[]): void {
    for (const value of values) {
      const key = toHex(value);
      this.#kept.delete(key);
      this.#kept.set(key, value);
    }
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= KEPT_VALUES_MAX) return;
      this.#kept.delete(oldest);
      this.#urgent.delete(oldest);
      this.#lost += 1;
    }
  }

  get #isDue(): boolean {
    return !this.#greeted || this.#urgent.size > 0 || (this.#sendsAll && this.#kept.size > 0);
  }

  /** Until everything that is due is with the signer, however long that takes. */
  async #send(): Promise<void> {
    let pauseMs = RETRY_MS_MIN;
    let told = false;
    while (!this.#closed && this.#isDue) {
      const problem = await this.#sendSome();
      if (problem === null) {
        pauseMs = RETRY_MS_MIN;
        continue;
      }
      if (!told)
        this.#options.log('warn', `the signer does not take preimages at ${this.#socketPath}: ${problem}`);
      told = true;
      // The signer was away: it gets all there is.
      this.#sendsAll = true;
      await pause(pauseMs);
      pauseMs = Math.min(2 * pauseMs, RETRY_MS_MAX);
    }
    this.#sendsAll = false;
    if (this.#closed) return;
    if (told) this.#options.log('info', 'the signer has all preimages again');
    if (this.#lost > 0)
      this.#options.log('error', `${this.#lost} values were too old to keep for the signer`);
    this.#lost = 0;
    this.#isAway = false;
  }

  /** What somebody waits for goes alone: each value costs the signer a look at its records. */
  #next(): readonly (readonly [string, Uint8Array])[] {
    const kept = [...this.#kept];
    const urgent = this.#urgent.size === 0 ? [] : kept.filter(([key]) => this.#urgent.has(key));
    return (urgent.length === 0 ? kept : urgent).slice(0, PREIMAGES_MAX);
  }

  /** One message. Null when the signer has it, else why not. */
  async #sendSome(): Promise<string | null> {
    const batch = this.#next();
    // One that the signer closed for its silence is no problem.
    if (this.#link === null || !this.#link.isOpen) this.#connect();
    const preimages = batch.map(([, value]) => value);
    const answer = await this.#link!.ask({ name: 'countersign_preimages', preimages });
    const problem = problemIn(answer);
    this.#isAbsent = !answer.ok && answer.isAbsent;
    if (problem !== null) {
      this.#drop();
      return problem;
    }
    this.#greeted = true;
    this.#wasThere = true;
    this.#took(
      batch.map(([key]) => key),
      learnedIn(answer),
    );
    return null;
  }

  #connect(): void {
    this.#drop();
    this.#link = new Link(this.#socketPath);
  }

  /** Who answers next may be another signer, with records of its own. */
  #drop(): void {
    this.#link?.end();
    this.#link = null;
    this.#learned.clear();
  }

  /** Values whose hash was never written before are no preimages of ours: what was learned of a message is what is urgent in it. */
  #took(keys: readonly string[], learned: number): void {
    const urgent = keys.filter((key) => this.#urgent.delete(key));
    for (const key of keys) this.#kept.delete(key);
    if (learned < urgent.length) return;
    for (const key of urgent) this.#learned.set(toHex(sha256(fromHex(key))), key);
    for (const oldest of this.#learned.keys()) {
      if (this.#learned.size <= LEARNED_MAX) return;
      this.#learned.delete(oldest);
    }
  }
}

function learnedIn(answer: LinkAnswer): number {
  return answer.ok && answer.reply.name === 'countersign_preimages_reply' ? answer.reply.learned : 0;
}

/** Null for the reply that was waited for. */
function problemIn(answer: LinkAnswer): string | null {
  if (!answer.ok) return answer.problem;
  const { reply } = answer;
  if (reply.name === 'countersign_preimages_reply') return null;
  return reply.name === 'vls_signer_error' ? reply.message : `its reply is of type ${reply.name}`;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms).unref());
}

async function isDoneWithin(work: Promise<void>, waitMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, waitMs, false);
  });
  try {
    return await Promise.race([work.then(() => true as const), late]);
  } finally {
    clearTimeout(timer);
  }
}
