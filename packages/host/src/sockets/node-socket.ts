/**
 * What the node side may say beside lightningd's own sockets: `node.sock`, frames as on the hsmd wire. It takes
 * preimages and nothing else; whoever asks for more gets a refusal, and its connection ends.
 */
import type { Socket } from 'node:net';
import {
  type ClientIdentity,
  malformedRefusal,
  PERMISSION,
  REFUSAL_WIRE_CODE,
  type Refusal,
  refusalText,
} from '@countersign/core';
import { FrameSocket, UnixListener } from '@countersign/transport';
import { decodeMessage, encodeMessage, type MessageOf, PREIMAGES_MAX, type Reply } from '@countersign/wire';
import type { Answer } from '../signer.ts';

export const NODE_SOCKET = 'node.sock';
export const NODE_CONNECTIONS_MAX = 16;
/** The plugin is silent while lightningd writes nothing; it connects again when it has something to say. */
export const NODE_IDLE_MS = 10 * 60_000;
/** A full message of preimages, and little more. */
export const NODE_FRAME_BYTES_MAX = 1024 + 32 * PREIMAGES_MAX;

/** The node's permission, not lightningd's own client: nothing here signs gossip or does an ECDH. */
const NODE_SIDE: ClientIdentity = { channel: null, permissions: PERMISSION.MASTER };

/** The part of the signer that the node side reaches. */
export interface NodeSide {
  answer(client: ClientIdentity, request: MessageOf<'countersign_preimages'>): Promise<Answer>;
  recordRefusal(refusal: Refusal): number | null;
}

export interface NodeSocketOptions {
  readonly path: string;
  readonly signer: NodeSide;
  /** A bug of ours: the process must end. */
  readonly onBug: (error: unknown) => void;
  readonly idleMs?: number;
}

/** Rejects with `SocketError`. */
export function openNodeSocket(options: NodeSocketOptions): Promise<UnixListener> {
  return UnixListener.open({
    path: options.path,
    connectionsMax: NODE_CONNECTIONS_MAX,
    idleMs: options.idleMs ?? NODE_IDLE_MS,
    onConnection: (socket) => serve(socket, options),
  });
}

function serve(socket: Socket, { signer, onBug }: NodeSocketOptions): void {
  const frames = new FrameSocket(socket, {
    frameBytesMax: NODE_FRAME_BYTES_MAX,
    sendQueuePauseBytes: 0,
    sendQueueBytesMax: NODE_FRAME_BYTES_MAX,
  });
  frames.start({
    frame: async (body) => {
      try {
        await answer(frames, signer, body);
      } catch (error) {
        onBug(error);
      }
    },
    closed: () => {},
  });
}

async function answer(frames: FrameSocket, signer: NodeSide, body: Uint8Array): Promise<void> {
  const asked = preimagesOf(body);
  if (asked.name !== 'countersign_preimages') {
    signer.recordRefusal(asked.refusal);
    frames.send(encodeMessage(refused(asked.refusal)));
    // Closing lets the refusal leave first.
    void frames.close();
    return;
  }
  const answered = await signer.answer(NODE_SIDE, asked);
  frames.send(encodeMessage(answered.kind === 'reply' ? answered.reply : refused(answered.refusal)));
}

type Asked = MessageOf<'countersign_preimages'> | { readonly name: 'refused'; readonly refusal: Refusal };

function preimagesOf(body: Uint8Array): Asked {
  const decoded = decodeMessage(body, 'request', { messageBytesMax: NODE_FRAME_BYTES_MAX });
  if (!decoded.ok) {
    const { message, facts } = decoded.error;
    return { name: 'refused', refusal: malformedRefusal('unknown', null, message, facts) };
  }
  const { message } = decoded;
  if (message.name === 'countersign_preimages') return message;
  const facts = message.name === 'unknown' ? { message_type: message.type } : {};
  const text = 'the socket of the node side takes preimages only';
  return { name: 'refused', refusal: malformedRefusal(message.name, null, text, facts) };
}

function refused(refusal: Refusal): Reply {
  return {
    name: 'vls_signer_error',
    code: REFUSAL_WIRE_CODE[refusal.code],
    message: refusalText(refusal),
  };
}
