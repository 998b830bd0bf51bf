/**
 * The knowledge set: everything that the signer let out, read off its replies, and what its owner agreed to. Driven by
 * messages alone, so that it serves any player: a simulated node, a replayed recording, a real process.
 */
import type { Request } from '@countersign/wire';
import { toHex } from '../bitcoin/bytes.ts';
import { sha256 } from '../bitcoin/hash.ts';
import { publicKeyOf } from '../bitcoin/keys.ts';
import type { OutPoint, Tx } from '../bitcoin/transaction.ts';
import { Wallet } from '../bitcoin/wallet.ts';
import type { Client, Outcome, OwnerAct } from '../subject.ts';
import { Book } from './book.ts';
import { ChannelFile, type Ending } from './channel-file.ts';
import { type Coin, Coins } from './coins.ts';
import { readInvoice } from './invoice.ts';
import { Payments } from './payments.ts';
import type { HtlcAtStake } from './problem.ts';
import { Released } from './released.ts';
import { approvedWithFeeSat, type OwnerTerms } from './terms.ts';
import { Transcript } from './transcript.ts';
import { asExchanges } from './values-form.ts';

type MessageNamed<N extends Request['name']> = Extract<Request, { name: N }>;

/** Declined requests that the owner may approve later. */
const DECLINED_MAX = 1000;
const TXID_CHARS = 64;

export class Knowledge {
  readonly terms: OwnerTerms;
  readonly book = new Book();
  readonly payments = new Payments();
  readonly coins: Coins;
  readonly released: Released;
  readonly files = new Map<string, ChannelFile>();
  /** The owner's signatures for HTLC transactions of the peer, by the output that they spend. */
  readonly htlcSignatures = new Map<string, { readonly signature: Uint8Array; readonly sighash: number }>();
  /** Where no chain is to be seen: what was set up counts as buried, with the value that it was said to have. */
  believesFundings = false;
  wallet: Wallet | null = null;
  /** Outpoint key → its channel. */
  readonly #fundings = new Map<string, ChannelFile>();
  /** Txid → what it would end. */
  readonly #endings = new Map<string, { readonly file: ChannelFile; readonly ending: Ending }>();
  readonly #scripts = new Map<string, Pick<Coin, 'delayed'>>();
  readonly #approvedTxs = new Set<string>();
  readonly #declinedAmounts = new Map<string, bigint>();
  readonly #transcript: Transcript;

  constructor(terms: OwnerTerms) {
    this.terms = terms;
    for (const script of terms.scripts) this.#scripts.set(toHex(script), { delayed: null });
    const reader = {
      ownerScript: (script: Uint8Array) => this.ownerScript(script),
      fundingOf: (outpoint: string) => this.#fundings.get(outpoint),
      spliceOf: (file: ChannelFile, tx: Tx, txid: string) => this.spliceOf(file, tx, txid),
      endingOf: (txid: string) => this.#endings.get(txid),
      outputAt: (outpoint: OutPoint) => this.released.outputAt(outpoint),
      lossOf: (outpoint: string) => this.released.lossOf(outpoint),
      isApproved: (txid: string) => this.#approvedTxs.has(txid),
    };
    this.coins = new Coins(this.book, reader, this.payments, terms);
    this.released = new Released(this);
    this.#transcript = new Transcript(this);
  }

  ownerScript(script: Uint8Array): Pick<Coin, 'delayed'> | undefined {
    if (this.wallet?.find(script) !== undefined) return { delayed: null };
    return this.#scripts.get(toHex(script));
  }

  fundingOf(outpoint: string): ChannelFile | undefined {
    return this.#fundings.get(outpoint);
  }

  /** The funding of the same channel that a transaction on its funding makes; undefined for what ends the channel. */
  spliceOf(file: ChannelFile, tx: Tx, txid: string): string | undefined {
    return tx.outputs.map((_, vout) => `${txid}:${vout}`).find((key) => file.fundings.has(key));
  }

  endingOf(txid: string): { readonly file: ChannelFile; readonly ending: Ending } | undefined {
    return this.#endings.get(txid);
  }

