/** `countersign chain` against a signer's socket that answers as the test says. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FakeBitcoind } from '../../chain/test/fake-bitcoind.ts';
import { afterTest, fileWith } from '../../chain/test/support.ts';
import {
  endAll,
  networkDirectory,
  removeDirectories,
  SECRET,
  serving,
} from '../../cln/test/hsmd-under-test.ts';
import { MinedChain } from '../../core/test/mined-chain.ts';
import { SignerAnswer } from '../src/admin/answer.ts';
import { progressLine } from '../src/commands/chain.ts';
import { runProgram } from '../src/index.ts';
import { PLAIN } from '../src/terminal.ts';

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
type Asked = { readonly op: string; readonly [key: string]: Json };

const servers: Server[] = [];
const directories: string[] = [];
let out = '';
let err = '';
let asked: Asked[] = [];

beforeEach(() => {
  [out, err, asked] = ['', '', []];
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += String(text);
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    err += String(text);
    return true;
  });
});
afterAll(removeDirectories);
afterEach(endAll);
afterEach(() => {
  vi.restoreAllMocks();
  Reflect.deleteProperty(process.stderr, 'isTTY');
  process.exitCode = undefined;
  for (const server of servers.splice(0)) server.close();
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

/** Gives the results in order, the last one again and again. */
function signer(...results: Json[]): string {
  const directory = mkdtempSync(join(tmpdir(), 'countersign-cli-'));
  directories.push(directory);
  const path = join(directory, 'admin.sock');
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.setEncoding('utf8').on('data', (line: string) => {
      const { v: _, id, ...request } = JSON.parse(line) as Asked;
      asked.push(request as Asked);
      const result = results.length > 1 ? results.shift() : results[0];
      socket.write(`${JSON.stringify({ v: 1, id, ok: true, result })}\n`);
    });
  }).listen(path);
  servers.push(server);
  return path;
}

async function run(...argv: string[]): Promise<number> {
  process.exitCode = undefined;
  const status = await runProgram(argv);
  process.exitCode = undefined;
  return status;
}

const CHANNEL = `${'02'.repeat(33)}/7`;
const HASH = `${'0'.repeat(12)}${'ab'.repeat(26)}`;
const tip = { heightBlocks: 900_123, hash: HASH, provenHeightBlocks: 900_123, birthdayHeightBlocks: 890_000 };
const follower = {
  source: 'bitcoind at 127.0.0.1:8332',
  sourceHeightBlocks: 900_123,
  problem: null,
  progress: null,
};
const well = {
  source: 'bitcoind',
  isFresh: true,
  lagSeconds: 340,
  tip,
  lockedBy: null,
  follower,
  deadlines: [],
  alarms: [],
};
const progress = {
  phase: 'headers',
  heightBlocks: 225_000,
  targetHeightBlocks: 900_000,
  fraction: 0.25,
  perSecond: 20_000,
  secondsLeft: 33.75,
};

