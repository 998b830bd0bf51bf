/** What rests on preimages is asked behind them: at once where the door can, one after another where it can't. */
import { encodeMessage, type Reply } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { SignerClient } from '../src/client.ts';
import { ChannelBook, type KnowingRequest } from '../src/signer/channel-book.ts';
import { ChannelState } from '../src/signer/channel-state.ts';
import { type Answer, refusedWith, TestDoor, TogetherDoor } from './support.ts';

const preimage = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);
const request = { name: 'hsmd_revoke_commitment_tx', commitNum: 3n } as const;
const also = [{ name: 'vls_get_per_commitment_point2', n: 5n }] as const;
const revoked: Reply = {
  name: 'hsmd_revoke_commitment_tx_reply',
  oldCommitmentSecret: preimage(1),
  nextPerCommitmentPoint: new Uint8Array(33).fill(2),
};
const point: Reply = {
  name: 'vls_get_per_commitment_point2_reply',
  perCommitmentPoint: new Uint8Array(33).fill(3),
};
const answers: Answer = ({ name }) =>
  name === 'countersign_preimages'
    ? { name: 'countersign_preimages_reply', learned: 1 }
    : name === 'hsmd_revoke_commitment_tx'
      ? revoked
      : point;

function bookOver(door: TestDoor) {
  const state = new ChannelState(new Uint8Array(32).fill(9), 1n, null);
  state.isSetUp = true;
  const book = new ChannelBook(new SignerClient(door));
  const ask = (changed: Partial<KnowingRequest> = {}) =>
    book.askKnowing('a method', state, { first: null, preimages: [preimage(1)], request, also, ...changed });
  return { state, ask, names: () => door.asked.map((one) => one.request.name) };
}

describe('a request and its preimages', () => {
  it('go through the door at once, with what else is good to know; a preimage goes once', () => {
    const door = new TogetherDoor(answers);
    const { ask, names } = bookOver(door);
    expect(ask()).toEqual({ kind: 'answered', reply: revoked, also: [point] });
    expect(ask({ preimages: [preimage(1), preimage(2)], also: [] })).toEqual({
      kind: 'answered',
      reply: revoked,
      also: [],
    });
    const both = ['countersign_preimages', 'hsmd_revoke_commitment_tx'];
    expect(names()).toEqual([...both, 'vls_get_per_commitment_point2', ...both]);
    expect(door.together).toEqual([3, 2]);
    expect(door.asked[3]?.request).toMatchObject({ preimages: [preimage(2)] });
    ask({ also: [] });
    expect(door.together).toHaveLength(2);
  });

  it('go one after another where the door takes one at a time', () => {
    const { ask, names } = bookOver(new TestDoor(answers));
    expect(ask()).toEqual({ kind: 'answered', reply: revoked, also: [] });
    expect(names()).toEqual(['countersign_preimages', 'hsmd_revoke_commitment_tx']);
  });

  it('go one after another while the signer is owed something, which comes first', () => {
    const door = new TogetherDoor(answers);
    const { ask, state, names } = bookOver(door);
    state.owed.push({ name: 'hsmd_revoke_commitment_tx', commitNum: 2n });
    expect(ask()).toMatchObject({ kind: 'answered' });
    expect(names()).toEqual([
      'countersign_preimages',
      'hsmd_revoke_commitment_tx',
      'hsmd_revoke_commitment_tx',
    ]);
    expect(door.together).toEqual([]);
    expect(state.owed).toEqual([]);
  });

  it('more preimages than a message holds go first', () => {
    const door = new TogetherDoor(answers);
    const { ask, names } = bookOver(door);
    const preimages = Array.from({ length: 1025 }, (_, i) => {
      const one = preimage(0);
      new DataView(one.buffer).setUint32(0, i);
      return one;
    });
    expect(ask({ preimages, also: [] })).toMatchObject({ kind: 'answered' });
    expect(door.together).toEqual([]);
    expect(names().at(-1)).toBe('hsmd_revoke_commitment_tx');
  });

  it.each([
    ['at once', TogetherDoor],
    ['one after another', TestDoor],
  ])('%s: preimages that are refused are not known, and are told from a refused request', (_, Door) => {
    const no = refusedWith('policy-x: no [a=1]');
    const door = new Door((one) => (one.name === 'countersign_preimages' ? no : answers(one)));
    const { ask } = bookOver(door);
    expect(ask()).toMatchObject({ kind: 'unlearned', refusal: { tag: 'policy-x' } });
    door.answer = (one) => (one.name === request.name ? no : answers(one));
    expect(ask()).toMatchObject({ kind: 'refused', refusal: { tag: 'policy-x', request: request.name } });
    const learned = door.asked.filter((one) => one.request.name === 'countersign_preimages');
    expect(learned).toHaveLength(2);
    door.answer = answers;
    expect(ask()).toMatchObject({ kind: 'answered' });
    expect(door.asked.filter((one) => one.request.name === 'countersign_preimages')).toHaveLength(2);
    door.answer = () => null;
    expect(ask({ preimages: [preimage(7)] })).toMatchObject({
      refusal: { tag: 'unreachable', temporary: true },
    });
    door.answer = (one) => (one.name === request.name ? encodeMessage(revoked) : answers(one));
    expect(ask({ preimages: [preimage(7)] })).toMatchObject({ kind: 'answered' });
  });
});
