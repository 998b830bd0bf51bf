import { mkdirSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type LinkClock, systemClock } from '../../src/link/clock.ts';
import type { NodeSideOptions } from '../../src/link/node-side.ts';
import { PinStore } from '../../src/link/pins.ts';
import type { LinkAnswer } from '../../src/link/protocol.ts';
import { bytes, Cleanup, dial, Echo, introduce, listen, MASTER, QUICK, Side, text } from './harness.ts';

let cleanup: Cleanup;
let node: Side;
let signer: Side;
let other: Side;
beforeEach(() => {
  cleanup = new Cleanup();
  node = new Side(cleanup);
  signer = new Side(cleanup);
  other = new Side(cleanup);
  introduce(node, signer, 'a');
  introduce(node, other, 'b');
});
afterEach(() => cleanup.run());

describe('several signers', () => {
  it('asks the first; the others stand by until they are promoted', async () => {
    const link = await listen(cleanup, node);
    const [a, b] = [new Echo(), new Echo()];
    dial(cleanup, signer, link.port, a);
    await link.ask(MASTER, bytes('1'));
    const standby = dial(cleanup, other, link.port, b);
    await expect.poll(() => standby.state).toBe('standby');
    expect(link.activeSigner).toBe('a');
    expect(link.standbys).toEqual(['b']);
    link.promote('b');
    await link.ask(MASTER, bytes('2'));
    expect(standby.state).toBe('up');
    expect([a.asked, b.asked]).toEqual([['0:1'], ['0:2']]);
  });

  it('refuses the others where the configuration says so', async () => {
    const link = await listen(cleanup, node, { otherSigners: 'refuse' });
    dial(cleanup, signer, link.port, new Echo());
    await link.ask(MASTER, bytes('1'));
    dial(cleanup, other, link.port, new Echo());
    await expect.poll(() => other.names()).toContain('link-down');
    expect(other.events.at(-1)!.facts.reason).toBe('refused');
    expect(link.standbys).toEqual([]);
  });

  it('gives the place of a signer whose key is revoked to the one that stands by', async () => {
    const link = await listen(cleanup, node);
    dial(cleanup, signer, link.port, new Echo());
    await link.ask(MASTER, bytes('1'));
    const handler = new Echo();
    const standby = dial(cleanup, other, link.port, handler);
    await expect.poll(() => standby.state).toBe('standby');
    node.pins.revoke('a');
    await link.ask(MASTER, bytes('2'));
    expect(handler.asked).toEqual(['0:2']);
    expect(link.activeSigner).toBe('b');
  });

  it('waits for a signer that is promoted before it has come', async () => {
    const link = await listen(cleanup, node);
    link.promote('b');
    const first = new Echo();
    const standby = dial(cleanup, signer, link.port, first);
    await expect.poll(() => standby.state).toBe('standby');
    const handler = new Echo();
    dial(cleanup, other, link.port, handler);
    await link.ask(MASTER, bytes('1'));
    expect([first.asked, handler.asked]).toEqual([[], ['0:1']]);
    link.promote('b');
    expect(link.state).toBe('up');
  });

  it('are told apart, with the time since when they are connected', async () => {
    const link = await listen(cleanup, node);
    const before = Math.floor(Date.now() / 1000);
    dial(cleanup, signer, link.port, new Echo());
    await link.ask(MASTER, bytes('1'));
    dial(cleanup, other, link.port, new Echo());
    await expect.poll(() => link.standbys).toEqual(['b']);
    expect(link.signers.map(({ name, role }) => `${name} ${role}`)).toEqual(['a active', 'b standby']);
    for (const { sinceSeconds, address } of link.signers) {
      expect(sinceSeconds).toBeGreaterThanOrEqual(before);
      expect(address).toMatch(/^127\.0\.0\.1/);
    }
  });
});

describe('the place of the one that has served', () => {
  it('is its own after a restart of the node side, whoever comes first', async () => {
    const first = await listen(cleanup, node);
    const away = dial(cleanup, signer, first.port, new Echo());
    await first.ask(MASTER, bytes('1'));
    away.close();
    await first.close();
    expect(PinStore.open(node.pins.path).active).toBe('a');
    const link = await listen(cleanup, node);
    const [a, b] = [new Echo(), new Echo()];
    const standby = dial(cleanup, other, link.port, b);
    await expect.poll(() => standby.state).toBe('standby');
    const waiting = link.ask(MASTER, bytes('2'));
    dial(cleanup, signer, link.port, a);
    await waiting;
    expect([a.asked, b.asked]).toEqual([['0:2'], []]);
    expect(other.names()).not.toContain('link-up');
  });

  it('goes to another by the operator’s command, while it is away, and stays there', async () => {
    const link = await listen(cleanup, node);
    const a = dial(cleanup, signer, link.port, new Echo());
    await link.ask(MASTER, bytes('1'));
    a.close();
    await expect.poll(() => link.state).toBe('down');
    const b = new Echo();
    const standby = dial(cleanup, other, link.port, b);
    await expect.poll(() => standby.state).toBe('standby');
    // Another process: the command.
    PinStore.open(node.pins.path).activate('b');
    await link.ask(MASTER, bytes('2'));
    expect(b.asked).toEqual(['0:2']);
    expect(node.events.filter(({ event }) => event === 'link-promoted')).toMatchObject([
      { level: 'warn', text: 'b is the signer from now on' },
    ]);
    link.promote('a');
    await expect.poll(() => PinStore.open(node.pins.path).active).toBe('a');
  });

  it('is free when its key is revoked', () => {
    node.pins.activate('a');
    node.pins.revoke('b');
    expect(node.pins.active).toBe('a');
    node.pins.revoke('a');
    expect(node.pins.active).toBeNull();
    expect(() => node.pins.activate('a')).toThrow(/no key is pinned as a/);
    expect(() => node.pins.activateFirst('a')).toThrow(/no key is pinned as a/);
  });

  it('is not kept where the file cannot be written: it signs, and says so', async () => {
    const link = await listen(cleanup, node);
    // Some other process holds the lock for ever.
    mkdirSync(`${node.pins.path}.lock`);
    dial(cleanup, signer, link.port, new Echo());
    await link.ask(MASTER, bytes('1'));
    expect(node.events.find(({ event }) => event === 'link-place-not-kept')).toMatchObject({
      level: 'warn',
      facts: { code: 'link-file' },
    });
  });
});

