/** Heartbeats of a node that is well, as its signer signs them, and of what is not. */
import { fromHex, loadSecp256k1, sha256, toHex } from '@countersign/bitcoin';
import {
  enclose,
  type HeartbeatInput,
  heartbeatOf,
  KeyRing,
  networkByName,
  Secret,
  signHeartbeat,
} from '@countersign/core';

export const secp = loadSecp256k1();
export const regtest = networkByName('regtest')!;

export function ringOf(byte: number): KeyRing {
  const seed = Secret.copy(new Uint8Array(32).fill(byte), 32);
  return new KeyRing({ secp256k1: secp, seed, bip32PublicVersion: regtest.bip32Public });
}

export const ring = ringOf(1);
export const NODE = toHex(ring.nodeId);
export const CHANNEL = `${toHex(secp.publicKey(sha256(Uint8Array.of(1))))}/1`;
export const NOW = 1_800_000_000;

export const well: HeartbeatInput = {
  network: regtest,
  nodeId: ring.nodeId,
  sequence: { start: 5, count: 1 },
  nowSeconds: NOW,
  startedAtSeconds: NOW - 100,
  chain: {
    tipHeightBlocks: 100,
    tipHash: fromHex('ab'.repeat(32)),
    provenHeightBlocks: 100,
    medianTimeSeconds: NOW - 3600,
  },
  deadlines: [],
  alarms: [],
  counters: {
    channelsLive: 2,
    channels: null,
    pendingApprovals: 0,
    commits: 1234,
    refusalsByTag: new Map(),
  },
  policy: { preset: 'hub', promise: 'kept', weakened: [] },
};

export function signed(changed: Partial<HeartbeatInput> = {}, by: KeyRing = ring): string {
  const payload = heartbeatOf({ ...well, nodeId: by.nodeId, ...changed });
  return enclose(payload, toHex(signHeartbeat(by, payload)));
}
