/**
 * The way of a request: decide, make durable, release. Decisions are taken one after the other in memory; their
 * commits share a sync; a reply leaves only when its decision, and everything it was based on, is on disk. What was
 * decided goes into the audit log with the same commit.
 */
import { type CountersignError, invariant, type Secp256k1, toHex } from '@countersign/bitcoin';
import {
  type AdminOperation,
  type AuditEvent,
  administer,
  type Change,
  type ClientIdentity,
  channelOf,
  type Decision,
  decide,
  enclose,
  type HeartbeatInput,
  type HeartbeatSequence,
  heartbeatOf,
  type KeyRing,
  type KeyView,
  keyView,
  type Policy,
  type Refusal,
  signHeartbeat,
  WatchBook,
} from '@countersign/core';
import type { Journal, RecordChange } from '@countersign/store/contract';
import type { Reply, Request } from '@countersign/wire';
import type { AdminAnswer } from './admin/desk.ts';
import { Ahead, type WhenIdle } from './ahead.ts';
import { AuditTrail } from './audit/trail.ts';
import { ChainSide } from './chain/side.ts';
import { RefusalCounts } from './heartbeat/refusal-counts.ts';
import { Memory } from './memory.ts';
import { Releaser } from './release/releaser.ts';
import type { SignaturePool } from './release/signature-pool.ts';
import { failWithStore, isStoreFailure } from './store-failure.ts';

/** What a signer is made of. */
export interface SignerOptions {
  readonly ring: KeyRing;
  readonly secp: Secp256k1;
  readonly journal: Journal;
  readonly policy: Policy;
  /** Negotiated hsmd protocol version, 4–6. */
  readonly protocolVersion: number;
  /** `fail_preapprove` of a developer's preinit; regtest only. */
  readonly failPreapprovals?: boolean;
  /** Seconds since 1970. */
  readonly nowSeconds: () => number;
  /** For releases with many signatures; without one they are computed in this thread. */
  readonly pool?: SignaturePool | null;
  /** Runs it once answers have left: what is asked for next is derived then. Without it, when it is asked for. */
  readonly whenIdle?: WhenIdle;
}

/** What a node and its signer agree on at INIT. */
export type Negotiated = Required<Pick<SignerOptions, 'protocolVersion' | 'failPreapprovals'>>;

/** A request, and who asks. */
export interface ClientRequest {
  readonly client: ClientIdentity;
  readonly request: Request;
}

/** What a request gets. A reply is durable, with everything it was based on, when it is given. */
export type Answer =
  | { readonly kind: 'reply'; readonly reply: Reply }
  | {
      readonly kind: 'refused';
      readonly refusal: Refusal;
      /** Number of its entry in the audit log, for `countersign explain`; null when it has none. */
      readonly id: number | null;
    };

/** What a heartbeat tells beside what the signer itself knows. */
export type HeartbeatFacts = Pick<
  HeartbeatInput,
  'startedAtSeconds' | 'chain' | 'deadlines' | 'alarms' | 'policy'
> & { readonly counters: Omit<HeartbeatInput['counters'], 'refusalsByTag'> };

/** Catch-ups with the chain that one request waits for. */
const CATCH_UPS_MAX = 3;

/** A running signer: decides, makes durable, releases, in that order, for every request. */
export class Signer {
  readonly #options: SignerOptions;
  readonly #memory: Memory;
  readonly #keys: KeyView;
  readonly #trail: AuditTrail;
  readonly #watch: WatchBook;
  /** What the signer believes about the chain, and who tells it. */
  readonly chain: ChainSide;
  readonly #refusals = new RefusalCounts();
  readonly #releaser: Releaser;
  readonly #ahead: Ahead;
  /** Of the newest heartbeat; null before the first. */
  #sequence: HeartbeatSequence | null = null;
  readonly #auditSeqAtStart: number;
  #negotiated: Negotiated;
  #failure: CountersignError | null = null;

  constructor(options: SignerOptions) {
    this.#options = options;
    this.#memory = new Memory(options.journal);
    this.#keys = keyView(options.ring);
    this.#trail = new AuditTrail(options.journal, options.nowSeconds);
    this.#releaser = new Releaser(options.ring, options.pool ?? null);
    this.#ahead = new Ahead({ state: this.#memory, keys: this.#keys, secp: options.secp }, options.whenIdle);
    this.#watch = new WatchBook((kind, prefix) => idsOf(options.journal, kind, prefix));
    this.chain = new ChainSide({
      ...options,
      keys: this.#keys,
      state: this.#memory,
      watch: this.#watch,
      // Where it brings nothing new, what it rests on.
      commit: (request, changes, events) =>
        changes.length === 0
          ? this.settled()
          : this.#stopping(() => this.#trail.chained(request, this.#apply(changes), events)),
      refused: (refusal) => this.recordRefusal(refusal),
    });
    this.#auditSeqAtStart = options.journal.auditHead.seq;
    const { protocolVersion, failPreapprovals = false } = options;
    this.#negotiated = { protocolVersion, failPreapprovals };
  }

  /** Negotiated hsmd protocol version. */
  get protocolVersion(): number {
    return this.#negotiated.protocolVersion;
  }

