/**
 * Releases with many signatures, in parts: which signatures they take, and the reply made of them. No key is used here, so the
 * parts may be done in any thread, in any order.
 */
import {
  addPsbtPartialSig,
  concat,
  encodeDer,
  invariant,
  type Psbt,
  setPsbtTapKeySig,
} from '@countersign/bitcoin';
import { type Reply, SIGHASH_ALL } from '@countersign/wire';
import type { PsbtSignature, Release, SignatureJob } from '../release.ts';

/** The only kinds that may have many. */
export type BatchRelease = Extract<Release, { kind: 'sign-psbt' | 'sign-commitment' }>;

/** Whether a release has signatures that may be computed apart. */
export function isBatch(release: Release): release is BatchRelease {
  return release.kind === 'sign-psbt' || release.kind === 'sign-commitment';
}

/** In the order in which `assemble` wants the signatures. */
export function jobsOf(release: BatchRelease): readonly SignatureJob[] {
  if (release.kind === 'sign-psbt') {
    return release.signatures.map(({ key, sighash }) => ({ kind: 'psbt', key, sighash }));
  }
  const { channel, sighash, perCommitmentPoint, htlcs } = release;
  return [
    { kind: 'funding', channel, sighash },
    ...htlcs.map((htlc) => ({ kind: 'htlc' as const, channel, perCommitmentPoint, sighash: htlc.sighash })),
  ];
}

/** `signatures`: one for each of `jobsOf`, 64 bytes. */
export function assemble(release: BatchRelease, signatures: readonly Uint8Array[]): Reply {
  if (release.kind === 'sign-psbt') {
    requireCount(signatures, release.signatures.length);
    const psbt = release.signatures.reduce(
      (one, asked, i) => withSignature(one, asked, signatures[i]!),
      release.psbt,
    );
    return { name: release.reply, psbt };
  }
  requireCount(signatures, 1 + release.htlcs.length);
  const [signature, ...htlcSignatures] = signatures;
  return {
    name: 'vls_sign_commitment_tx_with_htlcs_reply',
    sig: { signature: signature!, sighash: SIGHASH_ALL },
    htlcSigs: htlcSignatures.map((one, i) => ({ signature: one, sighash: release.htlcs[i]!.sighashType })),
  };
}

function requireCount(signatures: readonly Uint8Array[], expected: number): void {
  invariant(signatures.length === expected, 'one signature for each job', {
    signatures: signatures.length,
    expected,
  });
}

function withSignature(psbt: Psbt, { input, key, publicKey }: PsbtSignature, signature: Uint8Array): Psbt {
  if (key.kind === 'wallet-taproot') return setPsbtTapKeySig(psbt, input, signature);
  return addPsbtPartialSig(psbt, input, {
    publicKey,
    signature: concat(encodeDer(signature), Uint8Array.of(SIGHASH_ALL)),
  });
}
