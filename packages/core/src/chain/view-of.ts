/** The chain as the laws ask for it, read from the records of what was proven. */
import { type OutPoint, outPointToString } from '@countersign/bitcoin';
import type { Policy } from '../policy/settings.ts';
import {
  CHAIN_ID,
  type ChainRecord,
  chainRecords,
  headerRecords,
  heightId,
  outputRecords,
} from '../records/chain.ts';
import type { RecordKind } from '../records/kind.ts';
import type { ChainView, OutpointStatus } from './view.ts';

/** A state or a draft. */
export type Read = <T>(kind: RecordKind<T>, id: string) => T | null;

const MEDIAN_BLOCKS = 11;

/** Null while no chain is followed. */
export function chainViewOf(read: Read, policy: Policy, nowSeconds: number): ChainView | null {
  const chain = read(chainRecords, CHAIN_ID);
  if (chain === null) return null;
  return {
    heightBlocks: provenHeight(chain),
    get medianTimeSeconds() {
      return medianTimeSeconds(read, provenHeight(chain));
    },
    isFresh: isFresh(read, chain, policy, nowSeconds),
    outpoint: (outpoint) => statusOf(read, chain, outpoint),
  };
}

/** While only headers below the birthday are known, their end. */
const provenHeight = ({ provenHeightBlocks, tipHeightBlocks }: ChainRecord): number =>
  Math.min(provenHeightBlocks, tipHeightBlocks);

/** A header's time, bytes 68 to 71, little-endian. */
export function headerTimeSeconds(header: Uint8Array): number {
  return new DataView(header.buffer, header.byteOffset, header.length).getUint32(68, true);
}

/** Of the last eleven headers up to a height (BIP 113); of those on record when there are fewer. */
export function medianTimeSeconds(read: Read, heightBlocks: number): number {
  const times: number[] = [];
  for (let height = heightBlocks; height > heightBlocks - MEDIAN_BLOCKS && height >= 0; height--) {
    const record = read(headerRecords, heightId(height));
    if (record === null) break;
    times.push(headerTimeSeconds(record.header));
  }
  times.sort((a, b) => a - b);
  return times[times.length >> 1] ?? 0;
}

/** Whether what was proven is near enough to the present: by blocks, and where they come regularly, by the clock. */
function isFresh(read: Read, chain: ChainRecord, policy: Policy, nowSeconds: number): boolean {
  const { chainLagBlocksMax } = policy.limits;
  if (chain.lockedBy !== null || chain.restartHeightBlocks !== null) return false;
  if (chain.tipHeightBlocks < chain.birthdayHeightBlocks - 1) return false;
  if (chain.tipHeightBlocks - chain.provenHeightBlocks > chainLagBlocksMax) return false;
  return silenceSeconds(read, chain, policy, nowSeconds) <= policy.limits.chainSilenceSecondsMax;
}

/** Since the tip's own time; on regtest blocks come when somebody wants one. */
function silenceSeconds(read: Read, chain: ChainRecord, policy: Policy, nowSeconds: number): number {
  if (policy.network.name === 'regtest') return 0;
  const tip = read(headerRecords, heightId(chain.tipHeightBlocks));
  return tip === null ? 0 : Math.max(0, nowSeconds - headerTimeSeconds(tip.header));
}

function statusOf(read: Read, chain: ChainRecord, outpoint: OutPoint): OutpointStatus {
  const record = read(outputRecords, outPointToString(outpoint));
  if (record === null || record.created === null) return { kind: 'unknown' };
  const depth = (heightBlocks: number) => chain.provenHeightBlocks - heightBlocks + 1;
  const { created, spent } = record;
  return {
    kind: 'confirmed',
    depthBlocks: depth(created.heightBlocks),
    valueSat: created.valueSat,
    script: created.script,
    spent: spent === null ? null : { depthBlocks: depth(spent.heightBlocks), txid: spent.txid },
  };
}
