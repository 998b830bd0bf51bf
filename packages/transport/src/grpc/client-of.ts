/**
 * Who asks, by VLS's context. VLS never sends the capabilities that lightningd gave a client, and lets a channel's client ask
 * whatever concerns that channel; so does this. What lightningd itself may ask, no channel's client may.
 */
import type { LinkClient } from '../link/protocol.ts';
import type { RequestContext } from './messages.ts';

/** CLN's bits (hsmd/permissions.h), as in `core`. */
const ECDH = 1n;
const SIGN_GOSSIP = 2n;
const MASTER = 1024n;
/** Everything below the master's: ECDH, gossip, on-chain, commitment points, remote transactions, closes, leases, splices, outpoints. */
const OF_CHANNEL = 0x1ffn;

export const MASTER_CLIENT: LinkClient = {
  peerId: null,
  dbid: 0n,
  permissions: MASTER | SIGN_GOSSIP | ECDH,
};
/** connectd and gossipd. */
export const UNBOUND_CLIENT: LinkClient = { peerId: null, dbid: 0n, permissions: SIGN_GOSSIP | ECDH };

const PEER_ID_BYTES = 33;
const NO_PEER = new Uint8Array(0);

/** Null for a context that VLS never sends: a channel without a peer. */
export function clientOf(context: RequestContext | null): LinkClient | null {
  if (context === null) return MASTER_CLIENT;
  const { peerId, dbid } = context;
  if (dbid === 0n) return UNBOUND_CLIENT;
  if (peerId.length !== PEER_ID_BYTES) return null;
  return { peerId: Uint8Array.from(peerId), dbid, permissions: OF_CHANNEL };
}

/**
 * The other way round. A client without a channel is lightningd to VLS's signer, which looks at the number only; to ours it is none
 * that may ask what lightningd asks.
 */
export function contextOf({ peerId, dbid, permissions }: LinkClient): RequestContext | null {
  if (peerId !== null) return { peerId, dbid, capabilities: 0n };
  return (permissions & MASTER) === 0n ? { peerId: NO_PEER, dbid: 0n, capabilities: 0n } : null;
}
