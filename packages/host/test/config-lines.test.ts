/** Where each key of a file stands, whatever way of writing it TOML has. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { linesOf, type Path } from '../src/config/lines.ts';

const at = (text: string, path: Path): number => linesOf(text)(path);

describe('the line of a key', () => {
  it.each<[string, string, Path, number]>([
    ['in a table', '# x\n[a]\n\nb = 1', ['a', 'b'], 4],
    ['dotted', 'a.b.c = 1\na.b.d = 2', ['a', 'b', 'd'], 2],
    ['dotted in a table', '[a]\nb.c = 1', ['a', 'b', 'c'], 2],
    ['in quotes', '["a"]\n\'b\' = 1\n"c d" = 2', ['a', 'c d'], 3],
    ['with dots in quotes', '[a."x.y"]\nb = 1', ['a', 'x.y', 'b'], 2],
    ['with blanks around its dots', '[ a . b ]\nc . d = 1', ['a', 'b', 'c', 'd'], 2],
    ['in an inline table', 'a = { b = 1, c = { d = 2 } }\ne = 1', ['a', 'c', 'd'], 1],
    ['after an inline table', 'a = { b = 1 }\ne = 1', ['e'], 2],
    ['in an inline table of several lines', 'a = {\n b = 1,\n c = 2,\n}\ne = 1', ['a', 'c'], 3],
    ['after a list', 'a = [\n 1,\n 2\n]\nb = 1', ['b'], 5],
    ['in a list', 'a = [\n "x", # one\n\n "y",\n]', ['a', 1], 4],
    ['in a list of lists', 'a = [[1],\n[2, 3]]', ['a', 1, 1], 2],
    ['in the second of several tables', '[[a]]\nb = 1\n[[a]]\nb = 2', ['a', 1, 'b'], 4],
    ['after a text that looks like one', 'a = """\nb = 1\n"""\nb = 2', ['b'], 4],
    ['after a text with quotes at its end', 'a = """x"""""\nb = 2', ['b'], 2],
    ['after a literal text', "a = '''\n[b]\n\\'''\nb = 2", ['b'], 4],
    ['after an escaped quote', 'a = "\\"\\\\"\nb = 2', ['b'], 2],
    ['after a comment with brackets', '# [a]\n#b = 1\nb = 2 # b = 3', ['b'], 3],
    ['after a comment in a list', 'a = [ # ]\n1]\nb = 2', ['b'], 3],
    ['after Windows line ends', 'a = 1\r\n\r\nb = 2\r\n', ['b'], 3],
    ['after a byte order mark', '\ufeffa = 1\nb = 2', ['a'], 1],
    ['after a date', 'a = 2026-06-01 10:00:00\nb = 2', ['b'], 2],
    ['after an empty text', 'a = ""\nb = \'\'\nc = 1', ['c'], 3],
    ['after empty brackets', 'a = []\nb = {}\nc = 1', ['c'], 3],
  ])('%s', (_, text, path, line) => {
    expect(at(text, path)).toBe(line);
  });

  it('is that of what is around it, where it has none', () => {
    expect(at('a = 1\n[b]\nc = 1', ['b', 'd', 'e'])).toBe(2);
    expect(at('a = 1\n[b]\nc = 1', ['x'])).toBe(1);
    expect(at('a = 1\n[b.c]\nd = 1', ['b'])).toBe(2);
    expect(at('', [])).toBe(1);
  });

  it('ends for every text, TOML or not', () => {
    const part = fc.oneof(
      fc.constantFrom('[', ']', '[[', '{', '}', '=', ',', '"', "'", '"""', '\\', '\n', '#', '.', 'a'),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 30 }), (parts) => {
        expect(linesOf(parts.join(''))(['a'])).toBeGreaterThan(0);
      }),
      { numRuns: 1000 },
    );
  });
});
