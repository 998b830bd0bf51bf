/**
 * What the adapter knows of one channel, by LDK's `channel_keys_id`: several signer objects of LDK share it. All of it can be
 * had again from LDK and the signer, so nothing here has to survive a restart.
 */
import {
  type CommitmentFormat,
  type CommitmentKeys,
  deriveCommitmentKeys,
  type OutPoint,
  type Secp256k1,
  toHex,
} from '@countersign/bitcoin';
import { type Basepoints, hasFeature, type Request } from '@countersign/wire';
import type { ChannelTransactionParameters } from 'lightningdevkit';

export interface PartyKeys {
  readonly funding: Uint8Array;
  readonly basepoints: Basepoints;
}

export interface ChannelParameters {
  readonly isOutbound: boolean;
  readonly funding: OutPoint;
  /** What we impose on the peer, and what it imposes on us. */
  readonly counterpartyToSelfDelayBlocks: number;
  readonly holderToSelfDelayBlocks: number;
  readonly counterparty: PartyKeys;
  /** BOLT 9 bits, big-endian. */
  readonly channelType: Uint8Array;
  readonly format: CommitmentFormat;
}

const ANCHORS_ZERO_FEE_HTLC = 22;
/** Points that a sweep may need the number of. */
const POINTS_MAX = 4096;

export class ChannelState {
  readonly keysId: Uint8Array;
  readonly valueSat: bigint;
  /** Null when the signer could not be asked: such a channel signs nothing and cannot be opened. */
  readonly keys: PartyKeys | null;
  parameters: ChannelParameters | null = null;
  /** As the application announced it; null when it did not. */
  pushMsat: bigint | null = null;
  isSetUp = false;
  /** What the signer could not take when LDK would have closed the channel for it: asked again before anything else. */
  readonly owed: Request[] = [];
  readonly #pointByNumber = new Map<bigint, Uint8Array>();
  readonly #numberByPoint = new Map<string, bigint>();

  constructor(keysId: Uint8Array, valueSat: bigint, keys: PartyKeys | null) {
    this.keysId = keysId;
    this.valueSat = valueSat;
    this.keys = keys;
  }

  notePoint(number: bigint, point: Uint8Array): void {
    this.#pointByNumber.set(number, point);
    this.#numberByPoint.set(toHex(point), number);
    if (this.#pointByNumber.size <= POINTS_MAX) return;
    const [oldest] = this.#pointByNumber;
    if (oldest === undefined) return;
    this.#pointByNumber.delete(oldest[0]);
    this.#numberByPoint.delete(toHex(oldest[1]));
  }

  point(number: bigint): Uint8Array | undefined {
    return this.#pointByNumber.get(number);
  }

  numberOfPoint(point: Uint8Array): bigint | undefined {
    return this.#numberByPoint.get(toHex(point));
  }

  /** The keys of a commitment that one of the two may publish. */
  commitmentKeys(
    secp: Secp256k1,
    broadcaster: 'holder' | 'counterparty',
    point: Uint8Array,
  ): CommitmentKeys | null {
    if (this.keys === null || this.parameters === null) return null;
    const [holder, counterparty] = [this.keys.basepoints, this.parameters.counterparty.basepoints];
    return deriveCommitmentKeys(secp, {
      perCommitmentPoint: point,
      broadcaster: broadcaster === 'holder' ? holder : counterparty,
      countersignatory: broadcaster === 'holder' ? counterparty : holder,
    });
  }
}

/** Null while LDK does not know all of them. */
export function readParameters(given: ChannelTransactionParameters): ChannelParameters | null {
  if (!given.is_populated()) return null;
  const counterparty = given.get_counterparty_parameters();
  const keys = counterparty.get_pubkeys();
  const outpoint = given.get_funding_outpoint();
  const channelType = given.get_channel_type_features().le_flags().reverse();
  return {
    isOutbound: Boolean(given.get_is_outbound_from_holder()),
    funding: { txid: outpoint.get_txid(), vout: outpoint.get_index() },
    counterpartyToSelfDelayBlocks: given.get_holder_selected_contest_delay(),
    holderToSelfDelayBlocks: counterparty.get_selected_contest_delay(),
    counterparty: {
      funding: keys.get_funding_pubkey(),
      basepoints: {
        revocation: keys.get_revocation_basepoint().to_public_key(),
        payment: keys.get_payment_point(),
        htlc: keys.get_htlc_basepoint().to_public_key(),
        delayedPayment: keys.get_delayed_payment_basepoint().to_public_key(),
      },
    },
    channelType,
    format: hasFeature(channelType, ANCHORS_ZERO_FEE_HTLC) ? 'anchors_zero_fee_htlc' : 'static_remotekey',
  };
}
