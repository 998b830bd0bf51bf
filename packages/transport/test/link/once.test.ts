import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LinkClock } from '../../src/link/clock.ts';
import { LinkError } from '../../src/link/error.ts';
import { decodeLinkFrame, type LinkFrame } from '../../src/link/frames.ts';
import { Ledger } from '../../src/link/ledger.ts';
import { LINK_LIMITS, type LinkLimits } from '../../src/link/limits.ts';
import { Outbox } from '../../src/link/outbox.ts';
import type { LinkAnswer } from '../../src/link/protocol.ts';
import { bytes, channel, text } from './harness.ts';

const LIMITS: LinkLimits = {
  ...LINK_LIMITS,
  requestsMax: 6,
  requestBytesMax: 800,
  feedsMax: 2,
  keptBytesMax: 200,
};
const RUN = new Uint8Array(16).fill(1);

/** Fires when told to. */
class Timers implements LinkClock {
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
class World {
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

function* framesIn(write: Buffer): Generator<LinkFrame> {
  for (let at = 0; at < write.length; ) {
    const length = write.readUInt32BE(at);
    yield decodeLinkFrame(write.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
}

/** Every promise that can move has moved. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

type Step =
  | { readonly do: 'ask'; readonly isFeed: boolean; readonly bytes: number }
  | { readonly do: 'carry to signer' | 'carry to node'; readonly count: number }
  | { readonly do: 'settle'; readonly which: number }
  | { readonly do: 'connect' | 'cut' | 'restart' | 'tick' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('ask' as const), isFeed: fc.boolean(), bytes: fc.nat(300) }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constantFrom('carry to signer' as const, 'carry to node' as const),
      count: fc.integer({ min: 1, max: 5 }),
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('settle' as const), which: fc.nat(9) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom('connect' as const, 'connect' as const, 'cut' as const, 'tick' as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
);

async function play(world: World, steps: readonly Step[]): Promise<void> {
  let asked = 0;
  for (const one of steps) {
    if (one.do === 'ask')
      world.ask(`${one.isFeed ? 'feed' : 'client'} ${++asked} `.padEnd(one.bytes, '.'), one.isFeed);
    else if (one.do === 'carry to signer') world.carryToSigner(one.count);
    else if (one.do === 'carry to node') world.carryToNode(one.count);
    else if (one.do === 'settle') await world.settle(one.which);
    else if (one.do === 'connect') world.connect();
    else if (one.do === 'cut') world.cut();
    else if (one.do === 'restart') world.restart();
    else world.timers.fire();
    await turn();
    expect(new Set(world.handed).size).toBe(world.handed.length);
  }
}

describe('requests take effect once', () => {
  it('whatever is cut, delayed or restarted: each is answered once, with its own answer, handed over in order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 120 }), async (steps) => {
        const world = new World();
        await play(world, steps);
        await world.finish();
        expect(world.broken).toEqual([]);
        expect([...world.answered.keys()].sort()).toEqual([...world.asked].sort());
        for (const [asked, answer] of world.answered) expect(answer).toBe(`answer to ${asked}`);
        for (const kind of ['client', 'feed']) {
          const numbers = world.handed
            .filter((words) => words.startsWith(kind))
            .map((words) => Number(words.split(' ')[1]));
          expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
        }
        expect(world.ledger.size).toBe(0);
        expect(world.ledger.keptBytes).toBe(0);
        expect(world.outbox.size).toBe(0);
        // What is kept may pass its limit by what was handed over before, and no more.
        expect(world.keptMax).toBeLessThan(LIMITS.keptBytesMax + LIMITS.requestsMax * 400);
      }),
      { numRuns: 300 },
    );
  }, 60_000);

  it('feeders do not keep clients waiting', async () => {
    const world = new World();
    world.connect();
    for (let index = 0; index < 5; index++) world.ask(`feed ${index}`, true);
    world.ask('client 1', false);
    expect(world.toSigner).toHaveLength(3);
    world.carryToSigner(100);
    await turn();
    expect([...world.handed].sort()).toEqual(['client 1', 'feed 0']);
    expect(world.toSigner).toEqual([]);
    await world.finish();
    expect(world.answered.size).toBe(6);
  });

  it('a preimage is judged before the request that follows it', async () => {
    const world = new World();
    world.connect();
    world.ask('feed preimage', true);
    world.ask('client revoke', false);
    world.carryToSigner(100);
    // Before any promise moves: the handler judges in the order in which it is called.
    expect(world.handed).toEqual(['feed preimage', 'client revoke']);
    await world.finish();
  });

  it('a preimage that waited for the link leaves before the request that was asked after it', async () => {
    const world = new World();
    for (const [words, isFeed] of [
      ['client 1', false],
      ['feed 1', true],
      ['client 2', false],
    ] as const)
      world.ask(words, isFeed);
    world.connect();
    world.carryToSigner(100);
    expect(world.handed).toEqual(['client 1', 'feed 1', 'client 2']);
    await world.finish();
  });

  it('a new run of the node forgets the one before, and ends its feeders', async () => {
    const ended: number[] = [];
    const answers: Buffer[] = [];
    const ledger = new Ledger({
      limits: LIMITS,
      handler: {
        ask: async (_c, body) => reply(body),
        feed: async (_s, body) => reply(body),
        feedEnded: (one) => void ended.push(one),
      },
      onBug: () => {},
    });
    ledger.attach(RUN, [], { send: (frame) => answers.push(frame) }, LIMITS.frameBytesMax);
    ledger.request({ kind: 'request', id: 1, asker: { kind: 'feed', session: 5 }, body: bytes('x') });
    await turn();
    expect(ledger.size).toBe(1);
    ledger.attach(
      new Uint8Array(16).fill(2),
      [1],
      { send: (frame) => answers.push(frame) },
      LIMITS.frameBytesMax,
    );
    expect(ledger.size).toBe(0);
    expect(ended).toEqual([1]);
    ledger.request({ kind: 'request', id: 1, asker: { kind: 'feed', session: 5 }, body: bytes('y') });
    await turn();
    expect(answers).toHaveLength(2);
  });

  it('what waits behind kept answers is decided when they are acknowledged, or forgotten with its node', async () => {
    const handed: string[] = [];
    const ledger = new Ledger({
      limits: { ...LIMITS, keptBytesMax: 50 },
      handler: {
        ask: async (_client, body) => {
          handed.push(text(body));
          return reply(new Uint8Array(100));
        },
        feed: async () => reply(bytes('')),
        feedEnded: () => {},
      },
      onBug: () => {},
    });
    const request = (id: number) =>
      ledger.request({
        kind: 'request',
        id,
        asker: { kind: 'client', client: channel(1) },
        body: bytes(`${id}`),
      });
    ledger.attach(RUN, [], { send: () => {} }, LIMITS.frameBytesMax);
    request(1);
    await turn();
    request(2);
    request(3);
    request(4);
    await turn();
    expect(handed).toEqual(['1']);
    ledger.attach(RUN, [1, 3, 4], { send: () => {} }, LIMITS.frameBytesMax);
    request(1);
    ledger.ack([1]);
    await turn();
    expect(handed).toEqual(['1', '3', '4']);
    expect(ledger.keptBytes).toBeGreaterThan(200);
    request(5);
    ledger.attach(new Uint8Array(16), [], { send: () => {} }, LIMITS.frameBytesMax);
    await turn();
    expect(handed).toEqual(['1', '3', '4']);
    expect([ledger.size, ledger.keptBytes]).toEqual([0, 0]);
  });

  it('a feeder of another run that waits its turn is not heard any more', async () => {
    const heard: string[] = [];
    let settle = (): void => {};
    const ledger = new Ledger({
      limits: LIMITS,
      handler: {
        ask: async (_client, body) => reply(body),
        feed: (session, body) => {
          heard.push(`${session}:${text(body)}`);
          return new Promise((resolve) => {
            settle = () => resolve(reply(body));
          });
        },
        feedEnded: (session) => heard.push(`${session} ended`),
      },
      onBug: () => {},
    });
    ledger.attach(RUN, [], { send: () => {} }, LIMITS.frameBytesMax);
    const say = (id: number, words: string) =>
      ledger.request({ kind: 'request', id, asker: { kind: 'feed', session: 1 }, body: bytes(words) });
    say(1, 'a');
    say(2, 'b');
    ledger.request({ kind: 'feed-end', id: 3, session: 1 });
    ledger.request({ kind: 'feed-end', id: 4, session: 9 });
    await turn();
    ledger.attach(new Uint8Array(16), [], { send: () => {} }, LIMITS.frameBytesMax);
    settle();
    await turn();
    say(1, 'c');
    await turn();
    expect(heard).toEqual(['1:a', '1 ended', '2:c']);
  });

  it('what runs before it asked and is still being decided leaves no room for more', async () => {
    let decidingBytes = 0;
    let settle: (() => void)[] = [];
    const ledger = new Ledger({
      limits: LIMITS,
      handler: {
        ask: (_client, body) => {
          decidingBytes += body.length;
          return new Promise((resolve) => {
            settle.push(() => {
              decidingBytes -= body.length;
              resolve(reply(bytes('')));
            });
          });
        },
        feed: async () => reply(bytes('')),
        feedEnded: () => {},
      },
      onBug: () => {},
    });
    // A node side that starts anew again and again, each time with as much as the window has.
    for (let run = 1; run <= 5; run++) {
      ledger.attach(new Uint8Array(16).fill(run), [], { send: () => {} }, LIMITS.frameBytesMax);
      ledger.request({
        kind: 'request',
        id: 1,
        asker: { kind: 'client', client: channel(1) },
        body: new Uint8Array(700),
      });
      await turn();
      expect(decidingBytes).toBe(700);
    }
    // What the present run asked gets its turn.
    for (const one of settle.splice(0)) one();
    await turn();
    expect(decidingBytes).toBe(700);
    for (const one of settle) one();
    settle = [];
    await turn();
    expect(ledger.keptBytes).toBeGreaterThan(0);
  });

  it('a handler that rejects is a bug, told as one', async () => {
    const bugs: unknown[] = [];
    const bug = new Error('bug');
    const ledger = new Ledger({
      limits: LIMITS,
      handler: {
        ask: () => Promise.reject(bug),
        feed: () => Promise.reject(bug),
        feedEnded: () => {},
      },
      onBug: (error) => bugs.push(error),
    });
    ledger.attach(RUN, [], { send: () => {} }, LIMITS.frameBytesMax);
    ledger.request({
      kind: 'request',
      id: 1,
      asker: { kind: 'client', client: channel(1) },
      body: bytes('x'),
    });
    ledger.request({ kind: 'request', id: 2, asker: { kind: 'feed', session: 1 }, body: bytes('x') });
    await turn();
    expect(bugs).toEqual([bug, bug]);
  });

  it('an answer that no frame holds is a bug', async () => {
    const bugs: unknown[] = [];
    const ledger = new Ledger({
      limits: { ...LIMITS, frameBytesMax: 100 },
      handler: {
        ask: async () => reply(new Uint8Array(200)),
        feed: async () => reply(bytes('')),
        feedEnded: () => {},
      },
      onBug: (error) => bugs.push(error),
    });
    ledger.attach(RUN, [], { send: () => {} }, LIMITS.frameBytesMax);
    ledger.request({
      kind: 'request',
      id: 1,
      asker: { kind: 'client', client: channel(1) },
      body: bytes('x'),
    });
    await turn();
    expect(bugs).toMatchObject([{ code: 'link-request-too-large' }]);
  });
});

const reply = (body: Uint8Array): LinkAnswer => ({ kind: 'reply', body });

describe('a node side that breaks the protocol', () => {
  const clientRequest = (id: number, length = 10) =>
    ({
      kind: 'request',
      id,
      asker: { kind: 'client', client: channel(1) },
      body: new Uint8Array(length),
    }) as const;
  const fresh = (): Ledger => {
    const handler = {
      ask: () => new Promise<LinkAnswer>(() => {}),
      feed: async () => reply(bytes('')),
      feedEnded: () => {},
    };
    const ledger = new Ledger({ limits: { ...LIMITS, sessionsMax: 2 }, handler, onBug: () => {} });
    ledger.attach(RUN, [], { send: () => {} }, LIMITS.frameBytesMax);
    return ledger;
  };

  const requests =
    (...ids: readonly number[]) =>
    (ledger: Ledger): void => {
      for (const id of ids) ledger.request(clientRequest(id));
    };

  it.each<[string, (ledger: Ledger) => void]>([
    ['the same number twice', requests(1, 1)],
    ['numbers that fall', requests(2, 1)],
    ['more requests than the window', requests(1, 2, 3, 4, 5, 6, 7)],
    [
      'more bytes than the window',
      (ledger) => {
        for (const id of [1, 2]) ledger.request(clientRequest(id, 600));
      },
    ],
    [
      'more feeders than there may be',
      (ledger) => {
        for (const id of [1, 2, 3])
          ledger.request({ ...clientRequest(id), asker: { kind: 'feed', session: id } });
      },
    ],
    [
      'acknowledging what has no answer',
      (ledger) => {
        ledger.request(clientRequest(1));
        ledger.ack([1]);
      },
    ],
    ['acknowledging what was never asked', (ledger) => ledger.ack([9])],
  ])('by %s is dropped', (_name, misbehave) => {
    expect(() => misbehave(fresh())).toThrow(LinkError);
  });

  it('by asking again for what it acknowledged is dropped', async () => {
    const ledger = new Ledger({
      limits: LIMITS,
      handler: {
        ask: async (_client, body) => reply(body),
        feed: async (_s, body) => reply(body),
        feedEnded: () => {},
      },
      onBug: () => {},
    });
    ledger.attach(RUN, [], { send: () => {} }, LIMITS.frameBytesMax);
    ledger.request(clientRequest(1));
    await turn();
    ledger.ack([1]);
    ledger.attach(RUN, [1], { send: () => {} }, LIMITS.frameBytesMax);
    expect(() => ledger.request(clientRequest(1))).toThrow(/acknowledged before/);
  });
});

describe('the node side’s queue', () => {
  it('is bounded by count and bytes, and takes what it can again later', async () => {
    const outbox = new Outbox({ ...LIMITS, queueMax: 3, queueBytesMax: 1_000 }, new Timers());
    const asker = { kind: 'client', client: channel(1) } as const;
    const waiting = [outbox.ask(asker, new Uint8Array(500))];
    await expect(outbox.ask(asker, new Uint8Array(500))).rejects.toMatchObject({ code: 'link-queue-full' });
    waiting.push(outbox.ask(asker, bytes('a')), outbox.ask(asker, bytes('b')));
    await expect(outbox.ask(asker, bytes('c'))).rejects.toMatchObject({ code: 'link-queue-full' });
    await expect(outbox.ask(asker, new Uint8Array(5_000_000))).rejects.toMatchObject({
      code: 'link-request-too-large',
    });
    outbox.close();
    for (const one of waiting) await expect(one).rejects.toMatchObject({ code: 'link-closed' });
  });

  it('what a signer took and the next one does not take is refused, and the rest goes on', async () => {
    const outbox = new Outbox(LIMITS, new Timers());
    const sent: LinkFrame[] = [];
    const wire = { send: (frame: Buffer) => void sent.push(...framesIn(frame)) };
    outbox.attach(wire, LIMITS);
    const asker = { kind: 'client', client: channel(1) } as const;
    const long = outbox.ask(asker, new Uint8Array(300));
    const short = outbox.ask(asker, bytes('x'));
    const refused = expect(long).rejects.toMatchObject({ code: 'link-request-too-large' });
    outbox.attach(wire, { ...LIMITS, frameBytesMax: 200 });
    await refused;
    expect(sent.map((frame) => (frame.kind === 'request' ? frame.id : 0))).toEqual([1, 2, 2]);
    outbox.answered(2, reply(bytes('y')));
    expect(await short).toEqual(reply(bytes('y')));
    expect(outbox.size).toBe(0);
  });

  it('does not take an answer that nobody waits for', () => {
    const outbox = new Outbox(LIMITS, new Timers());
    outbox.attach({ send: () => {} }, LIMITS);
    expect(() => outbox.answered(1, reply(bytes('x')))).toThrow(/nobody waits/);
  });

  it('acknowledges after a while, or when much is to be acknowledged', () => {
    const timers = new Timers();
    const sent: LinkFrame[] = [];
    const wide = { ...LIMITS, requestsMax: 500, requestBytesMax: 1_000_000 };
    const outbox = new Outbox(wide, timers);
    outbox.attach({ send: (frame) => sent.push(...framesIn(frame)) }, wide);
    const asker = { kind: 'client', client: channel(1) } as const;
    for (let index = 0; index < 70; index++) void outbox.ask(asker, bytes('x'));
    for (let id = 1; id <= 63; id++) outbox.answered(id, reply(bytes('x')));
    expect(sent.filter(({ kind }) => kind === 'ack')).toEqual([]);
    outbox.answered(64, reply(bytes('x')));
    expect(sent.filter(({ kind }) => kind === 'ack')).toHaveLength(1);
    outbox.answered(65, reply(bytes('x')));
    timers.fire();
    expect(sent.at(-1)).toEqual({ kind: 'ack', ids: [65] });
    outbox.answered(66, reply(bytes('x')));
    void outbox.ask(asker, new Uint8Array(20_000));
    expect(sent.slice(-2).map(({ kind }) => kind)).toEqual(['ack', 'request']);
  });
});
