/**
 * This project's own messages, numbers 4000 to 4099 (`EXTENSION_NUMBERS`): what a node cannot say in the hsmd protocol.
 * A reply's number is its request's plus 50.
 */
import { array, bool, bytes, largeOctets, named, option, struct, u16, u32 } from '../codec.ts';
import { blockHash, preimage } from '../hsm-types.ts';
import { reply, request } from './define.ts';

/** Values in one message; a node side that has more sends several. */
export const PREIMAGES_MAX = 1024;
/** Headers in one message: those of a whole period between two retargets, which a chain may have to begin with. */
export const HEADERS_MAX = 2016;
/** Bytes of a block in one message. */
export const BLOCK_CHUNK_BYTES_MAX = 128 * 1024;

const HEADER_BYTES = 80;

const chainTip = option(
  named(
    'chain_tip',
    struct({
      tipHeightBlocks: u32,
      tipHash: blockHash,
      provenHeightBlocks: u32,
      birthdayHeightBlocks: u32,
      isLocked: bool,
    }),
  ),
);

/** Both included. */
const headerRange = named('header_range', struct({ firstHeightBlocks: u32, lastHeightBlocks: u32 }));

export const extensionMessages = {
  countersign_preimages: request(
    4000,
    ['countersign_preimages_reply'],
    'Values that may be preimages of payments: the node side sends every 32-byte value it writes, or none to say that it will. ' +
      'Which of them belong to a payment is for the signer to find out.',
    { preimages: array(preimage, PREIMAGES_MAX) },
  ),
  countersign_preimages_reply: reply(
    4050,
    'How many preimages became known by the request; they are durable now. The node side of a signer elsewhere, which has them on disk and ' +
      'in front of all that is asked later, counts every value.',
    { learned: u16 },
  ),
  countersign_chain_tip: request(
    4001,
    ['countersign_chain_tip_reply'],
    'What the signer knows of the chain. Answered, as the other messages about the chain, where `source = "node"` in `[chain]`.',
    {},
  ),
  countersign_chain_tip_reply: reply(
    4051,
    'The last header with the most work, the last block whose content is proven, the first whose content counts, and whether a ' +
      'reorg deeper than allowed was shown. Absent before the chain has begun: then `begins` says which headers have to come first.',
    { tip: chainTip, begins: option(headerRange) },
  ),
  countersign_headers: request(
    4002,
    ['countersign_headers_reply'],
    'Headers in order, the first a child of one that the signer has. With more work than the signer’s chain they replace its end; ' +
      'with less they change nothing. Before the chain has begun, exactly the headers it begins with.',
    { headers: array(named('block_header', bytes(HEADER_BYTES)), HEADERS_MAX) },
  ),
  countersign_headers_reply: reply(4052, 'Taken, and durable; what the signer knows now.', { tip: chainTip }),
  countersign_block_chunk: request(
    4003,
    ['countersign_block_chunk_reply'],
    'A piece of the block after the last proven one, with all witnesses, at most 131,072 bytes. Pieces come in order on one ' +
      'connection; `offset` 0 begins anew. With the last piece the block is judged.',
    {
      heightBlocks: u32,
      offset: u32,
      totalBytes: u32,
      content: largeOctets(BLOCK_CHUNK_BYTES_MAX),
    },
  ),
  countersign_block_chunk_reply: reply(4053, 'Taken. Complete: the block is proven, and durable.', {
    isComplete: bool,
  }),
  countersign_header_hash: request(
    4004,
    ['countersign_header_hash_reply'],
    'Which block the signer has at a height: to find where another chain forks off.',
    { heightBlocks: u32 },
  ),
  countersign_header_hash_reply: reply(4054, 'Its hash; absent where the signer has no header on record.', {
    hash: option(blockHash),
  }),
} as const;
