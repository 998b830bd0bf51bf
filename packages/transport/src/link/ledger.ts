/**
 * The signer's half of "once in effect": a request of a run is handed over once while this process lives. Its answer is
 * kept until the node side acknowledges it, and is what every repetition of its number gets. What the node side
 * may make it hold is bounded by count and bytes; a node side that oversteps breaks the protocol.
 */
import { toHex } from '@countersign/bitcoin';
import { LinkError } from './error.ts';
import { encodeLinkFrame, type LinkFrame, REQUEST_OVERHEAD_BYTES } from './frames.ts';
import type { LinkLimits } from './limits.ts';
import type { Wire } from './outbox.ts';
import type { LinkAnswer, LinkRefusal, RequestHandler } from './protocol.ts';

export interface LedgerOptions {
  readonly limits: LinkLimits;
  readonly handler: RequestHandler;
  /** The handler rejected: a bug of ours, the process must end. */
  readonly onBug: (error: unknown) => void;
}

interface Entry {
  readonly id: number;
  readonly bytes: number;
  /** Null once it has been handed over. */
  work: (() => Promise<LinkAnswer>) | null;
  /** The whole frame. */
  answer: Buffer | null;
  /** The present connection asked for it, so its answer goes there. */
  isWanted: boolean;
}

/** A feeder of the present run. */
interface Session {
  /** As the handler knows it: never given twice, whatever run it is of. */
  readonly number: number;
  /** Its last message, while that is being judged: the next one waits for it. */
  last: Promise<unknown> | null;
  isOver: boolean;
}

type Numbered = Extract<LinkFrame, { kind: 'request' | 'feed-end' }>;

export class Ledger {
  readonly #options: LedgerOptions;
  readonly #entries = new Map<number, Entry>();
  /** Not handed over yet, in order: too many answers are kept, or too much is being decided. */
  #held: Entry[] = [];
  readonly #sessions = new Map<number, Session>();
  #sessionsBegun = 0;
  #wire: Wire | null = null;
  /** The longest frame that the present connection's node side takes. */
  #frameBytesMax = 0;
  #run = '';
  #highestId = 0;
  #lastIdHere = 0;
  #deciding = 0;
  /** Of all that is being decided, also for runs and node sides that nobody will answer any more. */
  #decidingBytes = 0;
  #undecidedBytes = 0;
  #keptBytes = 0;

  constructor(options: LedgerOptions) {
    this.#options = options;
  }

  /** Answers kept for the node side, and requests without one. */
  get size(): number {
    return this.#entries.size;
  }

  get keptBytes(): number {
    return this.#keptBytes;
  }

