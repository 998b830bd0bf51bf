/** What an hsmd message is by its number alone: the few that gRPC's two ends treat in their own way. */
import { decodeMessage, encodeMessage } from '@countersign/wire';

/** −1 for a message without one. */
export function typeOf(body: Uint8Array): number {
  return body.length < 2 ? -1 : (body[0]! << 8) | body[1]!;
}

/** A developer's settings before INIT, which nobody answers: CLN's, and the older ones of VLS. */
export function isPreinit(body: Uint8Array): boolean {
  return typeOf(body) === 99;
}

/**
 * INIT as VLS reads it: it knows no fields behind the versions and fails at them. Neither passphrase nor key travels: they open a
 * secret that the signer does not have.
 */
export function initForVls(body: Uint8Array): Uint8Array {
  if (typeOf(body) !== 11) return body;
  const decoded = decodeMessage(body, 'request');
  if (!decoded.ok || decoded.message.name !== 'hsmd_init') return body;
  return encodeMessage({ ...decoded.message, hsmEncryptionKey: undefined, tlvs: {} });
}

/** Questions and deliveries of VLS's chain follower. Its heartbeat (2008) is of a form of its own. */
export function isChainMessage(body: Uint8Array): boolean {
  const type = typeOf(body);
  return (type >= 2002 && type <= 2006) || type === 2009;
}

/** VLS's frontend asks who the signer is. */
export function isNodeInfo(body: Uint8Array): boolean {
  return typeOf(body) === 1012;
}

/** Its chain follower asks where the signer's chain ends. */
export function isTipInfo(body: Uint8Array): boolean {
  return typeOf(body) === 2002;
}

export function isTipInfoReply(body: Uint8Array): boolean {
  return typeOf(body) === 2102;
}
