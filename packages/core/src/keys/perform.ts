/**
 * Carries out a release instruction: the only caller of the signing and revealing functions. It decides nothing;
 * whoever calls it holds an approved decision, and hands the reply out only once that decision is durable.
 */
import { type Reply, SIGHASH_ALL } from '@countersign/wire';
import { withSignature } from '../identity/gossip.ts';
import type { Release } from '../release.ts';
import { assemble, jobsOf } from './batch.ts';
import type { KeyRing } from './keyring.ts';
import { deriveSecret, ecdh, releasePerCommitmentSecret } from './release.ts';
import { signDelayed, signFunding, signHtlc, signRevocation } from './sign.ts';
import { signJob } from './sign-job.ts';
import {
  signBolt12Alias,
  signBolt12Payer,
  signGossip,
  signLease,
  signNodeRecoverable,
  signWalletRecoverable,
} from './sign-node.ts';

const signTx = (signature: Uint8Array, sighash: number): Reply => ({
  name: 'hsmd_sign_tx_reply',
  sig: { signature, sighash },
});

/**
 * Carry out what was decided: sign, or reveal. Only once the changes of that decision are on their way to the disk;
 * the reply may leave only when they are durable.
 */
export function perform(ring: KeyRing, release: Release): Reply {
  switch (release.kind) {
    case 'reply':
      return release.reply;
    case 'sign-funding': {
      const signature = signFunding(ring, release.channel, release.sighash);
      return { name: release.reply, sig: { signature, sighash: SIGHASH_ALL } };
    }
    case 'sign-htlc':
      return signTx(
        signHtlc(ring, release.channel, release.perCommitmentPoint, release.sighash),
        release.sighashType,
      );
    case 'sign-delayed':
      return signTx(
        signDelayed(ring, release.channel, release.perCommitmentPoint, release.sighash),
        SIGHASH_ALL,
      );
    case 'sign-revocation':
      return signTx(
        signRevocation(ring, release.channel, release.revocationSecret, release.sighash),
        SIGHASH_ALL,
      );
    case 'sign-psbt':
    case 'sign-commitment':
      return assemble(
        release,
        jobsOf(release).map((job) => signJob(ring, job)),
      );
    case 'revoke-commitment':
      return {
        name: 'hsmd_revoke_commitment_tx_reply',
        oldCommitmentSecret: releasePerCommitmentSecret(ring, release.channel, release.number),
        nextPerCommitmentPoint: release.nextPerCommitmentPoint,
      };
    case 'point-and-secret':
      return {
        name: 'hsmd_get_per_commitment_point_reply',
        perCommitmentPoint: release.perCommitmentPoint,
        oldCommitmentSecret: releasePerCommitmentSecret(ring, release.channel, release.secretNumber),
      };
    default:
      return performForNode(ring, release);
  }
}

type NodeRelease = Exclude<
  Release,
  {
    kind:
      | 'reply'
      | 'sign-funding'
      | 'sign-htlc'
      | 'sign-delayed'
      | 'sign-revocation'
      | 'sign-psbt'
      | 'sign-commitment'
      | 'revoke-commitment'
      | 'point-and-secret';
  }
>;

/** Releases that use the node's identity rather than a channel's keys. */
function performForNode(ring: KeyRing, release: NodeRelease): Reply {
  switch (release.kind) {
    case 'ecdh':
      return { name: 'hsmd_ecdh_resp', ss: ecdh(ring, release.point) };
    case 'derive-secret':
      return { name: 'hsmd_derive_secret_reply', secret: deriveSecret(ring, release.info) };
    case 'sign-invoice':
      return { name: 'hsmd_sign_invoice_reply', sig: signNodeRecoverable(ring, release.digest) };
    case 'sign-message':
      return { name: 'hsmd_sign_message_reply', sig: signNodeRecoverable(ring, release.digest) };
    case 'sign-bip137':
      return {
        name: 'hsmd_bip137_sign_message_reply',
        sig: signWalletRecoverable(ring, release.index, release.digest),
      };
    case 'sign-bolt12':
      return {
        name: 'hsmd_sign_bolt12_reply',
        sig: signBolt12Payer(ring, release.digest, release.publicTweak),
      };
    case 'sign-bolt12-alias':
      return {
        name: 'hsmd_sign_bolt12_2_reply',
        sig: signBolt12Alias(ring, release.digest, release.info, release.publicTweak),
      };
    case 'sign-lease':
      return { name: 'hsmd_sign_option_will_fund_offer_reply', rsig: signLease(ring, release.digest) };
    case 'sign-gossip':
      return { name: release.reply, signature: signGossip(ring, release.digest) };
    case 'sign-channel-update':
      return {
        name: 'hsmd_cupdate_sig_reply',
        cu: withSignature(release.update, signGossip(ring, release.digest)),
      };
    case 'sign-channel-announcement':
      return {
        name: release.reply,
        nodeSignature: signGossip(ring, release.digest),
        bitcoinSignature: signFunding(ring, release.channel, release.digest),
      };
  }
}
