/** Both halves of a link without a connection: the node side’s queue, the signer’s ledger, and between them what the test carries. */
import { expect } from 'vitest';
import type { LinkClock } from '../../src/link/clock.ts';
import { decodeLinkFrame, type LinkFrame } from '../../src/link/frames.ts';
import { Ledger } from '../../src/link/ledger.ts';
import { LINK_LIMITS, type LinkLimits } from '../../src/link/limits.ts';
import { Outbox } from '../../src/link/outbox.ts';
import type { LinkAnswer } from '../../src/link/protocol.ts';
import { bytes, channel, text } from './harness.ts';

export const LIMITS: LinkLimits = {
  ...LINK_LIMITS,
  requestsMax: 6,
  requestBytesMax: 800,
  feedsMax: 2,
  keptBytesMax: 200,
};

export const RUN = new Uint8Array(16).fill(1);

/** Fires when told to. */
export class Timers implements LinkClock {
  #timers: { run: () => void }[] = [];
  nowMs = (): number => 0;
  monotonicMs = (): number => 0;
  after(_delayMs: number, run: () => void): () => void {
    const timer = { run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer);
    };
  }
  fire(): void {
    for (const { run } of this.#timers.splice(0)) run();
  }
}

/** Both halves with a line between them that the test carries frame by frame, or cuts. */
export class World {
  readonly timers = new Timers();
  readonly outbox = new Outbox(LIMITS, this.timers);
  ledger!: Ledger;
  /** Written, not delivered: whole writes, each of one or more frames. */
  toSigner: Buffer[] = [];
  toNode: Buffer[] = [];
  connected = false;
  /** What the present process of the signer was handed, in order. */
  handed: string[] = [];
  /** Being decided. */
  deciding: { body: string; settle: () => void }[] = [];
  readonly asked: string[] = [];
  readonly answered = new Map<string, string>();
  readonly broken: unknown[] = [];
  keptMax = 0;

  constructor() {
    this.restart();
  }

  /** The answer is a function of the request: law 1. */
  restart(): void {
    this.cut();
    this.handed = [];
    this.deciding = [];
    const decide = (body: Uint8Array): Promise<LinkAnswer> => {
      const words = text(body);
      this.handed.push(words);
      return new Promise((resolve) => {
        const settle = (): void => resolve({ kind: 'reply', body: bytes(`answer to ${words}`) });
        this.deciding.push({ body: words, settle });
      });
    };
    this.ledger = new Ledger({
      limits: LIMITS,
      handler: {
        ask: (_client, body) => decide(body),
        feed: (_session, body) => decide(body),
        feedEnded: () => {},
      },
      onBug: (error) => this.broken.push(error),
    });
  }

  ask(words: string, isFeed: boolean): void {
    this.asked.push(words);
    const asker = isFeed
      ? ({ kind: 'feed', session: 1 } as const)
      : ({ kind: 'client', client: channel(1) } as const);
    void this.outbox.ask(asker, bytes(words)).then((answer) => {
      expect(this.answered.has(words)).toBe(false);
      this.answered.set(words, answer.kind === 'reply' ? text(answer.body) : 'refused');
    });
  }

  connect(): void {
    if (this.connected) return;
    this.connected = true;
    this.ledger.attach(
      RUN,
      this.outbox.outstanding(),
      { send: (frame) => this.toNode.push(frame) },
      LIMITS.frameBytesMax,
    );
    this.outbox.attach({ send: (frame) => this.toSigner.push(frame) }, LIMITS);
  }

  cut(): void {
    this.connected = false;
    this.toSigner = [];
    this.toNode = [];
    this.outbox.detach();
    this.ledger?.detach();
  }

  carryToSigner(count: number): void {
    for (const write of this.toSigner.splice(0, count)) {
      for (const frame of framesIn(write)) {
        if (frame.kind === 'request' || frame.kind === 'feed-end') this.ledger.request(frame);
        else if (frame.kind === 'ack') this.ledger.ack(frame.ids);
        expect(this.ledger.size).toBeLessThanOrEqual(LIMITS.requestsMax);
        this.keptMax = Math.max(this.keptMax, this.ledger.keptBytes);
      }
    }
  }

  carryToNode(count: number): void {
    for (const write of this.toNode.splice(0, count)) {
      for (const frame of framesIn(write))
        if (frame.kind === 'answer') this.outbox.answered(frame.id, frame.answer);
    }
  }

  async settle(which: number): Promise<void> {
    if (this.deciding.length === 0) return;
    const [one] = this.deciding.splice(which % this.deciding.length, 1);
    one!.settle();
    await turn();
  }

  async finish(): Promise<void> {
    for (let round = 0; round < 1_000 && this.answered.size < this.asked.length; round++) {
      this.connect();
      this.carryToSigner(100);
      await this.settle(0);
      this.carryToNode(100);
      this.timers.fire();
      await turn();
    }
    this.timers.fire();
    this.carryToSigner(100);
  }
}

export function* framesIn(write: Buffer): Generator<LinkFrame> {
  for (let at = 0; at < write.length; ) {
    const length = write.readUInt32BE(at);
    yield decodeLinkFrame(write.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
}

/** Every promise that can move has moved. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export const reply = (body: Uint8Array): LinkAnswer => ({ kind: 'reply', body });
