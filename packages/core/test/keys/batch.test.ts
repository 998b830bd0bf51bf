/** Releases with many signatures, in parts: each part is the signature it stands for, and the whole is what one call gives. */
import { createHash } from 'node:crypto';
import { loadSecp256k1 } from '@countersign/bitcoin';
import { encodeMessage, SIGHASH_ALL } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import {
  assemble,
  type BatchRelease,
  isBatch,
  jobsOf,
  KeyRing,
  openHsmSecretSync,
  perform,
  type Release,
  signFunding,
  signHtlc,
  signJob,
} from '../../src/index.ts';

const secp = loadSecp256k1();
const { seed } = openHsmSecretSync(new Uint8Array(32).fill(7));
const ring = new KeyRing({ secp256k1: secp, seed, bip32PublicVersion: 0x043587cf });
const hash = (name: string): Uint8Array => Uint8Array.from(createHash('sha256').update(name).digest());
const channel = { peerId: secp.publicKey(hash('peer')), dbid: 3n };
const perCommitmentPoint = secp.publicKey(hash('point'));
const SIGHASH_SINGLE_ANYONECANPAY = 0x83;

const release: BatchRelease = {
  kind: 'sign-commitment',
  channel,
  sighash: hash('commitment'),
  perCommitmentPoint,
  htlcs: [
    { sighash: hash('first'), sighashType: SIGHASH_ALL },
    { sighash: hash('second'), sighashType: SIGHASH_SINGLE_ANYONECANPAY },
  ],
};

describe('a commitment with its HTLC transactions', () => {
  const signatures = jobsOf(release).map((job) => signJob(ring, job));

  it('is signed by the funding key, then by the HTLC key for each output', () => {
    expect(signatures).toEqual([
      signFunding(ring, channel, hash('commitment')),
      signHtlc(ring, channel, perCommitmentPoint, hash('first')),
      signHtlc(ring, channel, perCommitmentPoint, hash('second')),
    ]);
    const { fundingPubkey } = ring.channelPublicKeys(channel);
    expect(secp.verifyEcdsa(hash('commitment'), signatures[0]!, fundingPubkey)).toBe(true);
  });

  it('is the same in parts and at once', () => {
    const whole = perform(ring, release);
    expect(whole).toEqual({
      name: 'vls_sign_commitment_tx_with_htlcs_reply',
      sig: { signature: signatures[0], sighash: SIGHASH_ALL },
      htlcSigs: [
        { signature: signatures[1], sighash: SIGHASH_ALL },
        { signature: signatures[2], sighash: SIGHASH_SINGLE_ANYONECANPAY },
      ],
    });
    expect(encodeMessage(assemble(release, signatures))).toEqual(encodeMessage(whole));
  });

  it('takes one signature for each job, not one less or more', () => {
    for (const wrong of [signatures.slice(1), [...signatures, signatures[0]!]])
      expect(() => assemble(release, wrong)).toThrow(/one signature for each job/);
  });
});

it('other releases come in one piece', () => {
  const single: Release = { kind: 'sign-message', digest: hash('message') };
  expect([isBatch(release), isBatch(single)]).toEqual([true, false]);
});