  file(peerId: Uint8Array, dbid: bigint): ChannelFile {
    const id = `${toHex(peerId)}/${dbid}`;
    const known = this.files.get(id);
    if (known !== undefined) return known;
    const file = new ChannelFile(id, peerId, dbid);
    this.files.set(id, file);
    return file;
  }

  addFunding(file: ChannelFile, key: string): void {
    this.#fundings.set(key, file);
  }

  /**
   * Its number is another channel's now, and what it had before is no more. That was never certain while no funding of it was on the
   * chain; where one is, the owner has lost it, and so it stays.
   */
  beginAgain(file: ChannelFile): void {
    if ([...file.fundings.keys()].some((key) => this.book.depthOf(key.slice(0, TXID_CHARS)) > 0)) return;
    for (const key of file.fundings.keys()) this.#fundings.delete(key);
    file.beginAgain();
  }

  addEnding(file: ChannelFile, ending: Ending): void {
    this.#endings.set(ending.txid, { file, ending });
  }

  addScript(script: Uint8Array, meaning: Pick<Coin, 'delayed'>): void {
    this.#scripts.set(toHex(script), meaning);
  }

  /** The signer answered. A refusal gives nothing away, except that the owner may be asked about it. */
  observed(client: Client, request: Request, outcome: Outcome): void {
    if (outcome.kind === 'refused' || isDeclined(outcome)) this.#declined(request);
    if (outcome.kind === 'refused') return;
    const { reply } = outcome;
    if (reply.name === 'hsmd_init_reply_v4') this.wallet ??= new Wallet(reply.bip32, reply.tlvs.bip86Base);
    if (reply.name === 'vls_hsmd_init2_reply') this.wallet ??= new Wallet(reply.bip32);
    if (request.name === 'countersign_preimages') this.learn(request.preimages);
    if (isPreapproval(request) && 'approved' in reply && reply.approved && !isCheckOnly(request))
      this.#preapproved(request);
    const file = client.channel === null ? null : this.file(client.channel.peerId, client.channel.dbid);
    for (const one of asExchanges(file, request, reply))
      this.#transcript.observed(client, one.request, one.reply);
  }

  learn(preimages: readonly Uint8Array[]): void {
    for (const preimage of preimages) this.payments.learn(toHex(sha256(preimage)));
  }

  /**
   * What came in beyond all that went out or still may is income: the owner's for good. Left in the record it would cover what
   * goes out under the same hash later, and hide it from an approval.
   */
  takeIncome(hash: string): void {
    const incomeSat = -this.coverableSat(hash);
    if (incomeSat > 0) this.payments.settle(hash, { paidSat: 0, creditedSat: -incomeSat });
  }

  /** What went out under the hash, or still may, and what did not come in again for good; negative for income. */
  coverableSat(hash: string): number {
    const { paidSat, creditedSat } = this.payments.of(hash).settled;
    return paidSat + this.#outgoingSat(hash) - creditedSat;
  }

  /**
   * Of what came in for good, as much as covers nothing but HTLCs in commitments that can't be published any more, since the chain has
   * another one. A signer may let it cover something else until that block is buried: so long nobody is certain that it is income.
   */
  get looseCoverSat(): number {
    let sum = 0;
    for (const hash of this.payments.surplus) {
      const { paidSat, creditedSat } = this.payments.of(hash).settled;
      let goneSat = 0;
      for (const file of this.files.values())
        if (file.closedBy !== null)
          goneSat += Math.max(0, mostOffered(file, hash) - this.#offeredOnChain(file.closedBy, hash));
      sum += Math.min(creditedSat - paidSat, goneSat);
    }
    return sum;
  }

  #offeredOnChain({ txid, ending }: NonNullable<ChannelFile['closedBy']>, hash: string): number {
    if (ending === null) return 0;
    return ending.meanings.reduce((sat, meaning, vout) => {
      const isOpen = meaning.is === 'htlc' && this.book.spenderOf(`${txid}:${vout}`) === undefined;
      return isOpen ? sat + offeredSat([meaning.htlc], hash) : sat;
    }, ending.tallies.get(hash)?.paidSat ?? 0);
  }

