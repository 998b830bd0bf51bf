/**
 * What a commitment of either side says apart from its number, and the updates of BOLT 2 that lead from one state to the
 * next; with them the updates that no honest party makes, which an attacker sends through the same machinery.
 */
export type Party = 'owner' | 'peer';

export const otherParty = (party: Party): Party => (party === 'owner' ? 'peer' : 'owner');

export interface Htlc {
  /** One number for both sides' HTLCs of a channel; it never comes again. */
  readonly id: number;
  readonly offeredBy: Party;
  readonly amountMsat: bigint;
  readonly paymentHash: Uint8Array;
  readonly cltvExpiry: number;
}

/** The amounts of HTLCs are in no balance. */
export interface State {
  readonly ownerMsat: bigint;
  readonly peerMsat: bigint;
  readonly feeratePerKw: number;
  readonly htlcs: readonly Htlc[];
}

export type Change =
  | { readonly kind: 'add'; readonly htlc: Htlc }
  /** To whom its value goes: to the offerer, it failed; to the other, it was fulfilled. */
  | { readonly kind: 'remove'; readonly htlc: Htlc; readonly to: Party }
  | { readonly kind: 'fee'; readonly feeratePerKw: number }
  /** Nothing in BOLT 2: value moves from the owner to the peer (from the peer, if negative). */
  | { readonly kind: 'shift'; readonly toPeerMsat: bigint }
  /** Nothing in BOLT 2: an HTLC becomes another; its offerer pays the difference. */
  | { readonly kind: 'alter'; readonly htlc: Htlc; readonly into: Htlc };

const gaining = (state: State, party: Party, msat: bigint): State =>
  party === 'owner'
    ? { ...state, ownerMsat: state.ownerMsat + msat }
    : { ...state, peerMsat: state.peerMsat + msat };

/** A change that no longer applies (its HTLC is gone) changes nothing. */
export function applyChange(state: State, change: Change): State {
  if (change.kind === 'fee') return { ...state, feeratePerKw: change.feeratePerKw };
  if (change.kind === 'shift') {
    const { ownerMsat, peerMsat } = state;
    return {
      ...state,
      ownerMsat: ownerMsat - change.toPeerMsat,
      peerMsat: peerMsat + change.toPeerMsat,
    };
  }
  const { htlc } = change;
  if (change.kind === 'add')
    return gaining({ ...state, htlcs: [...state.htlcs, htlc] }, htlc.offeredBy, -htlc.amountMsat);
  const at = state.htlcs.findIndex(({ id }) => id === htlc.id);
  const standing = state.htlcs[at];
  if (standing === undefined) return state;
  if (change.kind === 'remove')
    return gaining(
      { ...state, htlcs: state.htlcs.filter(({ id }) => id !== htlc.id) },
      change.to,
      standing.amountMsat,
    );
  const htlcs = state.htlcs.with(at, change.into);
  return gaining({ ...state, htlcs }, standing.offeredBy, standing.amountMsat - change.into.amountMsat);
}

/** What all of it adds up to; the channel's capacity, in every honest state. */
export function totalMsat({ ownerMsat, peerMsat, htlcs }: State): bigint {
  return htlcs.reduce((sum, { amountMsat }) => sum + amountMsat, ownerMsat + peerMsat);
}

/** A commitment can say it: no balance below zero. */
export const isPossible = ({ ownerMsat, peerMsat }: State): boolean => ownerMsat >= 0n && peerMsat >= 0n;
