import { createHash } from 'node:crypto';
import { concat, FormError, toHex } from '@countersign/bitcoin';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bip137Digest,
  bolt11Digest,
  bolt12Digest,
  gossipDigest,
  leaseDigest,
  lightningMessageDigest,
} from '../../src/keys/digests.ts';

const sha = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();
const ascii = (text: string): Uint8Array => Buffer.from(text, 'latin1');

/** As text of bits: slow and plain. */
function packed(words: readonly number[]): Uint8Array {
  const bits = words.map((word) => word.toString(2).padStart(5, '0')).join('');
  return Uint8Array.from(
    (bits.match(/.{1,8}/g) ?? []).map((byte) => Number.parseInt(byte.padEnd(8, '0'), 2)),
  );
}

describe('BOLT 11 digest', () => {
  it('packs 5-bit words and pads with zero bits', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(31), { maxLength: 200 }), (words) => {
        const hrp = ascii('lnbcrt1');
        expect(toHex(bolt11Digest(hrp, Uint8Array.from(words)))).toBe(toHex(sha(concat(hrp, packed(words)))));
      }),
    );
  });

  it('refuses words above 31 and a NUL in the prefix', () => {
    expect(() => bolt11Digest(ascii('lnbc'), Uint8Array.of(1, 32))).toThrow(FormError);
    expect(() => bolt11Digest(ascii('ln\0bc'), Uint8Array.of(1))).toThrow(FormError);
  });
});

describe('BOLT 7 digests', () => {
  it.each([
    ['channel_announcement', 256, 258],
    ['node_announcement', 257, 66],
    ['channel_update', 258, 66],
  ] as const)('%s skips the signatures and nothing else', (kind, type, offset) => {
    const message = new Uint8Array(offset + 10).fill(7);
    message.set([type >> 8, type & 0xff]);
    const digest = toHex(gossipDigest(kind, message));
    expect(digest).toBe(toHex(sha(sha(message.subarray(offset)))));
    expect(toHex(gossipDigest(kind, message.with(offset - 1, 0)))).toBe(digest);
    expect(toHex(gossipDigest(kind, message.with(offset, 0)))).not.toBe(digest);
    expect(() => gossipDigest(kind, message.subarray(0, offset - 1))).toThrow(FormError);
    expect(() => gossipDigest(kind, message.with(1, 9))).toThrow(FormError);
    expect(() => gossipDigest(kind, new Uint8Array(0))).toThrow(FormError);
  });
});

describe('text digests', () => {
  it.each([0, 1, 252, 253, 65535, 65536])('BIP 137 and Lightning, %i bytes', (length) => {
    const message = new Uint8Array(length).fill(0x61);
    const size =
      length < 253
        ? [length]
        : length < 65536
          ? [0xfd, length & 0xff, length >> 8]
          : [0xfe, length & 0xff, (length >> 8) & 0xff, length >> 16, 0];
    const bip137 = concat(ascii('\x18Bitcoin Signed Message:\n'), Uint8Array.from(size), message);
    expect(toHex(bip137Digest(message))).toBe(toHex(sha(sha(bip137))));
    expect(toHex(lightningMessageDigest(message))).toBe(
      toHex(sha(sha(concat(ascii('Lightning Signed Message:'), message)))),
    );
  });
});

describe('lengths that are checked', () => {
  it('refuses Merkle roots and funding keys of another length', () => {
    expect(() => bolt12Digest('invoice', 'signature', new Uint8Array(31))).toThrow(FormError);
    const lease = { leaseExpiry_height: 1, channelFeeMaxBase_msat: 1, channelFeeMaxProportional_ppt: 1 };
    expect(() => leaseDigest({ ...lease, fundingPubkey: new Uint8Array(32) })).toThrow(FormError);
  });
});
