/** The direction of imports: each rule is broken once, and must say where. */
import { describe, expect, it } from 'vitest';
import { ARROWS, checkDependencies } from '../../tools/dependency-rules.ts';
import { readWorkspace } from '../../tools/workspace.ts';
import { type PackageFiles, VERSION, workspaceOf } from './workspace.ts';

const all = Object.fromEntries(Object.keys(ARROWS).map((name) => [`@countersign/${name}`, VERSION]));

/** Only what is said about imports and globals, with every dependency declared. */
function judge(directory: string, text: string, dependencies: PackageFiles['dependencies'] = {}): string[] {
  const workspace = workspaceOf({
    [directory]: { files: { 'a/b.ts': text }, dependencies: { ...all, ...dependencies } },
  });
  return checkDependencies(workspace)
    .filter(({ path }) => path === `packages/${directory}/src/a/b.ts`)
    .map(({ line, message }) => `${line}: ${message}`);
}

describe('arrows', () => {
  const names = Object.keys(ARROWS);
  const pairs = names.flatMap((from) => names.filter((to) => to !== from).map((to) => [from, to] as const));

  it.each(pairs)('%s → %s', (from, to) => {
    const found = judge(from, `\nimport { x } from '@countersign/${to}';`);
    expect(found).toEqual(ARROWS[from]!.includes(to) ? [] : [`2: ${from} may not import ${to}`]);
  });

  it('have no cycle', () => {
    const reach = (name: string): string[] => ARROWS[name]!.flatMap((next) => [next, ...reach(next)]);
    for (const name of names) expect(reach(name)).not.toContain(name);
  });

  it('bind types and re-exports too', () => {
    expect(judge('wire', "import type { X } from '@countersign/core';")).toHaveLength(1);
    expect(judge('wire', "export * from '@countersign/core';")).toHaveLength(1);
  });

  it('refuse a package that has no place', () => {
    const found = checkDependencies(workspaceOf({ attic: {} }));
    expect(found.map(({ message }) => message)).toEqual(['attic has no place in the table of packages']);
  });
});

describe('imports', () => {
  it.each([
    ["import { x } from '@countersign/bitcoin/src/x.ts';", /reaches into bitcoin/],
    ["import { x } from '@countersign/transport/deep';", /reaches into transport/],
    ["import { x } from '../../../wire/src/x.ts';", /outside of the package/],
    ["import { x } from '../../test/x.ts';", /outside of the package/],
    ["import { x } from './x.js';", /must end in \.ts/],
    ["import { x } from 'left-pad';", /left-pad is not among the dependencies/],
    ["import { x } from 'left-pad/deep';", /left-pad is not among the dependencies/],
    ["import 'left-pad';", /left-pad is not among the dependencies/],
    ["const x = await import('left-pad');", /left-pad is not among the dependencies/],
    ['const x = await import(name);', /cannot be checked/],
    ["import { readFileSync } from 'fs';", /write node:fs/],
  ])('%s', (text, message) => {
    const found = judge('host', text);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(message);
  });

  it('by a name of the package itself must be in its manifest', () => {
    const files = { 'a/b.ts': "import { digest } from '#hashing';" };
    const found = (imports: Record<string, string>) =>
      checkDependencies(workspaceOf({ bitcoin: { files, manifest: { imports } } })).map(
        ({ message }) => message,
      );
    expect(found({ '#hashing': './src/x.ts' })).toEqual([]);
    expect(found({})).toEqual(['#hashing is not among the imports of @countersign/bitcoin']);
  });

  it('pass when declared, near and below', () => {
    const text = [
      "import { readFileSync } from 'node:fs';",
      "import { x } from 'left-pad/deep';",
      "import { y } from '../y.ts';",
      "import { z } from '@countersign/transport/grpc';",
      "// import { z } from 'nowhere';",
    ].join('\n');
    expect(judge('host', text, { 'left-pad': '1.0.0' })).toEqual([]);
  });
});

