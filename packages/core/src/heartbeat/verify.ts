/**
 * Verifies a heartbeat with the node id and nothing else. The signature comes first: nothing is parsed for more than an
 * explanation before it is valid.
 */
import { equalBytes, FormError, fromHex, type Secp256k1, toHex } from '@countersign/bitcoin';
import { heartbeatDigest } from '../keys/digests.ts';
import { disclose, type Enclosed } from './envelope.ts';
import { HEARTBEAT_BYTES_MAX, HEARTBEAT_VERSION, type Heartbeat } from './heartbeat.ts';
import { parseJson, readHeartbeat } from './read.ts';

/** Why a heartbeat is not to be believed. */
export type HeartbeatFault =
  /** Not the form of a heartbeat. */
  | 'malformed'
  /** The node's key did not sign this. */
  | 'signature'
  /** Another node's heartbeat, and a valid one. */
  | 'other-node'
  /** Signed, and of a version that this one does not know. */
  | 'version';

/** What a text is worth that claims to be a heartbeat. */
export type HeartbeatVerdict =
  | { readonly ok: true; readonly heartbeat: Heartbeat }
  | { readonly ok: false; readonly fault: HeartbeatFault; readonly message: string };

/** `nodeId`: 33 bytes. Never throws, whatever the text is. */
export function verifyHeartbeat(secp: Secp256k1, text: string, nodeId: Uint8Array): HeartbeatVerdict {
  if (text.length > HEARTBEAT_BYTES_MAX) return no('malformed', 'longer than a heartbeat may be');
  const enclosed = disclose(text);
  if (enclosed === null) return no('malformed', 'not the form of a heartbeat');
  if (!isSignedBy(secp, enclosed, nodeId)) return unsigned(secp, enclosed, nodeId);
  try {
    return judge(enclosed.payload, nodeId);
  } catch (error) {
    if (!(error instanceof FormError)) throw error;
    return no('malformed', `signed, but ${error.message}: ${error.facts.member}`);
  }
}

const no = (fault: HeartbeatFault, message: string): HeartbeatVerdict => ({ ok: false, fault, message });

/** BIP 340 with the node key's x coordinate; which of both points it was, the signed text says. */
function isSignedBy(secp: Secp256k1, { payload, signatureHex }: Enclosed, nodeId: Uint8Array): boolean {
  if (nodeId.length !== 33 || !secp.isPublicKey(nodeId)) return false;
  return secp.verifySchnorr(heartbeatDigest(payload), fromHex(signatureHex), nodeId.subarray(1));
}

function judge(payload: string, nodeId: Uint8Array): HeartbeatVerdict {
  const version = member(payload, 'version');
  if (typeof version === 'number' && version !== HEARTBEAT_VERSION) {
    return no('version', `signed, but of version ${version}, and this is for version ${HEARTBEAT_VERSION}`);
  }
  const heartbeat = readHeartbeat(payload);
  return equalBytes(fromHex(heartbeat.nodeId), nodeId)
    ? { ok: true, heartbeat }
    : otherNode(heartbeat.nodeId);
}

function unsigned(secp: Secp256k1, enclosed: Enclosed, nodeId: Uint8Array): HeartbeatVerdict {
  const named = namedNode(enclosed.payload);
  if (named !== null && toHex(named) !== toHex(nodeId) && isSignedBy(secp, enclosed, named))
    return otherNode(toHex(named));
  return no('signature', 'not signed by this node, or changed since');
}

const otherNode = (id: string): HeartbeatVerdict => no('other-node', `the heartbeat of another node, ${id}`);

/** Only for an explanation: nothing vouches for it. */
function namedNode(payload: string): Uint8Array | null {
  try {
    const named = member(payload, 'nodeId');
    return typeof named === 'string' ? fromHex(named) : null;
  } catch (error) {
    if (!(error instanceof FormError)) throw error;
    return null;
  }
}

function member(payload: string, name: string): unknown {
  const value = parseJson(payload);
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}
