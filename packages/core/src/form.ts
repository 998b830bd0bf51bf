/**
 * The rule behind every request that is not well formed for what it asks: wrong channel, impossible number,
 * a field that contradicts another. Bytes that do not even decode are refused before a handler runs.
 */
import type { Facts } from '@countersign/bitcoin';
import { rule } from './policy/registry.ts';
import { RefusalSignal } from './refusal.ts';

export const genericError = rule({
  tag: 'policy-generic-error',
  law: 'form',
  severity: 'hard',
  operations: ['all'],
  documentation:
    'The request is malformed: bytes that do not decode, an amount beyond 21 million coins, a field that ' +
    'contradicts another, a channel the signer was never told about. Nothing was changed.',
});

export const permissionDenied = rule({
  tag: 'policy-client-permission',
  law: 'form',
  severity: 'hard',
  operations: ['all'],
  documentation:
    'The client that asked does not hold the permission for this request. A node hands each of its daemons only ' +
    'the permissions it needs; a request beyond them means that daemon is broken or compromised.',
});

/** Leave the handler: the request contradicts itself or the state it refers to. */
export function malformed(message: string, facts: Facts = {}): never {
  throw new RefusalSignal(genericError, message, facts, 'malformed', false);
}

export function denied(message: string, facts: Facts = {}): never {
  throw new RefusalSignal(permissionDenied, message, facts, 'permission', false);
}
