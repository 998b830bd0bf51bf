/**
 * Channels as the signer has them on record, with their fundings and the peer's current commitment as transactions: made
 * from keys, without the requests that lead there.
 */
import {
  buildCommitment,
  commitmentObscureFactor,
  deriveCommitmentKeys,
  fundingScript,
  msat,
  p2wshOfScript,
  type Secp256k1,
  sat,
  sha256,
  type Transaction,
  txid,
} from '@countersign/bitcoin';
import type { ChannelRecord, ChannelRef, KeyView } from '@countersign/core';
import { channelId } from '../packages/core/src/channel/lookup.ts';
import type { CommitmentContent, HtlcRecord } from '../packages/core/src/channel/record.ts';
import { emptyChannel } from '../packages/core/src/records/channel.ts';

export const HTLCS = 4;
const FORMAT = 'anchors_zero_fee_htlc';
const FEERATE_PER_KW = 1000;
const CAPACITY_SAT = 1_000_000n;
const HTLC_MSAT = 20_000_000n;
const EXPIRY_BLOCKS = 500_000;
const DELAY_BLOCKS = 144;
const NUMBER = 7;

export const bytesOf = (label: string): Uint8Array => sha256(new TextEncoder().encode(label));

export interface BenchChannel {
  readonly id: string;
  readonly record: ChannelRecord;
  /** Two inputs, change and the funding. */
  readonly fundingTx: Transaction;
  /** The peer's current commitment: two main outputs, two anchors, four HTLCs. */
  readonly closeTx: Transaction;
}

export const input = (id: Uint8Array, vout: number, witness: readonly Uint8Array[] = []) => ({
  txid: id,
  vout,
  scriptSig: new Uint8Array(0),
  sequence: 0xffff_fffd,
  witness,
});

const htlcsOf = (label: string): HtlcRecord[] =>
  Array.from({ length: HTLCS }, (_, i) => ({
    offeredBy: i % 2 === 0 ? 'holder' : 'counterparty',
    amountMsat: msat(HTLC_MSAT),
    paymentHash: sha256(bytesOf(`${label} preimage ${i}`)),
    cltvExpiry: EXPIRY_BLOCKS + i,
  }));

/** One peer has all of them, so that its keys are made once. */
export class ChannelMaker {
  readonly #secp: Secp256k1;
  readonly #keys: KeyView;
  readonly #peerId: Uint8Array;
  readonly #peer;
  readonly #point: Uint8Array;

