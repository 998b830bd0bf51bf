/**
 * The policy as it is in force, as data: every value with its unit and where it comes from, every rule with what it does
 * and why, and whether the promise holds. `countersign policy show`, the start and any page tell it from here.
 */
import {
  allRules,
  guideOf,
  type Limits,
  type Network,
  type Override,
  type Policy,
  preimageSeverity,
  type Rule,
  SETTLED_PREIMAGE_TAG,
  type Severity,
  severityOf,
  type VelocityLimit,
} from '@countersign/core';
import type { Config } from '../config/config.ts';
import { LIMIT_FORMS, LIMIT_NAMES, tomlKey } from '../config/limits.ts';
import { policyFor } from '../config/policy.ts';
import type { SignerFacts } from './facts.ts';
import { type EffectivePromise, promiseOf } from './promise.ts';

/** Where a value comes from. */
export type Origin =
  | { readonly kind: 'default'; readonly network: Network['name'] }
  | { readonly kind: 'preset'; readonly preset: Policy['preset'] }
  | { readonly kind: 'file'; readonly file: string; readonly line: number };

export interface EffectiveValue {
  /** As `countersign.toml` names it. */
  readonly key: string;
  /** Null: no such limit. */
  readonly value: number | bigint | VelocityLimit | string | boolean | null;
  readonly unit: string;
  readonly origin: Origin;
}

export interface EffectiveRule {
  readonly tag: string;
  readonly law: Rule['law'];
  readonly kind: Rule['severity'];
  readonly does: Severity;
  readonly origin: Origin;
  readonly carriesPromise: boolean;
  /** The promise rests on it, and the preset or a line of the file has turned it down. */
  readonly voidsPromise: boolean;
  /** Why it does that, where the origin alone does not say. */
  readonly why: string | null;
}

export interface EffectiveOverride {
  readonly of: 'peer' | 'channel';
  readonly id: string;
  readonly values: readonly EffectiveValue[];
  readonly rules: readonly {
    readonly tag: string;
    readonly does: Severity;
    readonly origin: Origin;
    readonly voidsPromise: boolean;
  }[];
}

export interface EffectiveEntry {
  readonly kind: string;
  readonly text: string;
  readonly origin: Origin;
}

export interface EffectivePolicy {
  readonly policy: Policy;
  readonly presetOrigin: Origin;
  readonly promise: EffectivePromise;
  readonly limits: readonly EffectiveValue[];
  readonly approvals: readonly EffectiveValue[];
  readonly rules: readonly EffectiveRule[];
  readonly overrides: readonly EffectiveOverride[];
  /** The configured entries; those added while the signer ran are listed by `countersign allowlist`. */
  readonly allowlist: readonly EffectiveEntry[];
}

/** Throws `ConfigError` as `policyFor` does. */
export function effectivePolicy(
  config: Config,
  network: Network,
  facts: SignerFacts = { deliversPreimages: false, hasChainView: false },
  rules: readonly Rule[] = allRules(),
): EffectivePolicy {
  const policy = policyFor(config, network);
  const origins = new Origins(config, policy);
  const effective = rules.map((rule) => effectiveRule(policy, origins, facts, rule));
  const promised = new Set(rules.filter(isPromised).map(({ tag }) => tag));
  const overrides = [
    ...effectiveOverrides(origins, promised, 'peer', policy.peers),
    ...effectiveOverrides(origins, promised, 'channel', policy.channels),
  ];
  return {
    policy,
    presetOrigin: origins.of('policy.preset', origins.default()),
    promise: promiseOf(policy, facts, effective, overrides),
    limits: LIMIT_NAMES.map((name) => limitValue(policy.limits, name, origins.limit(name))),
    approvals: approvalValues(policy, origins),
    rules: effective,
    overrides,
    allowlist: config.allowlist.map(({ text, line }, i) => {
      const origin = { kind: 'file', file: config.file, line } as const;
      return { kind: policy.allowlist[i]!.kind, text, origin };
    }),
  };
}

class Origins {
  readonly #config: Config;
  readonly #policy: Policy;

  constructor(config: Config, policy: Policy) {
    this.#config = config;
    this.#policy = policy;
  }

