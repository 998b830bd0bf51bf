/**
 * How a rule speaks: it refuses, warns or is silent, as the policy says for the channel in question. A warning changes
 * nothing but the audit log; a refusal leaves the handler.
 */
import type { Facts } from '@countersign/bitcoin';
import type { Context } from '../context.ts';
import { refuse, refuseForNow } from '../refusal.ts';
import type { Rule } from './registry.ts';
import { type PolicyScope, type Severity, severityOf } from './settings.ts';

export interface Violation {
  readonly message: string;
  readonly facts?: Facts;
  /** The same request may pass later without anyone changing anything. */
  readonly isTemporary?: boolean;
}

/** A violation of `rule`, judged for a channel (`scope`) or for the node as a whole (null). */
export function enforce(ctx: Context, rule: Rule, scope: PolicyScope | null, violation: Violation): void {
  const { message, facts = {}, isTemporary = false } = violation;
  const severity = severityFor(ctx, rule, scope);
  if (severity === 'off') return;
  if (severity === 'warn') {
    ctx.warnings.push({ tag: rule.tag, message, facts });
    return;
  }
  if (isTemporary) refuseForNow(rule, message, facts);
  refuse(rule, message, facts);
}

/** What the rule does here, before there is a violation to speak of. */
export function severityFor(ctx: Context, rule: Rule, scope: PolicyScope | null): Severity {
  return severityOf(ctx.policy, rule, scope);
}
