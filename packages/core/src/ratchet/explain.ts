/**
 * What an output that is none of the commitment's is closest to, and in which field it differs. Runs only for a
 * request that is refused already: it chooses the tag, never the verdict. One output, so its cost is bounded.
 */
import {
  ANCHOR_SAT,
  type CommitmentHtlc,
  type CommitmentScriptParams,
  type CommitmentScripts,
  classify,
  commitmentScripts,
  equalBytes,
  type Fact,
  type Facts,
  hasAnchors,
  htlcOutput,
  type MainOutputKind,
  p2wpkhOfKey,
  p2wshOfScript,
  type ReadScript,
  readWitnessScript,
  type TxOutput,
  toHex,
  toLocalScript,
  toRemoteAnchoredScript,
} from '@countersign/bitcoin';
import type { Rule } from '../policy/registry.ts';
import type { Broadcaster } from './commitment.ts';
import {
  anchorAmount,
  anchorMatchFundingkey,
  anchorStaticRemotekey,
  anchorsNotWhenOff,
  broadcasterPubkey,
  countersignatoryPubkey,
  htlcCounterpartyHtlcPubkey,
  htlcHolderHtlcPubkey,
  htlcRevocationPubkey,
  revocationPubkey,
  toSelfDelayRange,
  unrecognizedOutputs,
} from './form-rules.ts';

/** Which rule an output breaks, and the two values compared. */
export interface Fault {
  readonly rule: Rule;
  readonly message: string;
  readonly facts: Facts;
}

/** An HTLC of the list as the output it should have. */
export type ClaimedHtlc = ReturnType<typeof htlcOutput>;

/** The commitment an output is compared with, and what of it no output of the transaction is. */
export interface Surroundings {
  readonly broadcaster: Broadcaster;
  readonly params: CommitmentScriptParams;
  readonly scripts: CommitmentScripts;
  readonly missingMain: ReadonlySet<MainOutputKind>;
  readonly missingHtlcs: readonly ClaimedHtlc[];
  /** The whole list. */
  readonly htlcs: readonly CommitmentHtlc[];
  /** Outputs that are none of the commitment's. */
  readonly unknownCount: number;
}

/** Locks tried where no witness script tells: more than a lease on top of the longest delay that presets allow. */
const LOCK_TRIED_BLOCKS_MAX = 6_100;

const fault = (rule: Rule, message: string, facts: Facts = {}): Fault => ({ rule, message, facts });
const foreign = (message: string): Fault => fault(unrecognizedOutputs, message);

/** A field of a witness script: its name in `ReadScript`, the rule it belongs to, and what it is called. */
type Field = readonly [name: string, rule: Rule, called: string];

const TO_LOCAL_FIELDS: readonly Field[] = [
  ['revocation', revocationPubkey, 'to_local has another revocation key'],
  ['delayBlocks', toSelfDelayRange, 'to_local has another delay than the channel was set up with'],
  ['broadcasterDelayed', broadcasterPubkey, 'to_local has another delayed key'],
];
const TO_REMOTE_FIELDS: readonly Field[] = [
  ['countersignatoryPayment', countersignatoryPubkey, 'to_remote pays another key'],
  ['lockBlocks', anchorStaticRemotekey, 'to_remote has another lock than one block'],
];

/** Whose key each of the two HTLC keys is. */
function htlcKeyRules(broadcaster: Broadcaster): { readonly ofBroadcaster: Rule; readonly ofOther: Rule } {
  return broadcaster === 'holder'
    ? { ofBroadcaster: htlcHolderHtlcPubkey, ofOther: htlcCounterpartyHtlcPubkey }
    : { ofBroadcaster: htlcCounterpartyHtlcPubkey, ofOther: htlcHolderHtlcPubkey };
}

function htlcFields({ broadcaster, params }: Surroundings): readonly Field[] {
  const { ofBroadcaster, ofOther } = htlcKeyRules(broadcaster);
  return [
    ['revocationHash', htlcRevocationPubkey, 'an HTLC has another revocation key'],
    ['countersignatoryHtlc', ofOther, 'an HTLC has another key of the side that does not publish'],
    ['broadcasterHtlc', ofBroadcaster, 'an HTLC has another key of the side that publishes'],
    [
      'isLocked',
      hasAnchors(params.format) ? unrecognizedOutputs : anchorsNotWhenOff,
      'an HTLC has the script of another channel type',
    ],
  ];
}

