/**
 * A Bitcoin node as a source, through its JSON-RPC: full, or pruned as long as it still has what the signer needs. Works
 * with every version that has `sendrawtransaction` with a fee limit (0.19) and later.
 */
import { concat, toHex } from '@countersign/bitcoin';
import {
  BLOCK_BYTES_MAX,
  type BroadcastAnswer,
  type ChainPoint,
  type ChainSource,
  HEADER_BYTES,
  NORMAL_TARGET_BLOCKS,
  SourceError,
  type SourceFeerates,
  URGENT_TARGET_BLOCKS,
} from '../source.ts';
import { Answer, bytesOf, displayHash, hashOf, unexpected } from '../text.ts';
import { sleep } from '../wait.ts';
import type { BitcoindCredentials } from './credentials.ts';
import { BitcoindRpc, type CallBounds, RPC, type RpcCall, RpcError } from './rpc.ts';

/** How `getblockchaininfo` names the networks, by the name lightningd gives them. */
const CHAIN_NAMES = {
  bitcoin: 'main',
  testnet: 'test',
  testnet4: 'testnet4',
  signet: 'signet',
  regtest: 'regtest',
} as const;
export type SourceNetwork = keyof typeof CHAIN_NAMES;

export const BITCOIND_PORTS: Readonly<Record<SourceNetwork, number>> = {
  bitcoin: 8332,
  testnet: 18332,
  testnet4: 48332,
  signet: 38332,
  regtest: 18443,
};

export interface BitcoindOptions {
  readonly url: URL;
  readonly credentials: BitcoindCredentials;
  readonly network: SourceNetwork;
  /** Longest wait for a new block before the tip is looked at again. */
  readonly pollMs: number;
  /** Of one call. Default 60 s: a node that is busy with its own chain answers late. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS_DEFAULT = 60_000;
/** One to wait for a block, the others to work. */
const CONNECTIONS_MAX = 4;
const HEADERS_PER_RUN_MAX = 2000;
const ANSWER_BYTES_MAX = 1024 * 1024;
const BATCH_ANSWER_BYTES_MAX = 4 * 1024 * 1024;
/** A block in hex with what JSON puts around it. */
const BLOCK_ANSWER_BYTES_MAX = 2 * BLOCK_BYTES_MAX + 4096;
/** `sendrawtransaction`: no limit of the fee rate; what a transaction may pay was decided before it was signed. */
const ANY_FEE_RATE = 0;
/** A node that waits for a block answers this much after its time. */
const WAIT_SLACK_MS = 15_000;
const COMPACT = false;

const SAT_PER_BITCOIN = 100_000_000;
/** BIP 141: weight units of a virtual byte. */
const WEIGHT_PER_BYTE = 4;

/** By `rpcwhitelist`. */
const isForbidden = (error: unknown): boolean =>
  error instanceof SourceError && error.code === 'chain-source-unauthorized';

export class BitcoindSource implements ChainSource {
  readonly name: string;
  readonly headersPerRunMax = HEADERS_PER_RUN_MAX;
  readonly askedAgainMsMin = 50;
  readonly #options: BitcoindOptions;
  readonly #rpc: BitcoindRpc;
  /** Some nodes' RPC does not offer to wait for a block. */
  #canWait = true;

  constructor(options: BitcoindOptions) {
    const { url, credentials } = options;
    this.name = `bitcoind at ${url.host}`;
    this.#options = options;
    this.#rpc = new BitcoindRpc({ name: this.name, url, credentials, connectionsMax: CONNECTIONS_MAX });
  }

  close(): void {
    this.#rpc.close();
  }

  async bestTip(signal: AbortSignal): Promise<ChainPoint> {
    const info = new Answer(this.name, await this.#call('getblockchaininfo', [], signal));
    this.#checkNetwork(info.text('chain'));
    const heightBlocks = info.count('blocks');
    if (Reflect.get(Object(info.value), 'initialblockdownload') === true)
      this.#checkDownload(info, heightBlocks);
    return { heightBlocks, hash: info.hash('bestblockhash') };
  }

  async headers(fromHeightBlocks: number, count: number, signal: AbortSignal): Promise<Uint8Array> {
    const heights = Array.from({ length: count }, (_, i) => fromHeightBlocks + i);
    const hashes = await this.#batch(
      'getblockhash',
      heights.map((height) => [height]),
      signal,
    );
    const texts = hashes.map((hash) => displayHash(hashOf(this.name, 'a block hash', hash)));
    const headers = await this.#batch(
      'getblockheader',
      texts.map((text) => [text, COMPACT]),
      signal,
    );
    return concat(...headers.map((header) => this.#header(header)));
  }

  async block(hash: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const text = displayHash(hash);
    try {
      const bounds = this.#bounds(signal, BLOCK_ANSWER_BYTES_MAX);
      return bytesOf(
        this.name,
        'a block',
        await this.#rpc.call({ method: 'getblock', params: [text, 0] }, bounds),
      );
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      throw this.#noBlock(text, error);
    }
  }

  async broadcast(raw: Uint8Array, signal: AbortSignal): Promise<BroadcastAnswer> {
    const call: RpcCall = { method: 'sendrawtransaction', params: [toHex(raw), ANY_FEE_RATE] };
    try {
      await this.#rpc.call(call, this.#bounds(signal, ANSWER_BYTES_MAX));
      return { accepted: true, reason: null };
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      const isThere =
        error.rpcCode === RPC.verifyAlreadyInChain || /txn-already-(known|in-mempool)/.test(error.message);
      return { accepted: isThere, reason: error.message };
    }
  }

  async feerates(signal: AbortSignal): Promise<SourceFeerates | null> {
    const normalPerKw = await this.#feerate(NORMAL_TARGET_BLOCKS, 'economical', signal);
    const urgentPerKw = await this.#feerate(URGENT_TARGET_BLOCKS, 'conservative', signal);
    return normalPerKw === null || urgentPerKw === null ? null : { normalPerKw, urgentPerKw };
  }

  /** Null where the node has seen too few blocks to tell, or does not offer it. */
  async #feerate(targetBlocks: number, mode: string, signal: AbortSignal): Promise<number | null> {
    const call: RpcCall = { method: 'estimatesmartfee', params: [targetBlocks, mode] };
    try {
      const result = await this.#rpc.call(call, this.#bounds(signal, ANSWER_BYTES_MAX));
      const bitcoinPerKvB = new Answer(this.name, result).rate('feerate');
      if (bitcoinPerKvB === null) return null;
      return Math.ceil(Math.round(bitcoinPerKvB * SAT_PER_BITCOIN) / WEIGHT_PER_BYTE);
    } catch (error) {
      if (error instanceof RpcError || isForbidden(error)) return null;
      throw error;
    }
  }

