/**
 * Law 1: numbers only go up. Its rules are in `rules.ts`, its decisions in the files named for each side.
 */
import type { LawDefinition } from '../policy/law.ts';

export const ratchet: LawDefinition = {
  number: 1,
  title: 'the ratchet',
  promise: 'Per channel and side, commitments only move forward: a revoked one is never signed.',
  operations: ['setup', 'cc', 'hc', 'rev', 'vr', 'fc', 'htlc', 'mc'],
};
