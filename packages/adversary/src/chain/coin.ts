/**
 * Unspent outputs, and what a transaction must fulfil to spend them: they exist, values, maturity, locktimes of both
 * kinds, scripts. Sources: Bitcoin Core `consensus/tx_verify.cpp`, BIP 65, 68, 113.
 */
import { type OutPoint, outpointKey, type Tx, type TxOutput } from '../bitcoin/transaction.ts';
import { whyInputFails } from './interpreter.ts';

export interface Coin extends TxOutput {
  /** Of its block; of the next block while it is not confirmed. */
  readonly height: number;
  readonly isCoinbase: boolean;
}

/** What validity is judged against: the block that would come next. */
export interface ChainView {
  readonly nextHeight: number;
  /** BIP 113's time of the tip. */
  readonly medianTimeSeconds: number;
  /** BIP 113's time of the block of a height in this chain. */
  medianTimeAt(height: number): number;
  coin(outpoint: OutPoint): Coin | undefined;
}

export type Refusal = {
  readonly reason:
    | 'malformed'
    | 'missing-input'
    | 'immature'
    | 'value'
    | 'non-final'
    | 'sequence-lock'
    | 'script'
    /** The mempool's: known already, conflicts without paying enough, pays too little. */
    | 'known'
    | 'replacement'
    | 'feerate';
  readonly detail: string;
};

export type Judgement = { readonly feeSat: bigint; readonly spent: readonly Coin[] } | Refusal;

const COINBASE_MATURITY = 100;
const LOCKTIME_THRESHOLD = 500_000_000;
const SEQUENCE_FINAL = 0xffffffff;
const SEQUENCE_DISABLED = 2 ** 31;
const SEQUENCE_IS_TIME = 1 << 22;
const SEQUENCE_MASK = 0xffff;
const SEQUENCE_TIME_SHIFT = 9;
const MONEY_MAX = 2_100_000_000_000_000n;

/** Undefined: valid. Whether scripts hold depends on the transaction alone: its inputs' ids commit to what they spend. */
const scriptFaults = new WeakMap<Tx, string | null>();

function scriptFault(tx: Tx, spent: readonly TxOutput[]): string | null {
  let found = scriptFaults.get(tx);
  if (found === undefined) {
    found = null;
    for (let index = 0; found === null && index < tx.inputs.length; index++) {
      const fault = whyInputFails(tx, index, spent);
      if (fault !== undefined) found = `input ${index}: ${fault}`;
    }
    scriptFaults.set(tx, found);
  }
  return found;
}

const refusal = (reason: Refusal['reason'], detail = ''): Refusal => ({ reason, detail });

/** Whether the transaction may be in the next block. */
export function judge(tx: Tx, view: ChainView): Judgement {
  const malformed = formFault(tx);
  if (malformed !== undefined) return refusal('malformed', malformed);
  const spent: Coin[] = [];
  for (const input of tx.inputs) {
    const coin = view.coin(input);
    if (coin === undefined) return refusal('missing-input', outpointKey(input));
    if (coin.isCoinbase && view.nextHeight - coin.height < COINBASE_MATURITY)
      return refusal('immature', outpointKey(input));
    spent.push(coin);
  }
  const feeSat = sum(spent) - sum(tx.outputs);
  if (feeSat < 0n) return refusal('value', `${-feeSat} sat more out than in`);
  if (!isFinal(tx, view)) return refusal('non-final', `locktime ${tx.locktime}`);
  const locked = tx.inputs.findIndex(
    ({ sequence }, i) => !isSequenceMet(tx, sequence, spent[i] as Coin, view),
  );
  if (locked !== -1) return refusal('sequence-lock', `input ${locked}`);
  const fault = scriptFault(tx, spent);
  return fault === null ? { feeSat, spent } : refusal('script', fault);
}

const sum = (outputs: readonly TxOutput[]): bigint => outputs.reduce((total, { value }) => total + value, 0n);

function formFault(tx: Tx): string | undefined {
  if (tx.inputs.length === 0 || tx.outputs.length === 0) return 'no inputs or no outputs';
  if (tx.outputs.some(({ value }) => value < 0n) || sum(tx.outputs) > MONEY_MAX) return 'values out of range';
  if (new Set(tx.inputs.map(outpointKey)).size !== tx.inputs.length) return 'an outpoint twice';
  return undefined;
}

function isFinal({ locktime, inputs }: Tx, view: ChainView): boolean {
  const reached = locktime < LOCKTIME_THRESHOLD ? view.nextHeight : view.medianTimeSeconds;
  return locktime === 0 || locktime < reached || inputs.every(({ sequence }) => sequence === SEQUENCE_FINAL);
}

/** BIP 68. */
function isSequenceMet(tx: Tx, sequence: number, coin: Coin, view: ChainView): boolean {
  if (tx.version >>> 0 < 2 || sequence >= SEQUENCE_DISABLED) return true;
  const wanted = sequence & SEQUENCE_MASK;
  if ((sequence & SEQUENCE_IS_TIME) === 0) return view.nextHeight >= coin.height + wanted;
  const since = view.medianTimeAt(Math.max(coin.height - 1, 0));
  return view.medianTimeSeconds >= since + wanted * 2 ** SEQUENCE_TIME_SHIFT;
}
