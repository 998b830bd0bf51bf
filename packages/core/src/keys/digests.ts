/**
 * Hashes of the messages a node key signs that are not transactions: BOLT 7 gossip, BOLT 11 invoices, BOLT 12
 * Merkle roots, signed texts, liquidity leases and heartbeats. Pure; malformed input is a `FormError`.
 */
import { ByteWriter, concat, FormError, hash256, sha256, taggedHash } from '@countersign/bitcoin';

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

/** BOLT 7 message types and where the signed part begins: after the type (2) and the signature fields. */
const GOSSIP = {
  channel_announcement: { type: 256, offset: 2 + 4 * 64 },
  node_announcement: { type: 257, offset: 2 + 64 },
  channel_update: { type: 258, offset: 2 + 64 },
} as const;

/** The gossip messages of BOLT 7 that a node signs. */
export type GossipKind = keyof typeof GOSSIP;

/** BOLT 7: double SHA-256 of all that follows the signatures, unknown later fields included. `FormError` if short or of another type. */
export function gossipDigest(kind: GossipKind, message: Uint8Array): Uint8Array {
  const { type, offset } = GOSSIP[kind];
  if (message.length < offset) {
    throw new FormError(`${kind} too short`, { length_bytes: message.length, needed_bytes: offset });
  }
  const found = (message[0]! << 8) | message[1]!;
  if (found !== type) throw new FormError(`not a ${kind}`, { type: found, expected: type });
  return hash256(message.subarray(offset));
}

/**
 * BOLT 11: SHA-256 of the human-readable part and the data part packed to bytes, zero bits to the byte boundary.
 * `data` holds one 5-bit value per byte, timestamp to the last tagged field, without signature and checksum.
 */
export function bolt11Digest(humanReadablePart: Uint8Array, data: Uint8Array): Uint8Array {
  if (humanReadablePart.includes(0)) throw new FormError('NUL in the human-readable part of an invoice');
  const packed = new Uint8Array(Math.ceil((data.length * 5) / 8));
  let bits = 0;
  let value = 0;
  let at = 0;
  for (const word of data) {
    if (word > 31) throw new FormError('invoice data is not in 5-bit words', { value: word });
    value = ((value << 5) | word) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      packed[at++] = value >> bits;
    }
  }
  if (bits > 0) packed[at] = value << (8 - bits);
  return sha256(humanReadablePart, packed);
}

const LIGHTNING_PREFIX = ascii('Lightning Signed Message:');

/** `signmessage` of CLN and lnd: double SHA-256 of "Lightning Signed Message:" and the text. */
export function lightningMessageDigest(message: Uint8Array): Uint8Array {
  return hash256(LIGHTNING_PREFIX, message);
}

const BITCOIN_PREFIX = ascii('\x18Bitcoin Signed Message:\n');

/** BIP 137: double SHA-256 of the magic, the compact size of the text, and the text. */
export function bip137Digest(message: Uint8Array): Uint8Array {
  return hash256(BITCOIN_PREFIX, compactSize(message.length), message);
}

function compactSize(length: number): Uint8Array {
  const writer = new ByteWriter(9);
  if (length < 0xfd) writer.u8(length);
  else if (length <= 0xffff) writer.u8(0xfd).u16le(length);
  else writer.u8(0xfe).u32le(length);
  return writer.finish();
}

const LIGHTNING = ascii('lightning');

/**
 * BOLT 12 signature calculation: H("lightning" ‖ messagename ‖ fieldname, merkle root), H being BIP 340's tagged
 * hash. `messageName` is for example `invoice`, `fieldName` `signature`.
 */
export function bolt12Digest(messageName: string, fieldName: string, merkleRoot: Uint8Array): Uint8Array {
  if (merkleRoot.length !== 32)
    throw new FormError('Merkle root of the wrong length', { length_bytes: merkleRoot.length });
  return taggedHash(concat(LIGHTNING, ascii(messageName), ascii(fieldName)), merkleRoot);
}

/** What a node signs that leases out funds (CLN, option_will_fund). */
export interface LeaseCommitment {
  /** The lessor's funding key of the channel, 33 bytes. */
  readonly fundingPubkey: Uint8Array;
  /** Block height at which the lease ends (the start plus 4032). */
  readonly leaseExpiry_height: number;
  readonly channelFeeMaxBase_msat: number;
  /** Thousandths. */
  readonly channelFeeMaxProportional_ppt: number;
}

const WILL_FUND = ascii('option_will_fund');

/** `option_will_fund` (liquidity ads): SHA-256 of the tag, the funding key, the expiry and the fee caps. */
export function leaseDigest(lease: LeaseCommitment): Uint8Array {
  const { fundingPubkey, leaseExpiry_height, channelFeeMaxBase_msat, channelFeeMaxProportional_ppt } = lease;
  if (fundingPubkey.length !== 33)
    throw new FormError('funding key of the wrong length', { length_bytes: fundingPubkey.length });
  return sha256(
    new ByteWriter(64)
      .put(WILL_FUND)
      .put(fundingPubkey)
      .u32be(leaseExpiry_height)
      .u32be(channelFeeMaxBase_msat)
      .u16be(channelFeeMaxProportional_ppt)
      .finish(),
  );
}

const HEARTBEAT_TAG = 'countersign/heartbeat';

/**
 * A heartbeat: BIP 340's tagged hash of its text. No request can have the node key sign under this tag: the tag of BOLT 12
 * begins with "lightning" whatever the node sends, and nothing else that the node key signs is a tagged hash.
 */
export function heartbeatDigest(payload: string): Uint8Array {
  return taggedHash(HEARTBEAT_TAG, new TextEncoder().encode(payload));
}
