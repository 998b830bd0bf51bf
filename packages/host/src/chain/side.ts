/**
 * The signer's side of the chain: what a feeder (a follower of a node, or the node side) tells it goes through core's
 * judgement, becomes durable, and is the view that the next request is judged by. One step at a time, in order.
 */
import { outPointToString, type Secp256k1, txid, txidToHex } from '@countersign/bitcoin';
import {
  type Alarm,
  type AuditEvent,
  acceptBeginning,
  acceptBlock,
  acceptHeaders,
  admitChain,
  alarmsOfChain,
  alarmsOfChannel,
  type BeginNeeds,
  beginNeeds,
  CHAIN_ID,
  type ChainOutcome,
  type ChainRecord,
  type ChainView,
  type Change,
  type ChannelCounts,
  chainRecords,
  chainViewOf,
  channelRecords,
  type Deadline,
  Draft,
  deadlinesOf,
  type Feerates,
  forceClose,
  headerRecords,
  headerTimeSeconds,
  heightId,
  isClaimable,
  type KeyRing,
  type KeyView,
  outputRecords,
  type Policy,
  type RecordKind,
  type Refusal,
  type Remedy,
  type RemedyPlan,
  remediesOf,
  rescanChain,
  type StateReader,
  signRemedy,
  standingOf,
  VIEW_NOT_BEGUN,
  type WatchIndex,
} from '@countersign/core';
import type { ChainObservations } from '../heartbeat/source.ts';
import { isEnding, isLeftOpen, mustEnd } from './ends.ts';
import { FEERATES_AT_START, isDue, type Publishable } from './publish.ts';
import { ToldRefusals } from './told.ts';

export interface ChainSideOptions {
  readonly policy: Policy;
  readonly secp: Secp256k1;
  readonly keys: KeyView;
  readonly ring: KeyRing;
  readonly state: StateReader;
  readonly watch: WatchIndex;
  readonly nowSeconds: () => number;
  /** Into memory at once; resolves when durable. */
  readonly commit: (
    request: string,
    changes: readonly Change[],
    events: readonly AuditEvent[],
  ) => Promise<void>;
  readonly refused: (refusal: Refusal) => void;
}

/** What saves the funds of a channel that ends now, or why no commitment of ours may be signed. */
export type ForceCloseAnswer =
  | { readonly ok: true; readonly plan: RemedyPlan }
  | { readonly ok: false; readonly refusal: Refusal };

/** Whoever brings blocks, as the signer asks for more. */
export interface ChainFeed {
  /** Look for blocks now; resolves when there are no more, or after a while. */
  catchUp(): Promise<void>;
  /** For the operator: JSON. */
  status(): object | null;
}

export interface ChainTip {
  readonly tipHeightBlocks: number;
  readonly tipHash: Uint8Array;
  readonly provenHeightBlocks: number;
  readonly birthdayHeightBlocks: number;
  readonly locked: boolean;
}

export type ChainAnswer =
  | { readonly ok: true }
  | { readonly ok: false; readonly temporary: boolean; readonly message: string; readonly refusal: Refusal };

/** Blocks before the first start whose contents are read all the same. */
const BIRTHDAY_AHEAD_BLOCKS = 144;

export interface ChainStart {
  /** The first block whose content counts, as the operator configured it; null: a day before the source's last. */
  readonly birthdayHeightBlocks: number | null;
  readonly sourceHeightBlocks: number;
}

/** Deadlines and alarms in one status. */
const LISTED_MAX = 64;

function tipStatus({ lockedBy, ...chain }: ChainRecord): object {
  return {
    tip: {
      heightBlocks: chain.tipHeightBlocks,
      hash: txidToHex(chain.tipHash),
      provenHeightBlocks: chain.provenHeightBlocks,
      birthdayHeightBlocks: chain.birthdayHeightBlocks,
    },
    ...(lockedBy !== null && {
      lockedBy: { forkHeightBlocks: lockedBy.forkHeightBlocks, tipHash: txidToHex(lockedBy.tipHash) },
    }),
  };
}

