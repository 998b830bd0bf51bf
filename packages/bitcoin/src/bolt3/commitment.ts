/**
 * BOLT 3 "Commitment Transaction Construction": the unsigned commitment of one party, the broadcaster, from
 * balances, HTLCs, keys and feerate. Pure; the same parameters always give the same bytes.
 */
import type { Msat, Sat } from '../amount.ts';
import { msatToSatFloor } from '../amount.ts';
import { equalBytes } from '../bytes.ts';
import { FormError } from '../error.ts';
import { p2wpkhOfKey, p2wshOfScript } from '../script.ts';
import type { OutPoint, Transaction } from '../transaction.ts';
import type { CommitmentFormat, HtlcDirection } from './format.ts';
import { ANCHOR_SAT, commitmentFeeSat, HTLC_COUNT_MAX, hasAnchors, htlcTrimThresholdSat } from './format.ts';
import type { CommitmentKeys } from './keys.ts';
import { commitmentLocktime, commitmentSequence } from './number.ts';
import { compareOrdered } from './order.ts';
import type { HtlcScripts } from './scripts.ts';
import {
  anchorScript,
  htlcScripts,
  requireCltvExpiry,
  toLocalScript,
  toRemoteAnchoredScript,
} from './scripts.ts';

export interface CommitmentHtlc {
  readonly direction: HtlcDirection;
  readonly amountMsat: Msat;
  /** SHA-256 of the preimage, 32 bytes. */
  readonly paymentHash: Uint8Array;
  readonly cltvExpiry: number;
}

/** The two parties of a commitment: who may publish it, and who countersigned it. */
export type CommitmentParty = 'broadcaster' | 'countersignatory';

/** What the output scripts depend on, apart from the HTLCs. */
export interface CommitmentScriptParams {
  readonly format: CommitmentFormat;
  readonly keys: CommitmentKeys;
  readonly broadcasterFundingKey: Uint8Array;
  readonly countersignatoryFundingKey: Uint8Array;
  /** What the countersignatory imposes on the broadcaster. */
  readonly toSelfDelayBlocks: number;
  /** Pays the fees and the anchors. */
  readonly funder: CommitmentParty;
  /** Blocks left of the lease in which the party that is not the funder leased out its funds (CLN, option_will_fund). */
  readonly leaseCsvBlocks?: number;
}

/** What a commitment spends, and the number it carries. */
export interface CommitmentPlace {
  readonly funding: OutPoint;
  /** 0 … 2^48−1. */
  readonly commitmentNumber: number | bigint;
  /** `commitmentObscureFactor`. */
  readonly obscureFactor: bigint;
}

/** The main outputs after fee, anchors and trimming; null where the side has none. */
export interface MainOutputs {
  readonly toLocalSat: Sat | null;
  readonly toRemoteSat: Sat | null;
}

export interface CommitmentOutputsParams extends CommitmentScriptParams, CommitmentPlace, MainOutputs {
  /** Those with an output. */
  readonly htlcs: readonly CommitmentHtlc[];
}

export interface CommitmentParams extends CommitmentScriptParams, CommitmentPlace {
  /** The broadcaster's. */
  readonly dustLimitSat: Sat;
  readonly feeratePerKw: number;
  /** Balances before fee and anchors; HTLC amounts are in neither. */
  readonly toBroadcasterMsat: Msat;
  readonly toCountersignatoryMsat: Msat;
  readonly htlcs: readonly CommitmentHtlc[];
}

export type CommitmentOutputKind =
  | 'to_local'
  | 'to_remote'
  | 'local_anchor'
  | 'remote_anchor'
  | 'offered_htlc'
  | 'received_htlc';

export interface CommitmentOutput {
  readonly kind: CommitmentOutputKind;
  readonly value: Sat;
  /** The scriptPubKey. */
  readonly script: Uint8Array;
  /** Null for the P2WPKH `to_remote` of static_remotekey. */
  readonly witnessScript: Uint8Array | null;
  /** Place in `htlcs` of the parameters; −1 where the output is no HTLC. */
  readonly htlcIndex: number;
  readonly cltvExpiry: number;
}

export interface CommitmentHtlcOutput {
  readonly outputIndex: number;
  readonly htlcIndex: number;
  readonly htlc: CommitmentHtlc;
  readonly witnessScript: Uint8Array;
}

export interface Commitment {
  readonly transaction: Transaction;
  /** In the order of the transaction's outputs. */
  readonly outputs: readonly CommitmentOutput[];
  /** Those with an output, in output order: the order of HTLC signatures. */
  readonly htlcs: readonly CommitmentHtlcOutput[];
  /** Places in `htlcs` of the parameters of those without. */
  readonly trimmedHtlcs: readonly number[];
  /** What the fee formula gives; the funder pays less where its balance does not suffice. */
  readonly baseFeeSat: Sat;
}

/** The witness scripts and scriptPubKeys of one commitment's outputs that are not HTLCs. */
export interface CommitmentScripts {
  readonly toLocal: OutputScript & { readonly witnessScript: Uint8Array };
  readonly toRemote: OutputScript;
  /** Null where the format has no anchors. */
  readonly anchors: Readonly<Record<CommitmentParty, OutputScript>> | null;
  readonly htlc: HtlcScripts;
}

