/**
 * What a package exports by one of its doors, read from its sources: each name, what it is, and the first sentence of what its
 * author says of it. For the list of the public API in the docs, and for the test that nothing public is without a word.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export type ExportKind = 'function' | 'class' | 'value' | 'type';

export interface PublicExport {
  readonly name: string;
  readonly kind: ExportKind;
  /** Empty where the author says nothing. */
  readonly summary: string;
  /** From the repository's root. */
  readonly file: string;
}

const DECLARATION =
  /^export (?:declare )?(?:abstract )?(?:async )?(function\*?|const|let|class|interface|type|enum) (\w+)([^\n]*)/gm;
const ALL_FROM = /^export (?:type )?\* from '([^']+)';/gm;
const SOME_FROM = /^export (type )?\{([^}]*)\}(?: from '([^']+)')?;/gm;
const COMMENT_BEFORE = /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*$/;

/** Everything `file` exports, its own and what it passes on, by name. */
export function exportsOf(repository: string, file: string): ReadonlyMap<string, PublicExport> {
  const text = readFileSync(join(repository, file), 'utf8');
  const found = new Map<string, PublicExport>();
  const add = (one: PublicExport): void => {
    found.set(one.name, one);
  };
  for (const one of declared(text, file)) add(one);
  for (const match of text.matchAll(ALL_FROM)) {
    const from = resolveFrom(repository, file, match[1]!);
    if (from !== null) for (const one of exportsOf(repository, from).values()) add(one);
  }
  for (const [, isType, names, specifier] of text.matchAll(SOME_FROM)) {
    const from = specifier === undefined ? file : resolveFrom(repository, file, specifier);
    for (const [local, name, type] of namesIn(names!)) {
      const kind = isType !== undefined || type ? 'type' : 'value';
      const known = from === null || from === file ? undefined : exportsOf(repository, from).get(local);
      add(known === undefined ? { name, kind, summary: '', file } : { ...known, name });
    }
  }
  return found;
}

function declared(text: string, file: string): PublicExport[] {
  return [...text.matchAll(DECLARATION)].map((match) => {
    const [, keyword, name, rest] = match;
    return {
      name: name!,
      kind: kindOf(keyword!, rest!, text, match.index),
      summary: summaryBefore(text, match.index),
      file,
    };
  });
}

function kindOf(keyword: string, rest: string, text: string, at: number): ExportKind {
  if (keyword.startsWith('function')) return 'function';
  if (keyword === 'class') return 'class';
  if (keyword === 'interface' || keyword === 'type') return 'type';
  // An arrow function, also where its parameters go over several lines.
  const head = text.slice(at, at + 400);
  return / = (?:async )?\(/.test(rest) && /=>/.test(head) ? 'function' : 'value';
}

function summaryBefore(text: string, at: number): string {
  const comment = COMMENT_BEFORE.exec(text.slice(0, at));
  if (comment === null) return '';
  const isFileHeader = text.slice(0, comment.index).trim() === '' || text.startsWith('#!');
  // The comment at the top is about the file, unless nothing stands between.
  if (isFileHeader && /\n\s*\n/.test(text.slice(comment.index + comment[0].trimEnd().length, at))) return '';
  const words = comment[1]!
    .split('\n')
    .map((line) => line.replace(/^\s*\*? ?/, ''))
    .join(' ')
    .replace(/\s+/g, ' ')
    .trim();
  const end = /[.:](?= [A-Z`(@]|$)/.exec(
    words.replace(/\b(?:e\.g|i\.e|cf)\./g, (short) => short.replaceAll('.', '·')),
  );
  const sentence = end === null ? words : words.slice(0, end.index + 1);
  return sentence.replace(/[.:]$/, '').replaceAll('|', '\\|');
}

/** `a as b, type C` as triples: the name there, the name here, whether it is a type. */
function namesIn(list: string): (readonly [string, string, boolean])[] {
  return list
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map((part) => {
      const isType = part.startsWith('type ');
      const [local = '', name = local] = part.replace(/^type /, '').split(/ as /);
      return [local, name, isType] as const;
    });
}

/** A file of the same package; null for what another package gives. */
function resolveFrom(repository: string, file: string, specifier: string): string | null {
  if (specifier.startsWith('.')) return join(dirname(file), specifier);
  if (!specifier.startsWith('#')) return null;
  const root = file.split('/').slice(0, 2).join('/');
  const manifest = JSON.parse(readFileSync(join(repository, root, 'package.json'), 'utf8')) as {
    readonly imports?: Readonly<Record<string, { readonly source?: string }>>;
  };
  const source = manifest.imports?.[specifier]?.source;
  const path = source === undefined ? null : join(root, source);
  return path !== null && existsSync(join(repository, path)) ? path : null;
}
