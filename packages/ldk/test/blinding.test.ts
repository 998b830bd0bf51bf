/** What LDK's bindings hide of a blinding factor, and the text of a BOLT 12 invoice. */
import { fromHex, hmacSha256, toHex } from '@countersign/bitcoin';
import { bech32 } from '@scure/base';
import { describe, expect, it } from 'vitest';
import { BlindingFactors } from '../src/node/blinding.ts';
import { bolt12InvoiceText } from '../src/node/words.ts';

const secret = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);
const factorOf = (fill: number): Uint8Array =>
  hmacSha256(new TextEncoder().encode('blinded_node_id'), secret(fill));
/** As `scalar_bytes` of lightningdevkit 0.1.2-0 has it. */
const shown = (factor: Uint8Array): Uint8Array => Uint8Array.of(factor[0] ?? 0, ...new Uint8Array(31));

describe('the factor of a blinded path', () => {
  it('is that of the secret before it, by its first byte', () => {
    const factors = new BlindingFactors();
    for (const fill of [1, 2, 3]) factors.noteSecret(secret(fill));
    for (const fill of [3, 2, 1]) expect(factors.meant(shown(factorOf(fill)))).toEqual(factorOf(fill));
    const none = [1, 2, 3].map((fill) => factorOf(fill)[0]);
    const other = Uint8Array.of(
      [0, 1, 2, 3].find((byte) => !none.includes(byte)) ?? 0,
      ...new Uint8Array(31),
    );
    expect(factors.meant(other)).toBeUndefined();
  });

  it('is what the bindings show, should they show all of it', () => {
    expect(new BlindingFactors().meant(factorOf(9))).toEqual(factorOf(9));
  });

  it('is forgotten after so many others', () => {
    const factors = new BlindingFactors();
    const [first] = [0, 1, 2, 3, 4, 5].filter((fill) =>
      Array.from({ length: 16 }, (_, i) => factorOf(20 + i)[0]).every((byte) => byte !== factorOf(fill)[0]),
    );
    factors.noteSecret(secret(first ?? 0));
    for (let i = 0; i < 16; i++) factors.noteSecret(secret(20 + i));
    expect(factors.meant(shown(factorOf(first ?? 0)))).toBeUndefined();
    expect(factors.meant(shown(factorOf(35)))).toEqual(factorOf(35));
  });
});

it('an invoice is written as BOLT 12 has it: bech32 without a checksum', () => {
  for (const hex of ['', '00', 'ff', '0123456789abcdef', 'ff'.repeat(33)]) {
    const text = bolt12InvoiceText(fromHex(hex));
    const checked = bech32.encode('lni', bech32.toWords(fromHex(hex)), false);
    expect(text).toBe(checked.slice(0, -6));
    expect(toHex(fromHex(hex))).toBe(hex);
  }
});
