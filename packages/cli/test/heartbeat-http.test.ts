/** What the monitor does over HTTP, against servers that are good, slow, endless, elsewhere, or down. */
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { getText, HttpError, postJson } from '../src/heartbeat/http.ts';
import { deliver, WAITING_MAX, Webhook } from '../src/heartbeat/webhook.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function serve(listener: RequestListener): Promise<URL> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/secret-path?secret=1`);
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const part of request) text += String(part);
  return text;
}

const answer = (status: number, body = '', headers = {}) => {
  return (_: IncomingMessage, response: ServerResponse) => response.writeHead(status, headers).end(body);
};

describe('getting a heartbeat', () => {
  it('gives the body, byte for byte', async () => {
    const url = await serve(answer(200, 'a heartbeat\n'));
    expect(await getText(url, 100)).toBe('a heartbeat\n');
    const bytes = await serve((_, response) => response.end(Buffer.of(0x61, 0xff)));
    expect(await getText(bytes, 100)).toBe('a\u00ff');
    expect(await getText(await serve(answer(200)), 100)).toBe('');
  });

  it('takes no more than it may', async () => {
    const url = await serve((_, response) => {
      const more = (): void => void (response.destroyed || response.write('x'.repeat(1000), more));
      more();
    });
    await expect(getText(url, 20_000)).rejects.toThrow(
      new HttpError('the answer is longer than 20000 bytes'),
    );
    expect(await getText(await serve(answer(200, 'x'.repeat(100))), 100)).toHaveLength(100);
    await expect(getText(await serve(answer(200, 'x'.repeat(101))), 100)).rejects.toThrow(HttpError);
  });

  it('goes nowhere else, and says so', async () => {
    const url = await serve(answer(302, '', { location: 'http://127.0.0.1:1/' }));
    await expect(getText(url, 100)).rejects.toThrow('answered 302');
    await expect(getText(await serve(answer(500, 'no')), 100)).rejects.toThrow('answered 500');
  });

  it('does not wait for ever, neither for an answer nor for its end', async () => {
    const silent = await serve(() => {});
    await expect(getText(silent, 100, { timeoutMs: 50 })).rejects.toThrow('no answer within 50 ms');
    const endless = await serve((_, response) => void response.write('x'));
    await expect(getText(endless, 100, { timeoutMs: 100 })).rejects.toThrow('no answer within 100 ms');
    const ended = new AbortController();
    const waiting = getText(silent, 100, { signal: ended.signal });
    ended.abort();
    await expect(waiting).rejects.toThrow(HttpError);
  });

  it('names the server, and nothing secret of the URL', async () => {
    const url = await serve(answer(404));
    const error: unknown = await getText(url, 100).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(HttpError);
    expect(String(error)).toContain(url.origin);
    expect(String(error)).not.toContain('secret');
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
    await expect(getText(url, 100)).rejects.toThrow(/^http:\/\/127\.0\.0\.1:\d+: .*ECONNREFUSED/);
  });
});

describe('posting an alarm', () => {
  it('sends JSON, and does not read what is answered', async () => {
    const got: unknown[] = [];
    const url = await serve(async (request, response) => {
      got.push([
        request.method,
        request.url,
        request.headers['content-type'],
        JSON.parse(await bodyOf(request)),
      ]);
      response.writeHead(200);
      const more = (): void => void (response.destroyed || response.write('x'.repeat(1000), more));
      more();
    });
    await postJson(url, { event: 'alarm' });
    expect(got).toEqual([['POST', '/secret-path?secret=1', 'application/json', { event: 'alarm' }]]);
  });
});

describe('the webhook', () => {
  /** A receiver that fails as often as it is told; waits are noted and not waited. */
  function receiver() {
    const got: object[] = [];
    const waits: number[] = [];
    const problems: string[] = [];
    const bugs: unknown[] = [];
    const state = { failures: 0, error: new HttpError('answered 500') as Error };
    const options = {
      post: async (body: object) => {
        if (state.failures-- > 0) throw state.error;
        got.push(body);
      },
      sleep: async (ms: number) => {
        waits.push(ms);
        await new Promise((resolve) => setImmediate(resolve));
      },
      onProblem: (text: string) => void problems.push(text),
      onBug: (error: unknown) => void bugs.push(error),
    };
    return { got, waits, problems, bugs, state, options };
  }
  const settle = async (isDone: () => boolean): Promise<void> => {
    for (let i = 0; i < 5000 && !isDone(); i++) await new Promise((resolve) => setImmediate(resolve));
  };

  it('tries again with longer and longer waits until it is taken, in order', async () => {
    const { got, waits, problems, bugs, state, options } = receiver();
    state.failures = 9;
    const webhook = new Webhook(options);
    webhook.announce({ n: 1 });
    webhook.announce({ n: 2 });
    await settle(() => got.length === 2);
    expect(got).toEqual([{ n: 1 }, { n: 2 }]);
    expect(waits).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]);
    expect(problems).toHaveLength(9);
    expect(bugs).toEqual([]);
    webhook.announce({ n: 3 });
    await settle(() => got.length === 3);
    expect(got).toHaveLength(3);
  });

  it('keeps the newest when too many wait', async () => {
    const { got, problems, state, options } = receiver();
    state.failures = 1;
    const webhook = new Webhook(options);
    for (let n = 0; n < WAITING_MAX + 3; n++) webhook.announce({ n });
    await settle(() => got.length === WAITING_MAX + 1);
    expect(got.at(-1)).toEqual({ n: WAITING_MAX + 2 });
    // The first was under way already.
    expect(got).toHaveLength(WAITING_MAX + 1);
    expect(problems.filter((text) => text.includes('dropped'))).toHaveLength(3);
  });

  it('gives up after so many tries where it is told to', async () => {
    const { got, waits, state, options } = receiver();
    state.failures = 3;
    expect(await deliver({}, 3, options)).toBe(false);
    expect(waits).toEqual([1000, 2000]);
    expect(await deliver({}, 1, options)).toBe(true);
    expect(got).toEqual([{}]);
  });

  it('does not hide a bug', async () => {
    const { bugs, state, options } = receiver();
    state.failures = 1;
    state.error = new TypeError('a bug');
    new Webhook(options).announce({});
    await settle(() => bugs.length > 0);
    expect(bugs).toEqual([state.error]);
  });
});
