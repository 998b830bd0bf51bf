import { chmodSync, chownSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { stageIdentity } from '../../src/link/identity.ts';
import { NodeSideLink } from '../../src/link/node-side.ts';
import type { LinkAnswer, LinkRefusal } from '../../src/link/protocol.ts';
import { SignerSideLink } from '../../src/link/signer-side.ts';
import {
  bytes,
  Cleanup,
  channel,
  dial,
  directory,
  Echo,
  introduce,
  listen,
  MASTER,
  QUICK,
  Side,
  text,
} from './harness.ts';
import { WireProxy } from './wire-proxy.ts';

let cleanup: Cleanup;
let node: Side;
let signer: Side;
beforeEach(() => {
  cleanup = new Cleanup();
  node = new Side(cleanup);
  signer = new Side(cleanup);
});
afterEach(() => cleanup.run());

function bodyOf(answer: LinkAnswer): string {
  return answer.kind === 'reply' ? text(answer.body) : `refused ${answer.refusal.tag}`;
}

describe('a link over mutual TLS', () => {
  it('brings requests to the signer and answers back', async () => {
    introduce(node, signer);
    const link = await listen(cleanup, node);
    const states: string[] = [link.state];
    link.onState((state) => states.push(state));
    const early = link.ask(MASTER, bytes('early'));
    const handler = new Echo();
    const remote = dial(cleanup, signer, link.port, handler);
    expect(bodyOf(await early)).toBe('early');
    expect(bodyOf(await link.ask(channel(7), bytes('x')))).toBe('x');
    expect(handler.asked).toEqual(['0:early', '7:x']);
    expect(states).toEqual(['waiting', 'up']);
    expect(remote.state).toBe('up');
    await expect.poll(() => remote.pending).toBe(0);
    expect(node.names()).toEqual(['link-listening', 'link-up']);
    expect(signer.names()).toEqual(['link-up']);
  });

  it.each(['signer', 'node'] as const)(
    'holds to the limit of the %s where it is the smaller one',
    async (who) => {
      introduce(node, signer);
      const [large, small] = [
        { ...QUICK, frameBytesMax: 4_000 },
        { ...QUICK, frameBytesMax: 2_000 },
      ];
      const [here, there] = who === 'node' ? [small, large] : [large, small];
      const link = await listen(cleanup, node, { limits: here });
      const early = link.ask(MASTER, new Uint8Array(3_000)).catch((error: unknown) => error);
      const handler = new Echo();
      dial(cleanup, signer, link.port, handler, { limits: there });
      expect(await early).toMatchObject({ code: 'link-request-too-large' });
      expect(bodyOf(await link.ask(MASTER, bytes('x')))).toBe('x');
      await expect(link.ask(MASTER, new Uint8Array(3_000))).rejects.toMatchObject({
        code: 'link-request-too-large',
      });
      for (const side of [node, signer]) {
        expect(side.names().filter((name) => name === 'link-up' || name === 'link-limits')).toEqual([
          'link-up',
          'link-limits',
        ]);
        expect(side.events.at(-1)).toMatchObject({ level: 'warn', text: /message_bytes_max/ });
      }
    },
  );

  it('says no where the answer is longer than the node takes, each time, and goes on', async () => {
    introduce(node, signer);
    const link = await listen(cleanup, node, { limits: { ...QUICK, frameBytesMax: 2_000 } });
    const handler = new Echo();
    const long = new Uint8Array(3_000);
    handler.answer = async (_client, body) => ({ kind: 'reply', body: text(body) === 'long' ? long : body });
    dial(cleanup, signer, link.port, handler, { limits: { ...QUICK, frameBytesMax: 4_000 } });
    const facts = { frame_bytes: 3_010, limit_bytes: 2_000 };
    const refusal = { tag: 'link-answer-too-large', temporary: false, facts };
    for (const _ of [1, 2]) expect(await link.ask(channel(1), bytes('long'))).toMatchObject({ refusal });
    expect(bodyOf(await link.ask(channel(1), bytes('short')))).toBe('short');
    expect(signer.names()).not.toContain('link-down');
  });

  it('brings a refusal over whole', async () => {
    introduce(node, signer);
    const link = await listen(cleanup, node);
    const refusal: LinkRefusal = {
      code: 'policy',
      tag: 'policy-commitment-fee-range',
      request: 'hsmd_sign_commitment_tx',
      channel: `${'02'.repeat(33)}/7`,
      text: 'the fee is above the limit',
      temporary: true,
      auditId: 42,
      facts: { fee_sat: 12_345_678_901_234_567_890n, limit: 0.5, name: '“x”', ok: false },
    };
    const handler = new Echo();
    handler.answer = async () => ({ kind: 'refused', refusal });
    dial(cleanup, signer, link.port, handler);
    expect(await link.ask(channel(1), bytes('?'))).toEqual({ kind: 'refused', refusal });
  });

  it('has requests of different channels in flight together, and hands them over in order', async () => {
    introduce(node, signer);
    const link = await listen(cleanup, node);
    const handler = new Echo();
    const release: (() => void)[] = [];
    handler.answer = (_client, body) =>
      new Promise((resolve) => release.push(() => resolve({ kind: 'reply', body })));
    dial(cleanup, signer, link.port, handler);
    const done: string[] = [];
    const all = Array.from({ length: 20 }, async (_, index) => {
      done.push(bodyOf(await link.ask(channel(index), bytes(`r${index}`))));
    });
    await expect.poll(() => release.length).toBe(20);
    expect(handler.asked).toEqual(Array.from({ length: 20 }, (_, index) => `${index}:r${index}`));
    for (const one of release.reverse()) one();
    await Promise.all(all);
    expect(done[0]).toBe('r19');
  });

  it('keeps what is asked while the signer is away, and asks it once when it is back', async () => {
    introduce(node, signer);
    const link = await listen(cleanup, node);
    const handler = new Echo();
    const first = dial(cleanup, signer, link.port, handler);
    await link.ask(MASTER, bytes('1'));
    first.close();
    await expect.poll(() => link.state).toBe('down');
    const waiting = [link.ask(channel(1), bytes('2')), link.ask(channel(1), bytes('3'))];
    const second = new Echo();
    dial(cleanup, signer, link.port, second);
    expect((await Promise.all(waiting)).map(bodyOf)).toEqual(['2', '3']);
    expect(handler.asked).toEqual(['0:1']);
    expect(second.asked).toEqual(['1:2', '1:3']);
  });

  it('greets every new process of the signer before it asks anything, and none twice', async () => {
    introduce(node, signer);
    const greeted: string[] = [];
    const link = await listen(cleanup, node, {
      greet: async (ask, name) => {
        greeted.push(`${name} ${bodyOf(await ask(MASTER, bytes('init')))}`);
      },
    });
    const handler = new Echo();
    const first = dial(cleanup, signer, link.port, handler);
    await link.ask(MASTER, bytes('1'));
    expect(handler.asked).toEqual(['0:init', '0:1']);
    first.close();
    const pending = link.ask(MASTER, bytes('2'));
    const second = new Echo();
    dial(cleanup, signer, link.port, second);
    await pending;
    expect(second.asked).toEqual(['0:init', '0:2']);
    expect(greeted).toEqual(['signer init', 'signer init']);
  });

  it('drops a signer that does not stand the greeting, and waits for it to be better', async () => {
    introduce(node, signer);
    let tries = 0;
    const link = await listen(cleanup, node, {
      greet: async (ask) => {
        await ask(MASTER, bytes('init'));
        if (++tries < 3) throw new Error('another node id');
      },
    });
    dial(cleanup, signer, link.port, new Echo());
    expect(bodyOf(await link.ask(MASTER, bytes('x')))).toBe('x');
    expect(node.names().filter((name) => name === 'link-greeting-failed')).toHaveLength(2);
  });

  it('brings feeders without any right of a client, one message after the other', async () => {
    introduce(node, signer);
    const link = await listen(cleanup, node);
    const handler = new Echo();
    dial(cleanup, signer, link.port, handler);
    const feed = link.openFeed();
    const other = link.openFeed();
    expect(
      (await Promise.all([feed.ask(bytes('a')), feed.ask(bytes('b')), other.ask(bytes('c'))])).map(bodyOf),
    ).toEqual(['a', 'b', 'c']);
    feed.close();
    feed.close();
    await expect.poll(() => handler.ended).toEqual([1]);
    expect([...handler.asked].sort()).toEqual(['feed 1:a', 'feed 1:b', 'feed 2:c']);
  });

  it('is not made any more when it was closed while it was dialled', async () => {
    introduce(node, signer);
    const link = await listen(cleanup, node);
    const remote = dial(cleanup, signer, link.port, new Echo());
    remote.close();
    remote.close();
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect([remote.state, link.state]).toEqual(['closed', 'waiting']);
    expect(node.names()).not.toContain('link-up');
    expect(signer.names()).toEqual([]);
  });

  it('rejects what waits when it is closed for good', async () => {
    const link = await listen(cleanup, node);
    const waiting = link.ask(MASTER, bytes('x'));
    await link.close();
    await expect(waiting).rejects.toMatchObject({ code: 'link-closed' });
    await expect(link.ask(MASTER, bytes('y'))).rejects.toMatchObject({ code: 'link-closed' });
    expect(link.state).toBe('closed');
  });
});

describe('one signer', () => {
  it('replaces a connection of the same process by its newer one', async () => {
    introduce(node, signer);
    const link = await listen(cleanup, node);
    const [old, fresh] = [new Echo(), new Echo()];
    // Both would come back at once otherwise, and replace each other for ever.
    const slow = { ...QUICK, redialUnwantedMs: 60_000 };
    const random = (count: number) => new Uint8Array(count).fill(7);
    dial(cleanup, signer, link.port, old, { limits: slow, random });
    await link.ask(MASTER, bytes('1'));
    dial(cleanup, signer, link.port, fresh, { limits: slow, random });
    await expect.poll(() => node.names()).toContain('link-replaced');
    await link.ask(MASTER, bytes('2'));
    expect([old.asked, fresh.asked]).toEqual([['0:1'], ['0:2']]);
  });

  it('turns another process with its key away while it answers, and says so once', async () => {
    introduce(node, signer);
    const link = await listen(cleanup, node);
    const [own, copied] = [new Echo(), new Echo()];
    const first = dial(cleanup, signer, link.port, own);
    await link.ask(MASTER, bytes('1'));
    const copy = dial(cleanup, signer, link.port, copied);
    const states: string[] = [];
    copy.onState((state) => states.push(state));
    await expect.poll(() => signer.names().filter((name) => name === 'link-down').length).toBeGreaterThan(1);
    expect(node.names().filter((name) => name === 'link-taken')).toHaveLength(1);
    expect(signer.events.find(({ event }) => event === 'link-down')?.text).toMatch(
      /another process with this key is connected/,
    );
    await link.ask(MASTER, bytes('2'));
    expect([own.asked, copied.asked, states.includes('active')]).toEqual([['0:1', '0:2'], [], false]);
    first.close();
    await link.ask(MASTER, bytes('3'));
    expect(copied.asked).toEqual(['0:3']);
  });

  it('is followed by its next process when its line is dead and nothing of it is heard', async () => {
    introduce(node, signer);
    const link = await listen(cleanup, node, { limits: { ...QUICK, silenceMs: 2_000 } });
    const line = await WireProxy.open(link.port);
    cleanup.add(() => line.close());
    const [own, next] = [new Echo(), new Echo()];
    dial(cleanup, signer, line.port, own, { limits: { ...QUICK, redialMs: 60_000, redialMsMax: 60_000 } });
    await link.ask(MASTER, bytes('1'));
    line.silence();
    dial(cleanup, signer, link.port, next);
    await link.ask(MASTER, bytes('2'));
    expect([own.asked, next.asked]).toEqual([['0:1'], ['0:2']]);
  });
});

describe('at its limits, a link', () => {
  it('has no more connections of signers than it may', async () => {
    const other = new Side(cleanup);
    introduce(node, signer, 'a');
    introduce(node, other, 'b');
    const link = await listen(cleanup, node, { limits: { ...QUICK, connectionsMax: 1 } });
    dial(cleanup, signer, link.port, new Echo());
    await link.ask(MASTER, bytes('1'));
    dial(cleanup, other, link.port, new Echo());
    await expect
      .poll(() => node.events.some(({ text }) => /too many connections of signers/.test(text)))
      .toBe(true);
    expect(link.standbys).toEqual([]);
  });

  it('carries the largest message there is, both ways, and no larger', async () => {
    introduce(node, signer);
    const link = await listen(cleanup, node, { limits: { ...QUICK, silenceMs: 5_000 } });
    dial(cleanup, signer, link.port, new Echo(), { limits: { ...QUICK, silenceMs: 5_000 } });
    const large = new Uint8Array(4 * 1024 * 1024).fill(0x41);
    const answer = await link.ask(MASTER, large);
    expect(answer.kind === 'reply' && answer.body.length).toBe(large.length);
    await expect(link.ask(MASTER, new Uint8Array(large.length + 256))).rejects.toMatchObject({
      code: 'link-request-too-large',
    });
  });
});

describe('keys', () => {
  it('are revoked at once, on live links', async () => {
    introduce(node, signer);
    const link = await listen(cleanup, node);
    const remote = dial(cleanup, signer, link.port, new Echo());
    await link.ask(MASTER, bytes('1'));
    node.pins.revoke('signer');
    await expect.poll(() => remote.state).toBe('dialling');
    expect(link.state).toBe('down');
    await expect.poll(() => node.names().filter((name) => name === 'link-refused').length).toBeGreaterThan(0);
    expect(node.names()).toContain('link-revoked');
    expect(link.activeSigner).toBeNull();
  });

  it('that are pinned anew are tried at once, whatever the pause was', async () => {
    introduce(node, signer);
    const link = await listen(cleanup, node);
    const limits = { ...QUICK, redialUnwantedMs: 60_000, redialMsMax: 60_000 };
    const remote = dial(cleanup, signer, link.port, new Echo(), { limits });
    await link.ask(MASTER, bytes('1'));
    node.pins.revoke('signer');
    await expect.poll(() => remote.state).toBe('dialling');
    node.pins.add('signer', signer.pin);
    // As the command does: another process.
    const { pins } = signer;
    pins.revoke('node');
    pins.add('node', node.pin);
    expect(bodyOf(await link.ask(MASTER, bytes('2')))).toBe('2');
  });

  it('are revoked by the signer too', async () => {
    introduce(node, signer);
    const link = await listen(cleanup, node);
    const remote = dial(cleanup, signer, link.port, new Echo());
    await link.ask(MASTER, bytes('1'));
    signer.pins.revoke('node');
    expect(remote.state).toBe('dialling');
    await expect.poll(() => signer.names()).toContain('link-dial-failed');
    expect(link.state).toBe('down');
  });

  it.each(['signer', 'node'] as const)('of the %s change while the link lives', async (which) => {
    introduce(node, signer);
    const link = await listen(cleanup, node);
    const handler = new Echo();
    dial(cleanup, signer, link.port, handler);
    await link.ask(MASTER, bytes('1'));
    const [changing, knowing] = which === 'signer' ? [signer, node] : [node, signer];
    const before = changing.pin;
    const { pin } = stageIdentity(changing.identityPath);
    await expect.poll(() => knowing.pins.list()).toMatchObject([{ pin, nextPin: null }]);
    expect(changing.pin).toBe(pin);
    expect(knowing.pins.find(before)).toBeUndefined();
    expect(bodyOf(await link.ask(MASTER, bytes('2')))).toBe('2');
    expect(changing.names()).toContain('link-key-changed');
    expect(knowing.names()).toContain('link-key-announced');
  });
});

describe('a slow line', () => {
  it('carries a request that takes longer than a side may be silent', async () => {
    introduce(node, signer);
    const limits = { ...QUICK, pingMs: 100, silenceMs: 1_000 };
    const link = await listen(cleanup, node, { limits });
    const proxy = createServer((near) => {
      const far = connect(link.port, '127.0.0.1');
      for (const socket of [near, far]) socket.on('error', () => {});
      near.on('close', () => far.destroy());
      far.on('close', () => near.destroy());
      near.pipe(far);
      // The signer gets what the node sends little by little, at some 200 kB a second.
      far.on('data', async (chunk: Buffer) => {
        far.pause();
        for (let at = 0; at < chunk.length; at += 2_000) {
          near.write(chunk.subarray(at, at + 2_000));
          await new Promise((resolve) => setTimeout(resolve, chunk.length > 2_000 ? 10 : 0));
        }
        far.resume();
      });
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    cleanup.add(() => void proxy.close());
    const { port } = proxy.address() as AddressInfo;
    const handler = new Echo();
    handler.answer = async (_client, body) => ({ kind: 'reply', body: bytes(`${body.length}`) });
    dial(cleanup, signer, port, handler, { limits: { ...limits, pingMs: 400 } });
    expect(bodyOf(await link.ask(MASTER, bytes('1')))).toBe('1');
    expect(bodyOf(await link.ask(MASTER, new Uint8Array(400_000)))).toBe('400000');
    expect(node.names()).not.toContain('link-down');
  });
});

describe('the key of a node side', () => {
  it('changes only when every signer knows the new one', async () => {
    const other = new Side(cleanup);
    introduce(node, signer, 'a');
    introduce(node, other, 'b');
    const link = await listen(cleanup, node);
    dial(cleanup, signer, link.port, new Echo());
    await link.ask(MASTER, bytes('1'));
    const before = node.pin;
    const { pin } = stageIdentity(node.identityPath);
    await expect.poll(() => signer.pins.list()[0]!.nextPin).toBe(pin);
    expect(node.pin).toBe(before);
    dial(cleanup, other, link.port, new Echo());
    await expect.poll(() => node.pin).toBe(pin);
    await expect.poll(() => [signer, other].map(({ pins }) => pins.list()[0]!.pin)).toEqual([pin, pin]);
    await link.ask(MASTER, bytes('2'));
  });

  it('changes when the one that did not know the new one is revoked', async () => {
    const other = new Side(cleanup);
    introduce(node, signer, 'a');
    introduce(node, other, 'b');
    const link = await listen(cleanup, node);
    dial(cleanup, signer, link.port, new Echo());
    await link.ask(MASTER, bytes('1'));
    const { pin } = stageIdentity(node.identityPath);
    await expect.poll(() => signer.pins.list()[0]!.nextPin).toBe(pin);
    node.pins.revoke('b');
    await expect.poll(() => node.pin).toBe(pin);
    await expect.poll(() => signer.pins.list()[0]!.pin).toBe(pin);
    expect(bodyOf(await link.ask(MASTER, bytes('2')))).toBe('2');
  });
});

describe('a link over a Unix socket', () => {
  it('needs no keys', async () => {
    const path = join(directory(cleanup), 'signer.sock');
    const link = await NodeSideLink.listen({ listen: { kind: 'unix', path }, log: node.log, limits: QUICK });
    cleanup.add(() => link.close());
    const handler = new Echo();
    const remote = SignerSideLink.dial({
      dial: { kind: 'unix', path },
      handler,
      onBug: () => {},
      log: signer.log,
      limits: QUICK,
    });
    cleanup.add(() => remote.close());
    expect(bodyOf(await link.ask(MASTER, bytes('hello')))).toBe('hello');
    expect(remote.target).toBe(path);
  });

  it('refuses a directory that others may enter', async () => {
    await expect(
      NodeSideLink.listen({ listen: { kind: 'unix', path: '/tmp/signer.sock' }, log: node.log }),
    ).rejects.toMatchObject({ code: 'link-file' });
  });

  it.each<[string, (path: string) => void]>([
    ['of another user', (path) => chownSync(path, 12_345, 12_345)],
    ['that others may use', (path) => chmodSync(path, 0o666)],
  ])('serves nobody at a socket %s', async (name, spoil) => {
    if (process.getuid?.() !== 0 && name === 'of another user') return;
    const path = join(directory(cleanup), 'signer.sock');
    const link = await NodeSideLink.listen({ listen: { kind: 'unix', path }, log: node.log, limits: QUICK });
    cleanup.add(() => link.close());
    spoil(path);
    const handler = new Echo();
    const remote = SignerSideLink.dial({
      dial: { kind: 'unix', path },
      handler,
      onBug: () => {},
      log: signer.log,
      limits: QUICK,
    });
    cleanup.add(() => remote.close());
    void link.ask(MASTER, bytes('sign')).catch(() => {});
    await expect.poll(() => signer.names().length).toBeGreaterThan(1);
    expect(handler.asked).toEqual([]);
    expect(signer.events[0]).toMatchObject({ event: 'link-dial-failed', facts: { code: 'link-file' } });
  });

  it('dials until somebody is there', async () => {
    const path = join(directory(cleanup), 'signer.sock');
    const remote = SignerSideLink.dial({
      dial: { kind: 'unix', path },
      handler: new Echo(),
      onBug: () => {},
      log: signer.log,
      limits: QUICK,
    });
    cleanup.add(() => remote.close());
    await expect.poll(() => signer.names().length).toBeGreaterThan(1);
    const link = await NodeSideLink.listen({ listen: { kind: 'unix', path }, log: node.log, limits: QUICK });
    cleanup.add(() => link.close());
    await link.ask(MASTER, bytes('x'));
    expect(signer.names().at(-1)).toBe('link-up');
  });
});
