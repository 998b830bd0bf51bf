/**
 * The operator's operations as this version carries them out. Those of `core` come with its `administer`.
 */
import type { AdminInput, AdminOperation, AdminOutcome } from '@countersign/core';

export function administer(_input: AdminInput, operation: AdminOperation): AdminOutcome {
  return {
    ok: false,
    error: { code: 'not-possible', message: 'not in this version', facts: { operation: operation.op } },
  };
}