describe('purity', () => {
  it.each([
    "import { readFileSync } from 'node:fs';",
    "import { connect } from 'node:net';",
    "import { spawn } from 'node:child_process';",
    "import { randomBytes } from 'node:crypto';",
    "import { pbkdf2Sync } from 'node:crypto';",
    "import * as c from 'node:crypto';",
    "import 'node:fs';",
    "const fs = await import('node:fs');",
    'const now = Date.now();',
    'const now = new Date();',
    'const now = performance.now();',
    'const x = Math.random();',
    'const x = process.env.X;',
    'setTimeout(() => {}, 1);',
    'const x = globalThis.fetch;',
    'crypto.getRandomValues(bytes);',
    'console.log(1);',
    'const x = { now: Date.now };',
  ])('core: %s', (text) => {
    const found = judge('core', `${text}\n`);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(/^1: core is pure/);
    expect(judge('host', text)).toEqual([]);
  });

  it('keeps what runs in browsers free of Node', () => {
    const text = "import { createHash } from 'node:crypto';";
    expect(judge('bitcoin', text)).toEqual(['1: bitcoin runs in browsers: no createHash of node:crypto']);
    expect(judge('bitcoin', "import 'node:fs';")).toHaveLength(1);
    expect(judge('bitcoin', "import type { Hash } from 'node:crypto';")).toEqual([]);
    const native = { bitcoin: { files: { 'platform/native.ts': text } } };
    expect(checkDependencies(workspaceOf(native))).toEqual([]);
  });

  it('lets names, comments and texts be', () => {
    const text = [
      "import type { Stats } from 'node:fs';",
      '// Date.now() would be wrong here',
      "const text = 'process.exit';",
      'const facts = { process: 1, console: 2 };',
      'const x = facts.process + this.performance.now + updateDate + Math.max(1, 2);',
    ].join('\n');
    expect(judge('core', text)).toEqual([]);
  });
});

describe('manifests', () => {
  const messages = (packages: Readonly<Record<string, PackageFiles>>, root = {}) =>
    checkDependencies(workspaceOf(packages, root)).map(({ path, message }) => `${path}: ${message}`);

  it.each([
    '^1.0.0',
    '~1.0.0',
    '1.0',
    '1',
    '*',
    'latest',
    '>=1.0.0',
    '1.0.0 || 2.0.0',
    'file:../x',
    'workspace:*',
  ])('refuse the version %s', (version) => {
    expect(messages({ bitcoin: { dependencies: { x: version } } })).toEqual([
      `packages/bitcoin/package.json: x is not pinned exactly: "${version}"`,
    ]);
    for (const table of ['dependencies', 'devDependencies', 'optionalDependencies', 'peerDependencies'])
      expect(messages({}, { [table]: { x: version } })).toHaveLength(1);
  });

  it('take exact versions', () => {
    expect(messages({ bitcoin: { dependencies: { x: '1.2.3', y: '0.1.2-0' } } })).toEqual([]);
  });

  it('refuse an arrow that points up, and another version of a sibling', () => {
    expect(messages({ bitcoin: { dependencies: { '@countersign/wire': VERSION } }, wire: {} })).toEqual([
      'packages/bitcoin/package.json: bitcoin may not depend on wire',
    ]);
    expect(messages({ wire: { dependencies: { '@countersign/bitcoin': '9.9.9' } }, bitcoin: {} })).toEqual([
      'packages/wire/package.json: @countersign/bitcoin is 0.1.0, not 9.9.9',
    ]);
  });

  it('refuse a foreign name', () => {
    expect(messages({ wire: { manifest: { name: 'wire' } } })).toEqual([
      'packages/wire/package.json: the name must be @countersign/wire',
    ]);
  });
});

describe('this repository', () => {
  it('is read', () => {
    const { packages } = readWorkspace();
    expect(packages.map((one) => one.directory)).toEqual(Object.keys(ARROWS).sort());
    for (const { directory, sources } of packages) {
      expect(sources.map(({ path }) => path)).toContain(`packages/${directory}/src/index.ts`);
    }
  });
});
