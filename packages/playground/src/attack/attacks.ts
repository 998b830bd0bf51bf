/**
 * What a compromised node asks of its signer behind LDK's back. Each attack is one request that would cost the owner money if it
 * were answered; all it knows is what the node was asked and has stored.
 */
import {
  createPsbt,
  fromHex,
  type Msat,
  p2wpkhOfKey,
  type Sat,
  sha256,
  type Transaction,
} from '@countersign/bitcoin';
import { CHANNEL_DBID, channelName } from '@countersign/ldk';
import type { SyncDoor } from '@countersign/transport';
import { decodeMessage, encodeMessage, type HsmHtlc, type MessageOf, type Request } from '@countersign/wire';
import type { CountersignKeys } from '../node/countersign-keys.ts';

export type AttackName =
  | 'old-state'
  | 'early-secret'
  | 'second-variant'
  | 'unapproved-payment'
  | 'forward-more'
  | 'fail-upstream'
  | 'foreign-close'
  | 'foreign-sweep'
  | 'withdraw';

export interface Attack {
  readonly name: AttackName;
  /** For people who have never seen Lightning. */
  readonly title: string;
  /** Null when the node has nothing to do it with. */
  readonly request: (scene: Scene) => Ask | null;
}

export interface Ask {
  /** Null: the node itself asks. */
  readonly channel: string | null;
  readonly request: Request;
  /** What the attacker would have in the end. */
  readonly haulSat: bigint;
}

export interface Attempt {
  readonly attack: Attack;
  readonly ask: Ask;
  /** Null when the signer answered: the attack went through. */
  readonly refusal: { readonly tag: string; readonly text: string } | null;
}

/** What there is to attack with. */
export interface Scene {
  readonly keys: CountersignKeys;
  /** Channel to attack, by channel_keys_id in hex; for a hub the one to the next hop. */
  readonly channel: string;
  /** The other channel of a hub. */
  readonly upstream: string | null;
}

/** A key of the attacker's. */
const ATTACKER_KEY = fromHex('02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5');
export const ATTACKER_SCRIPT = p2wpkhOfKey(ATTACKER_KEY);
const ALL_PERMISSIONS = 0xffff_ffff_ffff_ffffn;
/** BOLT 3: what an HTLC output adds to a commitment. */
const HTLC_WEIGHT = 172n;
const THEFT_SAT = 100_000n;
const FEE_SAT = 2_000n;
const EXPIRY_BLOCKS = 100;

type CounterpartyCommitment = MessageOf<'vls_sign_remote_commitment_tx2'>;

const lastSigned = ({ keys, channel }: Scene): CounterpartyCommitment | null =>
  keys.recorder.last('vls_sign_remote_commitment_tx2', channel) ?? null;

/** The next commitment of the peer, whose point the attacker made up together with the peer. */
function next(
  last: CounterpartyCommitment,
  changes: Partial<CounterpartyCommitment>,
): CounterpartyCommitment {
  return { ...last, commitNum: last.commitNum + 1n, remotePerCommit: ATTACKER_KEY, ...changes };
}

const less = (value: bigint, by: bigint): Sat => (value - by) as Sat;
const htlcFeeSat = ({ feerate }: CounterpartyCommitment): bigint => (HTLC_WEIGHT * BigInt(feerate)) / 1000n;

/** Null when it would take more than there is. */
function withOffered(scene: Scene, htlc: HsmHtlc): CounterpartyCommitment | null {
  const last = lastSigned(scene);
  if (last === null) return null;
  const costSat = htlc.amount / 1000n + htlcFeeSat(last);
  if (last.toLocalValue < costSat) return null;
  return next(last, { toLocalValue: less(last.toLocalValue, costSat), htlcs: [...last.htlcs, htlc] });
}

function onChannel(scene: Scene, request: Request | null, haulSat: bigint): Ask | null {
  return request === null ? null : { channel: scene.channel, request, haulSat };
}

/** Output scripts replaced by the attacker's, in the transaction and its PSBT. */
function redirected(tx: Transaction): Transaction {
  return { ...tx, outputs: tx.outputs.map(({ value }) => ({ value, script: ATTACKER_SCRIPT })) };
}

