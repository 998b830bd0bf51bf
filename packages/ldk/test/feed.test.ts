/** Feeding the chain: what the signer lacks, from where the two chains part, and nothing when it has all. */

import { hash256 } from '@countersign/bitcoin';
import { EmbeddedChain } from '@countersign/playground';
import type { Reply, Request } from '@countersign/wire';
import { describe, expect, it } from 'vitest';
import { type BlockSource, feedChain } from '../src/chain/feed.ts';
import { SignerClient } from '../src/client.ts';
import { refusedWith, TestDoor } from './support.ts';

const chain = new EmbeddedChain(1_790_000_000);
const source: BlockSource = {
  heightBlocks: chain.heightBlocks,
  header: (height) => chain.header(height),
  block: (height) => chain.block(height),
};

/** A signer that has headers and blocks up to some height, of this chain or, above `forksAbove`, of another one. */
class FakeSigner {
  headers = 0;
  proven = 0;
  forksAbove = Number.POSITIVE_INFINITY;
  hasBegun = true;
  blocks: number[] = [];
  headersSent = 0;

  answer(request: Request): Reply {
    switch (request.name) {
      case 'countersign_chain_tip':
        return this.hasBegun
          ? { name: 'countersign_chain_tip_reply', tip: this.tip(), begins: undefined }
          : {
              name: 'countersign_chain_tip_reply',
              tip: undefined,
              begins: { firstHeightBlocks: 1, lastHeightBlocks: 3 },
            };
      case 'countersign_headers':
        this.headersSent += request.headers.length;
        this.headers = this.hasBegun ? chain.heightBlocks : 3;
        this.hasBegun = true;
        this.forksAbove = Number.POSITIVE_INFINITY;
        return { name: 'countersign_headers_reply', tip: this.tip() };
      case 'countersign_header_hash':
        return { name: 'countersign_header_hash_reply', hash: this.hash(request.heightBlocks) };
      case 'countersign_block_chunk': {
        const isComplete = request.offset + request.content.length === request.totalBytes;
        if (isComplete) this.blocks.push(request.heightBlocks);
        return { name: 'countersign_block_chunk_reply', isComplete };
      }
      default:
        return refusedWith('policy-generic-error: not asked');
    }
  }

  hash(height: number): Uint8Array | undefined {
    if (height > this.headers) return undefined;
    return height > this.forksAbove ? new Uint8Array(32).fill(height) : hash256(chain.header(height));
  }

  tip() {
    return {
      tipHeightBlocks: this.headers,
      tipHash: this.hash(this.headers) ?? new Uint8Array(32),
      provenHeightBlocks: this.proven,
      birthdayHeightBlocks: 1,
      isLocked: false,
    };
  }
}

const feed = (signer: FakeSigner) =>
  feedChain(new SignerClient(new TestDoor((request) => signer.answer(request))), source);
const upTo = (first: number): number[] =>
  Array.from({ length: chain.heightBlocks - first + 1 }, (_, i) => first + i);

describe('the chain', () => {
  it('goes to a signer that has some of it', async () => {
    const signer = new FakeSigner();
    signer.headers = 40;
    signer.proven = 40;
    expect(await feed(signer)).toEqual({ kind: 'done', heightBlocks: chain.heightBlocks });
    expect(signer.headersSent).toBe(chain.heightBlocks - 40);
    expect(signer.blocks).toEqual(upTo(41));
  });

  it('begins where a new signer wants it', async () => {
    const signer = new FakeSigner();
    signer.hasBegun = false;
    expect(await feed(signer)).toMatchObject({ kind: 'done' });
    expect(signer.headersSent).toBe(3 + chain.heightBlocks - 3);
    expect(signer.blocks).toEqual(upTo(1));
  });

  it('is sent from the fork on', async () => {
    const signer = new FakeSigner();
    signer.headers = chain.heightBlocks;
    signer.proven = chain.heightBlocks - 2;
    signer.forksAbove = chain.heightBlocks - 3;
    expect(await feed(signer)).toMatchObject({ kind: 'done' });
    expect(signer.headersSent).toBe(3);
  });

  it('is not sent to one that has all of it', async () => {
    const signer = new FakeSigner();
    signer.headers = chain.heightBlocks;
    signer.proven = chain.heightBlocks;
    expect(await feed(signer)).toMatchObject({ kind: 'done' });
    expect([signer.headersSent, signer.blocks]).toEqual([0, []]);
  });

  it('stops at a refusal', async () => {
    const door = new TestDoor(() => refusedWith('policy-chain-validated: no'));
    const outcome = await feedChain(new SignerClient(door), source);
    expect(outcome).toMatchObject({ kind: 'refused', refusal: { tag: 'policy-chain-validated' } });
  });
});
