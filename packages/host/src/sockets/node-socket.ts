/**
 * What the node side may say beside lightningd's own sockets: `node.sock`, frames as on the hsmd wire. It takes
 * preimages, headers and blocks, and nothing else; whoever asks for more gets a refusal, and its connection ends.
 */
import type { Socket } from 'node:net';
import { FrameSocket, UnixListener } from '@countersign/transport';
import { encodeMessage } from '@countersign/wire';
import type { ChainDesk } from './chain-session.ts';
import { FeedDesk, NODE_FRAME_BYTES_MAX, type NodeSide } from './feed.ts';

export const NODE_SOCKET = 'node.sock';
export const NODE_CONNECTIONS_MAX = 16;
/** The plugin is silent while lightningd writes nothing; it connects again when it has something to say. */
export const NODE_IDLE_MS = 10 * 60_000;

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
  const desk = new FeedDesk(options.signer, options.chain);
  return UnixListener.open({
    path: options.path,
    connectionsMax: NODE_CONNECTIONS_MAX,
    idleMs: options.idleMs ?? NODE_IDLE_MS,
    onConnection: (socket) => serve(socket, desk, options.onBug),
  });
}

function serve(socket: Socket, desk: FeedDesk, onBug: NodeSocketOptions['onBug']): void {
  const frames = new FrameSocket(socket, {
    frameBytesMax: NODE_FRAME_BYTES_MAX,
    sendQueuePauseBytes: 0,
    sendQueueBytesMax: NODE_FRAME_BYTES_MAX,
  });
  const session = desk.open();
  frames.start({
    frame: async (body) => {
      try {
        const { reply, isEnd } = await session.answer(body);
        frames.send(encodeMessage(reply));
        // Closing lets the refusal leave first.
        if (isEnd) void frames.close();
      } catch (error) {
        onBug(error);
      }
    },
    closed: () => session.close(),
  });
}