const factOf = (value: unknown): Fact => (value instanceof Uint8Array ? toHex(value) : (value as Fact));

/** The first field, in the order of the script, in which they differ. */
function firstDifference(found: ReadScript, expected: ReadScript, fields: readonly Field[]): Fault {
  for (const [name, rule, called] of fields) {
    const [a, b] = [found, expected].map((script) => factOf(script[name as keyof ReadScript]));
    if (a !== b) return fault(rule, called, { field: name, found: a!, expected: b! });
  }
  return foreign('an output that the commitment has already');
}

function claimedAnchor(fundingKey: Uint8Array, value: bigint, params: CommitmentScriptParams): Fault {
  if (!hasAnchors(params.format))
    return fault(anchorsNotWhenOff, 'an anchor in a channel of a type without anchors');
  if (value !== ANCHOR_SAT)
    return fault(anchorAmount, 'an anchor has another amount than 330 sat', { expected_sat: ANCHOR_SAT });
  return fault(anchorMatchFundingkey, "an anchor belongs to neither side's funding key", {
    found: toHex(fundingKey),
    expected_of_broadcaster: toHex(params.broadcasterFundingKey),
    expected_of_other: toHex(params.countersignatoryFundingKey),
  });
}

type ReadHtlc = Extract<ReadScript, { hash: Uint8Array }>;

/** In received HTLCs only; the others' expiry is in their transaction. */
const expiryOf = (script: ReadHtlc): number | null =>
  script.kind === 'received_htlc' ? script.cltvExpiry : null;

/** With the HTLC of the list that has the same direction, amount, hash and expiry: some key or form must differ. */
function claimedHtlc(found: ReadHtlc, value: bigint, around: Surroundings): Fault {
  for (const claimed of around.missingHtlcs) {
    const expected = readWitnessScript(claimed.witnessScript) as ReadHtlc;
    if (
      claimed.value === value &&
      expected.kind === found.kind &&
      equalBytes(expected.hash, found.hash) &&
      expiryOf(expected) === expiryOf(found)
    )
      return firstDifference(found, expected, htlcFields(around));
  }
  return foreign('an HTLC that is not in the list');
}

function claimedMain(found: ReadScript, kind: 'to_local' | 'to_remote', around: Surroundings): Fault {
  const { scripts, missingMain, params } = around;
  if (kind === 'to_remote' && !hasAnchors(params.format))
    return fault(anchorsNotWhenOff, 'to_remote has the form of a channel type with anchors');
  if (!missingMain.has(kind)) return foreign(`one more output in the form of ${kind}`);
  const own = kind === 'to_local' ? scripts.toLocal : scripts.toRemote;
  const fields = kind === 'to_local' ? TO_LOCAL_FIELDS : TO_REMOTE_FIELDS;
  return firstDifference(found, readWitnessScript(own.witnessScript!)!, fields);
}

/** By its witness script, which the PSBT carries and which the output commits to. */
function byWitnessScript(witnessScript: Uint8Array, value: bigint, around: Surroundings): Fault {
  const found = readWitnessScript(witnessScript);
  if (found === null) return foreign('a script that no output of a commitment has');
  switch (found.kind) {
    case 'to_local':
    case 'to_remote':
      return claimedMain(found, found.kind, around);
    case 'anchor':
      return claimedAnchor(found.fundingKey, value, around.params);
    case 'offered_htlc':
    case 'received_htlc':
      return claimedHtlc(found, value, around);
  }
}

/** The right keys in the form that another channel type gives them. */
function inOtherForm(script: Uint8Array, { params, htlcs, missingHtlcs }: Surroundings): Fault | null {
  const same = (other: { readonly script: Uint8Array }) => equalBytes(other.script, script);
  if (hasAnchors(params.format)) {
    return equalBytes(script, p2wpkhOfKey(params.keys.countersignatoryPayment))
      ? fault(anchorStaticRemotekey, 'to_remote is the P2WPKH of a channel without anchors')
      : null;
  }
  const other = commitmentScripts({ ...params, format: 'anchors_zero_fee_htlc' });
  if (same(other.toRemote))
    return fault(anchorsNotWhenOff, 'to_remote has the form of a channel type with anchors');
  if (Object.values(other.anchors!).some(same))
    return fault(anchorsNotWhenOff, 'an anchor in a channel of a type without anchors');
  return missingHtlcs.some((one) => same(htlcOutput(other.htlc, htlcs[one.htlcIndex]!, one.htlcIndex)))
    ? fault(anchorsNotWhenOff, 'an HTLC has the script of a channel type with anchors')
    : null;
}

