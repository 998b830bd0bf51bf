/**
 * All keys of one node, derived from its seed as CLN's hsmd derives them, or as LDK's `KeysManager` does. The class itself
 * shows public keys only; what signs or releases a secret are the functions of `sign.ts`, `sign-node.ts` and `release.ts`.
 */
import { CountersignError, derivePublicKey, keyScripts, type Secp256k1 } from '@countersign/bitcoin';
import {
  derivePrivateChild,
  derivePublicChild,
  type ExtendedPublicKey,
  requireNormalIndex,
  serializePublic,
} from './bip32.ts';
import {
  ChannelKeyCache,
  type ChannelKeys,
  type ChannelPublicKeys,
  type ChannelRef,
} from './channel-keys.ts';
import { ExtendedKeyScripts } from './extended-key.ts';
import {
  clnSecrets,
  type DevForce,
  type KeyStyle,
  ldkSecrets,
  type RingSecrets,
  wipeSecrets,
} from './roots.ts';
import { ScriptIndex } from './script-index.ts';
import { reveal, type Secret, withTemporary } from './secret.ts';

export type { DevForce, KeyStyle, RingSecrets } from './roots.ts';

/** What a ring is made of. */
export interface KeyRingOptions {
  readonly secp256k1: Secp256k1;
  /** 32 bytes, or (CLN's style) the 64 of a mnemonic. Read while constructing only: the caller wipes it. */
  readonly seed: Secret;
  /** Of extended public keys, u32 (`bip32_key_version` of INIT). */
  readonly bip32PublicVersion: number;
  /** `cln` where nothing is said. */
  readonly style?: KeyStyle;
  /** CLN's style only. */
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
  /** m/9735' (LDK's style: the node's), 33 bytes. */
  readonly bolt12: Uint8Array;
  /** m/86'/0'/0' of a mnemonic's own tree, 78 bytes; absent for 32-byte seeds. Coin type 0 on every network. */
  readonly bip86Base?: Uint8Array;
  /** Child i of it owns the wallet's outputs at index i (LDK's style: from 2 on): m/0/0, of a mnemonic m/86'/0'/0'/0. 78 bytes. */
  readonly wallet: Uint8Array;
}

let open: (ring: KeyRing) => { secrets: RingSecrets; channels: ChannelKeyCache };

/** The keys of one node. What it shows is public; only the functions of this folder reach the secrets. */
export class KeyRing {
  readonly secp256k1: Secp256k1;
  readonly style: KeyStyle;
  readonly identity: NodeIdentity;
  readonly #secrets: RingSecrets;
  readonly #channels: ChannelKeyCache;
  readonly #walletScripts: ScriptIndex;
  readonly #foreignScripts: ExtendedKeyScripts;

  constructor(options: KeyRingOptions) {
    const { secp256k1, seed, style = 'cln', force = {}, channelsCachedMax = CHANNELS_CACHED_MAX } = options;
    this.secp256k1 = secp256k1;
    this.style = style;
    this.#secrets = style === 'ldk' ? ldkSecrets(secp256k1, seed) : clnSecrets(secp256k1, seed, force);
    const { bip86Account, channelRoot } = this.#secrets;
    this.identity = identityOf(secp256k1, this.#secrets, bip86Account, options.bip32PublicVersion);
    this.#walletScripts = new ScriptIndex((index) => keyScripts(secp256k1, this.walletPublicKey(index)));
    this.#foreignScripts = new ExtendedKeyScripts(secp256k1, options.bip32PublicVersion);
    this.#channels = new ChannelKeyCache(channelsCachedMax, (channel) => channelRoot.derive(channel));
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

  /** The key that owns the wallet's outputs at `index`. In LDK's style 0 is its destination key, 1 its shutdown key. */
  walletPublicKey(index: number): Uint8Array {
    const first = this.#secrets.walletFirst[index];
    if (first !== undefined) return first.publicNode.publicKey;
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
    const { perCommitment, points } = this.#channels.get(channel);
    return points.get(`${commitmentNumber}`, () =>
      withTemporary(perCommitment.derive(commitmentNumber), (secret) => this.secp256k1.publicKey(secret)),
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
    wipeSecrets(this.#secrets);
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
  const { bip86, bip32, walletFirst } = ringSecrets(ring);
  const first = walletFirst[index];
  if (first !== undefined) return use(reveal(first.privateKey));
  const { privateKey } = derivePrivateChild(ring.secp256k1, bip86 ?? bip32, index);
  try {
    return use(reveal(privateKey));
  } finally {
    privateKey.wipe();
  }
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
    wallet: serializePublic((secrets.bip86 ?? secrets.bip32).publicNode, version),
  };
}
