/**
 * Bytes that lightningd and its daemons never send: every one is answered with a typed refusal, or with the end of that
 * one client; everybody else is served on.
 */
import { concat } from '@countersign/bitcoin';
import { type Answer, type BlockingLink, compare, type RecordedMessage } from '@countersign/cli';
import { encodeFrame } from '@countersign/transport';
import { decodeMessage } from '@countersign/wire';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SeededRandom } from '../kill/random.ts';
import { refusalOf, samples, WarmHsmd } from './warm-hsmd.ts';

/** Codes of SignerError. */
const [MALFORMED, PERMISSION] = [2, 3];
/** All bits but MASTER. */
const ALL_CLIENT_BITS = 511;
const MESSAGE_BYTES_MAX = 4 * 1024 * 1024;
const [INIT, DEV_PREINIT] = [11, 99];

const REQUESTS = samples();
let warm: WarmHsmd;
/** How often lightningd was told of a client: each time that one was closed. */
let told = 0;
beforeAll(async () => {
  warm = await WarmHsmd.start();
});
afterAll(async () => {
  expect(await warm.stop()).toBe(2);
});

async function askAndClose(
  client: BlockingLink,
  body: Uint8Array,
): Promise<{ answer: Answer; after: Answer }> {
  const answer = await client.request(body);
  const after = await client.receive();
  client.close();
  // The status socket is not in step with the replies.
  if (after.kind === 'closed') await expect.poll(() => warm.badRequests()).toBe(++told);
  return { answer, after };
}

/** Cut to its type, in the middle, and by one byte; without the cuts that leave a whole message. */
function cuts(message: RecordedMessage): Uint8Array[] {
  const { length } = message.request;
  const lengths = [...new Set([2, Math.ceil(length / 2), length - 1])].filter(
    (cut) => cut >= 2 && cut < length,
  );
  return lengths
    .map((cut) => message.request.subarray(0, cut))
    .filter((cut) => !decodeMessage(cut, 'request').ok);
}

describe('a truncated request', () => {
  it('exists for every type with fields', () => {
    const whole = [...REQUESTS.values()].filter((message) => cuts(message).length === 0);
    // DEV_MEMLEAK is its type alone; all of DEV_PREINIT is optional, so that only its middle can be wrong.
    expect(whole.map((message) => message.typeName)).toEqual(['DEV_MEMLEAK']);
    expect(REQUESTS.size).toBeGreaterThan(45);
  });

  it.each([...REQUESTS.values()].map((message) => [message.typeName, message] as const))(
    'of type %s is refused as malformed, and ends only the client that sent it',
    async (_, message) => {
      for (const cut of cuts(message)) {
        const { answer, after } = await askAndClose(await warm.openClient(ALL_CLIENT_BITS), cut);
        expect(refusalOf(answer).code).toBe(MALFORMED);
        expect(after.kind).toBe('closed');
        expect(refusalOf(await warm.process.request(0, cut)).code).toBe(MALFORMED);
      }
      expect(await warm.isServing()).toBe(true);
    },
  );
});

describe('an unknown request', () => {
  const bodies: [string, Uint8Array][] = [
    ['nothing', new Uint8Array()],
    ['one byte', Uint8Array.of(0)],
    ['type 0', Uint8Array.of(0, 0)],
    ['type 4660', Uint8Array.of(0x12, 0x34)],
    ['type 65535', Uint8Array.of(0xff, 0xff, 1, 2, 3)],
    ['a reply', Uint8Array.of(0, 107, 0, 0)],
    ['our own SignerError', Uint8Array.of(0x0b, 0xb8, 0, 1, 0)],
    ['the longest message', new Uint8Array(MESSAGE_BYTES_MAX)],
  ];

  it.each(bodies)('(%s) is refused as malformed', async (_, body) => {
    const { answer, after } = await askAndClose(await warm.openClient(ALL_CLIENT_BITS), body);
    expect(refusalOf(answer).code).toBe(MALFORMED);
    expect(after.kind).toBe('closed');
    expect(refusalOf(await warm.process.request(0, body)).code).toBe(MALFORMED);
    expect(await warm.isServing()).toBe(true);
  });
});

