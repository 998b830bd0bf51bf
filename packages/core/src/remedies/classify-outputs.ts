/**
 * What each output of a transaction that closed a channel is to us, and which output of an HTLC transaction follows it.
 * Nothing of the transaction is believed: an output has a role because its script is the one the channel gives that role.
 */
import {
  equalBytes,
  htlcTransactionOutputScript,
  msatToSatFloor,
  type OutPoint,
  p2wshOfScript,
  ripemd160,
  type Sat,
  type Transaction,
  toHex,
  txid,
} from '@countersign/bitcoin';
import type { ChainPlace } from '../chain/input.ts';
import type { OpenChannel } from '../channel/lookup.ts';
import type { CommitmentContent, FundingCandidate, HtlcRecord } from '../channel/record.ts';
import type { KeyPlace } from '../context.ts';
import { type HtlcStub, type OutputHtlc, type OutputRole, stubRecords } from '../records/chain.ts';
import type { Draft } from '../state.ts';
import {
  type Close,
  type ClosingScripts,
  candidateOf,
  channelOf,
  closingScripts,
  htlcScriptHex,
  type SetUpRecord,
} from './closing-scripts.ts';

/** A transaction that closed a channel, and what it was found to be. */
export interface ConfirmedClose extends Close {
  readonly record: SetUpRecord;
  /** The funding it spends; of one that is on record no more, any other of the channel. */
  readonly candidate: FundingCandidate | undefined;
  readonly tx: Transaction;
}

export interface ClosingOutput {
  readonly vout: number;
  readonly role: OutputRole;
  /** Null unless the role is `htlc`. */
  readonly htlc: OutputHtlc | null;
}

export type ClassifyPlace = KeyPlace & {
  readonly draft: Pick<Draft, 'get'>;
  readonly watch: Pick<ChainPlace['watch'], 'ids'>;
};

/**
 * One entry for each output of a commitment, in their order; none for a mutual close, of which nothing is left to do.
 * HTLCs of what is on record are known in full, those of revoked commitments by the stubs of all numbers up to theirs.
 */
export function closingOutputs(place: ClassifyPlace, close: ConfirmedClose): readonly ClosingOutput[] {
  const { record, candidate, tx } = close;
  const channel = channelOf(record);
  const scripts = closingScripts(place, channel, close, candidate);
  if (scripts === null) return [];
  const found = tx.outputs.map(({ script }, vout): ClosingOutput => {
    const role = scripts.main(script)?.role ?? scripts.anchor(script) ?? 'unknown';
    return { vout, role, htlc: null };
  });
  const htlcs = findHtlcs(place, channel, close, scripts, tx, unknownIn(found));
  return found.map((one) => {
    const htlc = htlcs.get(one.vout);
    return htlc === undefined ? one : { vout: one.vout, role: 'htlc', htlc };
  });
}

/**
 * Of a transaction that spends an HTLC output of the commitment at `inputIndex`: the output that takes its place on the
 * second level (BOLT 3), or none when it was spent in any other way. SIGHASH_SINGLE binds an input to the output at its
 * index; an HTLC transaction signed with SIGHASH_ALL has one of each.
 */
export function secondLevelOutputs(
  place: KeyPlace,
  spend: {
    readonly record: SetUpRecord;
    readonly closing: Close & { readonly funding: OutPoint };
    readonly tx: Transaction;
    readonly inputIndex: number;
  },
): readonly number[] {
  const { record, closing, tx, inputIndex } = spend;
  const candidate = candidateOf(record, closing.funding);
  const level = closingScripts(place, channelOf(record), closing, candidate)?.secondLevel ?? null;
  const output = tx.outputs[inputIndex];
  if (level === null || output === undefined) return [];
  const script = p2wshOfScript(htlcTransactionOutputScript(level.keys, level.delayBlocks));
  return equalBytes(output.script, script) ? [inputIndex] : [];
}

const unknownIn = (outputs: readonly ClosingOutput[]): Set<number> =>
  new Set(outputs.filter(({ role }) => role === 'unknown').map(({ vout }) => vout));

