/**
 * The networks a signer can be bound to, with the constants that the INIT message names them by.
 */
import { equalBytes, fromHex } from '@countersign/bitcoin';

/** As CLN and bitcoind name them. */
export type NetworkName = 'bitcoin' | 'testnet' | 'testnet4' | 'signet' | 'regtest';

/** A Bitcoin network and its constants. */
export interface Network {
  readonly name: NetworkName;
  /** Genesis block hash in internal byte order, as `chainparams` has it on the hsmd wire. */
  readonly chainHash: Uint8Array;
  /** BIP 32 version bytes of serialized extended keys. */
  readonly bip32Public: number;
  readonly bip32Private: number;
  /** Real money: what is refused there unless the operator writes the override that names the risk. */
  readonly isMainnet: boolean;
  /** Developer fields (`dev_force_*`, DEV_PREINIT) are admissible only here. */
  readonly allowsDeveloperFields: boolean;
}

const MAIN = {
  bip32Public: 0x0488b21e,
  bip32Private: 0x0488ade4,
  isMainnet: true,
  allowsDeveloperFields: false,
};
const TEST = {
  bip32Public: 0x043587cf,
  bip32Private: 0x04358394,
  isMainnet: false,
  allowsDeveloperFields: false,
};

/** Display order, as block explorers show it; reversed once below. */
const genesis = (displayHex: string): Uint8Array => fromHex(displayHex).reverse();

/** All that are known. */
export const NETWORKS: readonly Network[] = [
  {
    name: 'bitcoin',
    chainHash: genesis('000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f'),
    ...MAIN,
  },
  {
    name: 'testnet',
    chainHash: genesis('000000000933ea01ad0ee984209779baaec3ced90fa3f408719526f8d77f4943'),
    ...TEST,
  },
  {
    name: 'testnet4',
    chainHash: genesis('00000000da84f2bafbbc53dee25a72ae507ff4914b867c565be350b0da8bf043'),
    ...TEST,
  },
  {
    name: 'signet',
    chainHash: genesis('00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6'),
    ...TEST,
  },
  {
    name: 'regtest',
    chainHash: genesis('0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206'),
    ...TEST,
    allowsDeveloperFields: true,
  },
];

/** By its genesis block, as INIT and BOLT 2 name it. */
export function networkByChainHash(chainHash: Uint8Array): Network | undefined {
  return NETWORKS.find((network) => equalBytes(network.chainHash, chainHash));
}

/** By its name. */
export function networkByName(name: string): Network | undefined {
  return NETWORKS.find((network) => network.name === name);
}
