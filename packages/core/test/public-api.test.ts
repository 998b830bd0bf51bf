/**
 * The types that programs outside of this repository rest on: what may be given, and what comes back. A change that breaks them
 * does not compile here; the names are listed in `docs/library-api.md`, which is checked too.
 */
import type { Facts, Secp256k1 } from '@countersign/bitcoin';
import type { Reply, Request } from '@countersign/wire';
import { describe, expect, expectTypeOf, it } from 'vitest';
import {
  type AdminOperation,
  type AdminOutcome,
  administer,
  type Change,
  type ChannelRef,
  type ClientIdentity,
  type Decision,
  type DecisionInput,
  decide,
  type Guide,
  guideOf,
  type HsmSecret,
  KeyRing,
  type KeyRingOptions,
  type KeyView,
  keyView,
  MASTER_PERMISSIONS,
  type Network,
  networkByName,
  newHsmSecret,
  openHsmSecretSync,
  PERMISSION,
  type Policy,
  type Preset,
  perform,
  policyOf,
  type RecordKind,
  type Refusal,
  type RefusalCode,
  type Release,
  refusalText,
  Secret,
  type StateReader,
  type Versioned,
} from '../src/index.ts';

describe('deciding', () => {
  it('takes an input and a request, and gives a refusal or changes with a release', () => {
    expectTypeOf(decide).toEqualTypeOf<(input: DecisionInput, request: Request) => Decision>();
    type Refused = Extract<Decision, { kind: 'refused' }>;
    expectTypeOf<Refused['refusal']>().toEqualTypeOf<Refusal>();
    expectTypeOf<Refused['changes']>().toEqualTypeOf<readonly Change[]>();
    type Approved = Extract<Decision, { kind: 'approved' }>;
    expectTypeOf<Approved['changes']>().toEqualTypeOf<readonly Change[]>();
    expectTypeOf<Approved['release']>().toEqualTypeOf<Release>();
    expectTypeOf<Decision['kind']>().toEqualTypeOf<'refused' | 'approved'>();
  });

  it('needs nothing that has effects', () => {
    expectTypeOf<DecisionInput>().toMatchTypeOf<{
      readonly state: StateReader;
      readonly client: ClientIdentity;
      readonly policy: Policy;
      readonly keys: KeyView;
      readonly secp: Secp256k1;
      readonly protocolVersion: number;
      readonly nowSeconds: number;
    }>();
    expectTypeOf<ClientIdentity>().toEqualTypeOf<{
      readonly channel: ChannelRef | null;
      readonly permissions: bigint;
    }>();
    expectTypeOf<ChannelRef>().toEqualTypeOf<{ readonly peerId: Uint8Array; readonly dbid: bigint }>();
  });

  it('releases through the keys alone', () => {
    expectTypeOf(perform).toEqualTypeOf<(ring: KeyRing, release: Release) => Reply>();
    expectTypeOf(keyView).toEqualTypeOf<(ring: KeyRing) => KeyView>();
  });
});

describe('refusals', () => {
  it('are values with a tag, a sentence and facts', () => {
    expectTypeOf<Refusal>().toMatchTypeOf<{
      readonly code: RefusalCode;
      readonly tag: string;
      readonly message: string;
      readonly facts: Facts;
      readonly temporary: boolean;
      readonly request: string;
      readonly channel: string | null;
    }>();
    expectTypeOf(refusalText).toEqualTypeOf<(refusal: Refusal) => string>();
    expectTypeOf(guideOf).toEqualTypeOf<(tag: string) => Guide | undefined>();
    expectTypeOf<Guide>().toMatchTypeOf<{
      readonly happened: string;
      readonly means: string;
      readonly todo: string;
    }>();
  });
});

describe('keys', () => {
  it('are made of a secret and show only what is public', () => {
    expectTypeOf(KeyRing).toBeConstructibleWith({} as KeyRingOptions);
    expectTypeOf<KeyRingOptions>().toMatchTypeOf<{
      readonly secp256k1: Secp256k1;
      readonly seed: Secret;
      readonly bip32PublicVersion: number;
    }>();
    expectTypeOf<KeyRing['nodeId']>().toEqualTypeOf<Uint8Array>();
    expectTypeOf<Secret>().not.toHaveProperty('bytes');
    expectTypeOf(Secret.copy).toEqualTypeOf<(bytes: Uint8Array, length: 32 | 64) => Secret>();
  });

  it('open from the bytes of a file', () => {
    expectTypeOf(newHsmSecret).toEqualTypeOf<
      (entropy: Uint8Array, passphrase?: string | Uint8Array) => Uint8Array
    >();
    expectTypeOf(openHsmSecretSync).returns.toEqualTypeOf<HsmSecret>();
    expectTypeOf<HsmSecret['seed']>().toEqualTypeOf<Secret>();
  });
});

describe('policy and state', () => {
  it('a policy is a value', () => {
    expectTypeOf<Preset>().toEqualTypeOf<'permissive' | 'wallet' | 'merchant' | 'hub'>();
    expectTypeOf(policyOf).parameter(0).toEqualTypeOf<Network>();
    expectTypeOf(policyOf).parameter(1).toEqualTypeOf<Preset>();
    expectTypeOf(policyOf).returns.toEqualTypeOf<Policy>();
    expectTypeOf(networkByName).toEqualTypeOf<(name: string) => Network | undefined>();
  });

  it('a state is read by kind and id', () => {
    expectTypeOf<StateReader['read']>().toEqualTypeOf<
      <T>(kind: RecordKind<T>, id: string) => Versioned<T> | undefined
    >();
    expectTypeOf<Change>().toMatchTypeOf<{ readonly id: string; readonly version: number }>();
  });

  it('the operator has a door of its own', () => {
    expectTypeOf(administer).returns.toEqualTypeOf<AdminOutcome>();
    expectTypeOf<AdminOperation['op']>().toEqualTypeOf<
      | 'pending-list'
      | 'approve'
      | 'reject'
      | 'approvals-list'
      | 'revoke'
      | 'allowlist-list'
      | 'allowlist-add'
      | 'allowlist-remove'
      | 'channel-freeze'
      | 'channel-unfreeze'
    >();
  });

  it('permissions are bits that stay', () => {
    expect(PERMISSION).toEqual({
      ECDH: 1n,
      SIGN_GOSSIP: 2n,
      SIGN_ONCHAIN_TX: 4n,
      COMMITMENT_POINT: 8n,
      SIGN_REMOTE_TX: 16n,
      SIGN_CLOSING_TX: 32n,
      SIGN_WILL_FUND_OFFER: 64n,
      SIGN_SPLICE_TX: 128n,
      LOCK_OUTPOINT: 256n,
      MASTER: 1024n,
    });
    expect(MASTER_PERMISSIONS).toBe(1027n);
  });
});
