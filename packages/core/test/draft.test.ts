/** Drafts: what is tried in a fork stays in it, and nothing of one is anywhere else. */
import { Draft, EMPTY_NODE, nodeRecords } from '@countersign/core';
import { expect, it } from 'vitest';
import { MemoryState } from './memory-state.ts';

const known = (draft: Draft): boolean | undefined => draft.get(nodeRecords, 'node')?.deliversPreimages;

it('a fork begins with what its draft has, and gives nothing back', () => {
  const draft = new Draft(new MemoryState());
  draft.put(nodeRecords, 'node', EMPTY_NODE);
  const fork = draft.fork();
  expect(known(fork)).toBe(false);
  fork.put(nodeRecords, 'node', { ...EMPTY_NODE, deliversPreimages: true });
  expect([known(draft), known(fork)]).toEqual([false, true]);
  expect(draft.changes()).toMatchObject([{ id: 'node', version: 1, value: EMPTY_NODE }]);
  expect(fork.changes()).toMatchObject([{ id: 'node', version: 1 }]);
});
