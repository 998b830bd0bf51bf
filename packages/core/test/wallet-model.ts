/**
 * Outputs of our wallet in each of its script forms, and the requests that spend them: withdrawals, anchor spends,
 * HTLC transactions that take their fee from the wallet.
 */
import {
  type Psbt,
  p2shOfScript,
  p2trScript,
  p2wpkhOfKey,
  sat,
  type Transaction,
  type TxOutput,
  taprootOutputKey,
} from '@countersign/bitcoin';
import type { ChannelRef, KeyView } from '@countersign/core';
import type { HsmUtxo, MessageOf } from '@countersign/wire';
import { type Funding, input, psbtOf, walletOutPoint } from './channel-model.ts';
import { bytesOf, secp, TestSigner } from './test-signer.ts';

export const WALLET_FORMS = ['p2wpkh', 'p2sh-p2wpkh', 'p2tr'] as const;
export type WalletForm = (typeof WALLET_FORMS)[number];

export function walletScript(keys: KeyView, keyindex: number, form: WalletForm): Uint8Array {
  const key = keys.walletPublicKey(keyindex)!;
  if (form === 'p2tr') return p2trScript(taprootOutputKey(secp, key.subarray(1)).outputKey);
  return form === 'p2wpkh' ? p2wpkhOfKey(key) : p2shOfScript(p2wpkhOfKey(key));
}

/** An output of our wallet, as lightningd describes it. */
export function walletUtxo(
  keys: KeyView,
  keyindex: number,
  form: WalletForm = 'p2wpkh',
  amountSat = 200_000n,
): HsmUtxo {
  const amount = sat(amountSat);
  const scriptPubkey = walletScript(keys, keyindex, form);
  const output = { value: amount, script: scriptPubkey };
  return {
    outpoint: walletOutPoint(`wallet output ${keyindex} ${form}`, output, keyindex % 8),
    amount,
    keyindex,
    isP2sh: form === 'p2sh-p2wpkh',
    scriptPubkey,
    closeInfo: undefined,
    isInCoinbase: false,
  };
}

export const spentBy = (utxo: HsmUtxo): TxOutput => ({ value: utxo.amount, script: utxo.scriptPubkey });

export { psbtOf };

export const STRANGER = p2wpkhOfKey(secp.publicKey(bytesOf('a stranger')));

/** An output of the wallet of test signers. */
export const OWN = walletScript(new TestSigner().keys, 40, 'p2tr');

/** A transaction that spends these outputs of ours, less a fee, to a stranger or whoever has the script. */
export function spending(utxos: readonly HsmUtxo[], script = STRANGER): Transaction {
  const total = utxos.reduce((sum, { amount }) => sum + amount, 0n);
  return {
    version: 2,
    inputs: utxos.map(({ outpoint }) => input(outpoint)),
    outputs: [{ value: sat(total - 1000n), script }],
    locktime: 0,
  };
}

export function withdrawal(
  inputs: readonly HsmUtxo[],
  psbt: Psbt = psbtOf(spending(inputs), inputs.map(spentBy)),
): MessageOf<'hsmd_sign_withdrawal'> {
  return { name: 'hsmd_sign_withdrawal', inputs: [...inputs], psbt };
}

export function anchorspend(
  channel: ChannelRef,
  inputs: readonly HsmUtxo[],
  psbt: Psbt = psbtOf(spending(inputs, OWN), inputs.map(spentBy)),
): MessageOf<'hsmd_sign_anchorspend'> {
  const { peerId: peerid, dbid: channelDbid } = channel;
  return { name: 'hsmd_sign_anchorspend', peerid, channelDbid, inputs: [...inputs], psbt };
}

export function htlcTxMingle(
  channel: ChannelRef,
  inputs: readonly HsmUtxo[],
  psbt: Psbt = psbtOf(spending(inputs, OWN), inputs.map(spentBy)),
): MessageOf<'hsmd_sign_htlc_tx_mingle'> {
  return { ...anchorspend(channel, inputs, psbt), name: 'hsmd_sign_htlc_tx_mingle' };
}

/** The wallet input (the first) of a transaction that creates a funding: a P2WPKH output of ours, and its PSBT. */
export function fundingInput(
  keys: KeyView,
  { tx, spent }: Funding,
): { readonly inputs: HsmUtxo[]; readonly psbt: Psbt } {
  const { txid, vout } = tx.inputs[0]!;
  const utxo = { ...walletUtxo(keys, 5), outpoint: { txid, vout }, amount: spent[0]!.value };
  return { inputs: [utxo], psbt: psbtOf(tx, spent) };
}
