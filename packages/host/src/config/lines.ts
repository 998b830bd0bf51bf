/**
 * On which line each key and each element of a list stands. The text is TOML that the parser has accepted already, so
 * this only walks it: strings, comments and brackets, nothing is judged.
 */

export type Path = readonly (string | number)[];

/** The line of a path, or of the nearest thing around it that has one; 1 for the document. */
export type LineOf = (path: Path) => number;

export function linesOf(text: string): LineOf {
  const lines = new Walker(text).walk();
  return (path) => {
    for (let length = path.length; length > 0; length--) {
      const line = lines.get(JSON.stringify(path.slice(0, length)));
      if (line !== undefined) return line;
    }
    return 1;
  };
}

const MULTI_LINE = ['"""', "'''"] as const;

class Walker {
  readonly #text: string;
  readonly #lines = new Map<string, number>();
  /** How many tables `[[name]]` has begun, by its path. */
  readonly #counts = new Map<string, number>();
  #position = 0;
  #line = 1;

  constructor(text: string) {
    this.#text = text;
  }

  walk(): ReadonlyMap<string, number> {
    let table: Path = [];
    for (;;) {
      this.#skipBlank();
      if (this.#position >= this.#text.length) return this.#lines;
      if (this.#peek() === '[') table = this.#header();
      else this.#assignment(table);
    }
  }

  #peek(): string {
    return this.#text[this.#position] ?? '';
  }

  #step(count = 1): void {
    for (let i = 0; i < count; i++) {
      if (this.#peek() === '\n') this.#line += 1;
      this.#position += 1;
    }
  }

  /** Blanks, line ends, comments and a byte order mark. */
  #skipBlank(): void {
    for (;;) {
      const char = this.#peek();
      if (char === '#') this.#skipTo('\n');
      else if (char !== '' && /[\s\ufeff]/.test(char)) this.#step();
      else return;
    }
  }

  #skipTo(end: string): void {
    while (this.#position < this.#text.length && this.#peek() !== end) this.#step();
  }

  /** What stands first for a path counts: a table may be opened by its first sub-table. */
  #record(path: Path): void {
    for (let length = 1; length <= path.length; length++) {
      const key = JSON.stringify(path.slice(0, length));
      if (!this.#lines.has(key)) this.#lines.set(key, this.#line);
    }
  }

  #header(): Path {
    const isList = this.#text.startsWith('[[', this.#position);
    this.#step(isList ? 2 : 1);
    const path = this.#key();
    this.#record(path);
    this.#step(isList ? 2 : 1);
    if (!isList) return path;
    const name = JSON.stringify(path);
    const index = this.#counts.get(name) ?? 0;
    this.#counts.set(name, index + 1);
    this.#record([...path, index]);
    return [...path, index];
  }

  #assignment(table: Path): void {
    const path = [...table, ...this.#key()];
    this.#record(path);
    this.#step();
    this.#value(path);
  }

  /** Dotted, bare or quoted; ends before `=` or `]`. */
  #key(): string[] {
    const parts: string[] = [];
    for (;;) {
      this.#skipBlank();
      const char = this.#peek();
      if (char === '"' || char === "'") parts.push(this.#quoted());
      else parts.push(this.#bare(/[\s.=\]]/));
      this.#skipBlank();
      if (this.#peek() !== '.') return parts;
      this.#step();
    }
  }

  #bare(end: RegExp): string {
    const begin = this.#position;
    while (this.#position < this.#text.length && !end.test(this.#peek())) this.#step();
    return this.#text.slice(begin, this.#position);
  }

  /** A string with its escapes as they stand: no known name has one. */
  #quoted(): string {
    const quote = this.#peek();
    const multi = MULTI_LINE.find((one) => this.#text.startsWith(one, this.#position));
    const mark = multi ?? quote;
    this.#step(mark.length);
    const begin = this.#position;
    while (this.#position < this.#text.length && !this.#text.startsWith(mark, this.#position)) {
      this.#step(quote === '"' && this.#peek() === '\\' ? 2 : 1);
    }
    const content = this.#text.slice(begin, this.#position);
    this.#step(mark.length);
    // `""""` ends a string whose last character is a quote.
    while (multi !== undefined && this.#peek() === quote) this.#step();
    return content;
  }

  #value(path: Path): void {
    this.#skipBlank();
    const char = this.#peek();
    if (char === '"' || char === "'") this.#quoted();
    else if (char === '[') this.#list(path);
    else if (char === '{') this.#inlineTable(path);
    else {
      this.#step();
      this.#bare(/[\n,#\]}]/);
    }
  }

  #list(path: Path): void {
    this.#step();
    for (let index = 0; ; index++) {
      this.#skipBlank();
      if (this.#closes(']')) return;
      this.#record([...path, index]);
      this.#value([...path, index]);
      this.#skipBlank();
      if (this.#peek() === ',') this.#step();
    }
  }

  #inlineTable(path: Path): void {
    this.#step();
    for (;;) {
      this.#skipBlank();
      if (this.#closes('}')) return;
      this.#assignment(path);
      this.#skipBlank();
      if (this.#peek() === ',') this.#step();
    }
  }

  /** At the end of a list or table, or of the text. */
  #closes(end: string): boolean {
    if (this.#position >= this.#text.length) return true;
    if (this.#peek() !== end) return false;
    this.#step();
    return true;
  }
}
