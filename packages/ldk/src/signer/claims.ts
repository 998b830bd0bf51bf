/**
 * Signatures on what a closed channel leaves: HTLCs of either side, justice, our anchor. LDK puts several of them into one
 * transaction and asks for one input at a time; the witness script is built here from the channel's keys.
 */
import {
  ANCHOR_SAT,
  addPsbtBip32Derivation,
  anchorScript,
  createPsbt,
  hash160,
  htlcScripts,
  type Psbt,
  p2wshOfScript,
  parseTransaction,
  type Sat,
  setPsbtSighashType,
  setPsbtWitnessScript,
  setPsbtWitnessUtxo,
  type Transaction,
  toHex,
  toLocalScript,
  txid,
} from '@countersign/bitcoin';
import type { BitcoinSignature } from '@countersign/wire';
import {
  type HTLCDescriptor,
  type HTLCOutputInCommitment,
  Option_ThirtyTwoBytesZ_Some,
} from 'lightningdevkit';
import { CHANNEL_DBID, channelName } from '../client.ts';
import { orRefused, replyOf } from './answers.ts';
import type { ChannelSignerParts } from './channel-signer.ts';
import type { ChannelState } from './channel-state.ts';
import { numberOf } from './commitment-content.ts';

const SIGHASH_ALL = 0x01;

export class ChainClaims {
  readonly #parts: ChannelSignerParts;
  readonly #state: ChannelState;

  constructor(parts: ChannelSignerParts, state: ChannelState) {
    this.#parts = parts;
    this.#state = state;
  }

