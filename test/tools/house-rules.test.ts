/** The house rules: each is broken once. What must not be written here is put together from pieces. */
import { describe, expect, it } from 'vitest';
import { checkHouse, SOURCE_LINES_MAX } from '../../tools/house-rules.ts';

const SOURCE = 'packages/core/src/x.ts';
const judge = (path: string, text: string) => checkHouse({ path, text }).map(({ line }) => line);
const inSource = (text: string) => judge(SOURCE, `/** What it is. */\n${text}\n`);
const join = (...parts: string[]) => parts.join('');

describe('everywhere', () => {
  it.each([
    join('/ro', 'ot/x'),
    join('(/wo', 'rk/main)'),
    join('"/ho', 'me/alice"'),
    join('/Us', 'ers/alice'),
    join('regis', 'try.example.org'),
    join('"reso', 'lved": "https://example.org/x.tgz"'),
  ])('%s', (text) => {
    for (const path of ['README.md', 'package-lock.json', '.ci/run', 'test/x.ts'])
      expect(judge(path, `\n${text}\n`)).toEqual([2]);
  });

  it.each([
    join('~/wo', 'rk'),
    join('docs/wo', 'rk/x'),
    '/var/lib/x',
    '/usr/bin/node',
    'the registry.',
    '/tmp/x',
  ])('lets %s be', (text) => {
    expect(judge('README.md', text)).toEqual([]);
  });
});

describe('in TypeScript', () => {
  it.each([
    join('// @ts-', 'ignore'),
    join('// @ts-', 'expect-error'),
    join('// @ts-', 'nocheck'),
    join('// biome-', 'ignore lint: x'),
    join('// TO', 'DO: x'),
    join('/* FIX', 'ME */'),
    'let x: any;',
    'const x = y as any;',
    'const x: Map<string, any> = y;',
    'const x: Array<any> = y;',
    'type X = string | any;',
  ])('%s', (text) => {
    expect(inSource(text)).toEqual([2]);
    expect(judge('test/x.ts', `\n${text}`)).toEqual([2]);
  });

  it.each([
    "const x = 'as any';",
    '// as any of them',
    'Promise.any(x);',
    'const many: Company = x;',
    'f({ any: 1 });',
  ])('lets %s be', (text) => {
    expect(inSource(text)).toEqual([]);
  });

  it('asks package sources for a comment first', () => {
    expect(judge(SOURCE, "import { x } from './x.ts';\n")).toEqual([1]);
    expect(judge(SOURCE, '// What it is.\n')).toEqual([1]);
    expect(judge(SOURCE, '#!/usr/bin/env node\n/** What it is. */\n')).toEqual([]);
    expect(judge('packages/core/test/x.test.ts', "import { x } from './x.ts';\n")).toEqual([]);
  });

  it('bounds the length of package sources', () => {
    const lines = (count: number) => `/** What it is. */\n${'x();\n'.repeat(count - 1)}`;
    expect(judge(SOURCE, lines(SOURCE_LINES_MAX))).toEqual([]);
    expect(judge(SOURCE, lines(SOURCE_LINES_MAX + 1))).toEqual([SOURCE_LINES_MAX + 1]);
    expect(judge('test/x.ts', lines(SOURCE_LINES_MAX + 1))).toEqual([]);
  });
});
