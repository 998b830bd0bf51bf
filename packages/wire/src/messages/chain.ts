/**
 * VLS's messages that bring the chain to a signer without a node of its own: tip, watches, blocks with their proofs.
 * Proofs stay bytes here: the signer reads blocks whole, and nothing else about them. Its own messages are in `extension.ts`.
 */
import { array, bytes, largeOctets, named, octets, option, rest, u32 } from '../codec.ts';
import { blockHash, outpointLe, txid } from '../hsm-types.ts';
import { reply, request } from './define.ts';

const watches = { txids: array(txid), outpoints: array(outpointLe) };

export const chainMessages = {
  vls_tip_info: request(
    2002,
    ['vls_tip_info_reply'],
    'Where the next block belongs: the last proven block, or the end of the branch that this connection brings.',
    {},
  ),
  vls_tip_info_reply: reply(2102, 'Height and hash of that block.', { height: u32, blockHash }),
  vls_forward_watches: request(
    2003,
    ['vls_forward_watches_reply'],
    'What to look for in the next block. Nothing: blocks come whole here.',
    {},
  ),
  vls_forward_watches_reply: reply(
    2103,
    'Transactions to see confirmed and outpoints to see spent; both empty.',
    watches,
  ),
  vls_reverse_watches: request(
    2004,
    ['vls_reverse_watches_reply'],
    'What to look for when a block goes away. Nothing: the signer knows what its blocks brought.',
    {},
  ),
  vls_reverse_watches_reply: reply(2104, 'Transactions and outpoints of the tip block; both empty.', watches),
  vls_add_block: request(
    2005,
    ['vls_add_block_reply', 'vls_signer_error'],
    'The next block; `vls_block_chunk` has brought all of it before, unless it is older than the birthday. The proof is not read.',
    {
      header: octets,
      unspentProof: option(rest),
    },
  ),
  vls_add_block_reply: reply(
    2105,
    'Done: the block is proven, or kept with the branch it belongs to. An orphan is answered by 3000 with code 401.',
    {},
  ),
  vls_remove_block: request(
    2006,
    ['vls_remove_block_reply'],
    'A branch follows from the block before the last. The signer’s view stays until the branch has more work.',
    {
      unspentProof: option(largeOctets()),
      prevBlockHeader: named('block_header', bytes(80)),
      prevFilterHeader: named('filter_header', bytes(32)),
    },
  ),
  vls_remove_block_reply: reply(2106, 'Noted, for this connection.', {}),
  vls_get_heartbeat: request(
    2008,
    ['vls_get_heartbeat_reply'],
    'A signed sign of life. Refused: a heartbeat is a file of the signer’s, or comes by its command.',
    {},
  ),
  vls_get_heartbeat_reply: reply(2108, 'The signed heartbeat.', { heartbeat: octets }),
  vls_block_chunk: request(
    2009,
    ['vls_block_chunk_reply'],
    'A piece of the block that the next `vls_add_block` is about. Pieces come in order on one connection; `offset` 0 begins anew.',
    { hash: blockHash, offset: u32, content: octets },
  ),
  vls_block_chunk_reply: reply(2109, 'Taken.', {}),
} as const;
