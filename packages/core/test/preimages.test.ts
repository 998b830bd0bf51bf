/**
 * Preimages from the node side: which values the signer takes, what it keeps, and that it never forgets who delivers.
 */
import { sha256, toHex } from '@countersign/bitcoin';
import {
  EMPTY_NODE,
  EMPTY_PAYMENT,
  MASTER_PERMISSIONS,
  nodeRecords,
  type PaymentRecord,
  PERMISSION,
  paymentRecords,
} from '@countersign/core';
import { PREIMAGES_MAX, type Request } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { bytesOf, CHANNEL_PERMISSIONS, MASTER, TestSigner } from './test-signer.ts';

const preimages = (...values: Uint8Array[]): Request => ({
  name: 'countersign_preimages',
  preimages: values,
});
const hashOf = (preimage: Uint8Array): string => toHex(sha256(preimage));

function knowing(...payments: readonly (readonly [string, PaymentRecord])[]): TestSigner {
  const signer = new TestSigner();
  signer.preset = 'hub';
  signer.state.apply(
    payments.map(([id, value]) => ({ kind: paymentRecords, id, version: 1, value })) as Parameters<
      typeof signer.state.apply
    >[0],
  );
  return signer;
}

const paymentOf = (signer: TestSigner, preimage: Uint8Array): PaymentRecord | null =>
  signer.state.read(paymentRecords, hashOf(preimage))?.value ?? null;

describe('countersign_preimages', () => {
  const [first, second, stranger] = [bytesOf('first'), bytesOf('second'), bytesOf('stranger')];

  it('keeps what belongs to payments on record, and says how many', () => {
    const signer = knowing([hashOf(first), EMPTY_PAYMENT], [hashOf(second), EMPTY_PAYMENT]);
    expect(signer.ask(preimages(stranger, first, second))).toEqual({
      name: 'countersign_preimages_reply',
      learned: 2,
    });
    expect(paymentOf(signer, first)).toEqual({ ...EMPTY_PAYMENT, preimage: first });
    expect(paymentOf(signer, second)).toEqual({ ...EMPTY_PAYMENT, preimage: second });
  });

  it('makes no record for a value of nobody: writes of the node cannot fill the store', () => {
    const signer = knowing();
    const before = signer.state.keys;
    signer.ask(preimages(stranger, first));
    expect(signer.state.keys).toEqual([...before, 'node/node']);
  });

  it('changes nothing of a payment but its preimage, and that once', () => {
    const payment = { ...EMPTY_PAYMENT, settledMsat: 7n, usedMsat: 5n };
    const signer = knowing([hashOf(first), payment]);
    expect(signer.ask(preimages(first, first))).toMatchObject({ learned: 1 });
    expect(paymentOf(signer, first)).toEqual({ ...payment, preimage: first });
    const before = signer.state.snapshot();
    expect(signer.ask(preimages(first))).toMatchObject({ learned: 0 });
    expect(signer.state.snapshot()).toBe(before);
  });

  it('does not take the hash itself for its preimage', () => {
    const signer = knowing([hashOf(first), EMPTY_PAYMENT]);
    expect(signer.ask(preimages(sha256(first)))).toMatchObject({ learned: 0 });
    expect(paymentOf(signer, first)?.preimage).toBeNull();
  });

  it('leaves no preimage in the audit events', () => {
    const signer = knowing([hashOf(first), EMPTY_PAYMENT]);
    const decision = signer.decide(preimages(first), MASTER);
    if (decision.kind !== 'approved') return expect.fail('refused');
    expect(decision.events).toEqual([
      { event: 'preimages-delivered-from-now-on', facts: {} },
      { event: 'preimage-learned', facts: { payment_hash: hashOf(first) } },
    ]);
    expect(JSON.stringify(decision.events)).not.toContain(toHex(first));
  });

  it('remembers for ever that preimages are delivered, from an empty message on', () => {
    const signer = knowing();
    expect(signer.state.read(nodeRecords, 'node')).toBeUndefined();
    signer.ask(preimages());
    const { version, value } = signer.state.read(nodeRecords, 'node')!;
    expect({ version, value }).toEqual({ version: 1, value: { ...EMPTY_NODE, deliversPreimages: true } });
    signer.ask(preimages(stranger));
    expect(signer.state.read(nodeRecords, 'node')!.version).toBe(1);
  });

  it('takes as many as one message may bring', () => {
    const values = Array.from({ length: PREIMAGES_MAX }, (_, i) => bytesOf(`value ${i}`));
    const signer = knowing(...values.map((value) => [hashOf(value), EMPTY_PAYMENT] as const));
    expect(signer.ask(preimages(...values))).toMatchObject({ learned: PREIMAGES_MAX });
  });

  it.each([
    ['a channel’s daemon', CHANNEL_PERMISSIONS],
    ['everyone but the master', MASTER_PERMISSIONS & ~PERMISSION.MASTER],
  ])('policy-client-permission: trips for %s, and nothing is known then', (_, permissions) => {
    const signer = knowing([hashOf(first), EMPTY_PAYMENT]);
    const refusal = signer.refused(preimages(first), null, { channel: null, permissions });
    expect(refusal.tag).toBe('policy-client-permission');
    expect(paymentOf(signer, first)?.preimage).toBeNull();
  });

  it('policy-client-permission: passes with the master’s permission alone', () => {
    const client = { channel: null, permissions: PERMISSION.MASTER };
    expect(knowing().ask(preimages(first), null, client)).toMatchObject({ learned: 0 });
  });
});
