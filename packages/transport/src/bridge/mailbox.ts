/**
 * The portable carrier: memory shared by two threads, one place for a request and one for a reply. The caller sleeps on a
 * counter until the reply with its number is there; the other end waits for the next number without blocking its event loop.
 *
 * ```
 * control, i32 each: 0 number of the request, 0 while it is written   1 number of the reply   2 bytes of the request
 *                    3 bytes of the reply   4 whether the other end is gone
 * then the bytes of the request, then those of the reply
 * ```
 */
import type { Answering, AnsweringEnd, BlockingCaller, Exchange } from './carrier.ts';

const REQUEST = 0;
const REPLY = 1;
const REQUEST_BYTES = 2;
const REPLY_BYTES = 3;
const ENDED = 4;
const CONTROL_WORDS = 16;
/** The counter fits the i32 of `Atomics.wait`; 0 is no number. */
const NUMBER_MAX = 0x7fff_ffff;

/** Both ends' view of the memory. `placeBytes` is room for one request, and as much for one reply. */
class Area {
  readonly control: Int32Array<SharedArrayBuffer>;
  readonly request: Uint8Array<SharedArrayBuffer>;
  readonly reply: Uint8Array<SharedArrayBuffer>;

  constructor(memory: SharedArrayBuffer) {
    const controlBytes = CONTROL_WORDS * Int32Array.BYTES_PER_ELEMENT;
    const placeBytes = (memory.byteLength - controlBytes) / 2;
    this.control = new Int32Array(memory, 0, CONTROL_WORDS);
    this.request = new Uint8Array(memory, controlBytes, placeBytes);
    this.reply = new Uint8Array(memory, controlBytes + placeBytes, placeBytes);
  }
}

/** The system gives pages of it when they are first written: what no message needs costs nothing. */
export function mailboxMemory(placeBytes: number): SharedArrayBuffer {
  return new SharedArrayBuffer(CONTROL_WORDS * Int32Array.BYTES_PER_ELEMENT + 2 * placeBytes);
}

export class MailboxCaller implements BlockingCaller {
  readonly #area: Area;
  readonly #monotonicMs: () => number;
  #number = 0;

  constructor(memory: SharedArrayBuffer, monotonicMs: () => number) {
    this.#area = new Area(memory);
    this.#monotonicMs = monotonicMs;
  }

  exchange(head: Uint8Array, body: Uint8Array, timeoutMs: number): Exchange {
    const { control, request } = this.#area;
    const bytes = head.length + body.length;
    if (bytes > request.length) throw new RangeError('a request is longer than its place');
    this.#number = this.#number === NUMBER_MAX ? 1 : this.#number + 1;
    // An end that still copies the request before sees that its number is gone, and drops what it copied.
    Atomics.store(control, REQUEST, 0);
    request.set(head);
    request.set(body, head.length);
    Atomics.store(control, REQUEST_BYTES, bytes);
    Atomics.store(control, REQUEST, this.#number);
    Atomics.notify(control, REQUEST);
    return this.#await(timeoutMs);
  }

  end(): void {}

  #await(timeoutMs: number): Exchange {
    const { control, reply } = this.#area;
    const endMs = this.#monotonicMs() + timeoutMs;
    for (;;) {
      const replied = Atomics.load(control, REPLY);
      if (replied === this.#number) {
        return { kind: 'reply', body: reply.slice(0, Atomics.load(control, REPLY_BYTES)) };
      }
      if (Atomics.load(control, ENDED) !== 0) return { kind: 'gone', why: 'the bridge has ended' };
      const leftMs = endMs - this.#monotonicMs();
      if (leftMs <= 0) return { kind: 'silent' };
      Atomics.wait(control, REPLY, replied, leftMs);
    }
  }
}

export class MailboxEnd implements AnsweringEnd {
  readonly #area: Area;
  readonly #answering: Answering;
  readonly #onBug: (error: unknown) => void;
  #taken = 0;

  constructor(memory: SharedArrayBuffer, answering: Answering, onBug: (error: unknown) => void) {
    this.#area = new Area(memory);
    this.#answering = answering;
    this.#onBug = onBug;
    this.#serve().catch(onBug);
  }

  end(): void {
    const { control } = this.#area;
    Atomics.store(control, ENDED, 1);
    Atomics.notify(control, REPLY);
    Atomics.notify(control, REQUEST);
  }

  async #serve(): Promise<void> {
    const { control } = this.#area;
    while (Atomics.load(control, ENDED) === 0) {
      const request = this.#take();
      if (request === null) {
        const seen = Atomics.load(control, REQUEST);
        if (seen !== 0 && seen !== this.#taken) continue;
        const change = Atomics.waitAsync(control, REQUEST, seen);
        if (change.async) await change.value;
      } else {
        this.#answer(this.#taken, request).catch(this.#onBug);
      }
    }
  }

  /** Null while there is nothing new, or it is still being written. */
  #take(): Uint8Array | null {
    const { control, request } = this.#area;
    const number = Atomics.load(control, REQUEST);
    if (number === 0 || number === this.#taken) return null;
    const bytes = request.slice(0, Atomics.load(control, REQUEST_BYTES));
    if (Atomics.load(control, REQUEST) !== number) return null;
    this.#taken = number;
    return bytes;
  }

  async #answer(number: number, request: Uint8Array): Promise<void> {
    const answer = await this.#answering(request);
    // Nobody waits for it any more, and somebody may wait for the next.
    if (number !== this.#taken) return;
    const { control, reply } = this.#area;
    if (answer.length > reply.length) throw new RangeError('a reply is longer than its place');
    reply.set(answer);
    Atomics.store(control, REPLY_BYTES, answer.length);
    Atomics.store(control, REPLY, number);
    Atomics.notify(control, REPLY);
  }
}
