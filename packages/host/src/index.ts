/** The shell around the pure signer: configuration, memory over the journal, and the way of a request. */

export * from './admin/protocol.ts';
export { BURST_ENTRIES } from './audit/trail.ts';
export { bindStore } from './bind-store.ts';
export type { BitcoindChain, ChainConfig, EsploraChain, NodeLogin } from './config/chain.ts';
export {
  type Config,
  type ConfiguredEntry,
  DEFAULT_CONFIG,
  type HeartbeatConfig,
  MESSAGE_BYTES_MAX_DEFAULT,
  parseConfig,
  parseToml,
} from './config/config.ts';
export { ConfigError } from './config/error.ts';
export { LIMIT_FORMS, LIMIT_NAMES, type LimitForm, tomlKey } from './config/limits.ts';
export { linesOf } from './config/lines.ts';
export { policyFor } from './config/policy.ts';
export { check, type FileForm, faultAt, type Source } from './config/reader.ts';
export type { ListenAddress, RemoteConfig } from './config/remote.ts';
export { AUTO_APPROVALS, line, MAINNET_OVERRIDE, oneOf, PRESETS, whole } from './config/schema.ts';
export { EmbeddedDoor, type EmbeddedDoorOptions } from './embedded/door.ts';
export {
  answerForPlace,
  type IntroductionAnswer,
  type SignerIdentity,
} from './embedded/introduction.ts';
export { fractionsOf, type Machine, SYSTEM_MACHINE } from './embedded/machine.ts';
export { type EmbeddedOptions, type EmbeddedSigner, openEmbeddedSigner } from './embedded/open.ts';
export { HeartbeatMaker, type HeartbeatMakerOptions } from './heartbeat/maker.ts';
export { type ChainObservations, type HeartbeatSource, NO_CHAIN } from './heartbeat/source.ts';
export { HeartbeatWriter, type HeartbeatWriterOptions } from './heartbeat/writer.ts';
export { fromLinkRefusal, toLinkRefusal } from './link-refusal.ts';
export { Memory, RECORDS_CACHED_MAX } from './memory.ts';
export {
  type EffectiveOverride,
  type EffectivePolicy,
  type EffectiveRule,
  type EffectiveValue,
  effectivePolicy,
  type Origin,
} from './policy/effective.ts';
export { type SignerFacts, signerFacts } from './policy/facts.ts';
export { policyNotices } from './policy/notices.ts';
export type { EffectivePromise } from './policy/promise.ts';
export { originText, policyJson, policyText, renderPolicy } from './policy/render.ts';
export { policySummary } from './policy/summary.ts';
export { isAskedAgain, refusalReply } from './refusal-form.ts';
export type { WorkerKeys } from './release/messages.ts';
export { WorkerPool } from './release/pool.ts';
export { POOL_JOBS_MIN, type SignaturePool } from './release/signature-pool.ts';
export {
  type Answer,
  type ClientRequest,
  type HeartbeatFacts,
  type Negotiated,
  Signer,
  type SignerOptions,
} from './signer.ts';
export type { ChainDesk, ChainDeskAnswer, ChainDeskTip } from './sockets/chain-session.ts';
export {
  type FeedAnswer,
  FeedDesk,
  type FeedSession,
  NODE_FRAME_BYTES_MAX,
  type NodeSide,
} from './sockets/feed.ts';
export { NODE_CONNECTIONS_MAX, NODE_IDLE_MS, NODE_SOCKET, openNodeSocket } from './sockets/node-socket.ts';
export { openSockets, type Sockets, type SocketsOptions } from './sockets/open.ts';
export { type Beside, type BesideOptions, openBeside } from './start/beside.ts';
export { errorText } from './start/error-text.ts';
export { type FollowOptions, followFor } from './start/follow.ts';
export { type Started, type StartFailure, type StartInput, startInPlace } from './start/in-place.ts';
export {
  type OpenedSigner,
  openOrBeginStore,
  openSigner,
  openStore,
  type SignerPlace,
  type StartLog,
  type StartLogLevel,
} from './start/open-signer.ts';
export {
  initReply,
  negotiateVersion,
  PROTOCOL_VERSION_MAX,
  PROTOCOL_VERSION_MIN,
} from './start/protocol.ts';
export { LOG_TEXT_BYTES_MAX, statusText } from './status-text.ts';
export { isStoreFailure } from './store-failure.ts';
export { syncDirectory } from './sync-directory.ts';
