/** The types of the signer’s own door, as programs outside of this repository rest on them. */
import type { Secp256k1 } from '@countersign/bitcoin';
import type { AdminOperation, ClientIdentity, KeyRing, Policy, Refusal } from '@countersign/core';
import type { AuditEntry, Journal, RecordChange, StoredRecord } from '@countersign/store/contract';
import type { Reply, Request } from '@countersign/wire';
import { describe, expectTypeOf, it } from 'vitest';
import {
  type Answer,
  bindStore,
  type ClientRequest,
  Signer,
  type SignerOptions,
} from '../src/signer-entry.ts';

describe('the signer', () => {
  it('is made of a ring, a curve, a journal, a policy and a clock', () => {
    expectTypeOf<{
      ring: KeyRing;
      secp: Secp256k1;
      journal: Journal;
      policy: Policy;
      protocolVersion: number;
      nowSeconds: () => number;
    }>().toExtend<SignerOptions>();
    expectTypeOf(Signer).toBeConstructibleWith({} as SignerOptions);
    expectTypeOf(bindStore).toEqualTypeOf<
      (journal: Journal, ring: KeyRing, policy: Policy) => Promise<void>
    >();
  });

  it('answers a client’s request by a reply or a refusal', () => {
    expectTypeOf<Signer['answer']>().toEqualTypeOf<
      (client: ClientIdentity, request: Request) => Promise<Answer>
    >();
    expectTypeOf<Signer['answerNow']>().toEqualTypeOf<(client: ClientIdentity, request: Request) => Answer>();
    expectTypeOf<Signer['answerAllNow']>().toEqualTypeOf<
      (requests: readonly ClientRequest[]) => readonly Answer[]
    >();
    expectTypeOf<Extract<Answer, { kind: 'reply' }>['reply']>().toEqualTypeOf<Reply>();
    expectTypeOf<Extract<Answer, { kind: 'refused' }>['refusal']>().toEqualTypeOf<Refusal>();
    expectTypeOf<Answer['kind']>().toEqualTypeOf<'reply' | 'refused'>();
    expectTypeOf<Signer['administer']>().parameter(0).toEqualTypeOf<AdminOperation>();
  });
});

describe('a journal of one’s own', () => {
  it('is this much', () => {
    expectTypeOf<Journal['read']>().toEqualTypeOf<(key: string) => StoredRecord | undefined>();
    expectTypeOf<Journal['keys']>().toEqualTypeOf<(prefix: string) => string[]>();
    expectTypeOf<Journal['commit']>().toEqualTypeOf<
      (changes: readonly RecordChange[], audit: readonly Uint8Array[]) => Promise<void>
    >();
    expectTypeOf<Journal['settled']>().toEqualTypeOf<() => Promise<void>>();
    expectTypeOf<Journal['bind']>().toEqualTypeOf<(name: string, value: Uint8Array) => Promise<void>>();
    expectTypeOf<Journal['audit']>().toEqualTypeOf<(fromSeq: number, countMax: number) => AuditEntry[]>();
    expectTypeOf<RecordChange>().toEqualTypeOf<{
      readonly key: string;
      readonly version: number;
      readonly value: Uint8Array | null;
    }>();
  });
});
