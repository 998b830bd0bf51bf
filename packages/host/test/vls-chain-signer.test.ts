/**
 * VLS's chain messages before a real signer with its store, over `node.sock`: as VLS's frontend sends them, which asks for the
 * tip before every step, and as an attacker could.
 */
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { networkByName, policyOf, type Refusal } from '@countersign/core';
import type { MessageOf, Request } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { type MinedBlock, MinedChain } from '../../core/test/mined-chain.ts';
import type { ChainDesk, Signer } from '../src/index.ts';
import { openNodeSocket } from '../src/sockets/node-socket.ts';
import { type Answered, NodeLine } from './node-line.ts';
import { inDirectory, openStore, signerOn } from './support.ts';

const NOW = 1_300_000_000;
const REGTEST = networkByName('regtest')!;
/** As VLS's proxy cuts blocks. */
const PIECE_BYTES = 8192;

const deskOf = ({ chain }: Signer): ChainDesk => ({
  tip: () => chain.tip(),
  begins: () => null,
  headerHash: (heightBlocks) => chain.headerHash(heightBlocks),
  acceptHeaders: (headers) => chain.acceptHeaders(headers),
  acceptBlock: (raw) => chain.acceptBlock(raw),
});

function pieces({ hash, raw }: Pick<MinedBlock, 'hash' | 'raw'>, bytes = PIECE_BYTES): Request[] {
  return Array.from({ length: Math.ceil(raw.length / bytes) }, (_, i) => ({
    name: 'vls_block_chunk',
    hash,
    offset: i * bytes,
    content: raw.subarray(i * bytes, (i + 1) * bytes),
  }));
}

const EXTERNAL_BLOCK = Uint8Array.of(0, 2);
const add = (block: MinedBlock): Request[] => [
  ...pieces(block),
  { name: 'vls_add_block', header: block.header, unspentProof: EXTERNAL_BLOCK },
];
const remove = (parent: MinedBlock): MessageOf<'vls_remove_block'> => ({
  name: 'vls_remove_block',
  unspentProof: EXTERNAL_BLOCK,
  prevBlockHeader: parent.header,
  prevFilterHeader: new Uint8Array(32),
});
const own = ({ heightBlocks, header, raw }: MinedBlock): Request[] => [
  { name: 'countersign_headers', headers: [header] },
  { name: 'countersign_block_chunk', heightBlocks, totalBytes: raw.length, offset: 0, content: raw },
];

const TAKEN = { name: 'vls_add_block_reply' };
const NOTED = { name: 'vls_remove_block_reply' };
const tipOf = ({ heightBlocks, hash }: MinedBlock) => ({
  name: 'vls_tip_info_reply',
  height: heightBlocks,
  blockHash: hash,
});

interface Place {
  readonly signer: Signer;
  readonly mined: MinedChain;
  readonly refusals: Refusal[];
  line(): NodeLine;
}

/** A signer that has the chain of `mined`, ten blocks, from the birthday on. */
function withSigner(body: (place: Place) => Promise<void>, birthdayHeightBlocks = 1): Promise<void> {
  return inDirectory(async (directory) => {
    const journal = openStore(directory);
    const policy = policyOf(REGTEST, 'hub', { limits: { reorgDepthBlocksMax: 12 } });
    const signer = signerOn(journal, { policy, nowSeconds: () => NOW });
    const start = { birthdayHeightBlocks, sourceHeightBlocks: 0 };
    expect(await signer.chain.begin(start, new Uint8Array(0))).toEqual({ ok: true });
    const mined = new MinedChain();
    const path = join(dirname(directory), 'sockets', 'node.sock');
    mkdirSync(dirname(path));
    const refusals: Refusal[] = [];
    const listener = await openNodeSocket({
      path,
      signer: {
        answer: (client, request) => signer.answer(client, request),
        recordRefusal: (refusal) => refusals.push(refusal),
      },
      chain: deskOf(signer),
      onBug: (bug) => expect.fail(String(bug)),
    });
    const lines: NodeLine[] = [];
    const line = (): NodeLine => {
      const opened = new NodeLine(path);
      lines.push(opened);
      return opened;
    };
    await body({ signer, mined, refusals, line });
    for (const opened of lines) opened.end();
    await listener.close();
    await journal.close();
  });
}

