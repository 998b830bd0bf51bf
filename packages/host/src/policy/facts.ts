/** What a signer has learned about its node, read from its records: some rules go by it. */
import { CHAIN_ID, chainRecords, EMPTY_NODE, nodeRecords, type StateReader } from '@countersign/core';

export interface SignerFacts {
  /** The node side has delivered a preimage before. */
  readonly deliversPreimages: boolean;
  /** The signer follows a chain that it has verified itself. */
  readonly hasChainView: boolean;
}

export function signerFacts(state: StateReader): SignerFacts {
  const { deliversPreimages } = state.read(nodeRecords, 'node')?.value ?? EMPTY_NODE;
  return { deliversPreimages, hasChainView: state.read(chainRecords, CHAIN_ID)?.value != null };
}
