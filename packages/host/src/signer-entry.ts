/**
 * The signer alone: the way of a request (decide, make durable, release) over a journal of the caller's, without configuration
 * files, sockets and threads. Everything behind this door runs in browsers too.
 */

export { bindStore } from './bind-store.ts';
export type { SignaturePool } from './release/signature-pool.ts';
export {
  type Answer,
  type ClientRequest,
  type HeartbeatFacts,
  type Negotiated,
  Signer,
  type SignerOptions,
} from './signer.ts';
export { PROTOCOL_VERSION_MAX, PROTOCOL_VERSION_MIN } from './start/protocol.ts';
export { isStoreFailure } from './store-failure.ts';
