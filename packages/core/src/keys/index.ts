/** Private keys: the only folder that holds them. `reveal` and the ring's private side are not exported. */
export type { ChannelPublicKeys, ForcedChannelSecrets } from './channel-keys.ts';
export {
  bip137Digest,
  bolt11Digest,
  bolt12Digest,
  type GossipKind,
  gossipDigest,
  heartbeatDigest,
  type LeaseCommitment,
  leaseDigest,
  lightningMessageDigest,
} from './digests.ts';
export { parseExtendedPublicKey } from './extended-key.ts';
export {
  type HsmSecret,
  type HsmSecretKind,
  hsmSecretKind,
  newHsmSecret,
  openHsmSecret,
  openHsmSecretSync,
} from './hsm-secret.ts';
export { HsmSecretError, type HsmSecretFault, type InitFailure } from './hsm-secret-error.ts';
export { type DevForce, KeyRing, type KeyRingOptions, type KeyStyle, type NodeIdentity } from './keyring.ts';
export {
  checkFutureSecret,
  deriveSecret,
  ecdh,
  LDK_INBOUND_PAYMENT_INFO,
  releasePerCommitmentSecret,
} from './release.ts';
export { Secret } from './secret.ts';
export {
  signAnchor,
  signDelayed,
  signFunding,
  signHtlc,
  signRevocation,
  signToRemote,
  signWallet,
  signWalletTaproot,
} from './sign.ts';
export {
  type RecoverableSignature,
  signBolt12,
  signBolt12Alias,
  signBolt12Payer,
  signGossip,
  signHeartbeat,
  signLease,
  signNodeRecoverable,
  signWalletRecoverable,
} from './sign-node.ts';
