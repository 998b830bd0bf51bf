/**
 * VLS's own messages about the chain (2002 to 2006, 2009) on one connection of `node.sock`, for a node side that speaks them. VLS
 * lets its frontend take blocks away; here nobody does without more work. A branch is collected until it has that, then the
 * signer gets it in one go. Whatever is refused ends everything this connection has begun, and the signer's view stays.
 */
import {
  blockHash,
  concat,
  equalBytes,
  type Facts,
  FormError,
  HEADER_AT,
  HEADER_BYTES,
  txidToHex,
} from '@countersign/bitcoin';
import { malformedRefusal, RUN_HEADERS_MAX } from '@countersign/core';
import type { MessageOf, Reply } from '@countersign/wire';
import type { ChainDesk, ChainDeskTip, ChainSessionAnswer } from './chain-session.ts';
import { type BlockRoom, CollectedBlock } from './vls-block.ts';

const VLS_REQUESTS = [
  'vls_tip_info',
  'vls_forward_watches',
  'vls_reverse_watches',
  'vls_add_block',
  'vls_remove_block',
  'vls_block_chunk',
] as const;
export type VlsChainRequest = MessageOf<(typeof VLS_REQUESTS)[number]>;

export function isVlsChainRequest(message: { readonly name: string }): message is VlsChainRequest {
  return VLS_REQUESTS.some((name) => name === message.name);
}

/** VLS's `SignerError` for a block whose parent is not the tip: its frontend asks for the tip again and goes on. */
export const ORPHAN_CODE = 401;
/** With the one that comes in, these have the whole room. Of a longer branch only the headers are kept. */
export const BRANCH_CONTENTS_MAX = 5;

interface Place {
  readonly heightBlocks: number;
  readonly hash: Uint8Array;
}

interface BranchBlock {
  readonly header: Uint8Array;
  readonly hash: Uint8Array;
  /** Null: not kept, or not needed. */
  readonly content: CollectedBlock | null;
}

/** Blocks that are not the signer's, on one that is. Without any: where the next one is announced to belong. */
interface Branch {
  readonly base: Place;
  readonly blocks: readonly BranchBlock[];
}

const endOf = ({ base, blocks }: Branch): Place => ({
  heightBlocks: base.heightBlocks + blocks.length,
  hash: blocks.at(-1)?.hash ?? base.hash,
});

export class VlsChainSession {
  readonly #desk: ChainDesk;
  readonly #room: BlockRoom;
  #incoming: CollectedBlock | null = null;
  #branch: Branch | null = null;

  constructor(desk: ChainDesk, room: BlockRoom) {
    this.#desk = desk;
    this.#room = room;
  }

  async answer(request: VlsChainRequest): Promise<ChainSessionAnswer> {
    const answered = await this.#answer(request);
    if (answered.kind === 'refused') this.forget();
    return answered;
  }

  /** Also when the connection ends. */
  forget(): void {
    this.#dropIncoming();
    this.#dropBranch();
  }

