/** HTLC-timeout and HTLC-success transactions: BOLT 3, the section of that name, and their signatures. */
import { EMPTY } from '../bitcoin/bytes.ts';
import { p2wsh } from '../bitcoin/scripts.ts';
import { SIGHASH, sighashV0 } from '../bitcoin/sighash.ts';
import { type Tx, type TxOutput, txidOf } from '../bitcoin/transaction.ts';
import type { Commitment, CommitmentHtlc } from './commitment.ts';
import { htlcFeeSat } from './fees.ts';
import { toLocalScript } from './scripts.ts';

export interface HtlcTransaction {
  /** Not signed. */
  readonly tx: Tx;
  readonly htlc: CommitmentHtlc;
  /** Position of the output spent. */
  readonly vout: number;
  readonly spent: TxOutput;
  /** Of the output spent. */
  readonly witnessScript: Uint8Array;
  /** Of the only output. */
  readonly outputScript: Uint8Array;
  /** What the side that does not broadcast signs with. */
  readonly otherSighashType: number;
}

/** One for each HTLC output, in the order of the outputs, which is the order of their signatures too (BOLT 2). */
export function buildHtlcTransactions(commitment: Commitment): HtlcTransaction[] {
  const { terms, outputs, tx } = commitment;
  const hasAnchors = terms.kind === 'anchors_zero_fee_htlc';
  const outputScript = toLocalScript(terms.keys, terms.toSelfDelayBlocks);
  return outputs.flatMap(({ htlc: at, value, script, witnessScript }, vout) => {
    const htlc = at === undefined ? undefined : terms.htlcs[at];
    if (htlc === undefined || witnessScript === undefined) return [];
    const input = { txid: txidOf(tx), vout, scriptSig: EMPTY, sequence: hasAnchors ? 1 : 0, witness: [] };
    return [
      {
        tx: {
          version: 2,
          inputs: [input],
          outputs: [{ value: value - htlcFeeSat(terms, htlc.isOffered), script: p2wsh(outputScript) }],
          locktime: htlc.isOffered ? htlc.cltvExpiry : 0,
        },
        htlc,
        vout,
        spent: { value, script },
        witnessScript,
        outputScript,
        otherSighashType: hasAnchors ? SIGHASH.SINGLE_ANYONECANPAY : SIGHASH.ALL,
      },
    ];
  });
}

/** What the other side signs for the broadcaster. */
export const htlcDigestOfOther = (one: HtlcTransaction): Uint8Array =>
  sighashV0(one.tx, 0, one.witnessScript, one.spent.value, one.otherSighashType);

/**
 * What the broadcaster itself signs: all of the transaction, which with anchors may have more inputs and outputs by then
 * than BOLT 3 gives it (`tx`, with the HTLC at `index`).
 */
export const htlcDigestOfBroadcaster = (one: HtlcTransaction, tx: Tx = one.tx, index = 0): Uint8Array =>
  sighashV0(tx, index, one.witnessScript, one.spent.value, SIGHASH.ALL);
