/**
 * VLS's chain messages before a desk that behaves as the test says: order, size, room, and that nothing is kept of what is
 * refused. What a signer makes of them is in `vls-chain-signer.test.ts`.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { concat, InvariantError } from '@countersign/bitcoin';
import { malformedRefusal, type Refusal, RUN_HEADERS_MAX } from '@countersign/core';
import type { MessageOf, Request } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { MinedChain } from '../../core/test/mined-chain.ts';
import type { ChainDesk, ChainDeskAnswer, ChainDeskTip } from '../src/index.ts';
import { NODE_BLOCK_BYTES_MAX } from '../src/sockets/chain-session.ts';
import { openNodeSocket } from '../src/sockets/node-socket.ts';
import { BlockRoom, CollectedBlock, VLS_ROOM_BYTES } from '../src/sockets/vls-block.ts';
import { BRANCH_CONTENTS_MAX, VlsChainSession } from '../src/sockets/vls-chain.ts';
import { NodeLine } from './node-line.ts';
import { inDirectory } from './support.ts';

const MINED = new MinedChain();
MINED.extendBy(12);
const NO: Refusal = malformedRefusal('chain-headers', null, 'a lie', {});

/** Has the first `count` headers of `MINED`, and takes whatever it is told. */
class FakeDesk implements ChainDesk {
  hashes: (Uint8Array | undefined)[];
  provenHeightBlocks = 10;
  current: Partial<ChainDeskTip> | null = {};
  start: ReturnType<ChainDesk['begins']> = null;
  headers: Uint8Array[] = [];
  blocks: Uint8Array[] = [];
  onHeaders: () => ChainDeskAnswer = () => ({ ok: true });
  onBlock: () => ChainDeskAnswer = () => ({ ok: true });

  constructor(tipHeightBlocks = 10) {
    this.hashes = MINED.blocks.slice(0, tipHeightBlocks + 1).map(({ hash }) => hash);
  }

  tip(): ChainDeskTip | null {
    if (this.current === null) return null;
    const tipHeightBlocks = this.hashes.length - 1;
    const places = {
      tipHeightBlocks,
      tipHash: this.hashes.at(-1)!,
      provenHeightBlocks: this.provenHeightBlocks,
    };
    return { ...places, birthdayHeightBlocks: 1, locked: false, ...this.current };
  }
  begins() {
    return this.start;
  }
  headerHash(heightBlocks: number): Uint8Array | null {
    return this.hashes[heightBlocks] ?? null;
  }
  async acceptHeaders(headers: Uint8Array): Promise<ChainDeskAnswer> {
    this.headers.push(headers);
    return this.onHeaders();
  }
  async acceptBlock(raw: Uint8Array): Promise<ChainDeskAnswer> {
    this.blocks.push(raw.slice());
    const answer = this.onBlock();
    if (answer.ok) this.provenHeightBlocks += 1;
    return answer;
  }
}

interface Node {
  readonly desk: FakeDesk;
  readonly recorded: Refusal[];
  readonly bugs: unknown[];
  line(): NodeLine;
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
    const lines: NodeLine[] = [];
    const line = (): NodeLine => {
      lines.push(new NodeLine(path));
      return lines.at(-1)!;
    };
    await body({ desk, recorded, bugs, line });
    for (const opened of lines) opened.end();
    await listener.close();
  });
}

