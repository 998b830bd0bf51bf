/**
 * BOLT 11 invoices: bech32, amount, timestamp, tagged fields, and who signed. Reads what must be known to approve a
 * payment and to remember an invoice of ours; whatever is not well formed is a `FormError`.
 */

import { FormError, type Msat, msat, type Secp256k1 } from '@countersign/bitcoin';
import { bech32 } from '@scure/base';
import { bolt11Digest } from '../keys/digests.ts';
import type { NetworkName } from '../network.ts';
import { shortText } from './description.ts';

/** "ln" and the bech32 prefix of the chain (SLIP 173); an amount follows. */
export const INVOICE_PREFIX: Readonly<Record<NetworkName, string>> = {
  bitcoin: 'lnbc',
  testnet: 'lntb',
  testnet4: 'lntb',
  signet: 'lntbs',
  regtest: 'lnbcrt',
};

export interface InvoiceFields {
  /** `lnbc`, `lntbs`, …: the network it is for. */
  readonly prefix: string;
  /** Null: the payer chooses. */
  readonly amountMsat: Msat | null;
  readonly createdAtSeconds: number;
  readonly expirySeconds: number;
  readonly paymentHash: Uint8Array;
  /** The `n` field; null where the payee follows from the signature alone. */
  readonly claimedPayee: Uint8Array | null;
  readonly minFinalCltvExpiryBlocks: number;
  /** Shortened, and the payee's word only. */
  readonly description: string;
  /** The `9` field as words, big-endian; empty when absent. */
  readonly features: Uint8Array;
}

export interface Bolt11Invoice extends InvoiceFields {
  readonly digest: Uint8Array;
  readonly signature: Uint8Array;
  readonly recoveryId: number;
}

const TIMESTAMP_WORDS = 7;
/** 64 bytes and a recovery id. */
const SIGNATURE_WORDS = 104;
const EXPIRY_DEFAULT_SECONDS = 3600;
const CLTV_DEFAULT_BLOCKS = 18;
const FIELD = { p: 1, r: 3, features: 5, x: 6, f: 9, d: 13, s: 16, n: 19, h: 23, c: 24, m: 27 } as const;
/** Of the fields with a fixed length; one of another length is skipped, as BOLT 11's own example has it. */
const FIXED_WORDS: Readonly<Record<number, number>> = {
  [FIELD.p]: 52,
  [FIELD.s]: 52,
  [FIELD.h]: 52,
  [FIELD.n]: 53,
};

/** Millisatoshi per unit of the amount; pico-bitcoin are tenths of one. */
const MULTIPLIER_MSAT: Readonly<Record<string, bigint>> = {
  '': 100_000_000_000n,
  m: 100_000_000n,
  u: 100_000n,
  n: 100n,
};

function amountOf(text: string): Msat | null {
  if (text === '') return null;
  const [, digits, multiplier] = /^([1-9]\d{0,19})([munp]?)$/.exec(text) ?? [];
  if (digits === undefined || multiplier === undefined)
    throw new FormError('the amount of the invoice is not one', { amount: shortText(text) });
  const value = BigInt(digits);
  if (multiplier !== 'p') return msat(value * MULTIPLIER_MSAT[multiplier]!);
  if (value % 10n !== 0n) throw new FormError('the invoice asks for less than a millisatoshi');
  return msat(value / 10n);
}

function splitPrefix(humanReadablePart: string): { prefix: string; amountMsat: Msat | null } {
  const [, prefix, amount] = /^(ln(?:bcrt|bc|tbs|tb))(\d.*)?$/.exec(humanReadablePart) ?? [];
  if (prefix === undefined)
    throw new FormError('not an invoice of a network this signer knows', {
      prefix: shortText(humanReadablePart),
    });
  return { prefix, amountMsat: amountOf(amount ?? '') };
}

/** Big-endian number of 5-bit words, without leading zero words where it has a length of its own. */
function numberOf(words: Uint8Array, what: string): number {
  // 45 bits stay exact, and no time or number of blocks needs more.
  if (words.length > 9 || words[0] === 0) throw new FormError(`the ${what} is no number of its least length`);
  return words.reduce((value, word) => value * 32 + word, 0);
}

function bytesOf(words: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(Math.floor((words.length * 5) / 8));
  let value = 0;
  let bits = 0;
  let at = 0;
  for (const word of words) {
    value = ((value << 5) | word) & 0xfff;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes[at++] = value >> bits;
  }
  if ((value & ((1 << bits) - 1)) !== 0)
    throw new FormError('a field of the invoice is not padded with zeros');
  return bytes;
}

