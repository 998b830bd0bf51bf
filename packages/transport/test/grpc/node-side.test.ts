/** Our node side with a signer of another library: what VLS's vlsd does, and what no signer should. */
import { Code, type ConnectError } from '@connectrpc/connect';
import { describe, expect, it } from 'vitest';
import { U64_MAX } from '../../src/grpc/messages.ts';
import type { GreetingAsk } from '../../src/link/node-side.ts';
import type { LinkAnswer, LinkState } from '../../src/link/protocol.ts';
import { type ForeignRequest, foreignPing, foreignSigner } from './foreign.ts';
import {
  asked,
  channelClient,
  dialIn,
  init,
  initReply,
  later,
  MASTER,
  NODE_ID,
  nodeSide,
  pointRequest,
  replyBody,
  until,
} from './support.ts';

const reply = (request: ForeignRequest, ...message: number[]) => ({
  requestId: request.requestId,
  message: Uint8Array.from(message),
});

/** A node side whose signer has answered INIT. */
async function started(limits: Parameters<typeof nodeSide>[0] = {}) {
  const { side, log } = await nodeSide(limits);
  const signer = await dialIn(side.port);
  await until(() => side.state === 'up', 'the signer is greeted');
  return { side, log, signer };
}

describe('a signer dials in', () => {
  it('its greeting is repeated, up to a length', async () => {
    const { side } = await nodeSide();
    const url = { baseUrl: `http://127.0.0.1:${side.port}` };
    expect(await foreignPing(url, 'hello')).toBe('hello');
    await expect(foreignPing(url, 'x'.repeat(1025))).rejects.toMatchObject({ code: Code.InvalidArgument });
  });

  it('hears INIT first, then what waits, in order, from number 0, with who asks', async () => {
    const { side } = await nodeSide();
    const states: LinkState[] = [];
    side.onState((state) => states.push(state));
    expect(side.state).toBe('waiting');
    const answers = [
      side.ask(MASTER, pointRequest(0n)),
      side.ask(channelClient(7n), pointRequest(1n)),
      side.ask(channelClient(8n), pointRequest(2n)),
    ];
    const signer = await dialIn(side.port);
    const requests = [await asked(signer), await asked(signer), await asked(signer)];
    expect(requests.map(({ requestId }) => requestId)).toEqual([0n, 1n, 2n]);
    expect(requests[0]?.context).toBeUndefined();
    expect(requests[1]?.context).toMatchObject({ dbid: 7n, capabilities: 0n });
    expect(requests[2]?.context?.peerId).toEqual(new Uint8Array(33).fill(2));
    expect(requests[1]?.message).toEqual(pointRequest(1n));
    // Answers may come in any order.
    for (const request of requests.toReversed())
      signer.responses.push(reply(request, 0, 118, Number(request.requestId)));
    for (const [i, answer] of answers.entries())
      expect(replyBody(await answer)).toEqual(Uint8Array.of(0, 118, i));
    expect(side.outstanding).toBe(0);
    expect(states).toEqual(['up']);
  });

  it('hears which clients without a channel are not lightningd', async () => {
    const { side, signer } = await started();
    const connectd = { peerId: null, dbid: 0n, permissions: 3n };
    const answers = [connectd, MASTER].map((client) => side.ask(client, pointRequest(1n)));
    const [own, master] = [await asked(signer), await asked(signer)];
    // vlsd looks at the number only; our signer at whether anything is said.
    expect(own.context).toMatchObject({ dbid: 0n, peerId: new Uint8Array(0) });
    expect(master.context).toBeUndefined();
    for (const request of [own, master]) signer.responses.push(reply(request, 0, 118));
    await Promise.all(answers);
  });

  it('INIT travels without passphrase and key; a developer’s settings do not travel', async () => {
    const secret = new Uint8Array(32).fill(9);
    const answers: LinkAnswer[] = [];
    const { side } = await nodeSide({}, null, async (ask, name) => {
      expect(name).toBe('127.0.0.1');
      answers.push(await ask(MASTER, Uint8Array.of(0, 99)));
      answers.push(await ask(MASTER, init({ hsmEncryptionKey: secret, tlvs: { hsmPassphrase: 'hunter2' } })));
      // Nothing else of it is known to VLS, so bytes that are no INIT stay as they are.
      answers.push(await ask(MASTER, Uint8Array.of(0, 11, 1)));
    });
    const signer = await dialIn(side.port);
    expect((await asked(signer)).message).toEqual(Uint8Array.of(0, 11, 1));
    signer.responses.push({ requestId: U64_MAX, message: Uint8Array.of(0) });
    await until(() => side.state === 'up', 'the greeting is over');
    expect(answers).toMatchObject([
      { kind: 'reply', body: new Uint8Array(0) },
      { kind: 'reply', body: initReply() },
      { kind: 'refused', refusal: { code: 'malformed' } },
    ]);
  });

  it('hears the head of the answer at once, and is asked when there is something', async () => {
    const asks: GreetingAsk[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    const { side } = await nodeSide({}, null, async (ask) => {
      asks.push(ask);
      await promise;
    });
    // Resolves with the head; VLS believes in the stream only then.
    const signer = await foreignSigner({ baseUrl: `http://127.0.0.1:${side.port}` });
    later(() => signer.abort());
    await until(() => asks.length === 1, 'the greeting begins');
    resolve();
    await until(() => side.state === 'up', 'the greeting is over');
  });

  it('an answer to what waits for the end of the greeting is no answer', async () => {
    const { side } = await nodeSide();
    const answer = side.ask(MASTER, pointRequest(1n));
    const hasty = await foreignSigner({ baseUrl: `http://127.0.0.1:${side.port}` });
    await asked(hasty);
    hasty.responses.push({ requestId: 0n, message: initReply() });
    await expect(hasty.next()).rejects.toMatchObject({ code: Code.InvalidArgument });
    expect(side.state).toBe('waiting');
    const right = await dialIn(side.port);
    right.responses.push(reply(await asked(right), 0, 118));
    expect((await answer).kind).toBe('reply');
  });

  it('a greeting is one question at a time, and over with its connection', async () => {
    const asks: GreetingAsk[] = [];
    const { side } = await nodeSide({}, null, async (ask) => {
      asks.push(ask);
      const first = ask(MASTER, init());
      await expect(ask(MASTER, init())).rejects.toMatchObject({ code: 'link-queue-full' });
      await first;
    });
    const signer = await foreignSigner({ baseUrl: `http://127.0.0.1:${side.port}` });
    await asked(signer);
    signer.abort();
    await until(() => side.connections === 0, 'the loss is seen');
    expect(side.state).toBe('waiting');
    await dialIn(side.port);
    await until(() => side.state === 'up', 'the next is greeted');
    for (const ask of asks) await expect(ask(MASTER, init())).rejects.toMatchObject({ code: 'link-ended' });
  });
});

describe('the signer comes back', () => {
  it('INIT is said again, then what is outstanding, in order, then what is new', async () => {
    const { side, signer } = await started();
    const states: LinkState[] = [];
    side.onState((state) => states.push(state));
    const answers = [1n, 2n, 3n].map((n) => side.ask(channelClient(n), pointRequest(n)));
    const first = [await asked(signer), await asked(signer), await asked(signer)];
    signer.responses.push(reply(first[1]!, 0, 118));
    await answers[1];
    signer.abort();
    await until(() => side.state === 'down', 'the loss is seen');
    const whileDown = side.ask(channelClient(4n), pointRequest(4n));
    const second = await dialIn(side.port);
    const rest = [await asked(second), await asked(second), await asked(second)];
    expect(rest.map(({ requestId }) => requestId)).toEqual([0n, 2n, 3n]);
    for (const request of rest) second.responses.push(reply(request, 0, 118, Number(request.requestId)));
    expect(replyBody(await answers[0]!)).toEqual(Uint8Array.of(0, 118, 0));
    expect(replyBody(await answers[2]!)).toEqual(Uint8Array.of(0, 118, 2));
    expect(replyBody(await whileDown)).toEqual(Uint8Array.of(0, 118, 3));
    expect(states).toEqual(['down', 'up']);
  });

  it('a signer that ends its stream in good order is gone too', async () => {
    const { side, signer } = await started();
    signer.responses.end();
    await until(() => side.state === 'down', 'the end is seen');
    expect(await signer.next()).toBeNull();
  });

  it('a second connection of the signer takes the place of the first', async () => {
    const { side, signer } = await started();
    const answer = side.ask(channelClient(1n), pointRequest(1n));
    await asked(signer);
    const second = await dialIn(side.port);
    await expect(signer.next()).rejects.toMatchObject({ code: Code.Aborted });
    second.responses.push(reply(await asked(second), 0, 118));
    expect(replyBody(await answer)).toEqual(Uint8Array.of(0, 118));
  });

  it.each([
    ['the keys of another node', { message: initReply({ nodeId: Uint8Array.from(NODE_ID).fill(9, 5) }) }],
    ['a no', { error: 'other network' }],
    ['a no for the moment', { error: 'later', isTemporaryFailure: true }],
    ['a reply without a type', { message: Uint8Array.of(0) }],
  ])('with %s it is sent away, and what waits goes on waiting', async (_, response) => {
    const { side, log, signer } = await started();
    signer.abort();
    await until(() => side.state === 'down', 'the loss is seen');
    const answer = side.ask(channelClient(1n), pointRequest(1n));
    const stranger = await foreignSigner({ baseUrl: `http://127.0.0.1:${side.port}` });
    await asked(stranger);
    stranger.responses.push({ requestId: U64_MAX, ...response });
    await expect(stranger.next()).rejects.toMatchObject({ code: Code.FailedPrecondition });
    expect(side.state).toBe('down');
    expect(log.some((line) => line.startsWith('broken'))).toBe(true);
    const right = await dialIn(side.port);
    right.responses.push(reply(await asked(right), 0, 118));
    await answer;
  });

  it('without an answer to INIT in time it is sent away', async () => {
    const { side } = await nodeSide({ initMs: 50 });
    const silent = await foreignSigner({ baseUrl: `http://127.0.0.1:${side.port}` });
    await asked(silent);
    await expect(silent.next()).rejects.toMatchObject({
      code: Code.FailedPrecondition,
      rawMessage: 'INIT was not answered in time',
    });
  });
});

describe('the signer says no', () => {
  it('for good: that request fails, with the rule its text names, and nothing else', async () => {
    const { side, signer } = await started();
    const refused = side.ask(channelClient(5n), pointRequest(1n));
    const other = side.ask(channelClient(6n), pointRequest(1n));
    const [first, second] = [await asked(signer), await asked(signer)];
    signer.responses.push({
      requestId: first.requestId,
      error:
        'Handler(Signing(Status { code: FailedPrecondition, message: "policy failure: policy-commitment-fee-range:\nno" }))',
    });
    signer.responses.push(reply(second, 0, 118));
    expect(await refused).toMatchObject({
      kind: 'refused',
      refusal: {
        code: 'policy',
        tag: 'policy-commitment-fee-range',
        request: 'hsmd_get_per_commitment_point',
        channel: `${'02'.repeat(33)}/5`,
        temporary: false,
      },
    });
    expect((await other).kind).toBe('reply');
    expect(side.state).toBe('up');
  });

  it('for the moment: the same is asked again under a new number, within bounds', async () => {
    const { side, signer } = await started({ retryFirstMs: 5, retryLongestMs: 20, retryTotalMs: 60_000 });
    const answer = side.ask(channelClient(1n), pointRequest(1n));
    const first = await asked(signer);
    signer.responses.push({ requestId: first.requestId, error: 'later', isTemporaryFailure: true });
    const second = await asked(signer);
    expect(second.requestId).toBe(first.requestId + 1n);
    expect(second.message).toEqual(first.message);
    signer.responses.push(reply(second, 0, 118));
    expect((await answer).kind).toBe('reply');
  });

  it('for the moment, too long: the request fails, and may be asked again', async () => {
    const { side, signer } = await started({ retryFirstMs: 50, retryLongestMs: 300, retryTotalMs: 1_500 });
    const answer = side.ask(channelClient(1n), pointRequest(1n));
    let asks = 0;
    void (async () => {
      for (;;) {
        const request = await signer.next();
        if (request === null) return;
        asks += 1;
        signer.responses.push({ requestId: request.requestId, error: 'later', isTemporaryFailure: true });
      }
    })().catch(() => {});
    expect(await answer).toMatchObject({
      kind: 'refused',
      refusal: { temporary: true, tag: 'vls-signer-error', text: 'later' },
    });
    expect(asks).toBeGreaterThan(2);
    // With pauses between.
    expect(asks).toBeLessThan(20);
    expect(side.outstanding).toBe(0);
  });

  it('for the moment, and is gone when it would be asked again', async () => {
    const { side, signer } = await started({ retryFirstMs: 30, retryLongestMs: 30 });
    const answer = side.ask(channelClient(1n), pointRequest(1n));
    const first = await asked(signer);
    signer.responses.push({ requestId: first.requestId, error: 'later', isTemporaryFailure: true });
    await new Promise((resolve) => setTimeout(resolve, 5));
    signer.abort();
    const second = await dialIn(side.port);
    second.responses.push(reply(await asked(second), 0, 118));
    expect((await answer).kind).toBe('reply');
  });

  it('with a reply that has no type: that request fails', async () => {
    const { side, signer } = await started();
    const answer = side.ask(channelClient(1n), pointRequest(1n));
    signer.responses.push(reply(await asked(signer), 0));
    expect(await answer).toMatchObject({ kind: 'refused', refusal: { code: 'malformed' } });
  });

  it('a text of it is one line of ASCII, and not long', async () => {
    const { side, signer } = await started();
    const answer = side.ask(MASTER, pointRequest(1n));
    const { requestId } = await asked(signer);
    signer.responses.push({ requestId, error: `\u001b[31m\n${'é'.repeat(5_000)}` });
    const refused = await answer;
    if (refused.kind !== 'refused') throw new Error('not refused');
    expect(refused.refusal.text).toMatch(/^[\x20-\x7e]{512}…$/);
    expect(refused.refusal.channel).toBeNull();
  });
});

describe('a request that ends the signer', () => {
  it('is given up after so many times; the others are answered', async () => {
    const { side, log, signer } = await started({ lossesMax: 2 });
    const poison = side.ask(channelClient(1n), pointRequest(1n));
    const other = side.ask(channelClient(2n), pointRequest(2n));
    await asked(signer);
    signer.abort();
    await until(() => side.state === 'down', 'the loss is seen');
    const second = await dialIn(side.port);
    await asked(second);
    second.abort();
    expect(await poison).toMatchObject({ kind: 'refused', refusal: { temporary: false } });
    expect(log.some((line) => line.includes('hsmd_get_per_commitment_point is given up'))).toBe(true);
    const third = await dialIn(side.port);
    third.responses.push(reply(await asked(third), 0, 118));
    expect((await other).kind).toBe('reply');
  });
});

describe('a connection that took the place of another', () => {
  it('is no sign that a request ends the signer', async () => {
    const { side, signer } = await started({ lossesMax: 2 });
    const answer = side.ask(channelClient(1n), pointRequest(1n));
    await asked(signer);
    for (let i = 0; i < 3; i++) {
      // It has nothing to say to INIT, as a stranger where there is no TLS; then the signer is there again.
      await foreignSigner({ baseUrl: `http://127.0.0.1:${side.port}` });
      const again = await dialIn(side.port);
      const request = await asked(again);
      expect(request.requestId).toBe(0n);
      if (i === 2) again.responses.push(reply(request, 0, 118));
    }
    expect(replyBody(await answer)).toEqual(Uint8Array.of(0, 118));
  });
});

describe('bounds', () => {
  it('more than may wait is refused at once', async () => {
    const { side } = await nodeSide({ requestsMax: 2, bytesMax: 1_000, messageBytesMax: 900 });
    const full = { code: 'link-queue-full' };
    const asks = [side.ask(MASTER, new Uint8Array(500)), side.ask(MASTER, new Uint8Array(400))];
    await expect(side.ask(MASTER, new Uint8Array(10))).rejects.toMatchObject(full);
    await expect(side.ask(MASTER, new Uint8Array(901))).rejects.toMatchObject({
      code: 'link-request-too-large',
    });
    await side.close();
    for (const ask of asks) await expect(ask).rejects.toMatchObject({ code: 'link-closed' });
    await expect(side.ask(MASTER, init())).rejects.toMatchObject({ code: 'link-closed' });
    expect(side.state).toBe('closed');
    await side.close();
  });

  it('bytes that wait are bounded too', async () => {
    const { side } = await nodeSide({ bytesMax: 1_000 });
    const ask = side.ask(MASTER, new Uint8Array(900));
    ask.catch(() => {});
    await expect(side.ask(MASTER, new Uint8Array(101))).rejects.toMatchObject({ code: 'link-queue-full' });
  });

  it('what is answered frees its place', async () => {
    const { side, signer } = await started({ bytesMax: 1_000, requestsMax: 2 });
    for (let i = 0; i < 5; i++) {
      const answer = side.ask(MASTER, new Uint8Array(600));
      signer.responses.push(reply(await asked(signer), 0, 118));
      await answer;
    }
  });

  it('a signer that does not read is not sent more than flow control lets through', async () => {
    const { side, signer } = await started();
    const asks = Array.from({ length: 40 }, (_, i) =>
      side.ask(channelClient(BigInt(i + 1)), new Uint8Array(64 * 1024).fill(1)),
    );
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(side.outstanding).toBe(40);
    for (let i = 0; i < 40; i++) signer.responses.push(reply(await asked(signer), 0, 1, i));
    for (const [i, ask] of asks.entries()) expect(replyBody(await ask)).toEqual(Uint8Array.of(0, 1, i));
  });

  it('a message beyond the limit ends the stream of who sent it', async () => {
    const { side, signer } = await started({ messageBytesMax: 10_000 });
    const answer = side.ask(channelClient(1n), pointRequest(1n));
    const { requestId } = await asked(signer);
    signer.responses.push({ requestId, message: new Uint8Array(20_000) });
    await expect(signer.next()).rejects.toMatchObject({ code: Code.ResourceExhausted });
    await until(() => side.state === 'down', 'the loss is seen');
    const second = await dialIn(side.port);
    second.responses.push(reply(await asked(second), 0, 118));
    expect((await answer).kind).toBe('reply');
  });

  it.each([
    ['what was never asked', 77n],
    ['INIT that was not said again', U64_MAX],
  ])('an answer to %s ends the stream', async (_, requestId) => {
    const { side, signer } = await started();
    signer.responses.push({ requestId, message: Uint8Array.of(0, 1) });
    const failure: ConnectError = await signer.next().then(
      () => expect.unreachable(),
      (error) => error,
    );
    expect(failure.code).toBe(Code.InvalidArgument);
    expect(side.state).toBe('down');
  });

  it('an answer that comes twice ends the stream', async () => {
    const { side, signer } = await started();
    const answer = side.ask(channelClient(1n), pointRequest(1n));
    const request = await asked(signer);
    signer.responses.push(reply(request, 0, 118));
    await answer;
    signer.responses.push(reply(request, 0, 118));
    await expect(signer.next()).rejects.toMatchObject({ code: Code.InvalidArgument });
  });
});

describe('what feeds the signer', () => {
  it('VLS’s own messages pass, ours are refused here', async () => {
    const { side, signer } = await started();
    const feed = side.openFeed();
    const tip = feed.ask(Uint8Array.of(2002 >> 8, 2002 & 0xff));
    const request = await asked(signer);
    expect(request.context).toBeUndefined();
    signer.responses.push(reply(request, 2102 >> 8, 2102 & 0xff));
    expect((await tip).kind).toBe('reply');
    expect(await feed.ask(Uint8Array.of(4000 >> 8, 4000 & 0xff))).toMatchObject({
      kind: 'refused',
      refusal: { code: 'malformed' },
    });
    expect((await feed.ask(new Uint8Array(0))).kind).toBe('refused');
    feed.close();
  });
});
