/** Blocks that stay away (A72), and oracles that attest (A75). */
import { hash256, loadSecp256k1 } from '@countersign/bitcoin';
import {
  Draft,
  hashrateAlarm,
  networkByName,
  type OracleAttestation,
  policyOf,
  requireOracleQuorum,
} from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { chanceOfSoFew, slowdown } from '../src/chain/hashrate.ts';
import { attestationDigest } from '../src/chain/oracle.ts';
import { expectRefused, HeaderChain } from './header-chain.ts';
import { MemoryState } from './memory-state.ts';
import { MinedChain } from './mined-chain.ts';

const NOW = 1_800_000_000;
const HOUR = 3600;
const limits = { chainSilenceSecondsMax: 6 * HOUR };

/** Blocks every so many seconds up to the tip, which is so old. */
const everySeconds = (seconds: number, tipAge = 0, hours = 48): number[] =>
  Array.from({ length: Math.ceil((hours * HOUR) / seconds) }, (_, i) => NOW - tipAge - i * seconds).reverse();

describe('policy-chain-hashrate', () => {
  it('policy-chain-hashrate: trips after more than the limit without a block, passes at it', () => {
    const alarm = slowdown(everySeconds(600, 6 * HOUR + 1), NOW, limits);
    expect(alarm).toEqual({
      tag: 'policy-chain-hashrate',
      message: 'no block for too long',
      facts: { silence_seconds: 21_601, silence_seconds_max: 21_600 },
    });
    // So long without any is no accident either.
    expect(slowdown(everySeconds(600, 6 * HOUR), NOW, limits)?.message).toBe('fewer blocks than plausible');
    const hour = { chainSilenceSecondsMax: HOUR };
    expect(slowdown(everySeconds(600, HOUR + 1), NOW, hour)?.message).toBe('no block for too long');
    expect(slowdown(everySeconds(600, HOUR), NOW, hour)).toBeNull();
  });

  it('policy-chain-hashrate: trips on a chain that a small part of the miners extends', () => {
    for (const part of [0.1, 0.2, 0.3, 0.5])
      expect(slowdown(everySeconds(600 / part), NOW, limits)?.message, `${part}`).toBe(
        'fewer blocks than plausible',
      );
    const alarm = slowdown(everySeconds(6000), NOW, limits);
    expect(alarm?.facts).toEqual({ window_hours: 6, blocks: 4, expected_blocks: 36 });
    // The day shows what six hours cannot tell from chance.
    expect(slowdown(everySeconds(1200), NOW, limits)?.facts).toMatchObject({ window_hours: 24, blocks: 72 });
  });

  it('policy-chain-hashrate: passes blocks that come as they should, and slow days', () => {
    for (const seconds of [300, 600, 700, 900])
      expect(slowdown(everySeconds(seconds), NOW, limits)).toBeNull();
    // An hour or two without a block happens every week.
    expect(slowdown(everySeconds(600, 2 * HOUR), NOW, limits)).toBeNull();
  });

  it('does not judge windows that reach back beyond what is on record', () => {
    expect(slowdown(everySeconds(1200, 0, 23), NOW, limits)).toBeNull();
    expect(slowdown([NOW - 5 * HOUR], NOW, limits)).toBeNull();
  });

  it('has the chances of a Poisson process', () => {
    expect(chanceOfSoFew(0, 36)).toBeCloseTo(Math.exp(-36), 20);
    expect(chanceOfSoFew(36, 36)).toBeCloseTo(0.5443, 3);
    expect(chanceOfSoFew(200, 36)).toBeCloseTo(1, 9);
    expect(chanceOfSoFew(10, 36)).toBeLessThan(1e-6);
    expect(chanceOfSoFew(11, 36)).toBeGreaterThan(1e-6);
  });

  it('looks at the headers on record, and is off on regtest and before there are any', () => {
    const mined = new MinedChain();
    mined.extendBy(200);
    const chain = new HeaderChain();
    chain.accept(mined.headers(1));
    const tipSeconds = mined.tip.timeSeconds;
    const alarmOn = (network: string, nowSeconds: number, state = chain.state) =>
      hashrateAlarm({
        draft: new Draft(state),
        policy: policyOf(networkByName(network)!, 'hub'),
        nowSeconds,
      });
    expect(alarmOn('regtest', tipSeconds + 7 * HOUR)).toBeNull();
    expect(alarmOn('signet', tipSeconds + 1)).toBeNull();
    expect(alarmOn('signet', tipSeconds + 7 * HOUR)?.message).toBe('no block for too long');
    expect(alarmOn('signet', tipSeconds + 7 * HOUR, new MemoryState())).toBeNull();
  });
});

