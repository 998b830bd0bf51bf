/** What the scenarios of law 5 share: tags, and the wallet's honest spend. */
import type { Request } from '@countersign/wire';
import { type Coin, spend, toWallet, walletCoin, withdrawalOf } from '../wallet.ts';
import type { AttackWorld } from '../world.ts';

export const UNKNOWN = 'policy-onchain-no-unknown-outputs';
export const COUNTERSIGNED = 'policy-onchain-initial-commitment-countersigned';
export const KEY_USE = 'policy-key-use';
export const SIGHASH_RULE = 'policy-sighash';
export const GENERIC = 'policy-generic-error';
export const FEE_SAT = 500n;

/** A coin of the wallet, and the honest spend of it that stays in the wallet. */
export function coin(world: AttackWorld, label: string, valueSat = 300_000n, keyindex = 2): Coin {
  return walletCoin(world.keys, keyindex, valueSat, world.unique(label));
}

export function consolidation(world: AttackWorld, ...coins: readonly Coin[]): Request {
  const total = coins.reduce((sum, { utxo }) => sum + utxo.amount, 0n);
  const outputs = [toWallet(world.keys, 6, total - FEE_SAT)];
  return withdrawalOf(
    spend(
      coins.map(({ utxo }) => utxo.outpoint),
      outputs,
    ),
    coins,
  );
}
