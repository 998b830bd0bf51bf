/**
 * The owner's coins as the chain has them, and what spends of them the owner agreed to. A block that is taken back leaves no
 * trace, except that what it showed stays known.
 */
import { toHex } from '../bitcoin/bytes.ts';
import { sha256 } from '../bitcoin/hash.ts';
import { type OutPoint, outpointKey, type Tx, type TxOutput, weightOf } from '../bitcoin/transaction.ts';
import type { Book } from './book.ts';
import type { ChannelFile, Ending } from './channel-file.ts';
import { isOwnFunding, livedOn } from './fundings.ts';
import type { Payments } from './payments.ts';
import type { HtlcAtStake } from './problem.ts';
import { agreedFeeSat, type OwnerTerms } from './terms.ts';

export interface Coin {
  readonly valueSat: number;
  /** Hex. */
  readonly txid: string;
  /** Created without any coin of the owner's: it counts once it is buried. */
  readonly isForeign: boolean;
  /** A delayed output: worth nothing once the secret of its number is out. */
  readonly delayed: { readonly file: ChannelFile; readonly number: number } | null;
}

/** What the referee knows beside the chain. */
export interface Reader {
  /** Undefined: not the owner's. */
  ownerScript(script: Uint8Array): Pick<Coin, 'delayed'> | undefined;
  /** The channel whose funding it is. */
  fundingOf(outpoint: string): ChannelFile | undefined;
  /** The funding of the channel that a transaction on its funding makes. */
  spliceOf(file: ChannelFile, tx: Tx, txid: string): string | undefined;
  endingOf(txid: string): { readonly file: ChannelFile; readonly ending: Ending } | undefined;
  /** In the chain, or of a transaction that may come there. */
  outputAt(outpoint: OutPoint): TxOutput | undefined;
  /** What may be lost of an output by a spend that is signed already. */
  lossOf(outpoint: string): number;
  /** Whether the owner approved this output of this transaction. */
  isApproved(txid: string, vout: number): boolean;
}

interface HtlcInput {
  readonly htlc: HtlcAtStake;
  readonly witness: readonly Uint8Array[];
}

export class Coins {
  readonly #book: Book;
  readonly #reader: Reader;
  readonly #payments: Payments;
  readonly #terms: OwnerTerms;
  readonly coins = new Map<string, Coin>();
  /** Transactions in the chain that spent a coin of the owner's. */
  readonly selfMade = new Set<string>();
  /** Left with the owner's consent: approved outputs, and agreed fees of commitments, closes and claims. */
  agreedSat = 0;
  /** Agreed fees of spends of the wallet; how much of it counts depends on time. */
  walletFeesSat = 0;
  readonly #undo: (() => void)[][] = [];

  constructor(book: Book, reader: Reader, payments: Payments, terms: OwnerTerms) {
    this.#book = book;
    this.#reader = reader;
    this.#payments = payments;
    this.#terms = terms;
  }

  /** After `Book.connect` of the same block. */
  connect(txids: readonly string[]): void {
    const undo: (() => void)[] = [];
    this.#undo.push(undo);
    for (const txid of txids) this.#confirm(txid, this.#book.find(txid)!.tx, undo);
  }

