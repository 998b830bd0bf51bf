/**
 * House rules that a machine can check cheaply, as pure functions from a file's text to violations. What needs
 * judgement is left to people.
 */
import { lineAt, readSourceText } from './source-text.ts';
import type { SourceFile, Violation } from './workspace.ts';

export const SOURCE_LINES_MAX = 400;

interface Pattern {
  readonly pattern: RegExp;
  readonly message: string;
}

/** In every text file. A file that must name one of these spells it so that it does not match itself. */
const EVERYWHERE: readonly Pattern[] = [
  {
    pattern: /(?<![\w.-])\/(?:root|work)\/[\w.]|(?<![\w.-])\/(?:home|Users)\/\w/g,
    message: 'a path of one machine',
  },
  { pattern: /\bregistry\.[a-z0-9-]+\.[a-z]{2,}|"resolved": "https?:/g, message: 'a package registry host' },
];

/** In TypeScript with its comments. */
const IN_SCRIPTS: readonly Pattern[] = [
  { pattern: /@ts-(?:ignore|expect-error|nocheck)\b/g, message: 'the type checker is switched off' },
  { pattern: /\bbiome-ignore\b/g, message: 'the linter is switched off' },
  { pattern: /\b(?:TO[D]O|FI[X]ME|XX[X])\b/g, message: 'left for later' },
];

/** In TypeScript without comments and strings. */
const IN_CODE: readonly Pattern[] = [
  { pattern: /(?::|\bas|[<|,&])\s*any\b(?!\s*[:(])/g, message: 'the type any' },
];

const PACKAGE_SOURCE = /^packages\/[^/]+\/src\//;

function search(file: SourceFile, text: string, patterns: readonly Pattern[]): Violation[] {
  return patterns.flatMap(({ pattern, message }) =>
    [...text.matchAll(pattern)].map((match) => ({
      path: file.path,
      line: lineAt(text, match.index),
      message: `${message}: ${match[0].trim()}`,
    })),
  );
}

function checkPackageSource({ path, text }: SourceFile): Violation[] {
  const found: Violation[] = [];
  const lines = text.trimEnd().split('\n').length;
  if (lines > SOURCE_LINES_MAX)
    found.push({ path, line: lines, message: `${lines} lines, at most ${SOURCE_LINES_MAX}` });
  if (!/^(?:#!.*\n)?\/\*\*/.test(text))
    found.push({ path, line: 1, message: 'does not begin with a comment that says what it is' });
  return found;
}

export function checkHouse(file: SourceFile): Violation[] {
  const everywhere = search(file, file.text, EVERYWHERE);
  if (!file.path.endsWith('.ts')) return everywhere;
  return [
    ...everywhere,
    ...search(file, file.text, IN_SCRIPTS),
    ...search(file, readSourceText(file.text).code, IN_CODE),
    ...(PACKAGE_SOURCE.test(file.path) ? checkPackageSource(file) : []),
  ];
}
