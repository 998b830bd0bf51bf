/** A file of the link on a disk that takes only part of a write at a time: it is whole, or it is the old one. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { readPrivateFile, writePrivateFile } from '../../src/link/private-file.ts';

/** What the next writes take, in bytes; then as many as there are. */
const takes: number[] = [];

vi.mock('node:fs', async (original) => {
  const real = await original<typeof import('node:fs')>();
  const writeSync = (descriptor: number, content: string | Uint8Array, at = 0): number => {
    const bytes = Buffer.from(content).subarray(at);
    return real.writeSync(descriptor, bytes, 0, Math.min(takes.shift() ?? bytes.length, bytes.length));
  };
  return { ...real, writeSync };
});

const directory = mkdtempSync(join(tmpdir(), 'link-file-'));
afterEach(() => rmSync(directory, { recursive: true, force: true }));

it('writes on until all of it is there', () => {
  const path = join(directory, 'pins.json');
  takes.push(3, 1);
  writePrivateFile(path, '{ "a": "ä" }\n');
  expect(readFileSync(path, 'utf8')).toBe('{ "a": "ä" }\n');
  expect(readPrivateFile(path)).toBe('{ "a": "ä" }\n');
});
