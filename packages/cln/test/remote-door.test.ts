/** The door to a signer elsewhere: what its answers become, and how often and how long it is asked. */
import type { ClientIdentity } from '@countersign/core';
import type { LinkAnswer } from '@countersign/transport';
import { LinkError, Presence } from '@countersign/transport';
import { encodeMessage, type Reply, type Request } from '@countersign/wire';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { DoorAnswer } from '../src/door.ts';
import { RemoteDoor } from '../src/remote/door.ts';
import { type Answering, FakeLink, refusedBy } from './fake-link.ts';
import { ECDH, PEER } from './hsmd-under-test.ts';

const CHANNEL: ClientIdentity = { channel: { peerId: PEER, dbid: 3n }, permissions: 447n };
const LIGHTNINGD: ClientIdentity = { channel: null, permissions: 1027n };
const MESSAGE_BYTES_MAX = 4 * 1024 * 1024;

const body = (message: Request | Reply): Uint8Array => encodeMessage(message);
const replied = (message: Reply): LinkAnswer => ({ kind: 'reply', body: body(message) });
const SECRET_POINT: Reply = { name: 'hsmd_ecdh_resp', ss: new Uint8Array(32).fill(9) };
const logged: string[] = [];

interface Parts {
  readonly link: FakeLink;
  readonly door: RemoteDoor;
}

function doorTo(
  answering: Answering,
  changed: { retryMs?: number; linkPatienceMs?: number | null } = {},
): Parts {
  const link = new FakeLink(answering);
  const log = (level: string, text: string) => void logged.push(`${level} ${text}`);
  const presence = new Presence({
    link,
    advice: () => [],
    log,
    tellTerminal: () => {},
    startPatienceMs: null,
    linkPatienceMs: changed.linkPatienceMs ?? null,
    monotonicMs: () => performance.now(),
  });
  const door = new RemoteDoor({
    link,
    presence,
    messageBytesMax: MESSAGE_BYTES_MAX,
    retryMs: changed.retryMs ?? 10_000,
    monotonicMs: () => performance.now(),
    onClose: async () => presence.close(),
  });
  return { link, door };
}

function refusalIn(answer: DoorAnswer) {
  if (answer.kind !== 'refused') throw new Error(`no refusal: ${answer.kind}`);
  return answer.refusal;
}

beforeEach(() => {
  vi.useFakeTimers();
  logged.length = 0;
});
afterEach(() => {
  vi.useRealTimers();
});

