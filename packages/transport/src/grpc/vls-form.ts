/**
 * What VLS's node side (`remote_hsmd_socket`) can carry, and what ends it. It decodes every request and the reply to INIT, dies of a
 * message that it does not know or that has a field too many, and its frontend asks questions of its own.
 */
import { decodeMessage, encodeMessage, type MessageOf } from '@countersign/wire';
import { typeOf } from './message-type.ts';

/** Of what a signer may offer beyond the base protocol: the requests in VLS's table. Others would end its node side. */
const CARRIED_CAPABILITIES: readonly number[] = [28, 29, 32, 34, 40, 41, 142, 143, 144, 146, 147, 149];

/** lightningd's EXITCODE_HSM_GENERIC_ERROR: it prints the text and exits with this. */
const GENERIC_ERROR_CODE = 20;

type Started = MessageOf<'hsmd_init_reply_v4'>;

/**
 * The reply to INIT: without the fields and the capabilities that VLS's node side does not know. Null for any other reply. A secret
 * with a BIP 86 wallet is refused: the node would not hear of it, and take coins at addresses that are not its own.
 */
export function initReplyForVls(reply: Uint8Array): Started | MessageOf<'hsmd_init_reply_failure'> | null {
  if (typeOf(reply) !== 114) return null;
  const decoded = decodeMessage(reply, 'reply');
  if (!decoded.ok || decoded.message.name !== 'hsmd_init_reply_v4') return null;
  const { message } = decoded;
  if (message.tlvs.bip86Base !== undefined) {
    const errorMessage =
      'countersign: the secret has a BIP 86 wallet, of which VLS cannot tell the node: use one of 32 bytes, or transport = "link"';
    return { name: 'hsmd_init_reply_failure', errorCode: GENERIC_ERROR_CODE, errorMessage };
  }
  const hsmCapabilities = message.hsmCapabilities.filter((one) => CARRIED_CAPABILITIES.includes(one));
  return { ...message, hsmCapabilities, tlvs: {} };
}

export function nodeInfoReply(networkName: string, started: Started): Uint8Array {
  const { nodeId, bip32 } = started;
  return encodeMessage({ name: 'vls_node_info_reply', networkName, nodeId, bip32 });
}

export function tipInfoReply(height: number, blockHash: Uint8Array): Uint8Array {
  return encodeMessage({ name: 'vls_tip_info_reply', height, blockHash });
}
