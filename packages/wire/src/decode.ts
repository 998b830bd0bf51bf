/**
 * Bytes to messages and back. Decoding never throws on bad bytes, whatever they are; what it accepts it re-encodes byte
 * for byte. Framing (the length before a message) belongs to the transport.
 */
import { ByteReader, type Facts, FormError, invariant } from '@countersign/bitcoin';
import { type Codec, constant, struct } from './codec.ts';
import { writerFor } from './encode.ts';
import type { MessageKind } from './messages/define.ts';
import {
  MESSAGES,
  type Message,
  type MessageName,
  type MessageOfKind,
  messageNames,
  type UnknownMessage,
} from './messages.ts';

export interface MessageLimits {
  /** The longest message, its type included. */
  readonly messageBytesMax: number;
}

export const MESSAGE_LIMITS: MessageLimits = { messageBytesMax: 4 * 1024 * 1024 };

/** Why bytes are no message. Facts carry numbers and names, never the bytes themselves. */
export interface WireError {
  readonly code: 'malformed' | 'oversized';
  readonly message: string;
  /** `message_type`, and where known `message_name`, `field`, `offset`. */
  readonly facts: Facts;
}

export type Decoded<M> =
  | { readonly ok: true; readonly message: M; readonly trailing: Uint8Array }
  | { readonly ok: false; readonly error: WireError };

interface Compiled {
  readonly name: MessageName;
  readonly number: number;
  readonly codec: Codec<unknown>;
}

const compiled: readonly Compiled[] = messageNames.map((name) => {
  const { number, fields } = MESSAGES[name];
  return { name, number, codec: struct({ name: constant(name), ...fields }) };
});

const byName = new Map(compiled.map((one) => [one.name as string, one]));

function numbersOf(kind: MessageKind): ReadonlyMap<number, Compiled> {
  const numbers = new Map<number, Compiled>();
  for (const one of compiled) {
    if (MESSAGES[one.name].kind !== kind) continue;
    invariant(!numbers.has(one.number), 'two messages of one kind share a number', { number: one.number });
    numbers.set(one.number, one);
  }
  return numbers;
}

const byKind = {
  request: numbersOf('request'),
  reply: numbersOf('reply'),
  status: numbersOf('status'),
} as const;

const NO_BYTES = new Uint8Array(0);

/**
 * Reads a message of the given kind: u16 type, then its fields. CLN accepts bytes after the last field, so they are
 * handed out in `trailing`, and the caller decides. A type the table doesn't know is no error.
 */
export function decodeMessage<K extends MessageKind>(
  bytes: Uint8Array,
  kind: K,
  limits: MessageLimits = MESSAGE_LIMITS,
): Decoded<MessageOfKind<K> | UnknownMessage> {
  const { messageBytesMax } = limits;
  if (bytes.length > messageBytesMax) {
    const facts = { message_bytes: bytes.length, max_bytes: messageBytesMax };
    return { ok: false, error: { code: 'oversized', message: 'message too long', facts } };
  }
  if (bytes.length < 2) {
    const facts = { message_bytes: bytes.length };
    return { ok: false, error: { code: 'malformed', message: 'message without a type', facts } };
  }
  const reader = new ByteReader(bytes);
  const type = reader.u16be('type');
  const known = byKind[kind].get(type);
  if (known === undefined)
    return { ok: true, message: { name: 'unknown', type, body: reader.rest() }, trailing: NO_BYTES };
  try {
    const message = known.codec.read(reader) as MessageOfKind<K> | UnknownMessage;
    return { ok: true, message, trailing: reader.remaining === 0 ? NO_BYTES : reader.rest() };
  } catch (error) {
    if (!(error instanceof FormError)) throw error;
    const facts = { ...error.facts, message_type: type, message_name: known.name };
    return { ok: false, error: { code: 'malformed', message: error.message, facts } };
  }
}

/** Throws `FormError` when a field's value has no encoding or the message grows beyond its limit. */
export function encodeMessage(
  message: Message,
  trailing: Uint8Array = NO_BYTES,
  limits: MessageLimits = MESSAGE_LIMITS,
): Uint8Array {
  const writer = writerFor([message, trailing], limits.messageBytesMax);
  if (message.name === 'unknown') {
    if (!Number.isInteger(message.type) || message.type < 0 || message.type > 0xffff)
      throw new FormError('message type out of range', { message_type: message.type });
    writer.u16be(message.type).put(message.body);
  } else {
    const known = byName.get(message.name);
    if (known === undefined) throw new FormError('message name not in the table');
    writer.u16be(known.number);
    known.codec.write(writer, message);
  }
  return writer.put(trailing).finish();
}
