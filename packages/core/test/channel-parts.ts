/** What models of channels are made of: HTLCs, balances, fundings, and transactions as messages carry them. */
import {
  type Commitment,
  type CommitmentKeys,
  createPsbt,
  equalBytes,
  type HtlcTransaction,
  type OutPoint,
  PSBT_IN,
  PSBT_OUT,
  type Psbt,
  p2wpkhOfKey,
  psbtOutputWitnessScript,
  psbtSpentOutput,
  sat,
  serializeTransaction,
  setPsbtInputField,
  setPsbtWitnessUtxo,
  sha256,
  type Transaction,
  type TxOutput,
  toHex,
  txid,
} from '@countersign/bitcoin';
import type { BitcoinTx } from '@countersign/wire';
import { bytesOf, secp } from './test-signer.ts';

export type Format = 'static_remotekey' | 'anchors_zero_fee_htlc';
export type Party = 'holder' | 'counterparty';

export interface ModelHtlc {
  readonly offeredBy: Party;
  readonly amountMsat: bigint;
  readonly preimage: Uint8Array;
  readonly cltvExpiry: number;
  /** A hash that nobody knows a preimage of. */
  readonly paymentHash?: Uint8Array;
}

export const hashOf = (htlc: ModelHtlc): Uint8Array => htlc.paymentHash ?? sha256(htlc.preimage);

/** What a commitment of either side says, apart from its number. Amounts in HTLCs are in no balance. */
export interface Balances {
  readonly holderMsat: bigint;
  readonly counterpartyMsat: bigint;
  readonly feeratePerKw: number;
  readonly htlcs: readonly ModelHtlc[];
}

/** A transaction output that is, or may become, the channel's funding. */
export interface Funding {
  readonly tx: Transaction;
  /** What its inputs spend: an output of our wallet (key 5), and for a splice the funding before. */
  readonly spent: readonly TxOutput[];
  readonly outpoint: OutPoint;
  readonly valueSat: bigint;
  readonly peerSecret: Uint8Array;
  readonly peerKey: Uint8Array;
  /** What a splice adds to our balance (or takes) in commitments on this funding. */
  readonly addedMsat: bigint;
}

export interface ModelOptions {
  readonly format?: Format;
  readonly isOutbound?: boolean;
  readonly dbid?: bigint;
  readonly peer?: string;
  /** In the place of the peer's node id in the channel's name, 33 bytes. */
  readonly name?: Uint8Array;
  readonly valueSat?: bigint;
  readonly pushMsat?: bigint;
  /** By whose commitment it is. */
  readonly dustLimitsSat?: Readonly<Record<Party, bigint>>;
}

/** What is wrong with a commitment, for tests of its form. */
export interface BuildChanges {
  readonly point?: Uint8Array;
  readonly keys?: Partial<CommitmentKeys>;
  readonly delayBlocks?: number;
  readonly holderFundingKey?: Uint8Array;
  readonly peerFundingKey?: Uint8Array;
  readonly leaseCsvBlocks?: number;
}

export interface Built {
  readonly commitment: Commitment;
  readonly tx: Transaction;
  readonly keys: CommitmentKeys;
  readonly htlcTransactions: readonly HtlcTransaction[];
}

export const DUST_LIMIT_SAT = 546n;
/** What transactions that create fundings pay. */
export const FUNDING_FEE_SAT = 1000n;

/**
 * A transaction as the hsmd wire carries it: with a PSBT that says what its inputs spend and, in commitments, has the
 * witness script of every P2WSH output.
 */
export function wireTx(
  tx: Transaction,
  spent: readonly (TxOutput | undefined)[],
  witnessScripts: readonly (Uint8Array | null | undefined)[] = [],
): BitcoinTx {
  const psbt = psbtOf(tx, spent);
  const outputs = psbt.outputs.map((map, i) => {
    const value = witnessScripts[i];
    if (value === undefined || value === null) return map;
    return [...map, { type: PSBT_OUT.WITNESS_SCRIPT, keyData: new Uint8Array(0), value }];
  });
  return { tx, psbt: { ...psbt, outputs } };
}

/** A PSBT of `tx` that says what each input spends, with the whole previous transaction of wallet outputs. */
export function psbtOf(tx: Transaction, spent: readonly (TxOutput | undefined)[]): Psbt {
  let psbt = createPsbt(tx);
  spent.forEach((output, i) => {
    if (output === undefined) return;
    psbt = setPsbtWitnessUtxo(psbt, i, output);
    const { txid: previousId, vout } = tx.inputs[i]!;
    const previous = previousTransactions.get(toHex(previousId));
    const same = previous?.outputs[vout];
    if (previous === undefined || same === undefined) return;
    if (same.value === output.value && equalBytes(same.script, output.script))
      psbt = setPsbtInputField(psbt, i, PSBT_IN.NON_WITNESS_UTXO, serializeTransaction(previous));
  });
  return psbt;
}

/** Transactions that created outputs of wallets, by txid: lightningd has them, and puts them into its PSBTs. */
const previousTransactions = new Map<string, Transaction>();

/** Where an output lies that some earlier transaction created; `vout` others before it. */
export function walletOutPoint(label: string, output: TxOutput, vout = 0): OutPoint {
  const filler = { value: sat(1000), script: p2wpkhOfKey(secp.publicKey(bytesOf('a payer'))) };
  const outputs = [...Array.from({ length: vout }, () => filler), output];
  const tx = { version: 2, inputs: [input({ txid: bytesOf(label), vout: 0 })], outputs, locktime: 0 };
  const id = txid(tx);
  previousTransactions.set(toHex(id), tx);
  return { txid: id, vout };
}

/** The witness scripts of a PSBT's outputs, by the output script that commits to them. */
function witnessScriptsOf({ tx, psbt }: BitcoinTx): ReadonlyMap<string, Uint8Array> {
  const scripts = new Map<string, Uint8Array>();
  for (const [i, { script }] of tx.outputs.entries()) {
    const witnessScript = psbtOutputWitnessScript(psbt, i);
    if (witnessScript !== undefined) scripts.set(toHex(script), witnessScript);
  }
  return scripts;
}

/** The same request about another transaction; what its inputs spend and its scripts are stays as it was. */
export function retx<R extends { readonly tx: BitcoinTx }>(
  request: R,
  change: (tx: Transaction) => Partial<Transaction>,
): R {
  const { tx, psbt } = request.tx;
  const changed = { ...tx, ...change(tx) };
  const spent = changed.inputs.map((_, i) => (i < tx.inputs.length ? psbtSpentOutput(psbt, i) : undefined));
  const known = witnessScriptsOf(request.tx);
  const witnessScripts = changed.outputs.map(({ script }) => known.get(toHex(script)));
  return { ...request, tx: wireTx(changed, spent, witnessScripts) };
}

export function input(outpoint: OutPoint, sequence = 0xffff_fffd): Transaction['inputs'][number] {
  return { ...outpoint, scriptSig: new Uint8Array(0), sequence, witness: [] };
}

export const htlc = (
  offeredBy: Party,
  amountSat: number,
  label: string,
  cltvExpiry = 700_000,
): ModelHtlc => ({ offeredBy, amountMsat: BigInt(amountSat) * 1000n, preimage: bytesOf(label), cltvExpiry });
