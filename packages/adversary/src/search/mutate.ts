/**
 * Requests of a recorded session with something changed: a number, a byte, an item left out or doubled, value moved from
 * one output to another. Transactions stay whole: what is in the PSBT follows.
 */
import type { BitcoinTx, Request } from '@countersign/wire';
import type { WirePsbt } from '../bitcoin/psbt.ts';
import { serializeTx, type Tx } from '../bitcoin/transaction.ts';
import type { Dice } from '../player/dice.ts';

/** Fields that hold a transaction. */
const TX_FIELDS = new Set(['tx', 'psbt']);
const UNSIGNED_TX = 0x00;

export function mutateRequest(request: Request, dice: Dice): Request {
  const fields = Object.keys(request).filter((name) => name !== 'name');
  const field = dice.of(fields);
  if (field === undefined) return request;
  const value: unknown = Reflect.get(request, field);
  const changed = TX_FIELDS.has(field)
    ? mutateTransaction(value as BitcoinTx | WirePsbt, dice)
    : mutate(value, dice);
  return { ...request, [field]: changed };
}

function mutate(value: unknown, dice: Dice): unknown {
  if (typeof value === 'bigint')
    return dice.of([value + 1n, value > 0n ? value - 1n : 1n, value * 2n, value / 2n, 0n]);
  if (typeof value === 'number') return dice.of([value + 1, Math.max(0, value - 1), value * 2, 0]);
  if (typeof value === 'boolean') return !value;
  if (typeof value === 'string') return value === 'local' ? 'remote' : value === 'remote' ? 'local' : value;
  if (value instanceof Uint8Array) return flipped(value, dice);
  if (Array.isArray(value)) return mutateList(value, dice);
  if (typeof value !== 'object' || value === null) return value;
  const field = dice.of(Object.keys(value));
  return field === undefined ? value : { ...value, [field]: mutate(Reflect.get(value, field), dice) };
}

function flipped(bytes: Uint8Array, dice: Dice): Uint8Array {
  const copy = bytes.slice();
  const at = dice.roll(copy.length);
  if (copy.length > 0) copy[at]! ^= 1 << dice.roll(8);
  return copy;
}

function mutateList(list: readonly unknown[], dice: Dice): unknown[] {
  const at = dice.roll(list.length);
  const one = list[at];
  if (one === undefined) return [...list];
  switch (dice.roll(3)) {
    case 0:
      return list.filter((_, i) => i !== at);
    case 1:
      return [...list, one];
    default:
      return list.map((item, i) => (i === at ? mutate(item, dice) : item));
  }
}

function mutateTransaction(value: BitcoinTx | WirePsbt, dice: Dice): BitcoinTx | WirePsbt {
  if ('psbt' in value) {
    const tx = mutateTx(value.tx, dice);
    return { tx: tx as BitcoinTx['tx'], psbt: withTx(value.psbt, tx) };
  }
  return withTx(value, mutateTx(value.unsignedTx, dice));
}

/** The number of outputs stays, so that the PSBT's maps still belong to them. */
function mutateTx(tx: Tx, dice: Dice): Tx {
  const { outputs } = tx;
  const [from, to] = [dice.roll(outputs.length), dice.roll(outputs.length)];
  const part = (outputs[from]?.value ?? 0n) / BigInt(1 + dice.roll(4));
  switch (dice.roll(4)) {
    case 0:
      return { ...tx, locktime: (tx.locktime ^ (1 << dice.roll(24))) >>> 0 };
    case 1:
      return {
        ...tx,
        outputs: outputs.map((one, i) => (i === to ? { ...one, script: flipped(one.script, dice) } : one)),
      };
    default:
      return {
        ...tx,
        outputs: outputs.map((one, i) => ({
          ...one,
          value: one.value - (i === from ? part : 0n) + (i === to ? part : 0n),
        })),
      };
  }
}

function withTx(psbt: WirePsbt, tx: Tx): WirePsbt {
  const unsigned: Tx = {
    ...tx,
    inputs: tx.inputs.map((input) => ({ ...input, scriptSig: new Uint8Array(0), witness: [] })),
  };
  const value = serializeTx(unsigned);
  return {
    ...psbt,
    unsignedTx: unsigned as WirePsbt['unsignedTx'],
    global: psbt.global.map((entry) => (entry.type === UNSIGNED_TX ? { ...entry, value } : entry)),
  };
}
