/**
 * Witnesses of what a channel leaves on chain: BOLT 3's outputs, each with the ways it can be spent. Signatures are in
 * script form: DER and the sighash byte.
 */
import { compareBytes, EMPTY } from '../bitcoin/bytes.ts';

export type Witness = readonly Uint8Array[];

export interface FundingSignature {
  readonly key: Uint8Array;
  readonly signature: Uint8Array;
}

const ONE = Uint8Array.of(1);

/** `0 <signature_for_pubkey1> <signature_for_pubkey2>` */
export function fundingWitness(a: FundingSignature, b: FundingSignature, script: Uint8Array): Witness {
  const [first, second] = compareBytes(a.key, b.key) < 0 ? [a, b] : [b, a];
  return [EMPTY, first.signature, second.signature, script];
}

/** `<local_delayedsig> <>`, after to_self_delay: to_local and the output of an HTLC transaction. */
export const delayedWitness = (signature: Uint8Array, script: Uint8Array): Witness => [
  signature,
  EMPTY,
  script,
];

/** `<revocation_sig> 1`: the same outputs of a revoked commitment. */
export const delayedPenaltyWitness = (signature: Uint8Array, script: Uint8Array): Witness => [
  signature,
  ONE,
  script,
];

/** `<remote_sig>`: to_remote with anchors, and anchors themselves. */
export const signatureWitness = (signature: Uint8Array, script: Uint8Array): Witness => [signature, script];

/** p2wpkh: to_remote without anchors. */
export const keyHashWitness = (signature: Uint8Array, key: Uint8Array): Witness => [signature, key];

/** `<revocation_sig> <revocationpubkey>`: an HTLC output of a revoked commitment. */
export const htlcPenaltyWitness = (
  signature: Uint8Array,
  revocationKey: Uint8Array,
  script: Uint8Array,
): Witness => [signature, revocationKey, script];

/** `<remotehtlcsig> <payment_preimage>`: the other side claims what the broadcaster offered. */
export const preimageWitness = (signature: Uint8Array, preimage: Uint8Array, script: Uint8Array): Witness => [
  signature,
  preimage,
  script,
];

/** `<remotehtlcsig> <>`: the other side takes back what the broadcaster received, after its expiry. */
export const expiryWitness = (signature: Uint8Array, script: Uint8Array): Witness => [
  signature,
  EMPTY,
  script,
];

/** `0 <remotehtlcsig> <localhtlcsig> <payment_preimage>`, or an empty vector in its place for a timeout. */
export const htlcTransactionWitness = (
  otherSignature: Uint8Array,
  broadcasterSignature: Uint8Array,
  preimage: Uint8Array | null,
  script: Uint8Array,
): Witness => [EMPTY, otherSignature, broadcasterSignature, preimage ?? EMPTY, script];
