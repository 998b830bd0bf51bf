/**
 * A signer that follows a mined chain: blocks go through the chain side of core as a feeder brings them, and each request
 * is judged by what they proved.
 */
import { type Transaction, txid } from '@countersign/bitcoin';
import type { ClientIdentity } from '@countersign/core';
import {
  type AuditEvent,
  acceptBeginning,
  acceptBlock,
  acceptHeaders,
  CHAIN_ID,
  type ChainInput,
  type ChainOutcome,
  type ChainRecord,
  type ChainView,
  chainRecords,
  chainViewOf,
  type Decision,
  Draft,
  headerRecords,
  heightId,
  type RecordKind,
  type Refusal,
  WatchBook,
} from '@countersign/core';
import type { Request } from '@countersign/wire';
import { expect } from 'vitest';
import type { ModelOptions } from './channel-model.ts';
import { channelIdOf } from './forwarder.ts';
import type { MemoryState } from './memory-state.ts';
import { MinedChain } from './mined-chain.ts';
import { OpenChannel } from './open-channel.ts';
import { secp, TestSigner } from './test-signer.ts';

/** Ids of one kind that have a value, ascending: what a journal lists. */
export function idsIn(state: MemoryState, kind: string, prefix: string): readonly string[] {
  return state.keys
    .filter((key) => key.startsWith(`${kind}/${prefix}`) && state.hasValue(key))
    .map((key) => key.slice(kind.length + 1))
    .sort();
}

export class ChainedSigner extends TestSigner {
  /** What the network has; the signer knows as much of it as `follow` brought. */
  mined: MinedChain;
  events: AuditEvent[] = [];
  watch: WatchBook;

  constructor(mined = new MinedChain(), birthdayHeightBlocks = 1) {
    super();
    this.preset = 'hub';
    this.mined = mined;
    this.watch = this.watchAnew();
    this.accept(acceptBeginning(this.chainInput, new Uint8Array(0), birthdayHeightBlocks));
    this.follow();
  }

  watchAnew(): WatchBook {
    return new WatchBook((kind, prefix) => idsIn(this.state, kind, prefix));
  }

  get chainInput(): ChainInput {
    const { state, policy, keys, watch, nowSeconds } = this;
    return { state, policy, keys, secp, watch, nowSeconds };
  }

  readonly read = <T>(kind: RecordKind<T>, id: string): T | null => this.state.read(kind, id)?.value ?? null;

  get chainRecord(): ChainRecord {
    return this.read(chainRecords, CHAIN_ID)!;
  }

  get view(): ChainView {
    return chainViewOf(this.read, this.policy, this.nowSeconds)!;
  }

  override decide(request: Request, client: ClientIdentity): Decision {
    this.chain = chainViewOf(this.read, this.policy, this.nowSeconds);
    const decision = super.decide(request, client);
    // What is approved is applied by the caller at once.
    if (decision.kind === 'approved') this.watch.apply(decision.changes);
    return decision;
  }

  accept(outcome: ChainOutcome): void {
    if (!outcome.ok) expect.fail(`refused: ${outcome.refusal.tag}: ${outcome.refusal.message}`);
    this.state.apply(outcome.changes);
    this.watch.apply(outcome.changes);
    this.events.push(...outcome.events);
  }

  refusedBy(outcome: ChainOutcome): Refusal {
    if (outcome.ok) return expect.fail('was accepted');
    return outcome.refusal;
  }

  headers(bytes: Uint8Array): ChainOutcome {
    return acceptHeaders(this.chainInput, bytes);
  }

  block(raw: Uint8Array): ChainOutcome {
    return acceptBlock(this.chainInput, raw);
  }

  /** Brings everything the mined chain has beyond the fork with what the signer knows. */
  follow(): this {
    const { blocks } = this.mined;
    const known = this.chainRecord;
    let fork = Math.min(known.tipHeightBlocks, blocks.length - 1);
    while (fork > 0 && !this.#has(fork)) fork--;
    if (blocks.length - 1 > fork) this.accept(this.headers(this.mined.headers(fork + 1)));
    while (this.chainRecord.provenHeightBlocks < this.chainRecord.tipHeightBlocks) {
      this.accept(this.block(blocks[this.chainRecord.provenHeightBlocks + 1]!.raw));
    }
    return this;
  }

  #has(heightBlocks: number): boolean {
    const hash = this.read(headerRecords, heightId(heightBlocks))?.hash;
    return hash !== undefined && Buffer.compare(hash, this.mined.blocks[heightBlocks]!.hash) === 0;
  }

  /** The chain's own record as a test wants it. */
  overwrite(id: 'chain', record: ChainRecord): void {
    const draft = new Draft(this.state);
    draft.put(chainRecords, id, record);
    this.state.apply(draft.changes());
  }

  /** One block with these transactions, seen. */
  mine(...transactions: readonly Transaction[]): this {
    this.mined.extend(transactions);
    return this.follow();
  }

  mineEmpty(count: number): this {
    this.mined.extendBy(count);
    return this.follow();
  }
}

/** Whatever is paid is approved. */
export const APPROVING = { auto: 'all', autoPaymentVelocity: null, expirySeconds: 86_400 } as const;

/** A channel whose funding is one block deep. */
export function openedChannel(options: ModelOptions = {}): {
  readonly signer: ChainedSigner;
  readonly channel: OpenChannel;
  readonly id: string;
} {
  const signer = new ChainedSigner();
  signer.set = { approvals: APPROVING };
  const channel = new OpenChannel(options, signer).open();
  signer.mine(channel.model.funding.tx);
  return { signer, channel, id: channelIdOf(channel) };
}

/** Spends an output of `from` to anyone, with this witness; blocks of tests need no valid scripts. */
export function spendOf(from: Transaction, vout: number, witness: readonly Uint8Array[] = []): Transaction {
  return {
    version: 2,
    inputs: [{ txid: txid(from), vout, scriptSig: new Uint8Array(0), sequence: 0, witness }],
    outputs: [{ value: from.outputs[vout]!.value, script: Uint8Array.of(0x51) }],
    locktime: 0,
  };
}
