/**
 * INIT as a signer that comes back must hear it before anything else: with the version that was negotiated and no other, as
 * VLS's node side says it. It must turn out to be the same node.
 */
import { equalBytes } from '@countersign/bitcoin';
import { decodeMessage, encodeMessage, type MessageOf } from '@countersign/wire';
import { LinkError } from '../link/error.ts';

/**
 * What VLS reads of INIT: it knows no fields behind the versions and fails at them. Neither passphrase nor key travels: they open
 * a secret that the signer does not have.
 */
export function initForVls(body: Uint8Array): Uint8Array {
  const decoded = decodeMessage(body, 'request');
  if (!decoded.ok || decoded.message.name !== 'hsmd_init') return body;
  return encodeMessage({ ...decoded.message, hsmEncryptionKey: undefined, tlvs: {} });
}

/** hsmd_init and VLS's own (for LDK); neither may be said twice on one stream. */
export function isInit(body: Uint8Array): boolean {
  const type = typeOf(body);
  return type === 11 || type === 1011;
}

export function typeOf(body: Uint8Array): number {
  return body.length < 2 ? -1 : (body[0]! << 8) | body[1]!;
}

export class InitReplay {
  readonly body: Uint8Array;
  readonly #nodeId: Uint8Array;

  private constructor(body: Uint8Array, nodeId: Uint8Array) {
    this.body = body;
    this.#nodeId = nodeId;
  }

  /** From what lightningd asked and what it was answered. Null when the answer was no. */
  static from(body: Uint8Array, reply: Uint8Array): InitReplay | null {
    const started = startedBy(reply);
    if (started === null) return null;
    return new InitReplay(pinVersion(body, started), Uint8Array.from(started.nodeId));
  }

  /** Throws `link-stranger` unless the signer that came back is the one that left. */
  check(reply: Uint8Array): void {
    const started = startedBy(reply);
    if (started === null)
      throw new LinkError('link-stranger', 'the signer that came back did not accept INIT');
    if (!equalBytes(started.nodeId, this.#nodeId))
      throw new LinkError('link-stranger', 'the signer that came back has the keys of another node');
  }
}

type Started = MessageOf<'hsmd_init_reply_v4' | 'vls_hsmd_init_reply_v2' | 'vls_hsmd_init2_reply'>;

function startedBy(reply: Uint8Array): Started | null {
  const decoded = decodeMessage(reply, 'reply');
  if (!decoded.ok) return null;
  const { message } = decoded;
  switch (message.name) {
    case 'hsmd_init_reply_v4':
    case 'vls_hsmd_init_reply_v2':
    case 'vls_hsmd_init2_reply':
      return message;
    default:
      return null;
  }
}

/** Replies without a version have nothing to pin. */
function pinVersion(body: Uint8Array, started: Started): Uint8Array {
  const decoded = decodeMessage(body, 'request');
  if (!decoded.ok || decoded.message.name !== 'hsmd_init' || started.name !== 'hsmd_init_reply_v4')
    return body;
  const { hsmVersion } = started;
  return encodeMessage({
    ...decoded.message,
    hsmWireMinVersion: hsmVersion,
    hsmWireMaxVersion: hsmVersion,
  });
}