/** The first of each field that counts; later ones and unknown ones are skipped. */
function fieldsOf(words: Uint8Array): ReadonlyMap<number, Uint8Array> {
  const fields = new Map<number, Uint8Array>();
  let at = 0;
  while (at < words.length) {
    if (at + 3 > words.length) throw new FormError('the invoice ends within a field', { at_word: at });
    const type = words[at]!;
    const length = words[at + 1]! * 32 + words[at + 2]!;
    const end = at + 3 + length;
    if (end > words.length)
      throw new FormError('a field reaches beyond the invoice', { type, words: length });
    const fixed = FIXED_WORDS[type];
    if (!fields.has(type) && (fixed === undefined || fixed === length))
      fields.set(type, words.subarray(at + 3, end));
    at = end;
  }
  return fields;
}

/** What an invoice says, from its human-readable part and its data without the signature (one 5-bit word per byte). */
export function readInvoiceFields(humanReadablePart: string, words: Uint8Array): InvoiceFields {
  const { prefix, amountMsat } = splitPrefix(humanReadablePart);
  if (words.length < TIMESTAMP_WORDS)
    throw new FormError('too short for an invoice', { words: words.length });
  if (words.some((word) => word > 31)) throw new FormError('invoice data is not in 5-bit words');
  const fields = fieldsOf(words.subarray(TIMESTAMP_WORDS));
  const hash = fields.get(FIELD.p);
  if (hash === undefined) throw new FormError('the invoice has no payment hash');
  if (!fields.has(FIELD.s)) throw new FormError('the invoice has no payment secret');
  const description = fields.get(FIELD.d);
  if ((description === undefined) !== fields.has(FIELD.h))
    throw new FormError('an invoice has either a description or the hash of one');
  const [expiry, cltv, payee] = [fields.get(FIELD.x), fields.get(FIELD.c), fields.get(FIELD.n)];
  return {
    prefix,
    amountMsat,
    createdAtSeconds: words.subarray(0, TIMESTAMP_WORDS).reduce((value, word) => value * 32 + word, 0),
    expirySeconds: expiry === undefined ? EXPIRY_DEFAULT_SECONDS : numberOf(expiry, 'expiry'),
    paymentHash: bytesOf(hash),
    claimedPayee: payee === undefined ? null : bytesOf(payee),
    minFinalCltvExpiryBlocks: cltv === undefined ? CLTV_DEFAULT_BLOCKS : numberOf(cltv, 'final expiry'),
    description: description === undefined ? '' : shortText(new TextDecoder().decode(bytesOf(description))),
    features: fields.get(FIELD.features) ?? new Uint8Array(0),
  };
}

/** A whole invoice as a string; its signature is read, not yet judged (`bolt11Payee`). */
export function readBolt11(text: string): Bolt11Invoice {
  // BOLT 11 has no limit of length; `false` lifts BIP 173's.
  const decoded = bech32.decodeUnsafe(text, false);
  if (decoded === undefined) throw new FormError('not a bech32 string', { characters: text.length });
  const words = Uint8Array.from(decoded.words);
  if (words.length < TIMESTAMP_WORDS + SIGNATURE_WORDS)
    throw new FormError('too short for an invoice', { words: words.length });
  const data = words.subarray(0, -SIGNATURE_WORDS);
  const signature = bytesOf(words.subarray(-SIGNATURE_WORDS));
  return {
    ...readInvoiceFields(decoded.prefix, data),
    digest: bolt11Digest(new TextEncoder().encode(decoded.prefix), data),
    signature: signature.subarray(0, 64),
    recoveryId: signature[64]!,
  };
}

/**
 * The node that signed the invoice; null when its signature is not valid. With an `n` field it must be that node's and
 * low-S, else the key is recovered from it (BOLT 11, "Requirements").
 */
export function bolt11Payee(secp: Secp256k1, invoice: Bolt11Invoice): Uint8Array | null {
  const { claimedPayee, digest, signature, recoveryId } = invoice;
  if (recoveryId > 3) return null;
  if (claimedPayee === null) return secp.recoverEcdsa(digest, signature, recoveryId);
  return secp.verifyEcdsa(digest, signature, claimedPayee) ? claimedPayee : null;
}
