/** What the tests of both ends share: INIT and its reply, clients, waiting, and what must be closed at the end. */
import { equalBytes } from '@countersign/bitcoin';
import { encodeMessage, type MessageOf } from '@countersign/wire';
import { afterEach, expect } from 'vitest';
import {
  type GrpcLimits,
  GrpcNodeSide,
  type GrpcNodeSideOptions,
  type GrpcTls,
} from '../../src/grpc/index.ts';
import { U64_MAX } from '../../src/grpc/messages.ts';
import { type LinkClock, systemClock } from '../../src/link/clock.ts';
import type { GreetingAsk } from '../../src/link/node-side.ts';
import type { LinkAnswer, LinkClient } from '../../src/link/protocol.ts';
import { type ForeignRequest, type ForeignSigner, foreignSigner } from './foreign.ts';

const closers: (() => unknown)[] = [];

/** Closed after the test, the last one first. */
export function later(close: () => unknown): void {
  closers.push(close);
}

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

export const MASTER: LinkClient = { peerId: null, dbid: 0n, permissions: 1027n };

export function channelClient(dbid: bigint): LinkClient {
  return { peerId: new Uint8Array(33).fill(2), dbid, permissions: 56n };
}

export const NODE_ID = Uint8Array.of(2, ...new Uint8Array(32).fill(0x11));

export function init(extra: Partial<MessageOf<'hsmd_init'>> = {}): Uint8Array {
  return encodeMessage({
    name: 'hsmd_init',
    bip32KeyVersion: { pubkeyVersion: 0x043587cf, privkeyVersion: 0x04358394 },
    chainparams: new Uint8Array(32).fill(6),
    hsmEncryptionKey: undefined,
    devForcePrivkey: undefined,
    devForceBip32Seed: undefined,
    devForceChannelSecrets: undefined,
    devForceChannelSecretsShaseed: undefined,
    hsmWireMinVersion: 5,
    hsmWireMaxVersion: 6,
    tlvs: {},
    ...extra,
  });
}

export function initReply(extra: Partial<MessageOf<'hsmd_init_reply_v4'>> = {}): Uint8Array {
  return encodeMessage({
    name: 'hsmd_init_reply_v4',
    hsmVersion: 6,
    hsmCapabilities: [28, 56, 142, 147, 149, 29, 32, 34, 40, 41, 45, 51, 52],
    nodeId: NODE_ID,
    bip32: new Uint8Array(78).fill(3),
    bolt12: NODE_ID,
    tlvs: {},
    ...extra,
  });
}

/** What the next thing is that a signer is asked. */
export async function asked(signer: ForeignSigner): Promise<ForeignRequest> {
  const request = await signer.next();
  if (request === null) throw new Error('the stream ended');
  return request;
}

/** A signer that has answered INIT. */
export async function dialIn(port: number, reply = initReply()): Promise<ForeignSigner> {
  const signer = await foreignSigner({ baseUrl: `http://127.0.0.1:${port}` });
  later(() => signer.abort());
  const said = await asked(signer);
  expect(said).toMatchObject({ requestId: U64_MAX, message: init() });
  expect(said.context).toBeUndefined();
  signer.responses.push({ requestId: U64_MAX, message: reply });
  return signer;
}

/** get_per_commitment_point: two bytes of type, eight of a number. */
export function pointRequest(number: bigint): Uint8Array {
  return encodeMessage({ name: 'hsmd_get_per_commitment_point', n: number });
}

export function replyBody(answer: LinkAnswer): Uint8Array {
  if (answer.kind === 'refused') throw new Error(`refused: ${answer.refusal.text}`);
  return answer.body;
}

export async function until(isTrue: () => boolean, what: string): Promise<void> {
  for (const endMs = performance.now() + 30_000; performance.now() < endMs; ) {
    if (isTrue()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`not in time: ${what}`);
}

/** As the node side of lightningd greets: INIT, and the reply must be the one it had before. */
export function introduction() {
  const replies: LinkAnswer[] = [];
  return {
    replies,
    greet: async (ask: GreetingAsk): Promise<void> => {
      const answer = await ask(MASTER, init());
      if (answer.kind === 'refused') throw new Error(`INIT was refused: ${answer.refusal.text}`);
      const [first] = replies;
      if (first?.kind === 'reply' && !equalBytes(first.body, answer.body)) throw new Error('another node');
      replies.push(answer);
    },
  };
}

export async function nodeSide(
  limits: Partial<GrpcLimits> = {},
  tls: GrpcTls | null = null,
  greet: GrpcNodeSideOptions['greet'] = introduction().greet,
  clock: LinkClock = systemClock,
): Promise<{ side: GrpcNodeSide; log: string[] }> {
  const log: string[] = [];
  const side = await GrpcNodeSide.open({
    host: '127.0.0.1',
    port: 0,
    tls,
    greet,
    log: (level, text) => log.push(`${level} ${text}`),
    limits,
    clock,
  });
  later(() => side.close());
  return { side, log };
}
