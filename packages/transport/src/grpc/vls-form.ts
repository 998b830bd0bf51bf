/**
 * What VLS's node side (`remote_hsmd_socket`) can carry, and what ends it. It decodes every request and the reply to INIT, dies of a
 * message that it does not know or that has a field too many, and its frontend asks questions of its own.
 */
import { decodeMessage, encodeMessage, type MessageOf } from '@countersign/wire';
import { typeOf } from './init-replay.ts';

/** Of what a signer may offer beyond the base protocol: the requests in VLS's table. Others would end its node side. */
const CARRIED_CAPABILITIES: readonly number[] = [28, 29, 32, 34, 40, 41, 142, 143, 144, 146, 147, 149];

/** Older and newer developer's settings: VLS's node side waits for no answer, and ends when it gets one. */
export function isPreinit(body: Uint8Array): boolean {
  return typeOf(body) === 99;
}

/** Questions and deliveries of VLS's chain follower (2002–2006, 2009). Its heartbeat (2008) is of a form of its own. */
export function isChainMessage(body: Uint8Array): boolean {
  const type = typeOf(body);
  return (type >= 2002 && type <= 2006) || type === 2009;
}

export function isNodeInfo(body: Uint8Array): boolean {
  return typeOf(body) === 1012;
}

/** The reply to INIT: without the fields and the capabilities that VLS's node side does not know. Null for any other reply. */
export function initReplyForVls(reply: Uint8Array): MessageOf<'hsmd_init_reply_v4'> | null {
  if (typeOf(reply) !== 114) return null;
  const decoded = decodeMessage(reply, 'reply');
  if (!decoded.ok || decoded.message.name !== 'hsmd_init_reply_v4') return null;
  const { message } = decoded;
  const hsmCapabilities = message.hsmCapabilities.filter((one) => CARRIED_CAPABILITIES.includes(one));
  return { ...message, hsmCapabilities, tlvs: {} };
}

export function nodeInfoReply(networkName: string, started: MessageOf<'hsmd_init_reply_v4'>): Uint8Array {
  const { nodeId, bip32 } = started;
  return encodeMessage({ name: 'vls_node_info_reply', networkName, nodeId, bip32 });
}
