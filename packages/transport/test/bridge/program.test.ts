/** The side of the bridge that can wait, in this thread: what it tells the application, and what becomes of requests that nobody waits for. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ABANDONED_MAX, Asker } from '../../src/bridge/asker.ts';
import { Bridge } from '../../src/bridge/bridge.ts';
import { mailboxMemory } from '../../src/bridge/mailbox.ts';
import {
  askHead,
  type BridgeSettings,
  type FromBridge,
  readAnswer,
  type ToBridge,
} from '../../src/bridge/messages.ts';
import { BridgeProgram } from '../../src/bridge/program.ts';
import { LinkError } from '../../src/link/error.ts';
import { openIdentity } from '../../src/link/identity.ts';
import { nodeLinkFiles } from '../../src/link/node-files.ts';
import { PinStore } from '../../src/link/pins.ts';
import type { LinkAnswer, LinkClient, LinkRefusal } from '../../src/link/protocol.ts';
import { SignerSideLink } from '../../src/link/signer-side.ts';
import { bytes, NODE, Place, text } from './signer-thread.ts';

let place: Place;
beforeEach(() => {
  place = new Place();
});
afterEach(() => place.close());

function settings(changed: Partial<BridgeSettings> = {}): BridgeSettings {
  return {
    listen: { path: place.path },
    directory: place.directory,
    network: 'regtest',
    keyStyle: 'cln',
    messageBytesMax: 65_536,
    patienceMs: 30_000,
    startPatienceMs: null,
    ...changed,
  };
}

interface Run {
  readonly program: BridgeProgram;
  readonly said: FromBridge[];
  ended: boolean;
}

function run(): Run {
  const said: FromBridge[] = [];
  const one: Run = {
    said,
    ended: false,
    program: new BridgeProgram(
      {
        send: (message) => void said.push(message),
        end: () => {
          one.ended = true;
        },
      },
      (error) => {
        throw error;
      },
    ),
  };
  return one;
}

const opening = (changed: Partial<BridgeSettings> = {}): ToBridge => ({
  kind: 'open',
  settings: settings(changed),
  carrier: { kind: 'shared', memory: mailboxMemory(70_000) },
});

describe('the program', () => {
  it('opens, feeds and closes', async () => {
    place.signer();
    const { program, said } = run();
    await program.take({ kind: 'feed', id: 1, body: bytes('too early') });
    expect(said).toEqual([{ kind: 'feed-failed', id: 1, why: 'the bridge is not open' }]);
    await program.take(opening());
    expect(said.map(({ kind }) => kind)).toContain('opened');
    await program.take({ kind: 'feed', id: 2, body: bytes('two') });
    expect(said.at(-1)).toEqual({ kind: 'fed', id: 2, body: bytes('two') });
    await program.take({ kind: 'close' });
    expect(said.at(-1)).toEqual({ kind: 'closed' });
    await program.take({ kind: 'feed', id: 3, body: bytes('late') });
    expect(said.at(-1)).toMatchObject({ kind: 'feed-failed', id: 3 });
  });

  it('says why it cannot listen', async () => {
    const { program, said } = run();
    await program.take(opening({ listen: { host: '192.0.2.1', port: 9 } }));
    expect(said.at(-1)).toMatchObject({
      kind: 'failed',
      why: expect.stringMatching(/cannot listen at 192.0.2.1:9: /),
    });
    program.abandon();
    await program.close();
  });

  it('closes while it waits for the first signer', async () => {
    const { program, said } = run();
    const opened = program.take(opening());
    await expect.poll(() => said.some(({ kind }) => kind === 'log')).toBe(true);
    await program.close();
    await opened;
    expect(said.map(({ kind }) => kind).filter((kind) => kind !== 'log')).toEqual([
      'ready',
      'failed',
      'closed',
    ]);
  });
});

describe('the bridge', () => {
  it('answers requests before it is open with why not', async () => {
    const bridge = new Bridge(settings(), () => {});
    const request = Buffer.concat([askHead(NODE), bytes('echo')]);
    expect(readAnswer(await bridge.answer(request))).toMatchObject({ kind: 'unreachable' });
    await bridge.close();
    await expect(bridge.open()).rejects.toMatchObject({ code: 'sync-door-closed' });
  });

  it('carries who asks, and refusals of feeds', async () => {
    place.signer();
    const bridge = new Bridge(settings(), () => {});
    await bridge.open();
    const peerId = new Uint8Array(33).fill(3);
    const ask = async (client: LinkClient, words: string): Promise<string> => {
      const answer = readAnswer(await bridge.answer(Buffer.concat([askHead(client), bytes(words)])));
      return answer.kind === 'reply' ? text(answer.body) : answer.why;
    };
    expect(await ask({ peerId, dbid: 7n, permissions: 5n }, 'who')).toBe('33 7 5');
    expect(text(await bridge.feed(bytes('refuse')))).toContain('policy-test: no');
    await bridge.close();
    expect(await ask(NODE, 'echo')).toBe('the link to the signer was closed');
  });

  it('gives the place to no signer that does not serve it', async () => {
    const node = nodeLinkFiles(place.directory);
    const identityPath = join(place.directory, 'signer.pem');
    PinStore.open(node.pins).add('cellar', openIdentity(identityPath).pin);
    const pins = PinStore.open(join(place.directory, 'nodes.json'));
    pins.add('node', openIdentity(node.identity).pin);
    const bridge = new Bridge(settings({ listen: { host: '127.0.0.1', port: 0 } }), () => {});
    const opened = expect(bridge.open()).rejects.toThrow('the signer does not serve this node');
    await expect.poll(() => existsSync(node.listen)).toBe(true);
    const { port } = JSON.parse(readFileSync(node.listen, 'utf8')) as { readonly port: number };
    const no: LinkRefusal = {
      code: 'policy',
      tag: 'policy-init-binding',
      request: 'vls_hsmd_init2',
      channel: null,
      text: 'another network',
      temporary: false,
      auditId: null,
      facts: {},
    };
    const refusing = async (): Promise<LinkAnswer> => ({ kind: 'refused', refusal: no });
    const link = SignerSideLink.dial({
      dial: { kind: 'tcp', host: '127.0.0.1', port, identityPath, pins, node: 'node' },
      handler: { ask: refusing, feed: refusing, feedEnded: () => {} },
      onBug: () => {},
      log: () => {},
    });
    await opened;
    link.close();
    await bridge.close();
    expect(PinStore.open(node.pins).active).toBeNull();
  });

  it('tells the operator how to pair, and where it listens', async () => {
    const lines: string[] = [];
    const bridge = new Bridge(
      settings({ listen: { host: '127.0.0.1', port: 0 }, startPatienceMs: 50 }),
      (level, line) => void lines.push(`${level} ${line}`),
    );
    await expect(bridge.open()).rejects.toThrow('no signer came');
    await bridge.close();
    expect(lines.join('\n')).toMatch(/waiting for the signer at 127\.0\.0\.1:\d+/);
    expect(lines.join('\n')).toContain(`countersign pair --node-directory ${place.directory}`);
  });
});

describe('requests that nobody waits for', () => {
  it('are bounded, joined by their like, and forgotten when they are answered', async () => {
    const answers: ((answer: LinkAnswer) => void)[] = [];
    const link = { ask: () => new Promise<LinkAnswer>((resolve) => void answers.push(resolve)) };
    const asker = new Asker({ link, presence: { isGivenUp: false }, messageBytesMax: 100, patienceMs: 10 });
    for (let i = 0; i < ABANDONED_MAX; i++)
      expect(await asker.ask(NODE, bytes(`${i}`))).toMatchObject({ kind: 'unreachable' });
    expect(await asker.ask(NODE, bytes('one more'))).toMatchObject({
      kind: 'unreachable',
      why: expect.stringContaining('too many requests wait'),
    });
    const joined = asker.ask(NODE, bytes('0'));
    answers[0]?.({ kind: 'reply', body: bytes('zero') });
    expect(await joined).toEqual({ kind: 'reply', body: bytes('zero') });
    expect(answers).toHaveLength(ABANDONED_MAX);
    await asker.ask(NODE, bytes('one more'));
    expect(answers).toHaveLength(ABANDONED_MAX + 1);
    // Another asker with the same bytes is another request.
    await asker.ask({ ...NODE, dbid: 1n }, bytes('1'));
    expect(answers).toHaveLength(ABANDONED_MAX + 1);
  });

  it('are not made while the signer is given up, nor outlive a closed link', async () => {
    let asked = 0;
    const link = {
      ask: async (): Promise<LinkAnswer> => {
        asked++;
        throw new LinkError('link-closed', 'the link was closed');
      },
    };
    const away = new Asker({ link, presence: { isGivenUp: true }, messageBytesMax: 100, patienceMs: 10 });
    expect(await away.ask(NODE, bytes('x'))).toEqual({ kind: 'unreachable', why: 'the signer is away' });
    expect(asked).toBe(0);
    const closed = new Asker({ link, presence: { isGivenUp: false }, messageBytesMax: 100, patienceMs: 10 });
    expect(await closed.ask(NODE, bytes('x'))).toEqual({ kind: 'unreachable', why: 'the link was closed' });
  });

  it('end with the patience, also while a signer ends', async () => {
    const refusal = {
      code: 'not-initialized',
      tag: 'x',
      request: 'x',
      channel: null,
      text: 'x',
      temporary: true,
    };
    const link = {
      ask: async (): Promise<LinkAnswer> => ({
        kind: 'refused',
        refusal: { ...refusal, auditId: null, facts: {} },
      }),
    };
    const asker = new Asker({ link, presence: { isGivenUp: false }, messageBytesMax: 100, patienceMs: 150 });
    expect(await asker.ask(NODE, bytes('x'))).toMatchObject({ kind: 'unreachable' });
  });
});