describe('a client without permission', () => {
  const asked = [...REQUESTS.values()].filter(({ type }) => type !== INIT && type !== DEV_PREINIT);

  it.each(asked.map((message) => [message.typeName, message] as const))(
    'is refused %s, loses its socket, and lightningd is told',
    async (_, message) => {
      const { answer, after } = await askAndClose(await warm.openClient(0), message.request);
      expect(refusalOf(answer)).toEqual({ code: PERMISSION, tag: 'policy-client-permission' });
      expect(after.kind).toBe('closed');
      expect(await warm.isServing()).toBe(true);
    },
  );

  it('is refused a second INIT, as is lightningd', async () => {
    for (const type of [INIT, DEV_PREINIT]) {
      const { request } = REQUESTS.get(type)!;
      refusalOf((await askAndClose(await warm.openClient(ALL_CLIENT_BITS), request)).answer);
      refusalOf(await warm.process.request(0, request));
    }
    expect(await warm.isServing()).toBe(true);
  });
});

describe('a frame', () => {
  it('longer than the limit is refused before its bytes are taken, and ends its client', async () => {
    for (const length of [MESSAGE_BYTES_MAX + 1, 0x7fffffff, 0xffffffff]) {
      const client = await warm.openClient(ALL_CLIENT_BITS);
      const header = new Uint8Array(4);
      new DataView(header.buffer).setUint32(0, length);
      await client.sendRaw(header);
      expect(refusalOf(await client.receive()).tag).toBe('policy-generic-error');
      expect((await client.receive()).kind).toBe('closed');
      client.close();
    }
    expect(await warm.isServing()).toBe(true);
  });

  it('that never ends holds up nobody', async () => {
    const clients: BlockingLink[] = [];
    for (let i = 0; i < 8; i++) {
      const client = await warm.openClient(ALL_CLIENT_BITS);
      await client.sendRaw(Uint8Array.of(0, 1, 0, 0, 0, 1));
      clients.push(client);
    }
    expect(await warm.isServing()).toBe(true);
    for (const client of clients) client.close();
    expect(await warm.isServing()).toBe(true);
  });

  it('in single bytes is a frame', async () => {
    const client = await warm.openClient(1);
    const { request } = REQUESTS.get(1)!;
    for (const byte of encodeFrame(request)) await client.sendRaw(Uint8Array.of(byte));
    expect(await client.receive()).toMatchObject({ kind: 'reply' });
    client.close();
  });

  it('after a frame, sent at once, is answered after it', async () => {
    const client = await warm.openClient(1);
    const { request } = REQUESTS.get(1)!;
    await client.sendRaw(concat(...Array.from({ length: 50 }, () => encodeFrame(request))));
    const first = await client.receive();
    for (let i = 1; i < 50; i++) expect(await client.receive()).toEqual(first);
    client.close();
  });
});

describe('any bytes', () => {
  it('are answered, whatever bit of a request is wrong', async () => {
    const random = new SeededRandom(77);
    const subject = await WarmHsmd.start();
    const requests = [...REQUESTS.values()].filter(({ type }) => type !== INIT && type !== 9);
    for (let i = 0; i < 400; i++) {
      const body = random.pick(requests).request.slice();
      for (let flips = random.between(1, 3); flips > 0; flips--) {
        const at = random.between(0, body.length - 1);
        body[at]! ^= 1 << random.between(0, 7);
      }
      const answer = await subject.process.request(0, body);
      expect(answer.kind).toBe('reply');
    }
    expect(subject.process.exit).toBeUndefined();
    expect(await subject.stop()).toBe(2);
  });
});

describe('after all of this', () => {
  it('the session goes on with the recorded replies', async () => {
    let asked = 0;
    for (const message of warm.rest) {
      if (message.typeName === 'SIGN_MUTUAL_CLOSE_TX' || message.opensClient !== null) break;
      const answer = await warm.process.request(message.client.id, message.request);
      expect({ seq: message.seq, ...compare(message.expected, answer) }).toEqual({
        seq: message.seq,
        kind: 'identical',
      });
      asked += 1;
    }
    expect(asked).toBeGreaterThan(50);
  });
});
