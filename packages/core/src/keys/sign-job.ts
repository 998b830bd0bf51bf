/**
 * One signature of a release that has many. It decides nothing: whoever calls it holds an approved decision, in this thread or,
 * for a large commitment, in one that works for it.
 */
import type { SignatureJob } from '../release.ts';
import type { KeyRing } from './keyring.ts';
import { signAnchor, signFunding, signHtlc, signToRemote, signWallet, signWalletTaproot } from './sign.ts';

/** 64 bytes. The same job gives the same bytes wherever it is done: nothing here is random. */
export function signJob(ring: KeyRing, job: SignatureJob): Uint8Array {
  switch (job.kind) {
    case 'funding':
      return signFunding(ring, job.channel, job.sighash);
    case 'htlc':
      return signHtlc(ring, job.channel, job.perCommitmentPoint, job.sighash);
    case 'psbt':
      return signInput(ring, job);
  }
}

function signInput(ring: KeyRing, { key, sighash }: Extract<SignatureJob, { kind: 'psbt' }>): Uint8Array {
  switch (key.kind) {
    case 'wallet':
      return signWallet(ring, key.index, sighash);
    case 'wallet-taproot':
      return signWalletTaproot(ring, key.index, sighash);
    case 'to-remote':
      return signToRemote(ring, key.channel, sighash, key.commitmentPoint ?? undefined);
    case 'anchor':
      return signAnchor(ring, key.channel, sighash);
  }
}
