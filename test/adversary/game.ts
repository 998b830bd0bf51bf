/** A game as a search plays it: the signer, sound or broken, what its owner agreed to, and the size of the world. */

import type { RuleName, RunSetup, Setup, Subject } from '@countersign/adversary';
import { allRules } from '@countersign/core';
import { mutantById } from './mutants/index.ts';
import { ownerTerms, ownerToml } from './owner.ts';
import { ProcessSubject } from './process-subject.ts';
import { MemorySubject } from './subject.ts';

/** Requests kept for the story. */
const KEPT_STEPS = 24;

/** The mutant itself must have been loaded already; here only its owner's limits come from it. */
export function gameOf({ channels, mutant, subject, isHonest }: RunSetup): Setup {
  const policyLines = mutant === null ? [] : (mutantById(mutant)?.policyLines ?? []);
  const toml = ownerToml({ policyLines });
  const create = (): Promise<Subject> =>
    subject === 'process' ? ProcessSubject.create({ toml }) : MemorySubject.create({ toml });
  return {
    subject: create,
    terms: ownerTerms({ policyLines }),
    config: { channelsMax: channels, isHonest, keepSteps: KEPT_STEPS },
  };
}

/** The signer's rules, for the table of what was heard. */
export const RULES: readonly RuleName[] = allRules().map(({ tag, law }) => ({ tag, law: `${law}` }));
