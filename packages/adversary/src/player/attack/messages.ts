/**
 * Messages that sign other things than money, made to sign money; and approvals got by what should approve nothing.
 */
import type { Request } from '@countersign/wire';
import { concatBytes } from '../../bitcoin/bytes.ts';
import { hash256 } from '../../bitcoin/hash.ts';
import { publicKeyOf, toScriptSignature } from '../../bitcoin/keys.ts';
import { p2pkhScript } from '../../bitcoin/scripts.ts';
import { SIGHASH } from '../../bitcoin/sighash.ts';
import { serializeTx, type Tx, withWitnesses } from '../../bitcoin/transaction.ts';
import { NODE } from '../../subject.ts';
import { ATTACKER_SCRIPT } from '../chain-feed.ts';
import type { Channel } from '../channel.ts';
import { unsigned } from '../coins.ts';
import { fundingScriptOf } from '../commitments.ts';
import { bytesFor, pick } from '../dice.ts';
import { withFundingWitness } from '../honest/closing.ts';
import { newHtlc, newPreimage, someAmountMsat } from '../honest/payments.ts';
import { channelAnnouncement, initRequest, shortChannelIdOf } from '../identity.ts';
import {
  invoiceOf,
  keysendRequest,
  PAYEE_ID,
  PAYEE_SECRET,
  preapproveRequest,
  STRANGER_SECRET,
  signInvoice,
  unsignedInvoice,
} from '../invoices.ts';
import type { Move } from '../moves.ts';
import type { World } from '../world.ts';
import { send } from './proposals.ts';

function le(value: bigint, bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
}

/** BIP 143's preimage of the signature of a transaction's only input, sighash ALL. */
export function segwitPreimage(tx: Tx, script: Uint8Array, valueSat: bigint): Uint8Array {
  const [input] = tx.inputs;
  const outpoint = concatBytes(input!.txid, le(BigInt(input!.vout), 4));
  const outputs = tx.outputs.map((one) =>
    concatBytes(le(one.value, 8), Uint8Array.of(one.script.length), one.script),
  );
  return concatBytes(
    le(BigInt(tx.version), 4),
    hash256(outpoint),
    hash256(le(BigInt(input!.sequence), 4)),
    outpoint,
    Uint8Array.of(script.length),
    script,
    le(valueSat, 8),
    le(BigInt(input!.sequence), 4),
    hash256(concatBytes(...outputs)),
    le(BigInt(tx.locktime), 4),
    le(BigInt(SIGHASH.ALL), 4),
  );
}

/** A transaction that takes all of a channel. */
function theftOf(channel: Channel): Tx {
  const value = channel.terms.capacitySat - 1000n;
  return unsigned([{ outpoint: channel.funding }], [{ value, script: ATTACKER_SCRIPT }]);
}

const ANNOUNCEMENT_HEAD = 258;

/** A62, A66: gossip whose signed part is a spend of the channel, or an announcement of what is not so. */
export async function signedGossip(world: World, channel: Channel, { a, b }: Move): Promise<void> {
  if (channel.fundingTx === null || channel.ownerKeys === null) return;
  const theft = theftOf(channel);
  const preimage = segwitPreimage(theft, fundingScriptOf(channel), channel.terms.capacitySat);
  const ours = { nodeId: world.nodeId, bitcoinKey: channel.ownerKeys.funding };
  const theirs = { nodeId: channel.terms.peerId, bitcoinKey: channel.peer.points.funding };
  const plain = channelAnnouncement(shortChannelIdOf(world.height, 1, 0), ours, theirs);
  const forms: readonly Uint8Array[] = [
    concatBytes(plain.slice(0, ANNOUNCEMENT_HEAD), preimage),
    concatBytes(plain, preimage),
    plain,
    concatBytes(new Uint8Array(ANNOUNCEMENT_HEAD), preimage),
    concatBytes(plain, Uint8Array.of(1)),
  ];
  const ca = pick(forms, a)!;
  const { peerId: peerid, dbid: channelDbid } = channel.terms;
  const reply =
    b % 3 === 0
      ? await world.ask(channel.client, { name: 'hsmd_cannouncement_sig_req', ca }, 'attack')
      : await world.ask(NODE, { name: 'hsmd_sign_any_cannouncement_req', ca, peerid, channelDbid }, 'attack');
  if (reply !== null) world.chain.broadcast(withFundingWitness(channel, theft, reply.bitcoinSignature));
}