  #outgoingSat(hash: string): number {
    let sum = 0;
    for (const file of this.files.values()) sum += mostOffered(file, hash);
    return sum;
  }

  /** Only what the owner's own terms say: that the signer said yes is no consent. */
  #preapproved(request: Preapproval): void {
    if (!('invstring' in request)) return;
    const invoice = readInvoice(request.invstring);
    if (invoice === undefined || invoice.amountMsat === null) return;
    if (!this.terms.payees.some((payee) => toHex(payee) === toHex(invoice.payee))) return;
    this.payments.approve(invoice.hash, approvedWithFeeSat(invoice.amountMsat, this.terms));
  }

  #declined(request: Request): void {
    if (!isPreapproval(request)) return;
    if (this.#declinedAmounts.size >= DECLINED_MAX) this.#declinedAmounts.clear();
    if ('invstring' in request) {
      const invoice = readInvoice(request.invstring);
      if (invoice?.amountMsat != null) this.#declinedAmounts.set(invoice.hash, invoice.amountMsat);
    } else {
      this.#declinedAmounts.set(toHex(request.paymentHash), request.amountMsat);
    }
  }

  ownerActed(act: OwnerAct, failure: string | null): void {
    if (failure !== null || act.act !== 'approve') return;
    const amountMsat = act.amountMsat ?? this.#declinedAmounts.get(act.id);
    if (amountMsat !== undefined) this.payments.approve(act.id, approvedWithFeeSat(amountMsat, this.terms));
    // Of a transaction: the id is its txid, as explorers show it.
    else this.#approvedTxs.add(toHex(Uint8Array.from(Buffer.from(act.id, 'hex')).reverse()));
  }

  isApprovedTx(txid: string): boolean {
    return this.#approvedTxs.has(txid);
  }

  connect(txs: readonly Tx[]): void {
    this.coins.connect(this.book.connect(txs));
    this.#markFundings(txs);
  }

  disconnect(): void {
    this.coins.disconnect();
    const gone = this.book.disconnect();
    this.#markFundings(gone.map(({ tx }) => tx));
  }

  /** Blocks that come from now on are only tried; what is returned takes them back, with all that they showed. */
  rehearse(): () => void {
    const { heightBlocks } = this.book;
    const final = [...this.files.values()].filter(({ isFinal }) => !isFinal);
    const learned = this.payments.watchLearning();
    return () => {
      while (this.book.heightBlocks > heightBlocks) this.disconnect();
      for (const hash of learned()) this.payments.forget(hash);
      for (const file of final) file.isFinal = false;
    };
  }

  /** Depths changed: of whatever is shallow. */
  #markFundings(txs: readonly Tx[]): void {
    if (txs.length > 0) this.released.chainChanged();
  }
}

type Preapproval =
  | MessageNamed<'hsmd_preapprove_invoice'>
  | MessageNamed<'hsmd_preapprove_invoice_check'>
  | MessageNamed<'hsmd_preapprove_keysend'>
  | MessageNamed<'hsmd_preapprove_keysend_check'>;

const PREAPPROVALS = new Set<Request['name']>([
  'hsmd_preapprove_invoice',
  'hsmd_preapprove_invoice_check',
  'hsmd_preapprove_keysend',
  'hsmd_preapprove_keysend_check',
]);

const isPreapproval = (request: Request): request is Preapproval => PREAPPROVALS.has(request.name);
const isCheckOnly = (request: Preapproval): boolean => 'checkOnly' in request && request.checkOnly;
const isDeclined = (outcome: Extract<Outcome, { kind: 'reply' }>): boolean =>
  'approved' in outcome.reply && !outcome.reply.approved;

/** The most that an ending of the channel has of it, standing or paid. */
const mostOffered = ({ endings }: ChannelFile, hash: string): number =>
  endings.reduce(
    (most, { htlcs, tallies }) => Math.max(most, offeredSat(htlcs, hash) + (tallies.get(hash)?.paidSat ?? 0)),
    0,
  );

const offeredSat = (htlcs: readonly HtlcAtStake[], hash: string): number =>
  htlcs.reduce(
    (sat, one) => (one.hash === hash && one.direction === 'offered' ? sat + one.valueSat : sat),
    0,
  );

/** Whether a secret belongs to a point. */
export function isSecretOf(secret: Uint8Array, point: Uint8Array | undefined): boolean {
  return point !== undefined && toHex(publicKeyOf(secret)) === toHex(point);
}
