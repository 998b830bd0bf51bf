/**
 * The text of an invoice that LDK wants signed. Its bindings hand out the fields and the hash, but not the text, which the signer
 * has to read: so it is written here as LDK writes it, and compared with LDK's hash before anything is asked.
 */
import { ByteWriter, equalBytes, sha256 } from '@countersign/bitcoin';
import {
  Currency,
  Option_CVec_u8ZZ_Some,
  Option_ThirtyTwoBytesZ_Some,
  Option_u64Z_Some,
  type PrivateRoute,
  type RawBolt11Invoice,
} from 'lightningdevkit';
import { paymentHashOf } from './inbound-payment.ts';
import { toWords } from './words.ts';

export interface InvoiceText {
  /** ASCII. */
  readonly hrp: Uint8Array;
  /** Values from 0 to 31, without signature and checksum. */
  readonly u5: Uint8Array;
}

const PREFIXES: Readonly<Record<Currency, string>> = {
  [Currency.LDKCurrency_Bitcoin]: 'bc',
  [Currency.LDKCurrency_BitcoinTestnet]: 'tb',
  [Currency.LDKCurrency_Regtest]: 'bcrt',
  [Currency.LDKCurrency_Simnet]: 'sb',
  [Currency.LDKCurrency_Signet]: 'tbs',
};
/** BOLT 11's letters as their bech32 values. */
const FIELD = { h: 23, d: 13, n: 19, p: 1, s: 16, features: 5, c: 24, x: 6, r: 3, m: 27 } as const;
const TIMESTAMP_WORDS = 7;
/** Pico-bitcoin in a unit, largest first: LDK takes the first that divides the amount. */
const UNITS = [
  ['m', 1_000_000_000n],
  ['u', 1_000_000n],
  ['n', 1000n],
  ['p', 1n],
] as const;

/** What LDK does not tell of an invoice: the application may have chosen these. */
export interface ExpectedHashes {
  readonly payment: readonly Uint8Array[];
  readonly description: readonly Uint8Array[];
}

/** Null when no text made of these hashes to what LDK wants signed. */
export function invoiceText(
  invoice: RawBolt11Invoice,
  inboundPaymentKey: Uint8Array,
  expected: ExpectedHashes,
): InvoiceText | null {
  const hrp = new TextEncoder().encode(prefixOf(invoice));
  const wanted = invoice.signable_hash();
  const secret = invoice.payment_secret();
  const derived =
    secret instanceof Option_ThirtyTwoBytesZ_Some ? [paymentHashOf(inboundPaymentKey, secret.some)] : [];
  for (const paymentHash of [...derived, ...expected.payment])
    for (const descriptionHash of [null, ...expected.description]) {
      const u5 = Uint8Array.from(wordsOf(invoice, paymentHash, descriptionHash));
      if (equalBytes(sha256(hrp, fromWords(u5)), wanted)) return { hrp, u5 };
    }
  return null;
}

function prefixOf(invoice: RawBolt11Invoice): string {
  const base = `ln${PREFIXES[invoice.currency()]}`;
  const amount = invoice.amount_pico_btc();
  if (!(amount instanceof Option_u64Z_Some)) return base;
  const [unit, worth] = UNITS.find(([, size]) => amount.some % size === 0n) ?? UNITS[3];
  return `${base}${amount.some / worth}${unit}`;
}

/** The order of rust-lightning's `create_bolt11_invoice`. */
function wordsOf(
  invoice: RawBolt11Invoice,
  paymentHash: Uint8Array,
  descriptionHash: Uint8Array | null,
): number[] {
  const words = numberWords(invoice.get_data().get_timestamp().as_unix_timestamp(), TIMESTAMP_WORDS);
  const put = (field: number, data: readonly number[] | null): void => {
    if (data !== null) words.push(field, Math.floor(data.length / 32), data.length % 32, ...data);
  };
  if (descriptionHash === null)
    put(
      FIELD.d,
      mapped(invoice.description(), (one) => textWords(one.to_str())),
    );
  else put(FIELD.h, toWords(descriptionHash));
  put(
    FIELD.n,
    mapped(invoice.payee_pub_key(), (one) => toWords(one.get_a())),
  );
  put(FIELD.p, toWords(paymentHash));
  const secret = invoice.payment_secret();
  put(FIELD.s, secret instanceof Option_ThirtyTwoBytesZ_Some ? toWords(secret.some) : null);
  put(
    FIELD.features,
    mapped(invoice.features(), (one) => featureWords(one.le_flags())),
  );
  put(
    FIELD.c,
    mapped(invoice.min_final_cltv_expiry_delta(), (one) => numberWords(one.get_a())),
  );
  put(
    FIELD.x,
    mapped(invoice.expiry_time(), (one) => numberWords(one.as_seconds())),
  );
  const metadata = invoice.payment_metadata();
  put(FIELD.m, metadata instanceof Option_CVec_u8ZZ_Some ? toWords(metadata.some) : null);
  for (const route of invoice.private_routes()) put(FIELD.r, toWords(routeBytes(route)));
  return words;
}

/** The bindings give an object around nothing for what is absent; only its hash may be asked for, and it is 0. */
function mapped<T extends { hash(): bigint }, R>(value: T, map: (value: T) => R): R | null {
  return value.hash() === 0n ? null : map(value);
}

const textWords = (text: string): number[] => toWords(new TextEncoder().encode(text));

/** What is hashed: five bits to eight, the last ones filled up with zeros (BOLT 11). */
function fromWords(words: Uint8Array): Uint8Array {
  const bytes: number[] = [];
  let [carry, bits] = [0, 0];
  for (const word of words) {
    carry = ((carry << 5) | word) & 0xfff;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push((carry >> bits) & 0xff);
  }
  if (bits > 0) bytes.push((carry << (8 - bits)) & 0xff);
  return Uint8Array.from(bytes);
}

/** Big-endian; as short as can be, or of a fixed length. */
function numberWords(value: bigint, length = 0): number[] {
  const words: number[] = [];
  for (let left = value; left > 0n || words.length < length; left >>= 5n) words.unshift(Number(left & 31n));
  return words;
}

/** The highest set bit decides the length. */
function featureWords(leFlags: Uint8Array): number[] {
  let value = 0n;
  for (const [at, byte] of leFlags.entries()) value |= BigInt(byte) << BigInt(8 * at);
  return numberWords(value);
}

/** BOLT 11 `r`: per hop the node, the channel, and its fees. */
function routeBytes(route: PrivateRoute): Uint8Array {
  const writer = new ByteWriter();
  for (const hop of route.into_inner().get_a()) {
    const fees = hop.get_fees();
    writer.put(hop.get_src_node_id()).u64be(hop.get_short_channel_id());
    writer.u32be(fees.get_base_msat()).u32be(fees.get_proportional_millionths());
    writer.u16be(hop.get_cltv_expiry_delta());
  }
  return writer.finish();
}
