/** Wallet money that raises a fee, as the scenarios ask for it: through our anchor, or beside an HTLC. */
import {
  ANCHOR_SAT,
  addPsbtBip32Derivation,
  anchorScript,
  hash160,
  type Psbt,
  p2wshOfScript,
  setPsbtWitnessScript,
  type Transaction,
  type TxOutput,
  txid,
} from '@countersign/bitcoin';
import type { MessageOf } from '@countersign/wire';
import type { Balances } from '../../../packages/core/test/channel-model.ts';
import type { AttackChannel } from '../channel.ts';
import { type Coin, psbtWith, spend, toWallet } from '../wallet.ts';

/** The PSBT says that one of our keys signs this input. */
export function withOurKey(psbt: Psbt, index: number, publicKey: Uint8Array): Psbt {
  return addPsbtBip32Derivation(psbt, index, {
    publicKey,
    fingerprint: hash160(publicKey).subarray(0, 4),
    path: [0],
  });
}

/** Our commitment is signed for broadcast; its anchor and a coin raise its fee. */
export async function anchorSpend(
  channel: AttackChannel,
  fee: Coin,
  outputs?: readonly TxOutput[],
): Promise<MessageOf<'hsmd_sign_anchorspend'>> {
  const { model, ourNumber, balances, world } = channel;
  const built = model.build('holder', ourNumber, balances);
  const vout = built.commitment.outputs.findIndex(({ kind }) => kind === 'local_anchor');
  await channel.ask(model.signCommitment(ourNumber, balances));
  const anchor = { value: ANCHOR_SAT, script: p2wshOfScript(anchorScript(model.holderFundingKey)) };
  const back = toWallet(world.keys, 6, fee.utxo.amount + 330n - 2000n);
  const tx = spend([{ txid: txid(built.tx), vout }, fee.utxo.outpoint], outputs ?? [back]);
  const psbt = withOurKey(psbtWith(tx, [fee], new Map([[0, anchor]])), 0, model.holderFundingKey);
  const { peerId: peerid, dbid: channelDbid } = model.ref;
  return {
    name: 'hsmd_sign_anchorspend',
    peerid,
    channelDbid,
    inputs: [fee.utxo],
    psbt: setPsbtWitnessScript(psbt, 0, anchorScript(model.holderFundingKey)),
  };
}

/** The second-level transaction of a received HTLC of our commitment, with a coin that pays its fee. */
export function mingle(
  channel: AttackChannel,
  number: number,
  balances: Balances,
  fee: Coin,
  extra: readonly TxOutput[],
): MessageOf<'hsmd_sign_htlc_tx_mingle'> {
  const { model } = channel;
  const built = model.build('holder', number, balances);
  const [second] = built.htlcTransactions;
  const { transaction, spent } = second!;
  const tx: Transaction = {
    ...transaction,
    inputs: [...transaction.inputs, ...spend([fee.utxo.outpoint], []).inputs],
    outputs: [...transaction.outputs, ...extra],
  };
  const others = new Map([[0, built.commitment.outputs[spent.outputIndex]!]]);
  const { peerId: peerid, dbid: channelDbid } = model.ref;
  return {
    name: 'hsmd_sign_htlc_tx_mingle',
    peerid,
    channelDbid,
    inputs: [fee.utxo],
    psbt: psbtWith(tx, [fee], others),
  };
}
