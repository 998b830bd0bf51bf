/** The signer’s half of a link against a node side that breaks the protocol. */
import { describe, expect, it } from 'vitest';
import { LinkError } from '../../src/link/error.ts';
import { Ledger } from '../../src/link/ledger.ts';
import type { LinkAnswer } from '../../src/link/protocol.ts';
import { LIMITS, RUN, reply, turn } from './halves.ts';
import { bytes, channel } from './harness.ts';

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
