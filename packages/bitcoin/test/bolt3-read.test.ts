/** Reading the witness scripts of BOLT 3 back: what was built is read field for field, and nothing else is read. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  anchorScript,
  buildScript,
  encodeScriptNumber,
  fundingScript,
  hash160,
  htlcScripts,
  OP,
  readWitnessScript,
  ripemd160,
  toLocalScript,
  toRemoteAnchoredScript,
} from '../src/index.ts';
import { formats, keys, localFundingKey, remoteFundingKey } from './bolt3-channel.ts';

const blocks = fc.oneof(
  fc.integer({ min: 0, max: 0xffff }),
  fc.constantFrom(0, 1, 16, 17, 127, 128, 0x7fff, 0x8000),
);
const expiry = fc.oneof(fc.integer({ min: 0, max: 499_999_999 }), fc.constantFrom(0, 16, 17, 499_999_999));
const hash = fc.uint8Array({ minLength: 32, maxLength: 32 });

const htlcFields = (paymentHash: Uint8Array, isLocked: boolean) => ({
  revocationHash: hash160(keys.revocation),
  broadcasterHtlc: keys.broadcasterHtlc,
  countersignatoryHtlc: keys.countersignatoryHtlc,
  hash: ripemd160(paymentHash),
  isLocked,
});

describe('reading BOLT 3 scripts', () => {
  it('to_local', () => {
    fc.assert(
      fc.property(blocks, (delayBlocks) => {
        expect(readWitnessScript(toLocalScript(keys, delayBlocks))).toEqual({
          kind: 'to_local',
          revocation: keys.revocation,
          delayBlocks,
          broadcasterDelayed: keys.broadcasterDelayed,
        });
      }),
    );
  });
  it('to_remote with anchors, also with a lock that none has', () => {
    const { countersignatoryPayment } = keys;
    fc.assert(
      fc.property(blocks, (lockBlocks) => {
        const script = buildScript(
          countersignatoryPayment,
          OP.OP_CHECKSIGVERIFY,
          encodeScriptNumber(lockBlocks),
          OP.OP_CHECKSEQUENCEVERIFY,
        );
        expect(readWitnessScript(script)).toEqual({ kind: 'to_remote', countersignatoryPayment, lockBlocks });
      }),
    );
    expect(readWitnessScript(toRemoteAnchoredScript(countersignatoryPayment))).toMatchObject({
      lockBlocks: 1,
    });
  });
  it('anchor', () => {
    expect(readWitnessScript(anchorScript(localFundingKey))).toEqual({
      kind: 'anchor',
      fundingKey: localFundingKey,
    });
  });
  it.each(formats)('offered and received HTLC, %s', (format) => {
    const scripts = htlcScripts(keys, format);
    const isLocked = format !== 'static_remotekey';
    fc.assert(
      fc.property(hash, expiry, (paymentHash, cltvExpiry) => {
        const fields = htlcFields(paymentHash, isLocked);
        expect(readWitnessScript(scripts.offered(paymentHash))).toEqual({ kind: 'offered_htlc', ...fields });
        expect(readWitnessScript(scripts.received(paymentHash, cltvExpiry))).toEqual({
          kind: 'received_htlc',
          cltvExpiry,
          ...fields,
        });
      }),
    );
  });

  const all = [
    toLocalScript(keys, 144),
    toRemoteAnchoredScript(keys.countersignatoryPayment),
    anchorScript(localFundingKey),
    ...formats.flatMap((format) => {
      const scripts = htlcScripts(keys, format);
      return [scripts.offered(new Uint8Array(32)), scripts.received(new Uint8Array(32), 700_000)];
    }),
  ];
  it('is null for every script cut short, lengthened, or with another opcode', () => {
    for (const script of all) {
      for (let length = 0; length < script.length; length++)
        expect(readWitnessScript(script.subarray(0, length))).toBeNull();
      expect(readWitnessScript(Uint8Array.from([...script, OP.OP_DROP]))).toBeNull();
      expect(readWitnessScript(Uint8Array.from([OP.OP_DROP, ...script]))).toBeNull();
    }
  });
  it('never reads two scripts alike: one bit changes a field, or the script is read as none', () => {
    for (const script of all) {
      const honest = readWitnessScript(script);
      expect(honest).not.toBeNull();
      for (let bit = 0; bit < 8 * script.length; bit++) {
        const changed = script.with(bit >> 3, script[bit >> 3]! ^ (1 << (bit & 7)));
        expect(readWitnessScript(changed)).not.toEqual(honest);
      }
    }
  });
  it('is null for keys and hashes of another length, numbers that are none, and a size check of another size', () => {
    const local = (revocation: Uint8Array, delay: number | Uint8Array, delayed = keys.broadcasterDelayed) =>
      buildScript(
        OP.OP_IF,
        revocation,
        OP.OP_ELSE,
        delay,
        OP.OP_CHECKSEQUENCEVERIFY,
        OP.OP_DROP,
        delayed,
        OP.OP_ENDIF,
        OP.OP_CHECKSIG,
      );
    expect(readWitnessScript(local(keys.revocation, Uint8Array.of(5)))).toMatchObject({ delayBlocks: 5 });
    expect(readWitnessScript(local(keys.revocation.subarray(1), Uint8Array.of(5)))).toBeNull();
    expect(
      readWitnessScript(local(keys.revocation, Uint8Array.of(5), keys.revocation.subarray(1))),
    ).toBeNull();
    expect(readWitnessScript(local(keys.revocation, OP.OP_DUP))).toBeNull();
    expect(readWitnessScript(local(keys.revocation, new Uint8Array(7).fill(1)))).toBeNull();
    expect(readWitnessScript(local(keys.revocation, Uint8Array.of(5, 0)))).toBeNull();
    const offered = htlcScripts(keys, 'anchors').offered(new Uint8Array(32));
    const size = offered.findIndex(
      (byte, i) => byte === OP.OP_SIZE && offered[i + 1] === 1 && offered[i + 2] === 32,
    );
    expect(readWitnessScript(offered.with(size + 2, 33))).toBeNull();
  });
  it('is null for other scripts, also long ones', () => {
    for (const script of [
      new Uint8Array(0),
      fundingScript(localFundingKey, remoteFundingKey),
      new Uint8Array(161).fill(OP.OP_DROP),
      new Uint8Array(100_000),
    ])
      expect(readWitnessScript(script)).toBeNull();
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (script) => readWitnessScript(script) === null));
  });
});
