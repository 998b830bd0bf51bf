/**
 * All keys of one node, derived from its seed as CLN's hsmd derives them. The class itself shows public keys only;
 * what signs or releases a secret are the functions of `sign.ts`, `sign-node.ts` and `release.ts`.
 */
import {
  CountersignError,
  derivePublicKey,
  hkdfSha256,
  keyScripts,
  perCommitmentSecret,
  type Secp256k1,
} from '@countersign/bitcoin';
import {
  derivePrivateChild,
  derivePrivatePath,
  derivePublicChild,
  type ExtendedPrivateKey,
  type ExtendedPublicKey,
  HARDENED,
  masterKey,
  requireNormalIndex,
  serializePublic,
} from './bip32.ts';
import {
  ChannelKeyCache,
  type ChannelKeys,
  type ChannelPublicKeys,
  type ChannelRef,
  deriveChannelKeys,
  type ForcedChannelSecrets,
} from './channel-keys.ts';
import { ExtendedKeyScripts } from './extended-key.ts';
import { ScriptIndex } from './script-index.ts';
import { reveal, Secret, withTemporary } from './secret.ts';

/** Overrides of INIT that lightningd sends only with `--developer`. Never for a node with money. */
export interface DevForce {
  readonly nodePrivateKey?: Secret;
  /** Replaces the seed of the m/0/0 wallet and of the BOLT 12 key, not that of the BIP 86 wallet. */
  readonly bip32Seed?: Secret;
  readonly channelSecrets?: ForcedChannelSecrets;
}

export interface KeyRingOptions {
  readonly secp256k1: Secp256k1;
  /** 32 bytes, or the 64 of a mnemonic. Read while constructing only: the caller wipes it. */
  readonly seed: Secret;
  /** Of extended public keys, u32 (`bip32_key_version` of INIT). */
  readonly bip32PublicVersion: number;
  readonly force?: DevForce;
  /** Channels whose keys stay derived in memory; about 1 KiB each. */
  readonly channelsCachedMax?: number;
}

const CHANNELS_CACHED_MAX = 4096;

/** What INIT's reply (114) tells the node. */
export interface NodeIdentity {
  /** 33 bytes. */
  readonly nodeId: Uint8Array;
  /** m/0/0, 78 bytes. */
  readonly bip32: Uint8Array;
  /** m/9735', 33 bytes. */
  readonly bolt12: Uint8Array;
  /** m/86'/0'/0' of a mnemonic's own tree, 78 bytes; absent for 32-byte seeds. Coin type 0 on every network. */
  readonly bip86Base?: Uint8Array;
}

/** The private side, for this folder only. */
export interface RingSecrets {
  readonly node: Secret;
  readonly bolt12: Secret;
  /** Root of `deriveSecret`. */
  readonly derived: Secret;
  /** m/0/0. */
  readonly bip32: ExtendedPrivateKey;
  /** m/86'/0'/0'/0. */
  readonly bip86: ExtendedPrivateKey | undefined;
  readonly channelSecretBase: Secret;
}

let open: (ring: KeyRing) => { secrets: RingSecrets; channels: ChannelKeyCache };

export class KeyRing {
  readonly secp256k1: Secp256k1;
  readonly identity: NodeIdentity;
  readonly #secrets: RingSecrets;
  readonly #channels: ChannelKeyCache;
  readonly #forced: Secret[];
  readonly #walletScripts: ScriptIndex;
  readonly #foreignScripts: ExtendedKeyScripts;

