/** BOLT 2, "Normal Operation" and "Message Retransmission": which updates the next commitment of either side holds. */
import { type Change, type Htlc, type State, totalMsat, UpdateLog } from '@countersign/adversary';
import { describe, expect, it } from 'vitest';

const START: State = { ownerMsat: 700_000_000n, peerMsat: 300_000_000n, feeratePerKw: 1000, htlcs: [] };

const htlcOf = (id: number, offeredBy: Htlc['offeredBy'], amountMsat = 10_000_000n): Htlc => ({
  id,
  offeredBy,
  amountMsat,
  paymentHash: new Uint8Array(32).fill(id),
  cltvExpiry: 500,
});
const add = (htlc: Htlc): Change => ({ kind: 'add', htlc });
const ids = ({ htlcs }: State): number[] => htlcs.map(({ id }) => id);

/** One whole dance, the peer's commitment first. */
function dance(log: UpdateLog): void {
  for (const side of ['peer', 'owner'] as const) {
    if (!log.canSign(side)) continue;
    log.signed(side);
    log.revoked(side);
  }
}

describe('updates of a channel', () => {
  it('goes first into the commitment of the side that receives it', () => {
    const log = new UpdateLog(START);
    log.propose('owner', add(htlcOf(1, 'owner')));
    expect(ids(log.next('peer'))).toEqual([1]);
    expect(ids(log.next('owner'))).toEqual([]);
    expect(log.canSign('owner')).toBe(false);
    log.signed('peer');
    expect(log.canSign('owner')).toBe(false);
    log.revoked('peer');
    expect(ids(log.next('owner'))).toEqual([1]);
    log.signed('owner');
    expect(log.revoked('owner')).toHaveLength(1);
    expect(log.isQuiet).toBe(true);
  });

  it('lets both sides propose at once, and their commitments differ on the way', () => {
    const log = new UpdateLog(START);
    log.propose('owner', add(htlcOf(1, 'owner')));
    log.propose('peer', add(htlcOf(2, 'peer')));
    log.signed('peer');
    log.signed('owner');
    expect(ids(log.views.peer.pending!)).toEqual([1]);
    expect(ids(log.views.owner.pending!)).toEqual([2]);
    log.revoked('peer');
    log.revoked('owner');
    expect(ids(log.next('peer')).sort()).toEqual([1, 2]);
    expect(ids(log.next('owner')).sort()).toEqual([1, 2]);
  });

  it('signs no second commitment before the first is revoked for', () => {
    const log = new UpdateLog(START);
    log.propose('owner', add(htlcOf(1, 'owner')));
    log.signed('peer');
    log.propose('owner', add(htlcOf(2, 'owner')));
    expect(log.canSign('peer')).toBe(false);
    log.revoked('peer');
    expect(ids(log.next('peer'))).toEqual([1, 2]);
  });

  it('gives the value of an HTLC to whom it ends with, and conserves the sum', () => {
    const log = new UpdateLog(START);
    const [paid, back] = [htlcOf(1, 'owner'), htlcOf(2, 'peer', 7_000_001n)];
    log.propose('owner', add(paid));
    log.propose('peer', add(back));
    for (let i = 0; i < 3; i++) dance(log);
    log.propose('peer', { kind: 'remove', htlc: paid, to: 'peer' });
    log.propose('owner', { kind: 'remove', htlc: back, to: 'peer' });
    for (let i = 0; i < 3; i++) dance(log);
    const { current } = log.views.owner;
    expect(current).toEqual({ ...START, ownerMsat: 690_000_000n, peerMsat: 310_000_000n });
    expect(totalMsat(current)).toBe(totalMsat(START));
    expect(log.views.peer.current).toEqual(current);
  });

  it('forgets with the link what the other side has not revoked for, and signs the number with other content', () => {
    const log = new UpdateLog(START);
    log.propose('owner', add(htlcOf(1, 'owner')));
    log.signed('peer');
    expect(log.forget().map(({ change }) => change)).toEqual([add(htlcOf(1, 'owner'))]);
    expect(log.next('peer')).toEqual(START);
    log.propose('owner', add(htlcOf(2, 'owner')));
    log.signed('peer');
    expect(log.views.peer.number).toBe(0);
    expect(log.unrevoked('peer').map(ids)).toEqual([[], [1], [2]]);
    expect(log.hasLooseVariants('peer')).toBe(true);
    log.revoked('peer');
    // The peer may still publish the first of the two.
    expect(log.unrevoked('peer').map(ids)).toEqual([[1], [2]]);
    expect(log.hasLooseVariants('peer')).toBe(true);
  });

  it('keeps what the other side has revoked for', () => {
    const log = new UpdateLog(START);
    log.propose('peer', add(htlcOf(1, 'peer')));
    log.signed('owner');
    log.revoked('owner');
    log.signed('peer');
    expect(log.forget()).toEqual([]);
    expect(ids(log.next('peer'))).toEqual([1]);
  });

  it('goes on from what was really signed, whatever that was', () => {
    const log = new UpdateLog(START);
    log.propose('owner', { kind: 'shift', toPeerMsat: 5n }, true);
    log.propose('owner', add(htlcOf(1, 'owner')));
    const stolen = { ...log.next('peer'), peerMsat: 999n };
    log.signed('peer', stolen);
    log.revoked('peer');
    expect(log.views.peer.current).toBe(stolen);
    expect(log.hasBogus('owner')).toBe(true);
    log.signed('owner');
    expect(log.withdrawBogus()).toBe(true);
    expect(ids(log.next('owner'))).toEqual([1]);
    expect(log.next('owner').ownerMsat).toBe(690_000_000n);
  });

  it('comes back to an earlier state, which what happened since has not changed', () => {
    const log = new UpdateLog(START);
    log.propose('owner', add(htlcOf(1, 'owner')));
    const before = log.snapshot();
    dance(log);
    dance(log);
    log.restore(before);
    expect(log.views.peer.number).toBe(0);
    expect(ids(log.next('peer'))).toEqual([1]);
    dance(log);
    log.restore(before);
    expect(log.views.peer.number).toBe(0);
  });
});
