/**
 * A refusal is a value: which rule spoke, the numbers it compared, and whether asking again later can help.
 * It never holds a secret, so it may go to the node, the log and the operator as it is.
 */
import type { Facts } from '@countersign/bitcoin';
import { SIGNER_ERROR_CODES, type SignerErrorKind, signerErrorText } from '@countersign/wire';
import type { Rule } from './policy/registry.ts';
import type { PendingApproval } from './records/approval.ts';

/** What kind of no: the transport turns it into the gentlest form the client's protocol has. */
export type RefusalCode = SignerErrorKind;

/** As the wire's SignerError (3000) carries it. */
export const REFUSAL_WIRE_CODE: Readonly<Record<RefusalCode, number>> = SIGNER_ERROR_CODES;

/** A no, with its reason. A value, never thrown out of `decide`. */
export interface Refusal {
  readonly code: RefusalCode;
  /** The rule's stable public name. */
  readonly tag: string;
  readonly law: Rule['law'];
  readonly severity: 'error' | 'warn';
  /** True when the same request may pass later without anyone changing anything. */
  readonly temporary: boolean;
  readonly message: string;
  readonly facts: Facts;
  /** Wire name of the refused request, filled in by `decide`. */
  readonly request: string;
  /** `<peer id hex>/<dbid>` or null for requests without a channel, filled in by `decide`. */
  readonly channel: string | null;
}

/** A pending approval as a handler describes it; when and how often it was asked for is kept by the list. */
export type PendingRequest = Omit<
  PendingApproval,
  'firstAskedAtSeconds' | 'lastAskedAtSeconds' | 'timesAsked'
>;

/**
 * Thrown inside a handler to leave it, caught by `decide` (and by `forceClose`, the
 * signer's own request) and nowhere else: a request's judgement is a straight
 * line of checks, and the first one that fails ends it. Outside `decide` a refusal is always a value.
 */
export class RefusalSignal extends Error {
  readonly rule: Rule;
  readonly facts: Facts;
  readonly temporary: boolean;
  readonly code: RefusalCode;
  /** What the operator may approve so that the same request passes. */
  readonly pending: PendingRequest | null;

  constructor(
    rule: Rule,
    message: string,
    facts: Facts,
    code: RefusalCode,
    temporary: boolean,
    pending: PendingRequest | null = null,
  ) {
    super(message);
    this.name = 'RefusalSignal';
    this.rule = rule;
    this.facts = facts;
    this.code = code;
    this.temporary = temporary;
    this.pending = pending;
  }
}

/** Leave the handler: `rule` forbids it. */
export function refuse(rule: Rule, message: string, facts: Facts = {}): never {
  throw new RefusalSignal(rule, message, facts, 'policy', false);
}

/** Leave the handler: not now, but the same request may pass later. */
export function refuseForNow(rule: Rule, message: string, facts: Facts = {}): never {
  throw new RefusalSignal(rule, message, facts, 'policy', true);
}

/** Leave the handler: nobody approved it. It goes to the pending approvals, and passes once it is approved. */
export function refuseUnapproved(rule: Rule, message: string, facts: Facts, pending: PendingRequest): never {
  throw new RefusalSignal(rule, message, facts, 'policy', false, pending);
}

/** The value that a signal becomes outside of the handler. */
export function refusalFrom(
  signal: RefusalSignal,
  severity: Refusal['severity'],
  request: string,
  channel: string | null,
): Refusal {
  const { code, rule, temporary, message, facts } = signal;
  return { code, tag: rule.tag, law: rule.law, severity, temporary, message, facts, request, channel };
}

/** The text a node's operator sees: tag first, then the sentence, then the facts. */
export const refusalText: (refusal: Refusal) => string = signerErrorText;
