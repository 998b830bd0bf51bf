/** Blanking comments and strings: what the checks read must keep every line, and hide nothing that is code. */
import { describe, expect, it } from 'vitest';
import { findImports, packageOf } from '../../tools/imports.ts';
import { lineAt, readSourceText } from '../../tools/source-text.ts';

/** A template's insertion is written `#{` here. */
const code = (source: string) => readSourceText(source.replaceAll('#', '$')).code.replace(/\s+/g, ' ').trim();

describe('readSourceText', () => {
  it('keeps the length and the lines', () => {
    const source = 'a; // b\n/* c\n d */ e; `f\n#{g}\n` + "h";\n'.replaceAll('#', '$');
    const { code, withoutComments } = readSourceText(source);
    for (const text of [code, withoutComments]) {
      expect(text.length).toBe(source.length);
      expect([...text.matchAll(/\n/g)].map((m) => m.index)).toEqual(
        [...source.matchAll(/\n/g)].map((m) => m.index),
      );
    }
  });

  it.each([
    ['one(); // two()', 'one();'],
    ['one(); /* two() */ three();', 'one(); three();'],
    ['one(\'two()\', "three()")', 'one( , )'],
    ["one('it\\'s two()'); three()", 'one( ); three()'],
    ['one(`two() #{three()} four()`)', 'one( three() )'],
    ['one(`#{`#{two()}` + `}`}`); three()', 'one( two() + ); three()'],
    ['one(`#{{ a: { b: 2 } }.a}`); two()', 'one( { a: { b: 2 } }.a ); two()'],
    ['a / b; // c', 'a / b;'],
    ['a / b / two()', 'a / b / two()'],
    ['x = /["\'`]/.test(y); two()', 'x = .test(y); two()'],
    ['return /[/"]/.test(y); two()', 'return .test(y); two()'],
    ["const url = 'https://example.org'; two()", 'const url = ; two()'],
    ['i++ / two()', 'i++ / two()'],
  ])('%s', (source, expected) => {
    expect(code(source)).toBe(expected);
  });

  it('ends with unfinished text', () => {
    for (const source of ["'a", '"a', '`a', '`a#{', '/* a', '/', '`a#{`b']) {
      const text = source.replaceAll('#', '$');
      expect(readSourceText(text).code.length).toBe(text.length);
    }
  });

  it('counts lines from 1', () => {
    expect([0, 1, 2, 3].map((offset) => lineAt('a\nb\nc', offset))).toEqual([1, 1, 2, 2]);
  });
});

describe('findImports', () => {
  const specifiers = (source: string) => findImports(source).map((one) => one.specifier);

  it('finds every form', () => {
    const source = [
      "import { a } from 'm1';",
      "import type { B } from 'm2';",
      "import 'm3';",
      "export * from 'm4';",
      "export { c } from 'm5';",
      "const d = await import('m6');",
      "const e: typeof import('m7') = createRequire(import.meta.url)('m8');",
      "const f = require('m9');",
      "import g, { h } from 'm10';",
      "import * as i from 'm11';",
      'import {\n  j,\n  k,\n} from "m12";',
      'const l = await import(name);',
    ].join('\n');
    const numbered = Array.from({ length: 12 }, (_, i) => `m${i + 1}`);
    expect(specifiers(source)).toEqual([...numbered, undefined]);
  });

  it('tells types from values', () => {
    const [mixed, types] = findImports("import { type A, b as c } from 'm'; import type { D } from 'n';");
    expect(mixed?.names).toEqual([
      { name: 'A', isType: true },
      { name: 'b', isType: false },
    ]);
    expect(types?.names).toEqual([{ name: 'D', isType: true }]);
  });

  it('takes no function of another name for an import', () => {
    expect(specifiers("require(holds, 'what'); a.import('x'); reimport('y'); x.require('z')")).toEqual([]);
  });

  it('names the package of a specifier', () => {
    expect(['a', 'a/b', '@a/b', '@a/b/c'].map(packageOf)).toEqual(['a', 'a', '@a/b', '@a/b']);
  });
});
