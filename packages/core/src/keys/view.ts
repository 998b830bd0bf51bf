/**
 * The public side of a key ring as the deciding code sees it: points and comparisons, never a private byte.
 */
import type { KeyView } from '../context.ts';
import { HARDENED } from './bip32.ts';
import type { KeyRing } from './keyring.ts';
import { checkFutureSecret } from './release.ts';

/** The public side of a ring, for decisions. */
export function keyView(ring: KeyRing): KeyView {
  const unlessHardened = (index: number, key: () => Uint8Array) => (index >= HARDENED ? null : key());
  return {
    nodeId: () => ring.nodeId,
    basepoints: (channel) => ring.channelPublicKeys(channel).basepoints,
    fundingPublicKey: (channel) => ring.channelPublicKeys(channel).fundingPubkey,
    perCommitmentPoint: (channel, number) => ring.perCommitmentPoint(channel, number),
    isPerCommitmentSecret: (channel, number, secret) => checkFutureSecret(ring, channel, number, secret),
    bip32PublicKey: (index) => unlessHardened(index, () => ring.bip32PublicKey(index)),
    bip86PublicKey: (index) =>
      ring.hasBip86Wallet ? unlessHardened(index, () => ring.bip86PublicKey(index)) : null,
    walletPublicKey: (index) => unlessHardened(index, () => ring.walletPublicKey(index)),
    walletIndexOf: (script, indexMax) => ring.walletIndexOf(script, indexMax),
    ownsScript: (xpub, script, indexMax) => ring.ownsScript(xpub, script, indexMax),
    paymentPublicKey: (channel, point) => ring.toRemotePublicKey(channel, point ?? undefined),
  };
}
