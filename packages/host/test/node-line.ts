/**
 * A node side for the tests: requests over a `node.sock`, one after the other on one connection, and the replies.
 */
import { connect } from 'node:net';
import { FrameSocket } from '@countersign/transport';
import { decodeMessage, encodeMessage, type Reply, type Request } from '@countersign/wire';
import { NODE_FRAME_BYTES_MAX } from '../src/sockets/feed.ts';

export type Answered = Reply | 'closed';

export class NodeLine {
  readonly #frames: FrameSocket;
  readonly #waiting: ((reply: Answered) => void)[] = [];

  constructor(path: string) {
    this.#frames = new FrameSocket(connect(path), { frameBytesMax: NODE_FRAME_BYTES_MAX });
    this.#frames.start({
      frame: (body) => {
        const decoded = decodeMessage(body, 'reply');
        if (decoded.ok && decoded.message.name !== 'unknown') this.#waiting.shift()?.(decoded.message);
      },
      closed: () => {
        for (const resolve of this.#waiting.splice(0)) resolve('closed');
      },
    });
  }

  /** All at once; the replies in order. */
  ask(...requests: readonly Request[]): Promise<Answered[]> {
    return Promise.all(
      requests.map((request) => {
        if (!this.#frames.isOpen) return 'closed';
        const reply = new Promise<Answered>((resolve) => void this.#waiting.push(resolve));
        this.#frames.send(encodeMessage(request));
        return reply;
      }),
    );
  }

  end(): void {
    this.#frames.destroy();
  }
}
