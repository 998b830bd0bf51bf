/**
 * The chain for a signer that takes it from its node (`source = "node"` in `[chain]`): headers and blocks, as far as it lacks
 * them. The signer judges every byte; a reorganisation is found by comparing hashes. Nothing is remembered here.
 */
import { equalBytes, hash256 } from '@countersign/bitcoin';
import { BLOCK_CHUNK_BYTES_MAX, HEADERS_MAX, type MessageOf } from '@countersign/wire';
import type { LdkRefusal, SignerClient } from '../client.ts';

/** Where the application has its blocks. Heights are of its best chain. */
export interface BlockSource {
  readonly heightBlocks: number;
  /** 80 bytes. */
  header(heightBlocks: number): Uint8Array | Promise<Uint8Array>;
  /** Whole, with witnesses. */
  block(heightBlocks: number): Uint8Array | Promise<Uint8Array>;
}

/** How far the signer’s chain is after a feed. */
export type FeedOutcome =
  | { readonly kind: 'done'; readonly heightBlocks: number }
  /** It will not have them; the refusal went to the listeners too. */
  | { readonly kind: 'refused'; readonly refusal: LdkRefusal };

type Tip = NonNullable<MessageOf<'countersign_chain_tip_reply'>['tip']>;

class Stopped extends Error {
  readonly refusal: LdkRefusal;

  constructor(refusal: LdkRefusal) {
    super(refusal.text);
    this.name = 'Stopped';
    this.refusal = refusal;
  }
}

export async function feedChain(client: SignerClient, source: BlockSource): Promise<FeedOutcome> {
  try {
    const tip = await headersTo(client, source, await begun(client, source));
    for (let height = tip.provenHeightBlocks + 1; height <= tip.tipHeightBlocks; height++)
      await feedBlock(client, height, await source.block(height));
    return { kind: 'done', heightBlocks: tip.tipHeightBlocks };
  } catch (error) {
    if (error instanceof Stopped) return { kind: 'refused', refusal: error.refusal };
    throw error;
  }
}

async function tipOf(client: SignerClient): Promise<MessageOf<'countersign_chain_tip_reply'>> {
  const asked = await client.feed<'countersign_chain_tip'>({ name: 'countersign_chain_tip' });
  if (!asked.ok) throw new Stopped(asked.refusal);
  return asked.reply;
}

/** A chain begins with exactly the headers the signer names. */
async function begun(client: SignerClient, source: BlockSource): Promise<Tip> {
  const { tip, begins } = await tipOf(client);
  if (tip !== undefined) return tip;
  if (begins !== undefined) {
    await sendHeaders(client, source, begins.firstHeightBlocks, begins.lastHeightBlocks);
    const after = await tipOf(client);
    if (after.tip !== undefined) return after.tip;
  }
  throw new Stopped(
    client.refuse(
      'feed',
      null,
      'countersign_chain_tip',
      'unsupported: the signer takes no chain from its node',
    ),
  );
}

async function headersTo(client: SignerClient, source: BlockSource, tip: Tip): Promise<Tip> {
  const best = hash256(await source.header(source.heightBlocks));
  if (equalBytes(best, tip.tipHash)) return tip;
  const fork = await forkOf(client, source, tip);
  await sendHeaders(client, source, fork + 1, source.heightBlocks);
  const after = await tipOf(client);
  return after.tip ?? tip;
}

/** The height of the last block that both have. */
async function forkOf(client: SignerClient, source: BlockSource, tip: Tip): Promise<number> {
  for (let height = Math.min(source.heightBlocks, tip.tipHeightBlocks); height >= 0; height--) {
    const asked = await client.feed<'countersign_header_hash'>({
      name: 'countersign_header_hash',
      heightBlocks: height,
    });
    if (!asked.ok) throw new Stopped(asked.refusal);
    if (asked.reply.hash === undefined) break;
    if (equalBytes(asked.reply.hash, hash256(await source.header(height)))) return height;
  }
  throw new Stopped(
    client.refuse('feed', null, 'countersign_header_hash', 'unsupported: the signer follows another chain'),
  );
}

async function sendHeaders(
  client: SignerClient,
  source: BlockSource,
  first: number,
  last: number,
): Promise<void> {
  for (let from = first; from <= last; from += HEADERS_MAX) {
    const count = Math.min(HEADERS_MAX, last - from + 1);
    const headers = await Promise.all(Array.from({ length: count }, (_, i) => source.header(from + i)));
    const asked = await client.feed<'countersign_headers'>({ name: 'countersign_headers', headers });
    if (!asked.ok) throw new Stopped(asked.refusal);
  }
}

async function feedBlock(client: SignerClient, heightBlocks: number, raw: Uint8Array): Promise<void> {
  for (let offset = 0; offset < raw.length; offset += BLOCK_CHUNK_BYTES_MAX) {
    const asked = await client.feed<'countersign_block_chunk'>({
      name: 'countersign_block_chunk',
      heightBlocks,
      offset,
      totalBytes: raw.length,
      content: raw.subarray(offset, offset + BLOCK_CHUNK_BYTES_MAX),
    });
    if (!asked.ok) throw new Stopped(asked.refusal);
  }
}
