/**
 * A restart with ten thousand channels on record and a chain view: from opening the journal to the first decision, in a
 * process of its own.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { outPointToString, type Secp256k1, sat } from '@countersign/bitcoin';
import { channelRecords, keyView, outputRecords } from '@countersign/core';
import { fundingRecords } from '../packages/core/src/records/channel.ts';
import { MinedChain } from '../packages/core/test/mined-chain.ts';
import { ChannelMaker } from './channels.ts';
import { benchJournal, benchSigner, firstVersion, inScratch } from './host.ts';
import type { RestartTimes } from './restart-child.ts';

const CHANNELS = 10_000;
const COMMIT_CHANNELS = 500;
const BLOCKS = 20;
const FUNDED_AT_BLOCKS = 5;
const ROUNDS = 3;

export interface RestartResult extends RestartTimes {
  readonly channels: number;
}

async function fill(secp: Secp256k1, directory: string): Promise<void> {
  const journal = benchJournal(directory);
  const { signer, ring } = benchSigner(secp, journal);
  const mined = new MinedChain();
  mined.extendBy(BLOCKS);
  const { chain } = signer;
  await chain.begin({ birthdayHeightBlocks: 1, sourceHeightBlocks: 0 }, new Uint8Array(0));
  await chain.acceptHeaders(mined.headers(1));
  for (const { raw } of mined.blocks.slice(1)) await chain.acceptBlock(raw);
  const maker = new ChannelMaker(secp, keyView(ring));
  const first = maker.make(0);
  const script = first.fundingTx.outputs[1]!.script;
  const created = { heightBlocks: FUNDED_AT_BLOCKS, valueSat: sat(1_000_000n), script };
  for (let i = 0; i < CHANNELS; i += COMMIT_CHANNELS) {
    const changes = Array.from({ length: COMMIT_CHANNELS }, (_, k) => {
      const { id, record } = i + k === 0 ? first : maker.like(first, i + k);
      const funding = outPointToString(record.candidates[0]!.outpoint);
      return [
        firstVersion(channelRecords, id, record),
        firstVersion(fundingRecords, funding, id),
        firstVersion(outputRecords, funding, {
          channel: id,
          role: 'funding',
          htlc: null,
          created,
          spent: null,
        }),
      ];
    });
    await journal.commit(changes.flat(), []);
  }
  await journal.close();
}

/** The restart of median length. */
export function measureRestart(secp: Secp256k1): Promise<RestartResult> {
  return inScratch(async (directory) => {
    await fill(secp, directory);
    const child = join(import.meta.dirname, 'restart-child.ts');
    const times: RestartTimes[] = [];
    for (let i = 0; i < ROUNDS; i++) {
      const args = ['--disable-warning=ExperimentalWarning', '--conditions=source', child, directory];
      const { stdout } = await promisify(execFile)(process.execPath, args);
      times.push(JSON.parse(stdout) as RestartTimes);
    }
    times.sort((a, b) => a.decisionUs - b.decisionUs);
    return { channels: CHANNELS, ...times[Math.floor(ROUNDS / 2)]! };
  });
}
