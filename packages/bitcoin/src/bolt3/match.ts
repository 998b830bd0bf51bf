/**
 * Recognizing the outputs of a commitment that came over the wire: every output must be one the channel explains,
 * and every claimed HTLC must have its output. Amounts of the main outputs are reported, not judged.
 */
import type { Sat } from '../amount.ts';
import { equalBytes } from '../bytes.ts';
import type { Transaction, TxOutput } from '../transaction.ts';
import type {
  CommitmentHtlc,
  CommitmentHtlcOutput,
  CommitmentOutput,
  CommitmentOutputKind,
  CommitmentScriptParams,
  CommitmentScripts,
} from './commitment.ts';
import { commitmentScripts, htlcOutput } from './commitment.ts';
import { ANCHOR_SAT } from './format.ts';
import { compareOrdered, compareOutputs } from './order.ts';

export interface CommitmentExpectation extends CommitmentScriptParams {
  /** The untrimmed HTLCs of this commitment, in any order; equal ones may occur. */
  readonly htlcs: readonly CommitmentHtlc[];
}

export type MainOutputKind = Exclude<CommitmentOutputKind, 'offered_htlc' | 'received_htlc'>;

export interface CommitmentMatch {
  readonly ok: true;
  readonly toLocalSat: Sat | null;
  readonly toRemoteSat: Sat | null;
  /** Output indices, null where the transaction has none of that kind. */
  readonly outputIndices: Readonly<Record<MainOutputKind, number | null>>;
  /** In output order, which is the order of HTLC signatures. */
  readonly htlcOutputs: readonly CommitmentHtlcOutput[];
}

export type CommitmentMismatch =
  /** Outputs are not in the order of BOLT 3: this one belongs before its predecessor. */
  | { readonly ok: false; readonly reason: 'not-ordered'; readonly outputIndex: number }
  /** Script or amount that nothing of the channel explains. */
  | { readonly ok: false; readonly reason: 'unrecognized-output'; readonly outputIndex: number }
  /** A second output of a kind that occurs once. */
  | {
      readonly ok: false;
      readonly reason: 'duplicate-output';
      readonly kind: MainOutputKind;
      readonly outputIndex: number;
    }
  /** One more output of an HTLC than was claimed. */
  | { readonly ok: false; readonly reason: 'duplicate-htlc'; readonly outputIndex: number }
  | { readonly ok: false; readonly reason: 'missing-htlc'; readonly htlcIndex: number }
  | {
      readonly ok: false;
      readonly reason: 'anchor-amount';
      readonly outputIndex: number;
      readonly valueSat: Sat;
    }
  /** An anchor exists exactly when its side's main output or any HTLC does. */
  | { readonly ok: false; readonly reason: 'missing-anchor'; readonly kind: MainOutputKind }
  | {
      readonly ok: false;
      readonly reason: 'unexpected-anchor';
      readonly kind: MainOutputKind;
      readonly outputIndex: number;
    };

export type CommitmentMatchResult = CommitmentMatch | CommitmentMismatch;

type Indices = Record<MainOutputKind, number | null>;

function mainKind(scripts: CommitmentScripts, { script }: TxOutput): MainOutputKind | null {
  if (equalBytes(script, scripts.toLocal.script)) return 'to_local';
  if (equalBytes(script, scripts.toRemote.script)) return 'to_remote';
  if (scripts.anchors === null) return null;
  if (equalBytes(script, scripts.anchors.broadcaster.script)) return 'local_anchor';
  if (equalBytes(script, scripts.anchors.countersignatory.script)) return 'remote_anchor';
  return null;
}

/** Index of the first output that should stand before its predecessor, or null. */
function firstUnordered(outputs: readonly TxOutput[]): number | null {
  for (let i = 1; i < outputs.length; i++) if (compareOutputs(outputs[i - 1]!, outputs[i]!) > 0) return i;
  return null;
}

/**
 * Walks the transaction's outputs and the claimed HTLCs in the same order. Equal HTLC outputs are assigned by
 * cltv_expiry, as BOLT 3 orders them, then by their place in the claim.
 */
class Walk {
  readonly #htlcs: readonly CommitmentHtlc[];
  readonly #claimed: readonly (CommitmentOutput & { readonly witnessScript: Uint8Array })[];
  readonly #matched: CommitmentHtlcOutput[] = [];

