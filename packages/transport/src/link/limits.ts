/** Every limit of a link, in one table; `docs/remote-link.md` explains them. */

export interface LinkLimits {
  /** Longest frame, in bytes. */
  readonly frameBytesMax: number;
  /** Requests sent and not acknowledged as answered. The signer's side says how many it takes. */
  readonly requestsMax: number;
  /** Of them, messages of feeders: blocks must not keep signatures waiting. */
  readonly feedsMax: number;
  /** Bytes of requests that are sent and not answered. */
  readonly requestBytesMax: number;
  /** Bytes of answers kept for a node side that has not acknowledged them; beyond it nothing new is decided. */
  readonly keptBytesMax: number;
  /** Requests of the node side that wait for a free place or a connection, and their bytes. */
  readonly queueMax: number;
  readonly queueBytesMax: number;
  /** Bytes waiting to be written above which a connection is given up. */
  readonly sendBytesMax: number;
  /** Feeders at the same time. */
  readonly sessionsMax: number;
  /** From the first byte of a connection until it is authenticated and both have said hello. */
  readonly handshakeMs: number;
  /** From the first word of a greeting (INIT) until the last answer to it. */
  readonly greetingMs: number;
  /** A sign of life is asked for so often. */
  readonly pingMs: number;
  /** Without any byte of the other side for so long, the connection is dead. */
  readonly silenceMs: number;
  /** First and longest wait before the signer dials again: a payment that waits for the link waits so much longer. */
  readonly redialMs: number;
  readonly redialMsMax: number;
  /** The same where the node does not want this signer now. */
  readonly redialUnwantedMs: number;
  /** An answer is acknowledged at the latest after so long; sooner with the next request. */
  readonly ackMs: number;
  /** Connections that are not authenticated yet: of all, and of one address. The oldest give way to new ones. */
  readonly pendingMax: number;
  readonly pendingPerAddressMax: number;
  /** Authenticated connections, of all signers, standbys included. */
  readonly connectionsMax: number;
}

const MIB = 1024 * 1024;

export const LINK_LIMITS: LinkLimits = {
  frameBytesMax: 4 * MIB + 256,
  requestsMax: 512,
  feedsMax: 4,
  requestBytesMax: 16 * MIB,
  keptBytesMax: 32 * MIB,
  queueMax: 4096,
  queueBytesMax: 64 * MIB,
  sendBytesMax: 96 * MIB,
  sessionsMax: 64,
  handshakeMs: 10_000,
  greetingMs: 10_000,
  pingMs: 2_000,
  silenceMs: 7_000,
  redialMs: 100,
  redialMsMax: 2_000,
  redialUnwantedMs: 10_000,
  ackMs: 20,
  pendingMax: 128,
  pendingPerAddressMax: 32,
  connectionsMax: 16,
};
