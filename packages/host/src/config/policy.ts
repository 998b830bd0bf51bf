/**
 * From the file's settings to the policy of a network: defaults, presets, and everything that can only be judged once the
 * network is known. Throws `ConfigError` before the signer has a policy to sign under.
 */
import { type Limits, type Network, type Policy, type Preset, policyOf } from '@countersign/core';
import { readEntries } from './allowlist.ts';
import type { Config } from './config.ts';
import { ConfigError } from './error.ts';
import { ORDERED_LIMITS, type OrderedLimit, tomlKey } from './limits.ts';
import { MAINNET_OVERRIDE } from './schema.ts';

/** The policy of a network: without a preset in the file, `permissive` on regtest (money of no value) and else `hub`. */
export function policyFor(config: Config, network: Network): Policy {
  const preset = config.preset ?? (network.name === 'regtest' ? 'permissive' : 'hub');
  requireOverride(config, network, preset);
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

/** What approves everything needs the sentence that names the risk, where there is real money. */
function requireOverride(config: Config, network: Network, preset: Preset): void {
  if (!network.isMainnet || config.permissiveOnMainnet) return;
  const why =
    'approves everything and is refused on mainnet. If you accept that a compromised node can take all funds, ' +
    `write permissive_on_mainnet = "${MAINNET_OVERRIDE}" under [policy]`;
  if (preset === 'permissive') {
    throw new ConfigError(`preset = "permissive" ${why}`, { preset, network: network.name });
  }
  if (config.approvals.auto === 'all') throw faultAt(config, 'approvals.auto', `auto = "all" ${why}`);
}

/** The error of a key that the file sets. */
function faultAt({ file, places }: Config, key: string, message: string): ConfigError {
  const line = places.get(key) ?? 1;
  return new ConfigError(`${file}:${line}: ${message}`, { file, line });
}

/** The budget and the setting that uses it come together. */
function requireBudget(config: Config, { approvals }: Policy): void {
  const { auto, autoPaymentVelocity } = approvals;
  const hasBudget = autoPaymentVelocity !== null;
  if (auto === 'velocity' && !hasBudget) {
    const wanted = 'auto_payment_velocity = { amount_sat = 100_000, per = "day" }';
    throw faultAt(config, 'approvals.auto', `auto = "velocity" needs a budget beside it: ${wanted}`);
  }
  if (auto !== 'velocity' && hasBudget) {
    const what = `auto_payment_velocity has no effect with auto = "${auto}"`;
    const advice = 'write auto = "velocity", or remove the line';
    throw faultAt(config, 'approvals.auto_payment_velocity', `${what}: ${advice}`);
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
    if (limits[low] <= limits[high]) continue;
    const [lowKey, highKey] = [keyOf(config, override, low), keyOf(config, override, high)];
    const words = (key: string) => {
      const line = config.places.get(key);
      return line === undefined ? `the default on ${policy.network.name}` : `line ${line}`;
    };
    const message =
      `"${tomlKey(low)}" is ${limits[low]} (${words(lowKey)}), ` +
      `above "${tomlKey(high)}", which is ${limits[high]} (${words(highKey)})`;
    throw faultAt(config, config.places.has(lowKey) ? lowKey : highKey, message);
  }
}

/** Where a limit is set that binds in an override: there, or for the whole node. */
function keyOf({ places }: Config, override: string | null, name: OrderedLimit): string {
  const own = `${override}.${tomlKey(name)}`;
  return places.has(own) ? own : `policy.${tomlKey(name)}`;
}
