/**
 * Paid hashes and invoices of ours go from the record once nobody takes a payment for them any more (`mayRetire`). Every block of the
 * chain's end looks at a part of all payments, each within 256 blocks, so that no block has much to do.
 */
import type { ChainPlace } from '../chain/input.ts';
import { chainViewOf, type Read } from '../chain/view-of.ts';
import { paymentRecords } from '../records/payment.ts';
import { mayRetire } from './retirement.ts';

/** Payment hashes that one block looks at; a payer can choose hashes that begin alike. */
export const LOOKED_AT_MAX = 1024;
const PARTS = 256;

/** `blockHash`: where to begin if there are too many, which nobody can choose. */
export function retirePayments(place: ChainPlace, heightBlocks: number, blockHash: Uint8Array): void {
  const { draft, watch, policy, nowSeconds, events } = place;
  const read: Read = (kind, id) => draft.get(kind, id);
  const chain = chainViewOf(read, policy, nowSeconds);
  const prefix = (heightBlocks % PARTS).toString(16).padStart(2, '0');
  let retired = 0;
  for (const hash of someOf(watch.ids(paymentRecords.name, prefix), blockHash)) {
    const record = draft.get(paymentRecords, hash);
    if (record === null || !mayRetire(record, nowSeconds, chain)) continue;
    draft.put(paymentRecords, hash, null);
    retired += 1;
  }
  if (retired > 0)
    events.push({ event: 'payments-retired', facts: { payments: retired, height: heightBlocks } });
}

function someOf(ids: readonly string[], blockHash: Uint8Array): readonly string[] {
  if (ids.length <= LOOKED_AT_MAX) return ids;
  const at = new DataView(blockHash.buffer, blockHash.byteOffset).getUint32(0) % ids.length;
  return [...ids.slice(at), ...ids.slice(0, at)].slice(0, LOOKED_AT_MAX);
}
