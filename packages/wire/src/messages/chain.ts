/**
 * VLS's messages that bring the chain to a signer without a node of its own: tip, watches, blocks with their proofs.
 * Proofs stay bytes here. They belong to VLS's own link; on ours the signer refuses them, and takes the chain by the
 * messages of `extension.ts`.
 */
import { array, bytes, largeOctets, named, octets, option, rest, u32 } from '../codec.ts';
import { blockHash, outpointLe, txid } from '../hsm-types.ts';
import { reply, request } from './define.ts';

const watches = { txids: array(txid), outpoints: array(outpointLe) };

export const chainMessages = {
  vls_tip_info: request(2002, ['vls_tip_info_reply'], 'Where the signer’s view of the chain ends.', {}),
  vls_tip_info_reply: reply(2102, 'Height and hash of that block.', { height: u32, blockHash }),
  vls_forward_watches: request(
    2003,
    ['vls_forward_watches_reply'],
    'What to look for in the next block.',
    {},
  ),
  vls_forward_watches_reply: reply(
    2103,
    'Transactions to see confirmed and outpoints to see spent.',
    watches,
  ),
  vls_reverse_watches: request(
    2004,
    ['vls_reverse_watches_reply'],
    'What to look for when a block goes away.',
    {},
  ),
  vls_reverse_watches_reply: reply(2104, 'Transactions and outpoints of the tip block.', watches),
  vls_add_block: request(
    2005,
    ['vls_add_block_reply', 'vls_signer_error'],
    'The next block, with its proof.',
    {
      header: octets,
      unspentProof: option(rest),
    },
  ),
  vls_add_block_reply: reply(2105, 'Done. An orphan is answered by 3000 with code 401.', {}),
  vls_remove_block: request(2006, ['vls_remove_block_reply'], 'The tip is no longer in the chain.', {
    unspentProof: option(largeOctets()),
    prevBlockHeader: named('block_header', bytes(80)),
    prevFilterHeader: named('filter_header', bytes(32)),
  }),
  vls_remove_block_reply: reply(2106, 'Done.', {}),
  vls_get_heartbeat: request(2008, ['vls_get_heartbeat_reply'], 'A signed sign of life.', {}),
  vls_get_heartbeat_reply: reply(2108, 'The signed heartbeat.', { heartbeat: octets }),
  vls_block_chunk: request(
    2009,
    ['vls_block_chunk_reply'],
    'A piece of a whole block, where the compact proof is not enough.',
    { hash: blockHash, offset: u32, content: octets },
  ),
  vls_block_chunk_reply: reply(2109, 'Done.', {}),
} as const;
