/**
 * What the referee wants to know of a BOLT 11 invoice: amount, payment hash, and who signed it. Written against the
 * BOLT alone; what it can't read approves nothing.
 */
import { bech32 } from '@scure/base';
import { concatBytes, toHex } from '../bitcoin/bytes.ts';
import { sha256 } from '../bitcoin/hash.ts';
import { recover } from '../bitcoin/keys.ts';

export interface Invoice {
  /** Null: any amount. */
  readonly amountMsat: bigint | null;
  /** Hex. */
  readonly hash: string;
  readonly payee: Uint8Array;
}

/** Long enough for any invoice a node takes. */
const INVOICE_CHARS_MAX = 8192;
const SIGNATURE_WORDS = 104;
const TIMESTAMP_WORDS = 7;
const TAG_PAYMENT_HASH = 1;
const HASH_WORDS = 52;
/** Of one bitcoin, in millisatoshi. */
const BITCOIN_MSAT = 100_000_000_000n;
const DIVISORS: Readonly<Record<string, bigint>> = {
  '': 1n,
  m: 1_000n,
  u: 1_000_000n,
  n: 1_000_000_000n,
  p: 1_000_000_000_000n,
};

/** Undefined: not an invoice that the referee can read. */
export function readInvoice(text: string): Invoice | undefined {
  const decoded = bech32.decodeUnsafe(text.toLowerCase() as `${string}1${string}`, INVOICE_CHARS_MAX);
  const named =
    decoded === undefined ? null : /^ln(?:bcrt|bc|tbs|tb)(?:(\d+)([munp]?))?$/.exec(decoded.prefix);
  if (decoded === undefined || named === null || decoded.words.length < SIGNATURE_WORDS + TIMESTAMP_WORDS)
    return undefined;
  const data = decoded.words.slice(0, -SIGNATURE_WORDS);
  const signature = bech32.fromWordsUnsafe(decoded.words.slice(-SIGNATURE_WORDS));
  const hash = paymentHash(data);
  if (hash === undefined || signature === undefined) return undefined;
  const signed = concatBytes(new TextEncoder().encode(decoded.prefix), bytesPadded(data));
  try {
    const payee = recover(Uint8Array.from(signature.slice(0, 64)), signature[64]!, sha256(signed));
    return { amountMsat: amountOf(named[1], named[2] ?? ''), hash, payee };
  } catch {
    // No point has this signature.
    return undefined;
  }
}

function amountOf(digits: string | undefined, multiplier: string): bigint | null {
  return digits === undefined ? null : (BigInt(digits) * BITCOIN_MSAT) / DIVISORS[multiplier]!;
}

/** Of the first `p` field, as BOLT 11 has readers do. */
function paymentHash(data: readonly number[]): string | undefined {
  for (let at = TIMESTAMP_WORDS; at + 3 <= data.length; ) {
    const length = data[at + 1]! * 32 + data[at + 2]!;
    if (data[at] === TAG_PAYMENT_HASH && length === HASH_WORDS) {
      const bytes = bech32.fromWordsUnsafe([...data.slice(at + 3, at + 3 + length)]);
      return bytes === undefined ? undefined : toHex(Uint8Array.from(bytes));
    }
    at += 3 + length;
  }
  return undefined;
}

/** Five bits each, the last byte filled up with zeros: what the signature signs. */
function bytesPadded(words: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(Math.ceil((words.length * 5) / 8));
  words.forEach((word, i) => {
    for (let bit = 0; bit < 5; bit++) {
      const at = i * 5 + bit;
      if ((word >> (4 - bit)) % 2 === 1) bytes[at >> 3]! |= 0x80 >> (at & 7);
    }
  });
  return bytes;
}
