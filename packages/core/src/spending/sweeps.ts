/**
 * Sweeps to us: our delayed outputs, HTLCs of the peer's commitment, and penalties. Each signs one input with the one key that
 * output is for, and pays to our wallet. `input` null: the forms of CLN's daemons, which name none.
 */
import {
  derivePublicKey,
  equalBytes,
  hash160,
  OP,
  parseScript,
  type ScriptElement,
} from '@countersign/bitcoin';
import { SIGHASH_ALL } from '@countersign/wire';
import { channelId } from '../channel/lookup.ts';
import type { ChannelRef, Context } from '../context.ts';
import { malformed } from '../form.ts';
import { commitmentKeys, requireCommitmentNumber } from '../ratchet/commitment.ts';
import { channelRecords } from '../records/channel.ts';
import { refuse } from '../refusal.ts';
import type { Release } from '../release.ts';
import { keyUse } from './rules.ts';
import { htlcSighashType } from './second-level.ts';
import { judgeSweep, requireSweepForm, type Sweep, UNLOCKED_SEQUENCES } from './sweep-rules.ts';
import { inputSighash, requireOnlyInput, type WireTx } from './wire-tx.ts';

/** sign_penalty_to_us (14, in advance) and sign_any_penalty_to_us (144): the revocation key of a revealed secret. */
export function signPenalty(
  ctx: Context,
  channel: ChannelRef,
  request: { readonly tx: WireTx; readonly wscript: Uint8Array; readonly revocationSecret: Uint8Array },
  input: number | null = null,
): Release {
  const sweep: Sweep = {
    channel,
    wire: request.tx,
    input: input ?? 0,
    sequences: UNLOCKED_SEQUENCES,
    locktime: 0,
    isUncontested: false,
    isInAdvance: input === null,
    isScriptKnown: isRevokedScript(ctx, channel, request),
  };
  requireSweepForm(ctx, sweep);
  if (input === null) requireOnlyInput(request.tx.tx);
  judgeSweep(ctx, sweep);
  return {
    kind: 'sign-revocation',
    channel,
    revocationSecret: request.revocationSecret,
    sighash: inputSighash(request.tx, sweep.input, request.wscript, SIGHASH_ALL),
  };
}

/**
 * Whether the script is one of this channel's, of the peer's commitment that this secret revokes: it has our revocation
 * key and a key of the peer for the secret's point. Revoked commitments leave no other trace on record. BOLT 3 has the
 * revocation key in to_local, its hash in HTLCs.
 */
function isRevokedScript(
  ctx: Context,
  channel: ChannelRef,
  { wscript, revocationSecret }: { readonly wscript: Uint8Array; readonly revocationSecret: Uint8Array },
): boolean {
  if (!ctx.secp.isPrivateKey(revocationSecret)) malformed('the revocation secret is no private key');
  const record = ctx.draft.get(channelRecords, channelId(channel));
  if (record === null || record.setup === null) return false;
  const point = ctx.secp.publicKey(revocationSecret);
  const place = { ref: channel, setup: record.setup };
  const keys = commitmentKeys(ctx, place, 'counterparty', point);
  const { revocation: key, broadcasterDelayed: delayed, broadcasterHtlc: htlc } = keys;
  const pushes = parseScript(wscript).flatMap(({ data }) => data ?? []);
  const has = (data: Uint8Array) => pushes.some((push) => equalBytes(push, data));
  return (has(key) && has(delayed)) || (has(hash160(key)) && has(htlc));
}

/** sign_delayed_payment_to_us (12) and its `any` form (142). */
export function signDelayedPayment(
  ctx: Context,
  channel: ChannelRef,
  request: { readonly tx: WireTx; readonly wscript: Uint8Array; readonly commitNum: bigint },
  input: number | null = null,
): Release {
  const number = requireCommitmentNumber(request.commitNum);
  const perCommitmentPoint = ctx.keys.perCommitmentPoint(channel, number);
  const delayBlocks = requireDelayedScript(ctx, channel, request.wscript, perCommitmentPoint);
  const sweep: Sweep = {
    channel,
    wire: request.tx,
    input: input ?? 0,
    sequences: [delayBlocks],
    locktime: 0,
    isUncontested: true,
    isInAdvance: false,
    isScriptKnown: false,
  };
  requireSweepForm(ctx, sweep);
  if (input === null) requireOnlyInput(request.tx.tx);
  judgeSweep(ctx, sweep);
  return {
    kind: 'sign-delayed',
    channel,
    perCommitmentPoint,
    sighash: inputSighash(request.tx, sweep.input, request.wscript, SIGHASH_ALL),
  };
}

