/** The follower: from a Bitcoin node or an Esplora server to a signer, and from the signer to the network. */
export { Backoff, type BackoffBounds } from './backoff.ts';
export {
  BITCOIND_PORTS,
  type BitcoindOptions,
  BitcoindSource,
  type SourceNetwork,
} from './bitcoind/bitcoind.ts';
export type { BitcoindCredentials } from './bitcoind/credentials.ts';
export { type EsploraOptions, EsploraSource } from './esplora.ts';
export { Follower, type FollowerOptions, type FollowerStatus } from './follower.ts';
export type { ChainLog, ChainLogLevel } from './log.ts';
export { type CatchUpPhase, durationText, type Progress, progressText } from './progress.ts';
export * from './sink.ts';
export {
  BLOCK_BYTES_MAX,
  type BroadcastAnswer,
  type ChainPoint,
  type ChainSource,
  SourceError,
  type SourceErrorCode,
  type SourceFeerates,
} from './source.ts';
