/**
 * Every registered rule has a test that trips exactly it and one that passes just inside. The tests are found by
 * their names in the sources of this folder.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { allRules, findRule } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { rule } from '../src/policy/registry.ts';

const folder = fileURLToPath(new URL('.', import.meta.url));
const sources = readdirSync(folder)
  .filter((name) => name.endsWith('.test.ts') && name !== 'every-rule.test.ts')
  .map((name) => readFileSync(`${folder}${name}`, 'utf8'))
  .join('\n');

/** A test's name begins with the tag: in quotes, right after it() or it.each(…)(. */
const isTested = (tag: string, verb: 'trips' | 'passes') =>
  new RegExp(`['"\`]${tag}: ${verb} [^'"\`]`).test(sources);

describe('every registered rule', () => {
  const tags = allRules().map(({ tag }) => tag);

  it('exists', () => {
    expect(tags.length).toBeGreaterThan(20);
  });
  it.each(tags)('%s has a test that trips it', (tag) => {
    expect(isTested(tag, 'trips')).toBe(true);
  });
  it.each(tags)('%s has a test that passes', (tag) => {
    expect(isTested(tag, 'passes')).toBe(true);
  });
  it('is named by every test that is named like a rule', () => {
    const named = [...sources.matchAll(/['"`](policy-[a-z0-9-]+): (?:trips|passes) /g)].map(
      (match) => match[1]!,
    );
    expect(named.length).toBeGreaterThan(100);
    for (const tag of named) expect(findRule(tag)?.tag, tag).toBe(tag);
  });
});

describe('the registry', () => {
  it('is in the order of the tags, each once, with operations and documentation', () => {
    const rules = allRules();
    const tags = rules.map(({ tag }) => tag);
    expect(tags).toEqual([...new Set(tags)].sort());
    for (const { tag, operations, documentation } of rules) {
      expect(tag).toMatch(/^policy-[a-z0-9-]+$/);
      expect(operations.length, tag).toBeGreaterThan(0);
      expect(documentation, tag).toMatch(/^.{40,}\.$/s);
    }
  });
  it('refuses a tag twice', () => {
    const [first] = allRules();
    expect(() => rule(first!)).toThrow('registered twice');
    expect(findRule('policy-nothing')).toBeUndefined();
  });
});