type Chunk = MessageOf<'vls_block_chunk'>;
type Add = MessageOf<'vls_add_block'>;
const NEXT = MINED.blocks[11]!;
const piece = (from: number, to: number, changed: Partial<Chunk> = {}): Chunk => ({
  name: 'vls_block_chunk',
  hash: NEXT.hash,
  offset: from,
  content: NEXT.raw.subarray(from, to),
  ...changed,
});
const whole = ({ hash, raw } = NEXT): Chunk => piece(0, 0, { hash, content: raw });
const add = ({ header } = NEXT): Add => ({ name: 'vls_add_block', header, unspentProof: undefined });
const remove = (parentHeightBlocks: number, header = MINED.blocks[parentHeightBlocks]!.header): Request => ({
  name: 'vls_remove_block',
  unspentProof: undefined,
  prevBlockHeader: header,
  prevFilterHeader: new Uint8Array(32),
});
const TIP: Request = { name: 'vls_tip_info' };
const tipAt = (heightBlocks: number, chain = MINED) => ({
  name: 'vls_tip_info_reply',
  height: heightBlocks,
  blockHash: chain.blocks[heightBlocks]!.hash,
});
const refusalWith = (text: string, code = 2) => ({
  name: 'vls_signer_error',
  code,
  message: expect.stringContaining(`policy-generic-error: ${text}`),
});
const PUSHED = { name: 'vls_block_chunk_reply' };
const TAKEN = { name: 'vls_add_block_reply' };
const NOTED = { name: 'vls_remove_block_reply' };

/** The beginning of a block of four megabytes: most of it is one witness that does not end. */
function largeBeginning(bytes: number): Uint8Array {
  const { raw } = MINED.blocks[11]!;
  const beginning = concat(
    raw.subarray(0, 80),
    Uint8Array.of(2),
    raw.subarray(81),
    // Version, segwit, one input of an outpoint, sequence; one output of nothing; one witness of 3,999,999 bytes.
    Uint8Array.of(2, 0, 0, 0, 0, 1, 1, ...new Uint8Array(32).fill(1), 0, 0, 0, 0, 0, 255, 255, 255, 255),
    Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xfe, 0xff, 0x08, 0x3d, 0),
  );
  const large = new Uint8Array(bytes);
  large.set(beginning);
  return large;
}

function largePieces(bytes: number): Chunk[] {
  const large = largeBeginning(bytes);
  return Array.from({ length: Math.ceil(bytes / 65_535) }, (_, i) =>
    piece(0, 0, { offset: i * 65_535, content: large.subarray(i * 65_535, (i + 1) * 65_535) }),
  );
}

