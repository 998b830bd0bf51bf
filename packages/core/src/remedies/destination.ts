/**
 * Where remedies pay to: a script of our own wallet that whoever restores the seed finds at once.
 */
import { equalBytes, keyScripts } from '@countersign/bitcoin';
import type { ChannelSetup } from '../channel/record.ts';
import type { KeyPlace } from '../context.ts';
import { walletScriptsAt } from '../spending/ownership.ts';

/** CLN's wallet begins here: index 0 is never handed out. */
const FIRST_WALLET_INDEX = 1;

/** The channel's own shutdown script where it is the wallet's at the index the node named, else the wallet's first. */
export function remedyDestination(place: KeyPlace, setup: ChannelSetup): Uint8Array {
  const { holderShutdownScript: script, holderShutdownWalletIndex: index } = setup;
  if (index !== null && walletScriptsAt(place, index).some((own) => equalBytes(own, script))) return script;
  const taproot = place.keys.bip86PublicKey(FIRST_WALLET_INDEX);
  if (taproot !== null) return keyScripts(place.secp, taproot)[P2TR]!;
  return walletScriptsAt(place, FIRST_WALLET_INDEX)[P2WPKH]!;
}

/** Places in what `keyScripts` lists. */
const P2WPKH = 0;
const P2TR = 2;
