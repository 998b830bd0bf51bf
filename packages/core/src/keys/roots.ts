/**
 * From a seed to the private keys everything else is derived from, in either style: as CLN's hsmd does it, or as
 * rust-lightning's `KeysManager` (0.1) does, so that the seed of an LDK node can move in.
 */
import { FormError, hkdfSha256, type Secp256k1 } from '@countersign/bitcoin';
import {
  derivePrivateChild,
  derivePrivatePath,
  type ExtendedPrivateKey,
  type ExtendedPublicKey,
  HARDENED,
  masterKey,
} from './bip32.ts';
import {
  type ChannelKeys,
  type ChannelRef,
  deriveChannelKeys,
  type ForcedChannelSecrets,
} from './channel-keys.ts';
import { deriveLdkChannelKeys } from './ldk-channel-keys.ts';
import { reveal, Secret } from './secret.ts';

/** How keys follow from the seed. Never changes for a seed: the node id would be another. */
export type KeyStyle = 'cln' | 'ldk';

/** The private side of a key ring, for this folder only. */
export interface RingSecrets {
  readonly node: Secret;
  readonly bolt12: Secret;
  /** Root of `deriveSecret`. */
  readonly derived: Secret;
  /** LDK's key of the payments it asks for, which `deriveSecret` gives; null where CLN's HKDF does. */
  readonly inboundPayment: Secret | null;
  /** m/0/0. */
  readonly bip32: ExtendedPrivateKey;
  /** m/86'/0'/0'/0. */
  readonly bip86: ExtendedPrivateKey | undefined;
  /** m/86'/0'/0'. */
  readonly bip86Account: ExtendedPublicKey | undefined;
  /** The wallet's keys from index 0 on that are none of its tree: LDK's destination and shutdown keys. */
  readonly walletFirst: readonly ExtendedPrivateKey[];
  readonly channelRoot: ChannelRoot;
}

/** What the keys of all channels are derived from. */
export interface ChannelRoot {
  /** Throws `FormError` for a name that no channel of this style has. */
  derive(channel: ChannelRef): ChannelKeys;
  wipe(): void;
}

/** Overrides of INIT that lightningd sends only with `--developer`. Never for a node with money. */
export interface DevForce {
  readonly nodePrivateKey?: Secret;
  /** Replaces the seed of the m/0/0 wallet and of the BOLT 12 key, not that of the BIP 86 wallet. */
  readonly bip32Seed?: Secret;
  readonly channelSecrets?: ForcedChannelSecrets;
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

function clnMaster(secp: Secp256k1, seed: Secret, forcedSeed: Secret | undefined): ExtendedPrivateKey {
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

/** `seed`: 32 bytes, or the 64 of a mnemonic. */
export function clnSecrets(secp: Secp256k1, seed: Secret, force: DevForce): RingSecrets {
  const master = clnMaster(secp, seed, force.bip32Seed);
  const bip86Account = seed.length === 64 ? bip86AccountKey(secp, seed) : undefined;
  const secrets = {
    node: force.nodePrivateKey
      ? Secret.copy(reveal(force.nodePrivateKey), 32)
      : hkdfSecret(rootOf(seed), 'nodeid'),
    bolt12: derivePrivateChild(secp, master, HARDENED + 9735).privateKey,
    derived: hkdfSecret(reveal(seed), 'derived secrets'),
    inboundPayment: null,
    bip32: derivePrivatePath(secp, master, [0, 0]),
    bip86: bip86Account && derivePrivateChild(secp, bip86Account, 0),
    bip86Account: bip86Account?.publicNode,
    walletFirst: [],
    channelRoot: clnChannelRoot(
      secp,
      hkdfSecret(rootOf(seed), 'peer seed'),
      copyForced(force.channelSecrets ?? {}),
    ),
  };
  master.privateKey.wipe();
  bip86Account?.privateKey.wipe();
  return secrets;
}

function clnChannelRoot(secp: Secp256k1, base: Secret, forced: ForcedChannelSecrets): ChannelRoot {
  return {
    derive: (channel) => deriveChannelKeys(secp, base, channel, forced),
    wipe() {
      for (const secret of [base, ...Object.values(forced)]) secret.wipe();
    },
  };
}

function copyForced(forced: ForcedChannelSecrets): ForcedChannelSecrets {
  return Object.fromEntries(
    Object.entries(forced).map(([name, secret]) => [name, Secret.copy(reveal(secret), 32)]),
  );
}

/** `KeysManager::new`: hardened children of the seed's master key. */
const LDK_NODE = HARDENED;
const LDK_DESTINATION = HARDENED + 1;
const LDK_SHUTDOWN = HARDENED + 2;
const LDK_CHANNELS = HARDENED + 3;
const LDK_INBOUND_PAYMENT = HARDENED + 5;

/**
 * `seed`: the 32 bytes that `KeysManager` takes. It has no wallet of its own: its two scripts are the wallet's first, and the
 * rest is m/0/0, as with CLN. BOLT 12 is signed with the node key.
 */
export function ldkSecrets(secp: Secp256k1, seed: Secret): RingSecrets {
  if (seed.length !== 32) throw new FormError('an LDK seed has 32 bytes', { length_bytes: seed.length });
  const master = masterKey(secp, reveal(seed));
  const child = (index: number) => derivePrivateChild(secp, master, index);
  const node = child(LDK_NODE).privateKey;
  const secrets = {
    node,
    bolt12: Secret.copy(reveal(node), 32),
    derived: hkdfSecret(reveal(seed), 'derived secrets'),
    inboundPayment: child(LDK_INBOUND_PAYMENT).privateKey,
    bip32: derivePrivatePath(secp, master, [0, 0]),
    bip86: undefined,
    bip86Account: undefined,
    walletFirst: [child(LDK_DESTINATION), child(LDK_SHUTDOWN)],
    channelRoot: ldkChannelRoot(secp, Secret.copy(reveal(seed), 32), child(LDK_CHANNELS)),
  };
  master.privateKey.wipe();
  return secrets;
}

function ldkChannelRoot(secp: Secp256k1, seed: Secret, channelMaster: ExtendedPrivateKey): ChannelRoot {
  return {
    derive: (channel) => deriveLdkChannelKeys(secp, seed, channelMaster, channel),
    wipe() {
      seed.wipe();
      channelMaster.privateKey.wipe();
    },
  };
}

export function wipeSecrets(secrets: RingSecrets): void {
  const { node, bolt12, derived, inboundPayment, bip32, bip86, walletFirst } = secrets;
  for (const secret of [node, bolt12, derived, bip32.privateKey]) secret.wipe();
  inboundPayment?.wipe();
  bip86?.privateKey.wipe();
  for (const { privateKey } of walletFirst) privateKey.wipe();
  secrets.channelRoot.wipe();
}