const TAG = 'policy-chain-oracle-quorum';
const secp = loadSecp256k1();
const BLOCK = { heightBlocks: 800_000, hash: hash256(Uint8Array.of(1)) };
const MAINNET = networkByName('bitcoin')!;
const judged = { policy: policyOf(MAINNET, 'hub'), secp };
const secretOf = (i: number): Uint8Array => new Uint8Array(32).fill(i + 1);
const keyOf = (i: number): Uint8Array => secp.publicKey(secretOf(i)).subarray(1);
const keys = (count: number): Uint8Array[] => Array.from({ length: count }, (_, i) => keyOf(i));

function attestation(i: number, of: Partial<OracleAttestation> = {}): OracleAttestation {
  const block = { chainHash: MAINNET.chainHash, ...BLOCK, ...of };
  const signature = secp.signSchnorr(attestationDigest(block), secretOf(i), new Uint8Array(32));
  return { oracle: keyOf(i), ...block, signature, ...of };
}

describe('policy-chain-oracle-quorum', () => {
  it('policy-chain-oracle-quorum: passes where none are configured, whoever attests', () => {
    expect(requireOracleQuorum(judged, [], BLOCK, [])).toEqual([]);
    expect(requireOracleQuorum(judged, [], BLOCK, [attestation(1)])).toEqual([]);
  });

  it('policy-chain-oracle-quorum: trips for now at one of two (A75), passes with more than half', () => {
    const refusal = expectRefused(TAG, 'not more than half', () =>
      requireOracleQuorum(judged, keys(2), BLOCK, [attestation(0)]),
    );
    expect(refusal.temporary).toBe(true);
    expect(refusal.facts).toEqual({
      height_blocks: 800_000,
      oracles: 2,
      oracles_attesting: 1,
      oracles_attesting_min: 2,
    });
    expect(requireOracleQuorum(judged, keys(2), BLOCK, [attestation(0), attestation(1)])).toEqual([]);
    expect(requireOracleQuorum(judged, keys(3), BLOCK, [attestation(0), attestation(2)])).toEqual([]);
    expect(requireOracleQuorum(judged, keys(1), BLOCK, [attestation(0)])).toEqual([]);
  });

  it.each([
    ['another chain (A75)', { chainHash: networkByName('testnet4')!.chainHash }],
    ['another height', { heightBlocks: 799_999 }],
    ['another block', { hash: hash256(Uint8Array.of(2)) }],
    ['a signature that is none', { signature: new Uint8Array(64) }],
    ['a signature of another length', { signature: new Uint8Array(63) }],
    ['a key of another length', { oracle: new Uint8Array(33) }],
  ])('policy-chain-oracle-quorum: trips on attestations with %s', (_, of) => {
    const oracles = [...keys(1), ...('oracle' in of ? [of.oracle] : [])];
    expectRefused(TAG, 'not more than half', () =>
      requireOracleQuorum(judged, oracles, BLOCK, [attestation(0, of)]),
    );
  });

  it('policy-chain-oracle-quorum: trips on signatures over another chain or by another oracle', () => {
    const moved = {
      ...attestation(0, { chainHash: networkByName('signet')!.chainHash }),
      chainHash: MAINNET.chainHash,
    };
    const borrowed = { ...attestation(0), oracle: keyOf(1) };
    for (const bad of [moved, borrowed])
      expectRefused(TAG, 'not more than half', () =>
        requireOracleQuorum(judged, keys(2).slice(0, 2), BLOCK, [bad, attestation(9)]),
      );
  });

  it('policy-chain-oracle-quorum: trips on oracles that are not configured', () => {
    const strangers = [attestation(7), attestation(8), attestation(9)];
    expectRefused(TAG, 'not more than half', () => requireOracleQuorum(judged, keys(1), BLOCK, strangers));
    expectRefused(TAG, 'not more than half', () =>
      requireOracleQuorum(judged, keys(3), BLOCK, [attestation(0), ...strangers]),
    );
  });

  it('policy-chain-oracle-quorum: trips on one oracle that attests twice, or is configured twice', () => {
    expectRefused(TAG, 'not more than half', () =>
      requireOracleQuorum(judged, keys(3), BLOCK, [attestation(0), attestation(0), attestation(0)]),
    );
    expect(requireOracleQuorum(judged, [keyOf(0), keyOf(0)], BLOCK, [attestation(0)])).toEqual([]);
  });

  it('set to warn lets the block count', () => {
    const severities = new Map([[TAG, 'warn' as const]]);
    const warning = { policy: policyOf(MAINNET, 'hub', { severities }), secp };
    expect(requireOracleQuorum(warning, keys(2), BLOCK, [])).toMatchObject([{ tag: TAG }]);
  });
});
