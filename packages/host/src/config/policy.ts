/**
 * From the file's settings to the policy of a network: defaults, presets, and everything that can only be judged once the
 * network is known. Throws `ConfigError` before the signer has a policy to sign under.
 */
import { type Limits, type Network, type Policy, policyOf } from '@countersign/core';
import { readEntries } from './allowlist.ts';
import type { Config } from './config.ts';
import { ConfigError } from './error.ts';
import { ORDERED_LIMITS, tomlKey } from './limits.ts';
import { MAINNET_OVERRIDE } from './schema.ts';

/** The policy of a network: without a preset in the file, `permissive` on regtest (money of no value) and else `hub`. */
export function policyFor(config: Config, network: Network): Policy {
  const preset = config.preset ?? (network.name === 'regtest' ? 'permissive' : 'hub');
  requireOverride(config, network, preset === 'permissive', 'preset = "permissive"', { preset });
  const { auto } = config.approvals;
  requireOverride(config, network, auto === 'all', 'auto = "all"', { auto: 'all' });
  const { approvals } = policyOf(network, preset);
  const policy = policyOf(network, preset, {
    limits: config.limits,
    severities: config.severities,
    peers: config.peers,
    channels: config.channels,
    approvals: { ...approvals, ...config.approvals },
    allowlist: readEntries(config, network),
  });
  requireBudget(config, policy);
  requireOrder(config, policy);
  return policy;
}

function requireOverride(
  config: Config,
  network: Network,
  isAsked: boolean,
  words: string,
  facts: Record<string, string>,
): void {
  if (!isAsked || !network.isMainnet || config.permissiveOnMainnet) return;
  throw new ConfigError(
    `${words} approves everything and is refused on mainnet. If you accept that a compromised node can take all funds, ` +
      `write permissive_on_mainnet = "${MAINNET_OVERRIDE}" under [policy]`,
    { ...facts, network: network.name },
  );
}

/** The budget and the setting that uses it come together. */
function requireBudget(config: Config, { approvals }: Policy): void {
  const { file, places } = config;
  const { auto, autoPaymentVelocity } = approvals;
  if (auto === 'velocity' && autoPaymentVelocity === null) {
    const line = places.get('approvals.auto') ?? 1;
    throw new ConfigError(
      `${file}:${line}: auto = "velocity" needs a budget beside it: auto_payment_velocity = { amount_sat = 100_000, per = "day" }`,
      { file, line },
    );
  }
  if (autoPaymentVelocity !== null && auto !== 'velocity' && auto !== 'all') {
    const line = places.get('approvals.auto_payment_velocity') ?? 1;
    throw new ConfigError(
      `${file}:${line}: auto_payment_velocity has no effect with auto = "${auto}": write auto = "velocity", or remove the line`,
      { file, line },
    );
  }
}

/** A lower bound above its upper bound refuses everything; nobody means that. */
function requireOrder(config: Config, policy: Policy): void {
  requireOrderIn(config, policy, policy.limits, null);
  for (const [table, overrides] of [
    ['peer', policy.peers],
    ['channel', policy.channels],
  ] as const) {
    for (const [id, override] of overrides) {
      requireOrderIn(config, policy, { ...policy.limits, ...override.limits }, `policy.${table}.${id}`);
    }
  }
}

function requireOrderIn(config: Config, policy: Policy, limits: Limits, override: string | null): void {
  for (const [low, high] of ORDERED_LIMITS) {
    if (limits[low]! <= limits[high]!) continue;
    const [first, second] = [low, high].map((name) =>
      placeOf(config, policy, override, name as keyof Limits),
    );
    const at = [first, second].find((place) => place?.line !== null);
    const line = at?.line ?? 1;
    throw new ConfigError(
      `${config.file}:${line}: "${tomlKey(low)}" is ${limits[low]} (${first?.words}), above "${tomlKey(high)}", which is ${limits[high]} (${second?.words})`,
      { file: config.file, line },
    );
  }
}

interface Place {
  readonly line: number | null;
  readonly words: string;
}

function placeOf(config: Config, policy: Policy, override: string | null, name: keyof Limits): Place {
  const key = tomlKey(name);
  const line =
    (override === null ? undefined : config.places.get(`${override}.${key}`)) ??
    config.places.get(`policy.${key}`);
  if (line !== undefined) return { line, words: `line ${line}` };
  return { line: null, words: `the default on ${policy.network.name}` };
}
