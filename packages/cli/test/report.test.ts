import { describe, expect, it } from 'vitest';
import type { Verdict } from '../src/replay/compare.ts';
import type { Played, PlayResult } from '../src/replay/player.ts';
import { renderReport } from '../src/replay/render.ts';
import { isFaithful, makeReport, quantile, sentenceOf } from '../src/replay/report.ts';
import { COLOURED, chooseStyle, PLAIN, table, width, wrap } from '../src/terminal.ts';

function played(typeName: string, verdict: Verdict, answerUs = 10): Played {
  const expected = { kind: 'reply', body: new Uint8Array(2) } as const;
  const client = { id: 0, dbid: 0 };
  const request = new Uint8Array(2);
  const message = { seq: 0, client, type: 1, typeName, request, expected, opensClient: null, recordedUs: 5 };
  return { message, verdict, answerUs };
}

function result(of: readonly Played[], faults: readonly string[] = []): PlayResult {
  const recording = {
    scenario: 's',
    node: 'n',
    description: '',
    hsmSecret: new Uint8Array(),
    runs: [[]],
    exitStatus: 2,
  };
  return { recording, played: of, faults, statistics: [], playedMs: 1000 };
}

const REFUSED = { kind: 'refused', tag: 'policy-a', text: 'policy-a: not so [number=3]' } as const;
const OPTIONS = { style: PLAIN, columns: 80, explain: () => undefined };

describe('the report', () => {
  it('counts, groups refusals by tag, and measures identical replies only', () => {
    const report = makeReport('/hsmd', [
      result([
        played('A', { kind: 'identical' }, 10),
        played('A', { kind: 'identical' }, 30),
        played('A', REFUSED, 9_999),
      ]),
      result([played('B', REFUSED)]),
    ]);
    expect(report).toMatchObject({ requests: 4, identical: 2, refused: 2, mismatches: [], store: null });
    expect(report.refusals).toEqual([{ tag: 'policy-a', count: 2, sentences: ['not so'], where: ['s/n'] }]);
    expect(report.latencies).toEqual([{ type: 'A', count: 2, p50Us: 10, p99Us: 30, recordedP50Us: 5 }]);
    expect(isFaithful(report)).toBe(true);
  });

  it('is not faithful with one mismatch or one fault', () => {
    expect(isFaithful(makeReport('', [result([played('A', { kind: 'mismatch', what: 'x' })])]))).toBe(false);
    expect(isFaithful(makeReport('', [result([], ['wrong exit'])]))).toBe(false);
  });

  it('shows every tag with its sentence, and folds what fails for one reason', () => {
    const same = { kind: 'mismatch', what: 'not asked: it ended' } as const;
    const text = renderReport(
      makeReport('', [result([played('A', REFUSED), played('B', same), played('C', same)])]),
      OPTIONS,
    ).join('\n');
    expect(text).toMatch(/1 {2}policy-a\n +not so \(s\/n\)\n/);
    expect(text).not.toMatch(/number=3/);
    expect(text).toMatch(/message 0 B and 1 after it/);
    expect(text).toMatch(/Not faithful/);
  });

  it('tells what a rule is for before what was refused', () => {
    const report = makeReport('', [result([played('A', REFUSED)])]);
    const text = renderReport(report, { ...OPTIONS, explain: () => 'It must be so.' }).join('\n');
    expect(text).toMatch(/policy-a\n +It must be so\.\n +not so \(s\/n\)/);
  });

  it('adds up what the processes say about their stores', () => {
    const answers = [played('A', { kind: 'identical' }, 1_000_000)];
    const of = {
      ...result(answers),
      statistics: [
        { commits: 3, batches: 2, records: 9 },
        { commits: 1, batches: 1, records: 1 },
      ],
    };
    expect(makeReport('', [of]).store).toEqual({
      commits: 4,
      batches: 3,
      records: 10,
      commitsPerSecond: 4,
      batchesPerSecond: 3,
    });
  });

  it('keeps "temporary" and drops the facts of a refusal', () => {
    expect(sentenceOf('t', 't: later [a=1 b=2] (temporary: try again later)')).toBe(
      'later (temporary: try again later)',
    );
  });
});

describe('quantiles', () => {
  it('are nearest ranks', () => {
    const hundred = Array.from({ length: 100 }, (_, index) => index + 1);
    expect([quantile(hundred, 0.5), quantile(hundred, 0.99), quantile([7], 0.99), quantile([], 0.5)]).toEqual(
      [50, 99, 7, 0],
    );
  });
});

describe('the terminal', () => {
  it('has colour only on a terminal, without NO_COLOR and --no-color', () => {
    const facts = { isTerminal: true, noColorVariable: undefined, colorOption: true };
    expect(chooseStyle(facts)).toBe(COLOURED);
    expect(chooseStyle({ ...facts, noColorVariable: '' })).toBe(COLOURED);
    expect(chooseStyle({ ...facts, noColorVariable: '1' })).toBe(PLAIN);
    expect(chooseStyle({ ...facts, colorOption: false })).toBe(PLAIN);
    expect(chooseStyle({ ...facts, isTerminal: false })).toBe(PLAIN);
  });

  it('aligns columns whatever the colours', () => {
    const lines = table(
      [
        [COLOURED.red('ab'), '1'],
        ['a', '22'],
      ],
      ['left', 'right'],
    );
    expect(lines.map(width)).toEqual([6, 6]);
  });

  it('wraps at spaces', () => {
    expect(wrap('aa bb cc dddddddd e', 5)).toEqual(['aa bb', 'cc', 'dddddddd', 'e']);
  });
});
