/** Whatever becomes of the connection, a request takes effect once and is answered once, in order. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Ledger } from '../../src/link/ledger.ts';
import { LIMITS, RUN, reply, turn, World } from './halves.ts';
import { bytes, channel, text } from './harness.ts';

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
  });

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
