/**
 * What the node side may say of the chain, on a real socket: before a desk that behaves as the test says. The signer judges
 * the bytes; here it is about order, size and what is kept.
 */
import { mkdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { InvariantError } from '@countersign/bitcoin';
import { malformedRefusal, type Refusal } from '@countersign/core';
import { FrameSocket } from '@countersign/transport';
import {
  BLOCK_CHUNK_BYTES_MAX,
  decodeMessage,
  encodeMessage,
  HEADERS_MAX,
  type MessageOf,
  type Reply,
  type Request,
} from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import type { ChainDesk, ChainDeskAnswer } from '../src/index.ts';
import { NODE_BLOCK_BYTES_MAX } from '../src/sockets/chain-session.ts';
import { NODE_FRAME_BYTES_MAX } from '../src/sockets/feed.ts';
import { openNodeSocket } from '../src/sockets/node-socket.ts';
import { ecdhRequest, inDirectory } from './support.ts';

const HASH = new Uint8Array(32).fill(7);
const TIP = {
  tipHeightBlocks: 120,
  tipHash: HASH,
  provenHeightBlocks: 99,
  birthdayHeightBlocks: 50,
  locked: false,
};
const NO: Refusal = { ...malformedRefusal('countersign_headers', null, 'a lie', {}), temporary: true };

class FakeDesk implements ChainDesk {
  current: typeof TIP | null = TIP;
  headers: Uint8Array[] = [];
  blocks: Uint8Array[] = [];
  answer: ChainDeskAnswer | Error = { ok: true };

  tip() {
    return this.current;
  }
  begins() {
    return this.current === null ? { firstHeightBlocks: 5, lastHeightBlocks: 9 } : null;
  }
  headerHash(heightBlocks: number): Uint8Array | null {
    return heightBlocks === 120 ? HASH : null;
  }
  async acceptHeaders(headers: Uint8Array): Promise<ChainDeskAnswer> {
    this.headers.push(headers);
    return this.#answer();
  }
  async acceptBlock(raw: Uint8Array): Promise<ChainDeskAnswer> {
    this.blocks.push(raw);
    return this.#answer();
  }
  #answer(): ChainDeskAnswer {
    if (this.answer instanceof Error) throw this.answer;
    return this.answer;
  }
}

interface Node {
  readonly desk: FakeDesk;
  readonly recorded: Refusal[];
  readonly bugs: unknown[];
  /** On one connection, in order. */
  ask(...requests: Request[]): Promise<(Reply | 'closed')[]>;
}

function withNode(body: (node: Node) => Promise<void>, hasDesk = true): Promise<void> {
  return inDirectory(async (directory) => {
    mkdirSync(directory);
    const path = join(directory, 'node.sock');
    const [desk, recorded, bugs]: [FakeDesk, Refusal[], unknown[]] = [new FakeDesk(), [], []];
    const signer = {
      answer: () => Promise.reject(new InvariantError('not asked')),
      recordRefusal: (refusal: Refusal) => recorded.push(refusal),
    };
    const onBug = (bug: unknown): void => void bugs.push(bug);
    const listener = await openNodeSocket({ path, signer, chain: hasDesk ? desk : null, onBug });
    const ask = (...requests: Request[]) => askAll(path, requests);
    await body({ desk, recorded, bugs, ask });
    await listener.close();
  });
}

async function askAll(path: string, requests: readonly Request[]): Promise<(Reply | 'closed')[]> {
  const frames = new FrameSocket(connect(path), { frameBytesMax: NODE_FRAME_BYTES_MAX });
  const waiting: ((reply: Reply | 'closed') => void)[] = [];
  frames.start({
    frame: (body) => {
      const decoded = decodeMessage(body, 'reply');
      if (decoded.ok && decoded.message.name !== 'unknown') waiting.shift()?.(decoded.message);
    },
    closed: () => {
      for (const resolve of waiting.splice(0)) resolve('closed');
    },
  });
  const replies: (Reply | 'closed')[] = [];
  for (const request of requests) {
    const reply = new Promise<Reply | 'closed'>((resolve) => void waiting.push(resolve));
    if (!frames.isOpen) break;
    frames.send(encodeMessage(request));
    replies.push(await reply);
  }
  frames.destroy();
  return replies;
}