  /** Before or after `Book.disconnect`. */
  disconnect(): void {
    for (const step of (this.#undo.pop() ?? []).reverse()) step();
  }

  #confirm(txid: string, tx: Tx, undo: (() => void)[]): void {
    const { spentSat, htlcs, closes } = this.#spend(tx, txid, undo);
    const isSelfMade = spentSat > 0 || htlcs.length > 0 || closes;
    if (isSelfMade) {
      this.selfMade.add(txid);
      undo.push(() => this.selfMade.delete(txid));
    }
    const ownSat = this.#create(txid, tx, !isSelfMade, undo);
    const claimedSat = this.#resolve(htlcs, ownSat - spentSat, tx, undo);
    if (spentSat + claimedSat > 0)
      this.#agree(txid, tx, spentSat + claimedSat - ownSat, claimedSat > 0, undo);
  }

  #spend(tx: Tx, txid: string, undo: (() => void)[]) {
    let spentSat = 0;
    let closes = false;
    const htlcs: HtlcInput[] = [];
    for (const input of tx.inputs) {
      const key = outpointKey(input);
      const coin = this.coins.get(key);
      if (coin !== undefined) {
        this.coins.delete(key);
        undo.push(() => this.coins.set(key, coin));
        spentSat += coin.valueSat;
      }
      const file = this.#reader.fundingOf(key);
      if (file !== undefined) {
        // What is called a funding and is none is spent by whoever has it.
        closes ||= isOwnFunding((one) => this.#reader.outputAt(one), file, key);
        this.#close(file, key, tx, txid, undo);
      }
      const meaning = this.#reader.endingOf(toHex(input.txid))?.ending.meanings[input.vout];
      if (meaning?.is === 'htlc') htlcs.push({ htlc: meaning.htlc, witness: input.witness });
    }
    return { spentSat, htlcs, closes };
  }

  /** A splice ends nothing, nor does a spend of another round's funding while the channel lives on; but they have their fees. */
  #close(file: ChannelFile, key: string, tx: Tx, txid: string, undo: (() => void)[]): void {
    const ending = this.#reader.endingOf(txid)?.ending ?? null;
    const before = file.closedBy;
    const isSplice = this.#reader.spliceOf(file, tx, txid) !== undefined;
    const spliceOf: Reader['spliceOf'] = (...asked) => this.#reader.spliceOf(...asked);
    if (!isSplice && before?.ending == null && (livedOn(this.#book, spliceOf, file, txid) ?? key) === key)
      file.closedBy = { txid, ending };
    const feeSat = ending?.feeSat ?? 0;
    this.agreedSat += feeSat;
    undo.push(() => {
      file.closedBy = before;
      this.agreedSat -= feeSat;
    });
  }

  #create(txid: string, tx: Tx, isForeign: boolean, undo: (() => void)[]): number {
    let ownSat = 0;
    tx.outputs.forEach(({ value, script }, vout) => {
      const found = this.#reader.ownerScript(script);
      if (found === undefined) return;
      const key = `${txid}:${vout}`;
      const valueSat = Number(value);
      ownSat += valueSat;
      this.coins.set(key, { valueSat, txid, isForeign, delayed: found.delayed });
      undo.push(() => this.coins.delete(key));
    });
    return ownSat;
  }

  /**
   * Who took HTLCs: the owner, when the transaction gives it more than it took of its coins. What of them the owner
   * got back or claimed, in satoshi.
   */
  #resolve(htlcs: readonly HtlcInput[], gainSat: number, tx: Tx, undo: (() => void)[]): number {
    let claimedSat = 0;
    for (const { htlc, witness } of htlcs) {
      const { hash, valueSat, direction } = htlc;
      const isOwners =
        gainSat > 0 || tx.outputs.every(({ script }) => this.#reader.ownerScript(script) !== undefined);
      if (isOwners) claimedSat += valueSat;
      if (witness.some((item) => item.length === 32 && toHex(sha256(item)) === hash))
        this.#payments.learn(hash);
      const isPaid = !isOwners && direction === 'offered';
      const isCredited = isOwners && direction === 'received';
      if (!isPaid && !isCredited) continue;
      const paidSat = isPaid ? valueSat : 0;
      const creditedSat = isCredited ? valueSat : 0;
      this.#payments.settle(hash, { paidSat, creditedSat });
      undo.push(() => this.#payments.settle(hash, { paidSat: -paidSat, creditedSat: -creditedSat }));
    }
    return claimedSat;
  }

  /** `lossSat`: what the owner has less of its own after it. */
  #agree(txid: string, tx: Tx, lossSat: number, isClaim: boolean, undo: (() => void)[]): void {
    const { approvedSat, feeSat } = this.consent(txid, tx);
    const approved = Math.max(0, Math.min(lossSat, approvedSat));
    const fee = Math.max(0, Math.min(lossSat - approved, feeSat));
    this.agreedSat += approved + (isClaim ? fee : 0);
    this.walletFeesSat += isClaim ? 0 : fee;
    undo.push(() => {
      this.agreedSat -= approved + (isClaim ? fee : 0);
      this.walletFeesSat -= isClaim ? 0 : fee;
    });
  }

  /** What of a transaction's outputs and fee the owner agreed to; the fee only where all inputs are known. */
  consent(txid: string, tx: Tx): { readonly approvedSat: number; readonly feeSat: number } {
    const outSat = tx.outputs.reduce((sum, { value }) => sum + Number(value), 0);
    // A commitment that is bumped may be in no block yet.
    const spent = tx.inputs.map((input) => this.#reader.outputAt(input));
    const inSat = spent.reduce((sum, output) => sum + Number(output?.value ?? 0n), 0);
    const { onchainFeeratePerKwMax, onchainFeeSatMax } = this.#terms;
    const paidSat = spent.includes(undefined) ? 0 : Math.max(0, inSat - outSat);
    const feeSat = Math.min(agreedFeeSat(paidSat, weightOf(tx), onchainFeeratePerKwMax), onchainFeeSatMax);
    const approvedSat = tx.outputs.reduce(
      (sum, { value }, vout) => (this.#reader.isApproved(txid, vout) ? sum + Number(value) : sum),
      0,
    );
    return { approvedSat, feeSat };
  }

  /** For certain, and what may still be taken back or may be late. */
  worth(): { readonly certainSat: number; readonly slackSat: number } {
    let certainSat = 0;
    let slackSat = 0;
    for (const [key, { valueSat: faceSat, txid, isForeign, delayed }] of this.coins) {
      if (delayed !== null && delayed.number <= delayed.file.secretsReleasedMax) continue;
      const valueSat = faceSat - this.#reader.lossOf(key);
      const isFinal = !isForeign || this.#book.depthOf(txid) >= this.#terms.finalDepthBlocks;
      if (isFinal) certainSat += valueSat;
      else slackSat += valueSat;
    }
    return { certainSat, slackSat };
  }
}