  /** A new connection of the node side: what it does not name is forgotten, what it names it will ask for again. */
  attach(run: Uint8Array, outstanding: readonly number[], wire: Wire, frameBytesMax: number): void {
    const name = toHex(run);
    if (name !== this.#run) this.#begin(name);
    const wanted = new Set(outstanding);
    for (const entry of [...this.#entries.values()]) {
      entry.isWanted = false;
      if (!wanted.has(entry.id)) this.#forget(entry);
    }
    this.#lastIdHere = 0;
    this.#wire = wire;
    this.#frameBytesMax = frameBytesMax;
    this.#handOver();
  }

  /** The connection is gone. What is being decided goes on, its answers are kept. */
  detach(): void {
    this.#wire = null;
  }

  /** Another start of the node's process: nobody will ask for the answers of the one before. */
  #begin(run: string): void {
    for (const entry of [...this.#entries.values()]) this.#forget(entry);
    for (const [number, session] of [...this.#sessions]) this.#endSession(number, session);
    this.#run = run;
    this.#highestId = 0;
  }

  /** Throws `link-protocol`. */
  request(frame: Numbered): void {
    const { id } = frame;
    if (id <= this.#lastIdHere) throw broken('numbers must rise', { id });
    this.#lastIdHere = id;
    const known = this.#entries.get(id);
    if (known === undefined) this.#add(frame);
    else this.#want(known);
  }

  #want(entry: Entry): void {
    entry.isWanted = true;
    if (entry.answer !== null) this.#give(entry.id, entry.answer);
  }

  /** A node side that takes less than this signer would hang up at such an answer, each time that it came again. */
  #give(id: number, answer: Buffer): void {
    if (this.#wire === null) return;
    const bytes = answer.length - LENGTH_BYTES;
    const isTooLong = bytes > this.#frameBytesMax;
    this.#wire.send(isTooLong ? tooLong(id, bytes, this.#frameBytesMax) : answer);
  }

  #add(frame: Numbered): void {
    const { id } = frame;
    const { requestsMax, requestBytesMax } = this.#options.limits;
    if (id <= this.#highestId) throw broken('a request that was acknowledged before', { id });
    const bytes = REQUEST_OVERHEAD_BYTES + (frame.kind === 'request' ? frame.body.length : 0);
    const isAlone = this.#undecidedBytes === 0;
    if (this.#entries.size >= requestsMax) throw broken('more requests than the window has', { id });
    if (!isAlone && this.#undecidedBytes + bytes > requestBytesMax)
      throw broken('more bytes than the window has', { id });
    const work = this.#workOf(frame);
    this.#highestId = id;
    this.#undecidedBytes += bytes;
    const entry: Entry = { id, bytes, work, answer: null, isWanted: true };
    this.#entries.set(id, entry);
    this.#held.push(entry);
    this.#handOver();
  }

  /** Throws `link-protocol`. */
  ack(ids: readonly number[]): void {
    for (const id of ids) {
      const entry = this.#entries.get(id);
      if (entry === undefined || entry.answer === null || !entry.isWanted)
        throw broken('an answer was acknowledged that was not given', { id });
      this.#forget(entry);
    }
    this.#handOver();
  }

  #forget(entry: Entry): void {
    this.#entries.delete(entry.id);
    if (entry.answer !== null) this.#keptBytes -= entry.answer.length;
    else this.#undecidedBytes -= entry.bytes;
    if (entry.work === null) return;
    entry.work = null;
    this.#held = this.#held.filter((one) => one !== entry);
  }

  #handOver(): void {
    const { keptBytesMax } = this.#options.limits;
    while (this.#keptBytes <= keptBytesMax) {
      const [entry] = this.#held;
      if (entry === undefined || !this.#hasRoomFor(entry)) return;
      this.#held.shift();
      const work = entry.work;
      entry.work = null;
      if (work !== null) void this.#decide(entry, work);
    }
  }

  /** A node side that begins again and again must not have more decided at once than one that does not. */
  #hasRoomFor({ bytes }: Entry): boolean {
    const { requestsMax, requestBytesMax } = this.#options.limits;
    if (this.#deciding === 0) return true;
    return this.#deciding < requestsMax && this.#decidingBytes + bytes <= requestBytesMax;
  }

  async #decide(entry: Entry, work: () => Promise<LinkAnswer>): Promise<void> {
    this.#deciding++;
    this.#decidingBytes += entry.bytes;
    try {
      this.#settle(entry, await work());
    } catch (error) {
      this.#options.onBug(error);
    }
    this.#deciding--;
    this.#decidingBytes -= entry.bytes;
    this.#handOver();
  }

  #settle(entry: Entry, answer: LinkAnswer): void {
    // Forgotten meanwhile: another run, or a node side that gave up waiting.
    if (this.#entries.get(entry.id) !== entry) return;
    const frame = encodeLinkFrame({ kind: 'answer', id: entry.id, answer });
    if (frame.length - LENGTH_BYTES > this.#options.limits.frameBytesMax)
      throw new LinkError('link-request-too-large', 'no frame holds so long an answer', {
        bytes: frame.length,
      });
    entry.answer = frame;
    this.#undecidedBytes -= entry.bytes;
    this.#keptBytes += frame.length;
    if (entry.isWanted) this.#give(entry.id, frame);
  }

  #workOf(frame: Numbered): () => Promise<LinkAnswer> {
    const { handler } = this.#options;
    if (frame.kind === 'feed-end') {
      const session = this.#sessions.get(frame.session);
      return async () => {
        await session?.last;
        this.#endSession(frame.session, session);
        return EMPTY;
      };
    }
    const body = owned(frame.body);
    const { asker } = frame;
    if (asker.kind === 'client') return () => handler.ask(asker.client, body);
    const session = this.#sessionOf(asker.session);
    return () => this.#feed(session, body);
  }

  /** At once where nothing of this feeder is before it: what is asked next may need what it brings. */
  #feed(session: Session, body: Uint8Array): Promise<LinkAnswer> {
    const { handler } = this.#options;
    const heard = async (): Promise<LinkAnswer> =>
      session.isOver ? EMPTY : handler.feed(session.number, body);
    const answer = session.last === null ? heard() : session.last.then(heard);
    const last = answer
      .catch(() => {})
      .then(() => {
        if (session.last === last) session.last = null;
      });
    session.last = last;
    return answer;
  }

  #sessionOf(number: number): Session {
    const known = this.#sessions.get(number);
    if (known !== undefined) return known;
    if (this.#sessions.size >= this.#options.limits.sessionsMax) throw broken('too many feeders', { number });
    const session = { number: ++this.#sessionsBegun, last: null, isOver: false };
    this.#sessions.set(number, session);
    return session;
  }

  #endSession(number: number, session: Session | undefined): void {
    if (session === undefined || session.isOver) return;
    session.isOver = true;
    this.#sessions.delete(number);
    this.#options.handler.feedEnded(session.number);
  }
}

/** In front of a frame. */
const LENGTH_BYTES = 4;

function tooLong(id: number, bytes: number, limitBytes: number): Buffer {
  const refusal: LinkRefusal = {
    code: 'malformed',
    tag: 'link-answer-too-large',
    request: 'unknown',
    channel: null,
    text: 'the answer is longer than the node side takes: give it the message_bytes_max of its signer',
    temporary: false,
    auditId: null,
    facts: { frame_bytes: bytes, limit_bytes: limitBytes },
  };
  return encodeLinkFrame({ kind: 'answer', id, answer: { kind: 'refused', refusal } });
}

/** For what nobody reads. */
const EMPTY: LinkAnswer = { kind: 'reply', body: new Uint8Array(0) };

/** Keep the bytes, not the whole chunk that they came in. */
export function owned(bytes: Uint8Array): Uint8Array {
  return 2 * bytes.length < bytes.buffer.byteLength ? bytes.slice() : bytes;
}

function broken(text: string, facts: Readonly<Record<string, number>>): LinkError {
  return new LinkError('link-protocol', text, facts);
}
