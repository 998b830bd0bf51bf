/**
 * A bitcoind on the loopback interface as far as the follower speaks with one, with a chain of the test's making, and with
 * whatever faults a test asks for.
 */
import { EventEmitter, once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hash256, parseTransaction, serializeNoWitness, toHex } from '@countersign/bitcoin';
import type { MinedChain } from '../../core/test/mined-chain.ts';
import { freePort } from '../../transport/test/free-port.ts';

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

interface Call {
  readonly id: number;
  readonly method: string;
  readonly params: readonly (string | number | boolean)[];
}

class RpcFault extends Error {
  readonly rpcCode: number;
  readonly status: number;

  constructor(rpcCode: number, message: string, status = 500) {
    super(message);
    this.rpcCode = rpcCode;
    this.status = status;
  }
}

/** Instead of the answer to a whole request. */
export type HttpFault = (response: ServerResponse) => void | Promise<void>;

const texts = new WeakMap<Uint8Array, string>();

/** As bitcoind shows a hash. */
export function displayed(hash: Uint8Array): string {
  const known = texts.get(hash);
  if (known !== undefined) return known;
  const text = toHex(Uint8Array.from(hash).reverse());
  texts.set(hash, text);
  return text;
}

export class FakeBitcoind {
  chain: MinedChain;
  cookie = '__cookie__:first';
  chainName = 'regtest';
  isDownloading = false;
  /** Blocks below are pruned. */
  pruneHeight = 0;
  waits = true;
  /** BTC per kvB for each block of the target; null: no estimate. */
  feerate: number | null = null;
  /** Raw transactions in hex that were taken. */
  mempool: string[] = [];
  /** Every method called, in order. */
  calls: string[] = [];
  fault: (methods: readonly string[]) => HttpFault | undefined = () => undefined;
  rpcFault: (call: Call) => { code: number; message: string } | undefined = () => undefined;
  beforeAnswer: (call: Call) => void = () => {};
  readonly #server: Server;
  readonly #mined = new EventEmitter();

  private constructor(chain: MinedChain, server: Server) {
    this.chain = chain;
    this.#server = server;
    this.#mined.setMaxListeners(0);
    server.on('request', (request, response) => void this.#serve(request, response));
  }

  static async start(chain: MinedChain, port?: number): Promise<FakeBitcoind> {
    const server = createServer();
    const fake = new FakeBitcoind(chain, server);
    server.listen(port ?? (await freePort()), '127.0.0.1');
    await once(server, 'listening');
    return fake;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): URL {
    return new URL(`http://127.0.0.1:${this.port}/`);
  }

  /** Another best chain, or more blocks of the same: whoever waits is told. */
  follow(chain: MinedChain): void {
    this.chain = chain;
    this.#mined.emit('block');
  }

  mine(count = 1): void {
    this.chain.extendBy(count);
    this.#mined.emit('block');
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => {});
    const parts: Buffer[] = [];
    try {
      for await (const part of request) parts.push(part as Buffer);
    } catch {
      return;
    }
    const asked = JSON.parse(Buffer.concat(parts).toString('utf8')) as Call | Call[];
    const methods = [asked].flat().map(({ method }) => method);
    this.calls.push(...methods);
    const expected = `Basic ${Buffer.from(this.cookie).toString('base64')}`;
    if (request.headers.authorization !== expected) return void response.writeHead(401).end();
    const fault = this.fault(methods);
    if (fault !== undefined) return fault(response);
    const answers = await Promise.all([asked].flat().map((call) => this.#answer(call)));
    const isBatch = Array.isArray(asked);
    const status = isBatch ? 200 : (answers[0]!.status ?? 200);
    const bodies = answers.map(({ body }) => body);
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(isBatch ? bodies : bodies[0]));
  }

  async #answer(call: Call): Promise<{ status?: number; body: Json }> {
    const { id } = call;
    try {
      const fault = this.rpcFault(call);
      if (fault !== undefined) throw new RpcFault(fault.code, fault.message);
      this.beforeAnswer(call);
      return { body: { result: await this.#result(call), error: null, id } };
    } catch (error) {
      if (!(error instanceof RpcFault)) throw error;
      return {
        status: error.status,
        body: { result: null, error: { code: error.rpcCode, message: error.message }, id },
      };
    }
  }

  #result({ method, params }: Call): Json | Promise<Json> {
    switch (method) {
      case 'getblockchaininfo':
        return this.#info();
      case 'getblockhash':
        return displayed(this.#blockAt(Number(params[0])).hash);
      case 'getblockheader':
        return toHex(this.#block(String(params[0])).header);
      case 'getblock':
        return this.#raw(String(params[0]));
      case 'sendrawtransaction':
        this.mempool.push(String(params[0]));
        return displayed(
          hash256(serializeNoWitness(parseTransaction(Buffer.from(String(params[0]), 'hex')))),
        );
      case 'estimatesmartfee':
        return this.feerate === null
          ? { errors: ['Insufficient data'] }
          : { feerate: this.feerate * Number(params[0]) };
      case 'waitforblockheight':
        if (this.waits) return this.#wait(Number(params[0]), Number(params[1]));
        throw new RpcFault(-32601, 'Method not found', 404);
      default:
        throw new RpcFault(-32601, 'Method not found', 404);
    }
  }

  #info(): Json {
    return {
      chain: this.chainName,
      blocks: this.chain.tip.heightBlocks,
      headers: this.chain.tip.heightBlocks,
      bestblockhash: displayed(this.chain.tip.hash),
      initialblockdownload: this.isDownloading,
      pruned: this.pruneHeight > 0,
    };
  }

  #blockAt(height: number) {
    const block = this.chain.blocks[height];
    if (block === undefined) throw new RpcFault(-8, 'Block height out of range');
    return block;
  }

  #block(hash: string) {
    const block = this.chain.blocks.find((one) => displayed(one.hash) === hash);
    if (block === undefined) throw new RpcFault(-5, 'Block not found');
    return block;
  }

  #raw(hash: string): string {
    const block = this.#block(hash);
    if (block.heightBlocks < this.pruneHeight) throw new RpcFault(-1, 'Block not available (pruned data)');
    return toHex(block.raw);
  }

  async #wait(height: number, timeoutMs: number): Promise<Json> {
    const signal = AbortSignal.timeout(timeoutMs);
    try {
      while (this.chain.tip.heightBlocks < height) await once(this.#mined, 'block', { signal });
    } catch {
      // Answers with what there is.
    }
    return { hash: displayed(this.chain.tip.hash), height: this.chain.tip.heightBlocks };
  }
}