/** The lock that explains the script with the right keys, or null: 12,202 hashes at most. */
function inOtherLock(script: Uint8Array, { params, missingMain }: Surroundings): Fault | null {
  const facts = (found: number, expected: number) => ({ field: 'blocks', found, expected });
  for (let blocks = 0; blocks <= LOCK_TRIED_BLOCKS_MAX; blocks++) {
    if (
      missingMain.has('to_local') &&
      equalBytes(script, p2wshOfScript(toLocalScript(params.keys, blocks)))
    ) {
      const [, rule, message] = TO_LOCAL_FIELDS[1]!;
      return fault(rule, message, facts(blocks, params.toSelfDelayBlocks));
    }
    if (
      missingMain.has('to_remote') &&
      equalBytes(script, p2wshOfScript(toRemoteAnchoredScript(params.keys.countersignatoryPayment, blocks)))
    ) {
      const [, rule, message] = TO_REMOTE_FIELDS[1]!;
      return fault(rule, message, facts(blocks, 1));
    }
  }
  return null;
}

/** Whether that main output may be due: where there are anchors, its own is there too. */
function mayBeDue(kind: 'to_local' | 'to_remote', { params, missingMain }: Surroundings): boolean {
  if (!missingMain.has(kind)) return false;
  const anchor = kind === 'to_local' ? 'local_anchor' : 'remote_anchor';
  return !hasAnchors(params.format) || !missingMain.has(anchor);
}

/**
 * An output with the amount of a listed HTLC, and another script. Where no HTLC has its output, they differ in what
 * they share: the revocation key if `to_local`, which has it too, differs as well, else another key.
 */
function htlcByElimination(around: Surroundings): Fault {
  const { broadcaster, htlcs, missingMain, missingHtlcs, unknownCount } = around;
  if (missingHtlcs.length === htlcs.length) {
    if (missingMain.has('to_local') && unknownCount > htlcs.length)
      return fault(htlcRevocationPubkey, 'every HTLC and to_local have other scripts than our keys give');
    if (htlcs.length > 1)
      return fault(
        htlcKeyRules(broadcaster).ofOther,
        'every HTLC has another script than our keys give, and to_local has its own',
      );
  }
  return foreign('an output with the amount of an HTLC in the list, and another script');
}

/** Without its witness script: what of the commitment is missing, and would have such an output. */
function byElimination({ script, value }: TxOutput, around: Surroundings): Fault {
  const { params, missingMain, missingHtlcs } = around;
  const withAnchors = hasAnchors(params.format);
  const { type } = classify(script);
  if (type === 'p2wpkh' && !withAnchors && missingMain.has('to_remote'))
    return fault(countersignatoryPubkey, 'to_remote pays another key');
  if (type !== 'p2wsh') return foreign('a script that no output of a commitment has');
  const misses = (kind: MainOutputKind) => missingMain.has(kind);
  if (withAnchors && value === ANCHOR_SAT && (misses('local_anchor') || misses('remote_anchor')))
    return fault(anchorMatchFundingkey, "an anchor belongs to neither side's funding key");
  if (missingHtlcs.some((claimed) => claimed.value === value)) return htlcByElimination(around);
  const otherLock = inOtherLock(script, around);
  if (otherLock !== null) return otherLock;
  if (mayBeDue('to_local', around))
    return fault(revocationPubkey, 'to_local has another script than our keys give, and not by its delay');
  if (withAnchors && mayBeDue('to_remote', around))
    return fault(countersignatoryPubkey, 'to_remote pays another key');
  return foreign("an output is none that this channel's keys and HTLCs explain");
}

/** `witnessScript` is what the PSBT says of the output, if anything; it counts only where the output commits to it. */
export function explainOutput(
  output: TxOutput,
  witnessScript: Uint8Array | undefined,
  around: Surroundings,
): Fault {
  const otherForm = inOtherForm(output.script, around);
  if (otherForm !== null) return otherForm;
  return witnessScript !== undefined && equalBytes(p2wshOfScript(witnessScript), output.script)
    ? byWitnessScript(witnessScript, output.value, around)
    : byElimination(output, around);
}
