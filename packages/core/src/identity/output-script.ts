/**
 * get_output_scriptpubkey (24): the script of our output in a commitment the peer published, for lightningd's
 * database migrations. CLN answers with the P2WPKH form whatever the channel type.
 */
import { p2wpkhOfKey } from '@countersign/bitcoin';
import type { MessageOf } from '@countersign/wire';
import type { Context } from '../context.ts';
import { malformed } from '../form.ts';
import type { Release } from '../release.ts';

export function getOutputScriptpubkey(
  ctx: Context,
  request: MessageOf<'hsmd_get_output_scriptpubkey'>,
): Release {
  const point = request.commitmentPoint ?? null;
  if (point !== null && !ctx.secp.isPublicKey(point))
    malformed('the commitment point is no point on the curve');
  const key = ctx.keys.paymentPublicKey({ peerId: request.peerId, dbid: request.channelId }, point);
  return { kind: 'reply', reply: { name: 'hsmd_get_output_scriptpubkey_reply', script: p2wpkhOfKey(key) } };
}