/** The delay of a script in the form of to_local whose delayed key is ours in that commitment. */
function requireDelayedScript(
  ctx: Context,
  channel: ChannelRef,
  witnessScript: Uint8Array,
  perCommitmentPoint: Uint8Array,
): number {
  const ours = derivePublicKey(ctx.secp, ctx.keys.basepoints(channel).delayedPayment, perCommitmentPoint);
  const elements = parseScript(witnessScript);
  const csv = elements.findIndex(({ opcode }) => opcode === OP.OP_CHECKSEQUENCEVERIFY);
  const delay = csv > 0 ? numberIn(elements[csv - 1]) : null;
  const key = elements[csv + 2]?.data;
  if (delay === null || csv !== 4 || key === undefined || !equalBytes(key, ours)) {
    refuse(keyUse, 'the script is none of an output that is ours after a delay', {
      script_bytes: witnessScript.length,
    });
  }
  return delay;
}

/** A number that a script pushes (BIP 62, little-endian, not negative), up to four bytes; else null. */
function numberIn(element: ScriptElement | undefined): number | null {
  const data = element?.data;
  if (data === undefined || data.length > 4) return null;
  const value = data.reduce((sum, byte, at) => sum + byte * 256 ** at, 0);
  const isNegative = ((data.at(-1) ?? 0) & 0x80) !== 0;
  return isNegative ? null : value;
}

/** sign_remote_htlc_to_us (13) and its `any` form (143): claim an HTLC output of the peer's commitment. */
export function signRemoteHtlcToUs(
  ctx: Context,
  channel: ChannelRef,
  request: {
    readonly tx: WireTx;
    readonly wscript: Uint8Array;
    readonly remotePerCommitmentPoint: Uint8Array;
    readonly optionAnchorOutputs: boolean;
  },
  input: number | null = null,
): Release {
  if (!ctx.secp.isPublicKey(request.remotePerCommitmentPoint))
    malformed('the point is no point on the curve');
  const sweep: Sweep = {
    channel,
    wire: request.tx,
    input: input ?? 0,
    sequences: request.optionAnchorOutputs ? [1] : UNLOCKED_SEQUENCES,
    locktime: expiryIn(request.wscript),
    isUncontested: false,
    isInAdvance: false,
    isScriptKnown: false,
  };
  requireOurHtlcScript(ctx, channel, request.wscript, request.remotePerCommitmentPoint);
  // A channel that was restored without its record is what the request says it is.
  const setup = ctx.draft.get(channelRecords, channelId(channel))?.setup ?? null;
  if (setup !== null) htlcSighashType(setup.format, request.optionAnchorOutputs);
  requireSweepForm(ctx, sweep);
  if (input === null) requireOnlyInput(request.tx.tx);
  judgeSweep(ctx, sweep);
  return {
    kind: 'sign-htlc',
    channel,
    perCommitmentPoint: request.remotePerCommitmentPoint,
    // CLN asks for SINGLE|ANYONECANPAY with anchors and takes either: the output would cover as much of ours in another transaction.
    sighash: inputSighash(request.tx, sweep.input, request.wscript, SIGHASH_ALL),
    sighashType: SIGHASH_ALL,
  };
}

/** The expiry of an HTLC that we offered, in the script of the peer's received HTLC; 0 for one that we claim. */
function expiryIn(witnessScript: Uint8Array): number {
  const elements = parseScript(witnessScript);
  const cltv = elements.findIndex(({ opcode }) => opcode === OP.OP_CHECKLOCKTIMEVERIFY);
  return cltv > 0 ? (numberIn(elements[cltv - 1]) ?? 0) : 0;
}

/**
 * An HTLC script of a commitment of the peer has our key where BOLT 3 has remote_htlcpubkey: the one before OP_SWAP.
 * Elsewhere, and for a point of our own, this key would sign second-level transactions of our own commitments.
 */
function requireOurHtlcScript(
  ctx: Context,
  channel: ChannelRef,
  witnessScript: Uint8Array,
  perCommitmentPoint: Uint8Array,
): void {
  const ours = derivePublicKey(ctx.secp, ctx.keys.basepoints(channel).htlc, perCommitmentPoint);
  const elements = parseScript(witnessScript);
  const swap = elements.findIndex(({ opcode }) => opcode === OP.OP_SWAP);
  const key = swap > 0 ? elements[swap - 1]?.data : undefined;
  if (key === undefined || !equalBytes(key, ours)) {
    refuse(keyUse, 'the script is none of an HTLC of the peer that our HTLC key may claim', {
      script_bytes: witnessScript.length,
    });
  }
}