  constructor(secp: Secp256k1, keys: KeyView) {
    const keyOf = (name: string) => secp.publicKey(bytesOf(name));
    this.#secp = secp;
    this.#keys = keys;
    this.#peerId = keyOf('peer');
    this.#point = keyOf('point');
    this.#peer = {
      funding: keyOf('funding'),
      basepoints: {
        revocation: keyOf('revocation'),
        payment: keyOf('payment'),
        htlc: keyOf('htlc'),
        delayedPayment: keyOf('delayed'),
      },
    };
  }

  make(index: number): BenchChannel {
    const ref: ChannelRef = { peerId: this.#peerId, dbid: BigInt(index + 1) };
    const label = `channel ${index}`;
    const script = p2wshOfScript(fundingScript(this.#keys.fundingPublicKey(ref), this.#peer.funding));
    const fundingTx: Transaction = {
      version: 2,
      inputs: [input(bytesOf(`${label} coin`), 0), input(bytesOf(`${label} coin`), 1)],
      outputs: [
        { value: sat(50_000n), script: new Uint8Array(22) },
        { value: sat(CAPACITY_SAT), script },
      ],
      locktime: 0,
    };
    const htlcs = htlcsOf(label);
    const closeTx = this.#commitment(ref, fundingTx, htlcs);
    return {
      id: channelId(ref),
      record: this.#record(ref, fundingTx, contentOf(closeTx, htlcs)),
      fundingTx,
      closeTx,
    };
  }

  /** Another channel like the given one: nothing in it is right but what the records are found by. */
  like({ record }: BenchChannel, index: number): { readonly id: string; readonly record: ChannelRecord } {
    const ref: ChannelRef = { peerId: this.#peerId, dbid: BigInt(index + 1) };
    const [candidate] = record.candidates;
    const outpoint = { txid: bytesOf(`funding ${index}`), vout: 1 };
    return {
      id: channelId(ref),
      record: { ...record, ...ref, candidates: [{ ...candidate!, outpoint }], locked: outpoint },
    };
  }

  #commitment(ref: ChannelRef, fundingTx: Transaction, htlcs: readonly HtlcRecord[]): Transaction {
    const ours = this.#keys.basepoints(ref);
    const { funding, basepoints: peer } = this.#peer;
    const keys = deriveCommitmentKeys(this.#secp, {
      perCommitmentPoint: this.#point,
      broadcaster: peer,
      countersignatory: ours,
    });
    const half = (CAPACITY_SAT * 1000n) / 2n - (HTLC_MSAT * BigInt(HTLCS)) / 2n;
    const { transaction } = buildCommitment({
      format: FORMAT,
      keys,
      broadcasterFundingKey: funding,
      countersignatoryFundingKey: this.#keys.fundingPublicKey(ref),
      toSelfDelayBlocks: DELAY_BLOCKS,
      funder: 'countersignatory',
      funding: { txid: txid(fundingTx), vout: 1 },
      commitmentNumber: NUMBER,
      obscureFactor: commitmentObscureFactor(ours.payment, peer.payment),
      dustLimitSat: sat(546n),
      feeratePerKw: FEERATE_PER_KW,
      toBroadcasterMsat: msat(half),
      toCountersignatoryMsat: msat(half),
      htlcs: htlcs.map(({ offeredBy, amountMsat, paymentHash, cltvExpiry }) => ({
        direction: offeredBy === 'counterparty' ? 'offered' : 'received',
        amountMsat,
        paymentHash,
        cltvExpiry,
      })),
    });
    return transaction;
  }

  #record(ref: ChannelRef, fundingTx: Transaction, content: CommitmentContent): ChannelRecord {
    const outpoint = { txid: txid(fundingTx), vout: 1 };
    return {
      ...emptyChannel(ref.peerId, ref.dbid),
      setup: {
        isOutbound: true,
        format: FORMAT,
        channelType: Uint8Array.of(0x40, 0x10, 0x00),
        counterpartyToSelfDelayBlocks: DELAY_BLOCKS,
        holderToSelfDelayBlocks: DELAY_BLOCKS,
        counterpartyBasepoints: this.#peer.basepoints,
        holderShutdownScript: new Uint8Array(0),
        holderShutdownWalletIndex: null,
        counterpartyShutdownScript: new Uint8Array(0),
      },
      candidates: [
        {
          outpoint,
          valueSat: sat(CAPACITY_SAT),
          pushValue: 0n,
          counterpartyFundingKey: this.#peer.funding,
          isSplice: false,
          setUpAtNumber: 0,
          fundingSigned: true,
          validated: [
            { ...content, txid: bytesOf('ours'), signature: new Uint8Array(64), htlcSignatures: [] },
          ],
          issued: [content],
        },
      ],
      locked: outpoint,
      holderNextRevoke: NUMBER,
      counterpartyNextSign: NUMBER + 1,
      counterpartyNextRevoke: NUMBER,
      counterpartyPoints: [{ number: NUMBER, point: this.#point }],
    };
  }
}

function contentOf(tx: Transaction, htlcs: readonly HtlcRecord[]): CommitmentContent {
  const half = (CAPACITY_SAT * 1000n) / 2n - (HTLC_MSAT * BigInt(HTLCS)) / 2n;
  return {
    number: NUMBER,
    txid: txid(tx),
    feeratePerKw: FEERATE_PER_KW,
    toHolderSat: sat(half / 1000n - 3000n),
    toCounterpartySat: sat(half / 1000n),
    htlcs,
    ledger: { holderMsat: msat(half), driftMsat: 0n, trimmed: [], fates: [] },
  };
}
