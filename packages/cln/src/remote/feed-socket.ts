/**
 * `node.sock` of a node side: preimages, headers and blocks on their way to a signer elsewhere. For whoever feeds it is the
 * socket of a signer in place; what comes is judged at the signer alone.
 */
import type { Socket } from 'node:net';
import {
  fromLinkRefusal,
  NODE_CONNECTIONS_MAX,
  NODE_FRAME_BYTES_MAX,
  NODE_IDLE_MS,
  refusalReply,
} from '@countersign/host';
import {
  FrameSocket,
  type LinkAnswer,
  LinkError,
  type LinkFeed,
  type SignerLink,
  UnixListener,
} from '@countersign/transport';
import { encodeMessage } from '@countersign/wire';
import { type PreimageDesk, preimagesIn } from './preimages.ts';

export interface FeedSocketOptions {
  readonly path: string;
  readonly link: Pick<SignerLink, 'openFeed'>;
  /** Who takes preimages; null where the signer's protocol has none: then they are forwarded as everything else. */
  readonly preimages: PreimageDesk | null;
  /** A bug of ours: the process must end. */
  readonly onBug: (error: unknown) => void;
}

/** Rejects with `SocketError`. */
export function openFeedSocket(options: FeedSocketOptions): Promise<UnixListener> {
  return UnixListener.open({
    path: options.path,
    connectionsMax: NODE_CONNECTIONS_MAX,
    idleMs: NODE_IDLE_MS,
    onConnection: (socket) => serve(socket, options),
  });
}

function serve(socket: Socket, { link, preimages, onBug }: FeedSocketOptions): void {
  const frames = new FrameSocket(socket, {
    frameBytesMax: NODE_FRAME_BYTES_MAX,
    sendQueuePauseBytes: 0,
    sendQueueBytesMax: NODE_FRAME_BYTES_MAX,
  });
  const feed = link.openFeed();
  frames.start({
    frame: async (body) => {
      try {
        const values = preimages === null ? null : preimagesIn(body);
        frames.send(values === null ? await forwarded(feed, body) : await preimages!.take(body, values));
      } catch (error) {
        if (!(error instanceof LinkError)) return onBug(error);
        // The feeder keeps what it had to say and connects again.
        frames.destroy();
      }
    },
    closed: () => feed.close(),
  });
}

async function forwarded(feed: LinkFeed, body: Uint8Array): Promise<Uint8Array> {
  const answer: LinkAnswer = await feed.ask(body);
  if (answer.kind === 'reply') return answer.body;
  // In the form that a node understands, cut to what a message holds: a broken signer may say anything.
  return encodeMessage(refusalReply(null, fromLinkRefusal(answer.refusal)));
}
