/** gRPC compatible with VLS, both ways: our signer at its node side, its signer at ours. A door of its own, so that only its users load it. */

export type { ChainTip } from './answerer.ts';
export { type DiallerLimits, SignerDialler, type SignerDiallerOptions } from './dialler.ts';
export type { GrpcLog, GrpcLogLevel } from './log.ts';
export type { GrpcLimits } from './node-limits.ts';
export { GrpcNodeSide, type GrpcNodeSideOptions } from './node-side.ts';
export type { GrpcTls } from './tls.ts';