  /** LDK signs ALL for these, on anchors channels too (rust-lightning `HTLCDescriptor::tx_input_witness`). */
  holderHtlc(raw: Uint8Array, input: number, descriptor: HTLCDescriptor): Uint8Array {
    const method = 'sign_holder_htlc_transaction';
    this.#ready(method);
    const htlc = descriptor.get_htlc();
    const preimage = descriptor.get_preimage();
    if (preimage instanceof Option_ThirtyTwoBytesZ_Some)
      orRefused(this.#parts.book.learn(method, [preimage.some]));
    const wscript = this.#htlcScript('holder', descriptor.get_per_commitment_point(), htlc);
    const { sig } = replyOf(
      this.#parts.client.ask<'hsmd_sign_any_local_htlc_tx'>(method, this.#state.keysId, {
        name: 'hsmd_sign_any_local_htlc_tx',
        commitNum: numberOf(descriptor.get_per_commitment_number()),
        tx: this.#wired(raw, input, wscript, satOf(htlc)),
        wscript,
        optionAnchorOutputs: this.#isAnchors(),
        input,
        ...this.#named(),
      }),
    );
    return whole(sig);
  }

  counterpartyHtlc(
    raw: Uint8Array,
    input: number,
    amountSat: bigint,
    point: Uint8Array,
    htlc: HTLCOutputInCommitment,
  ): Uint8Array {
    const method = 'sign_counterparty_htlc_transaction';
    this.#ready(method);
    const wscript = this.#htlcScript('counterparty', point, htlc);
    const { sig } = replyOf(
      this.#parts.client.ask<'hsmd_sign_any_remote_htlc_to_us'>(method, this.#state.keysId, {
        name: 'hsmd_sign_any_remote_htlc_to_us',
        remotePerCommitmentPoint: point,
        tx: this.#wired(raw, input, wscript, amountSat as Sat),
        wscript,
        optionAnchorOutputs: this.#isAnchors(),
        input,
        ...this.#named(),
      }),
    );
    return whole(sig);
  }

  revokedOutput(raw: Uint8Array, input: number, amountSat: bigint, secret: Uint8Array): Uint8Array {
    const keys = this.#keys('counterparty', this.#parts.secp.publicKey(secret));
    const { counterpartyToSelfDelayBlocks } = this.#parameters();
    const wscript = toLocalScript(keys, counterpartyToSelfDelayBlocks);
    return this.#justice('sign_justice_revoked_output', raw, input, amountSat, secret, wscript);
  }

  revokedHtlc(
    raw: Uint8Array,
    input: number,
    amountSat: bigint,
    secret: Uint8Array,
    htlc: HTLCOutputInCommitment,
  ): Uint8Array {
    const wscript = this.#htlcScript('counterparty', this.#parts.secp.publicKey(secret), htlc);
    return this.#justice('sign_justice_revoked_htlc', raw, input, amountSat, secret, wscript);
  }

  #justice(
    method: string,
    raw: Uint8Array,
    input: number,
    amountSat: bigint,
    revocationSecret: Uint8Array,
    wscript: Uint8Array,
  ): Uint8Array {
    this.#ready(method);
    const { sig } = replyOf(
      this.#parts.client.ask<'hsmd_sign_any_penalty_to_us'>(method, this.#state.keysId, {
        name: 'hsmd_sign_any_penalty_to_us',
        revocationSecret,
        tx: this.#wired(raw, input, wscript, amountSat as Sat),
        wscript,
        input,
        ...this.#named(),
      }),
    );
    return whole(sig);
  }

  /** Asked together with the wallet's inputs where LDK had the wallet sign first (`sign_psbt`). */
  holderAnchor(raw: Uint8Array, input: number): Uint8Array {
    const tx = bare(parseTransaction(raw));
    const { wallet } = this.#parts;
    const signed = wallet.anchorSignature(txid(tx));
    if (signed !== undefined) return signed;
    const method = 'sign_holder_anchor_input';
    this.#ready(method);
    const { keys } = this.#state;
    if (keys === null) throw new Error('the channel has no keys');
    const psbt = describeAnchor(wallet.described(tx), input, keys.funding);
    const signature = wallet.signAnchor(method, this.#state, psbt, input);
    return signature;
  }

  #ready(method: string): void {
    orRefused(this.#parts.book.ready(method, this.#state, null));
  }

  #parameters() {
    const { parameters } = this.#state;
    if (parameters === null) throw new Error('LDK has not given the parameters of the channel');
    return parameters;
  }

  #isAnchors(): boolean {
    return this.#parameters().format === 'anchors_zero_fee_htlc';
  }

  #keys(broadcaster: 'holder' | 'counterparty', point: Uint8Array) {
    const keys = this.#state.commitmentKeys(this.#parts.secp, broadcaster, point);
    if (keys === null) throw new Error('the keys of the channel are not known');
    return keys;
  }

  #htlcScript(
    broadcaster: 'holder' | 'counterparty',
    point: Uint8Array,
    htlc: HTLCOutputInCommitment,
  ): Uint8Array {
    const scripts = htlcScripts(this.#keys(broadcaster, point), this.#parameters().format);
    const paymentHash = htlc.get_payment_hash();
    return htlc.get_offered()
      ? scripts.offered(paymentHash)
      : scripts.received(paymentHash, htlc.get_cltv_expiry());
  }

  #named() {
    return { peerid: channelName(this.#state.keysId), channelDbid: CHANNEL_DBID };
  }

  /** What the named input spends is told; of the others what the wallet knows. */
  #wired(raw: Uint8Array, input: number, wscript: Uint8Array, value: Sat): { tx: Transaction; psbt: Psbt } {
    const tx = bare(parseTransaction(raw));
    const psbt = this.#parts.wallet.described(tx);
    const spent = setPsbtWitnessUtxo(psbt, input, { value, script: p2wshOfScript(wscript) });
    // Said even where it goes without saying: LDK's witnesses have ALL, also where another client of the signer would not.
    return { tx, psbt: setPsbtSighashType(spent, input, SIGHASH_ALL) };
  }
}

const satOf = (htlc: HTLCOutputInCommitment): Sat => (htlc.get_amount_msat() / 1000n) as Sat;

/** LDK writes the byte of ALL into the witness itself. */
function whole({ signature, sighash }: BitcoinSignature): Uint8Array {
  if (sighash !== SIGHASH_ALL) throw new Error('the signature is not over the whole transaction');
  return signature;
}

/** LDK may have put witnesses of other inputs in already. */
export function bare(tx: Transaction): Transaction {
  return { ...tx, inputs: tx.inputs.map((input) => ({ ...input, witness: [] })) };
}

/** Our anchor at this input: its output, its script, and the funding key as its origin, by which the signer knows it. */
export function describeAnchor(psbt: Psbt, input: number, fundingKey: Uint8Array): Psbt {
  const script = anchorScript(fundingKey);
  const spent = setPsbtWitnessUtxo(psbt, input, { value: ANCHOR_SAT, script: p2wshOfScript(script) });
  const fingerprint = hash160(fundingKey).subarray(0, 4);
  return addPsbtBip32Derivation(setPsbtWitnessScript(spent, input, script), input, {
    publicKey: fundingKey,
    fingerprint,
    path: [0],
  });
}

export const emptyPsbt = (tx: Transaction): Psbt => createPsbt(bare(tx));
export const keyOf = (tx: Transaction): string => toHex(txid(tx));
