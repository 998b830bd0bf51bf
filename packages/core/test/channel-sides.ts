/**
 * The two sides of a small honest channel: our public keys from a key ring, the peer's side with secrets of its own, their fundings and
 * commitments. BOLT 3 comes from `@countersign/bitcoin`.
 */
import {
  type Basepoints,
  buildCommitment,
  buildHtlcTransactions,
  type CommitmentHtlc,
  commitmentObscureFactor,
  deriveCommitmentKeys,
  fundingScript,
  fundingSighash,
  msat,
  p2wpkhOfKey,
  p2wshOfScript,
  perCommitmentSecret,
  sat,
  type Transaction,
  type TxOutput,
  txid,
} from '@countersign/bitcoin';
import type { ChannelRef, KeyView } from '@countersign/core';
import type { BitcoinTx } from '@countersign/wire';
import {
  type Balances,
  type BuildChanges,
  type Built,
  DUST_LIMIT_SAT,
  type Format,
  FUNDING_FEE_SAT,
  type Funding,
  hashOf,
  input,
  type ModelOptions,
  type Party,
  walletOutPoint,
  wireTx,
} from './channel-parts.ts';
import { bytesOf, secp } from './test-signer.ts';

/** Both sides’ keys, the fundings, and every commitment that can be built of them. */
export class ChannelSides {
  readonly keys: KeyView;
  readonly ref: ChannelRef;
  readonly format: Format;
  readonly isOutbound: boolean;
  readonly holder: Basepoints;
  readonly holderFundingKey: Uint8Array;
  readonly secrets;
  readonly counterparty: Basepoints;
  /** What the counterparty imposes on us, and we on it. */
  readonly delayBlocks = { holder: 144, counterparty: 720 } as const;
  readonly pushMsat: bigint;
  readonly dustLimitsSat: Readonly<Record<Party, bigint>>;
  readonly funding: Funding;

  constructor(keys: KeyView, options: ModelOptions = {}) {
    const { format = 'anchors_zero_fee_htlc', isOutbound = true, dbid = 1n, peer = 'peer' } = options;
    this.keys = keys;
    this.ref = { peerId: options.name ?? secp.publicKey(bytesOf(`${peer} node`)), dbid };
    this.format = format;
    this.isOutbound = isOutbound;
    this.holder = keys.basepoints(this.ref);
    this.holderFundingKey = keys.fundingPublicKey(this.ref);
    const name = `${peer} ${dbid}`;
    this.secrets = {
      revocation: bytesOf(`${name} revocation`),
      payment: bytesOf(`${name} payment`),
      htlc: bytesOf(`${name} htlc`),
      delayedPayment: bytesOf(`${name} delayed`),
      shaseed: bytesOf(`${name} shaseed`),
    };
    const { revocation, payment, htlc, delayedPayment } = this.secrets;
    this.counterparty = {
      revocation: secp.publicKey(revocation),
      payment: secp.publicKey(payment),
      htlc: secp.publicKey(htlc),
      delayedPayment: secp.publicKey(delayedPayment),
    };
    this.pushMsat = options.pushMsat ?? 300_000_000n;
    this.dustLimitsSat = options.dustLimitsSat ?? { holder: DUST_LIMIT_SAT, counterparty: DUST_LIMIT_SAT };
    this.funding = this.newFunding(`${name} opening`, options.valueSat ?? 1_000_000n);
  }

  /** A funding of this channel, created by a transaction that spends `spends` (else a wallet's output). */
  newFunding(label: string, valueSat: bigint, addedMsat = 0n, from?: Funding): Funding {
    const peerSecret = bytesOf(`${label} funding key`);
    const peerKey = secp.publicKey(peerSecret);
    const script = p2wshOfScript(fundingScript(this.holderFundingKey, peerKey));
    const change = { value: sat(50_000), script: p2wpkhOfKey(this.keys.walletPublicKey(7)!) };
    const addedSat = from === undefined ? valueSat : valueSat - from.valueSat;
    const own = {
      value: sat(addedSat + change.value + FUNDING_FEE_SAT),
      script: p2wpkhOfKey(this.keys.walletPublicKey(5)!),
    };
    // A single input needs no proof of its amount.
    const single = { txid: bytesOf(`${label} input`), vout: 1 };
    const wallet = from === undefined ? single : walletOutPoint(`${label} input`, own);
    const inputs = [wallet, ...(from === undefined ? [] : [from.outpoint])].map((spends) => input(spends));
    const spent = [own, ...(from === undefined ? [] : [this.fundingOutput(from)])];
    const tx = { version: 2, inputs, outputs: [change, { value: sat(valueSat), script }], locktime: 110 };
    return { tx, spent, outpoint: { txid: txid(tx), vout: 1 }, valueSat, peerSecret, peerKey, addedMsat };
  }

