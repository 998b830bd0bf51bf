/**
 * The updates of a channel on their way through both sides' commitments, as BOLT 2 "Normal Operation" has it: proposed,
 * signed, revoked for, in each direction. It knows no keys and no signer; it says what the next commitment of either side
 * holds, and follows what was really signed, right or wrong.
 */
import { applyChange, type Change, isPossible, type Party, type State } from './state.ts';

/** How far an update is in one side's commitments. */
type Stage = 'proposed' | 'signed' | 'revoked-for';

export interface Update {
  readonly from: Party;
  readonly change: Change;
  /** No honest party would have made it. */
  readonly isBogus: boolean;
  readonly in: Record<Party, Stage>;
}

/** One side's commitments. */
export interface View {
  /** Of the newest commitment whose predecessor is revoked. */
  number: number;
  current: State;
  /** What `number` + 1 holds, once it is signed; until `number` is revoked. */
  pending: State | null;
  /** All contents that were signed for `number`, and for `number` + 1; the newest last. */
  standing: State[];
  variants: State[];
  /** The newest number that was signed with more than one content, −1 when none was. */
  variedNumber: number;
}

export interface Snapshot {
  readonly views: Readonly<Record<Party, View>>;
  readonly updates: readonly Update[];
}

const newView = (initial: State): View => ({
  number: 0,
  current: initial,
  pending: null,
  standing: [initial],
  variants: [],
  variedNumber: -1,
});

export class UpdateLog {
  readonly views: Readonly<Record<Party, View>>;
  updates: Update[] = [];

  constructor(initial: State) {
    this.views = { owner: newView(initial), peer: newView(initial) };
  }

  propose(from: Party, change: Change, isBogus = false): Update {
    const update: Update = { from, change, isBogus, in: { owner: 'proposed', peer: 'proposed' } };
    this.updates.push(update);
    return update;
  }

  withdraw(update: Update): void {
    this.updates = this.updates.filter((one) => one !== update);
  }

  /** What no honest party made is given up; a commitment that has it, signed and not yet the newest, too. */
  withdrawBogus(): boolean {
    const bogus = this.updates.filter(({ isBogus }) => isBogus);
    if (bogus.length === 0) return false;
    this.updates = this.updates.filter(({ isBogus }) => !isBogus);
    for (const side of ['owner', 'peer'] as const)
      if (bogus.some((one) => one.in[side] === 'signed')) this.#unsign(side);
    return true;
  }

  /** The next commitment of `side`, or the one that was signed last, has something that no honest party made. */
  hasBogus(side: Party): boolean {
    return this.updates.some((one) => one.isBogus && (one.in[side] === 'signed' || this.#isDue(one, side)));
  }

  #unsign(side: Party): void {
    this.views[side].pending = null;
    for (const update of this.updates) if (update.in[side] === 'signed') update.in[side] = 'proposed';
  }

  /** The next commitment of `side` has it: all updates of the other side, and of its own what the other has revoked for. */
  #isDue(update: Update, side: Party): boolean {
    if (update.in[side] === 'revoked-for') return false;
    return update.from !== side || update.in[side === 'owner' ? 'peer' : 'owner'] === 'revoked-for';
  }

  #due(side: Party): Update[] {
    return this.updates.filter((one) => this.#isDue(one, side));
  }

  /** What the next commitment of `side` holds. */
  next(side: Party): State {
    return this.#due(side).reduce(
      (state, { change }) => applyChange(state, change),
      this.views[side].current,
    );
  }

  /** The other side may sign a new commitment for `side`. */
  canSign(side: Party): boolean {
    return this.views[side].pending === null && this.#due(side).length > 0 && isPossible(this.next(side));
  }

  /** A commitment `number` + 1 of `side` was signed with `content`. */
  signed(side: Party, content: State = this.next(side)): void {
    const view = this.views[side];
    for (const update of this.#due(side)) update.in[side] = 'signed';
    view.pending = content;
    view.variants.push(content);
    if (view.variants.length > 1) view.variedNumber = view.number + 1;
  }

  /** `side` has revoked its current commitment. The updates that are now in both sides' commitments for good. */
  revoked(side: Party): Update[] {
    const view = this.views[side];
    if (view.pending === null) return [];
    view.number += 1;
    view.current = view.pending;
    view.pending = null;
    view.standing = view.variants;
    view.variants = [];
    for (const update of this.updates) if (update.in[side] === 'signed') update.in[side] = 'revoked-for';
    const isDone = (one: Update) => one.in.owner === 'revoked-for' && one.in.peer === 'revoked-for';
    const done = this.updates.filter(isDone);
    this.updates = this.updates.filter((one) => !isDone(one));
    return done;
  }

  /**
   * The link was lost, or a node crashed before it wrote down what it had signed: of either side's updates the other
   * forgets what it has not revoked for (BOLT 2 "Message Retransmission"), and other content may take the number.
   */
  forget(keeps: Readonly<Record<Party, boolean>> = { owner: false, peer: false }): Update[] {
    const isLost = (one: Update) => {
      const receiver = one.from === 'owner' ? 'peer' : 'owner';
      return one.in[receiver] !== 'revoked-for' && !keeps[receiver];
    };
    const lost = this.updates.filter(isLost);
    this.updates = this.updates.filter((one) => !isLost(one));
    for (const side of ['owner', 'peer'] as const) if (!keeps[side]) this.#unsign(side);
    return lost;
  }

  /** `side` may still publish a variant that says something else than what stands. */
  hasLooseVariants(side: Party): boolean {
    return this.views[side].number <= this.views[side].variedNumber;
  }

  /** Every content of `side` that its newest secret does not revoke. */
  unrevoked(side: Party): readonly State[] {
    const { standing, variants } = this.views[side];
    return [...standing, ...variants];
  }

  /** A copy, which nothing that follows changes. */
  snapshot(): Snapshot {
    const copyOf = (view: View): View => ({
      ...view,
      standing: [...view.standing],
      variants: [...view.variants],
    });
    return {
      views: { owner: copyOf(this.views.owner), peer: copyOf(this.views.peer) },
      updates: this.updates.map((one) => ({ ...one, in: { ...one.in } })),
    };
  }

  restore({ views, updates }: Snapshot): void {
    const { owner, peer } = views;
    Object.assign(this.views.owner, {
      ...owner,
      standing: [...owner.standing],
      variants: [...owner.variants],
    });
    Object.assign(this.views.peer, { ...peer, standing: [...peer.standing], variants: [...peer.variants] });
    this.updates = updates.map((one) => ({ ...one, in: { ...one.in } }));
  }

  /** Nothing is under way. */
  get isQuiet(): boolean {
    return this.updates.length === 0 && this.views.owner.pending === null && this.views.peer.pending === null;
  }
}
