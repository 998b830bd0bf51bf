/**
 * How the rules about the chain speak: there is no channel and no request of the node, so a violation is refused or
 * warned of by the policy as a whole.
 */
import { type Facts, FormError } from '@countersign/bitcoin';
import type { Warning } from '../context.ts';
import type { Rule } from '../policy/registry.ts';
import { type Policy, severityOf } from '../policy/settings.ts';
import { refuse, refuseForNow } from '../refusal.ts';

/** The rules that speak here are registered as soft; one that the operator set to `warn` is heard once per message. */
export class ChainJudgement {
  readonly warnings: Warning[] = [];
  readonly #policy: Policy;

  constructor(policy: Policy) {
    this.#policy = policy;
  }

  violation(rule: Rule, message: string, facts: Facts, isTemporary = false): void {
    if (severityOf(this.#policy, rule) === 'error') {
      if (isTemporary) refuseForNow(rule, message, facts);
      refuse(rule, message, facts);
    }
    if (this.warnings.some((one) => one.tag === rule.tag && one.message === message)) return;
    this.warnings.push({ tag: rule.tag, message, facts });
  }
}

/** Bytes that do not have the form they claim are refused by `rule`; anything else that is thrown goes on. */
export function refusingMalformed<T>(rule: Rule, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof FormError) refuse(rule, error.message, error.facts);
    throw error;
  }
}
