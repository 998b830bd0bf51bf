/** The heartbeat: made, signed elsewhere (`keys`), and verified with the node id only. */
export { type CanonicalValue, canonicalJson } from './canonical.ts';
export { ENVELOPE_BYTES, enclose } from './envelope.ts';
export * from './heartbeat.ts';
export { heartbeatOf } from './make.ts';
export { readHeartbeat } from './read.ts';
export { type HeartbeatFault, type HeartbeatVerdict, verifyHeartbeat } from './verify.ts';
