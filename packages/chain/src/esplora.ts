/**
 * An Esplora server as a source (https://github.com/Blockstream/esplora/blob/master/API.md). It may be a public one: few
 * requests at a time, and no more before the time it names.
 */
import { concat, equalBytes, hash256, toHex } from '@countersign/bitcoin';
import { excerpt, type HttpAnswer, HttpClient } from './http.ts';
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
} from './source.ts';
import { Answer, displayHash, hashOf, parseJson, unexpected } from './text.ts';
import { sleep } from './wait.ts';

export interface EsploraOptions {
  /** Such as https://blockstream.info/api. */
  readonly url: URL;
  /** Hash of block 0, internal byte order: a server of another network is refused by it. */
  readonly genesisHash: Uint8Array;
  readonly networkName: string;
  readonly pollMs: number;
  /** Of one request. Default 60 s. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS_DEFAULT = 60_000;
const CONNECTIONS_MAX = 4;
const HEADERS_PER_RUN_MAX = 200;
const TEXT_BYTES_MAX = 16 * 1024;
/** A page of blocks without their transactions: ten or fifteen. */
const PAGE_BYTES_MAX = 64 * 1024;

export class EsploraSource implements ChainSource {
  readonly name: string;
  readonly headersPerRunMax = HEADERS_PER_RUN_MAX;
  readonly askedAgainMsMin = 2_000;
  readonly #options: EsploraOptions;
  readonly #http: HttpClient;
  #isRightNetwork = false;

  constructor(options: EsploraOptions) {
    this.#options = options;
    this.name = `Esplora at ${options.url.host}`;
    this.#http = new HttpClient(this.name, CONNECTIONS_MAX);
  }

  close(): void {
    this.#http.close();
  }

  async bestTip(signal: AbortSignal): Promise<ChainPoint> {
    await this.#checkNetwork(signal);
    const hash = await this.#hashAt('blocks/tip/hash', signal);
    const block = new Answer(
      this.name,
      this.#json(await this.#get(`block/${displayHash(hash)}`, TEXT_BYTES_MAX, signal)),
    );
    return { heightBlocks: block.count('height'), hash };
  }