const birthdayOf = ({ birthdayHeightBlocks, sourceHeightBlocks }: ChainStart): number =>
  birthdayHeightBlocks ?? Math.max(1, sourceHeightBlocks - BIRTHDAY_AHEAD_BLOCKS);

export class ChainSide {
  readonly #options: ChainSideOptions;
  #feerates: Feerates = FEERATES_AT_START;
  #source = 'none';
  #feed: ChainFeed | null = null;
  readonly #told = new ToldRefusals();

  constructor(options: ChainSideOptions) {
    this.#options = options;
  }

  /** Where blocks come from, for the operator; and who is asked for them when a request waits for one. */
  follow(source: string, feed: ChainFeed | null): void {
    this.#source = source;
    this.#feed = feed;
  }

  /** Somebody can be asked for blocks. */
  get isFed(): boolean {
    return this.#feed !== null;
  }

  /** Whether it brought anything. */
  async catchUp(): Promise<boolean> {
    if (this.#feed === null) return false;
    const before = this.#record();
    await this.#feed.catchUp();
    const after = this.#record();
    return after !== null && after !== before;
  }

  /** Null where nobody is to bring a chain, and none was brought. */
  view(): ChainView | null {
    const view = chainViewOf(this.#read, this.#options.policy, this.#options.nowSeconds());
    return view ?? (this.#source === 'none' ? null : VIEW_NOT_BEGUN);
  }

  /** Null before the chain has begun, and when it is to begin anew. */
  tip(): ChainTip | null {
    const chain = this.#record();
    if (chain === null || chain.restartHeightBlocks !== null) return null;
    const { tipHeightBlocks, tipHash, provenHeightBlocks, birthdayHeightBlocks, lockedBy } = chain;
    return { tipHeightBlocks, tipHash, provenHeightBlocks, birthdayHeightBlocks, locked: lockedBy !== null };
  }

  /** Of the recorded chain, internal byte order; null where nothing is on record. */
  headerHash(heightBlocks: number): Uint8Array | null {
    const chain = this.#record();
    if (chain === null || heightBlocks > chain.tipHeightBlocks || heightBlocks < chain.baseHeightBlocks)
      return null;
    return this.#read(headerRecords, heightId(heightBlocks))?.hash ?? null;
  }

  /** Headers to bring with `begin`; null when the chain begins at its first block. */
  beginNeeds(start: ChainStart): BeginNeeds['run'] {
    const birthday = this.#record()?.restartHeightBlocks ?? birthdayOf(start);
    return beginNeeds(this.#options.policy.network, birthday).run;
  }

  begin(start: ChainStart, headers: Uint8Array): Promise<ChainAnswer> {
    return this.#take('chain-begin', () => acceptBeginning(this.#input(), headers, birthdayOf(start)));
  }

  /** The operator has looked at what locked the view. */
  unlock(tipHash: Uint8Array): Promise<ChainAnswer> {
    return this.#take('chain-unlock', () => admitChain(this.#input(), tipHash));
  }

  /** Contents are read again; null: from the birthday. */
  rescan(fromHeightBlocks: number | null): Promise<ChainAnswer> {
    return this.#take('chain-rescan', () => rescanChain(this.#input(), fromHeightBlocks));
  }

  acceptHeaders(headers: Uint8Array): Promise<ChainAnswer> {
    return this.#take('chain-headers', () => acceptHeaders(this.#input(), headers));
  }

  acceptBlock(raw: Uint8Array): Promise<ChainAnswer> {
    return this.#take('chain-block', () => acceptBlock(this.#input(), raw));
  }

  /** What a transaction pays that saves funds; the feeder may know better than the start. */
  setFeerates(feerates: Feerates): void {
    this.#feerates = feerates;
  }

  /**
   * Transactions that should be on the network now, signed: justice on a breach, a channel past its deadline, and claims
   * whose deadline is near. All else can wait for the node, whose business it is first.
   */
  async toPublish(): Promise<readonly Publishable[]> {
    const found: Publishable[] = [];
    for (const [id] of this.#channels()) found.push(...(await this.#rescue(id)));
    return found;
  }

  async #rescue(id: string): Promise<readonly Publishable[]> {
    const options = this.#options;
    // Not by a view that is behind, which may not have come to the channel's end yet.
    const isFresh = this.view()?.isFresh === true;
    const mustClose = isFresh && (mustEnd(options, id) || isLeftOpen(options, id));
    if (!mustClose && !isEnding(options, id)) return [];
    const plan = mustClose ? await this.close(id) : this.remedies(id);
    const { heightBlocks } = this.#height();
    return plan.remedies
      .filter((remedy) => isDue(remedy, heightBlocks) && this.#isOwed(remedy))
      .map((remedy) => this.#sign(remedy));
  }

  /** Whether a claim by preimage is owed to us; what the node holds back for an invoice of its own is for the node to decide. */
  #isOwed({ kind, channel, inputs }: Remedy): boolean {
    if (kind !== 'claim-preimage' && kind !== 'htlc-success') return true;
    return inputs.every(({ outpoint }) => {
      const hash = this.#read(outputRecords, outPointToString(outpoint))?.htlc?.paymentHash ?? null;
      return hash !== null && isClaimable(this.#read, channel, hash);
    });
  }

  /** Everything that would save the funds of a channel, whoever publishes it; unsigned. */
  remedies(id: string): RemedyPlan {
    const { policy, keys, secp, state } = this.#options;
    const place = { draft: new Draft(state), policy, keys, secp, feerates: this.#feerates };
    return remediesOf({ ...place, ...this.#height() }, id);
  }

  #height(): { readonly heightBlocks: number } {
    return { heightBlocks: this.view()?.heightBlocks ?? 0 };
  }

  /**
   * Where the laws allow no commitment of ours the refusal is on the audit log, once, and what is left to do all the same: a breach on
   * another funding is punished.
   */
  async close(id: string): Promise<RemedyPlan> {
    const closed = await this.#end(id, (refusals) => this.#told.news(id, refusals));
    return closed.ok ? closed.plan : this.remedies(id);
  }

  /** The operator ends a channel: whatever comes of it is on the audit log, and needs no telling again. */
  forceClose(id: string): Promise<ForceCloseAnswer> {
    return this.#end(id, (refusals) => {
      this.#told.news(id, refusals);
      return refusals;
    });
  }

  /** Law 1 first: that the channel ends is durable before its commitment is signed. `toTell`: which refusals are news. */
  async #end(
    id: string,
    toTell: (refusals: readonly Refusal[]) => readonly Refusal[],
  ): Promise<ForceCloseAnswer> {
    const { state, watch: _, ...options } = this.#options;
    const place = { ...this.#input(), draft: new Draft(state), events: [] };
    const feerates = this.#feerates;
    const outcome = forceClose({ place, chain: this.view(), ...this.#height(), feerates }, id);
    for (const refusal of toTell(outcome.ok ? outcome.left : [outcome.refusal])) options.refused(refusal);
    if (!outcome.ok) return outcome;
    // Of an ended channel nothing changes, but its claims may rest on what is still on its way to the disk.
    await options.commit('force-close', outcome.changes, outcome.events);
    return { ok: true, plan: outcome.plan };
  }

  /** The raw transaction. Only of a plan that may be signed (`Remedy.isReleased`). */
  signed(remedy: Remedy): Uint8Array {
    return signRemedy(this.#options.ring, remedy);
  }

  #sign(remedy: Remedy): Publishable {
    const { kind, channel, transaction } = remedy;
    const raw = this.signed(remedy);
    return { id: txidToHex(txid(transaction)), raw, reason: `${kind} of channel ${channel}` };
  }

  /** For the operator: JSON, as `countersign chain status` shows it. */
  status(): object {
    const chain = this.#record();
    const view = this.view();
    return {
      source: this.#source,
      follower: this.#feed?.status() ?? {},
      isFresh: view?.isFresh ?? false,
      ...(chain !== null && tipStatus(chain)),
      ...this.#lagStatus(),
      deadlines: this.deadlines().slice(0, LISTED_MAX),
      alarms: this.alarms().slice(0, LISTED_MAX),
    };
  }

  #lagStatus(): object {
    const lagSeconds = this.lagSeconds();
    return lagSeconds === null ? {} : { lagSeconds };
  }

  /** Since the newest block, by its own time; null without one. */
  lagSeconds(): number | null {
    const chain = this.#record();
    const tip = chain === null ? null : this.#read(headerRecords, heightId(chain.tipHeightBlocks));
    return tip === null ? null : Math.max(0, this.#options.nowSeconds() - headerTimeSeconds(tip.header));
  }

  /** As a heartbeat tells it. */
  observe(): ChainObservations {
    const chain = this.#record();
    if (chain === null) return { chain: null, channels: null, deadlines: [], alarms: [] };
    const { tipHeightBlocks, tipHash, provenHeightBlocks } = chain;
    const medianTimeSeconds = this.view()?.medianTimeSeconds ?? 0;
    return {
      chain: { tipHeightBlocks, tipHash, provenHeightBlocks, medianTimeSeconds },
      channels: this.#counts(),
      deadlines: this.deadlines(),
      // Deadlines are told by themselves.
      alarms: this.alarms().filter(({ code }) => code !== 'deadline'),
    };
  }

  #counts(): ChannelCounts {
    const counts = { opening: 0, open: 0, closing: 0, closed: 0 };
    for (const [id, record] of this.#channels()) {
      const standing = standingOf(this.#read, this.#options.policy, id, record);
      if (standing !== null) counts[standing] += 1;
    }
    return counts;
  }

  /** Every deadline that is near, the nearest first. */
  deadlines(): readonly Deadline[] {
    return this.#channels()
      .flatMap(([id, record]) => deadlinesOf(this.#read, this.#options.policy, id, record))
      .sort((a, b) => a.heightBlocks - b.heightBlocks);
  }

  alarms(): readonly Alarm[] {
    const { policy, state, nowSeconds } = this.#options;
    const ofChannels = this.#channels().flatMap(([id, record]) =>
      alarmsOfChannel(this.#read, policy, id, record, deadlinesOf(this.#read, policy, id, record)),
    );
    const ofChain = alarmsOfChain({ draft: new Draft(state), policy, nowSeconds: nowSeconds() });
    return [...ofChain, ...ofChannels];
  }

  #channels() {
    return [...this.#options.watch.channels()].flatMap((id) => {
      const record = this.#read(channelRecords, id);
      return record === null ? [] : [[id, record] as const];
    });
  }

  #input() {
    const { state, policy, keys, secp, watch, nowSeconds } = this.#options;
    return { state, policy, keys, secp, watch, nowSeconds: nowSeconds() };
  }

  async #take(request: string, judge: () => ChainOutcome): Promise<ChainAnswer> {
    const outcome = judge();
    if (!outcome.ok) {
      const { refusal } = outcome;
      this.#options.refused(refusal);
      return { ok: false, temporary: refusal.temporary, message: refusal.message, refusal };
    }
    await this.#options.commit(request, outcome.changes, outcome.events);
    return { ok: true };
  }

  readonly #read = <T>(kind: RecordKind<T>, id: string): T | null =>
    this.#options.state.read(kind, id)?.value ?? null;

  #record(): ChainRecord | null {
    return this.#read(chainRecords, CHAIN_ID);
  }
}
