/**
 * The frames of a link: u32 length, u8 kind, fields in big-endian order. Decoding is strict: a frame is exactly one of these or
 * a `LinkError`, and every list has its limit. Encoding gives the whole frame, ready for one write.
 */
import { LinkError } from './error.ts';
import type { LinkAnswer, LinkClient } from './protocol.ts';
import { decodeRefusal, encodeRefusal } from './refusal-text.ts';

/** 2: a welcome says which frames the node side takes; a signer that does not answer INIT is told so. */
export const LINK_VERSION = 2;
export const ID_BYTES = 16;
export const OUTSTANDING_MAX = 4096;
/** A side that takes none of this length could not even be told what is too long for it. */
export const FRAME_BYTES_MIN = 1024;
/** Being answered at a time, and the bytes of one: INIT is short. */
export const GREETINGS_MAX = 16;
export const GREETING_BYTES_MAX = 64 * 1024;

/** Why a side ends a connection. */
export const BYE = {
  closing: 0,
  replaced: 1,
  refused: 2,
  revoked: 3,
  version: 4,
  rekeyed: 5,
  mute: 6,
  taken: 7,
} as const;
export type ByeReason = keyof typeof BYE;
const BYE_REASONS = Object.keys(BYE) as readonly ByeReason[];

export type Asker = { readonly kind: 'client'; readonly client: LinkClient } | FeedAsker;
export interface FeedAsker {
  readonly kind: 'feed';
  readonly session: number;
}

export type LinkFrame =
  /** Signer's side, first: what it speaks and takes. `instance` is new with each start of the process. */
  | {
      readonly kind: 'hello';
      readonly versionMin: number;
      readonly versionMax: number;
      readonly instance: Uint8Array;
      readonly requestsMax: number;
      readonly requestBytesMax: number;
      readonly feedsMax: number;
      /** The longest frame that it takes. */
      readonly frameBytesMax: number;
    }
  /** Node side, in answer. `outstanding`: requests of this run still without an answer; all others may be forgotten. */
  | {
      readonly kind: 'welcome';
      readonly version: number;
      readonly run: Uint8Array;
      readonly isActive: boolean;
      /** The longest frame that it takes. */
      readonly frameBytesMax: number;
      readonly outstanding: readonly number[];
    }
  /** Node side: the standby is the active signer now. Content as of a welcome. */
  | { readonly kind: 'promote'; readonly outstanding: readonly number[] }
  | { readonly kind: 'request'; readonly id: number; readonly asker: Asker; readonly body: Uint8Array }
  | { readonly kind: 'feed-end'; readonly id: number; readonly session: number }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: LinkAnswer }
  | { readonly kind: 'ack'; readonly ids: readonly number[] }
  /** Before everything else of a fresh signer: asked again on the next connection, so neither numbered nor kept. */
  | { readonly kind: 'greeting'; readonly id: number; readonly client: LinkClient; readonly body: Uint8Array }
  | { readonly kind: 'greeting-answer'; readonly id: number; readonly answer: LinkAnswer }
  | { readonly kind: 'ping'; readonly nonce: number }
  | { readonly kind: 'pong'; readonly nonce: number }
  /** Either side: my next key. */
  | { readonly kind: 'next-key'; readonly pin: string }
  | { readonly kind: 'next-key-known'; readonly pin: string }
  | { readonly kind: 'bye'; readonly reason: ByeReason };

const KIND = {
  hello: 1,
  welcome: 2,
  promote: 3,
  request: 4,
  'feed-end': 5,
  answer: 6,
  ack: 7,
  greeting: 8,
  'greeting-answer': 9,
  ping: 10,
  pong: 11,
  'next-key': 12,
  'next-key-known': 13,
  bye: 14,
} as const satisfies Readonly<Record<LinkFrame['kind'], number>>;

const KIND_NAMES = new Map<number, LinkFrame['kind']>(
  Object.entries(KIND).map(([name, number]) => [number, name as LinkFrame['kind']]),
);

const ASKER = { client: 0, channel: 1, feed: 2 } as const;
const ANSWER = { reply: 0, refused: 1 } as const;
const PEER_ID_BYTES = 33;
const PIN_BYTES = 32;
/** Length, kind, id, asker, peer, dbid, permissions. */
export const REQUEST_OVERHEAD_BYTES = 4 + 1 + 8 + 1 + PEER_ID_BYTES + 8 + 8;

