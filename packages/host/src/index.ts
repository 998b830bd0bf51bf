/** The shell around the pure signer: configuration, memory over the journal, and the way of a request. */

export { toJson } from './admin/json.ts';
export * from './admin/protocol.ts';
export { BURST_ENTRIES } from './audit/trail.ts';
export {
  type Config,
  ConfigError,
  DEFAULT_CONFIG,
  MAINNET_OVERRIDE,
  MESSAGE_BYTES_MAX_DEFAULT,
  PRESETS,
  parseConfig,
  policyFor,
} from './config.ts';
export { Memory, RECORDS_CACHED_MAX } from './memory.ts';
export { type Answer, bindStore, Signer, type SignerOptions } from './signer.ts';
export { NODE_SOCKET } from './sockets/node-socket.ts';
export { openSockets, type Sockets, type SocketsOptions } from './sockets/open.ts';