  /** The node holds the call until there is a block above `known`; what replaces it at the same height is polled for. */
  async changed(known: ChainPoint, signal: AbortSignal): Promise<void> {
    const { pollMs } = this.#options;
    if (this.#canWait) {
      const params = [known.heightBlocks + 1, pollMs];
      const bounds = { signal, timeoutMs: pollMs + WAIT_SLACK_MS, answerBytesMax: ANSWER_BYTES_MAX };
      try {
        await this.#rpc.call({ method: 'waitforblockheight', params }, bounds);
        return;
      } catch (error) {
        if (!(error instanceof RpcError || isForbidden(error))) throw error;
        this.#canWait = false;
      }
    }
    await sleep(pollMs, signal);
  }

  #checkNetwork(chain: string): void {
    const wanted = CHAIN_NAMES[this.#options.network];
    if (chain === wanted) return;
    const message = `${this.name} follows the chain "${chain}", and the signer works on "${wanted}": set url in [chain] to a node of "${wanted}"`;
    throw new SourceError('chain-source-network', message);
  }

  /** Its own word for it, also when its tip is only old. On regtest nobody mines while nobody needs a block. */
  #checkDownload(info: Answer, heightBlocks: number): void {
    if (this.#options.network === 'regtest') return;
    throw new SourceError('chain-source-busy', `${this.name} is still catching up itself`, {
      height_blocks: heightBlocks,
      headers_blocks: info.count('headers'),
    });
  }

  #header(value: unknown): Uint8Array {
    const header = bytesOf(this.name, 'a header', value);
    if (header.length !== HEADER_BYTES) throw unexpected(this.name, 'the length of a header');
    return header;
  }

  #noBlock(hash: string, error: RpcError): SourceError {
    const facts = { block: hash };
    if (error.rpcCode === RPC.miscError && /prune/i.test(error.message)) {
      const message = `${this.name} is pruned and has thrown away a block that the signer still has to read. Take a source that has it (another node, or source = "esplora") until the signer has caught up, and give this node a larger prune= or none`;
      return new SourceError('chain-source-pruned', message, facts, { cause: error });
    }
    const message = `${this.name} does not have a block: ${error.message}`;
    return new SourceError('chain-source-missing', message, facts, { cause: error });
  }

  #bounds(signal: AbortSignal, answerBytesMax: number): CallBounds {
    return { signal, timeoutMs: this.#options.timeoutMs ?? TIMEOUT_MS_DEFAULT, answerBytesMax };
  }

  async #call(method: string, params: RpcCall['params'], signal: AbortSignal): Promise<unknown> {
    try {
      return await this.#rpc.call({ method, params }, this.#bounds(signal, ANSWER_BYTES_MAX));
    } catch (error) {
      throw this.#asSourceError(method, error);
    }
  }

  async #batch(
    method: string,
    params: readonly RpcCall['params'][],
    signal: AbortSignal,
  ): Promise<unknown[]> {
    const calls = params.map((one) => ({ method, params: one }));
    try {
      return await this.#rpc.batch(calls, this.#bounds(signal, BATCH_ANSWER_BYTES_MAX));
    } catch (error) {
      throw this.#asSourceError(method, error);
    }
  }

  #asSourceError(method: string, error: unknown): unknown {
    if (!(error instanceof RpcError)) return error;
    const message = `${this.name}: ${method}: ${error.message}`;
    // Heights and hashes of a chain that it has left meanwhile.
    const isGone = error.rpcCode === RPC.invalidAddressOrKey || error.rpcCode === RPC.invalidParameter;
    const code = isGone ? 'chain-source-missing' : 'chain-source-answer';
    return new SourceError(code, message, { rpc_code: error.rpcCode }, { cause: error });
  }
}
