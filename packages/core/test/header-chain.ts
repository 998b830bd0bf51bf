/** A state that holds a chain of headers, for the tests of what judges them. Puts on record what a judgement says. */
import { hash256 } from '@countersign/bitcoin';
import {
  type Beginning,
  beginChain,
  Draft,
  networkByName,
  type Policy,
  type Preset,
  policyOf,
  type Severity,
} from '@countersign/core';
import { expect } from 'vitest';
import { type JudgedHeaders, judgeHeaders, judgeHeadersBy } from '../src/chain/headers.ts';
import type { ChainParams } from '../src/chain/params.ts';
import {
  CHAIN_ID,
  type ChainRecord,
  chainRecords,
  type HeaderRecord,
  headerRecords,
  heightId,
} from '../src/records/chain.ts';
import { RefusalSignal } from '../src/refusal.ts';
import { MemoryState } from './memory-state.ts';

export interface HeaderChainSettings {
  readonly network?: string;
  readonly preset?: Preset;
  readonly severities?: ReadonlyMap<string, Severity>;
  readonly nowSeconds?: number;
  /** Another consensus than the network's. */
  readonly params?: ChainParams;
  /** Where the chain begins; genesis by default. */
  readonly beginning?: Beginning;
}

/** Later than any header of the tests. */
export const LATE_SECONDS = 2_000_000_000;

export class HeaderChain {
  readonly state = new MemoryState();
  readonly policy: Policy;
  readonly #params: ChainParams | undefined;
  nowSeconds: number;

  constructor(settings: HeaderChainSettings = {}) {
    const network = networkByName(settings.network ?? 'regtest')!;
    const { severities = new Map() } = settings;
    this.policy = policyOf(network, settings.preset ?? 'hub', { severities });
    this.#params = settings.params;
    this.nowSeconds = settings.nowSeconds ?? LATE_SECONDS;
    const { chain, headers } = settings.beginning ?? beginChain(network, new Uint8Array(0), 1);
    this.#put(chain, headers, chain.baseHeightBlocks);
  }

  get chain(): ChainRecord {
    return this.state.read(chainRecords, CHAIN_ID)!.value!;
  }

  header(heightBlocks: number): HeaderRecord | null {
    return this.state.read(headerRecords, heightId(heightBlocks))?.value ?? null;
  }

  #put(chain: ChainRecord, headers: readonly HeaderRecord[], firstHeightBlocks: number): void {
    const draft = new Draft(this.state);
    draft.put(chainRecords, CHAIN_ID, chain);
    headers.forEach((record, i) => {
      draft.put(headerRecords, heightId(firstHeightBlocks + i), record);
    });
    this.state.apply(draft.changes());
  }

  judge(headers: Uint8Array): JudgedHeaders {
    const draft = new Draft(this.state);
    const place = { draft, policy: this.policy, nowSeconds: this.nowSeconds };
    const judged =
      this.#params === undefined
        ? judgeHeaders(place, headers)
        : judgeHeadersBy(this.#params, place, headers);
    expect(draft.changes()).toEqual([]);
    return judged;
  }

  /** Judges and puts on record. */
  accept(headers: Uint8Array): JudgedHeaders {
    const judged = this.judge(headers);
    const last = judged.records.at(-1);
    if (last === undefined) return judged;
    const tipHeightBlocks = judged.forkHeightBlocks + judged.records.length;
    this.#put(
      { ...this.chain, tipHeightBlocks, tipHash: hash256(last.header) },
      judged.records,
      judged.forkHeightBlocks + 1,
    );
    return judged;
  }
}

/** What `work` refuses, and nothing else it may throw. */
export function refusalOf(work: () => unknown): RefusalSignal {
  try {
    work();
  } catch (error) {
    if (error instanceof RefusalSignal) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

/** Refused by exactly this rule, with these words. */
export function expectRefused(tag: string, words: string, work: () => unknown): RefusalSignal {
  const refusal = refusalOf(work);
  expect(refusal.rule.tag).toBe(tag);
  expect(refusal.message).toContain(words);
  return refusal;
}
