/** Keys of commitments are derived once, also ahead of time; what is kept of them never takes the place of others. */
import { deriveCommitmentKeys, type Secp256k1, toHex } from '@countersign/bitcoin';
import { type ClientIdentity, deriveAhead, type KeyView, keyView } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { DERIVED_KEPT_MAX, derivedKeys } from '../src/ratchet/derived-keys.ts';
import { OpenChannel } from './open-channel.ts';
import { secp } from './test-signer.ts';

/** The curve, with what it was asked for counted. */
function counted(): { readonly secp: Secp256k1; operations: number } {
  const count = { secp, operations: 0 };
  count.secp = Object.fromEntries(
    Object.entries(secp).map(([name, operation]) => [
      name,
      typeof operation !== 'function'
        ? operation
        : (...args: readonly unknown[]) => {
            count.operations += 1;
            return Reflect.apply(operation, secp, args);
          },
    ]),
  ) as unknown as Secp256k1;
  return count;
}

const key = (i: number): Uint8Array =>
  secp.publicKey(
    new Uint8Array(32)
      .fill(7)
      .with(31, i)
      .with(30, i >> 8),
  );
const sourcesOf = (i: number) => ({
  perCommitmentPoint: key(i),
  broadcaster: { delayedPayment: key(1), htlc: key(2) },
  countersignatory: { revocation: key(3), payment: key(4), htlc: key(5) },
});

describe('the keys of a commitment', () => {
  it('are derived once, and are those that they are', () => {
    const curve = counted();
    const place = { keys: {} as KeyView, secp: curve.secp };
    const first = derivedKeys(place, sourcesOf(9));
    expect(first).toEqual(deriveCommitmentKeys(secp, sourcesOf(9)));
    const { operations } = curve;
    expect(derivedKeys(place, sourcesOf(9))).toBe(first);
    expect(curve.operations).toBe(operations);
  });

  it.each([
    ['broadcaster', 'delayedPayment'],
    ['broadcaster', 'htlc'],
    ['countersignatory', 'revocation'],
    ['countersignatory', 'payment'],
    ['countersignatory', 'htlc'],
  ] as const)('are others for another %s %s, whatever the point', (side, name) => {
    const place = { keys: {} as KeyView, secp };
    const sources = sourcesOf(9);
    derivedKeys(place, sources);
    const others = { ...sources, [side]: { ...sources[side], [name]: key(77) } };
    expect(derivedKeys(place, others)).toEqual(deriveCommitmentKeys(secp, others));
    expect(derivedKeys(place, sources)).toEqual(deriveCommitmentKeys(secp, sources));
  });

  it('are kept for so many commitments and no more', () => {
    const curve = counted();
    const place = { keys: {} as KeyView, secp: curve.secp };
    const first = derivedKeys(place, sourcesOf(1));
    for (let i = 2; i <= DERIVED_KEPT_MAX; i++) derivedKeys(place, sourcesOf(i));
    expect(derivedKeys(place, sourcesOf(1))).toBe(first);
    derivedKeys(place, sourcesOf(DERIVED_KEPT_MAX + 1));
    expect(derivedKeys(place, sourcesOf(1))).not.toBe(first);
  });
});

describe('what is derived ahead', () => {
  const channel = new OpenChannel({}).open();
  const { ring } = channel.signer;
  const client: ClientIdentity = { channel: channel.model.ref, permissions: 0n };
  const request = channel.model.validate(1, channel.balances);
  const counterparty = { revocation: key(1), payment: key(2), delayedPayment: key(3), htlc: key(4) };
  /** A channel's record as the state has it. */
  const holding = (found: unknown) =>
    ({ read: () => found }) as unknown as Parameters<typeof deriveAhead>[0]['state'];
  const state = holding({ version: 1, value: { setup: { counterpartyBasepoints: counterparty } } });

  it('is what our next commitment is made of', () => {
    const curve = counted();
    const keys = keyView(ring);
    deriveAhead({ keys, secp: curve.secp, state }, client, request);
    const { operations } = curve;
    expect(operations).toBeGreaterThan(0);
    const sources = {
      perCommitmentPoint: ring.perCommitmentPoint(channel.model.ref, 2),
      broadcaster: keys.basepoints(channel.model.ref),
      countersignatory: counterparty,
    };
    const found = derivedKeys({ keys, secp: curve.secp }, sources);
    expect(curve.operations).toBe(operations);
    expect(toHex(found.revocation)).toBe(toHex(deriveCommitmentKeys(secp, sources).revocation));
  });

  it('is nothing for other requests, unknown channels and the last commitment', () => {
    const curve = counted();
    const keys = keyView(ring);
    const place = { keys, secp: curve.secp, state };
    deriveAhead(place, client, { name: 'hsmd_ecdh_req', point: key(1) } as never);
    deriveAhead(place, { channel: null, permissions: 0n }, request);
    deriveAhead({ ...place, state: holding(undefined) }, client, request);
    deriveAhead({ ...place, state: holding({ version: 2, value: null }) }, client, request);
    deriveAhead({ ...place, state: holding({ version: 2, value: { setup: null } }) }, client, request);
    deriveAhead(place, client, { ...request, commitNum: 2n ** 48n - 2n });
    deriveAhead(place, client, { ...request, commitNum: 2n ** 48n - 1n });
    expect(curve.operations).toBe(0);
  });
});
