/**
 * A request in a line: its name, and what of it a reader can use. Transactions become sums, keys and signatures their first
 * bytes; nothing of it is long.
 */
import type { Request } from '@countersign/wire';
import { toHex } from '../bitcoin/bytes.ts';
import type { Client, Outcome } from '../subject.ts';

const FIELDS_MAX = 6;
const BYTES_SHOWN = 6;
const TEXT_CHARS_MAX = 24;
/** Whole lines of a message are longer than a page is wide. */
const MESSAGE_CHARS_MAX = 160;
/** They say nothing that the other fields do not. */
const SILENT = ['name', 'psbt', 'wscript', 'peerid', 'peerId', 'id'];

export function requestWords(request: Request): string {
  const fields = Object.entries(request)
    .filter(([name]) => !SILENT.includes(name))
    .flatMap(([name, value]) => {
      const words = valueWords(value);
      return words === null ? [] : [`${name} ${words}`];
    });
  const shown = fields.slice(0, FIELDS_MAX).join(', ');
  return shown === '' ? request.name : `${request.name}: ${shown}`;
}

/** Null: nothing that a line could say. */
function valueWords(value: unknown): string | null {
  switch (typeof value) {
    case 'number':
    case 'bigint':
    case 'boolean':
      return `${value}`;
    case 'string':
      return value.length > TEXT_CHARS_MAX ? `${value.slice(0, TEXT_CHARS_MAX)}…` : value;
    case 'object':
      return objectWords(value);
    default:
      return null;
  }
}

function objectWords(value: object | null): string | null {
  if (value === null) return null;
  if (value instanceof Uint8Array) {
    const start = toHex(value.subarray(0, BYTES_SHOWN));
    return value.length > BYTES_SHOWN ? `${start}…` : start;
  }
  if (Array.isArray(value)) return listWords(value);
  if ('tx' in value && typeof value.tx === 'object' && value.tx !== null) return transactionWords(value.tx);
  return null;
}

function listWords(list: readonly unknown[]): string {
  const amounts = list.flatMap((one) => {
    const isHtlc = typeof one === 'object' && one !== null && 'side' in one && 'amount' in one;
    return isHtlc ? [`${one.side} ${String(one.amount)} msat`] : [];
  });
  if (amounts.length === 0) return `(${list.length})`;
  const rest = amounts.length > 3 ? `, … ${amounts.length} in all` : '';
  return `(${amounts.slice(0, 3).join(', ')}${rest})`;
}

function transactionWords(tx: object): string | null {
  if (!('inputs' in tx) || !Array.isArray(tx.inputs) || !('outputs' in tx) || !Array.isArray(tx.outputs))
    return null;
  const values = tx.outputs.map((output: unknown) =>
    typeof output === 'object' && output !== null && 'value' in output ? String(output.value) : '?',
  );
  const shown = values.length > 6 ? [...values.slice(0, 6), '…'] : values;
  return `of ${tx.inputs.length} in, ${shown.join(' + ') || 'nothing'} sat out`;
}

export function outcomeWords(outcome: Outcome): string {
  if (outcome.kind === 'reply') return 'granted';
  const { message, isTemporary } = outcome;
  const text = message.length > MESSAGE_CHARS_MAX ? `${message.slice(0, MESSAGE_CHARS_MAX)}…` : message;
  return isTemporary ? `refused for now: ${text}` : `refused: ${text}`;
}

export function clientWords({ channel }: Client): string {
  return channel === null ? 'node' : `channel ${channel.dbid}`;
}