  async headers(fromHeightBlocks: number, count: number, signal: AbortSignal): Promise<Uint8Array> {
    const last = fromHeightBlocks + count - 1;
    const found = new Map((await this.#page(last, signal)).map((one) => [one.heightBlocks, one.header]));
    const pageSize = found.size;
    const starts: number[] = [];
    for (let top = last - pageSize; top >= fromHeightBlocks; top -= pageSize) starts.push(top);
    for (let i = 0; i < starts.length; i += CONNECTIONS_MAX) {
      const pages = await Promise.all(
        starts.slice(i, i + CONNECTIONS_MAX).map((top) => this.#page(top, signal)),
      );
      for (const { heightBlocks, header } of pages.flat()) found.set(heightBlocks, header);
    }
    const headers = Array.from({ length: count }, (_, i) => found.get(fromHeightBlocks + i));
    return concat(
      ...headers.map((header) => {
        if (header === undefined) throw unexpected(this.name, 'a page of blocks');
        return header;
      }),
    );
  }

  async block(hash: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const { body } = await this.#get(`block/${displayHash(hash)}/raw`, BLOCK_BYTES_MAX, signal);
    return new Uint8Array(body.buffer, body.byteOffset, body.length);
  }

  async broadcast(raw: Uint8Array, signal: AbortSignal): Promise<BroadcastAnswer> {
    const answer = await this.#http.send({
      method: 'POST',
      url: this.#at('tx'),
      headers: { 'content-type': 'text/plain' },
      body: toHex(raw),
      ...this.#bounds(TEXT_BYTES_MAX, signal),
    });
    if (answer.status === 200) return { accepted: true, reason: null };
    this.#refuseBusy(answer);
    if (answer.status !== 400) throw this.#badStatus(answer);
    const reason = excerpt(answer.body);
    // The text of bitcoind's error, which this server hands on.
    return { accepted: /"code":\s*-27\b|txn-already-(known|in-mempool)/.test(reason), reason };
  }

  async feerates(signal: AbortSignal): Promise<SourceFeerates | null> {
    const estimates = await this.#estimates(signal);
    if (estimates === null) return null;
    const normal = estimates.rate(String(NORMAL_TARGET_BLOCKS));
    const urgent = estimates.rate(String(URGENT_TARGET_BLOCKS));
    if (normal === null || urgent === null) return null;
    // Satoshi for a virtual byte, which has four weight units.
    return { normalPerKw: Math.ceil(normal * 250), urgentPerKw: Math.ceil(urgent * 250) };
  }

  /** Null from a server that makes none. */
  async #estimates(signal: AbortSignal): Promise<Answer | null> {
    try {
      return new Answer(this.name, this.#json(await this.#get('fee-estimates', TEXT_BYTES_MAX, signal)));
    } catch (error) {
      if (error instanceof SourceError && error.code === 'chain-source-missing') return null;
      throw error;
    }
  }

  changed(_known: ChainPoint, signal: AbortSignal): Promise<void> {
    return sleep(this.#options.pollMs, signal);
  }

  async #checkNetwork(signal: AbortSignal): Promise<void> {
    if (this.#isRightNetwork) return;
    const { genesisHash, networkName } = this.#options;
    if (!equalBytes(await this.#hashAt('block-height/0', signal), genesisHash)) {
      const message = `${this.name} follows another network than the signer's, which is "${networkName}": set url in [chain] to a server of "${networkName}"`;
      throw new SourceError('chain-source-network', message);
    }
    this.#isRightNetwork = true;
  }

  /** The blocks from a height downwards, as many as the server gives at once, with their headers put together again. */
  async #page(
    topHeightBlocks: number,
    signal: AbortSignal,
  ): Promise<{ heightBlocks: number; header: Uint8Array }[]> {
    const items = this.#json(await this.#get(`blocks/${topHeightBlocks}`, PAGE_BYTES_MAX, signal));
    if (!Array.isArray(items) || items.length === 0) throw unexpected(this.name, 'a page of blocks');
    return items.map((item: unknown, i) => {
      const block = new Answer(this.name, item);
      const heightBlocks = block.count('height');
      if (heightBlocks !== topHeightBlocks - i) throw unexpected(this.name, 'the height of a block');
      const header = headerOf(block);
      if (!equalBytes(hash256(header), block.hash('id'))) throw unexpected(this.name, 'a header');
      return { heightBlocks, header };
    });
  }

  async #hashAt(path: string, signal: AbortSignal): Promise<Uint8Array> {
    const { body } = await this.#get(path, TEXT_BYTES_MAX, signal);
    return hashOf(this.name, path, body.toString('latin1').trim());
  }

  async #get(path: string, answerBytesMax: number, signal: AbortSignal): Promise<HttpAnswer> {
    const bounds = this.#bounds(answerBytesMax, signal);
    const answer = await this.#http.send({ method: 'GET', url: this.#at(path), ...bounds });
    if (answer.status === 200) return answer;
    this.#refuseBusy(answer);
    if (answer.status !== 404) throw this.#badStatus(answer);
    throw new SourceError(
      'chain-source-missing',
      `${this.name} does not have ${path}: ${excerpt(answer.body)}`,
    );
  }

  #refuseBusy({ status, retryAfterMs }: HttpAnswer): void {
    if (status !== 429 && status !== 503) return;
    throw new SourceError(
      'chain-source-busy',
      `${this.name} wants fewer requests`,
      { status },
      { retryAfterMs },
    );
  }

  #badStatus({ status, body }: HttpAnswer): SourceError {
    return new SourceError('chain-source-answer', `${this.name}: HTTP status ${status}: ${excerpt(body)}`);
  }

  #json({ body }: HttpAnswer): unknown {
    return parseJson(this.name, body);
  }

  #bounds(answerBytesMax: number, signal: AbortSignal) {
    return { answerBytesMax, signal, timeoutMs: this.#options.timeoutMs ?? TIMEOUT_MS_DEFAULT };
  }

  #at(path: string): URL {
    const base = this.#options.url.href;
    return new URL(path, base.endsWith('/') ? base : `${base}/`);
  }
}

/** The 80 bytes whose fields Esplora gives one by one. */
function headerOf(block: Answer): Uint8Array {
  const header = new Uint8Array(HEADER_BYTES);
  const view = new DataView(header.buffer);
  view.setUint32(0, block.word('version'), true);
  // The first block has none.
  if (block.count('height') > 0) header.set(block.hash('previousblockhash'), 4);
  header.set(block.hash('merkle_root'), 36);
  view.setUint32(68, block.count('timestamp'), true);
  view.setUint32(72, block.count('bits'), true);
  view.setUint32(76, block.count('nonce'), true);
  return header;
}
