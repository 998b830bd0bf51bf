/** What a node asks about itself: its start, secrets for its own use, gossip, messages, shared secrets of the transport. */
import type { MessageOf, Request } from '@countersign/wire';
import { concatBytes, fromHex, reversed } from '../bitcoin/bytes.ts';
import { hash256 } from '../bitcoin/hash.ts';
import { publicKeyOf } from '../bitcoin/keys.ts';
import { NODE } from '../subject.ts';
import { bytesFor } from './dice.ts';
import type { World } from './world.ts';

/** The hash of regtest's genesis block, internal byte order. */
export const REGTEST = reversed(fromHex('0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206'));
const TESTNET_KEYS = { pubkeyVersion: 0x0435_87cf, privkeyVersion: 0x0435_8394 };

export const initRequest = (): MessageOf<'hsmd_init'> => ({
  name: 'hsmd_init',
  bip32KeyVersion: TESTNET_KEYS,
  chainparams: REGTEST,
  hsmEncryptionKey: undefined,
  devForcePrivkey: undefined,
  devForceBip32Seed: undefined,
  devForceChannelSecrets: undefined,
  devForceChannelSecretsShaseed: undefined,
  hsmWireMinVersion: 5,
  hsmWireMaxVersion: 6,
  tlvs: {},
});

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const u16 = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 0xff);
function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}
function u64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value);
  return bytes;
}

/** BOLT 7 `node_announcement`, with room for the signature. */
function nodeAnnouncement(world: World): Uint8Array {
  return concatBytes(
    u16(257),
    new Uint8Array(64),
    u16(0),
    u32(world.nowSeconds),
    world.nodeId,
    Uint8Array.of(0x49, 0xda, 0xaa),
    text('ADVERSARY'.padEnd(32, '\0')),
    u16(0),
  );
}

/** BOLT 7 `channel_update`, with room for the signature. */
function channelUpdate(world: World, shortChannelId: bigint): Uint8Array {
  return concatBytes(
    u16(258),
    new Uint8Array(64),
    REGTEST,
    u64(shortChannelId),
    u32(world.nowSeconds),
    Uint8Array.of(1, world.dice.roll(2)),
    u16(34),
    u64(1000n),
    u32(1000),
    u32(10),
    u64(500_000_000n),
  );
}

/** BOLT 7 `channel_announcement` without its four signatures' content. */
export function channelAnnouncement(
  shortChannelId: bigint,
  ours: { readonly nodeId: Uint8Array; readonly bitcoinKey: Uint8Array },
  theirs: { readonly nodeId: Uint8Array; readonly bitcoinKey: Uint8Array },
): Uint8Array {
  const isFirst = compare(ours.nodeId, theirs.nodeId) < 0;
  const [first, second] = isFirst ? [ours, theirs] : [theirs, ours];
  return concatBytes(
    u16(256),
    new Uint8Array(4 * 64),
    u16(0),
    REGTEST,
    u64(shortChannelId),
    first.nodeId,
    second.nodeId,
    first.bitcoinKey,
    second.bitcoinKey,
  );
}

const compare = (a: Uint8Array, b: Uint8Array): number => {
  const at = a.findIndex((byte, i) => byte !== b[i]);
  return at < 0 ? 0 : a[at]! - b[at]!;
};

export const shortChannelIdOf = (heightBlocks: number, position: number, vout: number): bigint =>
  (BigInt(heightBlocks) << 40n) | (BigInt(position) << 16n) | BigInt(vout);

/** One of the things that a node asks in passing. */
export async function askInPassing(world: World, by: number): Promise<void> {
  const point = publicKeyOf(bytesFor(`point ${by}`));
  const requests: readonly Request[] = [
    { name: 'hsmd_ecdh_req', point },
    {
      name: 'hsmd_derive_secret',
      info: text(['bolt12-invoice-base', 'node-alias-base', 'commando'][by % 3]!),
    },
    { name: 'hsmd_sign_message', msg: text(`message ${by}`) },
    { name: 'hsmd_node_announcement_sig_req', announcement: nodeAnnouncement(world) },
    { name: 'hsmd_cupdate_sig_req', cu: channelUpdate(world, shortChannelIdOf(110, 1, by % 3)) },
    { name: 'hsmd_check_pubkey', index: by % 5, pubkey: world.wallet.key(by % 5).publicKey },
    {
      name: 'hsmd_sign_bolt12_2',
      messagename: 'invoice',
      fieldname: 'signature',
      merkleroot: hash256(text(`root ${by}`)),
      info: new Uint8Array(0),
      publictweak: new Uint8Array(0),
    },
  ];
  await world.ask(NODE, requests[by % requests.length]!);
}