  async #answer(request: VlsChainRequest): Promise<ChainSessionAnswer> {
    if (request.name === 'vls_forward_watches' || request.name === 'vls_reverse_watches')
      return replied({ name: `${request.name}_reply`, txids: [], outpoints: [] });
    const tip = this.#desk.tip();
    const branch = tip === null ? null : this.#current(tip);
    if (tip === null || branch === null) return this.#notBegun(request);
    switch (request.name) {
      case 'vls_tip_info': {
        const { heightBlocks, hash } = endOf(branch);
        return replied({ name: 'vls_tip_info_reply', height: heightBlocks, blockHash: hash });
      }
      case 'vls_block_chunk':
        return this.#chunk(request);
      case 'vls_remove_block':
        return this.#remove(request, tip, branch);
      case 'vls_add_block':
        return this.#add(request, tip, branch);
    }
  }

  /** A frontend of VLS cannot send what is missing. */
  #notBegun({ name }: VlsChainRequest): ChainSessionAnswer {
    const begins = this.#desk.begins();
    return refused(
      name,
      'the chain has not begun: bring the headers it begins with by countersign_headers, or let the signer follow bitcoind or ' +
        'an Esplora server once (source in [chain])',
      begins === null
        ? {}
        : { first_height_blocks: begins.firstHeightBlocks, last_height_blocks: begins.lastHeightBlocks },
    );
  }

  /**
   * What this connection collects, as long as it still hangs on the signer's chain and is not part of it; otherwise nothing on
   * the last proven block. Null where that one is not on record.
   */
  #current(tip: ChainDeskTip): Branch | null {
    const branch = this.#branch;
    if (branch !== null) {
      const isPartOfIt = branch.blocks.length > 0 && this.#isOnRecord(endOf(branch));
      if (!isPartOfIt && this.#isOnRecord(branch.base)) return branch;
      this.#dropBranch();
    }
    // Contents before the birthday count as proven before their headers are there.
    const heightBlocks = Math.min(tip.provenHeightBlocks, tip.tipHeightBlocks);
    const hash = this.#desk.headerHash(heightBlocks);
    return hash === null ? null : { base: { heightBlocks, hash }, blocks: [] };
  }

  #isOnRecord({ heightBlocks, hash }: Place): boolean {
    const recorded = this.#desk.headerHash(heightBlocks);
    return recorded !== null && equalBytes(recorded, hash);
  }

  #chunk({ name, hash, offset, content }: MessageOf<'vls_block_chunk'>): ChainSessionAnswer {
    const facts = { hash: txidToHex(hash), offset_bytes: offset, piece_bytes: content.length };
    if (content.length === 0) return refused(name, 'a piece without content', facts);
    if (offset === 0) {
      this.#dropIncoming();
      this.#incoming = new CollectedBlock(hash, this.#room);
    }
    const incoming = this.#incoming;
    if (incoming === null) return refused(name, 'no block has begun', facts);
    if (!equalBytes(incoming.hash, hash)) return refused(name, 'a piece of another block', facts);
    if (offset !== incoming.filledBytes)
      return refused(name, `the next piece is at ${incoming.filledBytes}`, facts);
    try {
      if (incoming.push(content)) return replied({ name: 'vls_block_chunk_reply' });
    } catch (error) {
      return refusedForm(name, error, facts);
    }
    return refused(name, 'other connections bring blocks already', facts, true);
  }

  /** The block on top goes, for this connection alone. Its content, which VLS sometimes sends first, is not needed. */
  #remove(
    { name, prevBlockHeader }: MessageOf<'vls_remove_block'>,
    tip: ChainDeskTip,
    { base, blocks }: Branch,
  ): ChainSessionAnswer {
    this.#dropIncoming();
    const end = endOf({ base, blocks });
    const rest = { base, blocks: blocks.slice(0, -1) };
    const parent = blocks.length > 0 ? endOf(rest) : this.#recorded(end.heightBlocks - 1);
    const facts = { height_blocks: end.heightBlocks, tip_height_blocks: tip.tipHeightBlocks };
    if (parent === null) return refused(name, 'the header before is not on record', facts);
    if (!equalBytes(parent.hash, blockHash(prevBlockHeader))) {
      const [previous, expected] = [txidToHex(blockHash(prevBlockHeader)), txidToHex(parent.hash)];
      return refused(name, 'another header than that of the block before', { ...facts, previous, expected });
    }
    // From there on a branch could not have more work.
    if (tip.tipHeightBlocks - parent.heightBlocks >= RUN_HEADERS_MAX)
      return refused(name, 'a branch so deep cannot be brought', { ...facts, headers_max: RUN_HEADERS_MAX });
    blocks.at(-1)?.content?.release();
    this.#branch = blocks.length > 0 ? rest : { base: parent, blocks };
    return replied({ name: 'vls_remove_block_reply' });
  }

  #recorded(heightBlocks: number): Place | null {
    const hash = this.#desk.headerHash(heightBlocks);
    return hash === null ? null : { heightBlocks, hash };
  }

  async #add(
    { name, header }: MessageOf<'vls_add_block'>,
    tip: ChainDeskTip,
    branch: Branch,
  ): Promise<ChainSessionAnswer> {
    if (header.length !== HEADER_BYTES)
      return refused(name, `a header has ${HEADER_BYTES} bytes`, { header_bytes: header.length });
    const end = endOf(branch);
    const place = { heightBlocks: end.heightBlocks + 1, hash: blockHash(header) };
    const facts = { height_blocks: place.heightBlocks, hash: txidToHex(place.hash) };
    const previous = header.subarray(HEADER_AT.previous, HEADER_AT.merkleRoot);
    if (!equalBytes(previous, end.hash)) {
      const ends = { end_height_blocks: end.heightBlocks, end_hash: txidToHex(end.hash) };
      const text = 'the block does not follow the last one';
      return { ...refused(name, text, { ...ends, previous: txidToHex(previous) }), wireCode: ORPHAN_CODE };
    }
    const isNeeded = place.heightBlocks >= tip.birthdayHeightBlocks;
    if (!isNeeded) this.#dropIncoming();
    else {
      const unusable = this.#unusable(name, place, facts);
      if (unusable !== null) return unusable;
    }
    return this.#take(branch, { header: header.slice(), hash: place.hash, content: this.#incoming });
  }

  /** Why what came in is not the content of this block; null when it is, whole and proven. */
  #unusable(name: string, { hash }: Place, facts: Facts): ChainSessionAnswer | null {
    const incoming = this.#incoming;
    if (incoming === null || !equalBytes(incoming.hash, hash)) {
      const text = 'the whole block has to come before, by vls_block_chunk; proofs of absence are not taken';
      return refused(name, text, facts);
    }
    try {
      const proven = incoming.finish();
      if (equalBytes(proven, hash)) return null;
      return refused(name, 'the content is another block’s', { ...facts, content: txidToHex(proven) });
    } catch (error) {
      return refusedForm(name, error, facts);
    }
  }

  /** The header is judged with its branch at once: what costs no work is not kept. */
  async #take(branch: Branch, block: BranchBlock): Promise<ChainSessionAnswer> {
    const grown = { base: branch.base, blocks: [...branch.blocks, block] };
    const judged = await this.#desk.acceptHeaders(concat(...grown.blocks.map(({ header }) => header)));
    if (!judged.ok) return { kind: 'refused', refusal: judged.refusal, isRecorded: true };
    if (!this.#isOnRecord(endOf(grown))) {
      this.#keep(grown);
      return replied({ name: 'vls_add_block_reply' });
    }
    const answered = await this.#bring(grown);
    this.forget();
    return answered;
  }

  /** It does not have more work than the signer's chain yet. */
  #keep({ base, blocks }: Branch): void {
    const last = blocks.at(-1)!;
    this.#incoming = null;
    const kept = blocks.filter(({ content }) => content !== null).length;
    if (kept <= BRANCH_CONTENTS_MAX) {
      this.#branch = { base, blocks };
      return;
    }
    last.content?.release();
    this.#branch = { base, blocks: [...blocks.slice(0, -1), { ...last, content: null }] };
  }

  /** The contents, as far as they are kept; for the others the tip, asked for again, says where to go on. */
  async #bring({ base, blocks }: Branch): Promise<ChainSessionAnswer> {
    for (const [i, { hash, content }] of blocks.entries()) {
      const heightBlocks = base.heightBlocks + 1 + i;
      const nextHeightBlocks = (this.#desk.tip()?.provenHeightBlocks ?? 0) + 1;
      if (heightBlocks < nextHeightBlocks) continue;
      // Another connection may have moved the signer's chain meanwhile.
      const isNext = heightBlocks === nextHeightBlocks && this.#isOnRecord({ heightBlocks, hash });
      if (content === null || !isNext) break;
      const judged = await this.#desk.acceptBlock(content.bytes);
      if (!judged.ok) return { kind: 'refused', refusal: judged.refusal, isRecorded: true };
    }
    return replied({ name: 'vls_add_block_reply' });
  }

  #dropIncoming(): void {
    this.#incoming?.release();
    this.#incoming = null;
  }

  #dropBranch(): void {
    for (const { content } of this.#branch?.blocks ?? []) content?.release();
    this.#branch = null;
  }
}

type Refused = Extract<ChainSessionAnswer, { kind: 'refused' }>;

const replied = (reply: Reply): ChainSessionAnswer => ({ kind: 'reply', reply });

const refused = (name: string, message: string, facts: Facts, temporary = false): Refused => ({
  kind: 'refused',
  refusal: { ...malformedRefusal(name, null, message, facts), temporary },
  isRecorded: false,
});

function refusedForm(name: string, error: unknown, facts: Facts): Refused {
  if (!(error instanceof FormError)) throw error;
  return refused(name, error.message, { ...facts, ...error.facts });
}