type Chunk = MessageOf<'countersign_block_chunk'>;
const piece = (offset: number, length: number, changed: Partial<Chunk> = {}): Chunk => ({
  name: 'countersign_block_chunk',
  heightBlocks: 100,
  totalBytes: 300,
  offset,
  content: Uint8Array.from({ length }, (_, i) => (offset + i) & 0xff),
  ...changed,
});
const WHOLE = Uint8Array.from({ length: 300 }, (_, i) => i & 0xff);
const taken = { name: 'countersign_block_chunk_reply', isComplete: false };
const complete = { name: 'countersign_block_chunk_reply', isComplete: true };

describe('the chain on node.sock', () => {
  it('tells its tip, and the hash at a height', () =>
    withNode(async ({ ask, desk }) => {
      const { locked: _, ...tip } = TIP;
      expect(await ask({ name: 'countersign_chain_tip' })).toEqual([
        { name: 'countersign_chain_tip_reply', tip: { ...tip, isLocked: false }, begins: undefined },
      ]);
      desk.current = null;
      expect(
        await ask(
          { name: 'countersign_chain_tip' },
          { name: 'countersign_header_hash', heightBlocks: 120 },
          { name: 'countersign_header_hash', heightBlocks: 121 },
        ),
      ).toEqual([
        {
          name: 'countersign_chain_tip_reply',
          tip: undefined,
          begins: { firstHeightBlocks: 5, lastHeightBlocks: 9 },
        },
        { name: 'countersign_header_hash_reply', hash: HASH },
        { name: 'countersign_header_hash_reply', hash: undefined },
      ]);
    }));

  it('takes headers as one run, and hands on what the signer says', () =>
    withNode(async ({ ask, desk, recorded }) => {
      const headers = Array.from({ length: HEADERS_MAX }, (_, i) => new Uint8Array(80).fill(i & 0xff));
      const [reply] = await ask({ name: 'countersign_headers', headers });
      expect(reply).toMatchObject({ name: 'countersign_headers_reply', tip: { tipHeightBlocks: 120 } });
      expect(desk.headers).toEqual([Uint8Array.from(headers.flatMap((header) => [...header]))]);
      desk.answer = { ok: false, refusal: NO };
      const refusals = await ask(
        { name: 'countersign_headers', headers: [] },
        { name: 'countersign_chain_tip' },
      );
      expect(refusals[0]).toMatchObject({
        name: 'vls_signer_error',
        message: 'policy-generic-error: a lie (temporary: try again later)',
      });
      // The connection stays: the next run may be better.
      expect(refusals[1]).toMatchObject({ name: 'countersign_chain_tip_reply' });
      // The signer's own refusals are on its log already.
      expect(recorded).toEqual([]);
    }));

  it('takes a block in pieces', () =>
    withNode(async ({ ask, desk }) => {
      expect(await ask(piece(0, 100), piece(100, 199), piece(299, 1))).toEqual([taken, taken, complete]);
      expect(await ask(piece(0, 300))).toEqual([complete]);
      expect(desk.blocks).toEqual([WHOLE, WHOLE]);
    }));

  it('takes the largest block there can be', () =>
    withNode(async ({ ask, desk }) => {
      const totalBytes = NODE_BLOCK_BYTES_MAX;
      const pieces: Chunk[] = [];
      for (let offset = 0; offset < totalBytes; offset += BLOCK_CHUNK_BYTES_MAX) {
        const content = new Uint8Array(Math.min(BLOCK_CHUNK_BYTES_MAX, totalBytes - offset));
        pieces.push(piece(offset, 0, { totalBytes, content }));
      }
      expect((await ask(...pieces)).at(-1)).toEqual(complete);
      expect(desk.blocks[0]).toHaveLength(totalBytes);
    }));

  it('begins a block anew at offset 0, and after a refusal', () =>
    withNode(async ({ ask, desk }) => {
      expect(await ask(piece(0, 100), piece(0, 200), piece(200, 100))).toEqual([taken, taken, complete]);
      desk.answer = { ok: false, refusal: NO };
      expect(await ask(piece(0, 300))).toMatchObject([{ name: 'vls_signer_error' }]);
      desk.answer = { ok: true };
      expect(await ask(piece(0, 300))).toEqual([complete]);
    }));

  it.each<[string, string, Chunk[]]>([
    ['another height', 'the next block is 100', [piece(0, 300, { heightBlocks: 101 })]],
    ['too many bytes', 'at most 4000000 bytes', [piece(0, 100, { totalBytes: NODE_BLOCK_BYTES_MAX + 1 })]],
    ['no bytes', 'another length', [piece(0, 0)]],
    ['more bytes than the block has', 'another length', [piece(0, 301)]],
    ['a block of nothing', 'another length', [piece(0, 0, { totalBytes: 0 })]],
    ['a middle without a beginning', 'no block has begun', [piece(100, 100)]],
    ['a gap', 'the next piece is at 100', [piece(0, 100), piece(101, 100)]],
    ['a piece again', 'the next piece is at 200', [piece(0, 100), piece(100, 100), piece(100, 100)]],
    ['another block’s piece', 'of another block', [piece(0, 100), piece(100, 100, { heightBlocks: 99 })]],
    ['another total', 'of another block', [piece(0, 100), piece(100, 100, { totalBytes: 301 })]],
    ['an empty piece', 'another length', [piece(0, 100), piece(100, 0)]],
    ['a piece beyond the end', 'another length', [piece(0, 100), piece(100, 201)]],
  ])('refuses %s, and forgets the block', (_, message, pieces) =>
    withNode(async ({ ask, desk, recorded }) => {
      const replies = await ask(...pieces, piece(100, 200));
      expect(replies.at(-2)).toMatchObject({
        name: 'vls_signer_error',
        message: expect.stringMatching(new RegExp(`^policy-generic-error: .*${message}.*height_blocks=`)),
      });
      expect(replies.at(-1)).toMatchObject({ message: expect.stringContaining('no block has begun') });
      expect(recorded).toHaveLength(2);
      expect(desk.blocks).toEqual([]);
    }),
  );

  it('keeps the pieces of each connection apart', () =>
    withNode(async ({ ask, desk }) => {
      await ask(piece(0, 100));
      expect(await ask(piece(100, 200))).toMatchObject([{ name: 'vls_signer_error' }]);
      expect(desk.blocks).toEqual([]);
    }));

  it('takes no block before the chain has begun', () =>
    withNode(async ({ ask, desk }) => {
      desk.current = null;
      expect(await ask(piece(0, 300))).toMatchObject([{ message: expect.stringContaining('has not begun') }]);
    }));

  it('takes nothing where the chain does not come from the node', () =>
    withNode(async ({ ask, recorded }) => {
      for (const request of [{ name: 'countersign_chain_tip' }, piece(0, 300)] as const) {
        expect(await ask(request, { name: 'countersign_chain_tip' })).toMatchObject([
          { name: 'vls_signer_error', message: expect.stringContaining('see source in [chain]') },
          'closed',
        ]);
      }
      expect(recorded).toHaveLength(2);
    }, false));

  it('takes nothing else', () =>
    withNode(async ({ ask }) => {
      expect(await ask(ecdhRequest)).toMatchObject([
        { message: expect.stringContaining('preimages and blocks only') },
      ]);
      const vls = { name: 'vls_node_info' } as const;
      expect(await ask(vls)).toMatchObject([
        { message: expect.stringContaining('preimages and blocks only') },
      ]);
    }));

  it('tells of a bug', () =>
    withNode(async ({ ask, desk, bugs }) => {
      desk.answer = new InvariantError('broken');
      void ask({ name: 'countersign_headers', headers: [] });
      await expect.poll(() => bugs).toEqual([new InvariantError('broken')]);
    }));
});