  of(key: string, otherwise: Origin): Origin {
    const line = this.#config.places.get(key);
    return line === undefined ? otherwise : { kind: 'file', file: this.#config.file, line };
  }

  default(): Origin {
    return { kind: 'default', network: this.#policy.network.name };
  }

  preset(): Origin {
    return { kind: 'preset', preset: this.#policy.preset };
  }

  limit(name: keyof Limits): Origin {
    return this.of(`policy.${tomlKey(name)}`, this.default());
  }
}

function limitValue(limits: Partial<Limits>, name: keyof Limits, origin: Origin): EffectiveValue {
  return { key: tomlKey(name), value: limits[name] ?? null, unit: LIMIT_FORMS[name].unit, origin };
}

const SECONDS_PER_HOUR = 3600;

function approvalValues({ approvals }: Policy, origins: Origins): readonly EffectiveValue[] {
  const { auto, autoPaymentVelocity, expirySeconds } = approvals;
  return [
    { key: 'auto', value: auto, unit: '', origin: origins.of('approvals.auto', origins.preset()) },
    {
      key: 'auto_payment_velocity',
      value: autoPaymentVelocity,
      unit: 'sat in a sliding window',
      origin: origins.of('approvals.auto_payment_velocity', origins.default()),
    },
    {
      key: 'expiry_hours',
      value: expirySeconds / SECONDS_PER_HOUR,
      unit: 'hours',
      origin: origins.of('approvals.expiry_hours', origins.default()),
    },
  ];
}

function effectiveRule(policy: Policy, origins: Origins, facts: SignerFacts, rule: Rule): EffectiveRule {
  const { tag, law, severity: kind, carriesPromise = false } = rule;
  const isPreimages = tag === SETTLED_PREIMAGE_TAG;
  const does = isPreimages
    ? preimageSeverity(policy, facts.deliversPreimages, null)
    : severityOf(policy, rule, null);
  const isOfPreset = kind === 'soft' && (policy.preset === 'permissive' || rule.presets !== undefined);
  const otherwise = isOfPreset ? origins.preset() : origins.default();
  const origin = origins.of(`policy.rules.${tag}`, otherwise);
  const isByFacts = isPreimages && origin.kind === 'default';
  const why = isByFacts ? preimageReason(facts) : reasonOf(rule, facts);
  // At warn because nothing delivers preimages: nobody has turned it down.
  const voidsPromise = isPromised(rule) && does !== 'error' && !isByFacts;
  return { tag, law, kind, does, origin, carriesPromise, voidsPromise, why };
}

/** An optional rule voids nothing by being off. */
const isPromised = (rule: Rule): boolean => rule.carriesPromise === true && rule.presets === undefined;

function preimageReason({ deliversPreimages }: SignerFacts): string {
  return deliversPreimages
    ? 'the node side delivers preimages'
    : 'the node side does not deliver preimages; the companion plugin does';
}

function reasonOf(rule: Rule, facts: SignerFacts): string | null {
  if (guideOf(rule.tag)?.needsChain === true && !facts.hasChainView)
    return 'not judged: no chain view, see [chain]';
  if (rule.severity === 'approver') return 'until it is approved';
  return null;
}

function effectiveOverrides(
  origins: Origins,
  promised: ReadonlySet<string>,
  of: EffectiveOverride['of'],
  overrides: ReadonlyMap<string, Override>,
): readonly EffectiveOverride[] {
  return [...overrides].map(([id, override]) => {
    const origin = (key: string) => origins.of(`policy.${of}.${id}.${key}`, origins.default());
    const flags = [
      { key: 'zero_conf', value: override.zeroConf, unit: '', origin: origin('zero_conf') },
      {
        key: 'shared_allowlist',
        value: override.sharedAllowlist,
        unit: '',
        origin: origin('shared_allowlist'),
      },
    ];
    const limits = LIMIT_NAMES.filter((name) => override.limits[name] !== undefined);
    const rules = [...override.severities].map(([tag, does]) => {
      const voidsPromise = does !== 'error' && promised.has(tag);
      return { tag, does, origin: origin(`rules.${tag}`), voidsPromise };
    });
    return {
      of,
      id,
      values: [
        ...flags.filter(({ value }) => value),
        ...limits.map((name) => limitValue(override.limits, name, origin(tomlKey(name)))),
      ],
      rules,
    };
  });
}
