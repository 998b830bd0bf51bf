/** The report: numbers that add up, a file that reads back to what was written, a page that nothing breaks out of. */
import type { Request } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import {
  addCoverage,
  clientWords,
  coverageCounts,
  coverageOf,
  NODE,
  outcomeWords,
  type Place,
  ReplayFileError,
  readReplay,
  replayOf,
  reportPage,
  requestWords,
  type Strategy,
  storyLine,
  storyOf,
  strategySteps,
  writeReplay,
} from '../../src/index.ts';
import { HOSTILE, RULES, RUN } from './sample-run.ts';

const page = (changed: Partial<typeof RUN> = {}): string =>
  reportPage({ ...RUN, ...changed }, { rules: RULES, subtitle: HOSTILE });

describe('coverage', () => {
  it('counts refusals by law, rule and operation, and names the rules that were never heard', () => {
    const { laws, granted, rules, rulesHeard } = coverageOf(RUN.coverage, RULES);
    expect([rules, rulesHeard]).toEqual([3, 2]);
    expect(laws.map(({ law, rows, silent }) => [law, rows.map(({ tag }) => tag), silent])).toEqual([
      ['1', ['policy-a', 'policy-b'], []],
      ['2', [], ['policy-c']],
      ['none', ['not-encodable'], []],
    ]);
    const [first, second] = laws[0]!.rows;
    expect(first).toMatchObject({ attacks: { cc: 12, rev: 2 }, honest: {}, total: 14 });
    expect(second).toMatchObject({ attacks: {}, honest: { rev: 1 }, total: 1 });
    expect(granted.find(({ operation }) => operation === 'cc')).toMatchObject({
      honest: 900,
      attacks: 3,
      refused: 12,
    });
  });

  it('adds up what the logs of several matches say', () => {
    const total = new Map<string, number>();
    const log = new Map([
      ['attack\thsmd_revoke_commitment_tx\tpolicy-a', 2],
      ['honest\thsmd_ecdh_req\tok', 1],
    ]);
    addCoverage(total, log);
    addCoverage(total, log);
    expect(coverageCounts(total)).toEqual([
      { intent: 'attack', request: 'hsmd_revoke_commitment_tx', outcome: 'policy-a', count: 4 },
      { intent: 'honest', request: 'hsmd_ecdh_req', outcome: 'ok', count: 2 },
    ]);
  });
});

describe('the replay file', () => {
  const replay = replayOf(RUN.setup, RUN.found!);

  it('reads back to what was written, with the seed of the world that was lost', () => {
    expect(replay.setup.seed).toBe(99);
    expect(readReplay(writeReplay(replay))).toEqual(replay);
    const empty = {
      setup: { ...RUN.setup, mutant: 'balance-believed', subject: 'process' as const },
      moves: [],
    };
    expect(readReplay(writeReplay(empty))).toEqual(empty);
  });

  it.each<[string, (file: Record<string, unknown>) => unknown]>([
    ['a list', () => []],
    ['null', () => null],
    ['another format', (file) => ({ ...file, format: 'x' })],
    ['another version', (file) => ({ ...file, version: 2 })],
    ['a field more', (file) => ({ ...file, more: 1 })],
    ['no seed', ({ seed: _, ...file }) => file],
    ['a seed that is no number', (file) => ({ ...file, seed: '7' })],
    ['a negative number', (file) => ({ ...file, channels: -1 })],
    ['a mutant that is a path', (file) => ({ ...file, mutant: '../x' })],
    ['no word for the signer', (file) => ({ ...file, subject: 'x' })],
    ['no word for honesty', (file) => ({ ...file, isHonest: 1 })],
    ['moves that are no list', (file) => ({ ...file, moves: {} })],
    ['a move that is too short', (file) => ({ ...file, moves: [['open', 1, 2, 3]] })],
    ['a move without a name', (file) => ({ ...file, moves: [[1, 1, 2, 3, 4]] })],
    ['a move with a fraction', (file) => ({ ...file, moves: [['open', 1, 2, 3, 4.5]] })],
  ])('refuses %s', (_, change) => {
    const file: Record<string, unknown> = JSON.parse(writeReplay(replay));
    expect(() => readReplay(JSON.stringify(change(file)))).toThrow(ReplayFileError);
  });

  it('refuses what is no JSON', () => {
    expect(() => readReplay('{')).toThrow(ReplayFileError);
  });
});

