/**
 * What headers and blocks cost beside the hashes they are made of: runs of headers judged by mainnet's rules on a target that
 * can be mined, and a full block of 3,000 transactions read, hashed and proven.
 */
import {
  concat,
  hash256,
  readBlock,
  sat,
  serializeNoWitness,
  serializeTransaction,
  type Transaction,
} from '@countersign/bitcoin';
import { beginChain, Draft, networkByName, policyOf } from '@countersign/core';
import { expectedBits, type Timed } from '../packages/core/src/chain/difficulty.ts';
import { judgeHeadersBy, RUN_HEADERS_MAX } from '../packages/core/src/chain/headers.ts';
import { type ChainParams, chainParams } from '../packages/core/src/chain/params.ts';
import { CHAIN_ID, chainRecords, headerRecords, heightId } from '../packages/core/src/records/chain.ts';
import { MinedChain, merkleRootOf, mineBlock, mineHeader } from '../packages/core/test/mined-chain.ts';
import { Records } from './records.ts';
import { summarize } from './statistics.ts';

const HEADERS = 12_000;
const TRANSACTIONS = 3000;
/** Just below 4,000,000 weight units together. */
const WITNESS_BYTES = 820;
const ROUNDS = 15;

export interface ChainRow {
  readonly name: string;
  readonly us: number;
  /** The same hashes alone, in the same run. */
  readonly hashesUs: number;
  /** Headers a second, or megabytes a second. */
  readonly rate: string;
}

const regtest = networkByName('regtest')!;

function minedHeaders(params: ChainParams): Uint8Array[] {
  const headers: Uint8Array[] = [params.genesis];
  const timed: Timed[] = [{ timeSeconds: 1_296_688_602, bits: params.limitBits }];
  for (let height = 1; height <= HEADERS; height++) {
    const timeSeconds = timed[height - 1]!.timeSeconds + 600;
    const bits = expectedBits(params, (at) => timed[at] ?? null, height, timeSeconds)!;
    const previous = hash256(headers[height - 1]!);
    const fields = { version: 4, previous, merkleRoot: new Uint8Array(32), timeSeconds, bits, nonce: 0 };
    headers.push(mineHeader(fields).header);
    timed.push({ timeSeconds, bits });
  }
  return headers;
}

/** All headers, run after run, each put on record before the next. */
function judgeAllUs(params: ChainParams, headers: readonly Uint8Array[]): number {
  const state = new Records();
  const { chain, headers: first } = beginChain(regtest, new Uint8Array(0), 1);
  state.put(chainRecords, CHAIN_ID, chain);
  state.put(headerRecords, heightId(0), first[0]!);
  const policy = policyOf(regtest, 'hub');
  const runs = Array.from({ length: Math.ceil(HEADERS / RUN_HEADERS_MAX) }, (_, i) =>
    concat(...headers.slice(1 + i * RUN_HEADERS_MAX, 1 + (i + 1) * RUN_HEADERS_MAX)),
  );
  const started = process.hrtime.bigint();
  for (const run of runs) {
    const draft = new Draft(state);
    const { forkHeightBlocks, records } = judgeHeadersBy(
      params,
      { draft, policy, nowSeconds: 2_000_000_000 },
      run,
    );
    records.forEach((record, i) => {
      draft.put(headerRecords, heightId(forkHeightBlocks + 1 + i), record);
    });
    const tipHeightBlocks = forkHeightBlocks + records.length;
    draft.put(chainRecords, CHAIN_ID, { ...chain, tipHeightBlocks, tipHash: records.at(-1)!.hash });
    state.apply(draft.changes());
  }
  const took = Number(process.hrtime.bigint() - started) / 1000;
  if (state.read(chainRecords, CHAIN_ID)?.value?.tipHeightBlocks !== HEADERS)
    throw new Error('not all headers were taken');
  return took;
}

function medianUs(work: () => void, rounds = ROUNDS): number {
  const times: number[] = [];
  for (let i = -3; i < rounds; i++) {
    const started = process.hrtime.bigint();
    work();
    const took = Number(process.hrtime.bigint() - started) / 1000;
    if (i >= 0) times.push(took);
  }
  return summarize(times).p50Us;
}

function headersRow(name: string, params: ChainParams): ChainRow {
  const headers = minedHeaders(params);
  const times = Array.from({ length: 5 }, () => judgeAllUs(params, headers));
  const us = summarize(times).p50Us;
  const hashesUs = medianUs(() => {
    for (const header of headers) hash256(header);
  }, 5);
  return { name, us, hashesUs, rate: `${Math.round((HEADERS * 1e6) / us).toLocaleString('en')} headers/s` };
}

function spend(i: number): Transaction {
  const witness = [new Uint8Array(WITNESS_BYTES).fill(i & 0xff)];
  const id = hash256(Uint8Array.of(i & 0xff, i >>> 8));
  return {
    version: 2,
    inputs: [{ txid: id, vout: i, scriptSig: new Uint8Array(0), sequence: 0xffff_fffd, witness }],
    outputs: [
      { value: sat(i), script: new Uint8Array(22) },
      { value: sat(1000 + i), script: new Uint8Array(34) },
    ],
    locktime: i,
  };
}

function blockRow(): ChainRow {
  const { raw, transactions } = mineBlock(
    new MinedChain().tip,
    Array.from({ length: TRANSACTIONS }, (_, i) => spend(i)),
  );
  const { weight, transactionCount } = readBlock(raw);
  const us = medianUs(() => {
    readBlock(raw);
  });
  const bare = transactions.map(serializeNoWitness);
  const whole = transactions.map(serializeTransaction);
  const hashesUs = medianUs(() => {
    merkleRootOf(bare.map((bytes) => hash256(bytes)));
    merkleRootOf(whole.map((bytes) => hash256(bytes)));
  });
  const megabytes = raw.length / 1e6;
  return {
    name: `block of ${transactionCount} transactions, ${weight.toLocaleString('en')} weight, ${megabytes.toFixed(1)} MB`,
    us,
    hashesUs,
    rate: `${Math.round((raw.length / us) * 10) / 10} MB/s`,
  };
}

export function measureChain(): readonly ChainRow[] {
  const mainnet: ChainParams = {
    ...chainParams(networkByName('bitcoin')!),
    limitBits: 0x207fffff,
    genesis: chainParams(regtest).genesis,
    versionHeights: [1, 1, 1],
    checkpoints: [],
  };
  return [
    headersRow(`${HEADERS.toLocaleString('en')} headers, mainnet’s rules`, mainnet),
    headersRow('the same with the exceptions of testnets', { ...mainnet, allowsMinDifficulty: true }),
    blockRow(),
  ];
}