const last = async (asked: Promise<Answered[]>): Promise<Answered | undefined> => (await asked).at(-1);

/** The signer's view ends with this block, its content proven. */
function expectView({ chain }: Signer, { heightBlocks, hash }: MinedBlock): void {
  expect(chain.tip()).toMatchObject({
    tipHeightBlocks: heightBlocks,
    tipHash: hash,
    provenHeightBlocks: heightBlocks,
  });
}

/** What VLS's frontend does until it has nothing to do: one step, then it asks for the tip again. */
async function follow(line: NodeLine, source: MinedChain, known: readonly MinedBlock[]): Promise<string[]> {
  const steps: string[] = [];
  for (;;) {
    const [tip] = await line.ask({ name: 'vls_tip_info' });
    if (tip === undefined || tip === 'closed' || tip.name !== 'vls_tip_info_reply') expect.fail('no tip');
    const next = source.blocks[tip.height + 1];
    const isOurs = Buffer.compare(source.blocks[tip.height]?.hash ?? new Uint8Array(0), tip.blockHash) === 0;
    if (isOurs && next === undefined) return steps;
    if (isOurs) {
      steps.push(`+${next!.heightBlocks}`);
      expect(await last(line.ask(...add(next!)))).toEqual(TAKEN);
      continue;
    }
    const gone = known.find(({ hash }) => Buffer.compare(hash, tip.blockHash) === 0)!;
    const parent = known.find(({ hash }) => Buffer.compare(hash, gone.header.subarray(4, 36)) === 0)!;
    steps.push(`-${gone.heightBlocks}`);
    // VLS sends the block that goes away where its filter matched.
    expect(await last(line.ask(...pieces(gone), remove(parent)))).toEqual(NOTED);
  }
}

