/** BOLT 3 "Key Derivation" and Appendix E. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  deriveCommitmentKeys,
  derivePrivateKey,
  derivePublicKey,
  deriveRevocationPrivateKey,
  deriveRevocationPublicKey,
  FormError,
  fromHex,
  toHex,
} from '../src/index.ts';
import { keys, secp } from './bolt3-channel.ts';

const baseSecret = fromHex('000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f');
const commitmentSecret = fromHex('1f1e1d1c1b1a191817161514131211100f0e0d0c0b0a09080706050403020100');
const basepoint = fromHex('036d6caac248af96f6afa7f904f550253a0f3ef3f5aa2fe6838a95b216691468e2');
const point = fromHex('025f7117a78150fe2ef97db7cfc83bd57b2e2c0d0dd25eaf467a4a1c2a45ce1486');

describe('BOLT 3 Appendix E: Key Derivation Test Vectors', () => {
  it('derives the points of the secrets', () => {
    expect(secp.publicKey(baseSecret)).toEqual(basepoint);
    expect(secp.publicKey(commitmentSecret)).toEqual(point);
  });
  it('derivation of pubkey from basepoint and per_commitment_point', () => {
    expect(toHex(derivePublicKey(secp, basepoint, point))).toBe(
      '0235f2dbfaa89b57ec7b055afe29849ef7ddfeb1cefdb9ebdc43f5494984db29e5',
    );
  });
  it('derivation of private key from basepoint secret and per_commitment_secret', () => {
    expect(toHex(derivePrivateKey(secp, baseSecret, point))).toBe(
      'cbced912d3b21bf196a766651e436aff192362621ce317704ea2f75d87e7be0f',
    );
  });
  it('derivation of revocation pubkey from basepoint and per_commitment_point', () => {
    expect(toHex(deriveRevocationPublicKey(secp, basepoint, point))).toBe(
      '02916e326636d19c33f13e8c0c3a03dd157f332f3e99c317c141dd865eb01f8ff0',
    );
  });
  it('derivation of revocation secret from basepoint_secret and per_commitment_secret', () => {
    expect(toHex(deriveRevocationPrivateKey(secp, baseSecret, commitmentSecret))).toBe(
      'd09ffff62ddb2297ab000cc85bcb4283fdeb6aa052affbc9dddcf33b61078110',
    );
  });
});

describe('BOLT 3 Appendix C: keys of the vectors', () => {
  it('derives every key of the commitment', () => {
    expect(Object.fromEntries(Object.entries(keys).map(([name, key]) => [name, toHex(key)]))).toEqual({
      revocation: '0212a140cd0c6539d07cd08dfe09984dec3251ea808b892efeac3ede9402bf2b19',
      broadcasterDelayed: '03fd5960528dc152014952efdb702a88f71e3c1653b2314431701ec77e57fde83c',
      broadcasterHtlc: '030d417a46946384f88d5f3337267c5e579765875dc4daca813e21734b140639e7',
      countersignatoryHtlc: '0394854aa6eab5b2a8122cc726e9dded053a2184d88256816826d6231c068d4a5b',
      countersignatoryPayment: '032c0b7cf95324a07d05398b240174dc0c2be444d96b159aa6c7f7b1e668680991',
    });
  });
});

const secret = fc.uint8Array({ minLength: 32, maxLength: 32 }).filter((bytes) => secp.isPrivateKey(bytes));

describe('key derivation', () => {
  it('private and public derivation agree for any secrets', () => {
    fc.assert(
      fc.property(secret, secret, (base, perCommitment) => {
        const commitmentPoint = secp.publicKey(perCommitment);
        const basePoint = secp.publicKey(base);
        expect(secp.publicKey(derivePrivateKey(secp, base, commitmentPoint))).toEqual(
          derivePublicKey(secp, basePoint, commitmentPoint),
        );
        expect(secp.publicKey(deriveRevocationPrivateKey(secp, base, perCommitment))).toEqual(
          deriveRevocationPublicKey(secp, basePoint, commitmentPoint),
        );
      }),
      { numRuns: 50 },
    );
  });
  it('leaves the given secrets untouched', () => {
    const before = [toHex(baseSecret), toHex(commitmentSecret)];
    derivePrivateKey(secp, baseSecret, point);
    deriveRevocationPrivateKey(secp, baseSecret, commitmentSecret);
    expect([toHex(baseSecret), toHex(commitmentSecret)]).toEqual(before);
  });
  it('refuses bytes that are no point as FormError', () => {
    const noPoint = new Uint8Array(33).fill(2, 0, 1).fill(0xff, 1);
    const sources = (wrong: { readonly revocation?: Uint8Array; readonly htlc?: Uint8Array }) => ({
      perCommitmentPoint: point,
      broadcaster: { delayedPayment: basepoint, htlc: basepoint },
      countersignatory: { revocation: basepoint, payment: basepoint, htlc: basepoint, ...wrong },
    });
    expect(() => deriveCommitmentKeys(secp, sources({ revocation: noPoint }))).toThrow(FormError);
    // Those of HTLCs when they are asked for, each time.
    const keys = deriveCommitmentKeys(secp, sources({ htlc: noPoint }));
    expect(keys.broadcasterHtlc).toBe(keys.broadcasterHtlc);
    for (let i = 0; i < 2; i++) expect(() => keys.countersignatoryHtlc).toThrow(FormError);
    expect(() => derivePublicKey(secp, basepoint.subarray(1), point)).toThrow(FormError);
    expect(() => derivePrivateKey(secp, new Uint8Array(32), point)).toThrow(FormError);
  });
});
