/**
 * Invoices (BOLT 11): those of the payee that the owner allowlisted, who is one of the attacker's friends, and those that
 * the node has signed for itself. And how the node gets a payment approved, with the owner's help if need be.
 */
import type { MessageOf } from '@countersign/wire';
import { bech32 } from '@scure/base';
import { concatBytes, toHex } from '../bitcoin/bytes.ts';
import { sha256 } from '../bitcoin/hash.ts';
import { publicKeyOf, signRecoverable } from '../bitcoin/keys.ts';
import { NODE } from '../subject.ts';
import type { Payment } from './book.ts';
import { bytesFor } from './dice.ts';
import { wireMsat } from './requests.ts';
import type { Intent } from './step-log.ts';
import type { World } from './world.ts';

/** The owner's allowlist has this one; the attacker runs that node too. */
export const PAYEE_SECRET = sha256(
  new TextEncoder().encode('countersign adversary: the payee on the allowlist'),
);
export const PAYEE_ID = publicKeyOf(PAYEE_SECRET);
/** A payee that nobody allowlisted. */
export const STRANGER_SECRET = bytesFor('a payee nobody knows');

const TAG = { hash: 1, secret: 16, description: 13, expiry: 6, features: 5 } as const;
/** Bits 8 and 14: onions of variable length, payment secrets. */
const FEATURE_WORDS = [16, 8, 0];

export interface InvoiceTerms {
  readonly hash: Uint8Array;
  /** Null: the invoice names none. */
  readonly amountMsat: bigint | null;
  readonly createdAtSeconds: number;
  readonly expirySeconds: number;
  readonly network?: string;
}

export interface UnsignedInvoice {
  readonly hrp: string;
  readonly words: readonly number[];
}

const field = (tag: number, words: readonly number[]): number[] => [
  tag,
  words.length >> 5,
  words.length & 31,
  ...words,
];

/** `value` in so many words of five bits. */
const numberWords = (value: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => Math.floor(value / 32 ** (count - 1 - i)) % 32);

export function unsignedInvoice(terms: InvoiceTerms): UnsignedInvoice {
  const { amountMsat, createdAtSeconds, expirySeconds, hash, network = 'bcrt' } = terms;
  const words = [
    ...numberWords(createdAtSeconds, 7),
    ...field(TAG.hash, bech32.toWords(hash)),
    ...field(TAG.secret, bech32.toWords(sha256(hash))),
    ...field(TAG.description, bech32.toWords(Uint8Array.of(0x78))),
    ...field(TAG.expiry, numberWords(expirySeconds, 4)),
    ...field(TAG.features, FEATURE_WORDS),
  ];
  return { hrp: `ln${network}${amountMsat === null ? '' : `${amountMsat * 10n}p`}`, words };
}

/** Words as bytes, the last padded with zero bits. */
function wordBytes(words: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(Math.ceil((words.length * 5) / 8));
  words.forEach((word, i) => {
    for (let bit = 0; bit < 5; bit++)
      if (word & (16 >> bit)) bytes[(i * 5 + bit) >> 3]! |= 0x80 >> ((i * 5 + bit) & 7);
  });
  return bytes;
}

export function signInvoice({ hrp, words }: UnsignedInvoice, secret: Uint8Array): string {
  const digest = sha256(concatBytes(new TextEncoder().encode(hrp), wordBytes(words)));
  const { signature, recoveryId } = signRecoverable(digest, secret);
  const signed = concatBytes(signature, Uint8Array.of(recoveryId));
  return bech32.encode(hrp, [...words, ...bech32.toWords(signed)], false);
}

export const preapproveRequest = (invstring: string): MessageOf<'hsmd_preapprove_invoice_check'> => ({
  name: 'hsmd_preapprove_invoice_check',
  invstring,
  checkOnly: false,
});

export const keysendRequest = (
  destination: Uint8Array,
  hash: Uint8Array,
  amountMsat: bigint,
): MessageOf<'hsmd_preapprove_keysend_check'> => ({
  name: 'hsmd_preapprove_keysend_check',
  destination,
  paymentHash: hash,
  amountMsat: wireMsat(amountMsat),
  checkOnly: false,
});

export function invoiceOf(
  world: World,
  { hash, amountMsat }: Pick<Payment, 'hash' | 'amountMsat'>,
): UnsignedInvoice {
  return unsignedInvoice({ hash, amountMsat, createdAtSeconds: world.nowSeconds, expirySeconds: 604_800 });
}

/** The payee's invoice; every third time a stranger's, which the owner approves. */
export async function approveInvoice(
  world: World,
  payment: Payment,
  intent: Intent = 'honest',
): Promise<boolean> {
  const isStranger = world.dice.chance(33);
  const secret = isStranger ? STRANGER_SECRET : PAYEE_SECRET;
  const request = preapproveRequest(signInvoice(invoiceOf(world, payment), secret));
  if (!isStranger) return isApproved(world, request, intent);
  return (await isApproved(world, request, 'unsure')) || approveByOwner(world, payment, request);
}

/** No payee is proven by a keysend: the owner approves it. */
export async function approveKeysend(world: World, payment: Payment): Promise<boolean> {
  const request = keysendRequest(PAYEE_ID, payment.hash, payment.amountMsat);
  return (await isApproved(world, request, 'unsure')) || approveByOwner(world, payment, request);
}

type Preapproval = MessageOf<'hsmd_preapprove_invoice_check' | 'hsmd_preapprove_keysend_check'>;

async function isApproved(world: World, request: Preapproval, intent: Intent): Promise<boolean> {
  const reply = await world.ask(NODE, request, intent);
  return reply !== null && 'approved' in reply && reply.approved;
}

async function approveByOwner(world: World, payment: Payment, request: Preapproval): Promise<boolean> {
  const failure = await world.owner({ act: 'approve', id: toHex(payment.hash), amountMsat: null });
  return failure === null && (await isApproved(world, request, 'honest'));
}

/** The node signs an invoice of its own, and others may pay it. */
export async function signOwnInvoice(world: World, payment: Payment): Promise<void> {
  const { hrp, words } = invoiceOf(world, payment);
  await world.ask(NODE, {
    name: 'hsmd_sign_invoice',
    u5bytes: Uint8Array.from(words),
    hrp: new TextEncoder().encode(hrp),
  });
}
