/**
 * Measures the chain through the running signer and prints it: blocks, a header sync, a restart, each beside what the project
 * wants at most. Other work on the machine makes the clock late; the processor's own time tells what is ours.
 */
import type { Secp256k1 } from '@countersign/bitcoin';
import { type BlocksResult, measureBlocks, measureHeaderSync, type SyncResult } from './chain-host.ts';
import { measureRestart, type RestartResult } from './restart.ts';
import { milliseconds, ratio } from './statistics.ts';
import { printRows } from './table.ts';

const BLOCK_US_MAX = 150_000;
const HEADERS_PER_SECOND_MIN = 20_000;
const RESTART_US_MAX = 5_000_000;

export interface ChainHostResult {
  readonly blocks: BlocksResult;
  readonly headers: SyncResult;
  readonly restart: RestartResult;
}

export async function measureChainHost(secp: Secp256k1): Promise<ChainHostResult> {
  const blocks = await measureBlocks(secp);
  const headers = await measureHeaderSync(secp);
  const restart = await measureRestart(secp);
  const headersUsMax = (headers.headers * 1e6) / HEADERS_PER_SECOND_MIN;
  printRows(
    'The chain through the signer, with its records and a journal',
    ['', 'time', 'of the processor', 'at most', 'processor to its hashes'],
    [
      row(blocks.name, blocks, BLOCK_US_MAX, ratio(blocks.cpuUs, blocks.hashesUs)),
      row(
        `${headers.headers.toLocaleString('en')} headers through the follower`,
        headers,
        headersUsMax,
        ratio(headers.cpuUs, headers.hashesUs),
      ),
      row(
        `restart to the first decision, ${restart.channels.toLocaleString('en')} channels`,
        { wallUs: restart.decisionUs, cpuUs: restart.decisionCpuUs },
        RESTART_US_MAX,
      ),
      row('then what should be on the network', { wallUs: restart.publishUs, cpuUs: restart.publishCpuUs }),
      row('the same after each block', { wallUs: restart.againUs, cpuUs: restart.againCpuUs }),
    ],
  );
  const perSecond = Math.round((headers.headers * 1e6) / headers.cpuUs).toLocaleString('en');
  console.log(
    `  ${perSecond} headers for each second of the processor; ${blocks.watchedOutpoints.toLocaleString('en')} outpoints watched; ` +
      `memory after ${blocks.blocks} blocks ${megabytes(blocks.heapGrowthBytes)} more, for ${blocks.recordsAdded.toLocaleString('en')} new records; ` +
      `garbage at most ${megabytes(blocks.heapPeakBytes)}`,
  );
  return { blocks, headers, restart };
}

function row(
  name: string,
  { wallUs, cpuUs }: { readonly wallUs: number; readonly cpuUs: number },
  usMax: number | null = null,
  toHashes = '',
): readonly string[] {
  const limit = usMax === null ? '' : milliseconds(usMax);
  return [name, milliseconds(wallUs), milliseconds(cpuUs), limit, toHashes];
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
