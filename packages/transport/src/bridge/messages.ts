/**
 * What the application's thread and its bridge say to each other: requests and replies over a carrier that blocks, everything
 * else as messages between threads or processes.
 */
import { concat } from '@countersign/bitcoin';
import type { PresenceLogLevel } from '../link/presence.ts';
import type { LinkClient } from '../link/protocol.ts';
import { REQUESTS_TOGETHER_MAX } from '../sync-door.ts';

/** Where the signer comes in: a port, with keys; or a Unix socket, where who may open it is the signer. */
export type BridgeListen = { readonly host: string; readonly port: number } | { readonly path: string };

/** How the signer derives the node's keys: as Core Lightning does, or as LDK's KeysManager. */
export type BridgeKeyStyle = 'cln' | 'ldk';

export interface BridgeSettings {
  readonly listen: BridgeListen;
  /** The link's key and pins are below it. */
  readonly directory: string;
  readonly network: string;
  readonly keyStyle: BridgeKeyStyle;
  readonly messageBytesMax: number;
  readonly patienceMs: number;
  readonly startPatienceMs: number | null;
}

/** Who the signer is, as it said when it was introduced. */
export interface RemoteIdentity {
  /** 33 bytes. */
  readonly nodeId: Uint8Array;
  /** 78 bytes. */
  readonly bip32: Uint8Array;
  /** 33 bytes. */
  readonly bolt12: Uint8Array;
}

export type BridgeCarrier =
  | { readonly kind: 'shared'; readonly memory: SharedArrayBuffer }
  | { readonly kind: 'fifo'; readonly requests: string; readonly replies: string };

export type ToBridge =
  | { readonly kind: 'open'; readonly settings: BridgeSettings; readonly carrier: BridgeCarrier }
  | { readonly kind: 'feed'; readonly id: number; readonly body: Uint8Array }
  | { readonly kind: 'close' };

export type FromBridge =
  /** The carrier's other end is there. */
  | { readonly kind: 'ready' }
  | { readonly kind: 'opened'; readonly identity: RemoteIdentity }
  | { readonly kind: 'failed'; readonly why: string }
  | { readonly kind: 'log'; readonly level: PresenceLogLevel; readonly text: string }
  | { readonly kind: 'fed'; readonly id: number; readonly body: Uint8Array }
  | { readonly kind: 'feed-failed'; readonly id: number; readonly why: string }
  | { readonly kind: 'closed' };

const PEER_BYTES = 33;
const REST_BYTES = 16;
/** A request travels with who asks: u8 whether a peer follows, 33 bytes of it, u64 dbid, u64 permissions. */
export const ASK_HEAD_BYTES_MAX = 1 + PEER_BYTES + REST_BYTES;

export function askHead({ peerId, dbid, permissions }: LinkClient): Uint8Array {
  const rest = new Uint8Array(REST_BYTES);
  const view = new DataView(rest.buffer);
  view.setBigUint64(0, dbid);
  view.setBigUint64(8, permissions);
  return peerId === null ? concat(Uint8Array.of(0), rest) : concat(Uint8Array.of(1), peerId, rest);
}

/** The body is a view of `bytes`. Only this program writes them. */
export function readAsk(bytes: Uint8Array): { readonly client: LinkClient; readonly body: Uint8Array } {
  const restAt = bytes[0] === 0 ? 1 : 1 + PEER_BYTES;
  const view = new DataView(bytes.buffer, bytes.byteOffset + restAt, REST_BYTES);
  const client = {
    peerId: bytes[0] === 0 ? null : bytes.slice(1, restAt),
    dbid: view.getBigUint64(0),
    permissions: view.getBigUint64(8),
  };
  return { client, body: bytes.subarray(restAt + REST_BYTES) };
}

/** How several requests that go together begin, where one begins with whether a peer follows. */
const TOGETHER = 2;
const LENGTH_BYTES = 4;

/** Longest request or reply of a carrier: as many messages as go together, each with who asks and its length. */
export const placeBytes = (messageBytesMax: number): number =>
  1 + REQUESTS_TOGETHER_MAX * (LENGTH_BYTES + ASK_HEAD_BYTES_MAX + messageBytesMax);

/** Each behind its length, u32. */
export function askTogether(
  requests: readonly { readonly client: LinkClient; readonly request: Uint8Array }[],
): {
  readonly head: Uint8Array;
  readonly body: Uint8Array;
} {
  const asks = requests.map(({ client, request }) => concat(askHead(client), request));
  return { head: Uint8Array.of(TOGETHER), body: joined(asks) };
}

/** The requests as each of them would come alone; null for one that is alone. Views of `bytes`, which only this program writes. */
export function readTogether(bytes: Uint8Array): readonly Uint8Array[] | null {
  return bytes[0] === TOGETHER ? parts(bytes.subarray(1)) : null;
}

/** Answers in the order of the requests, each as it would stand alone. */
export const answersTogether = (answers: readonly Uint8Array[]): Uint8Array => joined(answers);
export const readAnswers = (bytes: Uint8Array): readonly Uint8Array[] => parts(bytes);

function joined(all: readonly Uint8Array[]): Uint8Array {
  return concat(
    ...all.flatMap((one) => {
      const length = new Uint8Array(LENGTH_BYTES);
      new DataView(length.buffer).setUint32(0, one.length);
      return [length, one];
    }),
  );
}

function parts(bytes: Uint8Array): readonly Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + LENGTH_BYTES + view.getUint32(at);
    found.push(bytes.subarray(at + LENGTH_BYTES, end));
    at = end;
  }
  return found;
}

/** How a reply begins. */
const REPLIED = 0;
const UNREACHABLE = 1;

export type BridgeAnswer =
  /** The signer's reply, or its refusal as `vls_signer_error`. */
  | { readonly kind: 'reply'; readonly body: Uint8Array }
  | { readonly kind: 'unreachable'; readonly why: string };

export function encodeAnswer(answer: BridgeAnswer): Uint8Array {
  return answer.kind === 'reply'
    ? concat(Uint8Array.of(REPLIED), answer.body)
    : concat(Uint8Array.of(UNREACHABLE), new TextEncoder().encode(answer.why));
}

/** The body is a view of `bytes`. */
export function readAnswer(bytes: Uint8Array): BridgeAnswer {
  const rest = bytes.subarray(1);
  if (bytes[0] === REPLIED) return { kind: 'reply', body: rest };
  return { kind: 'unreachable', why: new TextDecoder().decode(rest) };
}
