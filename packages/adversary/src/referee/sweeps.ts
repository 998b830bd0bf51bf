/**
 * Signatures for outputs of commitments: sweeps that give away more than their fee, and HTLC transactions that let the peer
 * around a punishment or an expiry. Whatever goes to the owner within the agreed fee does no harm and is not looked at twice.
 */
import type { MessageOf, Request } from '@countersign/wire';
import { toHex } from '../bitcoin/bytes.ts';
import { publicKeyOf, verify } from '../bitcoin/keys.ts';
import { SIGHASH, sighashV0 } from '../bitcoin/sighash.ts';
import { outpointKey, type Tx, weightOf } from '../bitcoin/transaction.ts';
import { derivePublicKey, deriveRevocationPublicKey } from '../bolt3/index.ts';
import type { ChannelFile } from './channel-file.ts';
import type { Knowledge } from './knowledge.ts';
import { agreedFeeSat } from './terms.ts';

type Named<N extends Request['name']> = Extract<Request, { name: N }>;
export type SweepRequest =
  | Named<'hsmd_sign_delayed_payment_to_us'>
  | Named<'hsmd_sign_any_delayed_payment_to_us'>
  | Named<'hsmd_sign_remote_htlc_to_us'>
  | Named<'hsmd_sign_any_remote_htlc_to_us'>
  | Named<'hsmd_sign_penalty_to_us'>
  | Named<'hsmd_sign_any_penalty_to_us'>
  | Named<'hsmd_sign_any_local_htlc_tx'>;

/** The owner's signature of one input of a sweep is out. */
export function sweepSigned(
  known: Knowledge,
  file: ChannelFile,
  request: SweepRequest,
  signature: { readonly signature: Uint8Array; readonly sighash: number },
): void {
  const tx: Tx = request.tx.tx;
  const index = 'input' in request ? request.input : 0;
  const input = tx.inputs[index];
  if (input === undefined) return;
  const key = outpointKey(input);
  const valueSat = spentValueSat(known, input);
  if (valueSat === undefined) return;
  const ownSat = tx.outputs.reduce(
    (sum, { value, script }) => (isOwners(known, file, script, input.txid) ? sum + Number(value) : sum),
    0,
  );
  const feeSat = agreedFeeOf(known, tx);
  // A sweep of several inputs is charged to each of them in full at worst; an honest one loses nothing.
  const othersSat = tx.inputs.reduce(
    (sum, one, i) => (i === index ? sum : sum + (known.coins.coins.get(outpointKey(one))?.valueSat ?? 0)),
    0,
  );
  const lossSat = Math.min(valueSat, valueSat + othersSat - ownSat - Math.max(feeSat, FEE_SAT_ANYWAY));
  const isLoose = signature.sighash !== SIGHASH.ALL && !(isSecondLevel(request) && isAloneInForm(tx));
  if (lossSat <= 0 && !isLoose) return;
  const publicKey = signerOf(file, request);
  if (publicKey === undefined) return;
  const digest = sighashV0(tx, index, request.wscript, BigInt(valueSat), signature.sighash);
  if (!verify(signature.signature, digest, publicKey)) return;
  known.released.lose(key, isLoose ? valueSat : lossSat);
  const found = known.endingOf(toHex(input.txid));
  if (found === undefined) return;
  found.ending.bypassed.add(input.vout);
  keepUnpunished(found.file, found.ending);
}

/** Fees of claims that nobody looks at twice. */
const FEE_SAT_ANYWAY = 1000;
/** What an input weighs that is still to be signed, at most: the longest HTLC script with its signatures. */
const WITNESS_WEIGHT_MAX = 400;

/** Of a sweep that is not signed yet; what it spends may not be on the chain either. */
function agreedFeeOf(known: Knowledge, tx: Tx): number {
  const spent = tx.inputs.map((input) => spentValueSat(known, input));
  if (spent.includes(undefined)) return 0;
  const inSat = spent.reduce((sum: number, one) => sum + (one ?? 0), 0);
  const outSat = tx.outputs.reduce((sum, { value }) => sum + Number(value), 0);
  const weight = weightOf(tx) + tx.inputs.length * WITNESS_WEIGHT_MAX;
  const { onchainFeeratePerKwMax, onchainFeeSatMax } = known.terms;
  return Math.min(
    agreedFeeSat(Math.max(0, inSat - outSat), weight, onchainFeeratePerKwMax),
    onchainFeeSatMax,
  );
}

