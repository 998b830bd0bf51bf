import { describe, expect, it } from 'vitest';
import { mutationDocument, survivors } from '../../tools/mutation/report.ts';
import { collect, collectedTests, it as declare, describe as suite } from '../../tools/mutation/test-api.ts';
import { TestOrder } from '../../tools/mutation/test-order.ts';

describe('the order in which tests meet a mutant', () => {
  const order = () =>
    new TestOrder(
      new Map([
        ['q#quick', 1],
        ['m#middling', 10],
        ['m#neighbour', 10],
        ['s#slow', 100],
      ]),
    );
  const all = ['s#slow', 'm#middling', 'q#quick'];

  it('is by time at first, within the budget', () => {
    expect(order().forMutant('a.ts', all, 1000)).toEqual(['q#quick', 'm#middling', 's#slow']);
    expect(order().forMutant('a.ts', all, 22)).toEqual(['q#quick', 'm#middling']);
    expect(order().forMutant('a.ts', all, 10)).toEqual(['q#quick']);
  });

  it('has one test at least', () => {
    expect(order().forMutant('a.ts', ['s#slow'], 10)).toEqual(['s#slow']);
  });

  it('begins with the test that noticed the last mutant of the file', () => {
    const learning = order();
    learning.record('a.ts', 's#slow', true);
    expect(learning.forMutant('a.ts', all, 1000)[0]).toBe('s#slow');
    expect(learning.forMutant('b.ts', all, 1000)[0]).toBe('q#quick');
  });

  it('puts a test that notices nothing behind one that does', () => {
    const learning = order();
    learning.record('a.ts', 'm#middling', true);
    learning.record('a.ts', 's#slow', true);
    for (let count = 0; count < 20; count += 1) learning.record('a.ts', 'q#quick', false);
    expect(learning.forMutant('a.ts', all, 1000)).toEqual(['s#slow', 'm#middling', 'q#quick']);
  });

  it('has tests of every file beside the most promising', () => {
    const names = ['a#1', 'a#2', 'a#3', 'a#4', 'b#1', 'b#2', 'c#1'];
    const learning = new TestOrder(new Map(names.map((name) => [name, 10])));
    for (const name of names.slice(0, 4)) learning.record('x.ts', name, true);
    expect(learning.forMutant('x.ts', names, 80)).toEqual(['a#4', 'a#1', 'a#2', 'a#3', 'b#1', 'c#1', 'b#2']);
    expect(learning.forMutant('x.ts', names, 40)).toEqual(['a#4', 'a#1', 'a#2', 'b#1']);
  });

  it('guesses what a test will notice by the others of its file', () => {
    const learning = order();
    for (let count = 0; count < 20; count += 1) {
      learning.record('a.ts', 'm#middling', true);
      learning.record('a.ts', 'q#quick', false);
    }
    learning.record('a.ts', 's#slow', true);
    expect(learning.forMutant('a.ts', ['s#slow', 'q#quick', 'm#neighbour'], 1000)).toEqual([
      's#slow',
      'm#neighbour',
      'q#quick',
    ]);
  });
});

describe('what collects tests', () => {
  it('names them by file, suites and row, and keeps equal names apart', async () => {
    const seen: unknown[] = [];
    await collect('some.test.ts', async () => {
      suite('outer', () => {
        suite.each([['a', 1] as const, ['b', 2] as const])('of %s', (_, value) => {
          declare('is seen', () => seen.push(value));
        });
        declare.each([3, 4])('a row of one', (value) => seen.push(value));
      });
    });
    expect(collectedTests().map(({ id }) => id)).toEqual([
      'some.test.ts#outer > of a > is seen',
      'some.test.ts#outer > of b > is seen',
      'some.test.ts#outer > a row of one',
      'some.test.ts#outer > a row of one (2)',
    ]);
    expect(seen).toEqual([]);
    for (const { body } of collectedTests()) body();
    expect(seen).toEqual([1, 2, 3, 4]);
  });
});

describe('what is read from a report', () => {
  const mutant = (status: string, line: number, column: number) => ({
    status,
    mutatorName: 'EqualityOperator',
    replacement: 'a <= b',
    location: { start: { line, column }, end: { line, column: column + 5 } },
  });
  const report = {
    files: {
      'packages/core/src/time/rules.ts': {
        source: 'if (a < b) c();\nif (d < e) f();\n',
        mutants: [mutant('Killed', 1, 5), mutant('Survived', 2, 5), mutant('Ignored', 1, 1)],
      },
      'packages/core/src/time/law.ts': { source: '', mutants: [mutant('Ignored', 1, 1)] },
    },
  };

  it('is the share of mutants noticed, by folder and file; files without any are not named', () => {
    const document = mutationDocument([{ folder: 'time', report }]);
    expect(document).toContain('| `time/` | 50.0 % | 1 | 1 | 0 | 2 |');
    expect(document).toContain('| `time/rules.ts` | 50.0 % | 1 | 1 | 0 | 1 |');
    expect(document).not.toContain('law.ts');
  });

  it('is the list of what survived, with the text that was changed', () => {
    expect(survivors(report)).toContain('2:5 Survived EqualityOperator: d < e -> a <= b');
    expect(survivors(report)).not.toContain('1:5');
  });
});
