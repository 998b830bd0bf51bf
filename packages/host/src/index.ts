/** The shell around the pure signer: configuration, memory over the journal, and the way of a request. */
export {
  type Config,
  type ConfiguredEntry,
  DEFAULT_CONFIG,
  MESSAGE_BYTES_MAX_DEFAULT,
  parseConfig,
} from './config/config.ts';
export { ConfigError } from './config/error.ts';
export { LIMIT_FORMS, LIMIT_NAMES, type LimitForm, tomlKey } from './config/limits.ts';
export { policyFor } from './config/policy.ts';
export { AUTO_APPROVALS, MAINNET_OVERRIDE, PRESETS } from './config/schema.ts';
export { Memory, RECORDS_CACHED_MAX } from './memory.ts';
export { type Answer, bindStore, Signer, type SignerOptions } from './signer.ts';
