/** The effective policy as text for a terminal or a log, and as JSON for programs. Both say the same. */
import type { Network, StateReader } from '@countersign/core';
import type { Config } from '../config/config.ts';
import {
  type EffectivePolicy,
  type EffectiveRule,
  type EffectiveValue,
  effectivePolicy,
  type Origin,
} from './effective.ts';
import { signerFacts } from './facts.ts';

/** The policy in force, as an operator's request gets it. Throws `ConfigError` as `policyFor` does. */
export function policyText(
  config: Config,
  network: Network,
  state: StateReader,
  format: 'text' | 'json',
): string {
  const effective = effectivePolicy(config, network, signerFacts(state));
  return format === 'json' ? JSON.stringify(policyJson(effective), null, 1) : renderPolicy(effective);
}

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

export function renderPolicy(effective: EffectivePolicy): string {
  const { policy, presetOrigin, limits, approvals, rules, overrides, allowlist } = effective;
  const lines = [
    `policy on ${policy.network.name}: preset ${policy.preset} (${originText(presetOrigin)})`,
    ...promiseLines(effective),
    '',
    'Limits',
    ...table(limits.map(valueCells)),
    '',
    'Approvals',
    ...table(approvals.map(valueCells)),
    '',
    'Allowlist of the file',
    ...(allowlist.length === 0
      ? ['  empty']
      : table(allowlist.map(({ kind, text, origin }) => [kind, text, originText(origin)]))),
    '',
    'Rules',
    ...table(rules.map(ruleCells)),
    ...overrides.flatMap(({ of, id, values, rules: own }) => [
      '',
      `For ${of} ${id}`,
      ...table([
        ...values.map(valueCells),
        ...own.map(({ tag, does, origin, voidsPromise }) => {
          return [tag, shout(does, voidsPromise), originText(origin)];
        }),
      ]),
    ]),
  ];
  return `${lines.join('\n')}\n`;
}

function promiseLines({ promise }: EffectivePolicy): readonly string[] {
  const reasons = promise.reasons.map((reason) => `  - ${reason}`);
  switch (promise.state) {
    case 'void':
      return ['THE PROMISE IS VOID: a compromised node may take funds', ...reasons];
    case 'limited':
      return ['The promise holds, except for what is not judged:', ...reasons];
    case 'kept':
      return ['The promise holds: every rule it rests on refuses.'];
  }
}

const valueCells = ({ key, value, unit, origin }: EffectiveValue): string[] => [
  key,
  valueText(value, unit),
  originText(origin),
];

function ruleCells({ tag, does, kind, origin, voidsPromise, why }: EffectiveRule): string[] {
  const source = kind === 'hard' ? 'hard rule' : originText(origin);
  return [tag, shout(does, voidsPromise), why === null ? source : `${source}: ${why}`];
}

const shout = (does: string, voidsPromise: boolean): string =>
  voidsPromise ? `${does.toUpperCase()}, THE PROMISE IS VOID` : does;

/** `1_000_000 sat`, as it can be written into the file. */
function valueText(value: EffectiveValue['value'], unit: string): string {
  if (value === null) return 'no limit';
  if (typeof value === 'string' || typeof value === 'boolean') return String(value);
  if (typeof value === 'object') return `${grouped(value.amountSat)} sat per ${value.per}`;
  return `${grouped(value)} ${unit}`;
}

const grouped = (value: number | bigint): string => String(value).replace(/\B(?=(?:\d{3})+$)/g, '_');

export function originText(origin: Origin): string {
  switch (origin.kind) {
    case 'default':
      return `default on ${origin.network}`;
    case 'preset':
      return `preset ${origin.preset}`;
    case 'file':
      return `${origin.file} line ${origin.line}`;
  }
}

/** Columns as wide as their widest cell; the last one open. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = [0, 1].map((column) => Math.max(0, ...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd(),
  );
}

/** Amounts are decimal strings: they may exceed what a JSON number holds exactly. */
export function policyJson(effective: EffectivePolicy): Json {
  const { policy, presetOrigin, promise, limits, approvals, rules, overrides, allowlist } = effective;
  return {
    network: policy.network.name,
    preset: { value: policy.preset, origin: originJson(presetOrigin) },
    promise: { state: promise.state, reasons: [...promise.reasons] },
    limits: limits.map(valueJson),
    approvals: approvals.map(valueJson),
    allowlist: allowlist.map(({ kind, text, origin }) => ({ kind, text, origin: originJson(origin) })),
    rules: rules.map(({ origin, ...rule }) => ({ ...rule, origin: originJson(origin) })),
    overrides: overrides.map(({ of, id, values, rules: own }) => ({
      of,
      id,
      values: values.map(valueJson),
      rules: own.map(({ origin, ...rule }) => ({ ...rule, origin: originJson(origin) })),
    })),
  };
}

function valueJson({ key, value, unit, origin }: EffectiveValue): Json {
  const plain =
    typeof value === 'bigint'
      ? String(value)
      : typeof value === 'object' && value !== null
        ? { amount_sat: String(value.amountSat), per: value.per }
        : value;
  return { key, value: plain, unit, origin: originJson(origin) };
}

const originJson = (origin: Origin): Json => ({ ...origin });
