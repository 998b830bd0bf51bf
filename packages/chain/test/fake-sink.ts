/**
 * A signer's side for the follower's tests: follows the longest chain of headers and proves blocks in order, as the real one
 * does, without judging anything else. Remembers all it was given.
 */
import { equalBytes, hash256, toHex } from '@countersign/bitcoin';
import type {
  ChainSink,
  HeaderRange,
  Publishable,
  SinkAnswer,
  SinkStart,
  SinkTip,
  SourceFeerates,
} from '../src/index.ts';

const OK: SinkAnswer = { ok: true };

export class FakeSink implements ChainSink {
  /** Hashes from the base up. */
  hashes: Uint8Array[] = [];
  base = 0;
  proven = -1;
  birthday = 0;
  locked = false;
  starts: SinkStart[] = [];
  needs: HeaderRange | null = null;
  beginning: Uint8Array | null = null;
  runs: number[] = [];
  blocks: number[] = [];
  wanted: Publishable[] = [];
  feerates: SourceFeerates[] = [];
  /** What is refused, and how; undefined: nothing. */
  refuse: (what: 'begin' | 'headers' | 'block') => SinkAnswer | undefined = () => undefined;
  readonly #first: { heightBlocks: number; hash: Uint8Array };

  /** Begins with this block. */
  constructor(first: { heightBlocks: number; hash: Uint8Array }) {
    this.#first = first;
  }

  get height(): number {
    return this.base + this.hashes.length - 1;
  }

  tip(): SinkTip | null {
    const tipHash = this.hashes.at(-1);
    if (tipHash === undefined) return null;
    return {
      tipHeightBlocks: this.height,
      tipHash,
      provenHeightBlocks: this.proven,
      birthdayHeightBlocks: this.birthday,
      locked: this.locked,
    };
  }

  headerHash(heightBlocks: number): Uint8Array | null {
    return this.hashes[heightBlocks - this.base] ?? null;
  }

  beginNeeds(): HeaderRange | null {
    return this.needs;
  }

  async begin(start: SinkStart, headers: Uint8Array): Promise<SinkAnswer> {
    this.beginning = headers;
    const refused = this.refuse('begin');
    if (refused !== undefined) return refused;
    this.starts.push(start);
    this.hashes = [this.#first.hash];
    this.base = this.#first.heightBlocks;
    this.birthday = start.birthdayHeightBlocks ?? this.base + 1;
    this.proven = this.birthday - 1;
    return OK;
  }

  async acceptHeaders(headers: Uint8Array): Promise<SinkAnswer> {
    const refused = this.refuse('headers');
    if (refused !== undefined) return refused;
    const fork = this.hashes.findIndex((hash) => equalBytes(hash, headers.subarray(4, 36)));
    if (fork < 0) return { ok: false, temporary: false, message: 'connects to nothing on record' };
    const count = headers.length / 80;
    this.runs.push(count);
    if (fork + count < this.hashes.length) return OK;
    const added = Array.from({ length: count }, (_, i) => hash256(headers.subarray(80 * i, 80 * i + 80)));
    this.hashes = [...this.hashes.slice(0, fork + 1), ...added];
    this.proven = Math.min(this.proven, Math.max(this.base + fork, this.birthday - 1));
    return OK;
  }

  async acceptBlock(raw: Uint8Array): Promise<SinkAnswer> {
    const refused = this.refuse('block');
    if (refused !== undefined) return refused;
    const hash = this.headerHash(this.proven + 1);
    if (hash === null || !equalBytes(hash256(raw.subarray(0, 80)), hash))
      return { ok: false, temporary: false, message: `not block ${this.proven + 1}` };
    this.proven += 1;
    this.blocks.push(this.proven);
    return OK;
  }

  async toPublish(): Promise<readonly Publishable[]> {
    return this.wanted;
  }

  setFeerates(feerates: SourceFeerates): void {
    this.feerates.push(feerates);
  }

  /** Whether it has exactly this chain, with everything from its birthday on proven. */
  isAt(chain: { blocks: readonly { hash: Uint8Array }[] }): boolean {
    const tip = chain.blocks.at(-1)!;
    const top = chain.blocks.length - 1;
    const isProven = this.proven === Math.max(top, this.birthday - 1);
    return this.height === top && toHex(this.hashes.at(-1)!) === toHex(tip.hash) && isProven;
  }
}