describe('VLS’s chain messages before a signer', () => {
  it('extend the chain', () =>
    withSigner(async ({ signer, mined, line }) => {
      mined.extendBy(5);
      const vls = line();
      expect(await follow(vls, mined, mined.blocks)).toEqual(['+1', '+2', '+3', '+4', '+5']);
      expectView(signer, mined.tip);
      expect(signer.chain.view()?.isFresh).toBe(true);
      expect(await vls.ask({ name: 'vls_forward_watches' }, { name: 'vls_reverse_watches' })).toEqual([
        { name: 'vls_forward_watches_reply', txids: [], outpoints: [] },
        { name: 'vls_reverse_watches_reply', txids: [], outpoints: [] },
      ]);
    }));

  it('bring headers alone before the birthday', () =>
    withSigner(async ({ signer, mined, line }) => {
      mined.extendBy(5);
      const vls = line();
      for (const { header } of mined.blocks.slice(1, 4))
        expect(await vls.ask({ name: 'vls_add_block', header, unspentProof: undefined })).toEqual([TAKEN]);
      expect(signer.chain.tip()).toMatchObject({ tipHeightBlocks: 3, provenHeightBlocks: 3 });
      const { header } = mined.blocks[4]!;
      expect(await vls.ask({ name: 'vls_add_block', header, unspentProof: undefined })).toMatchObject([
        {
          name: 'vls_signer_error',
          code: 2,
          message: expect.stringContaining('the whole block has to come'),
        },
      ]);
      expect(await follow(vls, mined, mined.blocks)).toEqual(['+4', '+5']);
      expectView(signer, mined.tip);
    }, 4));

  it.each([1, 2])('replace the last %i blocks, once there is more work', (depth) =>
    withSigner(async ({ signer, mined, line }) => {
      mined.extendBy(10);
      const vls = line();
      await follow(vls, mined, mined.blocks);
      const branch = mined.forkAt(10 - depth);
      branch.extendBy(depth);
      for (let height = 10; height > 10 - depth; height--) {
        expect(await vls.ask(remove(mined.blocks[height - 1]!), { name: 'vls_tip_info' })).toEqual([
          NOTED,
          tipOf(mined.blocks[height - 1]!),
        ]);
        expectView(signer, mined.tip);
      }
      for (const block of branch.blocks.slice(11 - depth)) {
        expect(await last(vls.ask(...add(block)))).toEqual(TAKEN);
        expect(await vls.ask({ name: 'vls_tip_info' })).toEqual([tipOf(block)]);
        // As much work is not more.
        expectView(signer, mined.tip);
      }
      branch.extendBy(1);
      expect(await last(vls.ask(...add(branch.tip)))).toEqual(TAKEN);
      expectView(signer, branch.tip);
      expect(signer.chain.view()?.isFresh).toBe(true);
      expect(await line().ask({ name: 'vls_tip_info' })).toEqual([tipOf(branch.tip)]);
    }),
  );

  it('follow a longer branch than can be kept, and come back', () =>
    withSigner(async ({ signer, mined, line }) => {
      mined.extendBy(10);
      const vls = line();
      await follow(vls, mined, mined.blocks);
      const branch = mined.forkAt(3);
      branch.extendBy(9);
      const known = [...mined.blocks, ...branch.blocks];
      const steps = await follow(vls, branch, known);
      expect(steps.slice(0, 7)).toEqual(['-10', '-9', '-8', '-7', '-6', '-5', '-4']);
      // Five contents are kept; what was not is asked for again.
      const added = ['+4', '+5', '+6', '+7', '+8', '+9', '+10', '+11', '+9', '+10', '+11', '+12'];
      expect(steps.slice(7)).toEqual(added);
      expectView(signer, branch.tip);
      // The source goes back to the first chain, now with more work.
      mined.extendBy(3);
      await follow(vls, mined, known.concat(mined.blocks));
      expectView(signer, mined.tip);
    }));

  it('have no effect on a chain that only becomes shorter', () =>
    withSigner(async ({ signer, mined, line }) => {
      mined.extendBy(4);
      const vls = line();
      await follow(vls, mined, mined.blocks);
      const shorter = mined.forkAt(2);
      expect(await follow(vls, shorter, mined.blocks)).toEqual(['-4', '-3']);
      expectView(signer, mined.tip);
      // And the same blocks again.
      expect(await follow(vls, mined, mined.blocks)).toEqual(['+3']);
      expectView(signer, mined.tip);
    }));

  it('lock the view where the reorg is deeper than allowed', () =>
    withSigner(async ({ signer, mined, line }) => {
      mined.extendBy(14);
      const vls = line();
      await follow(vls, mined, mined.blocks);
      const branch = mined.forkAt(1);
      branch.extendBy(14);
      await follow(vls, branch, [...mined.blocks, ...branch.blocks]);
      expectView(signer, mined.tip);
      expect(signer.chain.tip()?.locked).toBe(true);
      expect(await signer.chain.unlock(branch.tip.hash)).toEqual({ ok: true });
      branch.extendBy(1);
      await follow(vls, branch, [...mined.blocks, ...branch.blocks]);
      expectView(signer, branch.tip);
    }));

  it('go together with our own', () =>
    withSigner(async ({ signer, mined, line, refusals }) => {
      mined.extendBy(6);
      const [vls, ours] = [line(), line()];
      // On one connection, between each other's pieces.
      const [first, second] = [mined.blocks[1]!, mined.blocks[2]!];
      const piecesOfFirst = pieces(first, 100);
      await vls.ask(piecesOfFirst[0]!, { name: 'countersign_chain_tip' }, ...piecesOfFirst.slice(1));
      expect(
        await last(vls.ask({ name: 'vls_add_block', header: first.header, unspentProof: undefined })),
      ).toEqual(TAKEN);
      expect(await vls.ask(...own(second))).toMatchObject([{}, { isComplete: true }]);
      // One is ahead: VLS's learns it from the tip.
      expect(await last(ours.ask(...own(mined.blocks[3]!)))).toMatchObject({ isComplete: true });
      expect(await last(vls.ask(...add(mined.blocks[3]!)))).toMatchObject({ code: 401 });
      expect(await follow(vls, mined, mined.blocks)).toEqual(['+4', '+5', '+6']);
      // Headers by ours, contents by VLS's.
      mined.extendBy(2);
      await ours.ask(own(mined.blocks[7]!)[0]!, own(mined.blocks[8]!)[0]!);
      expect(await follow(vls, mined, mined.blocks)).toEqual(['+7', '+8']);
      expectView(signer, mined.tip);
      // A branch by VLS's that another by ours overtakes: what hangs on it is an orphan.
      const [lost, won] = [mined.forkAt(7, 1), mined.forkAt(6, 2)];
      lost.extendBy(2);
      won.extendBy(3);
      await vls.ask(remove(mined.blocks[7]!), ...add(lost.blocks[8]!));
      const headers = won.blocks.slice(7).map(({ header }) => header);
      await ours.ask({ name: 'countersign_headers', headers });
      for (const block of won.blocks.slice(7)) await ours.ask(own(block)[1]!);
      expect(await last(vls.ask(...add(lost.blocks[9]!)))).toMatchObject({ code: 401 });
      expect(await vls.ask({ name: 'vls_tip_info' })).toEqual([tipOf(won.tip)]);
      expectView(signer, won.tip);
      // A branch by VLS's that ours brings as well.
      const same = won.forkAt(8, 3);
      same.extendBy(2);
      await vls.ask(remove(won.blocks[8]!), ...add(same.blocks[9]!));
      await ours.ask({ name: 'countersign_headers', headers: [same.blocks[9]!.header, same.tip.header] });
      expect(await vls.ask({ name: 'vls_tip_info' })).toEqual([tipOf(won.blocks[8]!)]);
      expect(await follow(vls, same, same.blocks)).toEqual(['+9', '+10']);
      expectView(signer, same.tip);
      expect(refusals.map(({ request }) => request)).toEqual(['vls_add_block', 'vls_add_block']);
    }));

  it('change nothing where the content is not the block', () =>
    withSigner(async ({ signer, mined, line }) => {
      mined.extendBy(3);
      const vls = line();
      await follow(vls, mined, mined.blocks);
      const before = signer.chain.tip();
      const next = mined.extend();
      const changed = next.raw.slice();
      // The amount of the coinbase.
      changed[changed.length - 60]! ^= 1;
      const longer = Uint8Array.of(...next.raw, 0);
      const added = { name: 'vls_add_block', header: next.header, unspentProof: undefined } as const;
      for (const raw of [changed, next.raw.subarray(0, -1), next.raw.subarray(0, 79), mined.blocks[3]!.raw]) {
        expect(await last(vls.ask(...pieces({ ...next, raw }), added))).toMatchObject({
          name: 'vls_signer_error',
          code: 2,
        });
      }
      expect(await vls.ask(...pieces({ ...next, raw: longer }))).toMatchObject([{ code: 2 }]);
      const lie = next.header.slice();
      lie[0]! ^= 1;
      const { header } = mined.blocks[2]!;
      expect(await vls.ask({ ...added, header })).toMatchObject([{ code: 401 }]);
      expect(await vls.ask({ ...added, header: lie })).toMatchObject([{ code: 2 }]);
      expect(signer.chain.tip()).toEqual(before);
      expect(await follow(vls, mined, mined.blocks)).toEqual(['+4']);
    }));

  it('keep no block without work', () =>
    withSigner(async ({ signer, mined, line, refusals }) => {
      mined.extendBy(3);
      const vls = line();
      await follow(vls, mined, mined.blocks);
      const branch = mined.forkAt(2);
      // Older than the median of those before it.
      branch.extend([], { timeSeconds: mined.blocks[1]!.timeSeconds });
      const replies = await vls.ask(remove(mined.blocks[2]!), ...add(branch.tip), { name: 'vls_tip_info' });
      expect(replies.slice(-2)).toMatchObject([
        { code: 1, message: expect.stringContaining('policy-chain-validated') },
        tipOf(mined.tip),
      ]);
      expectView(signer, mined.tip);
      // The signer has it on its log itself.
      expect(refusals).toEqual([]);
    }));
});