describe('countersign chain status', () => {
  it('tells tip, proven blocks and source', async () => {
    expect(await run('chain', 'status', '--socket', signer(well))).toBe(0);
    expect(out).toBe(
      [
        'source  bitcoind at 127.0.0.1:8332, at height 900,123',
        `tip     900,123 ${HASH}`,
        'proven  from 890,000 to 900,123',
        'view    fresh, the last block 6 min ago',
        '',
      ].join('\n'),
    );
    expect(asked).toEqual([{ op: 'chain-status' }]);
  });

  it('tells it as JSON', async () => {
    expect(await run('chain', 'status', '--json', '--socket', signer(well))).toBe(0);
    expect(JSON.parse(out)).toEqual(well);
  });

  it('before the chain has begun, and without a source', async () => {
    const early = { ...well, isFresh: false, lagSeconds: null, tip: null };
    const unreached = { ...early, follower: { ...follower, sourceHeightBlocks: null } };
    expect(await run('chain', 'status', '--socket', signer(unreached))).toBe(1);
    expect(out).toContain('source  bitcoind at 127.0.0.1:8332, not reached yet\n');
    expect(out).toContain('tip     none yet: the chain has not begun\n');
    expect(out).toContain('view    not fresh\n');
    out = '';
    const none = { ...early, source: 'none', follower: null };
    expect(await run('chain', 'status', '--socket', signer(none))).toBe(0);
    expect(out).toBe('No source: see [chain] in docs/configuration.md.\n');
    out = '';
    const young = { ...well, source: 'node', follower: null, tip: { ...tip, provenHeightBlocks: 889_999 } };
    expect(await run('chain', 'status', '--socket', signer(young))).toBe(0);
    expect(out).toContain('source  the node, over node.sock\n');
    expect(out).toContain('proven  none yet\n');
  });

  it('with what is wrong, in a form fit for a terminal, and exit status 1', async () => {
    const problem = 'bitcoind at x cannot be reached: \u001b[31mno';
    const ill = {
      ...well,
      isFresh: false,
      follower: { ...follower, problem, progress },
      lockedBy: { forkHeightBlocks: 899_000, tipHash: HASH },
    };
    expect(await run('chain', 'status', '--socket', signer(ill))).toBe(1);
    expect(out).toContain('view     not fresh, the last block 6 min ago\n');
    expect(out).toContain('problem  bitcoind at x cannot be reached: \ufffd[31mno\n');
    expect(out).toContain(
      `headers ${'█'.repeat(8)}${'░'.repeat(24)}  25.0 %  225,000 of 900,000, about 34 s left\n`,
    );
    expect(out).toContain('LOCKED: a chain with more work replaces all blocks above height 899,000');
    expect(out).toContain(`countersign chain unlock ${HASH}\n`);
  });

  it('with alarms and deadlines', async () => {
    const channel = `${'02'.padEnd(66, '1')}/1`;
    const alarms = [
      { code: 'chain-silent', severity: 'warn', channel: null, message: 'no block for long' },
      { code: 'breach', severity: 'critical', channel, message: 'a revoked commitment' },
    ];
    const one = { channel, level: 'warn', what: 'penalty', amountMsat: '5000' };
    const deadlines = [
      { ...one, heightBlocks: 900_100, blocksLeft: -23, level: 'passed' },
      { ...one, heightBlocks: 901_123, blocksLeft: 1_000 },
    ];
    expect(await run('chain', 'status', '--socket', signer({ ...well, alarms: alarms.slice(0, 1) }))).toBe(0);
    out = '';
    expect(await run('chain', 'status', '--socket', signer({ ...well, alarms, deadlines }))).toBe(1);
    expect(out).toContain('Alarms:\n  warn: chain-silent: no block for long\n');
    expect(out).toContain(`  critical: breach: a revoked commitment (channel ${channel})\n`);
    expect(out).toContain(`Deadlines:\n  900,100    23 blocks ago  passed: penalty  5000 msat  ${channel}\n`);
    expect(out).toContain('  901,123  in 1,000 blocks  warn: penalty');
  });

  it('keeps what it knew when there is no source any more', async () => {
    expect(await run('chain', 'status', '--socket', signer({ ...well, source: 'none', follower: {} }))).toBe(
      0,
    );
    expect(out).toContain('source  none now: see [chain] in docs/configuration.md\n');
    expect(out).toContain('tip     900,123');
  });

  it('stays with --watch until the catch-up is over', async () => {
    const busy = { ...well, isFresh: false, follower: { ...follower, progress } };
    Object.defineProperty(process.stderr, 'isTTY', { value: true, configurable: true });
    expect(await run('chain', 'status', '--watch', '--socket', signer(busy, busy, well))).toBe(0);
    expect(asked).toHaveLength(4);
    expect(err).toContain('\r\u001b[2K');
    expect(err).toContain('225,000 of 900,000');
    expect(out).toContain('view    fresh');
  });

  it('does not stay when something keeps the catch-up from going on', async () => {
    const stuck = { ...well, isFresh: false, follower: { ...follower, progress, problem: 'gone' } };
    expect(await run('chain', 'status', '--watch', '--socket', signer(stuck))).toBe(1);
    expect(err).toBe('');
  });

  it('draws a bar for any fraction', () => {
    const line = (changed: object) =>
      progressLine(new SignerAnswer({ ...progress, ...changed }, 'test'), PLAIN);
    expect(line({ fraction: 7 })).toContain(`${'█'.repeat(32)} 100.0 %`);
    expect(line({ fraction: -1, secondsLeft: null })).toMatch(/░{32} {3}0\.0 % {2}225,000 of 900,000$/);
  });
});

