/**
 * Which permission bit opens which request. The table is CLN's (`hsmd_check_client_capabilities` of hsmd/libhsmd.c,
 * v26.06.6), written down here once more; whatever it does not name is the master's.
 */
import {
  DECIDED_REQUESTS,
  decide,
  PERMISSION,
  permissionFor,
  permissionRefusal,
  policyOf,
} from '@countersign/core';
import { definitionOf, isRequestName, messageNames, type Request, type RequestName } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { ChannelModel } from './channel-model.ts';
import { bytesOf, CHANNEL_PERMISSIONS, secp, TestSigner } from './test-signer.ts';

/** By message number; bits of `common/hsm_capable.h`. */
const CLN: Readonly<Record<string, { readonly bit: bigint; readonly requests: readonly number[] }>> = {
  ECDH: { bit: 1n, requests: [1] },
  SIGN_GOSSIP: { bit: 2n, requests: [2, 3, 6] },
  SIGN_ONCHAIN_TX: { bit: 4n, requests: [12, 13, 14] },
  COMMITMENT_POINT: { bit: 8n, requests: [18, 22, 31] },
  SIGN_REMOTE_TX: { bit: 16n, requests: [19, 20, 35, 40, 36] },
  SIGN_CLOSING_TX: { bit: 32n, requests: [21] },
  SIGN_WILL_FUND_OFFER: { bit: 64n, requests: [26] },
  SIGN_SPLICE_TX: { bit: 128n, requests: [29] },
  LOCK_OUTPOINT: { bit: 256n, requests: [32, 37] },
  MASTER: {
    bit: 1024n,
    requests: [
      56, 11, 99, 30, 34, 9, 7, 8, 5, 10, 33, 23, 45, 24, 25, 41, 38, 39, 51, 52, 27, 28, 144, 142, 143, 146,
      147, 149, 4,
    ],
  },
};

/** VLS's forms of requests that CLN has need what CLN demands of its own. */
const FORMS: Readonly<Record<number, number>> = { 1005: 5, 1006: 6, 1018: 18, 1019: 19, 1021: 21, 1035: 35 };

const requests = messageNames.filter(isRequestName);
const numberOf = (name: RequestName) => definitionOf(name).number;
const bits = [...Object.values(CLN).map(({ bit }) => bit), 512n];

describe('the permission of every request', () => {
  it('is the one CLN demands', () => {
    for (const { bit, requests: numbers } of Object.values(CLN)) {
      for (const number of numbers) {
        const name = requests.find((one) => numberOf(one) === number);
        expect(name, `request ${number}`).toBeDefined();
        expect(permissionFor(name!), name).toBe(bit);
      }
    }
  });

  it("is the master's where CLN knows no such request", () => {
    const known = new Set(Object.values(CLN).flatMap(({ requests: numbers }) => numbers));
    const others = requests.filter((name) => !known.has(numberOf(name)) && !(numberOf(name) in FORMS));
    expect(others.length).toBeGreaterThan(5);
    for (const name of others) expect(permissionFor(name), name).toBe(1024n);
  });

  it("is that of CLN's own request where VLS has another form of it", () => {
    const named = (number: string | number) => requests.find((one) => numberOf(one) === Number(number))!;
    for (const [form, own] of Object.entries(FORMS))
      expect(permissionFor(named(form)), form).toBe(permissionFor(named(own)));
  });

  it('has the bits of CLN', () => {
    expect(PERMISSION).toEqual(Object.fromEntries(Object.entries(CLN).map(([name, { bit }]) => [name, bit])));
  });
});

/** No handler is reached with fields this empty, unless the permission is there. */
const bare = (name: RequestName) => ({ name }) as unknown as Request;

function answer(name: RequestName, permissions: bigint) {
  const { state, keys, network } = new TestSigner();
  const client = { channel: new ChannelModel(keys).ref, permissions };
  const policy = policyOf(network, 'permissive');
  try {
    const decision = decide(
      {
        state,
        client,
        policy,
        keys,
        secp,
        protocolVersion: 6,
        failPreapprovals: false,
        nowSeconds: 0,
        chain: null,
      },
      bare(name),
    );
    return decision.kind === 'refused' ? decision.refusal.tag : 'approved';
  } catch {
    return 'reached its handler';
  }
}

describe('policy-client-permission', () => {
  it.each(requests)('policy-client-permission: trips on %s with every bit but its own', (name) => {
    const own = permissionFor(name);
    expect(answer(name, 0n)).toBe('policy-client-permission');
    for (const bit of bits.filter((one) => one !== own))
      expect(answer(name, bit), `bit ${bit}`).toBe('policy-client-permission');
    const others = bits.filter((one) => one !== own).reduce((all, bit) => all | bit, 0n);
    expect(answer(name, others | (1n << 63n))).toBe('policy-client-permission');
  });

  it.each(requests)('policy-client-permission: passes %s with its own bit alone', (name) => {
    expect(answer(name, permissionFor(name))).not.toBe('policy-client-permission');
  });

  it('says which bit was missing, in facts and in words CLN uses', () => {
    const signer = new TestSigner();
    const { ref } = new ChannelModel(signer.keys);
    const request = { name: 'hsmd_ecdh_req', point: secp.publicKey(bytesOf('a point')) } as const;
    const refusal = signer.refused(request, ref, { channel: ref, permissions: CHANNEL_PERMISSIONS & ~1n });
    expect(refusal).toMatchObject({
      code: 'permission',
      tag: 'policy-client-permission',
      law: 'form',
      severity: 'error',
      temporary: false,
      facts: { permissions: CHANNEL_PERMISSIONS & ~1n, permission_needed: 1n },
      request: 'hsmd_ecdh_req',
    });
    expect(refusal.message).toContain('does not have capability to run');
  });

  it('can be asked for alone, with the same result and the same words', () => {
    const signer = new TestSigner();
    const { ref } = new ChannelModel(signer.keys);
    const request = { name: 'hsmd_ecdh_req', point: secp.publicKey(bytesOf('a point')) } as const;
    const client = { channel: ref, permissions: CHANNEL_PERMISSIONS & ~1n };
    expect(permissionRefusal(client, request)).toEqual(signer.refused(request, ref, client));
    expect(permissionRefusal({ channel: ref, permissions: 1n }, request)).toBeNull();
  });
});

describe('requests without a handler', () => {
  const undecided = requests.filter((name) => !DECIDED_REQUESTS.includes(name));

  it('are those of the session and the ones only VLS speaks', () => {
    const cln = undecided.filter((name) => name.startsWith('hsmd_'));
    expect(cln.map(numberOf).sort((a, b) => a - b)).toEqual([9, 11, 33, 99]);
  });

  it.each(undecided)('%s is refused as malformed, even for the master', (name) => {
    expect(answer(name, 1024n)).toBe('policy-generic-error');
  });
});
