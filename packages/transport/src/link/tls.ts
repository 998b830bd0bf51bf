/**
 * The link's TLS: version 1.3 and nothing older, both sides show a certificate, and who one is is the pin of its key. There
 * is no authority, no name and no resumption: every connection proves the key anew.
 */
import { constants, type X509Certificate } from 'node:crypto';
import {
  type ConnectionOptions,
  connect,
  type SecureContextOptions,
  type TLSSocket,
  type TlsOptions,
} from 'node:tls';
import { pinOf } from './certificate.ts';
import type { LinkClock } from './clock.ts';
import { LinkError } from './error.ts';
import type { LinkIdentity } from './identity.ts';

/** What is spoken inside, by ALPN: a later version of the protocol has another name. */
export const LINK_PROTOCOL = 'countersign-link/1';
export const PAIRING_PROTOCOL = 'countersign-pair/1';
export type TlsProtocol = typeof LINK_PROTOCOL | typeof PAIRING_PROTOCOL;

export interface TlsPeer {
  readonly pin: string;
  readonly protocol: TlsProtocol;
}

export function contextOf({ privateKeyPem, certificatePem }: LinkIdentity): SecureContextOptions {
  return {
    key: privateKeyPem,
    cert: certificatePem,
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    // Nothing is resumed: a key that was revoked meanwhile must not come back by a ticket.
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
  };
}

/** `rejectUnauthorized` is about authorities; the pin is checked by `peerOf` before a byte is read or written. */
export function serverOptions(
  identity: LinkIdentity,
  protocols: readonly TlsProtocol[],
  handshakeMs: number,
): TlsOptions {
  return {
    ...contextOf(identity),
    requestCert: true,
    rejectUnauthorized: false,
    ALPNProtocols: [...protocols],
    handshakeTimeout: handshakeMs,
  };
}

/** Who is at the other end of a finished handshake. Throws `link-stranger`. */
export function peerOf(socket: TLSSocket): TlsPeer {
  const protocol = socket.alpnProtocol;
  if (socket.getProtocol() !== 'TLSv1.3' || socket.isSessionReused())
    throw new LinkError('link-stranger', 'not a fresh connection of TLS 1.3');
  if (protocol !== LINK_PROTOCOL && protocol !== PAIRING_PROTOCOL)
    throw new LinkError('link-stranger', 'another protocol than the link');
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) throw new LinkError('link-stranger', 'no certificate was shown');
  return { pin: pinIn(certificate), protocol };
}

/** There are keys that Node.js does not know; none of them is pinned. */
function pinIn(certificate: X509Certificate): string {
  try {
    return pinOf(certificate.publicKey);
  } catch {
    throw new LinkError('link-stranger', 'its certificate has no key that can be read');
  }
}

export interface TlsDial {
  readonly host: string;
  readonly port: number;
  readonly identity: LinkIdentity;
  readonly protocol: TlsProtocol;
  readonly timeoutMs: number;
  readonly clock: LinkClock;
}

/**
 * A connection with the handshake done, on which nothing was sent. The caller checks `peerOf` first. Rejects with
 * `link-unreachable`.
 */
export function dialTls(dial: TlsDial): Promise<TLSSocket> {
  const options: ConnectionOptions = {
    ...contextOf(dial.identity),
    host: dial.host,
    port: dial.port,
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
    ALPNProtocols: [dial.protocol],
  };
  return new Promise((resolve, reject) => {
    const socket = connect(options);
    socket.setNoDelay(true);
    const fail = (text: string, cause?: unknown): void => {
      cancel();
      socket.destroy();
      reject(new LinkError('link-unreachable', text, { host: dial.host, port: dial.port }, { cause }));
    };
    const cancel = dial.clock.after(dial.timeoutMs, () => fail('no connection in time'));
    socket.once('secureConnect', () => {
      cancel();
      socket.removeAllListeners('error');
      socket.on('error', () => {});
      resolve(socket);
    });
    socket.on('error', (cause) => fail(cause.message, cause));
    socket.once('close', () => fail('the connection was closed'));
  });
}

/** Bytes that only the two ends of this connection know (RFC 8446, section 7.5). Throws `link-unreachable` when it is over. */
export function exportedKey(socket: TLSSocket, label: string): Uint8Array {
  try {
    return socket.exportKeyingMaterial(32, label, Buffer.alloc(0));
  } catch (cause) {
    throw new LinkError('link-unreachable', 'the connection is over', {}, { cause });
  }
}
