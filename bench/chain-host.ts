/**
 * The chain through the running signer, with its records and a journal: full blocks against a thousand channels, and a
 * header sync through the follower.
 */

import type { Secp256k1 } from '@countersign/bitcoin';
import {
  concat,
  hash256,
  outPointToString,
  sat,
  serializeNoWitness,
  serializeTransaction,
  type Transaction,
  txid,
  txidToHex,
} from '@countersign/bitcoin';
import { type ChainPoint, type ChainSource, Follower } from '@countersign/chain';
import { channelRecords, keyView } from '@countersign/core';
import type { Journal, RecordChange } from '@countersign/store';
import { fundingInputRecords } from '../packages/core/src/records/chain.ts';
import { fundingRecords } from '../packages/core/src/records/channel.ts';
import {
  BLOCK_SPACING_SECONDS,
  type MinedBlock,
  MinedChain,
  merkleRootOf,
  mineBlock,
  mineHeader,
  REGTEST_BITS,
} from '../packages/core/test/mined-chain.ts';
import { sinkOf } from '../packages/host/src/start/chain.ts';
import { type BenchChannel, bytesOf, ChannelMaker, HTLCS, input } from './channels.ts';
import {
  benchJournal,
  benchSigner,
  firstVersion,
  heapAfterCollection,
  inScratch,
  type Spent,
  spentBy,
} from './host.ts';
import { summarize } from './statistics.ts';

const CHANNELS = 1000;
/** Closed before the measurement, with eight outputs on record each. */
const CLOSED = 375;
const TRANSACTIONS = 3000;
const INPUTS = 3;
/** Just below 4,000,000 weight units together. */
const WITNESS_BYTES = 164;
const WARM_UP_BLOCKS = 10;
const BLOCKS = 50;
/** What every block has of ours. */
const CLOSES_PER_BLOCK = 3;
const CLAIMS_PER_BLOCK = 6;
const HEADERS = 24_000;
const SETUP_SPLIT = 200;

export interface BlocksResult {
  readonly name: string;
  readonly wallUs: number;
  readonly cpuUs: number;
  /** Its hashes alone, of the processor: txids, wtxids, both trees. */
  readonly hashesUs: number;
  readonly watchedOutpoints: number;
  readonly blocks: number;
  /** In the measured blocks. */
  readonly recordsAdded: number;
  /** After collection, from the tenth to the last block. */
  readonly heapGrowthBytes: number;
  /** The most that was in use right after a block, above what is in use before the first. */
  readonly heapPeakBytes: number;
}

export interface SyncResult {
  readonly headers: number;
  readonly wallUs: number;
  readonly cpuUs: number;
  /** Of all headers alone, of the processor. */
  readonly hashesUs: number;
}

/** What the requests of an opening leave on record. */
function recordsOf({ id, record, fundingTx }: BenchChannel): RecordChange[] {
  const funding = outPointToString({ txid: txid(fundingTx), vout: 1 });
  return [
    firstVersion(channelRecords, id, record),
    firstVersion(fundingRecords, funding, id),
    ...fundingTx.inputs.map((one) =>
      firstVersion(fundingInputRecords, outPointToString(one), [txidToHex(txid(fundingTx))]),
    ),
  ];
}

async function put(journal: Journal, channels: readonly BenchChannel[]): Promise<void> {
  for (let i = 0; i < channels.length; i += SETUP_SPLIT)
    await journal.commit(channels.slice(i, i + SETUP_SPLIT).flatMap(recordsOf), []);
}

/** Transactions of everybody else: three inputs, two outputs. */
function foreign(i: number): Transaction {
  const id = hash256(Uint8Array.of(i & 0xff, i >>> 8, 0));
  const witness = [new Uint8Array(WITNESS_BYTES).fill(i & 0xff)];
  return {
    version: 2,
    inputs: Array.from({ length: INPUTS }, (_, k) => input(id, k, witness)),
    outputs: [
      { value: sat(i), script: new Uint8Array(22) },
      { value: sat(1000 + i), script: new Uint8Array(34) },
    ],
    locktime: i,
  };
}

