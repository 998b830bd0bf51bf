/** One connection to the signer's `node.sock`: a message, its reply, the next message. */
import { connect } from 'node:net';
import { NODE_FRAME_BYTES_MAX } from '@countersign/host';
import { FrameSocket } from '@countersign/transport';
import { decodeMessage, encodeMessage, type Reply, type Request } from '@countersign/wire';

export type LinkAnswer =
  | { readonly ok: true; readonly reply: Reply }
  /** No reply, or none of the protocol. `isAbsent`: nobody listens there. */
  | { readonly ok: false; readonly problem: string; readonly isAbsent: boolean };

const NOBODY_LISTENS: ReadonlySet<unknown> = new Set(['ECONNREFUSED', 'ENOENT']);

export class Link {
  readonly #frames: FrameSocket;
  #settle: ((answer: LinkAnswer) => void) | null = null;
  #ended: Extract<LinkAnswer, { ok: false }> | null = null;

  constructor(path: string) {
    const socket = connect(path);
    // Whoever started this process decides how long it lives, not an open connection.
    socket.unref();
    this.#frames = new FrameSocket(socket, { frameBytesMax: NODE_FRAME_BYTES_MAX });
    this.#frames.start({
      frame: (body) => this.#answered(answerIn(body)),
      closed: (end) => {
        this.#ended = end.how === 'failed' ? failure(end.error) : problem('it closed the connection');
        this.#answered(this.#ended);
      },
    });
  }

  get isOpen(): boolean {
    return this.#ended === null && this.#frames.isOpen;
  }

  /** One at a time. Never rejects. */
  ask(request: Request): Promise<LinkAnswer> {
    return new Promise((resolve) => {
      if (this.#ended !== null) return resolve(this.#ended);
      this.#settle = resolve;
      this.#frames.send(encodeMessage(request));
    });
  }

  end(): void {
    this.#frames.destroy();
  }

  #answered(answer: LinkAnswer): void {
    this.#settle?.(answer);
    this.#settle = null;
  }
}

const problem = (text: string, isAbsent = false) => ({ ok: false, problem: text, isAbsent }) as const;

const failure = (error: Error & { readonly code?: unknown }) =>
  problem(error.message, NOBODY_LISTENS.has(error.code));

function answerIn(body: Uint8Array): LinkAnswer {
  const decoded = decodeMessage(body, 'reply');
  if (!decoded.ok) return problem(`its reply is malformed: ${decoded.error.message}`);
  const { message } = decoded;
  return message.name === 'unknown' ? problem('its reply is of type unknown') : { ok: true, reply: message };
}