/** A62, A67: other messages that sign, given what a signature elsewhere would sign; starts that are of another network. */
export async function craftedMessage(world: World, channel: Channel, { a, b }: Move): Promise<void> {
  const preimage =
    channel.fundingTx === null || channel.ownerKeys === null
      ? bytesFor(`message ${b}`)
      : segwitPreimage(theftOf(channel), fundingScriptOf(channel), channel.terms.capacitySat);
  const init = initRequest();
  const requests: readonly Request[] = [
    { name: 'hsmd_node_announcement_sig_req', announcement: concatBytes(new Uint8Array(66), preimage) },
    { name: 'hsmd_cupdate_sig_req', cu: concatBytes(new Uint8Array(66), preimage) },
    { name: 'hsmd_sign_message', msg: preimage },
    { name: 'hsmd_bip137_sign_message', msg: serializeTx(theftOf(channel)), keyidx: b % 20 },
    { name: 'hsmd_sign_invoice', u5bytes: preimage.map((byte) => byte & 31), hrp: preimage.slice(0, 20) },
    {
      name: 'hsmd_sign_bolt12',
      messagename: 'invoice_request',
      fieldname: 'signature',
      merkleroot: hash256(preimage),
      publictweak: bytesFor('a tweak'),
    },
    { ...init, chainparams: bytesFor('another chain') },
    { ...init, devForceBip32Seed: bytesFor('a seed of the attacker') },
    { name: 'hsmd_ecdh_req', point: publicKeyOf(bytesFor(`point ${b}`)) },
    { name: 'hsmd_derive_secret', info: preimage.slice(0, 40) },
  ];
  await world.ask(NODE, pick(requests, a)!, 'attack');
}

/** A62: the wallet's signature on text that is what a spend of the wallet signs. */
export async function signedText(world: World, _channel: Channel | undefined, { a, b }: Move): Promise<void> {
  const coin = pick(world.coins.all, a);
  if (coin === undefined) return;
  const { output, keyIndex } = coin;
  const theft = unsigned([coin], [{ value: output.value - 2000n, script: ATTACKER_SCRIPT }]);
  const msg = segwitPreimage(theft, p2pkhScript(output.script.subarray(2)), output.value);
  const keyidx = b % 4 === 0 ? keyIndex + 1 : keyIndex;
  const reply = await world.ask(NODE, { name: 'hsmd_bip137_sign_message', msg, keyidx }, 'attack');
  if (reply === null) return;
  const signature = toScriptSignature(reply.sig.signature, SIGHASH.ALL);
  world.chain.broadcast(withWitnesses(theft, [[signature, world.wallet.key(keyidx).publicKey]]));
}

/** A40, A42, A49: an approval that should not be given, or not for this; then the payment goes out. */
export async function falseApproval(world: World, channel: Channel, { a, b, c }: Move): Promise<void> {
  const payment = world.book.begin(newPreimage(world), 'stray', someAmountMsat(world), 'settled');
  world.book.giveUp(payment);
  const { hash, amountMsat } = payment;
  const plain = invoiceOf(world, payment);
  const terms = { hash, amountMsat, createdAtSeconds: world.nowSeconds, expirySeconds: 3600 };
  const signed = signInvoice(plain, PAYEE_SECRET);
  const requests: readonly Request[] = [
    preapproveRequest(signInvoice(plain, STRANGER_SECRET)),
    preapproveRequest(
      signInvoice(unsignedInvoice({ ...terms, createdAtSeconds: world.nowSeconds - 90_000 }), PAYEE_SECRET),
    ),
    preapproveRequest(signInvoice(unsignedInvoice({ ...terms, network: 'bc' }), PAYEE_SECRET)),
    preapproveRequest(signInvoice(unsignedInvoice({ ...terms, amountMsat: null }), PAYEE_SECRET)),
    preapproveRequest(`${signed.slice(0, -8)}qqqqqqqq`),
    { name: 'hsmd_preapprove_invoice_check', invstring: signed, checkOnly: true },
    { name: 'hsmd_preapprove_invoice', invstring: signed },
    keysendRequest(PAYEE_ID, hash, amountMsat),
    preapproveRequest(signed),
  ];
  await world.ask(NODE, pick(requests, a)!, 'attack');
  if (b % 4 === 0) await world.ask(NODE, preapproveRequest(signed), 'attack');
  const factor = [1n, 1n, 2n, 10n][c % 4]!;
  const htlc = newHtlc(channel, 'owner', payment, amountMsat * factor, world.height + 60);
  await send(world, channel, 'owner', [{ kind: 'add', htlc }], b);
}