/** Of the peer, with the preimage: BOLT 5, an HTLC output of its own commitment through no second transaction. */
function claim({ closeTx }: BenchChannel, vout: number): Transaction {
  const witness = [new Uint8Array(72), bytesOf(`preimage ${vout}`), new Uint8Array(110)];
  return {
    version: 2,
    inputs: [input(txid(closeTx), vout, witness)],
    outputs: [{ value: sat(1000n), script: new Uint8Array(34) }],
    locktime: 0,
  };
}

/** HTLC outputs of a commitment stand between its anchors and its main outputs, which are larger. */
const ANCHORS = 2;

function ourPart(block: number, channels: readonly BenchChannel[]): Transaction[] {
  const closing = CLOSED + block * CLOSES_PER_BLOCK;
  const closes = channels.slice(closing, closing + CLOSES_PER_BLOCK).map(({ closeTx }) => closeTx);
  const claims = Array.from({ length: CLAIMS_PER_BLOCK }, (_, i) => {
    const nth = block * CLAIMS_PER_BLOCK + i;
    return claim(channels[Math.floor(nth / HTLCS)]!, ANCHORS + (nth % HTLCS));
  });
  return [...closes, ...claims];
}

async function hashesUs({ transactions }: MinedBlock): Promise<number> {
  const bare = transactions.map(serializeNoWitness);
  const whole = transactions.map(serializeTransaction);
  const times: number[] = [];
  for (let i = 0; i < 9; i++) {
    const { cpuUs } = await spentBy(async () => {
      merkleRootOf(bare.map((bytes) => hash256(bytes)));
      merkleRootOf(whole.map((bytes) => hash256(bytes)));
    });
    times.push(cpuUs);
  }
  return summarize(times).p50Us;
}

export function measureBlocks(secp: Secp256k1): Promise<BlocksResult> {
  return inScratch(async (directory) => {
    const journal = benchJournal(directory);
    const { ring } = benchSigner(secp, journal);
    const maker = new ChannelMaker(secp, keyView(ring));
    const channels = Array.from({ length: CHANNELS }, (_, i) => maker.make(i));
    await put(journal, channels);
    const { chain } = benchSigner(secp, journal).signer;
    const take = async (answer: ReturnType<typeof chain.acceptBlock>) => {
      const taken = await answer;
      if (!taken.ok) throw new Error(taken.message);
    };
    await take(chain.begin({ birthdayHeightBlocks: 1, sourceHeightBlocks: 0 }, new Uint8Array(0)));
    let tip = new MinedChain().tip;
    const mine = async (transactions: readonly Transaction[]): Promise<MinedBlock> => {
      tip = mineBlock(tip, transactions);
      await take(chain.acceptHeaders(tip.header));
      return tip;
    };
    for (let i = 0; i < CHANNELS; i += SETUP_SPLIT)
      await take(
        chain.acceptBlock((await mine(channels.slice(i, i + SETUP_SPLIT).map((one) => one.fundingTx))).raw),
      );
    await take(chain.acceptBlock((await mine(channels.slice(0, CLOSED).map((one) => one.closeTx))).raw));
    const outputs = journal.keys('output/').length;
    const watchedOutpoints = outputs + journal.keys('funding-input/').length;
    const rest = Array.from({ length: TRANSACTIONS }, (_, i) => foreign(i));
    const spent: Spent[] = [];
    let [heapBefore, heapPeakBytes, recordsBefore, hashes, name] = [0, 0, 0, 0, ''];
    for (let i = 0; i < WARM_UP_BLOCKS + BLOCKS; i++) {
      if (i === WARM_UP_BLOCKS) {
        heapBefore = heapAfterCollection();
        recordsBefore = journal.keys('').length;
      }
      const ours = ourPart(i, channels);
      const block = await mine([...rest.slice(ours.length), ...ours]);
      if (i === 0) {
        hashes = await hashesUs(block);
        name = `block of ${TRANSACTIONS} transactions and ${TRANSACTIONS * INPUTS} inputs, ${(block.raw.length / 1e6).toFixed(1)} MB`;
      }
      const cost = await spentBy(() => take(chain.acceptBlock(block.raw)));
      if (i < WARM_UP_BLOCKS) continue;
      spent.push(cost);
      heapPeakBytes = Math.max(heapPeakBytes, cost.heapBytes - heapBefore);
    }
    const heapGrowthBytes = heapAfterCollection() - heapBefore;
    const recordsAdded = journal.keys('').length - recordsBefore;
    await journal.close();
    const p50 = (of: (one: Spent) => number) => summarize(spent.map(of)).p50Us;
    const wallUs = p50((one) => one.wallUs);
    return {
      name,
      wallUs,
      cpuUs: p50((one) => one.cpuUs),
      hashesUs: hashes,
      watchedOutpoints,
      blocks: BLOCKS,
      recordsAdded,
      heapGrowthBytes,
      heapPeakBytes,
    };
  });
}

