/** INIT: one network per seed, with its own key versions; developer fields on regtest only (attack A67). */
import { decideInit, NETWORKS, networkByChainHash, networkByName } from '@countersign/core';
import type { MessageOf } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { bytesOf } from './test-signer.ts';

type Init = MessageOf<'hsmd_init'>;

function initOf(name: string, changes: Partial<Init> = {}): Init {
  const network = networkByName(name)!;
  return {
    name: 'hsmd_init',
    bip32KeyVersion: { pubkeyVersion: network.bip32Public, privkeyVersion: network.bip32Private },
    chainparams: network.chainHash,
    hsmEncryptionKey: undefined,
    devForcePrivkey: undefined,
    devForceBip32Seed: undefined,
    devForceChannelSecrets: undefined,
    devForceChannelSecretsShaseed: undefined,
    hsmWireMinVersion: 4,
    hsmWireMaxVersion: 6,
    tlvs: {} as Init['tlvs'],
    ...changes,
  };
}

const secret = bytesOf('forced');
const developer: readonly (readonly [string, Partial<Init>])[] = [
  ['dev_force_privkey', { devForcePrivkey: secret }],
  ['dev_force_bip32_seed', { devForceBip32Seed: secret }],
  [
    'dev_force_channel_secrets',
    {
      devForceChannelSecrets: {
        fundingPrivkey: secret,
        revocationBasepointSecret: secret,
        paymentBasepointSecret: secret,
        delayedPaymentBasepointSecret: secret,
        htlcBasepointSecret: secret,
      },
    },
  ],
  ['dev_force_channel_secrets_shaseed', { devForceChannelSecretsShaseed: secret }],
];
const names = NETWORKS.map(({ name }) => name);
const real = names.filter((name) => name !== 'regtest');

const tagOf = (init: Init, hasPreinit = false) => {
  const result = decideInit(init, hasPreinit);
  return result.ok ? result.network.name : result.refusal.tag;
};

describe('policy-init-binding', () => {
  const tag = 'policy-init-binding';

  it('policy-init-binding: trips on a chain that is none of the known ones', () => {
    const init = initOf('bitcoin', { chainparams: bytesOf('a chain') });
    expect(decideInit(init, false)).toMatchObject({
      ok: false,
      refusal: {
        code: 'policy',
        tag,
        severity: 'error',
        temporary: false,
        request: 'hsmd_init',
        channel: null,
      },
    });
    expect(tagOf(initOf('bitcoin', { chainparams: networkByName('bitcoin')!.chainHash.toReversed() }))).toBe(
      tag,
    );
  });

  it('policy-init-binding: trips on the key versions of another network', () => {
    const test = networkByName('testnet')!;
    const main = networkByName('bitcoin')!;
    const mixed = [
      { pubkeyVersion: test.bip32Public, privkeyVersion: main.bip32Private },
      { pubkeyVersion: main.bip32Public, privkeyVersion: test.bip32Private },
      { pubkeyVersion: main.bip32Private, privkeyVersion: main.bip32Public },
    ];
    for (const bip32KeyVersion of mixed) expect(tagOf(initOf('bitcoin', { bip32KeyVersion }))).toBe(tag);
  });

  it.each(real)('policy-init-binding: trips on developer fields on %s', (name) => {
    for (const [, changes] of developer) expect(tagOf(initOf(name, changes))).toBe(tag);
    expect(tagOf(initOf(name), true)).toBe(tag);
  });

  it.each(names)('policy-init-binding: passes %s with its own versions', (name) => {
    expect(tagOf(initOf(name))).toBe(name);
    expect(networkByChainHash(networkByName(name)!.chainHash)?.name).toBe(name);
  });

  it.each(developer)('policy-init-binding: passes %s on regtest', (_, changes) => {
    expect(tagOf(initOf('regtest', changes), true)).toBe('regtest');
  });

  it('goes on with any other error: that is a bug, not a refusal', () => {
    const broken = { ...initOf('regtest'), bip32KeyVersion: undefined } as unknown as Init;
    expect(() => decideInit(broken, false)).toThrow(TypeError);
  });
});

describe('networks', () => {
  it('are told apart by name and chain, and only one is real money', () => {
    expect(networkByName('liquid')).toBeUndefined();
    expect(networkByChainHash(new Uint8Array(32))).toBeUndefined();
    expect(NETWORKS.filter(({ isMainnet }) => isMainnet).map(({ name }) => name)).toEqual(['bitcoin']);
  });
});
