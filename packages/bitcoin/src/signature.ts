/**
 * ECDSA signatures as Bitcoin scripts carry them: strict DER (BIP 66) and the sighash byte, to and from the 64-byte
 * compact form that everything else uses. Decoding accepts exactly what encoding makes.
 */
import { compareBytes, concat, fromHex } from './bytes.ts';
import { FormError } from './error.ts';

/** The order of the curve, big-endian. */
export const CURVE_ORDER = fromHex('fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141');
const HALF_CURVE_ORDER = fromHex('7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0');

const isScalar = (bytes: Uint8Array): boolean =>
  bytes.some((byte) => byte !== 0) && compareBytes(bytes, CURVE_ORDER) < 0;

function requireCompact(signature: Uint8Array): void {
  if (signature.length !== 64 || !isScalar(signature.subarray(0, 32)) || !isScalar(signature.subarray(32))) {
    throw new FormError('not a compact signature', { bytes: signature.length });
  }
}

/** Whether r is below 2^255, so that its DER takes 32 bytes or fewer (what CLN grinds for). */
export const hasLowR = (signature: Uint8Array): boolean => (signature[0] ?? 0xff) < 0x80;

/** Whether s is at most half the order (BIP 62 rule 5, BIP 146). */
export const hasLowS = (signature: Uint8Array): boolean =>
  signature.length === 64 && compareBytes(signature.subarray(32), HALF_CURVE_ORDER) <= 0;

/** DER INTEGER of an unsigned 32-byte number: no leading zeros but the one that keeps it positive. */
function encodeInteger(scalar: Uint8Array): Uint8Array {
  let start = 0;
  while (start < 31 && scalar[start] === 0) start++;
  const digits = scalar.subarray(start);
  const sign = digits[0]! >= 0x80 ? Uint8Array.of(0) : new Uint8Array(0);
  return concat(Uint8Array.of(0x02, sign.length + digits.length), sign, digits);
}

/** 64 bytes compact → 8 to 72 bytes DER. `FormError` unless 0 < r, s < n. */
export function encodeDer(signature: Uint8Array): Uint8Array {
  requireCompact(signature);
  const body = concat(encodeInteger(signature.subarray(0, 32)), encodeInteger(signature.subarray(32)));
  return concat(Uint8Array.of(0x30, body.length), body);
}

/** Reads one INTEGER at `at` into 32 bytes; returns where the next byte stands. */
function decodeInteger(der: Uint8Array, at: number, out: Uint8Array): number {
  const length = der[at + 1];
  if (
    der[at] !== 0x02 ||
    length === undefined ||
    length === 0 ||
    length > 33 ||
    at + 2 + length > der.length
  ) {
    throw new FormError('DER signature: bad integer', { offset: at });
  }
  const digits = der.subarray(at + 2, at + 2 + length);
  const negative = digits[0]! >= 0x80;
  const padded = length > 1 && digits[0] === 0 && digits[1]! < 0x80;
  if (negative || padded || (length === 33 && digits[0] !== 0)) {
    throw new FormError('DER signature: integer not minimal or negative', { offset: at });
  }
  const magnitude = length === 33 ? digits.subarray(1) : digits;
  out.set(magnitude, 32 - magnitude.length);
  return at + 2 + length;
}

/** Strict DER → 64 bytes compact. `FormError` for any other encoding and unless 0 < r, s < n. */
export function decodeDer(der: Uint8Array): Uint8Array {
  if (der.length < 8 || der.length > 72 || der[0] !== 0x30 || der[1] !== der.length - 2) {
    throw new FormError('DER signature: bad header', { bytes: der.length });
  }
  const signature = new Uint8Array(64);
  const next = decodeInteger(der, 2, signature.subarray(0, 32));
  if (decodeInteger(der, next, signature.subarray(32)) !== der.length) {
    throw new FormError('DER signature: trailing bytes', { bytes: der.length });
  }
  requireCompact(signature);
  return signature;
}

/** DER and the sighash byte, as a witness or PSBT_IN_PARTIAL_SIG holds it. */
export const encodeScriptSignature = (signature: Uint8Array, sighashType: number): Uint8Array =>
  concat(encodeDer(signature), Uint8Array.of(sighashType));

/** Inverse of `encodeScriptSignature`; the sighash type is returned as it stands. */
export function decodeScriptSignature(bytes: Uint8Array): { signature: Uint8Array; sighashType: number } {
  const sighashType = bytes[bytes.length - 1];
  if (sighashType === undefined) throw new FormError('empty signature');
  return { signature: decodeDer(bytes.subarray(0, -1)), sighashType };
}
