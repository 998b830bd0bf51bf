/**
 * TypeScript source as text to search: with its comments blanked, and with its strings blanked too. Every character
 * keeps its place, so an offset in either text is a line of the file.
 */

export interface SourceText {
  /** Comments are spaces; strings, templates and regular expressions stand. For reading imports. */
  readonly withoutComments: string;
  /** Only code is left. For reading identifiers. */
  readonly code: string;
}

type Kind = 'comment' | 'text';

interface Segment {
  readonly kind: Kind;
  readonly start: number;
  readonly end: number;
}

const COMMENT = /\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/y;
const STRING = /'(?:\\[\s\S]|[^'\\\n])*'?|"(?:\\[\s\S]|[^"\\\n])*"?/y;
/** From behind a backtick, or behind the brace that closes an insertion, to the next of either. */
const TEMPLATE = /(?:\\[\s\S]|\$(?!\{)|[^`\\$])*(?:`|\$\{|$)/y;
const REGULAR_EXPRESSION = /\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*/y;
/** What a regular expression can follow; after anything else a slash divides. */
const EXPRESSION_BEFORE =
  /(?:^|[([{,;=:?!&|*%<>~^]|(?<!\+)\+|(?<!-)-|\b(?:return|typeof|case|in|of|do|else|void|throw|await|yield))\s*$/;

function endOf(pattern: RegExp, source: string, at: number): number | undefined {
  pattern.lastIndex = at;
  return pattern.test(source) ? pattern.lastIndex : undefined;
}

function isExpressionBefore(source: string, at: number): boolean {
  return EXPRESSION_BEFORE.test(source.slice(Math.max(0, at - 200), at));
}

function findSegments(source: string): Segment[] {
  const segments: Segment[] = [];
  /** For each template that is open: how many braces are open inside its insertion. */
  const insertions: number[] = [];
  let at = 0;
  const take = (kind: Kind, end: number) => {
    segments.push({ kind, start: at, end });
    at = end;
  };
  const takeTemplate = () => {
    const end = endOf(TEMPLATE, source, at + 1) ?? source.length;
    if (source.startsWith('${', end - 2)) insertions.push(0);
    take('text', end);
  };
  while (at < source.length) {
    const char = source[at]!;
    const next = source[at + 1];
    const open = insertions.length - 1;
    if (char === '/' && (next === '/' || next === '*')) take('comment', endOf(COMMENT, source, at)!);
    else if (char === '"' || char === "'") take('text', endOf(STRING, source, at)!);
    else if (char === '`') takeTemplate();
    else if (char === '}' && insertions[open] === 0) {
      insertions.pop();
      takeTemplate();
    } else if (char === '/' && isExpressionBefore(source, at)) {
      take('text', endOf(REGULAR_EXPRESSION, source, at) ?? at + 1);
    } else {
      if (char === '{' && open >= 0) insertions[open]! += 1;
      if (char === '}' && open >= 0) insertions[open]! -= 1;
      at += 1;
    }
  }
  return segments;
}

function blank(source: string, segments: readonly Segment[]): string {
  let text = '';
  let at = 0;
  for (const { start, end } of segments) {
    text += source.slice(at, start) + source.slice(start, end).replace(/[^\n]/g, ' ');
    at = end;
  }
  return text + source.slice(at);
}

export function readSourceText(source: string): SourceText {
  const segments = findSegments(source);
  const withoutComments = blank(
    source,
    segments.filter(({ kind }) => kind === 'comment'),
  );
  return { withoutComments, code: blank(source, segments) };
}

/** 1 for the first line. */
export function lineAt(source: string, offset: number): number {
  return source.slice(0, offset).split('\n').length;
}
