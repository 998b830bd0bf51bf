/** The bounds of the node side, each with its default. */
import type { ListenerLimits } from './listener.ts';
import type { OutstandingLimits } from './outstanding.ts';
import { KEEPALIVE_MS_DEFAULT, MESSAGE_BYTES_MAX_DEFAULT } from './service.ts';

export interface GrpcLimits extends ListenerLimits, OutstandingLimits {
  /** How long a signer that comes back may take to answer INIT. */
  readonly initMs: number;
  /** How long a request is asked again after temporary failures, in all; 0: not at all. Daemons of lightningd wait meanwhile. */
  readonly retryTotalMs: number;
  readonly retryFirstMs: number;
  readonly retryLongestMs: number;
  /** Streams that may end over one request before it is given up. */
  readonly lossesMax: number;
}

const DEFAULTS: GrpcLimits = {
  handshakesMax: 128,
  handshakeMs: 5_000,
  strangersMax: 16,
  streamWaitMs: 10_000,
  messageBytesMax: MESSAGE_BYTES_MAX_DEFAULT,
  keepaliveMs: KEEPALIVE_MS_DEFAULT,
  // More than lightningd has clients; each waits for its one answer.
  requestsMax: 32_768,
  bytesMax: 64 * 1024 * 1024,
  initMs: 30_000,
  retryTotalMs: 10_000,
  retryFirstMs: 100,
  retryLongestMs: 2_000,
  lossesMax: 5,
};

export function limitsOf(given: Partial<GrpcLimits>): GrpcLimits {
  return { ...DEFAULTS, ...given };
}
