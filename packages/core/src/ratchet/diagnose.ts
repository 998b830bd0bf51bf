/**
 * The refusal of a commitment whose outputs are not those of BOLT 3: finds the first that differs from the rebuilt
 * commitment, in output order, and the rule of the field it differs in. Runs only once `matchCommitmentOutputs` said
 * no: it chooses the tag, never the verdict.
 */
import {
  ANCHOR_SAT,
  type CommitmentHtlc,
  type CommitmentScriptParams,
  commitmentScripts,
  compareOutputs,
  htlcOutput,
  type MainOutputKind,
  type Psbt,
  psbtOutputWitnessScript,
  type Transaction,
  type TxOutput,
  toHex,
} from '@countersign/bitcoin';
import type { Rule } from '../policy/registry.ts';
import type { Broadcaster } from './commitment.ts';
import { type ClaimedHtlc, explainOutput, type Fault, type Surroundings } from './explain.ts';
import {
  anchorAmount,
  anchorToCounterparty,
  anchorToHolder,
  singularToCounterparty,
  singularToHolder,
  unrecognizedOutputs,
} from './form-rules.ts';

export interface CommitmentClaim {
  readonly tx: Transaction;
  readonly psbt: Psbt;
  readonly params: CommitmentScriptParams;
  readonly htlcs: readonly CommitmentHtlc[];
  readonly broadcaster: Broadcaster;
}

/** A fault and the place it has, or what is missing would have, among the outputs. */
interface Placed extends Fault {
  readonly output: number;
}

const MAIN_KINDS: readonly MainOutputKind[] = ['to_local', 'to_remote', 'local_anchor', 'remote_anchor'];
/** Whose anchor, and the main output of the same side. */
const ANCHORS = [
  ['broadcaster', 'local_anchor', 'to_local'],
  ['countersignatory', 'remote_anchor', 'to_remote'],
] as const;
const isAnchor = (kind: MainOutputKind): boolean => kind === 'local_anchor' || kind === 'remote_anchor';

/** The rule of an output that occurs once for each side. */
function ruleOf(kind: MainOutputKind, broadcaster: Broadcaster): Rule {
  const isHolders = (kind === 'to_local' || kind === 'local_anchor') === (broadcaster === 'holder');
  if (isAnchor(kind)) return isHolders ? anchorToHolder : anchorToCounterparty;
  return isHolders ? singularToHolder : singularToCounterparty;
}

const nameOf = ({ value, script }: TxOutput): string => `${value} ${toHex(script)}`;

/** The outputs of the transaction, laid beside those of the commitment. */
class Comparison {
  readonly claim: CommitmentClaim;
  readonly scripts;
  /** Place of the first output of each kind. */
  readonly places = new Map<MainOutputKind, number>();
  /** Listed HTLCs without an output. */
  readonly missingHtlcs: readonly ClaimedHtlc[];
  /** Outputs that are none of the commitment's. */
  readonly unknown: number[] = [];
  readonly faults: Placed[] = [];

  constructor(claim: CommitmentClaim) {
    this.claim = claim;
    this.scripts = commitmentScripts(claim.params);
    const listed = new Map<string, ClaimedHtlc[]>();
    for (const [i, htlc] of claim.htlcs.entries()) {
      const output = htlcOutput(this.scripts.htlc, htlc, i);
      const equal = listed.get(nameOf(output));
      if (equal === undefined) listed.set(nameOf(output), [output]);
      else equal.push(output);
    }
    const kinds = this.#kinds();
    for (const [i, output] of claim.tx.outputs.entries()) {
      const kind = kinds.get(toHex(output.script));
      if (kind !== undefined) this.#main(kind, output, i);
      else this.#htlc(listed.get(nameOf(output)), i);
    }
    this.missingHtlcs = [...listed.values()].flat();
  }

  #kinds(): ReadonlyMap<string, MainOutputKind> {
    const { toLocal, toRemote, anchors } = this.scripts;
    const kinds = new Map<string, MainOutputKind>([
      [toHex(toLocal.script), 'to_local'],
      [toHex(toRemote.script), 'to_remote'],
    ]);
    if (anchors !== null) {
      kinds.set(toHex(anchors.broadcaster.script), 'local_anchor');
      kinds.set(toHex(anchors.countersignatory.script), 'remote_anchor');
    }
    return kinds;
  }

  #main(kind: MainOutputKind, { value }: TxOutput, output: number): void {
    const first = this.places.get(kind);
    if (first !== undefined) {
      const rule = ruleOf(kind, this.claim.broadcaster);
      this.faults.push({ rule, output, message: `${kind} occurs twice`, facts: { first_output: first } });
      return;
    }
    this.places.set(kind, output);
    if (isAnchor(kind) && value !== ANCHOR_SAT) {
      const facts = { found_sat: value, expected_sat: ANCHOR_SAT };
      this.faults.push({
        rule: anchorAmount,
        output,
        message: 'an anchor has another amount than 330 sat',
        facts,
      });
    }
  }

  #htlc(listed: ClaimedHtlc[] | undefined, output: number): void {
    if (listed?.pop() !== undefined) return;
    if (listed === undefined) this.unknown.push(output);
    else {
      const message = 'an HTLC has more outputs than the list has HTLCs';
      this.faults.push({ rule: unrecognizedOutputs, output, message, facts: {} });
    }
  }
}

