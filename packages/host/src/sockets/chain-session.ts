/**
 * What the node side may tell of the chain on one connection of `node.sock`: headers, and blocks in pieces. The buffer holds
 * one block at most; everything in it is judged by the signer, and nothing it refuses leaves a trace.
 */
import { concat } from '@countersign/bitcoin';
import { malformedRefusal, type Refusal } from '@countersign/core';
import type { MessageOf, Reply } from '@countersign/wire';

/** What the signer knows of the chain. Hashes in internal byte order. */
export interface ChainDeskTip {
  readonly tipHeightBlocks: number;
  readonly tipHash: Uint8Array;
  readonly provenHeightBlocks: number;
  readonly birthdayHeightBlocks: number;
  readonly locked: boolean;
}

export type ChainDeskAnswer = { readonly ok: true } | { readonly ok: false; readonly refusal: Refusal };

/** The part of the signer that takes the chain. Its promises reject only for a bug; a failed store is a refusal. */
export interface ChainDesk {
  /** Null before the chain has begun. */
  tip(): ChainDeskTip | null;
  /** Null where no header is on record. */
  headerHash(heightBlocks: number): Uint8Array | null;
  /** The headers that have to come first; null when the chain has begun, or needs none. */
  begins(): { readonly firstHeightBlocks: number; readonly lastHeightBlocks: number } | null;
  /** 80 bytes each. Before the chain has begun: those of `begins`. */
  acceptHeaders(headers: Uint8Array): Promise<ChainDeskAnswer>;
  /** The block after the last proven one. */
  acceptBlock(raw: Uint8Array): Promise<ChainDeskAnswer>;
}

const CHAIN_REQUESTS = [
  'countersign_chain_tip',
  'countersign_headers',
  'countersign_block_chunk',
  'countersign_header_hash',
] as const;
export type ChainRequest = MessageOf<(typeof CHAIN_REQUESTS)[number]>;

export function isChainRequest(message: { readonly name: string }): message is ChainRequest {
  return CHAIN_REQUESTS.some((name) => name === message.name);
}

/** BIP 141: a block has at most 4,000,000 weight units, and each byte counts as one or more. */
export const NODE_BLOCK_BYTES_MAX = 4_000_000;

type Chunk = MessageOf<'countersign_block_chunk'>;

/** A block that is coming in. */
interface Incoming {
  readonly heightBlocks: number;
  readonly bytes: Uint8Array;
  filledBytes: number;
}

export type ChainSessionAnswer =
  | { readonly kind: 'reply'; readonly reply: Reply }
  | {
      readonly kind: 'refused';
      readonly refusal: Refusal;
      readonly isRecorded: boolean;
      /** Where another than the refusal's own is expected. */
      readonly wireCode?: number;
    };

export class ChainSession {
  readonly #desk: ChainDesk;
  #incoming: Incoming | null = null;

  constructor(desk: ChainDesk) {
    this.#desk = desk;
  }

  async answer(request: ChainRequest): Promise<ChainSessionAnswer> {
    switch (request.name) {
      case 'countersign_chain_tip':
        return replied({
          name: 'countersign_chain_tip_reply',
          tip: this.#tip(),
          begins: this.#desk.begins() ?? undefined,
        });
      case 'countersign_header_hash': {
        const hash = this.#desk.headerHash(request.heightBlocks) ?? undefined;
        return replied({ name: 'countersign_header_hash_reply', hash });
      }
      case 'countersign_headers': {
        const judged = await this.#desk.acceptHeaders(concat(...request.headers));
        return judged.ok
          ? replied({ name: 'countersign_headers_reply', tip: this.#tip() })
          : refusedBy(judged);
      }
      case 'countersign_block_chunk':
        return this.#chunk(request);
    }
  }

  #tip(): MessageOf<'countersign_chain_tip_reply'>['tip'] {
    const tip = this.#desk.tip();
    if (tip === null) return undefined;
    const { locked, ...places } = tip;
    return { ...places, isLocked: locked };
  }

  async #chunk(chunk: Chunk): Promise<ChainSessionAnswer> {
    const fault = chunk.offset === 0 ? this.#begin(chunk) : this.#fault(chunk);
    const incoming = this.#incoming;
    if (fault !== null || incoming === null) {
      this.#incoming = null;
      return {
        kind: 'refused',
        refusal: outOfOrder(fault ?? 'no block has begun', chunk),
        isRecorded: false,
      };
    }
    incoming.bytes.set(chunk.content, chunk.offset);
    incoming.filledBytes += chunk.content.length;
    const isComplete = incoming.filledBytes === incoming.bytes.length;
    if (isComplete) {
      this.#incoming = null;
      const judged = await this.#desk.acceptBlock(incoming.bytes);
      if (!judged.ok) return refusedBy(judged);
    }
    return replied({ name: 'countersign_block_chunk_reply', isComplete });
  }

  /** What is wrong with a first piece; null when its block has begun. */
  #begin({ heightBlocks, totalBytes, content }: Chunk): string | null {
    const tip = this.#desk.tip();
    if (tip === null) return 'the chain has not begun';
    if (heightBlocks !== tip.provenHeightBlocks + 1) return `the next block is ${tip.provenHeightBlocks + 1}`;
    if (totalBytes > NODE_BLOCK_BYTES_MAX) return `a block has at most ${NODE_BLOCK_BYTES_MAX} bytes`;
    if (content.length === 0 || content.length > totalBytes)
      return 'a piece of another length than it can have';
    this.#incoming = { heightBlocks, bytes: new Uint8Array(totalBytes), filledBytes: 0 };
    return null;
  }

  #fault({ heightBlocks, totalBytes, offset, content }: Chunk): string | null {
    const incoming = this.#incoming;
    if (incoming === null) return 'no block has begun';
    const { bytes, filledBytes } = incoming;
    if (heightBlocks !== incoming.heightBlocks || totalBytes !== bytes.length)
      return 'a piece of another block';
    if (offset !== filledBytes) return `the next piece is at ${filledBytes}`;
    const isPossible = content.length > 0 && offset + content.length <= totalBytes;
    return isPossible ? null : 'a piece of another length than it can have';
  }
}

const replied = (reply: Reply): ChainSessionAnswer => ({ kind: 'reply', reply });

/** The signer has its own refusals on the audit log already. */
const refusedBy = ({ refusal }: Extract<ChainDeskAnswer, { ok: false }>): ChainSessionAnswer => ({
  kind: 'refused',
  refusal,
  isRecorded: true,
});

function outOfOrder(message: string, { name, heightBlocks, totalBytes, offset, content }: Chunk): Refusal {
  return malformedRefusal(name, null, message, {
    height_blocks: heightBlocks,
    total_bytes: totalBytes,
    offset_bytes: offset,
    piece_bytes: content.length,
  });
}
