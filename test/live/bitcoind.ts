/** A bitcoind on a fresh regtest chain, without a wallet: coins come from coinbases that anyone can spend. Promises a mature
 *  chain after start, and that a coin handed out is confirmed. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../packages/transport/test/free-port.ts';
import { Daemon } from './daemon.ts';
import { type JsonValue, listAt, numberAt, textAt } from './json-value.ts';
import { type BitcoinEndpoint, callBitcoin, LostError, RpcError } from './rpc.ts';
import { until } from './wait.ts';

const START_TIMEOUT_MS = 30_000;
const CALL_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 15_000;
/** Coinbases can be spent after 100 blocks; the rest are the coins that scenarios may hand out. */
const BLOCKS_AT_START = 116;
/** As `ANYONE`, for the blocks of another branch: with the same content a block would be the very one that was left. */
const ANYONE_ELSEWHERE = 'raw(52)';
/** A bare OP_TRUE output: spent with an empty scriptSig, in a block only (not standard, so never in the mempool). */
const ANYONE = 'raw(51)';
const COINBASE_SAT = 5_000_000_000;

export class Bitcoind {
  readonly endpoint: BitcoinEndpoint;
  readonly log_path: string;
  readonly #daemon: Daemon;
  #coinbase_height_next = 1;
  /** Blocks with coins are made one after another: each needs the tip for itself. */
  #funding: Promise<unknown> = Promise.resolve();

  private constructor(endpoint: BitcoinEndpoint, log_path: string, daemon: Daemon) {
    this.endpoint = endpoint;
    this.log_path = log_path;
    this.#daemon = daemon;
  }

  static async start(program: string, directory: string): Promise<Bitcoind> {
    mkdirSync(directory, { recursive: true });
    const endpoint = { port: await freePort(), user: 'live', password: 'live' };
    const log_path = join(directory, 'output');
    const daemon = new Daemon(
      'bitcoind',
      program,
      [
        '-regtest',
        `-datadir=${directory}`,
        '-server',
        '-listen=0',
        '-dnsseed=0',
        '-txindex=1',
        '-rpcbind=127.0.0.1',
        '-rpcallowip=127.0.0.1',
        `-rpcport=${endpoint.port}`,
        `-rpcuser=${endpoint.user}`,
        `-rpcpassword=${endpoint.password}`,
        '-rpcthreads=16',
        '-rpcworkqueue=128',
        '-printtoconsole=0',
        // lightningd's lowest fee rates are under Core's usual minimum.
        '-minrelaytxfee=0.000005',
        '-blockmintxfee=0.000001',
      ],
      log_path,
    );
    const bitcoind = new Bitcoind(endpoint, log_path, daemon);
    await until('bitcoind to answer', START_TIMEOUT_MS, () => bitcoind.#answers());
    await bitcoind.mine(BLOCKS_AT_START);
    return bitcoind;
  }

  async #answers(): Promise<boolean> {
    if (this.#daemon.ended !== undefined) throw new LostError(`bitcoind ended: ${this.#daemon.ended}`);
    try {
      await this.call('getblockcount');
      return true;
    } catch (error) {
      if (error instanceof LostError || (error instanceof RpcError && error.code === -28)) return false;
      throw error;
    }
  }

  call(method: string, ...params: JsonValue[]): Promise<JsonValue> {
    return callBitcoin(this.endpoint, method, params, CALL_TIMEOUT_MS);
  }

  async height(): Promise<number> {
    return (await this.call('getblockcount')) as number;
  }

  async mine(blocks: number): Promise<void> {
    await this.call('generatetodescriptor', blocks, ANYONE);
  }

  async mempool(): Promise<string[]> {
    return (await this.call('getrawmempool')) as string[];
  }

  /** Waits until the mempool holds at least so many transactions, and gives their ids. */
  mempoolOf(transactions_min: number, timeout_ms = 20_000): Promise<string[]> {
    return until(`${transactions_min} transactions in the mempool`, timeout_ms, async () => {
      const txids = await this.mempool();
      return txids.length >= transactions_min ? txids : undefined;
    });
  }

  /** A block that holds exactly these transactions (raw hex or txids from the mempool). */
  async mineOnly(transactions: string[]): Promise<void> {
    await this.call('generateblock', ANYONE, transactions);
  }

  /** The newest blocks are left for a branch that is one longer. What was in them is in the mempool, and goes into the first
   *  block of the branch, or after so many blocks without anything. */
  async reorganise(depth: number, empty = 0): Promise<void> {
    const fork = (await this.height()) - depth;
    await this.call('invalidateblock', await this.call('getblockhash', fork + 1));
    for (let i = 0; i < empty; i++) await this.call('generateblock', ANYONE_ELSEWHERE, []);
    await this.call('generatetodescriptor', depth + 1 - empty, ANYONE_ELSEWHERE);
  }

  /** The decoded transaction, from the mempool or the chain. */
  transaction(txid: string): Promise<JsonValue> {
    return this.call('getrawtransaction', txid, true);
  }

  /** Pays one coin of `amount_sat` to each address, in one block. */
  fund(addresses: string[], amount_sat: number): Promise<string> {
    const funded = this.#funding.then(() => this.#fund(addresses, amount_sat));
    this.#funding = funded.catch(() => undefined);
    return funded;
  }

  async #fund(addresses: string[], amount_sat: number): Promise<string> {
    const hash = await this.call('getblockhash', this.#coinbase_height_next);
    this.#coinbase_height_next += 1;
    const txid = textAt(await this.call('getblock', hash), 'tx', 0);
    const total_sat = amount_sat * addresses.length;
    if (total_sat > COINBASE_SAT) throw new RangeError(`${total_sat} sat is more than a coinbase`);
    const outputs = addresses.map((address) => ({ [address]: amount_sat / 100_000_000 }));
    const raw = (await this.call('createrawtransaction', [{ txid, vout: 0 }], outputs)) as string;
    await this.mineOnly([raw]);
    return textAt(await this.call('decoderawtransaction', raw), 'txid');
  }

  /** The mempool entries' sizes and fees, for judging a package. */
  async entry(
    txid: string,
  ): Promise<{ vsize: number; fee_sat: number; ancestor_fee_sat: number; ancestor_vsize: number }> {
    const entry = await this.call('getmempoolentry', txid);
    return {
      vsize: numberAt(entry, 'vsize'),
      fee_sat: Math.round(numberAt(entry, 'fees', 'base') * 100_000_000),
      ancestor_fee_sat: Math.round(numberAt(entry, 'fees', 'ancestor') * 100_000_000),
      ancestor_vsize: numberAt(entry, 'ancestorsize'),
    };
  }

  /** Whether the transaction spends the other one. */
  async spends(txid: string, parent_txid: string): Promise<boolean> {
    const inputs = listAt(await this.transaction(txid), 'vin');
    return inputs.some((input) => textAt(input, 'txid') === parent_txid);
  }

  async stop(): Promise<void> {
    try {
      await this.call('stop');
      await this.#daemon.waitForEnd(STOP_TIMEOUT_MS);
    } finally {
      this.#daemon.killGroup();
    }
  }
}
