/**
 * policy-init-binding: INIT must name a chain we know with that chain's own key versions, and developer fields only
 * on regtest. The store then binds the seed and the network for good.
 */
import { toHex } from '@countersign/bitcoin';
import type { MessageOf } from '@countersign/wire';
import { type Network, networkByChainHash } from '../network.ts';
import { refuse } from '../refusal.ts';
import { rule } from './registry.ts';

export const initBinding = rule({
  tag: 'policy-init-binding',
  law: 'setup',
  severity: 'hard',
  operations: ['init'],
  documentation:
    'A seed is bound to one network: INIT names a known chain with its own key versions, always the one the store was made for. Developer fields (dev_force_*, preinit) are admitted on regtest only. Channel keys take no network input, so a test channel could reveal the secrets of a real one.',
});

type Init = MessageOf<'hsmd_init'>;

function hasDeveloperFields(init: Init): boolean {
  return (
    init.devForcePrivkey !== undefined ||
    init.devForceBip32Seed !== undefined ||
    init.devForceChannelSecrets !== undefined ||
    init.devForceChannelSecretsShaseed !== undefined
  );
}

/** The network of an INIT; leaves with a refusal (a thrown `RefusalSignal`, as in handlers) when it may not be. */
export function requireInitNetwork(init: Init, hasPreinit: boolean): Network {
  const network = networkByChainHash(init.chainparams);
  if (network === undefined) {
    refuse(initBinding, 'INIT names a chain this signer does not know', {
      chain_hash: toHex(init.chainparams),
    });
  }
  const { pubkeyVersion, privkeyVersion } = init.bip32KeyVersion;
  if (pubkeyVersion !== network.bip32Public || privkeyVersion !== network.bip32Private) {
    refuse(initBinding, `INIT names key versions that are not those of ${network.name}`, {
      pubkey_version: pubkeyVersion,
      privkey_version: privkeyVersion,
    });
  }
  if (!network.allowsDeveloperFields && (hasPreinit || hasDeveloperFields(init))) {
    refuse(initBinding, 'developer fields are refused outside regtest', { network: network.name });
  }
  return network;
}
