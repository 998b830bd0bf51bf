/** Attacks on the channel's money. */
import { type Sat, sat } from '@countersign/bitcoin';
import type { MessageOf } from '@countersign/wire';
import { type Attack, type AttackPlace, THIEF_SCRIPT } from './attack.ts';

type SignRemote = MessageOf<'vls_sign_remote_commitment_tx2'>;

/** A state without any output of ours would be refused for its form alone. */
const LEFT_SAT = 5000n;

const channelOf = ({ channelSat }: { readonly channelSat: bigint }): bigint => channelSat;

/** What the peer's commitment after the newest would be asked for with. */
function nextRemote({ door }: AttackPlace): SignRemote | null {
  const { remote, setup } = door.overheard;
  if (remote === null || setup === null) return null;
  // Any point will do: the peer is in it, and would know the secret.
  const remotePerCommit = setup.remoteBasepoints.payment;
  return { ...remote, commitNum: remote.commitNum + 1n, remotePerCommit };
}

export const OLD_STATE: Attack = {
  title: 'Publish an old state of the channel',
  story:
    'An old state may look better for the thief, but it was revoked: whoever publishes it, the peer may take everything. The thief and the peer work together.',
  stakeSat: channelOf,
  attempt: async ({ door }) => {
    const { client, revokedNumber } = door.overheard;
    if (client === null || revokedNumber < 0) return null;
    return door.askAs(client, { name: 'vls_sign_local_commitment_tx2', commitNum: BigInt(revokedNumber) });
  },
};

export const EARLY_SECRET: Attack = {
  title: 'Give away the secret of the current state',
  story:
    'The secret that revokes our newest state belongs to nobody until a newer one is signed. In the peer’s hands it opens the whole channel.',
  stakeSat: channelOf,
  attempt: async ({ door }) => {
    const { client, own } = door.overheard;
    if (client === null || own === null) return null;
    return door.askAs(client, { name: 'hsmd_revoke_commitment_tx', commitNum: own.commitNum });
  },
};

export const GIVE_ALL: Attack = {
  title: 'Sign the channel over to the peer',
  story: 'A new state in which nearly all of our money is the peer’s, for no payment at all.',
  stakeSat: channelOf,
  attempt: async (place) => {
    const { client } = place.door.overheard;
    const next = nextRemote(place);
    if (client === null || next === null) return null;
    const toRemoteValue: Sat = sat(next.toRemoteValue + next.toLocalValue - LEFT_SAT);
    return place.door.askAs(client, { ...next, toLocalValue: sat(LEFT_SAT), toRemoteValue });
  },
};

export const UNAPPROVED: Attack = {
  title: 'Pay somebody nobody approved',
  story:
    'Half of our balance goes out as a payment to the thief. The node says that it is in order; the signer asks its own book of approvals.',
  stakeSat: ({ channelSat }) => channelSat / 2n,
  attempt: async (place) => {
    const { client } = place.door.overheard;
    const next = nextRemote(place);
    if (client === null || next === null) return null;
    const amountSat = next.toLocalValue / 2n;
    const htlc = {
      side: 'local',
      amount: (amountSat * 1000n) as SignRemote['htlcs'][number]['amount'],
      paymentHash: place.randomBytes(32),
      cltvExpiry: place.tip().heightBlocks + 100,
    } as const;
    const feeSat = (BigInt(next.feerate) * 172n) / 1000n;
    return place.door.askAs(client, {
      ...next,
      toLocalValue: sat(next.toLocalValue - amountSat - feeSat),
      htlcs: [...next.htlcs, htlc],
    });
  },
};

export const CLOSE_TO_THIEF: Attack = {
  title: 'Close the channel, to the thief’s address',
  story:
    'A friendly close with the peer, as any node does, except that our share goes to an address of the thief’s.',
  stakeSat: channelOf,
  attempt: async ({ door }) => {
    const { client, remote, setup } = door.overheard;
    if (client === null || remote === null || setup === null) return null;
    const toRemoteValue = remote.toRemoteValue;
    const feeSat = 500n;
    return door.askAs(client, {
      name: 'vls_sign_mutual_close_tx2',
      toLocalValue: sat(setup.channelValue - toRemoteValue - feeSat),
      toRemoteValue,
      localScript: THIEF_SCRIPT,
      remoteScript: Uint8Array.of(0x00, 0x14, ...new Uint8Array(20).fill(0x42)),
      localWalletPathHint: [],
    });
  },
};

export const ROLLBACK: Attack = {
  title: 'Put the node back to yesterday',
  story:
    'The thief restores an old backup of the node and goes on from there: payments that were made since would be made undone.',
  stakeSat: channelOf,
  attempt: async ({ door }) => {
    const { client, firstRemote, remote } = door.overheard;
    if (client === null || firstRemote === null || remote === null) return null;
    if (remote.commitNum < firstRemote.commitNum + 3n) return null;
    return door.askAs(client, {
      ...firstRemote,
      toLocalValue: sat(firstRemote.toLocalValue - 1000n),
      toRemoteValue: sat(firstRemote.toRemoteValue + 1000n),
    });
  },
};
