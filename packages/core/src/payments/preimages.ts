/**
 * Preimages from the node side. It sends every 32-byte value it writes; one whose SHA-256 is a payment on record is that
 * payment's preimage, whoever says so, and all others are ignored. Known means durable: the reply waits for the commit.
 */
import { sha256, toHex } from '@countersign/bitcoin';
import type { MessageOf } from '@countersign/wire';
import type { Context } from '../context.ts';
import { NODE_ID } from '../ledger/knowledge.ts';
import { EMPTY_NODE, nodeRecords } from '../records/approval.ts';
import { paymentRecords } from '../records/payment.ts';
import type { Release } from '../release.ts';

/** countersign_preimages (4000). The codec bounds how many values one request may bring. */
export function learnPreimages(ctx: Context, request: MessageOf<'countersign_preimages'>): Release {
  markDelivering(ctx);
  const learned = request.preimages.filter((preimage) => learn(ctx, preimage)).length;
  return { kind: 'reply', reply: { name: 'countersign_preimages_reply', learned } };
}

/** True when it was not known before. */
function learn(ctx: Context, preimage: Uint8Array): boolean {
  const hash = toHex(sha256(preimage));
  const payment = ctx.draft.get(paymentRecords, hash);
  if (payment === null || payment.preimage !== null) return false;
  ctx.draft.put(paymentRecords, hash, { ...payment, preimage });
  ctx.events.push({ event: 'preimage-learned', facts: { payment_hash: hash } });
  return true;
}

/**
 * From the first message on, for ever: a node taken over later could otherwise stop the messages and so have removed
 * HTLCs count as failed.
 */
function markDelivering({ draft, events }: Context): void {
  const node = draft.get(nodeRecords, NODE_ID) ?? EMPTY_NODE;
  if (node.deliversPreimages) return;
  draft.put(nodeRecords, NODE_ID, { ...node, deliversPreimages: true });
  events.push({ event: 'preimages-delivered-from-now-on', facts: {} });
}
