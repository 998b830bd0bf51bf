/** The effective policy in the few words that a heartbeat has room for. */
import { type HeartbeatPolicy, SETTLED_PREIMAGE_TAG } from '@countersign/core';
import type { EffectivePolicy } from './effective.ts';

/** `weakened`: rules that the promise rests on and that do not refuse, whoever or whatever turned them down. */
export function policySummary({ policy, promise, rules, overrides }: EffectivePolicy): HeartbeatPolicy {
  const own = rules.filter(
    ({ tag, does, voidsPromise }) => voidsPromise || (tag === SETTLED_PREIMAGE_TAG && does !== 'error'),
  );
  const overridden = overrides.flatMap(({ rules: some }) => some.filter(({ voidsPromise }) => voidsPromise));
  const weakened = [...new Set([...own, ...overridden].map(({ tag }) => tag))];
  return { preset: policy.preset, promise: promise.state, weakened };
}
