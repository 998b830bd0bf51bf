/** What the tests of the follower share: waiting, temporary files, and a follower with its log. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach } from 'vitest';
import { MinedChain } from '../../core/test/mined-chain.ts';
import {
  BitcoindSource,
  type ChainSink,
  type ChainSource,
  Follower,
  type FollowerOptions,
} from '../src/index.ts';
import { FakeBitcoind } from './fake-bitcoind.ts';
import { FakeSink } from './fake-sink.ts';

/** Bounds a failure only. */
const WAIT_MS = 30_000;
/** Longer than a test may take: what ended before did not end because of it. */
export const NEVER_MS = 600_000;
const cleanups: (() => unknown)[] = [];

/** Run after the test, the last one first. */
export function afterTest(cleanup: () => unknown): void {
  cleanups.push(cleanup);
}

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

export async function until(what: string, condition: () => boolean): Promise<void> {
  const end = performance.now() + WAIT_MS;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`${what} did not happen within ${WAIT_MS} ms`);
    await pause(2);
  }
}

/** Whether it is settled by what has happened already: no timer, and nothing from outside, may come first. */
export async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const next = new Promise((resolve) => void setImmediate(resolve, false));
  return (await Promise.race([promise.then(() => true), next])) === true;
}

export function fileWith(text: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'countersign-chain-'));
  afterTest(() => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, 'file');
  writeFileSync(file, text);
  return file;
}

export const never = (): AbortSignal => new AbortController().signal;

export function sourceOf(
  fake: FakeBitcoind,
  file = fileWith(`${fake.cookie}\n`),
  timeoutMs = 30_000,
  pollMs = 200,
): BitcoindSource {
  const source = new BitcoindSource({
    url: fake.url,
    credentials: { kind: 'cookie', file },
    network: 'regtest',
    pollMs,
    timeoutMs,
  });
  afterTest(() => source.close());
  return source;
}

export interface Followed {
  readonly follower: Follower;
  readonly log: string[];
  readonly failures: unknown[];
  readonly waits: number[];
}

/** A started follower that waits a thousandth of what it should. */
export function follow(
  sink: ChainSink,
  source: ChainSource,
  changed: Partial<FollowerOptions> = {},
): Followed {
  const log: string[] = [];
  const failures: unknown[] = [];
  const waits: number[] = [];
  const follower = new Follower({
    sink,
    source,
    birthdayHeightBlocks: 1,
    publishes: true,
    log: (level, text) => {
      if (!text.startsWith('proven up to')) log.push(`${level}: ${text}`);
    },
    onFailure: (error) => void failures.push(error),
    monotonicMs: () => performance.now(),
    random: () => 0,
    sleep: async (ms, signal) => {
      waits.push(ms);
      await pause(ms / 1000, undefined, { signal }).catch(() => {});
    },
    ...changed,
  });
  afterTest(() => follower.stop());
  follower.start();
  return { follower, log, failures, waits };
}

/** A bitcoind with so many blocks, for the test. */
export async function nodeWith(blocks: number): Promise<FakeBitcoind> {
  const chain = new MinedChain();
  chain.extendBy(blocks);
  const fake = await FakeBitcoind.start(chain);
  afterTest(() => fake.stop());
  return fake;
}

export const sinkFor = (fake: FakeBitcoind): FakeSink => new FakeSink(fake.chain.blocks[0]!);