describe('an answer of the signer', () => {
  it('goes to lightningd as the bytes it came in, under the name of who asked', async () => {
    const { link, door } = doorTo(() => replied(SECRET_POINT));
    expect(await door.ask(CHANNEL, body(ECDH))).toEqual({ kind: 'body', body: body(SECRET_POINT) });
    expect(await door.ask(LIGHTNINGD, body(ECDH))).toEqual({ kind: 'body', body: body(SECRET_POINT) });
    expect(link.asked).toEqual([
      { client: { peerId: PEER, dbid: 3n, permissions: 447n }, body: body(ECDH) },
      { client: { peerId: null, dbid: 0n, permissions: 1027n }, body: body(ECDH) },
    ]);
  });

  it('that is a refusal keeps its words, its facts and its number', async () => {
    const { door } = doorTo(() => refusedBy());
    const answer = await door.ask(CHANNEL, body(ECDH));
    expect(answer).toMatchObject({
      kind: 'refused',
      id: 7,
      refusal: {
        code: 'policy',
        tag: 'policy-test',
        message: 'no',
        facts: { value_sat: 5n },
        temporary: false,
      },
    });
  });

  it('that is a refusal in the form of a reply is one of ours', async () => {
    const error = (message: string) => replied({ name: 'vls_signer_error', code: 1, message });
    const { link, door } = doorTo(() => error('policy-test: too much [value_sat=5]'), { retryMs: 0 });
    expect(await door.ask(CHANNEL, body(ECDH))).toMatchObject({
      kind: 'refused',
      id: null,
      refusal: { code: 'policy', tag: 'policy-test', message: 'too much [value_sat=5]', temporary: false },
    });
    link.answering = () => error('policy-test: not now (temporary: try again later)');
    expect(refusalIn(await door.ask(CHANNEL, body(ECDH))).temporary).toBe(true);
    link.answering = () => error('No!');
    expect(refusalIn(await door.ask(CHANNEL, body(ECDH)))).toMatchObject({
      tag: 'signer-refused',
      message: 'No!',
    });
    link.answering = () => ({ kind: 'reply', body: Uint8Array.of(0x0b, 0xb8, 0, 1) });
    expect(refusalIn(await door.ask(CHANNEL, body(ECDH))).message).toContain('cannot be read');
  });

  it('with a code of a newer signer is a refusal all the same', async () => {
    const { door } = doorTo(() => refusedBy({ code: 'moonphase' }));
    expect(refusalIn(await door.ask(CHANNEL, body(ECDH))).code).toBe('malformed');
  });

  it.each<[string, Uint8Array, string]>([
    ['nothing', new Uint8Array(0), 'it is of another type'],
    ['one byte', Uint8Array.of(0), 'it is of another type'],
    ['a reply to something else', body({ name: 'hsmd_lock_outpoint_reply' }), 'it is of another type'],
    ['a request', body(ECDH), 'it is of another type'],
    ['a reply cut off', body(SECRET_POINT).subarray(0, 20), 'truncated'],
    ['a reply with bytes behind it', Uint8Array.of(...body(SECRET_POINT), 0), 'bytes follow it'],
    ['noise', new Uint8Array(1000).fill(0xff), 'it is of another type'],
  ])('that is %s is refused, and never reaches lightningd', async (_, bytes, why) => {
    const { door } = doorTo(() => ({ kind: 'reply', body: bytes }));
    const refusal = refusalIn(await door.ask(CHANNEL, body(ECDH)));
    expect(refusal).toMatchObject({ code: 'malformed', temporary: false, request: 'hsmd_ecdh_req' });
    expect(refusal.message).toContain("the signer's answer is none to this request");
    expect(refusal.message).toContain(why);
  });

  it('to what is no request at all is refused too', async () => {
    const { door } = doorTo(() => replied(SECRET_POINT));
    expect(refusalIn(await door.ask(CHANNEL, Uint8Array.of(0xab))).request).toBe('unknown');
  });
});

describe('a refusal for the moment', () => {
  it('is asked again until it is none', async () => {
    let left = 3;
    const { link, door } = doorTo(() =>
      left-- > 0 ? refusedBy({ temporary: true }) : replied(SECRET_POINT),
    );
    const answer = door.ask(CHANNEL, body(ECDH));
    await vi.advanceTimersByTimeAsync(700);
    expect(await answer).toMatchObject({ kind: 'body' });
    expect(link.asked).toHaveLength(4);
  });

  it('ends after retry_seconds', async () => {
    const { link, door } = doorTo(() => refusedBy({ temporary: true }));
    const began = performance.now();
    const answer = door.ask(CHANNEL, body(ECDH));
    await vi.runAllTimersAsync();
    expect(refusalIn(await answer).temporary).toBe(true);
    expect(performance.now() - began).toBeLessThanOrEqual(10_000);
    expect(performance.now() - began).toBeGreaterThan(8_000);
    expect(link.asked.length).toBeLessThan(12);
  });

  it('holds lightningd itself up for two seconds at most', async () => {
    const { door } = doorTo(() => refusedBy({ temporary: true }));
    const began = performance.now();
    const answer = door.ask(LIGHTNINGD, body(ECDH));
    await vi.runAllTimersAsync();
    await answer;
    expect(performance.now() - began).toBeLessThanOrEqual(2_000);
  });

  it('is told at once where the operator wants that', async () => {
    const { link, door } = doorTo(() => refusedBy({ temporary: true }), { retryMs: 0 });
    expect(refusalIn(await door.ask(CHANNEL, body(ECDH))).temporary).toBe(true);
    expect(link.asked).toHaveLength(1);
  });

  it('is told at once where it has a gentle form', async () => {
    const { link, door } = doorTo(() => refusedBy({ temporary: true }));
    const asked: Request = { name: 'hsmd_preapprove_invoice_check', invstring: 'lnbc1', checkOnly: false };
    expect(refusalIn(await door.ask(LIGHTNINGD, body(asked))).temporary).toBe(true);
    expect(link.asked).toHaveLength(1);
  });

  it('is not asked again when it is none for the moment', async () => {
    const { link, door } = doorTo(() => refusedBy());
    await door.ask(CHANNEL, body(ECDH));
    expect(link.asked).toHaveLength(1);
  });
});

