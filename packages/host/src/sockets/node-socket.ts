/**
 * What the node side may say beside lightningd's own sockets: `node.sock`, frames as on the hsmd wire. It takes
 * preimages, headers and blocks, and nothing else; whoever asks for more gets a refusal, and its connection ends.
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
import {
  decodeMessage,
  encodeMessage,
  HEADERS_MAX,
  type MessageOf,
  type Reply,
  type Request,
} from '@countersign/wire';
import type { Answer } from '../signer.ts';
import { type ChainDesk, ChainSession, type ChainSessionAnswer, isChainRequest } from './chain-session.ts';
import { BlockRoom } from './vls-block.ts';
import { isVlsChainRequest, VlsChainSession } from './vls-chain.ts';

export const NODE_SOCKET = 'node.sock';
export const NODE_CONNECTIONS_MAX = 16;
/** The plugin is silent while lightningd writes nothing; it connects again when it has something to say. */
export const NODE_IDLE_MS = 10 * 60_000;
/** A full message of headers, the longest there is, and little more. */
export const NODE_FRAME_BYTES_MAX = 1024 + 80 * HEADERS_MAX;

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
  /** Null where the chain does not come from the node. */
  readonly chain: ChainDesk | null;
  /** A bug of ours: the process must end. */
  readonly onBug: (error: unknown) => void;
  readonly idleMs?: number;
}

/** Rejects with `SocketError`. */
export function openNodeSocket(options: NodeSocketOptions): Promise<UnixListener> {
  const room = new BlockRoom();
  return UnixListener.open({
    path: options.path,
    connectionsMax: NODE_CONNECTIONS_MAX,
    idleMs: options.idleMs ?? NODE_IDLE_MS,
    onConnection: (socket) => serve(socket, options, room),
  });
}

/** Our own messages about the chain, and VLS's: each keeps what it collects to itself. */
interface Sessions {
  readonly own: ChainSession;
  readonly vls: VlsChainSession;
}

function serve(socket: Socket, options: NodeSocketOptions, room: BlockRoom): void {
  const frames = new FrameSocket(socket, {
    frameBytesMax: NODE_FRAME_BYTES_MAX,
    sendQueuePauseBytes: 0,
    sendQueueBytesMax: NODE_FRAME_BYTES_MAX,
  });
  const { chain } = options;
  const sessions =
    chain === null ? null : { own: new ChainSession(chain), vls: new VlsChainSession(chain, room) };
  frames.start({
    frame: async (body) => {
      try {
        await answer(frames, options.signer, sessions, body);
      } catch (error) {
        options.onBug(error);
      }
    },
    closed: () => sessions?.vls.forget(),
  });
}

async function answer(
  frames: FrameSocket,
  signer: NodeSide,
  sessions: Sessions | null,
  body: Uint8Array,
): Promise<void> {
  const asked = requestIn(body, sessions);
  if (asked.name === 'refused') {
    signer.recordRefusal(asked.refusal);
    frames.send(encodeMessage(refused(asked.refusal)));
    // Closing lets the refusal leave first.
    void frames.close();
    return;
  }
  frames.send(encodeMessage(await replyTo(signer, asked)));
}

async function replyTo(signer: NodeSide, asked: Exclude<Asked, { name: 'refused' }>): Promise<Reply> {
  if (asked.name === 'countersign_preimages') {
    const answered = await signer.answer(NODE_SIDE, asked);
    return answered.kind === 'reply' ? answered.reply : refused(answered.refusal);
  }
  const answered = await asked.answer();
  if (answered.kind === 'reply') return answered.reply;
  if (!answered.isRecorded) signer.recordRefusal(answered.refusal);
  return refused(answered.refusal, answered.wireCode);
}

type Asked =
  | MessageOf<'countersign_preimages'>
  | { readonly name: 'chain'; readonly answer: () => Promise<ChainSessionAnswer> }
  | { readonly name: 'refused'; readonly refusal: Refusal };

function requestIn(body: Uint8Array, sessions: Sessions | null): Asked {
  const decoded = decodeMessage(body, 'request', { messageBytesMax: NODE_FRAME_BYTES_MAX });
  if (!decoded.ok) {
    const { message, facts } = decoded.error;
    return { name: 'refused', refusal: malformedRefusal('unknown', null, message, facts) };
  }
  const { message } = decoded;
  if (message.name === 'countersign_preimages') return message;
  if (!isChainRequest(message) && !isVlsChainRequest(message))
    return unwanted(message, 'the socket of the node side takes preimages and blocks only');
  if (sessions === null)
    return unwanted(message, 'the chain does not come from the node: see source in [chain]');
  const { own, vls } = sessions;
  return {
    name: 'chain',
    answer: () => (isChainRequest(message) ? own.answer(message) : vls.answer(message)),
  };
}

function unwanted(
  message: Request | { readonly name: 'unknown'; readonly type: number },
  text: string,
): Asked {
  const facts = message.name === 'unknown' ? { message_type: message.type } : {};
  return { name: 'refused', refusal: malformedRefusal(message.name, null, text, facts) };
}

function refused(refusal: Refusal, wireCode = REFUSAL_WIRE_CODE[refusal.code]): Reply {
  return {
    name: 'vls_signer_error',
    code: wireCode,
    message: refusalText(refusal),
  };
}
