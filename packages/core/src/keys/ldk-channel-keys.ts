/**
 * The keys of a channel from its channel_keys_id, exactly as rust-lightning's `KeysManager::derive_channel_keys` (0.1) makes
 * them: a chain of SHA-256, each step over the key before.
 */
import { FormError, type Secp256k1, sha256 } from '@countersign/bitcoin';
import { derivePrivateChild, type ExtendedPrivateKey, HARDENED } from './bip32.ts';
import { type ChannelKeys, type ChannelRef, withPublicKeys } from './channel-keys.ts';
import { reveal, Secret } from './secret.ts';

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);
const COMMITMENT_SEED = ascii('commitment seed');
const FUNDING = ascii('funding key');
const REVOCATION = ascii('revocation base key');
const PAYMENT = ascii('payment key');
const DELAYED_PAYMENT = ascii('delayed payment base key');
const HTLC = ascii('HTLC base key');

const NAME_BYTES = 33;

/**
 * 00 ‖ channel_keys_id, number 1: the one name such a channel has. Another name with the same keys would have a ratchet of its
 * own, and what one of them revokes the other could still publish.
 */
function channelKeysId({ peerId, dbid }: ChannelRef): Uint8Array {
  if (peerId.length !== NAME_BYTES || peerId[0] !== 0 || dbid !== 1n) {
    throw new FormError(
      'a channel of an LDK seed is named by 00 and its channel_keys_id, and has the number 1',
      {
        first_byte: peerId[0] ?? 'none',
        length_bytes: peerId.length,
        dbid,
      },
    );
  }
  return peerId.subarray(1);
}

/** `channelMaster`: m/3'. Throws `FormError` for a name that is none of this style. */
export function deriveLdkChannelKeys(
  secp: Secp256k1,
  seed: Secret,
  channelMaster: ExtendedPrivateKey,
  channel: ChannelRef,
): ChannelKeys {
  const id = channelKeysId(channel);
  const unique = uniqueSeed(secp, seed, channelMaster, id);
  const step = (info: Uint8Array, before: Secret): Secret =>
    Secret.own(sha256(reveal(unique), reveal(before), info), 32);
  const shaseed = Secret.own(sha256(reveal(unique), COMMITMENT_SEED), 32);
  const funding = step(FUNDING, shaseed);
  const revocation = step(REVOCATION, funding);
  const payment = step(PAYMENT, revocation);
  const delayedPayment = step(DELAYED_PAYMENT, payment);
  const htlc = step(HTLC, delayedPayment);
  unique.wipe();
  return withPublicKeys(secp, { funding, revocation, htlc, payment, delayedPayment, shaseed });
}

/** SHA-256 of the id, the seed, and the child of m/3' that the low 31 bits of the id's first u64 name. */
function uniqueSeed(
  secp: Secp256k1,
  seed: Secret,
  channelMaster: ExtendedPrivateKey,
  id: Uint8Array,
): Secret {
  const index = new DataView(id.buffer, id.byteOffset, id.length).getUint32(4) & 0x7fff_ffff;
  const { privateKey } = derivePrivateChild(secp, channelMaster, HARDENED + index);
  const unique = Secret.own(sha256(id, reveal(seed), reveal(privateKey)), 32);
  privateKey.wipe();
  return unique;
}
