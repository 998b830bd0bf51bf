/**
 * The token of a pairing: where the node side listens, the pin of its key, a secret that is used once, and until when. One line
 * of text with a checksum (BIP 350), to be carried from one screen to the other machine; whoever has it first is paired.
 */
import { isIPv4 } from 'node:net';
import { concat } from '@countersign/bitcoin';
import { bech32m } from '@scure/base';
import { LinkError } from './error.ts';

export interface PairingToken {
  /** Of the node side. */
  readonly addresses: readonly PairingAddress[];
  /** Pin of the node side's key. */
  readonly pin: string;
  /** `SECRET_BYTES` of chance. */
  readonly secret: Uint8Array;
  readonly expiresAtSeconds: number;
}

export interface PairingAddress {
  readonly host: string;
  readonly port: number;
}

/** 128 bits. */
export const SECRET_BYTES = 16;
export const ADDRESSES_MAX = 4;
const VERSION = 1;
const PREFIX = 'cspair';
const PIN_BYTES = 32;
const HOST_BYTES_MAX = 253;
const TOKEN_CHARACTERS_MAX = 2_400;
/** In place of a length: four bytes of IPv4 follow. */
const IPV4 = 0;

export function encodePairingToken(token: PairingToken): string {
  const { addresses, pin, secret, expiresAtSeconds } = token;
  if (addresses.length === 0 || addresses.length > ADDRESSES_MAX)
    throw new LinkError('pairing-token', `a token has 1 to ${ADDRESSES_MAX} addresses`, {
      addresses: addresses.length,
    });
  const expiry = Buffer.alloc(4);
  expiry.writeUInt32BE(expiresAtSeconds);
  const bytes = concat(
    Uint8Array.of(VERSION),
    expiry,
    secret,
    Buffer.from(pin, 'hex'),
    Uint8Array.of(addresses.length),
    ...addresses.map(encodeAddress),
  );
  return bech32m.encode(PREFIX, bech32m.toWords(bytes), false);
}

function encodeAddress({ host, port }: PairingAddress): Uint8Array {
  if (!Number.isInteger(port) || port < 1 || port > 65535)
    throw new LinkError('pairing-token', `${port} is no port`, { port });
  const end = Uint8Array.of(port >> 8, port & 0xff);
  if (isIPv4(host)) return concat(Uint8Array.of(IPV4), Uint8Array.from(host.split('.').map(Number)), end);
  const text = new TextEncoder().encode(host);
  if (text.length === 0 || text.length > HOST_BYTES_MAX)
    throw new LinkError('pairing-token', 'the name of the host is too long, or empty', {
      host_bytes: text.length,
    });
  return concat(Uint8Array.of(text.length), text, end);
}

/** Space and line breaks from copying are no matter. Throws `pairing-token`; the message never quotes the token. */
export function decodePairingToken(text: string): PairingToken {
  const compact = text.replace(/\s+/g, '');
  if (compact.length > TOKEN_CHARACTERS_MAX) throw unreadable('it is too long');
  let bytes: Uint8Array;
  try {
    const { prefix, words } = bech32m.decode(compact as `${string}1${string}`, false);
    if (prefix !== PREFIX) throw unreadable('it is no token of a pairing');
    bytes = bech32m.fromWords(words);
  } catch (error) {
    if (error instanceof LinkError) throw error;
    throw unreadable('it was mistyped or cut off');
  }
  return parse(Buffer.from(bytes));
}

function parse(bytes: Buffer): PairingToken {
  if (bytes[0] !== VERSION) throw unreadable('it is of another version');
  const head = 5 + SECRET_BYTES + PIN_BYTES;
  if (bytes.length <= head) throw unreadable('it is too short');
  const addresses: PairingAddress[] = [];
  const count = bytes[head]!;
  if (count === 0 || count > ADDRESSES_MAX) throw unreadable('it names no address, or too many');
  let at = head + 1;
  for (let index = 0; index < count; index++) {
    const length = bytes[at] ?? 0;
    const isAddress = length === IPV4;
    const end = at + 1 + (isAddress ? 4 : length);
    if (end + 2 > bytes.length) throw unreadable('it is too short');
    const host = isAddress ? bytes.subarray(at + 1, end).join('.') : bytes.toString('utf8', at + 1, end);
    addresses.push({ host, port: bytes.readUInt16BE(end) });
    at = end + 2;
  }
  if (at !== bytes.length) throw unreadable('it is too long');
  return {
    addresses,
    expiresAtSeconds: bytes.readUInt32BE(1),
    secret: Uint8Array.from(bytes.subarray(5, 5 + SECRET_BYTES)),
    pin: bytes.toString('hex', 5 + SECRET_BYTES, head),
  };
}

function unreadable(reason: string): LinkError {
  return new LinkError('pairing-token', `the token cannot be read: ${reason}`);
}
