/**
 * A channel whose funding is spent: the transaction that spent it, its outputs, and who takes them. Both sides do what they
 * can as soon as they can, the peer only if it pleases it.
 */
import { equalBytes } from '../bitcoin/bytes.ts';
import { type OutPoint, type Tx, txidOf } from '../bitcoin/transaction.ts';
import type { Ending as How, Part } from './book.ts';
import type { Channel } from './channel.ts';
import type { Built, BuiltHtlc } from './commitments.ts';
import { ownerClaims } from './owner-claims.ts';
import { peerClaims } from './peer-claims.ts';
import type { Htlc } from './state.ts';
import type { World } from './world.ts';

/** After so many confirmations what happened is taken for certain: the owner's limit, and the block of the day. */
export const FINAL_DEPTH = 6;

/** An output that somebody may take. */
export interface Leftover {
  readonly kind: 'to_local' | 'to_remote' | 'htlc' | 'second-level';
  readonly outpoint: OutPoint;
  readonly vout: number;
  readonly one: BuiltHtlc | null;
  /** Of a second-level output. */
  readonly tx: Tx;
  /** A claim is on its way. */
  isClaimed: boolean;
}

export class Ending {
  readonly world: World;
  readonly channel: Channel;
  /** As it was broadcast. */
  readonly tx: Tx;
  /** Null: a mutual close. */
  readonly built: Built | null;
  leftovers: Leftover[];
  /** The preimage or the expiry of these is settled for the node. */
  readonly resolved = new Set<number>();
  isMined = false;

  constructor(world: World, channel: Channel, tx: Tx, built: Built | null) {
    this.world = world;
    this.channel = channel;
    this.tx = tx;
    this.built = built;
    this.leftovers = built === null ? [] : leftoversOf(built);
  }

  get isRevoked(): boolean {
    return this.built?.side === 'peer' && this.built.number < this.channel.log.views.peer.number;
  }

  get depth(): number {
    return this.world.chain.depthOf(txidOf(this.tx));
  }

  /** After each block. */
  async tend(): Promise<void> {
    const { depth } = this;
    if (depth === 0) return;
    await peerClaims(this);
    await ownerClaims(this);
    await this.#follow();
    if (depth >= FINAL_DEPTH && this.#isOver()) {
      this.channel.phase = 'closed';
      const { peerId, dbid } = this.channel.terms;
      if (depth > 100)
        await this.world.ask({ channel: null }, { name: 'hsmd_forget_channel', id: peerId, dbid });
    }
  }

  /** What an HTLC transaction leaves, in the place of what an earlier one would have left. */
  replaceSecondLevel(leftover: Leftover): void {
    const isSame = (one: Leftover) => one.kind === 'second-level' && one.one === leftover.one;
    this.leftovers = [...this.leftovers.filter((one) => !isSame(one)), leftover];
  }

  /** Somebody is going to take it: what is the peer's alone may lie there for ever. */
  #isAwaited(kind: Leftover['kind']): boolean {
    if (kind === 'htlc' || kind === 'second-level' || this.isRevoked) return true;
    return (kind === 'to_local') === (this.built?.side === 'owner');
  }

  #isOver(): boolean {
    const awaited = this.leftovers.filter(({ kind }) => this.#isAwaited(kind));
    return this.depth > 200 || awaited.every(({ outpoint }) => this.world.chain.isSpent(outpoint));
  }

  /** What the chain says of the payments on this channel. */
  async #follow(): Promise<void> {
    const { world, channel } = this;
    const parts = [...world.book.partsOn(channel, 'owner'), ...world.book.partsOn(channel, 'peer')];
    for (const part of parts) {
      if (part.state === 'settled' || part.state === 'failed') continue;
      const output = this.leftovers.find(({ kind, one }) => kind === 'htlc' && one?.htlc.id === part.htlc.id);
      if (output === undefined) {
        if (this.depth >= FINAL_DEPTH) world.book.end(part, this.#endWithout(part));
      } else await this.#followOutput(part, output);
    }
  }

  /** Of an HTLC that is not in this transaction, or too small for an output. */
  #endWithout({ htlc, payment }: Part): How {
    const { built, channel } = this;
    if (built === null) return payment.ending;
    // Fulfilled by the commitment that was published: the node has the preimage by then.
    const isFulfilled = channel.log.updates.some(
      ({ change, in: stages }) =>
        change.kind === 'remove' &&
        change.htlc.id === htlc.id &&
        change.to !== htlc.offeredBy &&
        stages[built.side] !== 'proposed',
    );
    const isTrimmed = built.state.htlcs.some(({ id }) => id === htlc.id);
    return isFulfilled && !isTrimmed ? 'settled' : 'failed';
  }

  async #followOutput(part: Part, { outpoint }: Leftover): Promise<void> {
    const { world } = this;
    const spender = world.chain.spenderOf(outpoint);
    if (spender === undefined) return;
    const isByPreimage = spender.inputs.some(
      (input) =>
        equalBytes(input.txid, outpoint.txid) &&
        input.vout === outpoint.vout &&
        input.witness.some((item) => equalBytes(item, part.payment.preimage)),
    );
    const depth = world.chain.depthOf(txidOf(spender));
    if (isByPreimage && part.htlc.offeredBy === 'owner') {
      await world.book.learn([part.payment.hash]);
      world.book.end(part, 'settled');
    } else if (isByPreimage) world.book.end(part, 'settled');
    else if (depth >= FINAL_DEPTH) world.book.end(part, 'failed');
  }
}

function leftoversOf(built: Built): Leftover[] {
  const txid = txidOf(built.tx);
  return built.outputs.flatMap((output, vout): Leftover[] => {
    const outpoint = { txid, vout };
    const base = { outpoint, vout, tx: built.tx, isClaimed: false };
    const { role } = output;
    if (role === 'to_local' || role === 'to_remote') return [{ ...base, kind: role, one: null }];
    const one = built.htlcs.find(({ outputIndex }) => outputIndex === vout);
    return one === undefined ? [] : [{ ...base, kind: 'htlc', one }];
  });
}

export const isOffered = ({ offeredBy }: Htlc): boolean => offeredBy === 'owner';
