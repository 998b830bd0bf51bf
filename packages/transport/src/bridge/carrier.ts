/**
 * One request at a time from a thread that blocks to a bridge that answers, and back. There are two carriers, memory that two
 * threads share and a pair of FIFOs; both keep a bound on time and on bytes, and a late answer is never taken for the next.
 */

/** What came of a request. */
export type Exchange =
  | { readonly kind: 'reply'; readonly body: Uint8Array }
  /** Nothing within the time. The answer may still be on its way; it will be dropped. */
  | { readonly kind: 'silent' }
  /** The other end is no more, or sends what it must not. */
  | { readonly kind: 'gone'; readonly why: string };

/** The end that blocks. */
export interface BlockingCaller {
  /** `head` and `body` travel as one. Never throws for what the other end does. */
  exchange(head: Uint8Array, body: Uint8Array, timeoutMs: number): Exchange;
  /** No exchange afterwards. */
  end(): void;
}

/** Answers a request. Must not reject: a rejection is a bug, and ends the bridge. */
export type Answering = (request: Uint8Array) => Promise<Uint8Array>;

/** The end that answers. */
export interface AnsweringEnd {
  /** Whoever blocks learns that nobody answers any more. */
  end(): void;
}
