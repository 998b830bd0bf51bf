/**
 * A signer with a journal in a scratch directory, and what something costs it: time on the clock, time of the processor,
 * memory.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Secp256k1 } from '@countersign/bitcoin';
import {
  encodeRecord,
  KeyRing,
  networkByName,
  policyOf,
  type RecordKind,
  recordKey,
  Secret,
} from '@countersign/core';
import { Signer } from '@countersign/host';
import { type Journal, openJournal, type RecordChange } from '@countersign/store';

const PROTOCOL_VERSION = 6;
/** Some years after regtest's genesis, whose blocks are ten minutes apart. */
const NOW_SECONDS = 2_000_000_000;

export async function inScratch<T>(action: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'countersign-bench-'));
  try {
    return await action(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

export function benchJournal(directory: string): Journal {
  return openJournal(directory, {
    mode: 'open-or-create',
    randomBytes,
    monotonicMs: () => performance.now(),
  });
}

export function benchSigner(
  secp: Secp256k1,
  journal: Journal,
): { readonly signer: Signer; readonly ring: KeyRing } {
  const network = networkByName('regtest')!;
  const seed = Secret.copy(new Uint8Array(32).fill(1), 32);
  const ring = new KeyRing({ secp256k1: secp, seed, bip32PublicVersion: network.bip32Public });
  const policy = policyOf(network, 'hub');
  const signer = new Signer({
    ring,
    secp,
    journal,
    policy,
    protocolVersion: PROTOCOL_VERSION,
    nowSeconds: () => NOW_SECONDS,
  });
  return { signer, ring };
}

/** A record as the journal stores it for the first time. */
export const firstVersion = <T>(kind: RecordKind<T>, id: string, value: T): RecordChange => ({
  key: recordKey(kind, id),
  version: 1,
  value: encodeRecord(kind, value),
});

export interface Spent {
  readonly wallUs: number;
  /** User and system, all threads of this process. */
  readonly cpuUs: number;
  /** In use at the end, garbage included; buffers too. */
  readonly heapBytes: number;
}

export async function spentBy(work: () => Promise<unknown>): Promise<Spent> {
  const cpu = process.cpuUsage();
  const started = process.hrtime.bigint();
  await work();
  const wallUs = Number(process.hrtime.bigint() - started) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return { wallUs, cpuUs: user + system, heapBytes: inUse() };
}

function inUse(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Bytes that are reachable. */
export function heapAfterCollection(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  collect();
  return inUse();
}