  constructor(options: KeyRingOptions) {
    const { secp256k1, seed, force = {}, channelsCachedMax = CHANNELS_CACHED_MAX } = options;
    this.secp256k1 = secp256k1;
    const master = bip32Master(secp256k1, seed, force.bip32Seed);
    const bip86Account = seed.length === 64 ? bip86AccountKey(secp256k1, seed) : undefined;
    this.#secrets = {
      node: force.nodePrivateKey
        ? Secret.copy(reveal(force.nodePrivateKey), 32)
        : hkdfSecret(rootOf(seed), 'nodeid'),
      bolt12: derivePrivateChild(secp256k1, master, HARDENED + 9735).privateKey,
      derived: hkdfSecret(reveal(seed), 'derived secrets'),
      bip32: derivePrivatePath(secp256k1, master, [0, 0]),
      bip86: bip86Account && derivePrivateChild(secp256k1, bip86Account, 0),
      channelSecretBase: hkdfSecret(rootOf(seed), 'peer seed'),
    };
    master.privateKey.wipe();
    bip86Account?.privateKey.wipe();
    this.identity = identityOf(
      secp256k1,
      this.#secrets,
      bip86Account?.publicNode,
      options.bip32PublicVersion,
    );
    this.#walletScripts = new ScriptIndex((index) => keyScripts(secp256k1, this.walletPublicKey(index)));
    this.#foreignScripts = new ExtendedKeyScripts(secp256k1, options.bip32PublicVersion);
    const forced = copyForced(force.channelSecrets ?? {});
    this.#forced = Object.values(forced);
    this.#channels = new ChannelKeyCache(channelsCachedMax, (channel) =>
      deriveChannelKeys(secp256k1, this.#secrets.channelSecretBase, channel, forced),
    );
  }

  static {
    open = (ring) => ({ secrets: ring.#secrets, channels: ring.#channels });
  }

  get nodeId(): Uint8Array {
    return this.identity.nodeId;
  }

  /** True for a mnemonic: its wallet is m/86'/0'/0'/0/i, else m/0/0/i. */
  get hasBip86Wallet(): boolean {
    return this.#secrets.bip86 !== undefined;
  }

  /** Channels whose keys are in memory now. */
  get channelsCached(): number {
    return this.#channels.size;
  }

  /** m/0/0/`index`, whatever the wallet uses (CHECK_PUBKEY). `FormError` from 2^31 up. */
  bip32PublicKey(index: number): Uint8Array {
    return derivePublicChild(this.secp256k1, this.#secrets.bip32.publicNode, index).publicKey;
  }

  /** m/86'/0'/0'/0/`index`, before the BIP 341 tweak. Throws 'no-bip86-wallet' for a 32-byte seed. */
  bip86PublicKey(index: number): Uint8Array {
    const { bip86 } = this.#secrets;
    if (bip86 === undefined) {
      throw new CountersignError('no-bip86-wallet', 'BIP 86 keys need a seed from a mnemonic');
    }
    return derivePublicChild(this.secp256k1, bip86.publicNode, index).publicKey;
  }

  /** The key that owns the wallet's outputs at `index`. */
  walletPublicKey(index: number): Uint8Array {
    return this.hasBip86Wallet ? this.bip86PublicKey(index) : this.bip32PublicKey(index);
  }

  /** The wallet index whose key owns an output script, at most `indexMax`; null when none does. */
  walletIndexOf(script: Uint8Array, indexMax: number): number | null {
    return this.#walletScripts.find(script, indexMax);
  }

  /** Whether m/0/i or m/1/i of an extended public key (base58) owns the script, i at most `indexMax`. */
  ownsScript(extendedPublicKey: string, script: Uint8Array, indexMax: number): boolean {
    return this.#foreignScripts.owns(extendedPublicKey, script, indexMax);
  }

  /** Funding key and basepoints that BOLT 2 announces for this channel. */
  channelPublicKeys(channel: ChannelRef): ChannelPublicKeys {
    const { fundingPubkey, basepoints } = this.#channels.get(channel);
    return { fundingPubkey, basepoints };
  }

  /** BOLT 3 per_commitment_point of our commitment `commitmentNumber`, 0 … 2^48−1 (`FormError` beyond). */
  perCommitmentPoint(channel: ChannelRef, commitmentNumber: number | bigint): Uint8Array {
    const { secrets, points } = this.#channels.get(channel);
    return points.get(`${commitmentNumber}`, () =>
      withTemporary(perCommitmentSecret(reveal(secrets.shaseed), commitmentNumber), (secret) =>
        this.secp256k1.publicKey(secret),
      ),
    );
  }

  /**
   * The key of our output in the peer's commitment: the payment basepoint, or, for channels older than
   * option_static_remotekey, that basepoint tweaked with the peer's point.
   */
  toRemotePublicKey(channel: ChannelRef, perCommitmentPoint?: Uint8Array): Uint8Array {
    const { payment } = this.#channels.get(channel).basepoints;
    if (perCommitmentPoint === undefined) return payment;
    return derivePublicKey(this.secp256k1, payment, perCommitmentPoint);
  }

  /** Wipes every secret; the ring is of no use afterwards. */
  wipe(): void {
    const { node, bolt12, derived, bip32, bip86, channelSecretBase } = this.#secrets;
    for (const secret of [node, bolt12, derived, bip32.privateKey, channelSecretBase, ...this.#forced])
      secret.wipe();
    bip86?.privateKey.wipe();
    this.#channels.wipe();
  }
}

/** For the signing and releasing functions of this folder; not exported by its index. */
export function ringSecrets(ring: KeyRing): RingSecrets {
  return open(ring).secrets;
}

/** As `ringSecrets`, for a channel. The result is valid until another channel's keys are asked for. */
export function channelKeys(ring: KeyRing, channel: ChannelRef): ChannelKeys {
  return open(ring).channels.get(channel);
}

/** The wallet's private key at `index`, for one use, then wiped. */
export function withWalletKey<T>(ring: KeyRing, index: number, use: (key: Uint8Array) => T): T {
  requireNormalIndex(index);
  const { bip86, bip32 } = ringSecrets(ring);
  const { privateKey } = derivePrivateChild(ring.secp256k1, bip86 ?? bip32, index);
  try {
    return use(reveal(privateKey));
  } finally {
    privateKey.wipe();
  }
}

/** CLN passes HKDF a u32 salt that counts up while the result is no valid key, which no one will ever see. */
const SALT = new Uint8Array(4);

function hkdfSecret(root: Uint8Array, info: string): Secret {
  return Secret.own(hkdfSha256(root, SALT, new TextEncoder().encode(info), 32), 32);
}

/** Node key and channel base use only the first half of a mnemonic's seed. */
function rootOf(seed: Secret): Uint8Array {
  return reveal(seed).subarray(0, 32);
}

function bip32Master(secp: Secp256k1, seed: Secret, forcedSeed: Secret | undefined): ExtendedPrivateKey {
  if (forcedSeed !== undefined) return masterKey(secp, reveal(forcedSeed));
  const bip32Seed = hkdfSecret(reveal(seed), 'bip32 seed');
  const master = masterKey(secp, reveal(bip32Seed));
  bip32Seed.wipe();
  return master;
}

/** m/86'/0'/0' of the mnemonic's seed itself, so that other wallets find the same addresses. */
function bip86AccountKey(secp: Secp256k1, seed: Secret): ExtendedPrivateKey {
  const master = masterKey(secp, reveal(seed));
  const account = derivePrivatePath(secp, master, [HARDENED + 86, HARDENED, HARDENED]);
  master.privateKey.wipe();
  return account;
}

function identityOf(
  secp: Secp256k1,
  secrets: RingSecrets,
  bip86Account: ExtendedPublicKey | undefined,
  version: number,
): NodeIdentity {
  return {
    nodeId: secp.publicKey(reveal(secrets.node)),
    bip32: serializePublic(secrets.bip32.publicNode, version),
    bolt12: secp.publicKey(reveal(secrets.bolt12)),
    ...(bip86Account && { bip86Base: serializePublic(bip86Account, version) }),
  };
}

function copyForced(forced: ForcedChannelSecrets): ForcedChannelSecrets {
  return Object.fromEntries(
    Object.entries(forced).map(([name, secret]) => [name, Secret.copy(reveal(secret), 32)]),
  );
}
