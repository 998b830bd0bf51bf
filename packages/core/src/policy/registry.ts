/**
 * The registry of rules: every tag once, with its law, severity, operations and one paragraph of documentation.
 * `docs/policies.md` is generated from it; a tag that is not registered here can't refuse anything.
 */
import type { LawNumber } from './law.ts';
import type { Preset } from './settings.ts';

/** 1 ratchet, 2 ledger, 3 payments, 4 time, 5 spending; 'form' for malformed requests, 'keys', 'setup' and 'chain' beside the laws. */
export type Law = LawNumber | 'form' | 'keys' | 'setup' | 'chain';

/** The operations of the catalogue: what a request does, whatever message asks for it. */
export type Operation =
  | 'init'
  | 'new'
  | 'setup'
  | 'cc'
  | 'hc'
  | 'rev'
  | 'vr'
  | 'fc'
  | 'htlc'
  | 'mc'
  | 'sweep'
  | 'onchain'
  | 'pay'
  | 'block'
  | 'rpc'
  | 'all';

/** A rule as it is registered. */
export interface Rule {
  readonly tag: string;
  readonly law: Law;
  /**
   * Hard rules can't be downgraded; soft ones may be set to `warn` by the operator; what an `approver` rule stops goes to
   * the approvals and passes once it is approved.
   */
  readonly severity: 'hard' | 'soft' | 'approver';
  readonly operations: readonly Operation[];
  readonly documentation: string;
  /** A soft rule that the promise rests on: `warn` voids it, and the signer says so at every start. */
  readonly carriesPromise?: boolean;
  /** An optional rule: off except under these presets, or where the operator sets it. */
  readonly presets?: readonly Preset[];
}

const registered = new Map<string, Rule>();

/** Registers and returns the rule; a tag registered twice is a programming error and stops the process at load. */
export function rule(definition: Rule): Rule {
  if (registered.has(definition.tag)) throw new Error(`rule registered twice: ${definition.tag}`);
  registered.set(definition.tag, definition);
  return definition;
}

/** As `rule`, for one that the operator may set to `warn`. */
export function softRule(definition: Omit<Rule, 'severity'>): Rule {
  return rule({ ...definition, severity: 'soft' });
}

/** Those whose files are loaded: `catalogue.ts` loads them all. */
export function registeredRules(): ReadonlyMap<string, Rule> {
  return registered;
}