describe('countersign chain unlock', () => {
  it('names the tip that the operator has looked at', async () => {
    const path = signer({ tipHash: HASH });
    expect(await run('chain', 'unlock', HASH.toUpperCase(), '--socket', path)).toBe(0);
    expect(asked).toEqual([{ op: 'chain-unlock', tip: HASH }]);
    expect(out).toBe(`Unlocked: the chain of ${HASH} is taken as soon as its headers come again.\n`);
    out = '';
    expect(await run('chain', 'unlock', HASH, '--json', '--socket', path)).toBe(0);
    expect(JSON.parse(out)).toEqual({ tipHash: HASH });
  });

  it('wants a hash', async () => {
    expect(await run('chain', 'unlock', 'yes', '--socket', '/nowhere')).toBe(2);
    expect(err).toContain('Give the hash of a block, 64 hex digits.');
    expect(await run('chain', 'unlock', '--socket', '/nowhere')).toBe(2);
  });
});

describe('countersign chain rescan', () => {
  it('begins at a height, or at the birthday', async () => {
    const path = signer({ fromHeightBlocks: 895_000, tipHeightBlocks: 900_123 });
    expect(await run('chain', 'rescan', '--from', '895000', '--socket', path)).toBe(0);
    expect(out).toContain('Reading blocks 895,000 to 900,123 again');
    expect(await run('chain', 'rescan', '--json', '--socket', path)).toBe(0);
    expect(asked).toEqual([
      { op: 'chain-rescan', fromHeightBlocks: 895_000 },
      { op: 'chain-rescan', fromHeightBlocks: null },
    ]);
    expect(await run('chain', 'rescan', '--from', '-1', '--socket', path)).toBe(2);
  });
});

describe('a running signer', () => {
  it('tells its chain, reads it again, and unlocks nothing that is not locked', async () => {
    const chain = new MinedChain();
    chain.extendBy(30);
    const fake = await FakeBitcoind.start(chain);
    afterTest(() => fake.stop());
    const toml = `[chain]\nsource = "bitcoind"\nurl = "${fake.url.href}"\ncookie_file = "${fileWith(fake.cookie)}"\nbirthday_height = 10\npoll_seconds = 1\n`;
    const directory = networkDirectory({ hsm_secret: SECRET, 'countersign.toml': toml });
    await serving({ directory });
    const at = ['--state-directory', join(directory, 'countersign')];
    const status = async () => {
      out = '';
      await run('chain', 'status', '--json', ...at);
      return JSON.parse(out);
    };
    while ((await status()).tip?.provenHeightBlocks !== 30);
    out = '';
    expect(await run('chain', 'status', ...at)).toBe(0);
    expect(out).toContain('proven  from 10 to 30');
    expect(out).toContain(`source  bitcoind at ${fake.url.host}, at height 30`);
    const { tip } = await status();
    expect(await run('chain', 'unlock', tip.hash, ...at)).toBe(1);
    fake.calls = [];
    expect(await run('chain', 'rescan', '--from', '20', ...at)).toBe(0);
    while ((await status()).tip?.provenHeightBlocks !== 30);
    expect(fake.calls.filter((method) => method === 'getblock').length).toBeGreaterThanOrEqual(11);
  });
});

describe('countersign channel close', () => {
  const plan = { channel: CHANNEL, remedies: [], remediesMore: 0, unclaimed: [], unclaimedMore: 0 };

  it('asks the signer nothing until it is meant', async () => {
    const socket = signer(plan);
    expect(await run('channel', 'close', CHANNEL, '--socket', socket)).not.toBe(0);
    expect(err).toContain("required option '--yes' not specified");
    expect(asked).toEqual([]);
  });

  it('ends the channel and shows what is published', async () => {
    const socket = signer(plan);
    expect(await run('channel', 'close', CHANNEL, '--yes', '--socket', socket)).toBe(0);
    expect(asked).toEqual([{ op: 'channel-close', channel: CHANNEL }]);
    expect(out).toBe(`Ended: ${CHANNEL}\nNothing to publish.\n`);
  });
});
