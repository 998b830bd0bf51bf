/**
 * What can go wrong while moving frames and descriptors: one code each, with the facts an operator needs.
 * A peer's bad bytes are `FrameError`, the kernel's refusals are `DescriptorError`; neither ever carries a body.
 */
import { CountersignError, type Facts } from '@countersign/bitcoin';

export type FrameErrorCode =
  /** The announced length exceeds the limit; nothing was allocated for it. */
  | 'frame-too-large'
  /** The stream ended inside a frame. */
  | 'frame-truncated'
  /** The peer does not read: more bytes wait for it than the limit allows. */
  | 'send-queue-full'
  /** The connection is gone, so what depended on it was not done. */
  | 'connection-closed';

export class FrameError extends CountersignError {
  declare readonly code: FrameErrorCode;

  constructor(code: FrameErrorCode, message: string, facts: Facts = {}, options?: { cause?: unknown }) {
    super(code, message, facts, options);
    this.name = 'FrameError';
  }
}

export type DescriptorErrorCode =
  /** The system call failed; `facts.call` and `facts.errno` say how. */
  | 'descriptor-call-failed'
  /** The socket's buffer stayed full for the whole wait. */
  | 'descriptor-send-timeout'
  /** A message came that does not carry exactly one descriptor. */
  | 'descriptor-missing'
  /** This platform has no tested layout for descriptor passing, or the native library does not load. */
  | 'descriptor-unsupported';

export class DescriptorError extends CountersignError {
  declare readonly code: DescriptorErrorCode;

  constructor(code: DescriptorErrorCode, message: string, facts: Facts = {}, options?: { cause?: unknown }) {
    super(code, message, facts, options);
    this.name = 'DescriptorError';
  }
}
