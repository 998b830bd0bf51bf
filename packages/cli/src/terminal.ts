/**
 * Colours and columns for people. Colour only where it is wanted: on a terminal, without NO_COLOR (no-color.org) and
 * without --no-color.
 */

export interface Style {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly green: (text: string) => string;
  readonly yellow: (text: string) => string;
  readonly red: (text: string) => string;
  readonly cyan: (text: string) => string;
}

const RESET = '\u001b[0m';

function code(sequence: string): (text: string) => string {
  return (text) => `\u001b[${sequence}m${text}${RESET}`;
}

export const COLOURED: Style = {
  bold: code('1'),
  dim: code('2'),
  green: code('32'),
  yellow: code('33'),
  red: code('31'),
  cyan: code('36'),
};

const plain = (text: string): string => text;
export const PLAIN: Style = { bold: plain, dim: plain, green: plain, yellow: plain, red: plain, cyan: plain };

/** What colour depends on: never read from globals below the command line. */
export interface TerminalFacts {
  readonly isTerminal: boolean;
  readonly noColorVariable: string | undefined;
  readonly colorOption: boolean;
}

export function chooseStyle(facts: TerminalFacts): Style {
  const unwanted = facts.noColorVariable !== undefined && facts.noColorVariable !== '';
  return facts.isTerminal && facts.colorOption && !unwanted ? COLOURED : PLAIN;
}

const ESCAPES = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, 'g');

/** Columns that a text takes, colours not counted. */
export function width(text: string): number {
  return [...text.replace(ESCAPES, '')].length;
}

export function padEnd(text: string, columns: number): string {
  return text + ' '.repeat(Math.max(0, columns - width(text)));
}

export function padStart(text: string, columns: number): string {
  return ' '.repeat(Math.max(0, columns - width(text))) + text;
}

export type Alignment = 'left' | 'right';

/** Rows of cells as lines; a column is as wide as its widest cell. */
export function table(rows: readonly (readonly string[])[], alignments: readonly Alignment[]): string[] {
  const widths = alignments.map((_, column) => Math.max(0, ...rows.map((row) => width(row[column] ?? ''))));
  return rows.map((row) =>
    alignments
      .map((alignment, column) =>
        (alignment === 'left' ? padEnd : padStart)(row[column] ?? '', widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  );
}

/** 1234567 as 1,234,567. */
export function grouped(count: number): string {
  return count.toLocaleString('en-US');
}

/** A bar of `columns` cells, filled to `fraction`. */
export function bar(fraction: number, columns: number, style: Style): string {
  const filled = Math.round(Math.min(1, Math.max(0, fraction)) * columns);
  return style.cyan('█'.repeat(filled)) + style.dim('░'.repeat(columns - filled));
}

/** Break at spaces so that no line is longer than `columns`, unless a word is. */
export function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && width(line) + 1 + width(word) > columns) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  lines.push(line);
  return lines;
}

/** Characters that move the cursor, change colours or turn the direction of writing: an attacker's text may hold them. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** A text of unknown origin, fit for a terminal. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, '\ufffd');
}

/** Seconds since 1970 as people read them, in UTC. */
export function moment(seconds: number): string {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return `second ${seconds}`;
  return `${date.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}
