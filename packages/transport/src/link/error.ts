/**
 * What can go wrong with a link: one code each, with the facts an operator needs. None ever carries a key, a secret of a
 * pairing, or the body of a request.
 */
import { CountersignError, type Facts } from '@countersign/bitcoin';

export type LinkErrorCode =
  /** The link was closed for good while the request waited. */
  | 'link-closed'
  /** More waits for the signer than the limit allows. */
  | 'link-queue-full'
  /** A request that no frame of the link can hold. */
  | 'link-request-too-large'
  /** Nothing was heard of the other side for too long. */
  | 'link-silent'
  /** The other side does not read what it is sent. */
  | 'link-not-read'
  /** The other side broke the protocol; its connection was dropped. */
  | 'link-protocol'
  /** The other side is not who it must be: no pinned key, no certificate, another protocol. */
  | 'link-stranger'
  /** No version of the link's protocol that both sides speak. */
  | 'link-version'
  /** The other side said that it ends the connection; `facts.reason` says why. */
  | 'link-ended'
  /** No connection came about, or not in time. */
  | 'link-unreachable'
  /** The address cannot be listened at; the cause says why. */
  | 'link-listen-failed'
  /** A file of the link (identity, pins, pairings) cannot be read or written, or others may read it. */
  | 'link-file'
  /** The token of a pairing cannot be read: mistyped, cut off, or of a newer version. */
  | 'pairing-token'
  /** The pairing was refused, or is over; `facts.reason` says why. */
  | 'pairing-refused'
  /** No name for a key: lower case letters, digits, `.`, `_`, `-`, 32 at most. */
  | 'pin-name'
  /** The name is taken by another key, or the key by another name. */
  | 'pin-taken'
  /** Nothing is pinned under that name. */
  | 'pin-unknown';

export class LinkError extends CountersignError {
  declare readonly code: LinkErrorCode;

  constructor(code: LinkErrorCode, message: string, facts: Facts = {}, options?: { cause?: unknown }) {
    super(code, message, facts, options);
    this.name = 'LinkError';
  }
}