/** The first output that is none of the commitment's, explained. */
function firstUnknown({ claim, scripts, places, missingHtlcs, unknown }: Comparison): Placed | null {
  const at = unknown[0];
  if (at === undefined) return null;
  const output = claim.tx.outputs[at]!;
  const around: Surroundings = {
    broadcaster: claim.broadcaster,
    params: claim.params,
    scripts,
    missingMain: new Set(MAIN_KINDS.filter((kind) => !places.has(kind))),
    missingHtlcs,
    htlcs: claim.htlcs,
    unknownCount: unknown.length,
  };
  return { ...explainOutput(output, psbtOutputWitnessScript(claim.psbt, at), around), output: at };
}

/**
 * The first output that should be there and is not: more are missing of its amount than there are unknown ones that
 * may stand for it. Amounts of main outputs are law 2's.
 */
function firstMissing({ claim, scripts, places, missingHtlcs, unknown }: Comparison): Placed | null {
  const { outputs } = claim.tx;
  const standIns = new Map<bigint, number>();
  for (const at of unknown) {
    const { value } = outputs[at]!;
    standIns.set(value, (standIns.get(value) ?? 0) + 1);
  }
  const missing: { readonly output: TxOutput; readonly rule: Rule; readonly message: string }[] = [];
  for (const [party, kind, main] of ANCHORS) {
    if (scripts.anchors === null || places.has(kind)) continue;
    if (!places.has(main) && claim.htlcs.length === 0) continue;
    missing.push({
      output: { value: ANCHOR_SAT, script: scripts.anchors[party].script },
      rule: ruleOf(kind, claim.broadcaster),
      message: `${kind} is missing`,
    });
  }
  for (const output of missingHtlcs)
    missing.push({ output, rule: unrecognizedOutputs, message: 'an HTLC of the list has no output' });
  for (const { output, rule, message } of missing.sort((a, b) => compareOutputs(a.output, b.output))) {
    const left = standIns.get(output.value) ?? 0;
    if (left > 0) {
      standIns.set(output.value, left - 1);
      continue;
    }
    const after = outputs.findIndex((other) => compareOutputs(other, output) > 0);
    const place = after < 0 ? outputs.length : after;
    return { rule, message, facts: { missing_sat: output.value }, output: place };
  }
  return null;
}

/** An anchor whose side has no main output, in a commitment without HTLCs. */
function unexpectedAnchor({ claim, places }: Comparison): Placed | null {
  if (claim.htlcs.length > 0) return null;
  for (const [, kind, main] of ANCHORS) {
    const output = places.get(kind);
    if (output === undefined || places.has(main)) continue;
    const message = `${kind} has neither a main output nor an HTLC beside it`;
    return { rule: ruleOf(kind, claim.broadcaster), message, facts: {}, output };
  }
  return null;
}

/** The first output at the place of another one, by the rule of what stands there. */
function firstMisplaced({ claim, places }: Comparison): Placed | null {
  const { outputs } = claim.tx;
  const ordered = [...outputs].sort(compareOutputs);
  const output = outputs.findIndex((one, i) => compareOutputs(one, ordered[i]!) !== 0);
  if (output < 0) return null;
  const kind = MAIN_KINDS.find((one) => places.get(one) === output);
  const rule = kind === undefined ? unrecognizedOutputs : ruleOf(kind, claim.broadcaster);
  const message = 'the outputs are not in the order of BOLT 3';
  return { rule, message, facts: { stands_here: kind ?? 'an HTLC' }, output };
}

/**
 * The fault that comes first; what is missing has its place before the output that stands there. Every output is recognized or explained before their order is judged, and an anchor
 * too many is only what tells of another fault. Never null: what was refused stays refused.
 */
export function diagnoseOutputs(claim: CommitmentClaim): Fault {
  const comparison = new Comparison(claim);
  const placed = [firstMissing(comparison), ...comparison.faults, firstUnknown(comparison)]
    .filter((one) => one !== null)
    .sort((a, b) => a.output - b.output);
  const first = placed[0] ?? unexpectedAnchor(comparison) ?? firstMisplaced(comparison);
  if (first === undefined || first === null) {
    return { rule: unrecognizedOutputs, message: 'the outputs are not those of this commitment', facts: {} };
  }
  const { rule, message, facts, output } = first;
  const found = claim.tx.outputs[output];
  return {
    rule,
    message,
    facts: { output, ...(found !== undefined && { output_sat: found.value }), ...facts },
  };
}
