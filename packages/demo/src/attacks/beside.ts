/** Attacks on what is beside the channel: the wallet, the signer's view of the chain, the use of a key. */
import type { Attack } from './attack.ts';

export const WITHDRAW: Attack = {
  title: 'Empty the wallet',
  story: 'All coins of the on-chain wallet, in one transaction, to an address of the thief’s.',
  stakeSat: ({ walletSat }) => walletSat,
  attempt: async ({ door, withdrawal }) => {
    const wanted = withdrawal();
    if (wanted === null) return null;
    const node = { peerId: null, dbid: 0n, permissions: ALL };
    return door.askAs(node, { name: 'hsmd_sign_withdrawal', ...wanted });
  },
};

/** Every permission bit of the hsmd protocol. */
const ALL = 0x7ffn;
/** Where a header names the block before it: after the version. */
const PREVIOUS_HASH_AT = 4;

export const FALSE_CHAIN: Attack = {
  title: 'Show the signer a false blockchain',
  story:
    'A block from nowhere, with no chain of work behind it. A signer that believed it would think payments settled that never were, or miss a theft that is under way.',
  stakeSat: ({ channelSat }) => channelSat,
  attempt: async ({ door, tip, randomBytes }) => {
    const header = Uint8Array.from(tip().header);
    header.set(randomBytes(32), PREVIOUS_HASH_AT);
    return door.feedAs({ name: 'countersign_headers', headers: [header] });
  },
};

export const HIDDEN_SPEND: Attack = {
  title: 'Hide a spend of the channel in an announcement',
  story:
    'The key of the channel also signs its public announcement. The thief sends bytes that are called an announcement and are none.',
  stakeSat: ({ channelSat }) => channelSat,
  attempt: async ({ door, randomBytes }) => {
    const { client } = door.overheard;
    if (client === null) return null;
    // Type, four signatures to come, then what the key would really sign.
    const announcement = Uint8Array.of(0x01, 0x00, ...new Uint8Array(256), ...randomBytes(200));
    return door.askAs(client, { name: 'hsmd_cannouncement_sig_req', ca: announcement });
  },
};