describe('a signer on its way down', () => {
  it('is asked again until the next one decides, however long that takes', async () => {
    let left = 20;
    const ending = refusedBy({ code: 'not-initialized', temporary: true });
    const { link, door } = doorTo(() => (left-- > 0 ? ending : replied(SECRET_POINT)), { retryMs: 0 });
    const answer = door.ask(LIGHTNINGD, body(ECDH));
    await vi.runAllTimersAsync();
    expect(await answer).toMatchObject({ kind: 'body' });
    expect(link.asked).toHaveLength(21);
  });

  it('that never ends is not asked for ever', async () => {
    const { link, door } = doorTo(() => refusedBy({ code: 'not-initialized' }));
    const answer = door.ask(CHANNEL, body(ECDH));
    await vi.runAllTimersAsync();
    expect(refusalIn(await answer).code).toBe('not-initialized');
    expect(link.asked).toHaveLength(31);
  });
});

describe('a lost link', () => {
  const never = () => new Promise<LinkAnswer>(() => {});

  it('lets requests wait as long as the operator wants, and tells when it lasts', async () => {
    let answer: (value: LinkAnswer) => void = () => {};
    const { link, door } = doorTo(() => new Promise<LinkAnswer>((resolve) => (answer = resolve)));
    const waiting = door.ask(CHANNEL, body(ECDH));
    link.set('down');
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(logged).toEqual(['unusual countersign: the link to the signer is lost: requests wait for it']);
    link.set('up');
    answer(replied(SECRET_POINT));
    expect(await waiting).toMatchObject({ kind: 'body' });
    expect(logged.at(-1)).toBe('unusual countersign: the signer is back after 3600.0 s');
  });

  it('that blinks is worth no line of its own', async () => {
    const { link } = doorTo(never);
    link.set('down');
    await vi.advanceTimersByTimeAsync(999);
    link.set('up');
    await vi.advanceTimersByTimeAsync(10_000);
    expect(logged).toEqual(['debug countersign: the link to the signer blinked for 999 ms']);
  });

  it('refuses what waits and what comes once the patience is over, until it is back', async () => {
    const { link, door } = doorTo(never, { linkPatienceMs: 5_000 });
    const waiting = door.ask(CHANNEL, body(ECDH));
    link.set('down');
    await vi.advanceTimersByTimeAsync(4_999);
    expect(logged.filter((line) => line.startsWith('broken'))).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(refusalIn(await waiting)).toMatchObject({
      code: 'unreachable',
      tag: 'signer-away',
      temporary: false,
    });
    const asked = link.asked.length;
    expect(refusalIn(await door.ask(LIGHTNINGD, body(ECDH))).tag).toBe('signer-away');
    expect(link.asked).toHaveLength(asked);
    link.answering = () => replied(SECRET_POINT);
    link.set('up');
    expect(await door.ask(CHANNEL, body(ECDH))).toMatchObject({ kind: 'body' });
  });

  it('that is closed for good refuses', async () => {
    const { door } = doorTo(() => Promise.reject(new LinkError('link-closed', 'the link is closed')));
    expect(refusalIn(await door.ask(CHANNEL, body(ECDH)))).toMatchObject({
      tag: 'link-closed',
      temporary: false,
    });
  });

  it('with too much waiting refuses for the moment', async () => {
    const { door } = doorTo(() => Promise.reject(new LinkError('link-queue-full', 'too much waits')), {
      retryMs: 0,
    });
    expect(refusalIn(await door.ask(CHANNEL, body(ECDH)))).toMatchObject({
      tag: 'link-queue-full',
      temporary: true,
    });
  });

  it('leaves a bug a bug', async () => {
    const { door } = doorTo(() => Promise.reject(new TypeError('a bug')));
    await expect(door.ask(CHANNEL, body(ECDH))).rejects.toThrow('a bug');
  });
});