/** HTLCs by their output, from the record first, then from the stubs, the newest first. */
function findHtlcs(
  place: ClassifyPlace,
  channel: OpenChannel,
  close: Close,
  scripts: ClosingScripts,
  tx: Transaction,
  unknown: Set<number>,
): ReadonlyMap<number, OutputHtlc> {
  const htlcs = new Map<number, OutputHtlc>();
  const search = new Search(scripts, tx, unknown, htlcs);
  search.takeAll((contentOf(channel, txid(tx))?.htlcs ?? []).map(known));
  for (const stubs of stubsBefore(place, channel, close)) {
    if (unknown.size === 0) break;
    search.takeAll(stubs.map(fromStub));
  }
  return htlcs;
}

/** Variants of one transaction differ only in what the script does not hold; the last is what stands. */
function contentOf({ record }: OpenChannel, id: Uint8Array): CommitmentContent | undefined {
  return record.candidates
    .flatMap(({ validated, issued }) => [...validated, ...issued])
    .findLast((one) => equalBytes(one.txid, id));
}

const known = ({ offeredBy, paymentHash, cltvExpiry, amountMsat }: HtlcRecord): OutputHtlc => ({
  offeredBy,
  paymentHash160: ripemd160(paymentHash),
  cltvExpiry,
  paymentHash,
  amountMsat,
});

const fromStub = ({ isOfferedByHolder, paymentHash160, cltvExpiry }: HtlcStub): OutputHtlc => ({
  offeredBy: isOfferedByHolder ? 'holder' : 'counterparty',
  paymentHash160,
  cltvExpiry,
  paymentHash: null,
  amountMsat: null,
});

/** A commitment of the peer has no HTLC that a later one was the first to have. */
function* stubsBefore(
  { draft, watch }: ClassifyPlace,
  { id }: OpenChannel,
  { kind, number }: Close,
): Generator<readonly HtlcStub[]> {
  const prefix = `${id}/`;
  const isTheirs = kind === 'counterparty' || kind === 'counterparty-revoked';
  const numberMax = isTheirs && number !== null ? number : Number.POSITIVE_INFINITY;
  for (const stubId of watch.ids(stubRecords.name, prefix).toReversed()) {
    if (Number(stubId.slice(prefix.length)) > numberMax) continue;
    yield draft.get(stubRecords, stubId) ?? [];
  }
}

/** Gives unknown outputs the HTLC whose script they have. */
class Search {
  readonly #scripts: ClosingScripts;
  readonly #tx: Transaction;
  readonly #unknown: Set<number>;
  readonly #found: Map<number, OutputHtlc>;

  constructor(
    scripts: ClosingScripts,
    tx: Transaction,
    unknown: Set<number>,
    found: Map<number, OutputHtlc>,
  ) {
    this.#scripts = scripts;
    this.#tx = tx;
    this.#unknown = unknown;
    this.#found = found;
  }

  takeAll(htlcs: readonly OutputHtlc[]): void {
    const { secondLevel, broadcaster } = this.#scripts;
    if (secondLevel === null || htlcs.length === 0) return;
    const byScript = new Map<string, OutputHtlc[]>();
    // BOLT 3 orders equal outputs by expiry, so the earliest belongs to the first of them.
    for (const htlc of htlcs.toSorted((a, b) => a.cltvExpiry - b.cltvExpiry)) {
      const hex = htlcScriptHex(secondLevel.htlc, broadcaster, htlc);
      byScript.set(hex, [...(byScript.get(hex) ?? []), htlc]);
    }
    for (const vout of [...this.#unknown]) {
      const { script, value } = this.#tx.outputs[vout]!;
      this.#take(vout, value, byScript.get(toHex(script)) ?? []);
    }
  }

  #take(vout: number, valueSat: Sat, same: OutputHtlc[]): void {
    const at = same.findIndex(
      ({ amountMsat }) => amountMsat === null || msatToSatFloor(amountMsat) === valueSat,
    );
    const htlc = same[at];
    if (htlc === undefined) return;
    this.#found.set(vout, htlc);
    this.#unknown.delete(vout);
    // A stub tells of every HTLC like it.
    if (htlc.amountMsat !== null) same.splice(at, 1);
  }
}
