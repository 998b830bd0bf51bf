/**
 * The policy as the operator set it: values only, already validated by the configuration loader.
 */
import type { Network } from '../network.ts';
import type { Rule } from './registry.ts';

/**
 * `permissive`: soft rules warn and everything that needs an approval is approved (tests, migration).
 * `wallet`, `merchant`, `hub`: every rule refuses; they differ only in the optional rules they switch on.
 */
export type Preset = 'permissive' | 'wallet' | 'merchant' | 'hub';

export interface Policy {
  readonly network: Network;
  readonly preset: Preset;
}

/** What a soft rule does under this policy; hard rules always refuse. */
export function severityOf(policy: Policy, rule: Rule): 'error' | 'warn' {
  return rule.severity === 'soft' && policy.preset === 'permissive' ? 'warn' : 'error';
}
