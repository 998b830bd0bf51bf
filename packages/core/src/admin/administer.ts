/**
 * The operator's side of the signer: one operation in, changes for the journal, events for the audit log and a result
 * out. Pure, like `decide`; an error changes nothing.
 */
import type { AuditEvent } from '../context.ts';
import { channelRecords } from '../records/channel.ts';
import { Draft } from '../state.ts';
import { addToAllowlist, allowlist, removeFromAllowlist } from './allowlist.ts';
import { approvals, approve, reject, revoke, waiting } from './approvals.ts';
import { AdminFault, type AdminPlace, fail } from './fault.ts';
import type { AdminInput, AdminOperation, AdminOutcome, AdminResult } from './operations.ts';

/** Judge an operation of the operator. Pure: nothing has changed until the caller makes the changes durable. */
export function administer(input: AdminInput, operation: AdminOperation): AdminOutcome {
  const { state, ...rest } = input;
  const events: AuditEvent[] = [];
  const place: AdminPlace = { ...rest, draft: new Draft(state), events };
  try {
    const result = perform(place, operation);
    return { ok: true, result, changes: place.draft.changes(), events };
  } catch (error) {
    if (!(error instanceof AdminFault)) throw error;
    const { code, message, facts } = error;
    return { ok: false, error: { code, message, facts } };
  }
}

function perform(place: AdminPlace, operation: AdminOperation): AdminResult {
  switch (operation.op) {
    case 'pending-list':
      return { op: operation.op, pending: waiting(place) };
    case 'approve':
      return { op: operation.op, approval: approve(place, operation) };
    case 'reject':
      reject(place, operation.id);
      return { op: operation.op, id: operation.id };
    case 'approvals-list':
      return { op: operation.op, approvals: approvals(place) };
    case 'revoke':
      revoke(place, operation.id);
      return { op: operation.op, id: operation.id };
    case 'allowlist-list':
      return { op: operation.op, entries: allowlist(place) };
    case 'allowlist-add':
      return { op: operation.op, entry: addToAllowlist(place, operation.kind, operation.text) };
    case 'allowlist-remove':
      return { op: operation.op, entry: removeFromAllowlist(place, operation.text) };
    case 'channel-freeze':
      setStopped(place, operation.channel, true);
      return { op: operation.op, channel: operation.channel };
    case 'channel-unfreeze':
      setStopped(place, operation.channel, false);
      return { op: operation.op, channel: operation.channel };
  }
}

/** The kill switch. Asked for again, it changes nothing. */
function setStopped(place: AdminPlace, channel: string, stopped: boolean): void {
  const record = place.draft.get(channelRecords, channel);
  if (record === null) fail('not-found', 'the signer knows no channel of this name', { channel });
  if (!stopped && record.frozen) {
    fail('not-possible', 'a proof of rollback froze this channel for good', { channel });
  }
  if (record.stopped === stopped) return;
  place.draft.put(channelRecords, channel, { ...record, stopped });
  place.events.push({ event: stopped ? 'channel-frozen' : 'channel-released', facts: { channel } });
}
