/**
 * TLS below gRPC, which VLS has not: 1.3 and nothing older, both ends show a certificate. A peer is known by the pin of its key,
 * by an authority that signed for it, or by both; with pins alone a certificate may be signed by itself and say any name.
 */
import { constants, X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket, type TlsOptions } from 'node:tls';
import { PIN_PATTERN, pinOf } from '../link/certificate.ts';
import { LinkError } from '../link/error.ts';

export interface GrpcTls {
  /** Our own, in PEM; the certificate may be a chain. */
  readonly certificatePem: string;
  readonly privateKeyPem: string;
  /** SHA-256 of the SubjectPublicKeyInfo, in hex: the peer's key must be one of these. Empty: any that `authorities` vouch for. */
  readonly pins: readonly string[];
  /** PEM. Given: a peer's certificate must also be signed by one of them and, at the dialler, name the host dialled. */
  readonly authoritiesPem: string | null;
}

/** HTTP/2 inside TLS (RFC 7540, section 3.3). */
const ALPN = 'h2';

/** Throws `link-stranger` when nothing says who the peer must be: that would be TLS with anyone. */
export function checkTls({ pins, authoritiesPem }: GrpcTls): void {
  if (pins.length === 0 && authoritiesPem === null)
    throw new LinkError('link-stranger', 'TLS needs the pin of the other side, or an authority');
  if (!pins.every((pin) => PIN_PATTERN.test(pin)))
    throw new LinkError('link-stranger', 'a pin is 64 digits of hex in lower case');
}

function common({ certificatePem, privateKeyPem, authoritiesPem }: GrpcTls): ConnectionOptions & TlsOptions {
  return {
    key: privateKeyPem,
    cert: certificatePem,
    ...(authoritiesPem !== null && { ca: authoritiesPem }),
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    // Nothing is resumed: every connection proves its key anew.
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
    rejectUnauthorized: authoritiesPem !== null,
    ALPNProtocols: [ALPN],
  };
}

export function serverTlsOptions(tls: GrpcTls, handshakeMs: number): TlsOptions {
  return { ...common(tls), requestCert: true, handshakeTimeout: handshakeMs };
}

/** Over a connection that is there. Rejects with `link-stranger` or `link-unreachable`; the socket is then the caller's to destroy. */
export function startTls(tls: GrpcTls, socket: Socket, host: string): Promise<TLSSocket> {
  const { authoritiesPem } = tls;
  return new Promise((resolve, reject) => {
    const secured = connect({
      ...common(tls),
      socket,
      host,
      // The pin is the name where no authority vouches for one.
      ...(authoritiesPem === null && { checkServerIdentity: () => undefined }),
    });
    const fail = (cause: unknown): void =>
      reject(new LinkError('link-unreachable', 'no TLS with the other side', { host }, { cause }));
    secured.once('secureConnect', () => {
      try {
        pinOfPeer(secured, tls);
        resolve(secured);
      } catch (error) {
        reject(error);
      }
    });
    secured.on('error', fail);
    secured.once('close', () => fail(new Error('the connection was closed')));
  });
}

/** What the other side has to pin. */
export function ownPin({ certificatePem }: GrpcTls): string {
  return pinOf(new X509Certificate(certificatePem).publicKey);
}

/** The pin of the peer's key, once the handshake is done, and with it what authorities say. Throws `link-stranger` unless it is one we know. */
export function pinOfPeer(socket: TLSSocket, { pins }: GrpcTls): string {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) throw new LinkError('link-stranger', 'no certificate was shown');
  const pin = pinOf(certificate.publicKey);
  if (pins.length > 0 && !pins.includes(pin))
    throw new LinkError('link-stranger', 'a key that is not pinned', { pin });
  return pin;
}
