/**
 * A new client's descriptor, as hsmd_client_hsmfd asks for it: the reply first, then the descriptor in one message of
 * its own. The end that goes to lightningd is blocking and never touched; the other becomes a frame socket here.
 */
import {
  closeDescriptor,
  FrameSocket,
  type FrameSocketOptions,
  type SendDescriptorOptions,
  sendDescriptor,
  socketPair,
} from '@countersign/transport';
import { encodeMessage } from '@countersign/wire';

export interface OpenClientOptions {
  /** Limits of the client's own frames. */
  readonly frames?: FrameSocketOptions;
  /** How long lightningd may take to make room for the descriptor, in milliseconds. */
  readonly waitMs?: number;
}

export interface OpenedClient {
  /** Our end; start it at once, its requests wait in the kernel. */
  readonly frames: FrameSocket;
  /** Settles when lightningd's end is on its way; when it rejects, `frames` is closed already. */
  readonly passed: Promise<void>;
}

/**
 * Answer hsmd_client_hsmfd on `master` (made by `FrameSocket.fromDescriptor`). Nothing else leaves `master` between
 * the reply and the descriptor. Throws `DescriptorError` when no pair can be made; nothing has been sent then.
 */
export function openClient(master: FrameSocket, options: OpenClientOptions = {}): OpenedClient {
  const masterDescriptor = master.descriptor;
  if (masterDescriptor === undefined) throw new TypeError('the master socket has no descriptor of its own');
  const [ours, theirs] = socketPair();
  const frames = FrameSocket.fromDescriptor(ours, options.frames);
  const sending: SendDescriptorOptions = {
    signal: master.signal,
    ...(options.waitMs === undefined ? {} : { waitMs: options.waitMs }),
  };
  const passed = pass(master, theirs, () => sendDescriptor(masterDescriptor, theirs, sending), frames);
  return { frames, passed };
}

async function pass(
  master: FrameSocket,
  theirs: number,
  send: () => Promise<void>,
  frames: FrameSocket,
): Promise<void> {
  let sending: Promise<void> | undefined;
  try {
    await master.sendThen(encodeMessage({ name: 'hsmd_client_hsmfd_reply' }), () => {
      sending = send();
      return sending;
    });
  } catch (error) {
    frames.destroy(
      error instanceof Error ? error : new Error('a descriptor was not passed', { cause: error }),
    );
    throw error;
  } finally {
    // A master that breaks down ends the wait before the last try: the number must stay ours until then.
    await Promise.allSettled([sending]);
    closeDescriptor(theirs);
  }
}