export const ATTACKS: readonly Attack[] = [
  {
    name: 'old-state',
    title: 'publish an old state of the channel, for which the peer may take everything',
    request: (scene) => {
      const last = scene.keys.recorder.last('hsmd_revoke_commitment_tx', scene.channel);
      if (last === undefined) return null;
      const balanceSat = lastSigned(scene)?.toLocalValue ?? 0n;
      return onChannel(
        scene,
        { name: 'vls_sign_local_commitment_tx2', commitNum: last.commitNum },
        balanceSat,
      );
    },
  },
  {
    name: 'early-secret',
    title: 'give away the secret of the current state, so that the peer can punish it',
    request: (scene) => {
      const last = scene.keys.recorder.last('vls_validate_commitment_tx2', scene.channel);
      if (last === undefined) return null;
      return onChannel(
        scene,
        { name: 'hsmd_revoke_commitment_tx', commitNum: last.commitNum },
        last.toLocalValue,
      );
    },
  },
  {
    name: 'second-variant',
    title: 'sign the same state again, with more money for the peer',
    request: (scene) => {
      const last = lastSigned(scene);
      if (last === null || last.toLocalValue < THEFT_SAT) return null;
      const request = {
        ...last,
        toLocalValue: less(last.toLocalValue, THEFT_SAT),
        toRemoteValue: (last.toRemoteValue + THEFT_SAT) as Sat,
      };
      return onChannel(scene, request, THEFT_SAT);
    },
  },
  {
    name: 'unapproved-payment',
    title: 'pay the attacker, which nobody approved',
    request: (scene) => {
      const htlc: HsmHtlc = {
        side: 'local',
        amount: (THEFT_SAT * 1000n) as Msat,
        paymentHash: sha256(ATTACKER_KEY),
        cltvExpiry: scene.keys.ldk.wallet.heightBlocks + EXPIRY_BLOCKS,
      };
      return onChannel(scene, withOffered(scene, htlc), THEFT_SAT);
    },
  },
  {
    name: 'forward-more',
    title: 'forward a payment with more than came in',
    request: (scene) => {
      const standing = lastSigned(scene)?.htlcs.find(({ side }) => side === 'local');
      if (scene.upstream === null || standing === undefined) return null;
      return onChannel(scene, withOffered(scene, standing), standing.amount / 1000n);
    },
  },
  {
    name: 'fail-upstream',
    title: 'hand a forwarded payment back while the next node can still take it',
    request: ({ keys, upstream }) => {
      const last =
        upstream === null ? undefined : keys.recorder.last('vls_sign_remote_commitment_tx2', upstream);
      const standing = last?.htlcs.find(({ side }) => side === 'remote');
      if (last === undefined || standing === undefined) return null;
      const amountSat = standing.amount / 1000n;
      // The peer has opened this channel: what the output cost in fees is its own again.
      const request = next(last, {
        htlcs: last.htlcs.filter((one) => one !== standing),
        toRemoteValue: (last.toRemoteValue + amountSat + htlcFeeSat(last)) as Sat,
      });
      return { channel: upstream, request, haulSat: amountSat };
    },
  },
  {
    name: 'foreign-close',
    title: 'close the channel together with the peer, to the attacker’s address',
    request: (scene) => {
      const last = lastSigned(scene);
      if (last === null || last.htlcs.length > 0 || last.toLocalValue < FEE_SAT) return null;
      const request: Request = {
        name: 'vls_sign_mutual_close_tx2',
        toLocalValue: last.toLocalValue,
        toRemoteValue: last.toRemoteValue,
        localScript: ATTACKER_SCRIPT,
        remoteScript: ATTACKER_SCRIPT,
        localWalletPathHint: [],
      };
      return onChannel(scene, request, last.toLocalValue);
    },
  },
  {
    name: 'foreign-sweep',
    title: 'sweep a closed channel to the attacker’s address',
    request: ({ keys, channel }) => {
      const last = keys.recorder.last('hsmd_sign_any_delayed_payment_to_us', channel);
      if (last === undefined) return null;
      const tx = redirected(last.tx.tx);
      const psbt = { ...last.tx.psbt, unsignedTx: tx, global: createPsbt(tx).global };
      const haulSat = tx.outputs.reduce((sum, { value }) => sum + value, 0n);
      return { channel, request: { ...last, tx: { tx, psbt } }, haulSat };
    },
  },
  {
    name: 'withdraw',
    title: 'send the wallet’s coins to the attacker',
    request: ({ keys }) => {
      const [coin] = keys.ldk.wallet.spendable();
      if (coin === undefined) return null;
      const request = keys.ldk.wallet.withdrawal(coin, ATTACKER_SCRIPT, FEE_SAT);
      return { channel: null, request, haulSat: coin.output.value - FEE_SAT };
    },
  },
];

/** Null when there is nothing to do it with now. */
export function attempt(scene: Scene, name: AttackName): Attempt | null {
  const attack = ATTACKS.find((one) => one.name === name);
  const ask = attack?.request(scene) ?? null;
  if (attack === undefined || ask === null) return null;
  return { attack, ask, refusal: refusalOf(scene.keys.embedded.door, ask) };
}

function refusalOf(door: SyncDoor, { channel, request }: Ask): Attempt['refusal'] {
  const client = {
    peerId: channel === null ? null : channelName(fromHex(channel)),
    dbid: channel === null ? 0n : CHANNEL_DBID,
    permissions: ALL_PERMISSIONS,
  };
  const decoded = decodeMessage(door.ask(client, encodeMessage(request)), 'reply');
  if (!decoded.ok) throw new Error('the signer’s answer cannot be read');
  if (decoded.message.name !== 'vls_signer_error') return null;
  const text = decoded.message.message;
  return { tag: text.slice(0, text.indexOf(':')), text };
}
