/** How an operation of the operator says no: thrown where it is found, a value for everybody outside. */
import type { Facts } from '@countersign/bitcoin';
import type { AuditEvent, Context } from '../context.ts';
import type { AdminErrorCode, AdminInput } from './operations.ts';

/** Caught by `administer` and nowhere else. */
export class AdminFault extends Error {
  readonly code: AdminErrorCode;
  readonly facts: Facts;

  constructor(code: AdminErrorCode, message: string, facts: Facts) {
    super(message);
    this.name = 'AdminFault';
    this.code = code;
    this.facts = facts;
  }
}

export function fail(code: AdminErrorCode, message: string, facts: Facts = {}): never {
  throw new AdminFault(code, message, facts);
}

/** Where an operation reads and writes. */
export type AdminPlace = Omit<AdminInput, 'state'> &
  Pick<Context, 'draft'> & { readonly events: AuditEvent[] };
