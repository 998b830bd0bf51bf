/** lightningd's Bitcoin backend in the live suite (in place of bcli). Promises to tell lightningd of a block as soon as
 *  bitcoind has it, and fee rates from a file that the scenario writes. */
import { existsSync, readFileSync } from 'node:fs';
import type { JsonValue } from './json-value.ts';
import { numberAt, textAt } from './json-value.ts';
import { type Params, param, runPlugin } from './plugin.ts';
import { type BitcoinEndpoint, callBitcoin, RpcError } from './rpc.ts';
import { sleep } from './wait.ts';

const CALL_TIMEOUT_MS = 60_000;
const BLOCK_WAIT_MS = 20_000;
const FEERATES_INTERVAL_MS = 250;
const BLIND_WAIT_MS = 200;

let endpoint: BitcoinEndpoint = { port: 0, user: '', password: '' };
let feerates_path = '';
let blind_path = '';
let height_missing = -1;
let feerates_asked = 0;

/** The last block that a blind node is told of. */
function heightMax(): number {
  return existsSync(blind_path) ? Number(readFileSync(blind_path, 'utf8')) : Number.MAX_SAFE_INTEGER;
}

function bitcoin(method: string, ...params: JsonValue[]): Promise<JsonValue> {
  return callBitcoin(endpoint, method, params, CALL_TIMEOUT_MS);
}

async function getChainInfo(): Promise<JsonValue> {
  const info = await bitcoin('getblockchaininfo');
  return {
    chain: textAt(info, 'chain'),
    headercount: Math.min(numberAt(info, 'headers'), heightMax()),
    blockcount: Math.min(numberAt(info, 'blocks'), heightMax()),
    ibd: false,
  };
}

/** lightningd must hear once that there is no further block (it then acts on the new tip) and asks again at once, as its
 *  poll interval is 0: that second question waits here for the block. */
async function getRawBlockByHeight(params: Params): Promise<JsonValue> {
  const height = Number(param(params, 'height', 0));
  if (height > heightMax()) await sleep(BLIND_WAIT_MS);
  else if (height === height_missing) await bitcoin('waitforblockheight', height, BLOCK_WAIT_MS);
  // It may have become blind while it waited.
  if (height > heightMax()) return { blockhash: null, block: null };
  try {
    const hash = await bitcoin('getblockhash', height);
    height_missing = -1;
    return { blockhash: hash, block: await bitcoin('getblock', hash, 0) };
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    height_missing = height;
    return { blockhash: null, block: null };
  }
}

/** One fee rate in sat/kvB for every target; only the first question is answered at once, as the poll interval is 0. */
async function estimateFees(): Promise<JsonValue> {
  feerates_asked += 1;
  if (feerates_asked > 1) await sleep(FEERATES_INTERVAL_MS);
  const rate = Number(readFileSync(feerates_path, 'utf8'));
  const feerates = [2, 6, 12, 100].map((blocks) => ({ blocks, feerate: rate }));
  return { feerate_floor: 1000, feerates };
}

async function getUtxout(params: Params): Promise<JsonValue> {
  const out = await bitcoin('gettxout', String(param(params, 'txid', 0)), Number(param(params, 'vout', 1)));
  if (out === null) return { amount: null, script: null };
  return {
    amount: Math.round(numberAt(out, 'value') * 100_000_000),
    script: textAt(out, 'scriptPubKey', 'hex'),
  };
}

async function sendRawTransaction(params: Params): Promise<JsonValue> {
  try {
    await bitcoin('sendrawtransaction', String(param(params, 'tx', 0)), 0);
    return { success: true, errmsg: '' };
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    // -27: already in the chain, which is what the caller wants.
    return { success: error.code === -27, errmsg: error.message };
  }
}

runPlugin({
  options: [
    { name: 'live-bitcoind', default: '', description: 'port:user:password' },
    { name: 'live-feerates', default: '', description: 'file with one fee rate in sat/kvB' },
    { name: 'live-blind', default: '', description: 'file with the last height to tell of, where it exists' },
  ],
  methods: {
    getchaininfo: getChainInfo,
    getrawblockbyheight: getRawBlockByHeight,
    estimatefees: estimateFees,
    getutxout: getUtxout,
    sendrawtransaction: sendRawTransaction,
  },
  hooks: {},
  start: (options) => {
    const [port, user, password] = (options.get('live-bitcoind') ?? '').split(':');
    endpoint = { port: Number(port), user: user ?? '', password: password ?? '' };
    feerates_path = options.get('live-feerates') ?? '';
    blind_path = options.get('live-blind') ?? '';
  },
});
