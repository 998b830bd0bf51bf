/**
 * Passing open descriptors between processes over Unix sockets, as lightningd and its hsmd do (ccan/fdpass): one byte
 * 0x00 with exactly one descriptor. The passed end must stay blocking: never give it to libuv, not even for a moment.
 */
import { closeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { DescriptorError } from './error.ts';
import { type CallResult, nativeSockets } from './native-sockets.ts';

export const SEND_WAIT_MS_DEFAULT = 10_000;
const SEND_RETRY_MS_MIN = 1;
const SEND_RETRY_MS_MAX = 50;

export interface SendDescriptorOptions {
  /** How long to keep trying while the socket's buffer is full, in milliseconds. Default 10 s. */
  readonly waitMs?: number;
  /** Aborted when `socket` is closed: its number may belong to another file by the next try. */
  readonly signal?: AbortSignal;
}

/** Load the native library now, so that the first client does not wait for it. Throws `DescriptorError`. */
export function prepareDescriptors(): void {
  nativeSockets();
}

/** A connected pair of Unix stream sockets: blocking, closed on exec. Throws `DescriptorError`. */
export function socketPair(): readonly [number, number] {
  return nativeSockets().socketPair();
}

/** One attempt, never waits: false when the socket's buffer is full. Throws `DescriptorError`. */
export function trySendDescriptor(socket: number, passed: number): boolean {
  const result = nativeSockets().sendDescriptor(socket, passed);
  if (result.ok) return true;
  if (result.errno === 'EAGAIN') return false;
  throw callFailed('sendmsg', result.errno);
}

/**
 * Send one descriptor, waiting without blocking the process while the buffer is full. Everything written to `socket`
 * before must have reached the kernel. The caller still owns `passed` and closes its copy. Throws `DescriptorError`.
 */
export async function sendDescriptor(
  socket: number,
  passed: number,
  options: SendDescriptorOptions = {},
): Promise<void> {
  const waitMs = options.waitMs ?? SEND_WAIT_MS_DEFAULT;
  let waitedMs = 0;
  let pauseMs = SEND_RETRY_MS_MIN;
  for (;;) {
    if (options.signal?.aborted === true) throw callFailed('sendmsg', 'EPIPE');
    if (trySendDescriptor(socket, passed)) return;
    if (waitedMs >= waitMs) {
      throw new DescriptorError(
        'descriptor-send-timeout',
        'the peer does not read, its descriptor was not sent',
        {
          waited_ms: waitedMs,
        },
      );
    }
    await sleep(pauseMs);
    waitedMs += pauseMs;
    pauseMs = Math.min(2 * pauseMs, SEND_RETRY_MS_MAX);
  }
}

/**
 * The receiving side: reads one byte and the descriptor it carries, which the caller then owns. Undefined at the end of
 * the stream. Waits, blocking the process, if `socket` is blocking; if not, an empty socket is `descriptor-call-failed`
 * with EAGAIN. Do not use on a socket libuv reads from: its read would take the byte and lose the descriptor.
 */
export function receiveDescriptor(socket: number): number | undefined {
  const message = nativeSockets().receiveDescriptor(socket);
  switch (message.kind) {
    case 'descriptor':
      return message.descriptor;
    case 'end':
      return undefined;
    case 'no-descriptor':
      throw new DescriptorError('descriptor-missing', 'a message came without exactly one descriptor');
    case 'failed':
      throw callFailed('recvmsg', message.errno);
  }
}

/** Close our copy. For a descriptor that libuv does not own. */
export function closeDescriptor(descriptor: number): void {
  closeSync(descriptor);
}

export type BlockingMode = 'blocking' | 'non-blocking';

/** The mode belongs to the open file, so every process that shares it sees the change. */
export function setBlocking(descriptor: number, mode: BlockingMode): void {
  const { oNonblock, statusFlags, setStatusFlags } = nativeSockets();
  const flags = checked('fcntl', statusFlags(descriptor));
  const wanted = mode === 'blocking' ? flags & ~oNonblock : flags | oNonblock;
  if (wanted !== flags) checked('fcntl', setStatusFlags(descriptor, wanted));
}

export function blockingMode(descriptor: number): BlockingMode {
  const { oNonblock, statusFlags } = nativeSockets();
  return (checked('fcntl', statusFlags(descriptor)) & oNonblock) === 0 ? 'blocking' : 'non-blocking';
}

function checked(call: string, result: CallResult): number {
  if (!result.ok) throw callFailed(call, result.errno);
  return result.value;
}

function callFailed(call: string, errno: string): DescriptorError {
  return new DescriptorError('descriptor-call-failed', `${call} failed`, { call, errno });
}
