/** Bytes in fives of bits, as invoices are written, and the text of a BOLT 12 invoice: bech32 without a checksum. */

/** Eight bits to five, the last ones filled up with zeros. */
export function toWords(bytes: Uint8Array): number[] {
  const words: number[] = [];
  let [carry, bits] = [0, 0];
  for (const byte of bytes) {
    carry = (carry << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) words.push((carry >> (bits - 5)) & 31);
    carry &= (1 << bits) - 1;
  }
  if (bits > 0) words.push((carry << (5 - bits)) & 31);
  return words;
}

const ALPHABET = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';

/** `lni1…` of what LDK's `Bolt12Invoice.write()` gives: its bindings have no text of an invoice. */
export function bolt12InvoiceText(invoice: Uint8Array): string {
  return `lni1${toWords(invoice)
    .map((word) => ALPHABET[word])
    .join('')}`;
}
