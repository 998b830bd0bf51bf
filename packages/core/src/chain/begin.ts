/**
 * Where a chain begins, genesis or a checkpoint, and which headers are no longer needed.
 */
import {
  equalBytes,
  HEADER_BYTES,
  hash256,
  targetOfCompact,
  txidToHex,
  workOfTarget,
} from '@countersign/bitcoin';
import type { Network } from '../network.ts';
import { type ChainRecord, type HeaderRecord, heightId } from '../records/chain.ts';
import { refuse } from '../refusal.ts';
import type { Checkpoint } from './checkpoints.ts';
import { HEADERS_KEPT, type HeaderRun, parseHeaderRun, workBytes } from './headers.ts';
import { type ChainParams, chainParams, RETARGET_BLOCKS } from './params.ts';
import { chainValidated } from './rules.ts';

/** A start needs at most the whole period that the checkpoint ends. */
export const BEGIN_HEADERS_MAX = RETARGET_BLOCKS;

/** Where a chain view begins. */
export interface Beginning {
  readonly chain: ChainRecord;
  /** Ascending from `chain.baseHeightBlocks`. */
  readonly headers: readonly HeaderRecord[];
}

/** What a feeder must bring to start at the newest checkpoint below the birthday. */
export interface BeginNeeds {
  /** First and last height of the run; null when the chain begins at genesis and nothing is needed. */
  readonly run: { readonly firstHeightBlocks: number; readonly lastHeightBlocks: number } | null;
}

const neededHeaders = ({ nextBits, heightBlocks }: Checkpoint): number =>
  nextBits === null ? (heightBlocks % RETARGET_BLOCKS) + 1 : 1;

/** Which headers it takes to begin at a block. */
export function beginNeeds(network: Network, birthdayHeightBlocks: number): BeginNeeds {
  const { checkpoints } = chainParams(network);
  const checkpoint = checkpoints.findLast((one) => one.heightBlocks < birthdayHeightBlocks);
  if (checkpoint === undefined) return { run: null };
  const { heightBlocks } = checkpoint;
  const firstHeightBlocks = heightBlocks - neededHeaders(checkpoint) + 1;
  return { run: { firstHeightBlocks, lastHeightBlocks: heightBlocks } };
}

/**
 * The first records of the chain. `headers` is a run that ends with a checkpoint below the birthday: each header is the parent of the
 * next, so the checkpoint vouches for all of them. Empty: the chain begins at genesis. Leaves with a refusal.
 */
export function beginChain(network: Network, headers: Uint8Array, birthdayHeightBlocks: number): Beginning {
  return beginChainBy(chainParams(network), headers, birthdayHeightBlocks);
}

/** As `beginChain`, with the genesis and the checkpoints of `params`. */
export function beginChainBy(
  { genesis, checkpoints }: Pick<ChainParams, 'genesis' | 'checkpoints'>,
  headers: Uint8Array,
  birthdayHeightBlocks: number,
): Beginning {
  // The first block has nothing that could be spent.
  const birthday = Math.max(birthdayHeightBlocks, 1);
  if (headers.length === 0) return beginning(0, birthday, [genesis]);
  const run = parseHeaderRun(headers, BEGIN_HEADERS_MAX);
  const lastHash = hash256(run.header(run.count - 1));
  const checkpoint = checkpoints.find(({ hash }) => equalBytes(hash, lastHash));
  if (checkpoint === undefined || checkpoint.heightBlocks >= birthday) {
    refuse(chainValidated, 'the headers do not end with a checkpoint below the birthday', {
      last: txidToHex(lastHash),
      birthday_height_blocks: birthday,
    });
  }
  if (run.count < neededHeaders(checkpoint)) {
    refuse(chainValidated, 'the start needs more headers before the checkpoint', {
      headers: run.count,
      headers_min: neededHeaders(checkpoint),
    });
  }
  requireLinked(run);
  const all = Array.from({ length: run.count }, (_, i) => run.header(i));
  return beginning(checkpoint.heightBlocks - run.count + 1, birthday, all);
}

function requireLinked(run: HeaderRun): void {
  for (let i = 1; i < run.count; i++) {
    if (equalBytes(run.previous(i), hash256(run.header(i - 1)))) continue;
    refuse(chainValidated, 'the headers of the start are not connected', { header: i });
  }
}

function beginning(
  baseHeightBlocks: number,
  birthdayHeightBlocks: number,
  all: readonly Uint8Array[],
): Beginning {
  let work = 0n;
  const headers = all.map((header) => {
    const bits = new DataView(header.buffer, header.byteOffset, HEADER_BYTES).getUint32(72, true);
    work += workOfTarget(targetOfCompact(bits)!);
    return { header, hash: hash256(header), work: workBytes(work) };
  });
  return {
    chain: {
      tipHeightBlocks: baseHeightBlocks + headers.length - 1,
      tipHash: headers[headers.length - 1]!.hash,
      baseHeightBlocks,
      provenHeightBlocks: birthdayHeightBlocks - 1,
      birthdayHeightBlocks,
      lockedBy: null,
      admitted: null,
      restartHeightBlocks: null,
    },
    headers,
  };
}

/**
 * Ids of header records to remove, and the base after it. The newest `HEADERS_KEPT` stay, and all whose blocks are not
 * proven yet. Called again and again while headers come, it removes at most as many as came.
 */
export function headersToDrop(chain: ChainRecord): {
  readonly baseHeightBlocks: number;
  readonly ids: readonly string[];
} {
  const unproven = Math.min(chain.provenHeightBlocks, chain.tipHeightBlocks);
  const base = Math.max(chain.baseHeightBlocks, unproven - HEADERS_KEPT + 1);
  const ids = Array.from({ length: base - chain.baseHeightBlocks }, (_, i) =>
    heightId(chain.baseHeightBlocks + i),
  );
  return { baseHeightBlocks: base, ids };
}