export interface OutputScript {
  readonly script: Uint8Array;
  readonly witnessScript: Uint8Array | null;
}

const p2wsh = (witnessScript: Uint8Array) => ({ script: p2wshOfScript(witnessScript), witnessScript });

interface MadeScripts {
  readonly params: CommitmentScriptParams;
  readonly scripts: CommitmentScripts;
}

/** The last ones made with these keys: who builds a commitment and then matches it asks twice for the same. */
const made = new WeakMap<CommitmentKeys, MadeScripts>();

/** The keys are the same object. */
function isSameParams(a: CommitmentScriptParams, b: CommitmentScriptParams): boolean {
  return (
    a.format === b.format &&
    a.toSelfDelayBlocks === b.toSelfDelayBlocks &&
    a.funder === b.funder &&
    a.leaseCsvBlocks === b.leaseCsvBlocks &&
    equalBytes(a.broadcasterFundingKey, b.broadcasterFundingKey) &&
    equalBytes(a.countersignatoryFundingKey, b.countersignatoryFundingKey)
  );
}

/** Every script of the commitment, once; both building and matching use these. Nobody changes keys or scripts once made. */
export function commitmentScripts(params: CommitmentScriptParams): CommitmentScripts {
  const last = made.get(params.keys);
  if (last !== undefined && isSameParams(last.params, params)) return last.scripts;
  const scripts = makeScripts(params);
  made.set(params.keys, { params, scripts });
  return scripts;
}

function makeScripts(params: CommitmentScriptParams): CommitmentScripts {
  const { format, keys, toSelfDelayBlocks, funder, leaseCsvBlocks } = params;
  const lessor: CommitmentParty = funder === 'broadcaster' ? 'countersignatory' : 'broadcaster';
  const localLease = lessor === 'broadcaster' ? leaseCsvBlocks : undefined;
  const remoteLease = lessor === 'countersignatory' ? leaseCsvBlocks : undefined;
  return {
    toLocal: p2wsh(toLocalScript(keys, toSelfDelayBlocks, localLease)),
    toRemote: hasAnchors(format)
      ? p2wsh(toRemoteAnchoredScript(keys.countersignatoryPayment, remoteLease))
      : { script: p2wpkhOfKey(keys.countersignatoryPayment), witnessScript: null },
    anchors: hasAnchors(format)
      ? {
          broadcaster: p2wsh(anchorScript(params.broadcasterFundingKey)),
          countersignatory: p2wsh(anchorScript(params.countersignatoryFundingKey)),
        }
      : null,
    htlc: htlcScripts(keys, format),
  };
}

export function htlcOutput(scripts: HtlcScripts, htlc: CommitmentHtlc, htlcIndex: number) {
  const { direction, paymentHash } = htlc;
  const cltvExpiry = requireCltvExpiry(htlc.cltvExpiry);
  const witnessScript =
    direction === 'offered' ? scripts.offered(paymentHash) : scripts.received(paymentHash, cltvExpiry);
  const kind: CommitmentOutputKind = direction === 'offered' ? 'offered_htlc' : 'received_htlc';
  const value = msatToSatFloor(htlc.amountMsat);
  return { kind, value, script: p2wshOfScript(witnessScript), witnessScript, htlcIndex, cltvExpiry };
}

/** An HTLC has an output when what is left of it after its transaction's fee reaches the dust limit. */
export function isTrimmed(
  htlc: Pick<CommitmentHtlc, 'direction' | 'amountMsat'>,
  params: Pick<CommitmentParams, 'format' | 'feeratePerKw' | 'dustLimitSat'>,
): boolean {
  const { format, feeratePerKw, dustLimitSat } = params;
  return (
    msatToSatFloor(htlc.amountMsat) < htlcTrimThresholdSat(format, htlc.direction, feeratePerKw, dustLimitSat)
  );
}

/** Main output amounts after fee and anchors; the funder pays what it has when that is less. */
export function mainOutputAmounts(
  params: Pick<
    CommitmentParams,
    'format' | 'feeratePerKw' | 'funder' | 'toBroadcasterMsat' | 'toCountersignatoryMsat'
  >,
  untrimmedHtlcs: number,
): { readonly baseFeeSat: Sat; readonly toLocalSat: Sat; readonly toRemoteSat: Sat } {
  const { format, feeratePerKw, funder, toBroadcasterMsat, toCountersignatoryMsat } = params;
  const baseFeeSat = commitmentFeeSat(format, feeratePerKw, untrimmedHtlcs);
  const costMsat = 1000n * (baseFeeSat + (hasAnchors(format) ? 2n * ANCHOR_SAT : 0n));
  const pay = (balance: Msat): Sat => msatToSatFloor((balance > costMsat ? balance - costMsat : 0n) as Msat);
  return {
    baseFeeSat,
    toLocalSat: funder === 'broadcaster' ? pay(toBroadcasterMsat) : msatToSatFloor(toBroadcasterMsat),
    toRemoteSat:
      funder === 'countersignatory' ? pay(toCountersignatoryMsat) : msatToSatFloor(toCountersignatoryMsat),
  };
}

