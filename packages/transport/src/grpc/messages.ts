/**
 * The messages of `hsmd.proto` and their bytes. Five small ones, so they are written out here on the library's reader and
 * writer, instead of a generator that would have to run before anything else does. What cannot be read is a `LinkError`.
 */
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { LinkError } from '../link/error.ts';

/** Both directions of `Ping`. */
export interface Ping {
  readonly message: string;
}

export interface RequestContext {
  readonly peerId: Uint8Array;
  readonly dbid: bigint;
  readonly capabilities: bigint;
}

export interface SignerRequest {
  readonly requestId: bigint;
  /** Null when lightningd itself asks. */
  readonly context: RequestContext | null;
  readonly message: Uint8Array;
}

export interface SignerResponse {
  readonly requestId: bigint;
  readonly message: Uint8Array;
  readonly error: string;
  readonly isTemporaryFailure: boolean;
}

/** Of a message whose bytes are `bodyBytes` long: what the envelope adds at most. */
export const ENVELOPE_BYTES_MAX = 4 * 1024;
/** Texts of errors beyond it are cut, so that an envelope keeps its bound. */
export const ERROR_TEXT_MAX = 1024;
export const U64_MAX = 2n ** 64n - 1n;

const NO_BYTES = new Uint8Array(0);

/** A field: its wire type, and how it is read into the message. One of another wire type is skipped, as protobuf wants. */
type Fields<T> = Readonly<
  Record<number, { readonly type: WireType; readonly read: (reader: BinaryReader, into: T) => void }>
>;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function decode<T>(name: string, bytes: Uint8Array, message: T, fields: Fields<T>): T {
  try {
    const reader = new BinaryReader(bytes);
    while (reader.pos < reader.len) {
      const [number, type] = reader.tag();
      const field = fields[number];
      if (field?.type === type) field.read(reader, message);
      else reader.skip(type, number);
    }
    return message;
  } catch (cause) {
    throw new LinkError('link-protocol', `a ${name} that cannot be read`, { bytes: bytes.length }, { cause });
  }
}

const u64 = (reader: BinaryReader): bigint => BigInt(reader.uint64());

const PING: Fields<Mutable<Ping>> = {
  1: {
    type: WireType.LengthDelimited,
    read: (reader, ping) => {
      ping.message = reader.string(true);
    },
  },
};

export function decodePing(bytes: Uint8Array): Ping {
  return decode('Ping', bytes, { message: '' }, PING);
}

export function encodePing({ message }: Ping): Uint8Array {
  return new BinaryWriter().tag(1, WireType.LengthDelimited).string(message).finish();
}

const CONTEXT: Fields<Mutable<RequestContext>> = {
  1: {
    type: WireType.LengthDelimited,
    read: (reader, context) => {
      context.peerId = reader.bytes();
    },
  },
  2: {
    type: WireType.Varint,
    read: (reader, context) => {
      context.dbid = u64(reader);
    },
  },
  3: {
    type: WireType.Varint,
    read: (reader, context) => {
      context.capabilities = u64(reader);
    },
  },
};

const REQUEST: Fields<Mutable<SignerRequest>> = {
  1: {
    type: WireType.Varint,
    read: (reader, request) => {
      request.requestId = u64(reader);
    },
  },
  2: {
    type: WireType.LengthDelimited,
    // A context that comes twice is one: what comes later counts, field by field.
    read: (reader, request) => {
      const before = request.context ?? { peerId: NO_BYTES, dbid: 0n, capabilities: 0n };
      request.context = decode('HsmRequestContext', reader.bytes(), { ...before }, CONTEXT);
    },
  },
  3: {
    type: WireType.LengthDelimited,
    read: (reader, request) => {
      request.message = reader.bytes();
    },
  },
};

export function decodeSignerRequest(bytes: Uint8Array): SignerRequest {
  return decode('SignerRequest', bytes, { requestId: 0n, context: null, message: NO_BYTES }, REQUEST);
}

export function encodeSignerRequest({ requestId, context, message }: SignerRequest): Uint8Array {
  const writer = new BinaryWriter();
  if (requestId !== 0n) writer.tag(1, WireType.Varint).uint64(requestId);
  if (context !== null) writer.tag(2, WireType.LengthDelimited).bytes(encodeContext(context));
  if (message.length > 0) writer.tag(3, WireType.LengthDelimited).bytes(message);
  return writer.finish();
}

function encodeContext({ peerId, dbid, capabilities }: RequestContext): Uint8Array {
  const writer = new BinaryWriter();
  if (peerId.length > 0) writer.tag(1, WireType.LengthDelimited).bytes(peerId);
  if (dbid !== 0n) writer.tag(2, WireType.Varint).uint64(dbid);
  if (capabilities !== 0n) writer.tag(3, WireType.Varint).uint64(capabilities);
  return writer.finish();
}

const RESPONSE: Fields<Mutable<SignerResponse>> = {
  1: {
    type: WireType.Varint,
    read: (reader, response) => {
      response.requestId = u64(reader);
    },
  },
  2: {
    type: WireType.LengthDelimited,
    read: (reader, response) => {
      response.message = reader.bytes();
    },
  },
  3: {
    type: WireType.LengthDelimited,
    read: (reader, response) => {
      response.error = reader.string(true);
    },
  },
  4: {
    type: WireType.Varint,
    read: (reader, response) => {
      response.isTemporaryFailure = reader.bool();
    },
  },
};

export function decodeSignerResponse(bytes: Uint8Array): SignerResponse {
  const empty = { requestId: 0n, message: NO_BYTES, error: '', isTemporaryFailure: false };
  return decode('SignerResponse', bytes, empty, RESPONSE);
}

export function encodeSignerResponse(response: SignerResponse): Uint8Array {
  const { requestId, message, error, isTemporaryFailure } = response;
  const writer = new BinaryWriter();
  if (requestId !== 0n) writer.tag(1, WireType.Varint).uint64(requestId);
  if (message.length > 0) writer.tag(2, WireType.LengthDelimited).bytes(message);
  if (error !== '') writer.tag(3, WireType.LengthDelimited).string(error);
  if (isTemporaryFailure) writer.tag(4, WireType.Varint).bool(true);
  return writer.finish();
}
