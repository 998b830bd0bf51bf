/**
 * A small honest channel: our side's public keys from a key ring, the peer's side with secrets of its own, and every
 * request a node sends about it, with the peer's real signatures. BOLT 3 comes from `@countersign/bitcoin`.
 */
import {
  ANCHOR_SAT,
  anchorScript,
  type Basepoints,
  buildCommitment,
  buildHtlcTransactions,
  type Commitment,
  type CommitmentHtlc,
  type CommitmentKeys,
  commitmentObscureFactor,
  countersignatoryHtlcHash,
  countersignatoryHtlcSighash,
  createPsbt,
  deriveCommitmentKeys,
  derivePrivateKey,
  equalBytes,
  fundingScript,
  fundingSighash,
  type HtlcTransaction,
  msat,
  type OutPoint,
  PSBT_IN,
  PSBT_OUT,
  type Psbt,
  p2wpkhOfKey,
  p2wshOfScript,
  perCommitmentSecret,
  psbtOutputWitnessScript,
  psbtSpentOutput,
  sat,
  serializeTransaction,
  setPsbtInputField,
  setPsbtWitnessUtxo,
  sha256,
  type Transaction,
  type TxOutput,
  toHex,
  toLocalScript,
  txid,
} from '@countersign/bitcoin';
import type { ChannelRef, KeyView } from '@countersign/core';
import type { BitcoinTx, HsmHtlc, MessageOf } from '@countersign/wire';
import { bytesOf, secp } from './test-signer.ts';

export type Format = 'static_remotekey' | 'anchors_zero_fee_htlc';
export type Party = 'holder' | 'counterparty';

export interface ModelHtlc {
  readonly offeredBy: Party;
  readonly amountMsat: bigint;
  readonly preimage: Uint8Array;
  readonly cltvExpiry: number;
  /** A hash that nobody knows a preimage of. */
  readonly paymentHash?: Uint8Array;
}

export const hashOf = (htlc: ModelHtlc): Uint8Array => htlc.paymentHash ?? sha256(htlc.preimage);

/** What a commitment of either side says, apart from its number. Amounts in HTLCs are in no balance. */
export interface Balances {
  readonly holderMsat: bigint;
  readonly counterpartyMsat: bigint;
  readonly feeratePerKw: number;
  readonly htlcs: readonly ModelHtlc[];
}

/** A transaction output that is, or may become, the channel's funding. */
export interface Funding {
  readonly tx: Transaction;
  /** What its inputs spend: an output of our wallet (key 5), and for a splice the funding before. */
  readonly spent: readonly TxOutput[];
  readonly outpoint: OutPoint;
  readonly valueSat: bigint;
  readonly peerSecret: Uint8Array;
  readonly peerKey: Uint8Array;
  /** What a splice adds to our balance (or takes) in commitments on this funding. */
  readonly addedMsat: bigint;
}

export interface ModelOptions {
  readonly format?: Format;
  readonly isOutbound?: boolean;
  readonly dbid?: bigint;
  readonly peer?: string;
  /** In the place of the peer's node id in the channel's name, 33 bytes. */
  readonly name?: Uint8Array;
  readonly valueSat?: bigint;
  readonly pushMsat?: bigint;
  /** By whose commitment it is. */
  readonly dustLimitsSat?: Readonly<Record<Party, bigint>>;
}

/** What is wrong with a commitment, for tests of its form. */
export interface BuildChanges {
  readonly point?: Uint8Array;
  readonly keys?: Partial<CommitmentKeys>;
  readonly delayBlocks?: number;
  readonly holderFundingKey?: Uint8Array;
  readonly peerFundingKey?: Uint8Array;
  readonly leaseCsvBlocks?: number;
}

export interface Built {
  readonly commitment: Commitment;
  readonly tx: Transaction;
  readonly keys: CommitmentKeys;
  readonly htlcTransactions: readonly HtlcTransaction[];
}

export const DUST_LIMIT_SAT = 546n;
/** What transactions that create fundings pay. */
export const FUNDING_FEE_SAT = 1000n;
const FEATURE_BYTES: Readonly<Record<Format, Uint8Array>> = {
  static_remotekey: Uint8Array.of(0x10, 0x00),
  anchors_zero_fee_htlc: Uint8Array.of(0x40, 0x10, 0x00),
};