function mainOutput(kind: CommitmentOutputKind, value: Sat, script: OutputScript): CommitmentOutput {
  return { kind, value, ...script, htlcIndex: -1, cltvExpiry: 0 };
}

/** An anchor stands beside its side's main output, or beside any HTLC. */
function mainOutputs(
  { toLocalSat, toRemoteSat }: MainOutputs,
  scripts: CommitmentScripts,
  untrimmedHtlcs: number,
): CommitmentOutput[] {
  const outputs: CommitmentOutput[] = [];
  if (toLocalSat !== null) outputs.push(mainOutput('to_local', toLocalSat, scripts.toLocal));
  if (toRemoteSat !== null) outputs.push(mainOutput('to_remote', toRemoteSat, scripts.toRemote));
  if (scripts.anchors !== null) {
    const { broadcaster, countersignatory } = scripts.anchors;
    if (toLocalSat !== null || untrimmedHtlcs > 0)
      outputs.push(mainOutput('local_anchor', ANCHOR_SAT, broadcaster));
    if (toRemoteSat !== null || untrimmedHtlcs > 0)
      outputs.push(mainOutput('remote_anchor', ANCHOR_SAT, countersignatory));
  }
  return outputs;
}

function htlcsInOutputOrder(
  outputs: readonly CommitmentOutput[],
  htlcs: readonly CommitmentHtlc[],
): CommitmentHtlcOutput[] {
  const found: CommitmentHtlcOutput[] = [];
  for (const [outputIndex, { htlcIndex, witnessScript }] of outputs.entries()) {
    if (htlcIndex >= 0 && witnessScript !== null)
      found.push({ outputIndex, htlcIndex, htlc: htlcs[htlcIndex]!, witnessScript });
  }
  return found;
}

/** The unsigned transaction, version 2, one input without witness. */
function commitmentTransaction(place: CommitmentPlace, outputs: readonly CommitmentOutput[]): Transaction {
  const { funding, commitmentNumber, obscureFactor } = place;
  return {
    version: 2,
    inputs: [
      {
        txid: funding.txid,
        vout: funding.vout,
        scriptSig: new Uint8Array(0),
        sequence: commitmentSequence(commitmentNumber, obscureFactor),
        witness: [],
      },
    ],
    outputs: outputs.map(({ value, script }) => ({ value, script })),
    locktime: commitmentLocktime(commitmentNumber, obscureFactor),
  };
}

function requireHtlcCount({ length }: readonly CommitmentHtlc[]): void {
  if (length > HTLC_COUNT_MAX) throw new FormError('too many HTLCs', { htlcs: length, max: HTLC_COUNT_MAX });
}

/**
 * Throws `FormError` for values no channel can have (ranges of hashes, delays, expiries, more than 966 HTLCs). It
 * does not judge: nothing may reach the dust limit (no outputs), and where the funder cannot pay for the anchors the
 * outputs may exceed the funding; the caller compares their sum with it.
 */
export function buildCommitment(params: CommitmentParams): Commitment {
  const { htlcs, dustLimitSat } = params;
  requireHtlcCount(htlcs);
  const scripts = commitmentScripts(params);
  const outputs: CommitmentOutput[] = [];
  const trimmedHtlcs: number[] = [];
  for (const [index, htlc] of htlcs.entries()) {
    if (isTrimmed(htlc, params)) trimmedHtlcs.push(index);
    else outputs.push(htlcOutput(scripts.htlc, htlc, index));
  }
  const amounts = mainOutputAmounts(params, outputs.length);
  const untrimmed = (value: Sat): Sat | null => (value >= dustLimitSat ? value : null);
  const main = { toLocalSat: untrimmed(amounts.toLocalSat), toRemoteSat: untrimmed(amounts.toRemoteSat) };
  outputs.push(...mainOutputs(main, scripts, outputs.length));
  outputs.sort(compareOrdered);
  return {
    transaction: commitmentTransaction(params, outputs),
    outputs,
    htlcs: htlcsInOutputOrder(outputs, htlcs),
    trimmedHtlcs,
    baseFeeSat: amounts.baseFeeSat,
  };
}

/** The commitment that has these outputs, whatever balances and feerate they come from; as little judged as `buildCommitment`. */
export function commitmentWithOutputs(
  params: CommitmentOutputsParams,
): Pick<Commitment, 'transaction' | 'outputs' | 'htlcs'> {
  const { htlcs } = params;
  requireHtlcCount(htlcs);
  const scripts = commitmentScripts(params);
  const outputs: CommitmentOutput[] = htlcs.map((htlc, index) => htlcOutput(scripts.htlc, htlc, index));
  outputs.push(...mainOutputs(params, scripts, outputs.length));
  outputs.sort(compareOrdered);
  return {
    transaction: commitmentTransaction(params, outputs),
    outputs,
    htlcs: htlcsInOutputOrder(outputs, htlcs),
  };
}
