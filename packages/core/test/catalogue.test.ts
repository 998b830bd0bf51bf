/** The registry against the catalogue of the specification: nothing missing, nothing weaker, nothing of unknown origin. */
import {
  allRules,
  defaultLimits,
  findRule,
  GUIDES,
  guideOf,
  type Limits,
  networkByName,
  type Rule,
} from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { ADDITIONS, CATALOGUE, type CatalogueEntry } from './catalogue.ts';

const registered = CATALOGUE.flatMap((entry): [CatalogueEntry, Rule][] => {
  const rule = findRule(entry.tag);
  return rule === undefined ? [] : [[entry, rule]];
});
const tagsWhere = (isWrong: (entry: CatalogueEntry, rule: Rule) => boolean): string[] =>
  registered.filter(([entry, rule]) => isWrong(entry, rule)).map(([{ tag }]) => tag);

describe('the catalogue', () => {
  it('names each tag once', () => {
    const tags = CATALOGUE.map(({ tag }) => tag);
    expect(tags.filter((tag, i) => tags.indexOf(tag) !== i)).toEqual([]);
    expect(tags).toHaveLength(110);
    for (const tag of tags) expect(tag).toMatch(/^policy-[a-z-]+[a-z]$/);
  });

  it('is registered, every tag of it', () => {
    expect(CATALOGUE.map(({ tag }) => tag).filter((tag) => findRule(tag) === undefined)).toEqual([]);
  });

  it('has the severity of every rule', () => {
    expect(tagsWhere((entry, rule) => rule.severity !== entry.severity)).toEqual([]);
  });

  it('says which rules the promise rests on', () => {
    expect(tagsWhere((entry, rule) => (rule.carriesPromise ?? false) !== entry.carriesPromise)).toEqual([]);
  });

  it('says which rules are optional, and which presets switch them on', () => {
    const isOther = ({ presets }: CatalogueEntry, rule: Rule) =>
      presets === undefined || rule.presets === undefined
        ? presets !== rule.presets
        : presets.toSorted().join() !== rule.presets.toSorted().join();
    expect(tagsWhere(isOther)).toEqual([]);
  });

  it('has every operation of it among the rule’s', () => {
    const isMissing = ({ operations }: CatalogueEntry, rule: Rule) =>
      !rule.operations.includes('all') && !operations.every((one) => rule.operations.includes(one));
    expect(tagsWhere(isMissing)).toEqual([]);
  });
});

describe('a registered rule', () => {
  it('stands in the catalogue, or is one of our own with a reason', () => {
    const known = new Set([...CATALOGUE.map(({ tag }) => tag), ...Object.keys(ADDITIONS)]);
    expect(
      allRules()
        .map(({ tag }) => tag)
        .filter((tag) => !known.has(tag)),
    ).toEqual([]);
    for (const reason of Object.values(ADDITIONS)) expect(reason.length).toBeGreaterThan(20);
  });

  it('has its guide for operators', () => {
    const tags = allRules().map(({ tag }) => tag);
    expect(tags.filter((tag) => guideOf(tag) === undefined)).toEqual([]);
  });

  it('that can be set to warn says whether it carries the promise only if it does', () => {
    const contradictory = allRules().filter(
      (rule) => rule.severity !== 'soft' && rule.carriesPromise === true,
    );
    expect(contradictory.map(({ tag }) => tag)).toEqual([]);
  });
});

describe('a guide', () => {
  const known = new Set([...CATALOGUE.map(({ tag }) => tag), ...Object.keys(ADDITIONS)]);

  it('is of a rule of the catalogue, and every rule of it has one', () => {
    expect(Object.keys(GUIDES).toSorted()).toEqual([...known].toSorted());
    expect(guideOf('policy-nothing')).toBeUndefined();
  });

  it.each(Object.entries(GUIDES))('of %s is in sentences', (_, { happened, means, todo }) => {
    for (const text of [happened, means, todo]) expect(text).toMatch(/^[A-Z‘“].{7,}\.$/s);
  });

  it('names every limit somewhere', () => {
    const named = new Set(Object.values(GUIDES).flatMap(({ limits = [] }) => limits));
    const limits = Object.keys(defaultLimits(networkByName('bitcoin')!));
    expect(limits.filter((name) => !named.has(name as keyof Limits))).toEqual([]);
  });

  it('says of the rules about fundings and heights that they wait for a view of the chain', () => {
    const waiting = Object.entries(GUIDES).filter(([, { needsChain }]) => needsChain === true);
    expect(waiting.map(([tag]) => tag).toSorted()).toEqual([
      'policy-channel-funding-onchain',
      'policy-commitment-htlc-cltv-range',
      'policy-commitment-htlc-received-spends-active-utxo',
      'policy-commitment-spends-active-utxo',
    ]);
  });
});
