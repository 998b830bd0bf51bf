/**
 * The signatures of one largest commitment (483 HTLCs a side), in this thread and spread over others, and how long this thread
 * stands still meanwhile: that is how long every other channel waits.
 */
import { createHash } from 'node:crypto';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Secp256k1 } from '@countersign/bitcoin';
import { KeyRing, networkByName, openHsmSecretSync, type Release } from '@countersign/core';
import { WorkerPool } from '@countersign/host';
import { Releaser } from '../packages/host/src/release/releaser.ts';
import { microseconds, milliseconds, ratio, summarize, type Times, timeUs } from './statistics.ts';
import { printRows } from './table.ts';

const HTLCS = 2 * 483;
const ROUNDS = 20;
const THREADS = [1, 2] as const;

export interface SigningRow {
  readonly name: string;
  readonly times: Times;
  /** The longest stall of the event loop of this thread. */
  readonly stallUs: number;
}

const hash = (name: string): Uint8Array => Uint8Array.from(createHash('sha256').update(name).digest());

export async function measureSigning(secp: Secp256k1): Promise<readonly SigningRow[]> {
  const network = networkByName('regtest');
  if (network === undefined) throw new Error('no regtest');
  const hsmSecret = hash('a seed');
  const ring = new KeyRing({
    secp256k1: secp,
    seed: openHsmSecretSync(hsmSecret).seed,
    bip32PublicVersion: network.bip32Public,
  });
  const point = secp.publicKey(hash('a point'));
  const keys = { hsmSecret, passphrase: null, bip32PublicVersion: network.bip32Public };
  const rows = [await measure('in this thread', new Releaser(ring, null), point)];
  for (const count of THREADS) {
    const pool = await WorkerPool.open(count, keys, ring.nodeId);
    rows.push(await measure(`by ${count} other${count === 1 ? '' : 's'}`, new Releaser(ring, pool), point));
    await pool.close();
  }
  const [first] = rows;
  printRows(
    `Signatures of a commitment with ${HTLCS} HTLCs`,
    ['', 'p50', 'p99', 'to one thread', 'a signature', 'this thread stands still for'],
    rows.map(({ name, times, stallUs }) => [
      name,
      milliseconds(times.p50Us),
      milliseconds(times.p99Us),
      ratio(times.p50Us, first?.times.p50Us ?? 0),
      microseconds(times.p50Us / (1 + HTLCS)),
      milliseconds(stallUs),
    ]),
  );
  return rows;
}

async function measure(
  name: string,
  releaser: Releaser,
  perCommitmentPoint: Uint8Array,
): Promise<SigningRow> {
  const channel = { peerId: perCommitmentPoint, dbid: 1n };
  const release = (round: number): Release => ({
    kind: 'sign-commitment',
    channel,
    sighash: hash(`${round}`),
    perCommitmentPoint,
    htlcs: Array.from({ length: HTLCS }, (_, i) => ({ sighash: hash(`${round} ${i}`), sighashType: 1 })),
  });
  const times: number[] = [];
  const stalls = monitorEventLoopDelay({ resolution: 1 });
  for (let round = -2; round < ROUNDS; round++) {
    const asked = release(round);
    if (round === 0) stalls.enable();
    const us = await timeUs(async () => {
      await releaser.release('channel', asked);
    });
    if (round >= 0) times.push(us);
    // The monitor sees a stall when the loop goes on.
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  stalls.disable();
  return { name, times: summarize(times), stallUs: stalls.max / 1000 };
}
