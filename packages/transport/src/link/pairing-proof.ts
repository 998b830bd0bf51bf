/**
 * What two sides say when they pair, inside TLS: each proves that it knows the token's secret, with a proof that holds for this
 * one connection between these two keys (RFC 8446, 7.5), so that one in the middle has nothing it could pass on.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { concat } from '@countersign/bitcoin';
import { FrameDecoder } from '../frames.ts';
import { LinkError } from './error.ts';
import { exportedKey } from './tls.ts';

const EXPORTER_LABEL = 'EXPORTER-countersign-pairing-1';
export const TICKET_BYTES = 8;
export const PROOF_BYTES = 32;
/** Both messages are shorter. */
const MESSAGE_BYTES_MAX = 64;

export type PairingRefusal = 'unknown' | 'expired' | 'used' | 'name-taken' | 'busy';
const REFUSALS: readonly PairingRefusal[] = ['unknown', 'expired', 'used', 'name-taken', 'busy'];

/** The two ends of one TLS connection. */
export interface PairingEnds {
  readonly socket: TLSSocket;
  readonly nodePin: string;
  readonly signerPin: string;
}

/** Which token is meant, without the secret. */
export function ticketOf(secret: Uint8Array): Uint8Array {
  const digest = createHash('sha256').update('countersign pairing ticket').update(secret).digest();
  return Uint8Array.from(digest.subarray(0, TICKET_BYTES));
}

export function proofOf(side: 'node' | 'signer', secret: Uint8Array, ends: PairingEnds): Uint8Array {
  return createHmac('sha256', secret)
    .update(`countersign pairing 1 ${side} `)
    .update(exportedKey(ends.socket, EXPORTER_LABEL))
    .update(Buffer.from(ends.nodePin, 'hex'))
    .update(Buffer.from(ends.signerPin, 'hex'))
    .digest();
}

/** In constant time. */
export function isProof(given: Uint8Array, expected: Uint8Array): boolean {
  return given.length === expected.length && timingSafeEqual(given, expected);
}

export interface PairingRequest {
  readonly ticket: Uint8Array;
  readonly proof: Uint8Array;
}

export function encodePairingRequest({ ticket, proof }: PairingRequest): Uint8Array {
  return framed(concat(ticket, proof));
}

export function decodePairingRequest(body: Uint8Array): PairingRequest {
  if (body.length !== TICKET_BYTES + PROOF_BYTES) throw notUnderstood();
  return { ticket: body.subarray(0, TICKET_BYTES), proof: body.subarray(TICKET_BYTES) };
}

export type PairingReply =
  | { readonly kind: 'paired'; readonly proof: Uint8Array }
  | { readonly kind: 'refused'; readonly reason: PairingRefusal };

export function encodePairingReply(reply: PairingReply): Uint8Array {
  if (reply.kind === 'paired') return framed(concat(Uint8Array.of(0), reply.proof));
  return framed(Uint8Array.of(1, REFUSALS.indexOf(reply.reason)));
}

export function decodePairingReply(body: Uint8Array): PairingReply {
  if (body[0] === 0 && body.length === 1 + PROOF_BYTES) return { kind: 'paired', proof: body.subarray(1) };
  const reason = body[0] === 1 && body.length === 2 ? REFUSALS[body[1]!] : undefined;
  if (reason === undefined) throw notUnderstood();
  return { kind: 'refused', reason };
}

function framed(body: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(0, 0, 0, body.length), body);
}

function notUnderstood(): LinkError {
  return new LinkError('link-protocol', 'no message of a pairing');
}

/** The one message of the other side. Rejects with `LinkError` when it is none, or the connection ends first. */
export function receiveOne(socket: Duplex): Promise<Uint8Array> {
  const decoder = new FrameDecoder({ frameBytesMax: MESSAGE_BYTES_MAX });
  return new Promise((resolve, reject) => {
    const onData = (chunk: Uint8Array): void => {
      try {
        decoder.push(chunk);
        const body = decoder.next();
        if (body === undefined) return;
        socket.off('data', onData);
        resolve(body);
      } catch (cause) {
        reject(new LinkError('link-protocol', 'no message of a pairing', {}, { cause }));
      }
    };
    socket.on('data', onData);
    socket.once('close', () => reject(new LinkError('link-unreachable', 'the connection was closed')));
  });
}
