/**
 * BOLT 11 invoices, written from the specification and sharing nothing with the signer's own reading: whoever sells
 * something to the attacked node, honestly or not.
 */
import { concat, sha256 } from '@countersign/bitcoin';
import { bytesOf } from '../../packages/core/test/test-signer.ts';
import { PAYEE_SECRET, secp } from './world.ts';

const CHARSET = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
const GENERATOR = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];
const utf8 = new TextEncoder();
const TYPE = {
  paymentHash: 1,
  paymentSecret: 16,
  description: 13,
  expiry: 6,
  minFinalCltv: 24,
  payee: 19,
  features: 5,
};

/** Bytes to words of 5 bits, the last filled with zeros. */
function words(bytes: Uint8Array): number[] {
  const out: number[] = [];
  let held = 0;
  let bits = 0;
  for (const byte of bytes) {
    held = ((held << 8) | byte) & 0xfff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      out.push((held >> bits) & 31);
    }
  }
  if (bits > 0) out.push((held << (5 - bits)) & 31);
  return out;
}

/** What is signed of the words: bytes, the last filled with zero bits. */
function bytesOfWords(data: readonly number[]): Uint8Array {
  const out: number[] = [];
  let held = 0;
  let bits = 0;
  for (const word of data) {
    held = ((held << 5) | word) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      out.push((held >> bits) & 0xff);
    }
  }
  if (bits > 0) out.push((held << (8 - bits)) & 0xff);
  return Uint8Array.from(out);
}

/** A number as big-endian words, at least `length` of them. */
function numberWords(value: number, length = 0): number[] {
  const out: number[] = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 32)) out.unshift(rest % 32);
  while (out.length < length) out.unshift(0);
  return out;
}

function polymod(values: readonly number[]): number {
  let checksum = 1;
  for (const value of values) {
    const top = checksum >>> 25;
    checksum = ((checksum & 0x1ffffff) << 5) ^ value;
    GENERATOR.forEach((generator, i) => {
      if (((top >>> i) & 1) === 1) checksum ^= generator;
    });
  }
  return checksum >>> 0;
}

/** BIP 173, without its limit of 90 characters, as BOLT 11 has it. */
function bech32(hrp: string, data: readonly number[]): string {
  const codes = [...utf8.encode(hrp)];
  const expanded = [...codes.map((code) => code >> 5), 0, ...codes.map((code) => code & 31)];
  const checksum = polymod([...expanded, ...data, 0, 0, 0, 0, 0, 0]) ^ 1;
  const check = [0, 1, 2, 3, 4, 5].map((i) => (checksum >>> (5 * (5 - i))) & 31);
  return `${hrp}1${[...data, ...check].map((word) => CHARSET[word]).join('')}`;
}

const field = (type: number, data: readonly number[]): number[] => [
  type,
  ...numberWords(data.length, 2),
  ...data,
];

export interface InvoiceTerms {
  readonly preimage: Uint8Array;
  /** Null: the payer names it. */
  readonly amountMsat: bigint | null;
  /** Of the payee; who is on the operator's allowlist if nobody is named. */
  readonly payeeSecret?: Uint8Array;
  readonly network?: 'bc' | 'tb' | 'bcrt';
  readonly createdAtSeconds?: number;
  readonly expirySeconds?: number;
  /** Names the payee in a field of its own; may be a lie. */
  readonly namedPayee?: Uint8Array;
}

/** What the invoice says before it is signed. */
export function invoiceText(terms: InvoiceTerms): { readonly hrp: string; readonly data: readonly number[] } {
  const { preimage, amountMsat, network = 'bcrt', namedPayee } = terms;
  const createdAtSeconds = terms.createdAtSeconds ?? Math.floor(Date.now() / 1000);
  const data = [
    ...numberWords(createdAtSeconds, 7),
    ...field(TYPE.paymentSecret, words(bytesOf('payment secret'))),
    ...field(TYPE.paymentHash, words(sha256(preimage))),
    ...field(TYPE.description, words(utf8.encode('coffee'))),
    ...field(TYPE.expiry, numberWords(terms.expirySeconds ?? 3600)),
    ...field(TYPE.minFinalCltv, numberWords(18)),
    // var_onion_optin and payment_secret, required.
    ...field(TYPE.features, numberWords((1 << 14) | (1 << 8))),
    ...(namedPayee === undefined ? [] : field(TYPE.payee, words(namedPayee))),
  ];
  // A pico-bitcoin is a tenth of a millisatoshi.
  return { hrp: `ln${network}${amountMsat === null ? '' : `${amountMsat * 10n}p`}`, data };
}

function signed({ hrp, data }: ReturnType<typeof invoiceText>, secret: Uint8Array): string {
  const digest = sha256(concat(utf8.encode(hrp), bytesOfWords(data)));
  const { signature, recoveryId } = secp.signEcdsaRecoverable(digest, secret);
  return bech32(hrp, [...data, ...words(concat(signature, Uint8Array.of(recoveryId)))]);
}

export function invoice(terms: InvoiceTerms): string {
  return signed(invoiceText(terms), terms.payeeSecret ?? PAYEE_SECRET);
}

/** The signature is of other terms than those it stands under. */
export function forgedInvoice(shown: InvoiceTerms, signedTerms: InvoiceTerms): string {
  const said = invoiceText(shown);
  const meant = invoiceText(signedTerms);
  const digest = sha256(concat(utf8.encode(meant.hrp), bytesOfWords(meant.data)));
  const { signature, recoveryId } = secp.signEcdsaRecoverable(digest, shown.payeeSecret ?? PAYEE_SECRET);
  return bech32(said.hrp, [...said.data, ...words(concat(signature, Uint8Array.of(recoveryId)))]);
}

/** The parts that sign_invoice gets of an invoice of our own. */
export function ownInvoice(terms: InvoiceTerms): { readonly u5bytes: Uint8Array; readonly hrp: Uint8Array } {
  const { hrp, data } = invoiceText(terms);
  return { u5bytes: Uint8Array.from(data), hrp: utf8.encode(hrp) };
}