describe('a signer that does not answer INIT', () => {
  const greet: NodeSideOptions['greet'] = async (ask) => void (await ask(MASTER, bytes('init')));
  const limits = { ...QUICK, greetingMs: 250 };
  const isMute = ({ event }: { readonly event: string }): boolean => event === 'link-mute';

  function mute(): Echo {
    const echo = new Echo();
    echo.answer = () => new Promise<LinkAnswer>(() => {});
    return echo;
  }

  it('gives way to the one that stands by, and stands by itself', async () => {
    // It is late when the other one is there, however long that takes.
    const late: (() => void)[] = [];
    const clock: LinkClock = {
      ...systemClock,
      after: (delayMs, run) => {
        if (delayMs !== limits.greetingMs) return systemClock.after(delayMs, run);
        late.push(run);
        return () => {};
      },
    };
    const link = await listen(cleanup, node, { greet, limits, clock });
    const waiting = link.ask(MASTER, bytes('1'));
    const [a, b] = [mute(), new Echo()];
    const first = dial(cleanup, signer, link.port, a);
    await expect.poll(() => link.activeSigner).toBe('a');
    expect(link.signers).toMatchObject([{ name: 'a', role: 'greeted' }]);
    dial(cleanup, other, link.port, b);
    await expect.poll(() => link.standbys).toEqual(['b']);
    late[0]?.();
    await waiting;
    expect(b.asked).toEqual(['0:init', '0:1']);
    await expect.poll(() => first.state).toBe('standby');
    expect(a.asked).toEqual(['0:init']);
    expect(node.events.filter(isMute)).toMatchObject([
      { level: 'warn', text: 'a did not answer INIT within 0.25 s: b is asked instead' },
    ]);
    expect(signer.events.map(({ facts }) => facts.reason)).toContain('mute');
    expect(node.pins.active).toBe('b');
  });

  it('is asked again when it comes again, if there is nobody else', async () => {
    const link = await listen(cleanup, node, { greet, limits });
    const echo = mute();
    const waiting = link.ask(MASTER, bytes('1'));
    dial(cleanup, signer, link.port, echo);
    await expect.poll(() => node.events.some(isMute)).toBe(true);
    expect(node.events.find(isMute)!.text).toMatch(/within 0.25 s: no other signer is connected$/);
    echo.answer = async (_client, body) => ({ kind: 'reply', body });
    expect(text(((await waiting) as { body: Uint8Array }).body)).toBe('1');
  });

  it('keeps its place if it has served before: the other may not know what it has signed', async () => {
    const link = await listen(cleanup, node, { greet, limits });
    const before = dial(cleanup, signer, link.port, new Echo());
    await link.ask(MASTER, bytes('1'));
    before.close();
    const b = new Echo();
    const standby = dial(cleanup, other, link.port, b);
    await expect.poll(() => standby.state).toBe('standby');
    const seen = node.events.length;
    const muted = () => node.events.slice(seen).filter(isMute);
    const waiting = link.ask(MASTER, bytes('2'));
    const again = mute();
    dial(cleanup, signer, link.port, again);
    await expect.poll(() => muted().length).toBeGreaterThan(1);
    expect(muted()[0]!.text).toMatch(
      /a did not answer INIT within 0.25 s: b stands by, and takes its place only by "countersign link promote"/,
    );
    expect(b.asked).toEqual([]);
    PinStore.open(node.pins.path).activate('b');
    await waiting;
    // On a busy machine it is late with INIT, too, and asked again.
    expect([...new Set(b.asked)]).toEqual(['0:init', '0:2']);
  });

  it('that is refused gives way too, unless it has served', async () => {
    let refused = 0;
    const link = await listen(cleanup, node, {
      greet: async (_ask, name) => {
        if (name !== 'a') return;
        refused += 1;
        throw new Error('another node id');
      },
    });
    dial(cleanup, signer, link.port, new Echo());
    await expect.poll(() => refused).toBeGreaterThan(1);
    const b = new Echo();
    const waiting = link.ask(MASTER, bytes('1'));
    dial(cleanup, other, link.port, b);
    await waiting;
    expect(b.asked).toEqual(['0:1']);
  });
});