  /** A signer that outlives its node meets it anew: with another version, perhaps. Holds from the next request on. */
  negotiate(negotiated: Negotiated): void {
    this.#negotiated = negotiated;
  }

  /** Why the signer stopped signing, if it did. */
  get failure(): CountersignError | null {
    return this.#failure;
  }

  /**
   * Answer one request of a client. Requests may be in flight together; those that change state are decided in the
   * order of the calls. Rejects only for a bug of ours: the process must end then.
   */
  async answer(client: ClientIdentity, request: Request): Promise<Answer> {
    if (this.#failure !== null) return this.#stopped(client, request);
    try {
      if (this.chain.isFed && request.name === 'hsmd_check_outpoint') await this.chain.catchUp();
      // What is decided is in memory before anything else is: no await between the two.
      let decision = this.#decide(client, request);
      for (let attempt = 0; attempt < CATCH_UPS_MAX && this.#isEarly(decision); attempt++) {
        if (!(await this.chain.catchUp())) break;
        decision = this.#decide(client, request);
      }
      if (decision.kind === 'refused') return await this.#refused(decision);
      const durable = this.#commit(decision, client, request);
      // The signatures are computed while the sync runs; nothing of them leaves before it is done.
      const reply = this.#releaser.release(channelOf(client, request), decision.release);
      await durable.catch(failWithStore);
      this.#ahead.after(client, request);
      return { kind: 'reply', reply: await reply };
    } catch (error) {
      if (!isStoreFailure(error)) throw error;
      this.#failure ??= error;
      return this.#stopped(client, request);
    }
  }

  /**
   * As `answer`, and durable when it returns: for nodes that take no promise for an answer. It can't wait for a block that
   * others bring, so what `answer` would ask again for comes back as a temporary refusal.
   */
  answerNow(client: ClientIdentity, request: Request): Answer {
    const [answer] = this.answerAllNow([{ client, request }]);
    invariant(answer !== undefined, 'one request, one answer');
    return answer;
  }

  /** As `answerNow`, in this order: each is decided on what those before it have changed, and one sync makes all of them durable. */
  answerAllNow(requests: readonly ClientRequest[]): readonly Answer[] {
    if (this.#failure !== null) return requests.map(({ client, request }) => this.#stopped(client, request));
    try {
      const taken = requests.map((one) => this.#takeNow(one));
      if (taken.some(({ mustBeDurable }) => mustBeDurable)) this.#flushNow();
      return taken.map(({ release }) => release());
    } catch (error) {
      if (!isStoreFailure(error)) throw error;
      this.#failure ??= error;
      return requests.map(({ client, request }) => this.#stopped(client, request));
    }
  }

  /** Decided and on its way to the disk; nothing of `release` may leave before it is there. */
  #takeNow({ client, request }: ClientRequest): { mustBeDurable: boolean; release: () => Answer } {
    const decision = this.#decide(client, request);
    if (decision.kind === 'refused') {
      const { answer } = this.#noted(decision);
      return { mustBeDurable: decision.changes.length > 0, release: () => answer };
    }
    this.#follow(this.#commit(decision, client, request));
    return {
      mustBeDurable: decision.dependsOnState || decision.changes.length > 0,
      release: () => ({ kind: 'reply', reply: this.#releaser.releaseNow(decision.release) }),
    };
  }

  /** A no that the next block may turn into a yes, and somebody who can bring it: nodes hear of blocks first. */
  #isEarly(decision: Decision): boolean {
    return this.chain.isFed && decision.kind === 'refused' && decision.refusal.temporary;
  }

  #decide(client: ClientIdentity, request: Request): Decision {
    const { policy, secp, nowSeconds } = this.#options;
    return decide(
      {
        state: this.#memory,
        client,
        policy,
        keys: this.#keys,
        secp,
        ...this.#negotiated,
        nowSeconds: nowSeconds(),
        chain: this.chain.view(),
      },
      request,
    );
  }

  /** What the operator asks for: as a request, but nothing is signed. */
  async administer(operation: AdminOperation): Promise<AdminAnswer> {
    if (this.#failure !== null) return stoppedAnswer(this.#failure);
    const { policy, secp, nowSeconds } = this.#options;
    try {
      const state = this.#memory;
      const outcome = administer({ state, policy, secp, nowSeconds: nowSeconds() }, operation);
      if (!outcome.ok) return outcome;
      const { result, changes, events } = outcome;
      if (changes.length > 0) {
        await this.#trail.operated(operation.op, this.#apply(changes), events).catch(failWithStore);
      }
      return { ok: true, result };
    } catch (error) {
      if (!isStoreFailure(error)) throw error;
      this.#failure ??= error;
      return stoppedAnswer(error);
    }
  }

  /**
   * The signed text of a heartbeat. Rejects with a `StoreError` only while nothing of this start is durable: before, the
   * sequence could begin twice from one number.
   */
  async heartbeat(facts: HeartbeatFacts): Promise<string> {
    const { ring, policy, nowSeconds } = this.#options;
    const begun = this.#sequence ?? { start: await this.#sequenceStart(), count: 0 };
    // Another one may have begun meanwhile.
    const { start, count } = this.#sequence ?? begun;
    const sequence = { start, count: count + 1 };
    this.#sequence = sequence;
    const counters = { ...facts.counters, refusalsByTag: this.#refusals.byTag };
    const payload = heartbeatOf({
      ...facts,
      counters,
      sequence,
      network: policy.network,
      nodeId: ring.nodeId,
      nowSeconds: nowSeconds(),
    });
    return enclose(payload, toHex(signHeartbeat(ring, payload)));
  }

  /** Above that of every earlier start: by at least one entry of this one, which is durable. */
  async #sequenceStart(): Promise<number> {
    const { journal } = this.#options;
    await journal.settled();
    if (journal.auditHead.seq > this.#auditSeqAtStart) return journal.auditHead.seq;
    await this.#trail.event({ event: 'heartbeat-began', facts: {} });
    return journal.auditHead.seq;
  }

  /** What the session refused before there was a request to decide on. The entry's number, as in `Answer`. */
  recordRefusal(refusal: Refusal): number | null {
    this.#refusals.add(refusal.tag);
    if (this.#failure !== null) return null;
    const { id, durable } = this.#trail.refused(refusal);
    this.#follow(durable);
    return id;
  }

  /** Something that no request caused, for the audit log. */
  recordEvent(event: AuditEvent): void {
    if (this.#failure === null) this.#follow(this.#trail.event(event));
  }

  /** Before the journal is closed. */
  end(): void {
    this.#ahead.end();
    if (this.#failure === null) this.#follow(this.#trail.end());
  }

  #commit(decision: Approved, client: ClientIdentity, request: Request): Promise<void> {
    const { warnings, events } = decision;
    const changes = this.#apply(decision.changes);
    const channel = channelOf(client, request);
    const { durable } = this.#trail.decided({ request: request.name, channel, changes, warnings, events });
    if (changes.length > 0) return durable;
    this.#follow(durable);
    // What was read may itself still be on its way to the disk.
    return decision.dependsOnState ? this.#options.journal.settled() : Promise.resolve();
  }

  /** Into memory and the index of what is watched; what the journal is to store. */
  #apply(changes: readonly Change[]): readonly RecordChange[] {
    const encoded = this.#memory.apply(changes);
    this.#watch.apply(changes);
    return encoded;
  }

  /** What was decided until now is on the disk: for what leaves by other ways than an answer. Rejects with `StoreError` if it can't be. */
  settled(): Promise<void> {
    return this.#stopping(() => this.#options.journal.settled());
  }

  /** Nothing is signed after a commit that was lost. */
  async #stopping(commit: () => Promise<void>): Promise<void> {
    if (this.#failure !== null) throw this.#failure;
    try {
      await commit().catch(failWithStore);
    } catch (error) {
      if (isStoreFailure(error)) this.#failure ??= error;
      throw error;
    }
  }

  /** The entry need not be durable for the no to be told; what waits for the operator must, even after a crash. */
  async #refused(decision: Refused): Promise<Answer> {
    const { answer, durable } = this.#noted(decision);
    if (decision.changes.length > 0) await durable.catch(failWithStore);
    return answer;
  }

  #noted({ refusal, changes }: Refused): { readonly answer: Answer; readonly durable: Promise<void> } {
    this.#refusals.add(refusal.tag);
    const { id, durable } = this.#trail.refused(refusal, this.#apply(changes));
    this.#follow(durable);
    return { answer: { kind: 'refused', refusal, id }, durable };
  }

  #flushNow(): void {
    try {
      this.#options.journal.flushNow();
    } catch (cause) {
      failWithStore(cause);
    }
  }

  /** Nobody waits for this commit; its failure stops the signer all the same. */
  #follow(durable: Promise<void>): void {
    durable.catch(failWithStore).catch((error: unknown) => {
      if (!isStoreFailure(error)) throw error;
      this.#failure ??= error;
    });
  }

  #stopped(client: ClientIdentity, request: Request): Answer {
    const failure = this.#failure;
    this.#refusals.add(failure?.code ?? 'store-failed');
    return {
      kind: 'refused',
      id: null,
      refusal: {
        code: 'store-failed',
        tag: failure?.code ?? 'store-failed',
        law: 'setup',
        severity: 'error',
        temporary: false,
        message: `the signer stopped signing because its store failed: ${failure?.message ?? 'unknown cause'}`,
        facts: failure?.facts ?? {},
        request: request.name,
        channel: client.channel === null ? null : `${toHex(client.channel.peerId)}/${client.channel.dbid}`,
      },
    };
  }
}

/** Ids of one kind, as the journal lists its keys. */
function idsOf(journal: Journal, kind: string, prefix: string): readonly string[] {
  const skip = kind.length + 1;
  return journal.keys(`${kind}/${prefix}`).map((key) => key.slice(skip));
}

function stoppedAnswer({ message, facts }: CountersignError): AdminAnswer {
  return { ok: false, error: { code: 'store-failed', message, facts } };
}

type Approved = Extract<Decision, { kind: 'approved' }>;
type Refused = Extract<Decision, { kind: 'refused' }>;
