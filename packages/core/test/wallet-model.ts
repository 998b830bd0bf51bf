/**
 * Outputs of our wallet in each of its script forms, and the requests that spend them: withdrawals, anchor spends,
 * HTLC transactions that take their fee from the wallet.
 */
import {
  createPsbt,
  type OutPoint,
  type Psbt,
  p2shOfScript,
  p2trScript,
  p2wpkhOfKey,
  sat,
  setPsbtWitnessUtxo,
  type Transaction,
  type TxOutput,
  taprootOutputKey,
} from '@countersign/bitcoin';
import type { ChannelRef, KeyView } from '@countersign/core';
import type { HsmUtxo, MessageOf } from '@countersign/wire';
import { type Funding, input } from './channel-model.ts';
import { bytesOf, secp } from './test-signer.ts';

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
  outpoint: OutPoint = { txid: bytesOf(`wallet output ${keyindex} ${form}`), vout: keyindex },
): HsmUtxo {
  return {
    outpoint,
    amount: sat(200_000n),
    keyindex,
    isP2sh: form === 'p2sh-p2wpkh',
    scriptPubkey: walletScript(keys, keyindex, form),
    closeInfo: undefined,
    isInCoinbase: false,
  };
}

export const spentBy = (utxo: HsmUtxo): TxOutput => ({ value: utxo.amount, script: utxo.scriptPubkey });

/** A PSBT of `tx` that says what each input spends. */
export function psbtOf(tx: Transaction, spent: readonly (TxOutput | undefined)[]): Psbt {
  let psbt = createPsbt(tx);
  spent.forEach((output, i) => {
    if (output !== undefined) psbt = setPsbtWitnessUtxo(psbt, i, output);
  });
  return psbt;
}

/** A transaction that spends these outputs of ours to a stranger. */
export function spending(utxos: readonly HsmUtxo[]): Transaction {
  const total = utxos.reduce((sum, { amount }) => sum + amount, 0n);
  const script = p2wpkhOfKey(secp.publicKey(bytesOf('a stranger')));
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
  psbt: Psbt = psbtOf(spending(inputs), inputs.map(spentBy)),
): MessageOf<'hsmd_sign_anchorspend'> {
  const { peerId: peerid, dbid: channelDbid } = channel;
  return { name: 'hsmd_sign_anchorspend', peerid, channelDbid, inputs: [...inputs], psbt };
}

export function htlcTxMingle(
  channel: ChannelRef,
  inputs: readonly HsmUtxo[],
  psbt: Psbt = psbtOf(spending(inputs), inputs.map(spentBy)),
): MessageOf<'hsmd_sign_htlc_tx_mingle'> {
  return { ...anchorspend(channel, inputs, psbt), name: 'hsmd_sign_htlc_tx_mingle' };
}

/** The wallet input (the first) of a transaction that creates a funding: a P2WPKH output of ours, and its PSBT. */
export function fundingInput(
  keys: KeyView,
  { tx }: Funding,
): { readonly inputs: HsmUtxo[]; readonly psbt: Psbt } {
  const { txid, vout } = tx.inputs[0]!;
  const utxo = walletUtxo(keys, 5, 'p2wpkh', { txid, vout });
  return { inputs: [utxo], psbt: psbtOf(tx, [spentBy(utxo)]) };
}
