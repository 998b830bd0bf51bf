/**
 * `hsmd.Hsmd` as grpc-js wants it: paths and codecs of its two methods, and the options both ends run with. Every size is
 * bounded, nothing is looked up beyond the address, and no proxy of the environment comes between.
 */
import type { ChannelOptions, MethodDefinition } from '@grpc/grpc-js';
import {
  decodePing,
  decodeSignerRequest,
  decodeSignerResponse,
  ENVELOPE_BYTES_MAX,
  encodePing,
  encodeSignerRequest,
  encodeSignerResponse,
  type Ping,
  type SignerRequest,
  type SignerResponse,
} from './messages.ts';

/** Longest hsmd message in either direction: that of our own frames. VLS itself reads no more than 128 KiB. */
export const MESSAGE_BYTES_MAX_DEFAULT = 4 * 1024 * 1024;

/** A link that is silent for so long is asked for a sign of life, and given up without one. */
export const KEEPALIVE_MS_DEFAULT = 10_000;
export const KEEPALIVE_TIMEOUT_MS = 5_000;

export const PING: MethodDefinition<Ping, Ping> = {
  path: '/hsmd.Hsmd/Ping',
  requestStream: false,
  responseStream: false,
  requestSerialize: buffered(encodePing),
  requestDeserialize: decodePing,
  responseSerialize: buffered(encodePing),
  responseDeserialize: decodePing,
};

/** The client's stream carries responses, the server's requests. */
export const SIGNER_STREAM: MethodDefinition<SignerResponse, SignerRequest> = {
  path: '/hsmd.Hsmd/SignerStream',
  requestStream: true,
  responseStream: true,
  requestSerialize: buffered(encodeSignerResponse),
  requestDeserialize: decodeSignerResponse,
  responseSerialize: buffered(encodeSignerRequest),
  responseDeserialize: decodeSignerRequest,
};

export const HSMD_SERVICE = { ping: PING, signerStream: SIGNER_STREAM } as const;

/** A view, without a copy. */
function buffered<T>(encode: (message: T) => Uint8Array): (message: T) => Buffer {
  return (message) => {
    const bytes = encode(message);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
}

export function commonOptions(messageBytesMax: number, keepaliveMs: number): ChannelOptions {
  return {
    'grpc.max_receive_message_length': messageBytesMax + ENVELOPE_BYTES_MAX,
    'grpc.max_send_message_length': messageBytesMax + ENVELOPE_BYTES_MAX,
    'grpc.keepalive_time_ms': keepaliveMs,
    'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
    'grpc.enable_channelz': 0,
  };
}