/** The whole frame with its length in front. */
export function encodeLinkFrame(frame: LinkFrame): Buffer {
  const writer = new Writer(frame.kind, bodyBytesOf(frame));
  writeFields(writer, frame);
  return writer.finish();
}

function writeFields(writer: Writer, frame: LinkFrame): void {
  switch (frame.kind) {
    case 'hello':
      writer.u16(frame.versionMin).u16(frame.versionMax).bytes(frame.instance);
      writer.u32(frame.requestsMax).u32(frame.requestBytesMax).u32(frame.feedsMax).u32(frame.frameBytesMax);
      return;
    case 'welcome':
      writer
        .u16(frame.version)
        .bytes(frame.run)
        .u8(frame.isActive ? 1 : 0)
        .u32(frame.frameBytesMax)
        .ids(frame.outstanding);
      return;
    case 'promote':
      writer.ids(frame.outstanding);
      return;
    case 'request':
      writer.u64(frame.id).asker(frame.asker).bytes(frame.body);
      return;
    case 'feed-end':
      writer.u64(frame.id).u32(frame.session);
      return;
    case 'answer':
    case 'greeting-answer':
      writer.u64(frame.id).answer(frame.answer);
      return;
    case 'ack':
      writer.ids(frame.ids);
      return;
    case 'greeting':
      writer.u64(frame.id).asker({ kind: 'client', client: frame.client }).bytes(frame.body);
      return;
    case 'ping':
    case 'pong':
      writer.u32(frame.nonce);
      return;
    case 'next-key':
    case 'next-key-known':
      writer.bytes(Buffer.from(frame.pin, 'hex'));
      return;
    case 'bye':
      writer.u8(BYE[frame.reason]);
  }
}

/** Room to set aside; a little more than needed does no harm. */
function bodyBytesOf(frame: LinkFrame): number {
  switch (frame.kind) {
    case 'request':
    case 'greeting':
      return REQUEST_OVERHEAD_BYTES + frame.body.length;
    case 'answer':
    case 'greeting-answer':
      return frame.answer.kind === 'reply' ? 16 + frame.answer.body.length : 64;
    case 'welcome':
    case 'promote':
      return 32 + 8 * frame.outstanding.length;
    case 'ack':
      return 16 + 8 * frame.ids.length;
    default:
      return 64;
  }
}

/** One frame's body, without its length. Bodies of requests and answers are views. Throws `LinkError`. */
export function decodeLinkFrame(bytes: Uint8Array): LinkFrame {
  const reader = new Reader(bytes);
  const kind = KIND_NAMES.get(reader.u8());
  const frame = kind === undefined ? undefined : readFields(reader, kind);
  if (frame === undefined)
    throw new LinkError('link-protocol', 'a frame of no known kind', { kind: bytes[0] ?? -1 });
  reader.end();
  return frame;
}

function readFields(reader: Reader, kind: LinkFrame['kind']): LinkFrame {
  switch (kind) {
    case 'hello':
      return {
        kind,
        versionMin: reader.u16(),
        versionMax: reader.u16(),
        instance: reader.copy(ID_BYTES),
        requestsMax: reader.u32(),
        requestBytesMax: reader.u32(),
        feedsMax: reader.u32(),
        frameBytesMax: reader.u32(),
      };
    case 'welcome':
      return {
        kind,
        version: reader.u16(),
        run: reader.copy(ID_BYTES),
        isActive: reader.flag(),
        frameBytesMax: reader.u32(),
        outstanding: reader.ids(),
      };
    case 'promote':
      return { kind, outstanding: reader.ids() };
    case 'request':
      return { kind, id: reader.u64(), asker: reader.asker(), body: reader.rest() };
    case 'feed-end':
      return { kind, id: reader.u64(), session: reader.u32() };
    case 'answer':
    case 'greeting-answer':
      return { kind, id: reader.u64(), answer: reader.answer() };
    case 'ack':
      return { kind, ids: reader.ids() };
    case 'greeting': {
      const id = reader.u64();
      const asker = reader.asker();
      if (asker.kind === 'feed') throw new LinkError('link-protocol', 'a feeder greets nobody');
      return { kind, id, client: asker.client, body: reader.rest() };
    }
    case 'ping':
    case 'pong':
      return { kind, nonce: reader.u32() };
    case 'next-key':
    case 'next-key-known':
      return { kind, pin: Buffer.from(reader.copy(PIN_BYTES)).toString('hex') };
    case 'bye': {
      const reason = BYE_REASONS[reader.u8()];
      if (reason === undefined) throw new LinkError('link-protocol', 'an end without a known reason');
      return { kind, reason };
    }
  }
}

