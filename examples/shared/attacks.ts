/**
 * What a wallet that was taken over might ask of its signer: each attack would take the owner's money, and each is refused. They
 * are made of what the wallet knows at that moment, as an attacker would make them.
 */
import { p2wpkhOfKey, type Secp256k1, sat, sha256 } from '@countersign/bitcoin';
import type { Request } from '@countersign/wire';
import type { Channel } from './channel.ts';

export interface Attack {
  readonly id: string;
  readonly title: string;
  /** What it is and what it would cost, for people who never saw Lightning. */
  readonly story: string;
  /** Makes no sense before a first payment: there is no older state yet. */
  readonly needsPayment: boolean;
  readonly request: (channel: Channel, secp: Secp256k1) => Request;
}

const secretOf = (label: string): Uint8Array => sha256(new TextEncoder().encode(label));
const STOLEN_MSAT = 200_000_000n;

export const ATTACKS: readonly Attack[] = [
  {
    id: 'move-balance',
    title: 'Give Bob 200,000 sat for nothing',
    story:
      'A new state of the channel in which part of your balance is Bob’s, although nobody paid him. With your signature on it he could take it to the Bitcoin network.',
    needsPayment: false,
    request(channel) {
      const { oursMsat, bobsMsat } = channel.split;
      const split = { oursMsat: oursMsat - STOLEN_MSAT, bobsMsat: bobsMsat + STOLEN_MSAT, htlcs: [] };
      return channel.bobsRequest(channel.notes.number + 1, split);
    },
  },
  {
    id: 'unapproved-payment',
    title: 'Pay a stranger without asking you',
    story: 'A payment of 200,000 sat to an account of the attacker. You were never asked for it.',
    needsPayment: false,
    request(channel) {
      const { oursMsat, bobsMsat } = channel.split;
      const htlc = { amountMsat: STOLEN_MSAT, paymentHash: sha256(secretOf('the attacker’s invoice')) };
      const split = { oursMsat: oursMsat - STOLEN_MSAT, bobsMsat, htlcs: [htlc] };
      return channel.bobsRequest(channel.notes.number + 1, split);
    },
  },
  {
    id: 'old-state',
    title: 'Publish an old state',
    story:
      'Before your last payment more of the channel was yours. Whoever publishes that old state is punished by Lightning: Bob gets everything. An attacker who is on Bob’s side wants your signature on it.',
    needsPayment: true,
    request: (channel) => ({
      name: 'vls_sign_local_commitment_tx2',
      commitNum: BigInt(channel.notes.number - 1),
    }),
  },
  {
    id: 'reveal-secret',
    title: 'Reveal the secret of today’s state',
    story:
      'Each state has a secret that is handed over once there is a newer one. Handed over too early, it lets Bob take all you have as soon as you close the channel.',
    needsPayment: false,
    request: (channel) => ({ name: 'hsmd_revoke_commitment_tx', commitNum: BigInt(channel.notes.number) }),
  },
  {
    id: 'steal-close',
    title: 'Close the channel to the thief’s address',
    story:
      'The channel is closed in good order, with Bob’s consent, and your whole balance goes to an address of the attacker.',
    needsPayment: false,
    request(channel, secp) {
      const { oursMsat, bobsMsat } = channel.split;
      const script = (label: string): Uint8Array => p2wpkhOfKey(secp.publicKey(secretOf(label)));
      return {
        name: 'vls_sign_mutual_close_tx2',
        toLocalValue: sat(oursMsat / 1000n - 1000n),
        toRemoteValue: sat(bobsMsat / 1000n),
        localScript: script('the thief’s wallet'),
        remoteScript: script('Bob’s wallet'),
        localWalletPathHint: [],
      };
    },
  },
];
