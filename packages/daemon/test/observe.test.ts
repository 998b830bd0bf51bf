/** What the daemon tells of itself: a log without secrets, and what the process does to keep them in memory. */
import { describe, expect, it } from 'vitest';
import { LINES_PER_MINUTE_MAX, LimitedLines } from '../src/observe/limited.ts';
import { openLog } from '../src/observe/log.ts';
import { type NodeStanding, unreadiness } from '../src/observe/standing.ts';
import { type Hardening, hardenMemory } from '../src/process/memory.ts';

function written(level: 'info' | 'debug' = 'info') {
  const lines: string[] = [];
  const log = openLog(level, { write: (line) => void lines.push(line) });
  return { log, parsed: () => lines.map((line) => JSON.parse(line)), text: () => lines.join('') };
}

describe('the log', () => {
  it('is JSON, a line each, with level, time and node', () => {
    const { log, parsed } = written();
    log('info', 'started', { status: 0 });
    log.of('alice')('warn', 'refused', { tag: 'policy-x', isTrue: true });
    log('debug', 'too fine');
    expect(parsed()).toEqual([
      { level: 'info', time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/), status: 0, msg: 'started' },
      {
        level: 'warn',
        time: expect.any(String),
        node: 'alice',
        tag: 'policy-x',
        isTrue: true,
        msg: 'refused',
      },
    ]);
  });

  it('says what is finer only when asked to', () => {
    const { log, text } = written('debug');
    log('debug', 'fine');
    expect(text()).toMatch(/"msg":"fine"/);
  });

  it.each(['passphrase', 'secret', 'seed', 'mnemonic', 'words', 'privkey', 'privateKey', 'key', 'body'])(
    'strikes out a field named %s, wherever it slipped in',
    (name) => {
      const { log, text } = written();
      const slipped = { [name]: 'abandon abandon about', nested: { [name]: 'abandon abandon about' } };
      log('error', 'broken', slipped as never);
      log.of('alice')('error', 'broken', slipped as never);
      expect(text()).not.toMatch(/abandon/);
      expect(text().match(/\[secret\]/g)).toHaveLength(4);
    },
  );

  it('keeps a line a line, and not endless', () => {
    const { log, text, parsed } = written();
    log('info', `one\ntwo${'x'.repeat(100_000)}`);
    expect(text().trimEnd().split('\n')).toHaveLength(1);
    expect(parsed()[0].msg).toHaveLength(8192);
  });
});

describe('lines that a node can cause', () => {
  it('are a few in a minute, and the rest is counted', () => {
    let nowMs = 5;
    const lines = new LimitedLines(() => nowMs);
    const written: string[] = [];
    const one = (name: string): void =>
      lines.line(
        () => void written.push(name),
        (more) => void written.push(`${more} more`),
      );
    for (let i = 0; i < LINES_PER_MINUTE_MAX + 7; i++) one('a');
    expect(written).toEqual(Array(LINES_PER_MINUTE_MAX).fill('a'));
    written.length = 0;
    nowMs += 59_999;
    one('b');
    expect(written).toEqual([]);
    nowMs += 1;
    one('c');
    expect(written).toEqual(['8 more', 'c']);
    nowMs += 60_000;
    one('d');
    expect(written).toEqual(['8 more', 'c', 'd']);
  });
});

describe('readiness', () => {
  const ready: NodeStanding = {
    name: 'alice',
    failure: null,
    isStopping: false,
    isInitialized: true,
    link: 'up',
    inFlight: 0,
    journal: { commits: 0, batches: 0, pendingCommits: 0 },
    chain: null,
    deadlines: [],
    alarms: [],
  };

  it.each([
    [{}, []],
    [{ isStopping: true }, ['it is stopping']],
    [{ link: 'down' }, ['it is not connected to its node']],
    [{ link: 'standby' }, ['another signer is active']],
    [{ link: 'closed' }, ['its link is closed']],
    [
      { link: 'none', isInitialized: false },
      ['it is not paired with a node', 'no node has introduced itself'],
    ],
    [{ failure: { code: 'store-io', message: 'gone' } }, ['its store failed: gone (store-io)']],
  ] as const)('%j: %j', (changed, why) => {
    expect(unreadiness({ ...ready, ...changed })).toEqual(why);
  });
});

interface Called {
  readonly name: string;
  readonly args: readonly unknown[];
}

/** A libc that answers as told, and remembers what it was asked. */
function fakeLibc(memlock: bigint, failing: readonly string[] = []) {
  const called: Called[] = [];
  const answer = (name: string, ...args: readonly unknown[]): number => {
    called.push({ name, args });
    return failing.includes(name) ? -1 : 0;
  };
  const libc = {
    mlockall: (flags: number) => answer('mlockall', flags),
    getrlimit: (resource: number, limit: Uint8Array) => {
      new DataView(limit.buffer).setBigUint64(0, memlock, true);
      return answer('getrlimit', resource);
    },
    setrlimit: (resource: number, limit: Uint8Array) => answer('setrlimit', resource, [...limit]),
    prctl: (option: number, value: bigint) => answer('prctl', option, value),
  };
  const harden = (): Hardening => hardenMemory('linux', () => libc);
  return { harden, called };
}

const UNLIMITED = 0xffff_ffff_ffff_ffffn;

describe('memory', () => {
  it('is locked, and not dumped', () => {
    const { harden, called } = fakeLibc(UNLIMITED);
    expect(harden()).toEqual({ memoryLock: null, coreDumps: null });
    expect(called).toEqual([
      { name: 'getrlimit', args: [8] },
      { name: 'mlockall', args: [7] },
      { name: 'setrlimit', args: [4, Array(16).fill(0)] },
      { name: 'prctl', args: [4, 0n] },
    ]);
  });

  it('is not locked under a finite limit: a later allocation would end the process', () => {
    const { harden, called } = fakeLibc(8_388_608n);
    expect(harden()).toEqual({ memoryLock: expect.stringMatching(/LimitMEMLOCK=infinity/), coreDumps: null });
    expect(called.map(({ name }) => name)).not.toContain('mlockall');
  });

  it.each([
    ['getrlimit', { memoryLock: expect.stringMatching(/cannot be read/), coreDumps: null }],
    ['mlockall', { memoryLock: expect.stringMatching(/kernel refused/), coreDumps: null }],
    ['setrlimit', { memoryLock: null, coreDumps: expect.stringMatching(/kernel refused/) }],
    ['prctl', { memoryLock: null, coreDumps: expect.stringMatching(/kernel refused/) }],
  ])('where %s fails is told', (name, hardening) => {
    expect(fakeLibc(UNLIMITED, [name]).harden()).toEqual(hardening);
  });

  it('elsewhere than on Linux, or without libc, is told', () => {
    expect(hardenMemory('darwin').memoryLock).toBe('not on darwin');
    const broken = hardenMemory('linux', () => {
      throw new Error('no such library');
    });
    expect(broken).toEqual({
      memoryLock: 'libc cannot be called: no such library',
      coreDumps: 'libc cannot be called: no such library',
    });
  });
});