/**
 * A transaction as the hsmd wire carries it: with a PSBT that says what its inputs spend and, in commitments, has the
 * witness script of every P2WSH output.
 */
export function wireTx(
  tx: Transaction,
  spent: readonly (TxOutput | undefined)[],
  witnessScripts: readonly (Uint8Array | null | undefined)[] = [],
): BitcoinTx {
  const psbt = psbtOf(tx, spent);
  const outputs = psbt.outputs.map((map, i) => {
    const value = witnessScripts[i];
    if (value === undefined || value === null) return map;
    return [...map, { type: PSBT_OUT.WITNESS_SCRIPT, keyData: new Uint8Array(0), value }];
  });
  return { tx, psbt: { ...psbt, outputs } };
}

/** A PSBT of `tx` that says what each input spends, with the whole previous transaction of wallet outputs. */
export function psbtOf(tx: Transaction, spent: readonly (TxOutput | undefined)[]): Psbt {
  let psbt = createPsbt(tx);
  spent.forEach((output, i) => {
    if (output === undefined) return;
    psbt = setPsbtWitnessUtxo(psbt, i, output);
    const { txid: previousId, vout } = tx.inputs[i]!;
    const previous = previousTransactions.get(toHex(previousId));
    const same = previous?.outputs[vout];
    if (previous === undefined || same === undefined) return;
    if (same.value === output.value && equalBytes(same.script, output.script))
      psbt = setPsbtInputField(psbt, i, PSBT_IN.NON_WITNESS_UTXO, serializeTransaction(previous));
  });
  return psbt;
}

/** Transactions that created outputs of wallets, by txid: lightningd has them, and puts them into its PSBTs. */
const previousTransactions = new Map<string, Transaction>();

/** Where an output lies that some earlier transaction created; `vout` others before it. */
export function walletOutPoint(label: string, output: TxOutput, vout = 0): OutPoint {
  const filler = { value: sat(1000), script: p2wpkhOfKey(secp.publicKey(bytesOf('a payer'))) };
  const outputs = [...Array.from({ length: vout }, () => filler), output];
  const tx = { version: 2, inputs: [input({ txid: bytesOf(label), vout: 0 })], outputs, locktime: 0 };
  const id = txid(tx);
  previousTransactions.set(toHex(id), tx);
  return { txid: id, vout };
}

/** The witness scripts of a PSBT's outputs, by the output script that commits to them. */
function witnessScriptsOf({ tx, psbt }: BitcoinTx): ReadonlyMap<string, Uint8Array> {
  const scripts = new Map<string, Uint8Array>();
  for (const [i, { script }] of tx.outputs.entries()) {
    const witnessScript = psbtOutputWitnessScript(psbt, i);
    if (witnessScript !== undefined) scripts.set(toHex(script), witnessScript);
  }
  return scripts;
}

/** The same request about another transaction; what its inputs spend and its scripts are stays as it was. */
export function retx<R extends { readonly tx: BitcoinTx }>(
  request: R,
  change: (tx: Transaction) => Partial<Transaction>,
): R {
  const { tx, psbt } = request.tx;
  const changed = { ...tx, ...change(tx) };
  const spent = changed.inputs.map((_, i) => (i < tx.inputs.length ? psbtSpentOutput(psbt, i) : undefined));
  const known = witnessScriptsOf(request.tx);
  const witnessScripts = changed.outputs.map(({ script }) => known.get(toHex(script)));
  return { ...request, tx: wireTx(changed, spent, witnessScripts) };
}

export function input(outpoint: OutPoint, sequence = 0xffff_fffd): Transaction['inputs'][number] {
  return { ...outpoint, scriptSig: new Uint8Array(0), sequence, witness: [] };
}

export const htlc = (
  offeredBy: Party,
  amountSat: number,
  label: string,
  cltvExpiry = 700_000,
): ModelHtlc => ({ offeredBy, amountMsat: BigInt(amountSat) * 1000n, preimage: bytesOf(label), cltvExpiry });

export class ChannelModel {
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

  /** What the peer's funding key signs on `tx`. */
  peerFundingSignature(tx: Transaction, funding: Funding = this.funding, inputIndex = 0): Uint8Array {
    const script = fundingScript(this.holderFundingKey, funding.peerKey);
    return secp.signEcdsa(fundingSighash(tx, script, sat(funding.valueSat), inputIndex), funding.peerSecret);
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