const isSecondLevel = ({ name }: SweepRequest): boolean => name === 'hsmd_sign_any_local_htlc_tx';
/** SINGLE|ANYONECANPAY is right for one input with its own output at the same place, which must be none of the wallet's. */
const isAloneInForm = (tx: Tx): boolean => tx.inputs.length === 1 && tx.outputs.length === 1;

function isOwners(known: Knowledge, file: ChannelFile, script: Uint8Array, txid: Uint8Array): boolean {
  if (known.ownerScript(script) !== undefined) return true;
  const ending = known.endingOf(toHex(txid))?.ending;
  // The second stage of the owner's own commitment.
  return ending?.side === 'holder' && toHex(ending.delayed) === toHex(script) && file.owner !== null;
}

function spentValueSat(
  known: Knowledge,
  outpoint: { readonly txid: Uint8Array; readonly vout: number },
): number | undefined {
  const output =
    known.book.outputAt(outpoint) ?? known.endingOf(toHex(outpoint.txid))?.ending.tx.outputs[outpoint.vout];
  return output === undefined ? undefined : Number(output.value);
}

/** Whose signature a request asks for. */
function signerOf(file: ChannelFile, request: SweepRequest): Uint8Array | undefined {
  const { owner } = file;
  if (owner === null) return undefined;
  switch (request.name) {
    case 'hsmd_sign_delayed_payment_to_us':
    case 'hsmd_sign_any_delayed_payment_to_us': {
      const point = file.points.get(Number(request.commitNum));
      return point === undefined ? undefined : derivePublicKey(owner.delayedPayment, point);
    }
    case 'hsmd_sign_any_local_htlc_tx': {
      const point = file.points.get(Number(request.commitNum));
      return point === undefined ? undefined : derivePublicKey(owner.htlc, point);
    }
    case 'hsmd_sign_remote_htlc_to_us':
    case 'hsmd_sign_any_remote_htlc_to_us':
      return derivePublicKey(owner.htlc, request.remotePerCommitmentPoint);
    case 'hsmd_sign_penalty_to_us':
    case 'hsmd_sign_any_penalty_to_us':
      return deriveRevocationPublicKey(owner.revocation, publicKeyOf(request.revocationSecret));
  }
}

/** The owner's signature of the peer's HTLC transaction: harmless in the form of BOLT 3, and a hole in any other. */
export function htlcSigned(
  known: Knowledge,
  file: ChannelFile,
  request: MessageOf<'hsmd_sign_remote_htlc_tx'>,
  signature: { readonly signature: Uint8Array; readonly sighash: number },
): void {
  const tx: Tx = request.tx.tx;
  const input = tx.inputs[0];
  const found = input === undefined ? undefined : known.endingOf(toHex(input.txid));
  if (input === undefined || found === undefined || file.owner === null) return;
  const { ending } = found;
  const meaning = ending.meanings[input.vout];
  if (meaning?.is !== 'htlc') return;
  known.htlcSignatures.set(outpointKey(input), signature);
  const isRevocable = tx.outputs[0] !== undefined && toHex(tx.outputs[0].script) === toHex(ending.delayed);
  const fromBlocks = validFrom(tx);
  const isEarly = meaning.htlc.direction === 'received' && fromBlocks < meaning.htlc.expiryBlocks;
  if (isRevocable && !isEarly) return;
  const digest = sighashV0(tx, 0, request.wscript, ending.tx.outputs[input.vout]!.value, signature.sighash);
  if (!verify(signature.signature, digest, derivePublicKey(file.owner.htlc, request.remotePerCommitPoint)))
    return;
  if (!isRevocable) ending.bypassed.add(input.vout);
  if (isEarly) ending.early.set(input.vout, Math.min(fromBlocks, ending.early.get(input.vout) ?? fromBlocks));
  keepUnpunished(file, ending);
}

/** The height from which a transaction may be mined: its locktime, where that is a height and in force. */
function validFrom({ locktime, inputs }: Tx): number {
  const isInForce =
    locktime < LOCKTIME_SECONDS_MIN && inputs.some(({ sequence }) => sequence !== SEQUENCE_FINAL);
  return isInForce ? locktime : 0;
}

/** A locktime from here on is a time, which may be past. */
const LOCKTIME_SECONDS_MIN = 500_000_000;
const SEQUENCE_FINAL = 0xffff_ffff;

/** A revoked commitment that was forgotten, as it could be punished, can't be any more. */
function keepUnpunished(file: ChannelFile, ending: ChannelFile['unpunished'][number]): void {
  const isForgotten = ending.side === 'counterparty' && !file.counterparty.includes(ending);
  if (isForgotten && !file.unpunished.includes(ending)) file.unpunished.push(ending);
}
