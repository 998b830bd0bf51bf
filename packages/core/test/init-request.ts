/** INIT as lightningd sends it to its hsmd. */
import type { MessageOf } from '@countersign/wire';
import { networkByName } from '../src/index.ts';

export function initRequest(
  network = 'regtest',
  changed: Partial<MessageOf<'hsmd_init'>> = {},
): MessageOf<'hsmd_init'> {
  const { chainHash, bip32Public, bip32Private } = networkByName(network)!;
  return {
    name: 'hsmd_init',
    bip32KeyVersion: { pubkeyVersion: bip32Public, privkeyVersion: bip32Private },
    chainparams: chainHash,
    hsmEncryptionKey: undefined,
    devForcePrivkey: undefined,
    devForceBip32Seed: undefined,
    devForceChannelSecrets: undefined,
    devForceChannelSecretsShaseed: undefined,
    hsmWireMinVersion: 5,
    hsmWireMaxVersion: 6,
    tlvs: {},
    ...changed,
  };
}
