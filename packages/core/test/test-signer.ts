/**
 * The signer as a node meets it, without I/O: requests go over the wire's codec into `decide`, changes into a state
 * in memory, releases through `perform`. Every single decision is checked to be pure and repeatable.
 */
import { concat, loadSecp256k1, type Secp256k1, sha256 } from '@countersign/bitcoin';
import {
  type ChainView,
  type ChannelRef,
  type ClientIdentity,
  type Decision,
  decide,
  KeyRing,
  keyView,
  MASTER_PERMISSIONS,
  networkByName,
  PERMISSION,
  type Policy,
  type Preset,
  perform,
  permissionFor,
  policyOf,
  type Refusal,
  Secret,
} from '@countersign/core';
import { decodeMessage, encodeMessage, type Reply, type Request } from '@countersign/wire';
import { expect } from 'vitest';
import { canonical, MemoryState } from './memory-state.ts';

/** The curve of all builders; a property that makes many steps and needs no curve may put another in its place. */
export let secp = loadSecp256k1();
export function useCurve(other: Secp256k1): void {
  secp = other;
}
export const regtest = networkByName('regtest')!;

const utf8 = new TextEncoder();
/** 32 bytes that look random and are the same in every run. */
export const bytesOf = (label: string): Uint8Array => sha256(utf8.encode(`countersign test: ${label}`));

export function ringOf(label: string, kind: 'plain' | 'mnemonic' = 'plain'): KeyRing {
  const first = bytesOf(label);
  const seed =
    kind === 'plain' ? Secret.own(first, 32) : Secret.own(concat(first, bytesOf(`${label}, half 2`)), 64);
  return new KeyRing({ secp256k1: secp, seed, bip32PublicVersion: regtest.bip32Public });
}

/** The node itself. */
export const MASTER: ClientIdentity = { channel: null, permissions: MASTER_PERMISSIONS };
/** Every permission a daemon of one channel may hold. */
export const CHANNEL_PERMISSIONS = Object.values(PERMISSION).reduce((all, bit) => all | bit, 0n) & ~1024n;

export type Approved = Extract<Decision, { kind: 'approved' }>;

const sharedRing = ringOf('our seed');

/** Whoever is refused or warned is told why in words and, where a rule of the policy spoke, with what it compared. */
function expectReasons(decision: Decision): void {
  const isPolicy = decision.kind === 'approved' || decision.refusal.code === 'policy';
  const told = decision.kind === 'refused' ? [decision.refusal] : decision.warnings;
  for (const { tag, message, facts } of told) {
    expect(message, tag).not.toBe('');
    if (isPolicy) expect(Object.keys(facts), `${tag}: ${message}`).not.toEqual([]);
  }
}

export class TestSigner {
  readonly ring: KeyRing;
  readonly keys;
  state = new MemoryState();
  preset: Preset = 'permissive';
  /** What is set beside the preset. */
  set: Parameters<typeof policyOf>[2] = {};
  nowSeconds = 1_700_000_000;
  chain: ChainView | null = null;
  network = regtest;
  protocolVersion = 6;
  failPreapprovals = false;

  constructor(ring: KeyRing = sharedRing) {
    this.ring = ring;
    this.keys = keyView(ring);
  }

  get policy(): Policy {
    return policyOf(this.network, this.preset, this.set);
  }

  /** The node for requests of the master, a daemon of `channel` for the others. */
  clientFor(request: Request, channel: ChannelRef | null): ClientIdentity {
    if (permissionFor(request.name) === PERMISSION.MASTER) return MASTER;
    return { channel, permissions: CHANNEL_PERMISSIONS };
  }

  decide(request: Request, client: ClientIdentity): Decision {
    const { state, keys, protocolVersion, failPreapprovals, policy, nowSeconds, chain } = this;
    const input = {
      state,
      client,
      policy,
      keys,
      secp,
      protocolVersion,
      failPreapprovals,
      nowSeconds,
      chain,
    };
    const bytes = encodeMessage(request);
    const first = decodeMessage(bytes, 'request');
    const second = decodeMessage(bytes, 'request');
    if (!first.ok || !second.ok) throw new Error(`${request.name} does not decode`);
    const before = state.snapshot();
    const decision = decide(input, first.message as Request);
    expect(canonical(decide(input, second.message as Request))).toBe(canonical(decision));
    state.expectUntouched();
    expect(state.snapshot()).toBe(before);
    expectReasons(decision);
    return decision;
  }

  /** Decides, keeps the changes, and hands out the reply; a refusal fails the test. */
  ask(request: Request, channel: ChannelRef | null = null, client = this.clientFor(request, channel)): Reply {
    const decision = this.decide(request, client);
    if (decision.kind === 'refused') {
      const { tag, message, facts } = decision.refusal;
      expect.fail(`${request.name} refused: ${tag}: ${message} ${canonical(facts)}`);
    }
    this.state.apply(decision.changes);
    return perform(this.ring, decision.release);
  }

  /** The refusal; an approval fails the test. */
  refused(
    request: Request,
    channel: ChannelRef | null = null,
    client = this.clientFor(request, channel),
  ): Refusal {
    const decision = this.decide(request, client);
    if (decision.kind === 'approved') expect.fail(`${request.name} was approved`);
    return decision.refusal;
  }
}
