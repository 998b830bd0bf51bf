/**
 * Who a side of the link is: an Ed25519 key with a self-signed certificate around it, in one PEM file of mode 0600. A new
 * key waits in a second file beside it until the other side knows it.
 */
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { concat } from '@countersign/bitcoin';
import { pinOf, SERIAL_BYTES, selfSigned } from './certificate.ts';
import { type RandomBytes, systemRandom } from './clock.ts';
import { LinkError } from './error.ts';
import { readPrivateFile, replaceFile, writePrivateFile } from './private-file.ts';

export interface LinkIdentity {
  /** SHA-256 of the public key's SubjectPublicKeyInfo, in hex: what the other side pins. */
  readonly pin: string;
  readonly privateKeyPem: string;
  readonly certificatePem: string;
}

/** RFC 8410, section 7: the 16 bytes before the 32 of an Ed25519 key in PKCS #8. */
const PKCS8_PREFIX = Uint8Array.from([
  0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
]);
const SEED_BYTES = 32;

export function newIdentity(random: RandomBytes = systemRandom): LinkIdentity {
  const seed = random(SEED_BYTES);
  const encoded = concat(PKCS8_PREFIX, seed);
  const privateKey = createPrivateKey({ key: Buffer.from(encoded), format: 'der', type: 'pkcs8' });
  seed.fill(0);
  encoded.fill(0);
  const publicKey = createPublicKey(privateKey);
  return {
    pin: pinOf(publicKey),
    privateKeyPem: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    certificatePem: selfSigned({
      privateKey,
      publicKey,
      commonName: 'countersign link',
      serial: random(SERIAL_BYTES),
    }),
  };
}

/** The identity in the file; made, and written, when there is none. Throws `link-file`. */
export function openIdentity(path: string, random: RandomBytes = systemRandom): LinkIdentity {
  return readIdentity(path) ?? writeIdentity(path, newIdentity(random));
}

/** Undefined when there is no such file. Throws `link-file`. */
export function readIdentity(path: string): LinkIdentity | undefined {
  const text = readPrivateFile(path);
  return text === undefined ? undefined : parseIdentity(path, text);
}

/**
 * Begin to change keys: a new one, beside the one in use. A running link tells the other side of it, and takes it once
 * that has been acknowledged; until then, and during it, the old key counts. Again before that: the same new key.
 */
export function stageIdentity(path: string, random: RandomBytes = systemRandom): LinkIdentity {
  return openIdentity(stagedPath(path), random);
}

/** The key that waits; undefined when none does. */
export function stagedIdentity(path: string): LinkIdentity | undefined {
  return existsSync(stagedPath(path)) ? readIdentity(stagedPath(path)) : undefined;
}

/** The key that waited is the identity from now on. */
export function adoptStaged(path: string): LinkIdentity {
  const staged = stagedIdentity(path);
  if (staged === undefined) throw new LinkError('link-file', `no new key waits beside ${path}`);
  replaceFile(stagedPath(path), path);
  return staged;
}

const stagedPath = (path: string): string => `${path}.next`;

function writeIdentity(path: string, identity: LinkIdentity): LinkIdentity {
  writePrivateFile(path, identity.privateKeyPem + identity.certificatePem);
  return identity;
}

function parseIdentity(path: string, text: string): LinkIdentity {
  try {
    const privateKeyPem = blockOf(text, 'PRIVATE KEY');
    const certificatePem = blockOf(text, 'CERTIFICATE');
    const privateKey = createPrivateKey(privateKeyPem);
    const certificate = new X509Certificate(certificatePem);
    if (privateKey.asymmetricKeyType !== 'ed25519' || !certificate.checkPrivateKey(privateKey))
      throw new LinkError('link-file', `key and certificate in ${path} do not belong together`);
    return { pin: pinOf(certificate.publicKey), privateKeyPem, certificatePem };
  } catch (cause) {
    if (cause instanceof LinkError) throw cause;
    // The cause of a parser could quote what it read.
    throw new LinkError('link-file', `no identity can be read in ${path}`);
  }
}

function blockOf(text: string, label: string): string {
  const begin = `-----BEGIN ${label}-----`;
  const end = `-----END ${label}-----`;
  const from = text.indexOf(begin);
  const to = text.indexOf(end, from);
  return from < 0 || to < 0 ? '' : `${text.slice(from, to + end.length)}\n`;
}
