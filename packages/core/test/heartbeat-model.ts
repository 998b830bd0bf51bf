/** Heartbeats for tests: one with everything in it, arbitrary ones, and the signed text as the signer makes it. */
import { toHex } from '@countersign/bitcoin';
import {
  type Alarm,
  type Deadline,
  enclose,
  type HeartbeatInput,
  type KeyRing,
  NETWORKS,
  signHeartbeat,
} from '@countersign/core';
import fc from 'fast-check';
import { bytesOf, regtest, ringOf, secp } from './test-signer.ts';

export const ring = ringOf('our seed');
export const PEER_CHANNEL = `${toHex(secp.publicKey(bytesOf('a peer')))}/7`;

export const deadline: Deadline = {
  channel: PEER_CHANNEL,
  heightBlocks: 110,
  blocksLeft: 10,
  level: 'urgent',
  what: 'offered-htlc-expires',
  amountMsat: 25_000_001n,
};

export const alarm: Alarm = {
  code: 'breach',
  severity: 'critical',
  channel: PEER_CHANNEL,
  sinceHeightBlocks: 99,
  message: 'a revoked commitment of the peer is on the chain',
  facts: { number: 5, txid: 'ab'.repeat(32), at_stake_sat: 2n ** 60n, punished: false },
};

export const whole: HeartbeatInput = {
  network: regtest,
  nodeId: ring.nodeId,
  sequence: { start: 12, count: 3 },
  nowSeconds: 1_800_000_000,
  startedAtSeconds: 1_799_990_000,
  chain: {
    tipHeightBlocks: 100,
    tipHash: bytesOf('tip'),
    provenHeightBlocks: 98,
    medianTimeSeconds: 1_799_996_000,
  },
  deadlines: [deadline],
  alarms: [alarm],
  counters: {
    channelsLive: 4,
    channels: { opening: 1, open: 2, closing: 1, closed: 9 },
    pendingApprovals: 2,
    commits: 1234,
    refusalsByTag: new Map([
      ['policy-channel-frozen', 2],
      ['policy-generic-error', 5],
    ]),
  },
  policy: { preset: 'hub', promise: 'kept', weakened: [] },
};

export const bare: HeartbeatInput = {
  ...whole,
  chain: null,
  deadlines: [],
  alarms: [],
  counters: {
    channelsLive: null,
    channels: null,
    pendingApprovals: null,
    commits: 0,
    refusalsByTag: new Map(),
  },
  policy: { preset: 'permissive', promise: 'void', weakened: ['policy-fee', 'policy-a'] },
};

export const signed = (payload: string, by: KeyRing = ring): string =>
  enclose(payload, toHex(signHeartbeat(by, payload)));

const count = fc.nat();
const text = fc.string({ unit: 'binary', maxLength: 400 });
/** Names of both kinds: by node id, and by 00 and a key id. */
const channel = fc
  .tuple(
    fc.constantFrom('00', '02', '03'),
    fc.uint8Array({ minLength: 32, maxLength: 32 }),
    fc.bigInt(0n, 2n ** 64n - 1n),
  )
  .map(([parity, x, dbid]) => `${parity}${toHex(x)}/${dbid}`);

export const arbitraryDeadline: fc.Arbitrary<Deadline> = fc.record({
  channel,
  heightBlocks: count,
  blocksLeft: fc.integer(),
  level: fc.constantFrom('warn', 'urgent', 'critical', 'passed'),
  what: fc.constantFrom('offered-htlc-expires', 'received-htlc-to-claim', 'penalty', 'sweep'),
  amountMsat: fc.bigInt(0n, 2n ** 64n - 1n),
});

const fact = fc.oneof(text, fc.double(), fc.integer(), fc.bigInt(), fc.boolean());

export const arbitraryAlarm: fc.Arbitrary<Alarm> = fc.record({
  code: fc.constantFrom(
    'breach',
    'unknown-close',
    'chain-locked',
    'hashrate',
    'promise-void',
    'store-failed',
  ),
  severity: fc.constantFrom('warn', 'critical'),
  channel: fc.option(channel),
  sinceHeightBlocks: fc.option(count),
  message: text,
  facts: fc.dictionary(text, fact, { maxKeys: 20 }),
});

const tag = fc
  .constantFrom('a', 'b', 'c', 'd')
  .chain((letter) => fc.nat(30).map((n) => `policy-${letter}-${n}`));

export const arbitraryInput: fc.Arbitrary<HeartbeatInput> = fc.record({
  network: fc.constantFrom(...NETWORKS),
  nodeId: fc.constant(ring.nodeId),
  sequence: fc.record({ start: count, count }),
  nowSeconds: count,
  startedAtSeconds: count,
  chain: fc.option(
    fc.record({
      tipHeightBlocks: count,
      tipHash: fc.uint8Array({ minLength: 32, maxLength: 32 }),
      provenHeightBlocks: count,
      medianTimeSeconds: count,
    }),
  ),
  deadlines: fc.array(arbitraryDeadline, { maxLength: 90 }),
  alarms: fc.array(arbitraryAlarm, { maxLength: 90 }),
  counters: fc.record({
    channelsLive: fc.option(count),
    channels: fc.option(fc.record({ opening: count, open: count, closing: count, closed: count })),
    pendingApprovals: fc.option(count),
    commits: count,
    refusalsByTag: fc.array(fc.tuple(tag, count), { maxLength: 40 }).map((entries) => new Map(entries)),
  }),
  policy: fc.record({
    preset: fc.constantFrom('hub', 'wallet'),
    promise: fc.constantFrom('kept', 'limited', 'void'),
    weakened: fc.array(tag, { maxLength: 80 }),
  }),
});
