/**
 * Commitment transactions, built as BOLT 3's "Commitment Transaction Construction" says. Whose it is does not matter
 * here: the broadcaster is the side that may publish it, the other side has countersigned it.
 */
import { compareBytes, EMPTY } from '../bitcoin/bytes.ts';
import { p2wpkh, p2wsh } from '../bitcoin/scripts.ts';
import type { OutPoint, Tx, TxOutput } from '../bitcoin/transaction.ts';
import { ANCHOR_VALUE, commitmentFeeSat, isTrimmed } from './fees.ts';
import type { CommitmentKeys } from './keys.ts';
import { numberFields, type Obscurer } from './number.ts';
import {
  anchorScript,
  type ChannelKind,
  type HtlcTerms,
  offeredHtlcScript,
  receivedHtlcScript,
  toLocalScript,
  toRemoteScript,
} from './scripts.ts';

export interface CommitmentHtlc extends HtlcTerms {
  /** By the broadcaster. */
  readonly isOffered: boolean;
  readonly amountMsat: bigint;
}

export interface CommitmentTerms {
  readonly kind: ChannelKind;
  readonly funding: OutPoint;
  readonly commitmentNumber: number;
  readonly obscurer: Obscurer;
  readonly keys: CommitmentKeys;
  /** The delay of the broadcaster's own outputs, which the other side asked for. */
  readonly toSelfDelayBlocks: number;
  /** The broadcaster's. */
  readonly dustLimitSat: bigint;
  readonly feeratePerKw: number;
  /** Who pays the fee and the anchors. */
  readonly funder: 'broadcaster' | 'other';
  /** Without what is in HTLCs. */
  readonly toBroadcasterMsat: bigint;
  readonly toOtherMsat: bigint;
  readonly htlcs: readonly CommitmentHtlc[];
}

export interface CommitmentOutput extends TxOutput {
  readonly role: 'to_local' | 'to_remote' | 'local_anchor' | 'remote_anchor' | 'offered' | 'received';
  /** Undefined for a p2wpkh. */
  readonly witnessScript: Uint8Array | undefined;
  /** Position among the HTLCs given, for HTLC outputs. */
  readonly htlc: number | undefined;
}

export interface Commitment {
  readonly terms: CommitmentTerms;
  /** Not signed. */
  readonly tx: Tx;
  /** In the order of the transaction. */
  readonly outputs: readonly CommitmentOutput[];
  /** Where the funder cannot pay all of the fee, its output is zero and this is true. */
  readonly isFunderShort: boolean;
}

function witnessOutput(
  role: CommitmentOutput['role'],
  value: bigint,
  witnessScript: Uint8Array,
  htlc?: number,
): CommitmentOutput {
  return { role, value, script: p2wsh(witnessScript), witnessScript, htlc };
}

function htlcOutputs(terms: CommitmentTerms): CommitmentOutput[] {
  const { kind, keys } = terms;
  return terms.htlcs.flatMap((htlc, at) => {
    if (isTrimmed(terms, htlc)) return [];
    const value = htlc.amountMsat / 1000n;
    return htlc.isOffered
      ? [witnessOutput('offered', value, offeredHtlcScript(kind, keys, htlc), at)]
      : [witnessOutput('received', value, receivedHtlcScript(kind, keys, htlc), at)];
  });
}

const atLeastZero = (value: bigint): bigint => (value < 0n ? 0n : value);

/** What both sides' own outputs are worth, before dust is left out. */
function balances(terms: CommitmentTerms, untrimmed: number) {
  const anchors = terms.kind === 'anchors_zero_fee_htlc' ? 2n * ANCHOR_VALUE : 0n;
  const fee = commitmentFeeSat(terms, untrimmed) + anchors;
  const broadcaster = terms.toBroadcasterMsat / 1000n - (terms.funder === 'broadcaster' ? fee : 0n);
  const other = terms.toOtherMsat / 1000n - (terms.funder === 'other' ? fee : 0n);
  const isFunderShort = broadcaster < 0n || other < 0n;
  return { broadcaster: atLeastZero(broadcaster), other: atLeastZero(other), isFunderShort };
}

function mainOutputs(terms: CommitmentTerms, broadcaster: bigint, other: bigint): CommitmentOutput[] {
  const { kind, keys, dustLimitSat } = terms;
  const outputs: CommitmentOutput[] = [];
  if (broadcaster >= dustLimitSat)
    outputs.push(witnessOutput('to_local', broadcaster, toLocalScript(keys, terms.toSelfDelayBlocks)));
  if (other < dustLimitSat) return outputs;
  if (kind === 'anchors_zero_fee_htlc')
    outputs.push(witnessOutput('to_remote', other, toRemoteScript(keys.otherPayment)));
  else
    outputs.push({
      role: 'to_remote',
      value: other,
      script: p2wpkh(keys.otherPayment),
      witnessScript: undefined,
      htlc: undefined,
    });
  return outputs;
}

/** Step 8 of the construction: an anchor for each side that has an output, for both when there are HTLCs. */
function anchorOutputs(
  { kind, keys }: CommitmentTerms,
  mains: readonly CommitmentOutput[],
  hasHtlcs: boolean,
): CommitmentOutput[] {
  if (kind !== 'anchors_zero_fee_htlc') return [];
  const outputs: CommitmentOutput[] = [];
  if (hasHtlcs || mains.some(({ role }) => role === 'to_local'))
    outputs.push(witnessOutput('local_anchor', ANCHOR_VALUE, anchorScript(keys.broadcasterFunding)));
  if (hasHtlcs || mains.some(({ role }) => role === 'to_remote'))
    outputs.push(witnessOutput('remote_anchor', ANCHOR_VALUE, anchorScript(keys.otherFunding)));
  return outputs;
}

/** "Transaction Output Ordering", for outputs that may have an expiry. */
function compareOutputs(a: TxOutput, b: TxOutput, expiryA = 0, expiryB = 0): number {
  if (a.value !== b.value) return a.value < b.value ? -1 : 1;
  return compareBytes(a.script, b.script) || expiryA - expiryB;
}

/** "Transaction Output Ordering" of a transaction without HTLCs. */
export const sortedOutputs = (outputs: readonly TxOutput[]): TxOutput[] =>
  [...outputs].sort((a, b) => compareOutputs(a, b));

export function buildCommitment(terms: CommitmentTerms): Commitment {
  const htlcs = htlcOutputs(terms);
  const { broadcaster, other, isFunderShort } = balances(terms, htlcs.length);
  const mains = mainOutputs(terms, broadcaster, other);
  const expiry = ({ htlc }: CommitmentOutput): number | undefined =>
    htlc === undefined ? undefined : terms.htlcs[htlc]?.cltvExpiry;
  const outputs = [...htlcs, ...mains, ...anchorOutputs(terms, mains, htlcs.length > 0)].sort((a, b) =>
    compareOutputs(a, b, expiry(a), expiry(b)),
  );
  const { locktime, sequence } = numberFields(terms.commitmentNumber, terms.obscurer);
  const tx: Tx = {
    version: 2,
    inputs: [{ ...terms.funding, scriptSig: EMPTY, sequence, witness: [] }],
    outputs: outputs.map(({ value, script }) => ({ value, script })),
    locktime,
  };
  return { terms, tx, outputs, isFunderShort };
}