/** All headers at hand, no block wanted. */
class MemorySource implements ChainSource {
  readonly name = 'memory';
  readonly headersPerRunMax = 2000;
  readonly askedAgainMsMin = 0;
  readonly #headers: Uint8Array;
  readonly #best: ChainPoint;

  constructor(headers: Uint8Array, best: ChainPoint) {
    this.#headers = headers;
    this.#best = best;
  }

  bestTip = async () => this.#best;
  headers = async (from: number, count: number) => this.#headers.subarray(80 * from, 80 * (from + count));
  block = async (): Promise<Uint8Array> => {
    throw new Error('no block is wanted');
  };
  broadcast = async () => ({ accepted: true, reason: null });
  feerates = async () => null;
  changed = () => new Promise<void>(() => {});
  close = () => {};
}

function minedHeaders(): { readonly headers: Uint8Array; readonly best: ChainPoint } {
  let { hash, header, timeSeconds } = new MinedChain().tip;
  const headers = [header];
  for (let height = 1; height <= HEADERS; height++) {
    timeSeconds += BLOCK_SPACING_SECONDS;
    const fields = { version: 4, merkleRoot: new Uint8Array(32), bits: REGTEST_BITS, nonce: 0 };
    ({ header, hash } = mineHeader({ ...fields, previous: hash, timeSeconds }));
    headers.push(header);
  }
  return { headers: concat(...headers), best: { heightBlocks: HEADERS, hash } };
}

export function measureHeaderSync(secp: Secp256k1): Promise<SyncResult> {
  return inScratch(async (directory) => {
    const { headers, best } = minedHeaders();
    const hashes = await spentBy(async () => {
      for (let i = 0; i <= HEADERS; i++) hash256(headers.subarray(80 * i, 80 * (i + 1)));
    });
    const journal = benchJournal(directory);
    const { signer } = benchSigner(secp, journal);
    const failures: unknown[] = [];
    const follower = new Follower({
      sink: sinkOf(signer.chain, () => signer.settled()),
      source: new MemorySource(headers, best),
      birthdayHeightBlocks: HEADERS + 1,
      publishes: false,
      log: () => {},
      onFailure: (error) => failures.push(error),
      monotonicMs: () => performance.now(),
      random: () => 0,
    });
    const { wallUs, cpuUs } = await spentBy(async () => {
      follower.start();
      while (failures.length === 0 && signer.chain.tip()?.tipHeightBlocks !== HEADERS)
        await follower.catchUp();
    });
    await follower.stop();
    await journal.close();
    if (failures.length > 0) throw failures[0];
    return { headers: HEADERS, wallUs, cpuUs, hashesUs: hashes.cpuUs };
  });
}