  constructor(scripts: CommitmentScripts, htlcs: readonly CommitmentHtlc[]) {
    this.#htlcs = htlcs;
    this.#claimed = htlcs.map((htlc, i) => htlcOutput(scripts.htlc, htlc, i)).sort(compareOrdered);
  }

  get matched(): readonly CommitmentHtlcOutput[] {
    return this.#matched;
  }

  /** The next HTLC output, or why it is none. */
  take(output: TxOutput, outputIndex: number): CommitmentMismatch | null {
    const at = this.#matched.length;
    const next = this.#claimed[at];
    const difference = next === undefined ? -1 : compareOutputs(output, next);
    if (next !== undefined && difference === 0) {
      const { htlcIndex, witnessScript } = next;
      this.#matched.push({ outputIndex, htlcIndex, htlc: this.#htlcs[htlcIndex]!, witnessScript });
      return null;
    }
    const previous = this.#claimed[at - 1];
    if (previous !== undefined && compareOutputs(output, previous) === 0)
      return { ok: false, reason: 'duplicate-htlc', outputIndex };
    const known = difference > 0 && this.#claimed.some((claim) => compareOutputs(claim, output) === 0);
    return known ? this.missing() : { ok: false, reason: 'unrecognized-output', outputIndex };
  }

  /** The first claimed HTLC without an output, null when all have theirs. */
  missing(): CommitmentMismatch | null {
    const next = this.#claimed[this.#matched.length];
    return next === undefined ? null : { ok: false, reason: 'missing-htlc', htlcIndex: next.htlcIndex };
  }
}

function anchorMismatch(
  indices: Indices,
  scripts: CommitmentScripts,
  htlcCount: number,
): CommitmentMismatch | null {
  if (scripts.anchors === null) return null;
  const sides = [
    ['local_anchor', indices.to_local],
    ['remote_anchor', indices.to_remote],
  ] as const;
  for (const [kind, mainIndex] of sides) {
    const outputIndex = indices[kind];
    const due = mainIndex !== null || htlcCount > 0;
    if (due && outputIndex === null) return { ok: false, reason: 'missing-anchor', kind };
    if (!due && outputIndex !== null) return { ok: false, reason: 'unexpected-anchor', kind, outputIndex };
  }
  return null;
}

/** Notes a main output, or says what is wrong with it. */
function takeMain(
  indices: Indices,
  kind: MainOutputKind,
  output: TxOutput,
  outputIndex: number,
): CommitmentMismatch | null {
  if (indices[kind] !== null) return { ok: false, reason: 'duplicate-output', kind, outputIndex };
  const isAnchor = kind === 'local_anchor' || kind === 'remote_anchor';
  if (isAnchor && output.value !== ANCHOR_SAT)
    return { ok: false, reason: 'anchor-amount', outputIndex, valueSat: output.value };
  indices[kind] = outputIndex;
  return null;
}

/**
 * Judges outputs only: version, input, locktime, fee and trimming are the caller's. Throws `FormError` where the
 * expectation itself has values no channel can have.
 */
export function matchCommitmentOutputs(
  tx: Transaction,
  expectation: CommitmentExpectation,
): CommitmentMatchResult {
  const { outputs } = tx;
  const unordered = firstUnordered(outputs);
  if (unordered !== null) return { ok: false, reason: 'not-ordered', outputIndex: unordered };
  const scripts = commitmentScripts(expectation);
  const walk = new Walk(scripts, expectation.htlcs);
  const indices: Indices = { to_local: null, to_remote: null, local_anchor: null, remote_anchor: null };
  for (const [outputIndex, output] of outputs.entries()) {
    const kind = mainKind(scripts, output);
    const mismatch =
      kind === null ? walk.take(output, outputIndex) : takeMain(indices, kind, output, outputIndex);
    if (mismatch !== null) return mismatch;
  }
  const mismatch = walk.missing() ?? anchorMismatch(indices, scripts, walk.matched.length);
  if (mismatch !== null) return mismatch;
  return {
    ok: true,
    toLocalSat: indices.to_local === null ? null : outputs[indices.to_local]!.value,
    toRemoteSat: indices.to_remote === null ? null : outputs[indices.to_remote]!.value,
    outputIndices: indices,
    htlcOutputs: walk.matched,
  };
}