describe('VLS’s chain messages', () => {
  it('tell the last proven block', () =>
    withNode(async ({ desk, line }) => {
      expect(await line().ask(TIP)).toEqual([tipAt(10)]);
      desk.provenHeightBlocks = 7;
      expect(await line().ask(TIP)).toEqual([tipAt(7)]);
      // Before the birthday contents count as proven.
      desk.provenHeightBlocks = 99;
      expect(await line().ask(TIP)).toEqual([tipAt(10)]);
    }));

  it('say what to do before the chain has begun', () =>
    withNode(async ({ desk, line }) => {
      desk.current = null;
      const vls = line();
      for (const request of [TIP, whole(), add(), remove(9)]) {
        expect(await vls.ask(request)).toMatchObject([
          refusalWith('the chain has not begun: bring the headers'),
        ]);
      }
      desk.start = { firstHeightBlocks: 5, lastHeightBlocks: 9 };
      expect(await vls.ask(TIP)).toMatchObject([
        { message: expect.stringContaining('first_height_blocks=5 last_height_blocks=9') },
      ]);
      expect(await vls.ask({ name: 'vls_forward_watches' })).toMatchObject([{ txids: [], outpoints: [] }]);
      desk.current = {};
      desk.hashes[10] = undefined;
      expect(await vls.ask(TIP)).toMatchObject([refusalWith('the chain has not begun')]);
      expect(desk.headers).toEqual([]);
    }));

  it('hand on a block that came in pieces', () =>
    withNode(async ({ desk, line }) => {
      desk.onHeaders = () => {
        desk.hashes[11] = NEXT.hash;
        return { ok: true };
      };
      const vls = line();
      // A block begun anew is another.
      const end = NEXT.raw.length;
      const pieces = [piece(0, 80), whole(MINED.blocks[12]), piece(0, 1), piece(1, 100), piece(100, end)];
      expect(await vls.ask(...pieces, add(), TIP)).toEqual([
        ...Array.from({ length: 5 }, () => PUSHED),
        TAKEN,
        tipAt(11),
      ]);
      expect(desk.headers).toEqual([NEXT.header]);
      expect(desk.blocks).toEqual([NEXT.raw]);
      // It is gone after it was used.
      expect(await vls.ask(piece(100, 101))).toMatchObject([refusalWith('no block has begun')]);
    }));

  it.each<[string, string, Chunk[]]>([
    ['a middle without a beginning', 'no block has begun', [piece(100, 200)]],
    ['a gap', 'the next piece is at 100', [piece(0, 100), piece(101, 150)]],
    ['a piece again', 'the next piece is at 150', [piece(0, 100), piece(100, 150), piece(100, 150)]],
    [
      'another block’s piece',
      'a piece of another block',
      [piece(0, 100), piece(100, 150, { hash: new Uint8Array(32) })],
    ],
    ['an empty piece', 'a piece without content', [piece(0, 100), piece(100, 100)]],
    ['an empty beginning', 'a piece without content', [piece(0, 0)]],
    [
      'bytes after the end',
      'trailing bytes',
      [whole(), piece(NEXT.raw.length, 0, { content: new Uint8Array(1) })],
    ],
    [
      'a block of nothing',
      'block without transactions',
      [piece(0, 80), piece(80, 0, { content: new Uint8Array(1) })],
    ],
    ['too many bytes', 'the block is too large', largePieces(NODE_BLOCK_BYTES_MAX + 1)],
  ])('refuse %s, and forget the block', (_, message, pieces) =>
    withNode(async ({ desk, line, recorded }) => {
      const vls = line();
      const replies = await vls.ask(...pieces);
      expect(replies.slice(0, -1)).toEqual(pieces.slice(1).map(() => PUSHED));
      expect(replies.at(-1)).toMatchObject(refusalWith(message));
      expect(await vls.ask(add())).toMatchObject([refusalWith('the whole block has to come before')]);
      expect(recorded.map(({ request }) => request)).toEqual(['vls_block_chunk', 'vls_add_block']);
      expect([desk.headers, desk.blocks]).toEqual([[], []]);
    }),
  );

  it.each<[string, string, Request[]]>([
    [
      'a header of 79 bytes',
      'a header has 80 bytes',
      [whole(), { ...add(), header: NEXT.header.subarray(1) }],
    ],
    ['no content', 'the whole block has to come before', [add()]],
    ['another content', 'the whole block has to come before', [whole(MINED.blocks[12]), add()]],
    [
      'a content under a wrong name',
      'the content is another',
      [piece(0, 0, { content: MINED.blocks[12]!.raw }), add()],
    ],
    ['a part of the content', 'block ends early', [piece(0, 150), add()]],
    ['less than a header', 'block ends early', [piece(0, 79), add()]],
    [
      'content that went with a removal',
      'the whole block has to come before',
      [whole(MINED.blocks[10]), remove(9), add(MINED.blocks[10])],
    ],
    ['the removal of another block', 'another header than that of the block before', [remove(8)]],
    ['the removal of a block twice', 'another header than that of the block before', [remove(9), remove(9)]],
  ])('refuse %s, and forget all', (_, message, requests) =>
    withNode(async ({ desk, line, recorded }) => {
      const vls = line();
      expect((await vls.ask(...requests)).at(-1)).toMatchObject(refusalWith(message));
      expect(await vls.ask(TIP, piece(150, 160))).toMatchObject([
        tipAt(10),
        refusalWith('no block has begun'),
      ]);
      expect(recorded).toHaveLength(2);
      expect([desk.headers, desk.blocks]).toEqual([[], []]);
    }),
  );

  it('answer an orphan as VLS does, and forget all', () =>
    withNode(async ({ desk, line, recorded }) => {
      const vls = line();
      const replies = await vls.ask(remove(9), whole(MINED.blocks[12]), add(MINED.blocks[12]), TIP);
      expect(replies.slice(2)).toMatchObject([
        refusalWith('the block does not follow the last one [end_height_blocks=9', 401),
        tipAt(10),
      ]);
      // Also one that is there already.
      expect(await vls.ask(whole(MINED.blocks[10]), add(MINED.blocks[10]))).toMatchObject([
        PUSHED,
        { code: 401 },
      ]);
      expect(recorded).toHaveLength(2);
      expect(desk.headers).toEqual([]);
    }));

  it('remove no deeper than headers are on record, or a branch could be brought', () =>
    withNode(async ({ desk, line }) => {
      const vls = line();
      desk.hashes[8] = undefined;
      expect(await vls.ask(remove(9), remove(8))).toMatchObject([
        NOTED,
        refusalWith('the header before is not on record'),
      ]);
      const atStart = new MinedChain().blocks[0]!;
      desk.hashes = [atStart.hash];
      expect(await vls.ask(remove(0, atStart.header))).toMatchObject([
        refusalWith('the header before is not'),
      ]);
      desk.hashes = MINED.blocks.map(({ hash }) => hash);
      desk.hashes[9 + RUN_HEADERS_MAX] = MINED.tip.hash;
      expect(await vls.ask(remove(9))).toMatchObject([refusalWith('a branch so deep cannot be brought')]);
      desk.hashes.pop();
      expect(await vls.ask(remove(9))).toMatchObject([NOTED]);
    }));

  it('give a branch to the signer whole, headers first', () =>
    withNode(async ({ desk, line }) => {
      const branch = MINED.forkAt(8);
      branch.extendBy(3);
      const [ninth, tenth, eleventh] = branch.blocks.slice(9);
      const vls = line();
      await vls.ask(remove(9), remove(8), whole(ninth), add(ninth), whole(tenth), add(tenth));
      expect(await vls.ask(TIP)).toEqual([tipAt(10, branch)]);
      // The block on top is no longer the last.
      expect(await vls.ask(remove(9, ninth!.header), TIP)).toEqual([NOTED, tipAt(9, branch)]);
      expect(await vls.ask(whole(tenth), add(tenth))).toEqual([PUSHED, TAKEN]);
      expect(desk.blocks).toEqual([]);
      desk.onHeaders = () => {
        desk.hashes = branch.blocks.map(({ hash }) => hash);
        desk.provenHeightBlocks = 8;
        return { ok: true };
      };
      expect(await vls.ask(whole(eleventh), add(eleventh), TIP)).toEqual([PUSHED, TAKEN, tipAt(11, branch)]);
      expect(desk.headers).toEqual([
        branch.headers(9, 9),
        branch.headers(9, 10),
        branch.headers(9, 10),
        branch.headers(9, 11),
      ]);
      expect(desk.blocks).toEqual([ninth, tenth, eleventh].map((block) => block!.raw));
      // Another connection has none of it.
      expect(await line().ask(TIP)).toEqual([tipAt(11, branch)]);
    }));

  it('end with what the signer refuses', () =>
    withNode(async ({ desk, line, recorded }) => {
      const vls = line();
      desk.onHeaders = () => ({ ok: false, refusal: NO });
      expect(await vls.ask(whole(), add())).toMatchObject([PUSHED, refusalWith('a lie')]);
      desk.onHeaders = () => {
        desk.hashes[11] = NEXT.hash;
        return { ok: true };
      };
      desk.onBlock = () => ({ ok: false, refusal: NO });
      expect(await vls.ask(whole(), add(), TIP)).toMatchObject([PUSHED, refusalWith('a lie'), tipAt(10)]);
      // They are on the signer's log already.
      expect(recorded).toEqual([]);
    }));

  it.each<[string, Partial<FakeDesk>]>([
    ['proven', { provenHeightBlocks: 11 }],
    ['taken back', { provenHeightBlocks: 9 }],
    ['ended', { current: null }],
  ])('leave a block alone that another connection has %s meanwhile', (_, changed) =>
    withNode(async ({ desk, line }) => {
      desk.onHeaders = () => {
        desk.hashes[11] = NEXT.hash;
        Object.assign(desk, changed);
        return { ok: true };
      };
      expect(await line().ask(whole(), add())).toEqual([PUSHED, TAKEN]);
      expect(desk.blocks).toEqual([]);
    }),
  );

  it.each<[string, number, (desk: FakeDesk) => void]>([
    ['all but the first, which is proven', 9, () => {}],
    [
      'the first, when the second is replaced meanwhile',
      8,
      (desk) => void desk.hashes.splice(10, 1, NEXT.hash),
    ],
  ])('bring of a branch %s', (_, provenHeightBlocks, onBlock) =>
    withNode(async ({ desk, line }) => {
      const branch = MINED.forkAt(8);
      branch.extendBy(3);
      const [ninth, tenth, eleventh] = branch.blocks.slice(9);
      const vls = line();
      await vls.ask(remove(9), remove(8), whole(ninth), add(ninth), whole(tenth), add(tenth));
      desk.onHeaders = () => {
        desk.hashes = branch.blocks.map(({ hash }) => hash);
        desk.provenHeightBlocks = provenHeightBlocks;
        return { ok: true };
      };
      desk.onBlock = () => {
        onBlock(desk);
        return { ok: true };
      };
      expect(await vls.ask(whole(eleventh), add(eleventh))).toEqual([PUSHED, TAKEN]);
      const brought = provenHeightBlocks === 9 ? [tenth, eleventh] : [ninth];
      expect(desk.blocks).toEqual(brought.map((block) => block!.raw));
    }),
  );

  it('are refused where the chain does not come from the node', () =>
    withNode(async ({ line }) => {
      expect(await line().ask(TIP, TIP)).toMatchObject([
        refusalWith('the chain does not come from the node'),
        'closed',
      ]);
    }, false));

  it('have no heartbeat', () =>
    withNode(async ({ line }) => {
      expect(await line().ask({ name: 'vls_get_heartbeat' })).toMatchObject([
        refusalWith('the socket of the node side'),
      ]);
    }));

  it('tell of a bug', () =>
    withNode(async ({ desk, bugs, line }) => {
      desk.onHeaders = () => {
        throw new InvariantError('broken');
      };
      void line().ask(whole(), add());
      await expect.poll(() => bugs).toEqual([new InvariantError('broken')]);
    }));
});

