/**
 * The running signer as its operator sees it: what the admin socket may read and ask for, gathered from the signer, its
 * journal and its policy.
 */
import { toHex } from '@countersign/bitcoin';
import { decodeRecord, nodeRecords, type Policy, pendingRecords, recordKey } from '@countersign/core';
import type { Journal } from '@countersign/store';
import type { Signer } from '../signer.ts';
import type { OperatorSide } from './desk.ts';

export interface Operated {
  readonly signer: Signer;
  readonly journal: Journal;
  readonly policy: Policy;
  /** 33 bytes. */
  readonly nodeId: Uint8Array;
  readonly startedAtSeconds: number;
  readonly policyText: (format: 'text' | 'json') => string;
  /** The signed text of a new one. */
  readonly heartbeat: () => Promise<string>;
}

export function operatorSide(operated: Operated): OperatorSide {
  const { signer, journal, policyText, heartbeat } = operated;
  return {
    journal,
    chain: signer.chain,
    policyText,
    heartbeat,
    administer: (operation) => signer.administer(operation),
    recordEvent: (event) => signer.recordEvent(event),
    settled: () => signer.settled(),
    status: () => statusOf(operated),
  };
}

function statusOf({ signer, journal, policy, nodeId, startedAtSeconds }: Operated): object {
  const { failure } = signer;
  const { commits, records, auditEntries, pendingCommits } = journal.stats;
  const head = journal.auditHead;
  return {
    nodeId: toHex(nodeId),
    network: policy.network.name,
    preset: policy.preset,
    protocolVersion: signer.protocolVersion,
    startedAtSeconds,
    failure: failure === null ? null : { code: failure.code, message: failure.message },
    ...(failure === null ? recorded(journal) : {}),
    journal: { state: journal.state, commits, records, auditEntries, pendingCommits },
    audit: { seq: head.seq, hash: toHex(head.hash) },
  };
}

/** What the records say; a failed journal is not read again. */
function recorded(journal: Journal): object {
  const pending = journal.read(recordKey(pendingRecords, 'list'))?.value ?? null;
  const node = journal.read(recordKey(nodeRecords, 'node'))?.value ?? null;
  return {
    pendingApprovals: pending === null ? 0 : decodeRecord(pendingRecords, pending).length,
    deliversPreimages: node === null ? false : decodeRecord(nodeRecords, node).deliversPreimages,
  };
}
