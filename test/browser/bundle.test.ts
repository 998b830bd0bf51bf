/**
 * What is said to run in browsers does not need Node.js, not even for what a page never calls; and a page that uses a part
 * does not carry the rest.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { allRules } from '@countersign/core';
import { beforeAll, describe, expect, it } from 'vitest';
import { readSourceText } from '../../tools/source-text.ts';
import { REPOSITORY } from '../../tools/workspace.ts';
import { type BundledFile, bundle } from './bundle.ts';
import { findChromium, NO_CHROMIUM } from './chromium.ts';

const MODULES = /["'`]node:[a-z_/]+["'`]|__vite-browser-external/;
const GLOBALS =
  /(?<![\w$.])(?:Buffer|setImmediate|__dirname|__filename)\b|(?<![\w$.])(?:process\s*[.[]|require\s*\()/;
/**
 * Looks for Node.js before it takes what browsers have: libsodium's own build, loaded for old encrypted files only, and the
 * bundler's loader of WebAssembly, which is with tiny-secp256k1.
 */
const ASKS_FIRST = /^assets\/(?:libsodium|lib-)/;

const textOf = ({ content }: BundledFile): string => (typeof content === 'string' ? content : '');

describe('without Node.js', () => {
  let files: readonly BundledFile[];
  beforeAll(async () => {
    files = await bundle('test/browser/everything.ts', { build: { minify: false } });
  });

  it('nothing of it is in the bundle', () => {
    const scripts = files.filter(({ name }) => name.endsWith('.js') && !ASKS_FIRST.test(name));
    expect(scripts.length).toBeGreaterThan(0);
    const found = scripts.flatMap((file) => {
      const { code, withoutComments } = readSourceText(textOf(file));
      return [MODULES.exec(withoutComments), GLOBALS.exec(code)].flatMap((match) =>
        match === null ? [] : [`${file.name}: ${match.input.slice(match.index - 60, match.index + 60)}`],
      );
    });
    expect(found).toEqual([]);
  });

  it('the native curve is not, and the one of WebAssembly is', () => {
    expect(files.some(({ name }) => name.endsWith('.wasm'))).toBe(true);
    const all = files.map(textOf).join('');
    expect(all).not.toContain('secp256k1/bindings');
    expect(all).toContain('there is no native libsecp256k1 in a browser');
    expect(all).not.toContain('elliptic');
  });
});

describe('tree shaking', () => {
  const cases: readonly (readonly [string, string, number])[] = [
    ['a hash', "export { sha256 } from '@countersign/bitcoin';", 6],
    ['an address', "export { addressToScript } from '@countersign/bitcoin';", 12],
    ['reading messages', "export { decodeMessage } from '@countersign/wire';", 25],
    ['an error', "export { StoreError } from '@countersign/store/contract';", 2],
    ['a key ring', "export { KeyRing } from '@countersign/core';", 60],
    ['deciding', "export { decide } from '@countersign/core';", 100],
  ];

  it.each(cases)('%s', async (what, text, kilobytesMax) => {
    const path = `node_modules/.cache/shaken-${what.replaceAll(' ', '-')}.ts`;
    writeFileSync(join(REPOSITORY, path), text);
    const files = await bundle(path);
    const bytes = files.reduce((sum, { content }) => sum + gzipSync(content).length, 0);
    expect(bytes).toBeLessThan(kilobytesMax * 1000);
    expect(bytes).toBeGreaterThan(50);
  });
});

describe('the rules', () => {
  it('are all there, whatever a program uses of core: registering is a side effect', async () => {
    const path = 'node_modules/.cache/shaken-rules.ts';
    writeFileSync(join(REPOSITORY, path), "export { allRules } from '@countersign/core';");
    const files = await bundle(path);
    const output = join(REPOSITORY, 'node_modules/.cache/shaken-rules.mjs');
    expect(files.map(({ name }) => name)).toEqual(['entry.js']);
    writeFileSync(output, files[0]!.content);
    const bundled = (await import(pathToFileURL(output).href)) as { allRules: typeof allRules };
    expect(bundled.allRules().map(({ tag }) => tag)).toEqual(allRules().map(({ tag }) => tag));
  });
});

describe('the browser of these tests', () => {
  it('is the one that is named, else the first that is there', () => {
    expect(findChromium({ CHROMIUM: '/opt/own' }, (path) => path === '/opt/own')).toBe('/opt/own');
    expect(findChromium({}, (path) => path === '/usr/bin/google-chrome')).toBe('/usr/bin/google-chrome');
  });

  it('must be installed: nothing is skipped', () => {
    expect(() => findChromium({}, () => false)).toThrow(NO_CHROMIUM);
    expect(() => findChromium({}, () => false)).toThrow(/Debian package chromium/);
    expect(() => findChromium({ CHROMIUM: '/nowhere' }, () => false)).toThrow(/there is no \/nowhere/);
  });
});
