/**
 * [policy.rules] and the `rules` of an override: tags, or prefixes ending in `*`, with a severity. Only soft rules can be
 * set. An exact tag goes before a prefix, a longer prefix before a shorter one, wherever they stand.
 */
import type { Rule, Severity } from '@countersign/core';
import type { Path } from './lines.ts';
import { nearest, shorten } from './nearest.ts';
import { check, faultAt, type Source } from './reader.ts';
import { severity } from './schema.ts';

export interface RuleSettings {
  readonly severities: ReadonlyMap<string, Severity>;
  /** By tag, the line that set it. */
  readonly places: ReadonlyMap<string, number>;
}

export function readRules(
  source: Source,
  place: Path,
  table: Record<string, unknown>,
  rules: readonly Rule[],
): RuleSettings {
  const severities = new Map<string, Severity>();
  const places = new Map<string, number>();
  const byPrecedence = Object.entries(table).sort(([a], [b]) => precedence(b) - precedence(a));
  for (const [name, value] of byPrecedence) {
    const path = [...place, name];
    const set = check(source, severity, value, path);
    for (const { tag } of rulesOf(source, path, name, set, rules)) {
      if (severities.has(tag)) continue;
      severities.set(tag, set);
      places.set(tag, source.lineOf(path));
    }
  }
  return { severities, places };
}

const precedence = (name: string): number => (name.endsWith('*') ? name.length : Number.POSITIVE_INFINITY);

function rulesOf(
  source: Source,
  path: Path,
  name: string,
  set: Severity,
  rules: readonly Rule[],
): readonly Rule[] {
  if (name.endsWith('*')) return rulesWithPrefix(source, path, name, set, rules);
  const rule = rules.find(({ tag }) => tag === name);
  if (rule === undefined) throw faultAt(source, path, unknownTag(name, rules));
  if (rule.severity === 'hard') {
    const why = 'nothing else would stop what it stops, so it always refuses and no line here changes that';
    throw faultAt(source, path, `"${name}" is a hard rule: ${why}`);
  }
  if (rule.severity === 'approver') {
    const why =
      'what it stops passes once it is approved; [approvals] and [allowlist] say what is approved unasked';
    throw faultAt(source, path, `"${name}" is not set to a severity: ${why}`);
  }
  if (set === 'off' && rule.presets === undefined) {
    const why = 'only optional rules can be off; "warn" lets the request pass and records it';
    throw faultAt(source, path, `"${name}" is "off": ${why}`);
  }
  return [rule];
}

/** Optional rules are set by their exact tags only: a prefix must not switch them on by accident. */
function rulesWithPrefix(
  source: Source,
  path: Path,
  name: string,
  set: Severity,
  rules: readonly Rule[],
): readonly Rule[] {
  if (set === 'off') {
    throw faultAt(
      source,
      path,
      `"${shorten(name)}" is "off": only an optional rule can be, by its exact tag`,
    );
  }
  const prefix = name.slice(0, -1);
  const matching = rules.filter(({ tag }) => tag.startsWith(prefix));
  const soft = matching.filter(({ severity, presets }) => severity === 'soft' && presets === undefined);
  if (soft.length > 0) return soft;
  if (matching.length > 0) {
    throw faultAt(source, path, `"${name}": no rule of this prefix can be set: ${reasons(matching)}`);
  }
  const starts = rules.map(({ tag }) => tag.slice(0, prefix.length));
  const near = nearest(prefix, [...new Set(starts)]);
  const hint = near === null ? 'docs/policies.md lists them' : `did you mean "${near}*"?`;
  throw faultAt(source, path, `no rule begins with "${shorten(prefix)}"; ${hint}`);
}

function reasons(matching: readonly Rule[]): string {
  const kinds = new Set(matching.map((rule) => (rule.severity === 'soft' ? 'optional' : rule.severity)));
  const words = { hard: 'hard', approver: 'passed by approvals', optional: 'optional (use the exact tag)' };
  return `they are ${[...kinds].map((kind) => words[kind]).join(' or ')}`;
}

function unknownTag(name: string, rules: readonly Rule[]): string {
  const near = nearest(
    name,
    rules.map(({ tag }) => tag),
  );
  const hint = near === null ? 'docs/policies.md lists them' : `did you mean "${near}"?`;
  return `unknown rule "${shorten(name)}"; ${hint}`;
}
