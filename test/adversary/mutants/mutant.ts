/**
 * A mutant: a signer that is broken in one way, made by changing the text of its source as it is loaded. Everything else of
 * it is the signer under test, byte for byte. A text that is not found exactly once is a stale mutant, and an error.
 */

/** The five laws, and what stands beside them: what the signer believes of the chain, and what it publishes by itself. */
export type MutantLaw = 1 | 2 | 3 | 4 | 5 | 'chain' | 'remedies';

export interface Edit {
  /** From the root of the repository. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export interface Mutant {
  /** Stable, for the command line and the report. */
  readonly id: string;
  readonly law: MutantLaw;
  /** Of the attacks that it lets through, as in test/attacks/catalogue.ts; may be empty. */
  readonly attackIds: readonly string[];
  /** What the signer does not do. */
  readonly description: string;
  /** How a thief uses it. */
  readonly theft: string;
  /** More than one only where two places keep the same promise. */
  readonly edits: readonly Edit[];
  /** W does not see it: only when a strategy is played to its end the signer has nothing to publish. So with all of `remedies`. */
  readonly showsAtTheEnd?: true;
  /** More lines of [policy] in the owner's file, where the usual limits would make the theft slow. */
  readonly policyLines?: readonly string[];
}

export class StaleMutantError extends Error {
  override readonly name = 'StaleMutantError';
}

/** The text of `file` as the mutant has it. */
export function mutated(mutant: Mutant, file: string, text: string): string {
  return mutant.edits
    .filter((edit) => edit.file === file)
    .reduce((changed, { find, replace }) => {
      const at = changed.indexOf(find);
      const count = at < 0 ? 0 : changed.indexOf(find, at + 1) < 0 ? 1 : 2;
      if (count !== 1) {
        const how = count === 0 ? 'is not' : 'is more than once';
        throw new StaleMutantError(`mutant ${mutant.id}: the text to change ${how} in ${file}: ${find}`);
      }
      return changed.slice(0, at) + replace + changed.slice(at + find.length);
    }, text);
}

export const filesOf = ({ edits }: Mutant): readonly string[] => [...new Set(edits.map(({ file }) => file))];
