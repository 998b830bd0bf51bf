/** The list of the public API: what it reads from sources, and that nothing public is without a word. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import * as core from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { DOORS, renderLibraryDocument } from '../../tools/library-document.ts';
import { exportsOf } from '../../tools/library-exports.ts';
import { REPOSITORY } from '../../tools/workspace.ts';

function inRepository<T>(files: Readonly<Record<string, string>>, body: (root: string) => T): T {
  const root = mkdtempSync(join(tmpdir(), 'countersign-exports-'));
  try {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(join(root, dirname(path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    return body(root);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

describe('what a file exports', () => {
  const files = {
    'packages/x/package.json': JSON.stringify({ imports: { '#y': { source: './src/y.ts' } } }),
    'packages/x/src/index.ts': [
      '/** The door. */',
      "export * from './a.ts';",
      "export { b, type C as D } from './b.ts';",
      "export { y } from '#y';",
      "export * from '@elsewhere/package';",
    ].join('\n'),
    'packages/x/src/a.ts': [
      '/** About the file. */',
      '',
      '/** Adds. Never throws. */',
      'export const add = (a: number) => a;',
      '/**',
      ' * A class: of its own.',
      ' */',
      'export class A {}',
      'export interface Bare {}',
      'const inner = 1;',
    ].join('\n'),
    'packages/x/src/b.ts':
      '/** Is b | c, e.g. this. */\nexport function b() {}\n/** Is C */\nexport type C = 1;\nexport const no = 1;',
    'packages/x/src/y.ts': '/** Y */\nexport const y = 1;',
  };

  it('through doors, stars, renames and names of the package’s own', () => {
    const found = inRepository(files, (root) => [...exportsOf(root, 'packages/x/src/index.ts').values()]);
    expect(found.map(({ name, kind, summary }) => `${name} ${kind} ${summary}`).sort()).toEqual(
      [
        'A class A class: of its own',
        'Bare type ',
        'D type Is C',
        'add function Adds',
        'b function Is b \\| c, e.g. this',
        'y value Y',
      ].sort(),
    );
  });
});

describe('the public API', () => {
  it.each(DOORS.filter(({ isDescribed }) => isDescribed))('$name: every name has a word', ({ entry }) => {
    const all = [...exportsOf(REPOSITORY, entry).values()];
    expect(all.length).toBeGreaterThan(0);
    expect(all.filter(({ summary }) => summary === '').map(({ name, file }) => `${file}: ${name}`)).toEqual(
      [],
    );
  });

  it('is what the package really exports', () => {
    const listed = [...exportsOf(REPOSITORY, 'packages/core/src/index.ts').values()];
    const values = listed.filter(({ kind }) => kind !== 'type').map(({ name }) => name);
    expect(values.sort()).toEqual(Object.keys(core).sort());
  });

  it('has a page, with every door', () => {
    const page = renderLibraryDocument();
    for (const { name } of DOORS) expect(page).toContain(`\n## ${name}\n`);
  });
});

describe('the guide for wallet developers', () => {
  it('shows code that compiles', () => {
    const guide = readFileSync(join(REPOSITORY, 'docs/library.md'), 'utf8');
    const blocks = [...guide.matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1]!);
    expect(blocks.length).toBeGreaterThanOrEqual(2);
    // Within the repository, so that its packages are found.
    const directory = join(REPOSITORY, 'node_modules/.cache/library-guide');
    mkdirSync(directory, { recursive: true });
    const files = blocks.map((code, i) => {
      writeFileSync(join(directory, `${i}.ts`), `${GIVEN}${code}\nexport {};\n`);
      return `./${i}.ts`;
    });
    const compilerOptions = { noUnusedLocals: false, incremental: false };
    const config = { extends: '../../../tsconfig.tests.json', compilerOptions, include: [], files };
    writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify(config));
    const tsc = join(REPOSITORY, 'node_modules/.bin/tsc');
    let said = '';
    try {
      execFileSync(tsc, ['-p', directory, '--tsBuildInfoFile', 'null'], { encoding: 'utf8' });
    } catch (error) {
      said = String(Reflect.get(error as object, 'stdout'));
    }
    expect(said).toBe('');
  });
});

/** What the text around the code speaks of. */
const GIVEN = `
import type { ClientIdentity } from '@countersign/core';
import type { Request } from '@countersign/wire';
declare const hsmSecretFile: Uint8Array;
declare const isFirstStart: boolean;
declare const client: ClientIdentity;
declare const request: Request;
declare function show(tag: string, message: string): void;
`;
