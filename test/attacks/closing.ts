/** Mutual closes of a channel as two honest nodes agree on them, and with something wrong in them. */
import { sat, type TxOutput } from '@countersign/bitcoin';
import type { MessageOf } from '@countersign/wire';
import { input } from '../../packages/core/test/channel-model.ts';
import type { AttackChannel } from './channel.ts';
import { toStranger, toWallet } from './wallet.ts';

/** A legacy close of two outputs has 672 weight; the funder pays. */
const CLOSE_FEE_SAT = 400n;
const OWN_INDEX = 3;

export interface CloseOptions {
  /** Where our balance goes instead of to the wallet. */
  readonly script?: Uint8Array;
  /** What our output lacks, and the peer's has more. */
  readonly shortSat?: bigint;
  readonly isOursMissing?: boolean;
}

export function fairClose(
  channel: AttackChannel,
  options: CloseOptions = {},
): MessageOf<'hsmd_sign_mutual_close_tx'> {
  const { model, balances, funding, world } = channel;
  const { shortSat = 0n } = options;
  const fee = (isFunder: boolean) => (isFunder ? CLOSE_FEE_SAT : 0n);
  const oursSat = balances.holderMsat / 1000n - fee(model.isOutbound) - shortSat;
  const theirsSat = balances.counterpartyMsat / 1000n - fee(!model.isOutbound) + shortSat;
  const ours = toWallet(world.keys, OWN_INDEX, oursSat);
  const outputs: TxOutput[] =
    options.isOursMissing === true ? [] : [{ ...ours, script: options.script ?? ours.script }];
  if (theirsSat > 546n) outputs.push({ ...toStranger(1n, 'the peer'), value: sat(theirsSat) });
  const inputs = [input(funding.outpoint, 0xffff_ffff)];
  return model.mutualClose({ version: 2, inputs, outputs, locktime: 0 }, funding);
}
