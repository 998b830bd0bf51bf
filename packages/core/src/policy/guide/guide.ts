/**
 * What an operator should know of a rule beyond its documentation: what happened when it refused, what that means, and
 * what to do. `docs/refusals.md` is made from it. A rule without its entry fails the tests.
 */
import type { Limits } from '../settings.ts';

/** What an operator should know of one rule. */
export interface Guide {
  /** One sentence: what the request was like. */
  readonly happened: string;
  /** Is the node broken or hostile, or does this come up in an honest life? */
  readonly means: string;
  readonly todo: string;
  /** The limits it compares with. */
  readonly limits?: readonly (keyof Limits)[];
  /** It compares with the signer's own view of the chain, and is silent while there is none. */
  readonly needsChain?: true;
}

export type Guides = Readonly<Record<string, Guide>>;

/** For what no honest node asks for. */
export const HOSTILE =
  'No node that works as its source says asks for this: it is broken, modified, or no longer in your hands.';
export const INVESTIGATE =
  'Treat the node as compromised until you know better: stop it, keep its log and the audit log, compare its build with the release you installed. If it is a stock release, report the refusal with both logs.';

export const hostile = (happened: string): Guide => ({ happened, means: HOSTILE, todo: INVESTIGATE });

/** A limit that an honest node may meet: the operator's choice. */
export const limited = (
  happened: string,
  means: string,
  limits: readonly (keyof Limits)[],
  todo = 'If it is what you want, raise the limit in countersign.toml, for this peer or channel alone where that is enough, and start the node again.',
): Guide => ({ happened, means, todo, limits });
