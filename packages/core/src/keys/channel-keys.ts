/**
 * The keys of one channel, derived as CLN does from the peer's node id and the channel's dbid (LDK's way: ldk-channel-keys.ts),
 * and a bounded cache of them. What leaves the cache is wiped; deriving it again gives the same keys.
 */
import {
  type Basepoints,
  ByteWriter,
  equalBytes,
  FormError,
  hkdfSha256,
  invariant,
  type Secp256k1,
} from '@countersign/bitcoin';
import { CommitmentSecrets } from './commitment-secrets.ts';
import { reveal, Secret } from './secret.ts';

/** What CLN names a channel by in requests, and derives its keys from. */
export interface ChannelRef {
  /** The peer's node id, 33 bytes (CLN does not demand a point here, nor is one needed). */
  readonly peerId: Uint8Array;
  /** CLN's database id of the channel, u64. */
  readonly dbid: bigint;
}

/** 32 bytes each. */
export interface ChannelSecrets {
  readonly funding: Secret;
  readonly revocation: Secret;
  readonly htlc: Secret;
  readonly payment: Secret;
  readonly delayedPayment: Secret;
  /** BOLT 3 per-commitment seed. */
  readonly shaseed: Secret;
}

/** What the peer learns of our keys when the channel is opened. */
export interface ChannelPublicKeys {
  readonly fundingPubkey: Uint8Array;
  readonly basepoints: Basepoints;
}

export interface ChannelKeys extends ChannelPublicKeys {
  readonly secrets: ChannelSecrets;
  readonly perCommitment: CommitmentSecrets;
  /** The per-commitment points asked for last: one update asks for the same one several times. */
  readonly points: PointCache;
}

const POINTS_CACHED_MAX = 8;

/** By commitment number, the oldest out first. Public values only. */
export class PointCache {
  readonly #points = new Map<string, Uint8Array>();

  get(commitmentNumber: string, derive: () => Uint8Array): Uint8Array {
    const known = this.#points.get(commitmentNumber);
    if (known !== undefined) return known.slice();
    const point = derive();
    this.#points.set(commitmentNumber, point);
    if (this.#points.size > POINTS_CACHED_MAX) {
      for (const oldest of this.#points.keys()) {
        this.#points.delete(oldest);
        break;
      }
    }
    return point.slice();
  }
}

/** `dev_force_channel_secrets` and `dev_force_channel_secrets_shaseed` of INIT: the same keys for every channel. */
export type ForcedChannelSecrets = Partial<ChannelSecrets>;

const PER_PEER_SEED = new TextEncoder().encode('per-peer seed');
const C_LIGHTNING = new TextEncoder().encode('c-lightning');
const EMPTY = new Uint8Array(0);
const DBID_MAX = 0xffff_ffff_ffff_ffffn;

/** Throws `FormError` for a peer id that is not 33 bytes or a dbid beyond u64. */
export function deriveChannelKeys(
  secp: Secp256k1,
  channelSecretBase: Secret,
  channel: ChannelRef,
  forced: ForcedChannelSecrets,
): ChannelKeys {
  const { peerId, dbid } = channel;
  if (peerId.length !== 33)
    throw new FormError('peer id of the wrong length', { length_bytes: peerId.length });
  if (dbid < 0n || dbid > DBID_MAX) throw new FormError('dbid out of range', { dbid });
  const salt = new ByteWriter(41, 41).put(peerId).put(dbidLittleEndian(dbid)).finish();
  const seed = hkdfSha256(reveal(channelSecretBase), salt, PER_PEER_SEED, 32);
  const derived = hkdfSha256(seed, EMPTY, C_LIGHTNING, 6 * 32);
  seed.fill(0);
  const part = (at: number, override: Secret | undefined) =>
    Secret.copy(override === undefined ? derived.subarray(32 * at, 32 * at + 32) : reveal(override), 32);
  const secrets: ChannelSecrets = {
    funding: part(0, forced.funding),
    revocation: part(1, forced.revocation),
    htlc: part(2, forced.htlc),
    payment: part(3, forced.payment),
    delayedPayment: part(4, forced.delayedPayment),
    shaseed: part(5, forced.shaseed),
  };
  derived.fill(0);
  return withPublicKeys(secp, secrets);
}

/** The secrets with what is public of them. */
export function withPublicKeys(secp: Secp256k1, secrets: ChannelSecrets): ChannelKeys {
  return {
    fundingPubkey: secp.publicKey(reveal(secrets.funding)),
    basepoints: {
      revocation: secp.publicKey(reveal(secrets.revocation)),
      payment: secp.publicKey(reveal(secrets.payment)),
      delayedPayment: secp.publicKey(reveal(secrets.delayedPayment)),
      htlc: secp.publicKey(reveal(secrets.htlc)),
    },
    secrets,
    perCommitment: new CommitmentSecrets(secrets.shaseed),
    points: new PointCache(),
  };
}

/** CLN copies its u64 as it lies in memory; on every machine it runs on that is little-endian. */
function dbidLittleEndian(dbid: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, dbid, true);
  return bytes;
}

/** Least recently used out first. Holds at most `channelsMax` channels. */
export class ChannelKeyCache {
  readonly #channelsMax: number;
  readonly #derive: (channel: ChannelRef) => ChannelKeys;
  /** In order of last use. */
  readonly #entries = new Map<string, ChannelKeys>();
  /** The one at their end: a decision asks for the same channel's keys a dozen times. */
  #last: { readonly channel: ChannelRef; readonly keys: ChannelKeys } | null = null;

  constructor(channelsMax: number, derive: (channel: ChannelRef) => ChannelKeys) {
    invariant(Number.isInteger(channelsMax) && channelsMax >= 1, 'channel key cache needs a size', {
      channels_max: channelsMax,
    });
    this.#channelsMax = channelsMax;
    this.#derive = derive;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(channel: ChannelRef): ChannelKeys {
    const last = this.#last;
    if (last !== null && isSameChannel(last.channel, channel)) return last.keys;
    const name = cacheName(channel);
    let keys = this.#entries.get(name);
    if (keys === undefined) {
      keys = this.#derive(channel);
      this.#makeRoom();
    } else {
      this.#entries.delete(name);
    }
    this.#entries.set(name, keys);
    this.#last = { channel: { peerId: channel.peerId.slice(), dbid: channel.dbid }, keys };
    return keys;
  }

  #makeRoom(): void {
    if (this.#entries.size < this.#channelsMax) return;
    for (const [name, keys] of this.#entries) {
      wipeChannel(keys);
      this.#entries.delete(name);
      return;
    }
  }

  wipe(): void {
    for (const keys of this.#entries.values()) wipeChannel(keys);
    this.#entries.clear();
    this.#last = null;
  }
}

const isSameChannel = (a: ChannelRef, b: ChannelRef): boolean =>
  a.dbid === b.dbid && equalBytes(a.peerId, b.peerId);

/** One name for one channel: a number has no slash in it, so no other peer id ends like this one. */
function cacheName({ peerId, dbid }: ChannelRef): string {
  return `${String.fromCharCode(...peerId)}/${dbid}`;
}

function wipeChannel({ secrets, perCommitment }: ChannelKeys): void {
  perCommitment.wipe();
  for (const secret of Object.values(secrets)) secret.wipe();
}