  /** The split at the opening. */
  get initial(): Balances {
    const totalMsat = this.funding.valueSat * 1000n;
    const [opener, accepter] = [totalMsat - this.pushMsat, this.pushMsat];
    return {
      holderMsat: this.isOutbound ? opener : accepter,
      counterpartyMsat: this.isOutbound ? accepter : opener,
      feeratePerKw: 1000,
      htlcs: [],
    };
  }

  fundingOutput(funding: Funding = this.funding): TxOutput {
    return {
      value: sat(funding.valueSat),
      script: p2wshOfScript(fundingScript(this.holderFundingKey, funding.peerKey)),
    };
  }

  peerPerCommitmentSecret(number: number): Uint8Array {
    return perCommitmentSecret(this.secrets.shaseed, number);
  }

  point(side: Party, number: number): Uint8Array {
    return side === 'holder'
      ? this.keys.perCommitmentPoint(this.ref, number)
      : secp.publicKey(this.peerPerCommitmentSecret(number));
  }

  /** The commitment that `side` may publish. */
  build(
    side: Party,
    number: number,
    balances: Balances,
    funding: Funding = this.funding,
    changes: BuildChanges = {},
  ): Built {
    const perCommitmentPoint = changes.point ?? this.point(side, number);
    const other: Party = side === 'holder' ? 'counterparty' : 'holder';
    const derived = deriveCommitmentKeys(secp, {
      perCommitmentPoint,
      broadcaster: this[side],
      countersignatory: this[other],
    });
    const keys = { ...derived, ...changes.keys };
    const balance = {
      holder: msat(balances.holderMsat + funding.addedMsat),
      counterparty: msat(balances.counterpartyMsat),
    };
    const fundingKey = {
      holder: changes.holderFundingKey ?? this.holderFundingKey,
      counterparty: changes.peerFundingKey ?? funding.peerKey,
    };
    const htlcs: CommitmentHtlc[] = balances.htlcs.map((one) => ({
      direction: one.offeredBy === side ? 'offered' : 'received',
      amountMsat: msat(one.amountMsat),
      paymentHash: hashOf(one),
      cltvExpiry: one.cltvExpiry,
    }));
    const [opener, accepter] = this.isOutbound
      ? [this.holder.payment, this.counterparty.payment]
      : [this.counterparty.payment, this.holder.payment];
    const params = {
      format: this.format,
      keys,
      feeratePerKw: balances.feeratePerKw,
      toSelfDelayBlocks: changes.delayBlocks ?? this.delayBlocks[side],
      ...(changes.leaseCsvBlocks !== undefined && { leaseCsvBlocks: changes.leaseCsvBlocks }),
    };
    const commitment = buildCommitment({
      ...params,
      funding: funding.outpoint,
      commitmentNumber: number,
      obscureFactor: commitmentObscureFactor(opener, accepter),
      broadcasterFundingKey: fundingKey[side],
      countersignatoryFundingKey: fundingKey[other],
      dustLimitSat: sat(this.dustLimitsSat[side]),
      funder: this.isOutbound === (side === 'holder') ? 'broadcaster' : 'countersignatory',
      toBroadcasterMsat: balance[side],
      toCountersignatoryMsat: balance[other],
      htlcs,
    });
    const tx = commitment.transaction;
    const htlcTransactions = buildHtlcTransactions({ ...params, commitmentTxid: txid(tx) }, commitment.htlcs);
    return { commitment, tx, keys, htlcTransactions };
  }

  /** As CLN sends it: with the witness scripts. */
  commitmentTx({ tx, commitment }: Built, funding: Funding = this.funding): BitcoinTx {
    const witnessScripts = commitment.outputs.map(({ witnessScript }) => witnessScript);
    return wireTx(tx, [this.fundingOutput(funding)], witnessScripts);
  }

  /** What the peer's funding key signs on `tx`. */
  peerFundingSignature(tx: Transaction, funding: Funding = this.funding, inputIndex = 0): Uint8Array {
    const script = fundingScript(this.holderFundingKey, funding.peerKey);
    return secp.signEcdsa(fundingSighash(tx, script, sat(funding.valueSat), inputIndex), funding.peerSecret);
  }
}
