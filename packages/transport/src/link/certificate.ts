/**
 * A self-signed X.509 certificate around an Ed25519 key (RFC 5280, RFC 8410), in DER. Nobody reads anything in it but the
 * key: trust is a pin of the SHA-256 of that key's SubjectPublicKeyInfo. TLS only needs the envelope.
 */
import { createHash, type KeyObject, sign } from 'node:crypto';
import { concat } from '@countersign/bitcoin';

const TAG = {
  integer: 0x02,
  bits: 0x03,
  oid: 0x06,
  utf8: 0x0c,
  time: 0x18,
  sequence: 0x30,
  set: 0x31,
  version: 0xa0,
};
/** id-Ed25519, RFC 8410 section 3. */
const ED25519 = der(TAG.oid, Uint8Array.of(0x2b, 0x65, 0x70));
/** id-at-commonName, RFC 5280 appendix A.1. */
const COMMON_NAME = der(TAG.oid, Uint8Array.of(0x55, 0x04, 0x03));
const ALGORITHM = der(TAG.sequence, ED25519);
/** RFC 5280, 4.1.2.5: the last is what a certificate without an end says. */
const VALIDITY = der(TAG.sequence, time('20200101000000Z'), time('99991231235959Z'));
export const SERIAL_BYTES = 16;

export interface CertificateRequest {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly commonName: string;
  /** `SERIAL_BYTES` of chance. */
  readonly serial: Uint8Array;
}

/** The certificate in PEM. */
export function selfSigned({ privateKey, publicKey, commonName, serial }: CertificateRequest): string {
  const name = der(
    TAG.sequence,
    der(TAG.set, der(TAG.sequence, COMMON_NAME, der(TAG.utf8, new TextEncoder().encode(commonName)))),
  );
  const body = der(
    TAG.sequence,
    der(TAG.version, der(TAG.integer, Uint8Array.of(2))),
    der(TAG.integer, positive(serial)),
    ALGORITHM,
    name,
    VALIDITY,
    name,
    spkiOf(publicKey),
  );
  const certificate = der(
    TAG.sequence,
    body,
    ALGORITHM,
    der(TAG.bits, Uint8Array.of(0), sign(null, body, privateKey)),
  );
  const lines =
    Buffer.from(certificate)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}

/** What a pin is of: the SHA-256 of the public key's SubjectPublicKeyInfo, in hex. */
export function pinOf(publicKey: KeyObject): string {
  return createHash('sha256').update(spkiOf(publicKey)).digest('hex');
}

export const PIN_PATTERN = /^[0-9a-f]{64}$/;

function spkiOf(publicKey: KeyObject): Uint8Array {
  return publicKey.export({ type: 'spki', format: 'der' });
}

/** First byte 0x40–0x7f: positive, and never with a superfluous zero in front. */
function positive(serial: Uint8Array): Uint8Array {
  const bytes = Uint8Array.from(serial);
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  return bytes;
}

function time(text: string): Uint8Array {
  return der(TAG.time, new TextEncoder().encode(text));
}

/** Tag, length, content. No length here needs more than two bytes. */
function der(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const content = concat(...parts);
  const length = content.length;
  const header =
    length < 0x80
      ? [tag, length]
      : length < 0x100
        ? [tag, 0x81, length]
        : [tag, 0x82, length >> 8, length & 0xff];
  return concat(Uint8Array.from(header), content);
}
