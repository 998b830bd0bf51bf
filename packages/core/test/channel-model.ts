/** A small honest channel: every request that a node sends about it, with the peer's real signatures. */
import {
  ANCHOR_SAT,
  anchorScript,
  countersignatoryHtlcHash,
  countersignatoryHtlcSighash,
  derivePrivateKey,
  type HtlcTransaction,
  msat,
  p2wpkhOfKey,
  p2wshOfScript,
  sat,
  type Transaction,
  toLocalScript,
  txid,
} from '@countersign/bitcoin';
import type { BitcoinTx, HsmHtlc, MessageOf } from '@countersign/wire';
import {
  type Balances,
  type BuildChanges,
  type Built,
  type Format,
  type Funding,
  hashOf,
  input,
  wireTx,
} from './channel-parts.ts';
import { ChannelSides } from './channel-sides.ts';
import { secp } from './test-signer.ts';

export * from './channel-parts.ts';

const FEATURE_BYTES: Readonly<Record<Format, Uint8Array>> = {
  static_remotekey: Uint8Array.of(0x10, 0x00),
  anchors_zero_fee_htlc: Uint8Array.of(0x40, 0x10, 0x00),
};

export class ChannelModel extends ChannelSides {
  /** HTLCs with an output, as CLN lists them. */
  #wireHtlcs(balances: Balances, { commitment }: Built): HsmHtlc[] {
    return commitment.htlcs.map(({ htlcIndex }) => {
      const one = balances.htlcs[htlcIndex]!;
      return {
        side: one.offeredBy === 'holder' ? ('local' as const) : ('remote' as const),
        amount: msat(one.amountMsat),
        paymentHash: hashOf(one),
        cltvExpiry: one.cltvExpiry,
      };
    });
  }

  setup(funding: Funding = this.funding): MessageOf<'hsmd_setup_channel'> {
    return {
      name: 'hsmd_setup_channel',
      isOutbound: this.isOutbound,
      channelValue: sat(funding.valueSat),
      pushValue: this.pushMsat,
      fundingTxid: funding.outpoint.txid,
      fundingTxout: funding.outpoint.vout,
      localToSelfDelay: this.delayBlocks.counterparty,
      localShutdownScript: new Uint8Array(0),
      localShutdownWalletIndex: undefined,
      remoteBasepoints: this.counterparty,
      remoteFundingPubkey: funding.peerKey,
      remoteToSelfDelay: this.delayBlocks.holder,
      remoteShutdownScript: new Uint8Array(0),
      channelType: FEATURE_BYTES[this.format],
    };
  }

  signRemote(
    number: number,
    balances: Balances = this.initial,
    funding: Funding = this.funding,
    changes: BuildChanges = {},
  ): MessageOf<'hsmd_sign_remote_commitment_tx'> {
    const built = this.build('counterparty', number, balances, funding, changes);
    return {
      name: 'hsmd_sign_remote_commitment_tx',
      tx: this.commitmentTx(built, funding),
      remoteFundingKey: funding.peerKey,
      remotePerCommit: changes.point ?? this.point('counterparty', number),
      optionStaticRemotekey: true,
      commitNum: BigInt(number),
      htlcs: this.#wireHtlcs(balances, built),
      feerate: balances.feeratePerKw,
    };
  }

  /** One for each HTLC output of the peer's commitment. */
  signRemoteHtlcs(
    number: number,
    balances: Balances,
    funding: Funding = this.funding,
  ): MessageOf<'hsmd_sign_remote_htlc_tx'>[] {
    const built = this.build('counterparty', number, balances, funding);
    return built.htlcTransactions.map((one) => ({
      name: 'hsmd_sign_remote_htlc_tx',
      tx: this.#htlcWireTx(built, one),
      wscript: one.spent.witnessScript,
      remotePerCommitPoint: this.point('counterparty', number),
      optionAnchorOutputs: this.format === 'anchors_zero_fee_htlc',
    }));
  }

  #htlcWireTx(built: Built, one: HtlcTransaction): BitcoinTx {
    return wireTx(one.transaction, [built.commitment.outputs[one.spent.outputIndex]]);
  }

  validate(
    number: number,
    balances: Balances = this.initial,
    funding: Funding = this.funding,
    changes: BuildChanges = {},
  ): MessageOf<'hsmd_validate_commitment_tx'> {
    const built = this.build('holder', number, balances, funding, changes);
    const htlcKey = derivePrivateKey(secp, this.secrets.htlc, this.point('holder', number));
    return {
      name: 'hsmd_validate_commitment_tx',
      tx: this.commitmentTx(built, funding),
      htlcs: this.#wireHtlcs(balances, built),
      commitNum: BigInt(number),
      feerate: balances.feeratePerKw,
      sig: { signature: this.peerFundingSignature(built.tx, funding), sighash: 1 },
      htlcSigs: built.htlcTransactions.map((one) => ({
        signature: secp.signEcdsa(countersignatoryHtlcHash(one, this.format), htlcKey),
        sighash: countersignatoryHtlcSighash(this.format),
      })),
    };
  }

  revoke(number: number): MessageOf<'hsmd_revoke_commitment_tx'> {
    return { name: 'hsmd_revoke_commitment_tx', commitNum: BigInt(number) };
  }

  validateRevocation(number: number): MessageOf<'hsmd_validate_revocation'> {
    return {
      name: 'hsmd_validate_revocation',
      revokeNum: BigInt(number),
      perCommitmentSecret: this.peerPerCommitmentSecret(number),
    };
  }

  getPoint(number: number): MessageOf<'hsmd_get_per_commitment_point'> {
    return { name: 'hsmd_get_per_commitment_point', n: BigInt(number) };
  }

  /** Our own commitment, for publication. */
  signCommitment(
    number: number,
    balances: Balances = this.initial,
    funding: Funding = this.funding,
  ): MessageOf<'hsmd_sign_commitment_tx'> {
    return {
      name: 'hsmd_sign_commitment_tx',
      peerId: this.ref.peerId,
      channelDbid: this.ref.dbid,
      tx: this.commitmentTx(this.build('holder', number, balances, funding), funding),
      remoteFundingKey: funding.peerKey,
      commitNum: BigInt(number),
    };
  }

  /** A legacy close: each its balance, the fee from the funder. */
  closeTx(balances: Balances, feeSat = 1000n, funding: Funding = this.funding): Transaction {
    const outputs = [
      {
        value: sat((balances.holderMsat + funding.addedMsat) / 1000n - (this.isOutbound ? feeSat : 0n)),
        script: p2wpkhOfKey(this.keys.walletPublicKey(3)!),
      },
      {
        value: sat(balances.counterpartyMsat / 1000n - (this.isOutbound ? 0n : feeSat)),
        script: p2wpkhOfKey(this.counterparty.payment),
      },
    ];
    return { version: 2, inputs: [input(funding.outpoint, 0xffff_ffff)], outputs, locktime: 0 };
  }

  mutualClose(tx: Transaction, funding: Funding = this.funding): MessageOf<'hsmd_sign_mutual_close_tx'> {
    return {
      name: 'hsmd_sign_mutual_close_tx',
      tx: wireTx(tx, [this.fundingOutput(funding)]),
      remoteFundingKey: funding.peerKey,
    };
  }

  /** A funding that spends `from` and adds to our balance (takes from it, when negative). */
  spliceOf(label: string, addedSat = 100_000n, from: Funding = this.funding): Funding {
    const addedMsat = from.addedMsat + addedSat * 1000n;
    return this.newFunding(label, from.valueSat + addedSat, addedMsat, from);
  }

  /** The signature of `from`'s keys on the transaction that creates `to`. */
  signSplice(to: Funding, from: Funding = this.funding): MessageOf<'hsmd_sign_splice_tx'> {
    return {
      name: 'hsmd_sign_splice_tx',
      tx: wireTx(to.tx, [to.spent[0], this.fundingOutput(from)]),
      remoteFundingKey: from.peerKey,
      inputIndex: 1,
    };
  }

  /** The same, and nothing proves that its other input is ours: as a splice-out, which has none. */
  signSpliceAlone(to: Funding, from: Funding = this.funding): MessageOf<'hsmd_sign_splice_tx'> {
    return { ...this.signSplice(to, from), tx: wireTx(to.tx, [undefined, this.fundingOutput(from)]) };
  }

  lock(funding: Funding): MessageOf<'hsmd_lock_outpoint'> {
    const { txid: fundingTxid, vout: fundingTxout } = funding.outpoint;
    return { name: 'hsmd_lock_outpoint', fundingTxid, fundingTxout };
  }

  /** Our own signature on each second-level transaction of our own commitment. */
  signLocalHtlcs(
    number: number,
    balances: Balances,
    funding: Funding = this.funding,
  ): MessageOf<'hsmd_sign_any_local_htlc_tx'>[] {
    const built = this.build('holder', number, balances, funding);
    return built.htlcTransactions.map((one) => ({
      name: 'hsmd_sign_any_local_htlc_tx',
      commitNum: BigInt(number),
      tx: this.#htlcWireTx(built, one),
      wscript: one.spent.witnessScript,
      optionAnchorOutputs: this.format === 'anchors_zero_fee_htlc',
      input: 0,
      peerid: this.ref.peerId,
      channelDbid: this.ref.dbid,
    }));
  }

  /** Takes `to_local` of a revoked commitment of the peer. */
  penalty(number: number, balances: Balances): MessageOf<'hsmd_sign_penalty_to_us'> {
    const built = this.build('counterparty', number, balances);
    const { tx, spent } = this.#sweepOf(built, 'to_local');
    return {
      name: 'hsmd_sign_penalty_to_us',
      revocationSecret: this.peerPerCommitmentSecret(number),
      tx: wireTx(tx, [spent]),
      wscript: toLocalScript(built.keys, this.delayBlocks.counterparty),
    };
  }

  /** Sweeps `to_local` of our own commitment. */
  sweepDelayed(number: number, balances: Balances): MessageOf<'hsmd_sign_delayed_payment_to_us'> {
    const built = this.build('holder', number, balances);
    const { tx, spent } = this.#sweepOf(built, 'to_local', this.delayBlocks.holder);
    return {
      name: 'hsmd_sign_delayed_payment_to_us',
      commitNum: BigInt(number),
      tx: wireTx(tx, [spent]),
      wscript: toLocalScript(built.keys, this.delayBlocks.holder),
    };
  }

  /** Claims the first HTLC output of the peer's commitment. */
  claimRemoteHtlc(number: number, balances: Balances): MessageOf<'hsmd_sign_remote_htlc_to_us'> {
    const built = this.build('counterparty', number, balances);
    const [first] = built.commitment.htlcs;
    const { tx, spent } = this.#sweepOf(built, built.commitment.outputs[first!.outputIndex]!.kind, 1);
    return {
      name: 'hsmd_sign_remote_htlc_to_us',
      remotePerCommitmentPoint: this.point('counterparty', number),
      tx: wireTx(tx, [spent]),
      wscript: first!.witnessScript,
      optionAnchorOutputs: this.format === 'anchors_zero_fee_htlc',
    };
  }

  #sweepOf(built: Built, kind: string, sequence = 0xffff_fffd) {
    const vout = built.commitment.outputs.findIndex((output) => output.kind === kind);
    const spent = built.commitment.outputs[vout]!;
    const tx: Transaction = {
      version: 2,
      inputs: [input({ txid: txid(built.tx), vout }, sequence)],
      outputs: [{ value: sat(spent.value - 300n), script: p2wpkhOfKey(this.keys.walletPublicKey(2)!) }],
      locktime: 0,
    };
    return { tx, spent };
  }

  /** Our own anchor of a commitment: the output, its script, and the key that spends it. */
  get holderAnchor() {
    const witnessScript = anchorScript(this.holderFundingKey);
    return { witnessScript, output: { value: ANCHOR_SAT, script: p2wshOfScript(witnessScript) } };
  }
}