describe('the story', () => {
  it('tells the moves, the last requests and the strategy', () => {
    const story = storyOf(RUN);
    expect(story).toContain('seed 7, 5 channels: 2700 requests in 3 matches');
    expect(story).toContain('Theft of 249,500 sat, found after hsmd_revoke_commitment_tx');
    expect(story).toContain('world 99, cut down from 60');
    expect(story).toContain('1. forward (channel 1; 10, 0, 7)');
    expect(story).toContain('! 2645 (move 4) node:');
    expect(story).toContain(
      "- channel 3: ends with counterparty commitment 7; 412,000 sat of it are certainly the owner's",
    );
    expect(storyLine(RUN.found!)).toBe(
      'theft of 249,500 sat, found after hsmd_revoke_commitment_tx: open, forward',
    );
  });

  it('tells of a run without a finding, of a refusal, and of a dead signer', () => {
    expect(storyOf({ ...RUN, found: null })).toContain('lost nothing');
    const honest = { ...RUN.setup, isHonest: true, mutant: 'm' };
    expect(storyOf({ ...RUN, setup: honest, found: null })).toContain('mutant m: 2700 requests');
    const refusal = { step: 1, move: 0, request: 'hsmd_ecdh_req', tag: 'policy-a', message: 'because' };
    const found = { ...RUN.found!, finding: { kind: 'refusal', refusal } as const };
    expect(storyOf({ ...RUN, found })).toContain('An honest hsmd_ecdh_req was refused by policy-a');
    const endgame = {
      played: 'breach',
      expectedSat: 900,
      reachedSat: 100,
      missingSat: 800,
      blocks: 40,
      chosen: ['channel 1: its commitment 3'],
      refusedRescues: ['justice of channel 1: script'],
    };
    const short = { ...RUN.found!, finding: { kind: 'endgame', endgame } as const };
    expect(storyOf({ ...RUN, found: short })).toContain('800 sat were certain and never came');
    expect(storyOf({ ...RUN, found: short })).toContain('the chain refused justice of channel 1: script');
    expect(page({ found: short })).toContain('channel 1: its commitment 3');
    const dead = { ...RUN.found!, finding: { kind: 'crash', message: 'gone' } as const };
    expect(storyOf({ ...RUN, found: dead })).toContain('The signer did not survive: gone');
  });

  it('says of a request what a reader can use', () => {
    const request = {
      name: 'hsmd_validate_revocation',
      revokeNum: 5n,
      perCommitmentSecret: new Uint8Array(32).fill(0xab),
    } as Request;
    expect(requestWords(request)).toBe(
      'hsmd_validate_revocation: revokeNum 5, perCommitmentSecret abababababab…',
    );
    const commitment = {
      name: 'hsmd_sign_remote_commitment_tx',
      tx: { tx: { inputs: [1], outputs: [{ value: 330n }, { value: 5n }] } },
      htlcs: [{ side: 'local', amount: 1000n }],
    } as unknown as Request;
    expect(requestWords(commitment)).toBe(
      'hsmd_sign_remote_commitment_tx: tx of 1 in, 330 + 5 sat out, htlcs (local 1000 msat)',
    );
    expect(
      requestWords({ name: 'hsmd_preapprove_invoice', invstring: 'lnbcrt1'.padEnd(99, 'q') }),
    ).toHaveLength(60);
    expect(clientWords(NODE)).toBe('node');
    expect(clientWords({ channel: { peerId: new Uint8Array(33), dbid: 3n } })).toBe('channel 3');
    const refused = { kind: 'refused', tag: 't', message: 'm'.repeat(300), isTemporary: true } as const;
    expect(outcomeWords(refused)).toBe(`refused for now: ${'m'.repeat(160)}…`);
    expect(outcomeWords({ ...refused, message: 'm', isTemporary: false })).toBe('refused: m');
  });

  it('tells a strategy place by place, and leaves out what the attacker leaves alone', () => {
    const htlcs = [
      { hash: 'ab'.repeat(32), direction: 'offered', valueSat: 9, isOwnable: false, expiryBlocks: 220 },
    ] as const;
    const option = { name: 'silence', txid: null, directSat: 5, slackSat: 0, htlcs, tallies: new Map() };
    const coins: Place = { name: 'coins', channel: null, options: [{ ...option, name: 'kept', htlcs: [] }] };
    const strategy: Strategy = {
      wealthSat: 0,
      slackSat: 0,
      choices: [0, 0],
      reveals: new Map([['ab'.repeat(32), 220]]),
    };
    expect(
      strategySteps(strategy, [coins, { name: 'channel 1', channel: '02/1', options: [option] }]),
    ).toEqual([
      {
        where: 'channel 1',
        what: 'ends with silence, offered 9 sat until block 220 (abababababab), which the owner cannot take',
        ownerSat: 5,
      },
      {
        where: 'payment abababababab',
        what: 'its preimage is shown on the chain at block 220, the last moment',
        ownerSat: 0,
      },
    ]);
  });
});

describe('the page', () => {
  it('escapes everything that came from a run, and runs nothing', () => {
    const text = page();
    expect(text).not.toContain('<script');
    expect(text).toContain('&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;&amp;&#39;');
    expect(text).toContain("default-src 'none'");
    expect(text).not.toMatch(/(?:src|href)=/);
  });

  it('has the plot with its mark, the strategy, the coverage and the broken signers', () => {
    const text = page();
    expect(text).toContain('<svg class="plot"');
    expect(text).toContain('W falls');
    expect(text).not.toContain('NaN');
    expect(text).toContain('The strategy that steals');
    expect(text).toContain('2 of 3 rules refused something');
    expect(text).toContain('Never heard: <code>policy-c</code>');
    expect(text).toContain('1 of 2 were robbed');
    expect(text).toContain('silence means nothing here');
  });

  it('says first what matters: a theft, broken signers that survived, or that all is well', () => {
    expect(page()).toContain('<strong>Theft of 249,500 sat');
    expect(page({ found: null })).toContain('1 of 2 broken signers were not robbed');
    const [robbed] = RUN.mutants;
    expect(page({ found: null, mutants: [robbed!] })).toContain('All 1 broken signers were robbed');
    const honest = { ...RUN.setup, isHonest: true };
    expect(page({ found: null, mutants: [], setup: honest })).toContain('No honest request was refused.');
  });

  it('stands without a reading, with a single one, and with one level', () => {
    expect(page({ readings: [] })).toContain('No W was measured.');
    const one = { step: 0, wealthSat: 0, highSat: 0, agreedSat: 0 };
    expect(page({ readings: [one] })).not.toContain('NaN');
    expect(page({ readings: [one, { ...one, step: 1 }] })).not.toContain('NaN');
  });
});