class Writer {
  #buffer: Buffer;
  #at = 5;

  constructor(kind: LinkFrame['kind'], bodyBytes: number) {
    this.#buffer = Buffer.allocUnsafe(5 + bodyBytes);
    this.#buffer[4] = KIND[kind];
  }

  u8(value: number): this {
    this.#at = this.#buffer.writeUInt8(value, this.#at);
    return this;
  }

  u16(value: number): this {
    this.#at = this.#buffer.writeUInt16BE(value, this.#at);
    return this;
  }

  u32(value: number): this {
    this.#at = this.#buffer.writeUInt32BE(value, this.#at);
    return this;
  }

  u64(value: number | bigint): this {
    this.#at = this.#buffer.writeBigUInt64BE(BigInt(value), this.#at);
    return this;
  }

  bytes(value: Uint8Array): this {
    if (this.#at + value.length > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(this.#at + value.length);
      this.#buffer.copy(grown, 0, 0, this.#at);
      this.#buffer = grown;
    }
    this.#buffer.set(value, this.#at);
    this.#at += value.length;
    return this;
  }

  ids(ids: readonly number[]): this {
    this.u16(ids.length);
    for (const id of ids) this.u64(id);
    return this;
  }

  asker(asker: Asker): this {
    if (asker.kind === 'feed') return this.u8(ASKER.feed).u32(asker.session);
    const { peerId, dbid, permissions } = asker.client;
    if (peerId === null) this.u8(ASKER.client);
    else this.u8(ASKER.channel).bytes(peerId);
    return this.u64(dbid).u64(permissions);
  }

  answer(answer: LinkAnswer): this {
    return answer.kind === 'reply'
      ? this.u8(ANSWER.reply).bytes(answer.body)
      : this.u8(ANSWER.refused).bytes(encodeRefusal(answer.refusal));
  }

  finish(): Buffer {
    this.#buffer.writeUInt32BE(this.#at - 4, 0);
    return this.#buffer.subarray(0, this.#at);
  }
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  #take(count: number): number {
    const at = this.#at;
    if (at + count > this.#bytes.length) throw new LinkError('link-protocol', 'a frame is too short');
    this.#at = at + count;
    return at;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2));
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4));
  }

  bigint(): bigint {
    return this.#view.getBigUint64(this.#take(8));
  }

  u64(): number {
    const value = Number(this.bigint());
    if (!Number.isSafeInteger(value))
      throw new LinkError('link-protocol', 'a number beyond any that is given');
    return value;
  }

  flag(): boolean {
    const value = this.u8();
    if (value > 1) throw new LinkError('link-protocol', 'neither yes nor no', { value });
    return value === 1;
  }

  copy(count: number): Uint8Array {
    const at = this.#take(count);
    return this.#bytes.slice(at, at + count);
  }

  rest(): Uint8Array {
    return this.#bytes.subarray(this.#take(this.#bytes.length - this.#at));
  }

  ids(): readonly number[] {
    const count = this.u16();
    if (count > OUTSTANDING_MAX) throw new LinkError('link-protocol', 'a list beyond its limit', { count });
    return Array.from({ length: count }, () => this.u64());
  }

  asker(): Asker {
    const who = this.u8();
    if (who === ASKER.feed) return { kind: 'feed', session: this.u32() };
    if (who !== ASKER.client && who !== ASKER.channel)
      throw new LinkError('link-protocol', 'nobody asks like this', { asker: who });
    const peerId = who === ASKER.channel ? this.copy(PEER_ID_BYTES) : null;
    return { kind: 'client', client: { peerId, dbid: this.bigint(), permissions: this.bigint() } };
  }

  answer(): LinkAnswer {
    const how = this.u8();
    if (how === ANSWER.reply) return { kind: 'reply', body: this.rest() };
    if (how !== ANSWER.refused) throw new LinkError('link-protocol', 'an answer of no known kind', { how });
    return { kind: 'refused', refusal: decodeRefusal(this.rest()) };
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw new LinkError('link-protocol', 'a frame is too long');
  }
}