describe('the room for blocks of VLS’s messages', () => {
  it('is one for all connections, and free again when they end', () =>
    withNode(async ({ line }) => {
      const count = VLS_ROOM_BYTES / NODE_BLOCK_BYTES_MAX;
      const lines = Array.from({ length: count }, line);
      for (const one of lines) expect((await one.ask(...largePieces(2_200_000))).at(-1)).toEqual(PUSHED);
      const late = line();
      expect(await late.ask(whole())).toMatchObject([refusalWith('other connections bring blocks already')]);
      expect(await late.ask(whole())).toMatchObject([
        { message: expect.stringContaining('(temporary: try again later)') },
      ]);
      lines[0]!.end();
      // Once its end is known.
      await expect.poll(async () => (await late.ask(whole()))[0]).toEqual(PUSHED);
    }));

  it('has all back after refusals, removals, and blocks that are used', async () => {
    const room = new BlockRoom();
    const desk = new FakeDesk();
    const session = new VlsChainSession(desk, room);
    const say = async (...requests: Parameters<VlsChainSession['answer']>[0][]) => {
      for (const request of requests) await session.answer(request);
    };
    const branch = MINED.forkAt(1);
    branch.extendBy(9);
    await say(...Array.from({ length: 9 }, (_, i) => remove(9 - i) as MessageOf<'vls_remove_block'>));
    for (const block of branch.blocks.slice(2, 10)) await say(whole(block), add(block));
    expect(await session.answer({ name: 'vls_tip_info' })).toMatchObject({ reply: tipAt(9, branch) });
    // Of the eight blocks five are kept.
    expect(room.freeBytes).toBe(VLS_ROOM_BYTES - BRANCH_CONTENTS_MAX * 64 * 1024);
    for (let height = 8; height >= 5; height--)
      await say(remove(0, branch.blocks[height]!.header) as MessageOf<'vls_remove_block'>);
    expect(room.freeBytes).toBe(VLS_ROOM_BYTES - 4 * 64 * 1024);
    await say(whole(branch.blocks[6]));
    expect(room.freeBytes).toBe(VLS_ROOM_BYTES - 5 * 64 * 1024);
    desk.hashes = branch.blocks.map(({ hash }) => hash);
    await say({ name: 'vls_tip_info' });
    expect(room.freeBytes).toBe(VLS_ROOM_BYTES - 64 * 1024);
    session.forget();
    session.forget();
    expect(room.freeBytes).toBe(VLS_ROOM_BYTES);
  });

  it('keeps no content from before the birthday', async () => {
    const [room, desk] = [new BlockRoom(), new FakeDesk()];
    desk.current = { birthdayHeightBlocks: 12 };
    const session = new VlsChainSession(desk, room);
    await session.answer(whole());
    expect(await session.answer(add())).toMatchObject({ reply: TAKEN });
    expect(await session.answer({ name: 'vls_tip_info' })).toMatchObject({ reply: tipAt(11) });
    expect(room.freeBytes).toBe(VLS_ROOM_BYTES);
  });

  it('is given back once, also when the connection ends while the signer judges', async () => {
    const [room, desk] = [new BlockRoom(), new FakeDesk()];
    const session = new VlsChainSession(desk, room);
    const branch = MINED.forkAt(1);
    branch.extendBy(6);
    for (let height = 9; height >= 1; height--)
      await session.answer(remove(height) as MessageOf<'vls_remove_block'>);
    for (const block of branch.blocks.slice(2)) {
      desk.onHeaders = () => {
        if (block === branch.tip) session.forget();
        return { ok: true };
      };
      await session.answer(whole(block));
      await session.answer(add(block));
    }
    expect(room.freeBytes).toBe(VLS_ROOM_BYTES);
  });

  it('has copies: what a message came in is free for the next', async () => {
    const desk = new FakeDesk();
    const session = new VlsChainSession(desk, new BlockRoom());
    for (const block of MINED.blocks.slice(11, 13)) {
      const [chunk, added] = [whole(block), add(block)];
      const [hash, content, header] = [chunk.hash, chunk.content, added.header].map((bytes) => bytes.slice());
      await session.answer({ ...chunk, hash: hash!, content: content! });
      for (const bytes of [hash!, content!]) bytes.fill(0);
      expect(await session.answer({ ...added, header: header! })).toMatchObject({ reply: TAKEN });
      header!.fill(0);
    }
    expect(desk.headers).toEqual([MINED.headers(11, 11), MINED.headers(11, 12)]);
  });

  it('takes the largest block there can be, and no byte more', () => {
    const room = new BlockRoom(NODE_BLOCK_BYTES_MAX);
    const block = new CollectedBlock(NEXT.hash, room);
    for (const { content } of largePieces(NODE_BLOCK_BYTES_MAX)) expect(block.push(content)).toBe(true);
    expect(block.bytes).toEqual(largeBeginning(NODE_BLOCK_BYTES_MAX));
    expect(() => block.push(Uint8Array.of(0))).toThrow('the block is too large');
    expect(new CollectedBlock(NEXT.hash, room).push(NEXT.raw)).toBe(false);
    block.release();
    expect(room.freeBytes).toBe(NODE_BLOCK_BYTES_MAX);
  });
});
