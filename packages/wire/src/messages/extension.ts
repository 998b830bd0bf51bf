/**
 * This project's own messages, numbers 4000 to 4099 (`EXTENSION_NUMBERS`): what a node cannot say in the hsmd protocol.
 * A reply's number is its request's plus 50.
 */
import { array, u16 } from '../codec.ts';
import { preimage } from '../hsm-types.ts';
import { reply, request } from './define.ts';

/** Values in one message; a node side that has more sends several. */
export const PREIMAGES_MAX = 1024;

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
    'How many preimages became known by the request; they are durable now.',
    { learned: u16 },
  ),
} as const;
