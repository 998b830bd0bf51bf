/**
 * Countersign as the signer of an LDK node: the four interfaces LDK takes, over one door, and what an application has to tell the
 * signer beside LDK. Opened once for a node; it keeps nothing that the signer and LDK do not have.
 */
import { randomBytes as nodeRandomBytes } from 'node:crypto';
import { equalBytes, FormError, type Secp256k1, toHex } from '@countersign/bitcoin';
import type { SyncDoor } from '@countersign/transport';
import {
  type BumpTransactionEvent,
  BumpTransactionEvent_HTLCResolution,
  type BumpTransactionEventHandler,
  type ChainMonitor,
  type ChannelManager,
  EntropySource,
  type NodeSigner,
  Option_C2Tuple_PublicKeyChannelIdZZ,
  type OutputSpender,
  type SignerProvider,
} from 'lightningdevkit';
import { type BlockSource, type FeedOutcome, feedChain } from './chain/feed.ts';
import { type LdkRefusal, type RefusalListener, SignerClient } from './client.ts';
import { nodeSigner } from './node/node-signer.ts';
import { bolt12InvoiceText } from './node/words.ts';
import { ChannelBook } from './signer/channel-book.ts';
import { outputSpender } from './signer/output-spender.ts';
import { signerProvider } from './signer/signer-provider.ts';
import { CoinBook } from './wallet/coin-book.ts';
import { FIRST_KEYS, firstKeys } from './wallet/first-keys.ts';
import { WalletKeys } from './wallet/keys.ts';
import { LdkWallet } from './wallet/wallet.ts';
import { WalletSigner } from './wallet/wallet-signer.ts';

/** What the adapter needs beside LDK. */
export interface LdkSignerOptions {
  readonly door: SyncDoor;
  /** For public keys only: scripts are built here, signatures never. */
  readonly secp: Secp256k1;
  /** Names of channels, and LDK's own chance. */
  readonly randomBytes?: (count: number) => Uint8Array;
  /** The lowest wallet index not handed out yet, where the application remembers it. */
  readonly walletIndex?: number;
}

const INBOUND_PAYMENT_KEY = new TextEncoder().encode('ldk inbound payment key');
const EXPECTED_MAX = 256;

/** The signer of one LDK node: its four interfaces, its wallet, and what the application tells the signer. */
export class LdkSigner {
  readonly entropySource: EntropySource;
  readonly nodeSigner: NodeSigner;
  readonly signerProvider: SignerProvider;
  readonly outputSpender: OutputSpender;
  readonly wallet: LdkWallet;
  readonly nodeId: Uint8Array;
  readonly networkName: string;
  readonly #client: SignerClient;
  readonly #book: ChannelBook;
  readonly #walletSigner: WalletSigner;
  readonly #expected = { payment: [] as Uint8Array[], description: [] as Uint8Array[] };
  #isDeferred = false;

  private constructor(client: SignerClient, options: LdkSignerOptions, identity: NodeIdentity) {
    const { secp, randomBytes = (count) => new Uint8Array(nodeRandomBytes(count)) } = options;
    this.#client = client;
    this.nodeId = identity.nodeId;
    this.networkName = identity.networkName;
    const book = new ChannelBook(client);
    const walletIndex = Math.max(options.walletIndex ?? 0, FIRST_KEYS);
    const keys = new WalletKeys(secp, identity.bip32, identity.walletFirst, walletIndex);
    const coins = new CoinBook((script) => keys.indexOf(script));
    const wallet = new WalletSigner(client, book, keys, coins);
    this.#book = book;
    this.#walletSigner = wallet;
    this.wallet = new LdkWallet(client, wallet, walletIndex);
    const onDeferred = (): void => {
      this.#isDeferred = true;
    };
    const parts = { client, book, secp, wallet, onDeferred };
    this.entropySource = EntropySource.new_impl({ get_secure_random_bytes: () => randomBytes(32) });
    this.nodeSigner = nodeSigner({ ...parts, ...identity, expected: this.#expected, randomBytes });
    this.signerProvider = signerProvider({ ...parts, addresses: this.wallet, randomBytes });
    this.outputSpender = outputSpender(parts);
  }

  /**
   * Asks the signer who it is. LDK's library has to be loaded.
   *
   * @throws {FormError} when the signer does not answer: there is no node without it.
   */
  static open(options: LdkSignerOptions): LdkSigner {
    const client = new SignerClient(options.door);
    return new LdkSigner(client, options, introduce(client, options.secp));
  }

  // ── What the application tells the signer ──

  /**
   * Before `channelManager.send_payment_for_bolt12_invoice`: what `Event_InvoiceReceived` brings, as its `invoice.write()`. LDK has to be
   * told to wait for it (`UserConfig.set_manually_handle_bolt12_invoices`).
   */
  preapproveBolt12Invoice(invoice: Uint8Array): boolean {
    return this.preapproveInvoice(bolt12InvoiceText(invoice));
  }

  /** Before `channelManager.send_payment`. False: the signer will not let it out. */
  preapproveInvoice(invoice: string): boolean {
    const request = { name: 'hsmd_preapprove_invoice', invstring: invoice } as const;
    const asked = this.#client.ask<'hsmd_preapprove_invoice'>('preapprove_invoice', null, request);
    return this.#isApproved('preapprove_invoice', request.name, asked);
  }

  /** Before `channelManager.send_spontaneous_payment`. */
  preapproveKeysend(destination: Uint8Array, paymentHash: Uint8Array, amountMsat: bigint): boolean {
    const asked = this.#client.ask<'hsmd_preapprove_keysend'>('preapprove_keysend', null, {
      name: 'hsmd_preapprove_keysend',
      destination,
      paymentHash,
      amountMsat: amountMsat as never,
    });
    return this.#isApproved('preapprove_keysend', 'hsmd_preapprove_keysend', asked);
  }

  #isApproved(
    method: string,
    request: 'hsmd_preapprove_invoice' | 'hsmd_preapprove_keysend',
    asked: { ok: true; reply: { approved: boolean } } | { ok: false; refusal: LdkRefusal },
  ): boolean {
    if (!asked.ok) return false;
    const { approved } = asked.reply;
    if (!approved) this.#client.refuse(method, null, request, 'declined: the signer’s own log says why');
    return approved;
  }

  /** What is pushed to the other side, before `create_channel` or `accept_inbound_channel` with this id. */
  announceChannel(userChannelId: bigint, pushMsat: bigint): void {
    this.#book.announce(userChannelId, pushMsat);
  }

  /** For invoices with a payment or description hash of the application's choice: LDK does not show them to its signer. */
  announceInvoice(hashes: {
    readonly paymentHash?: Uint8Array;
    readonly descriptionHash?: Uint8Array;
  }): void {
    if (hashes.paymentHash !== undefined) put(this.#expected.payment, hashes.paymentHash);
    if (hashes.descriptionHash !== undefined) put(this.#expected.description, hashes.descriptionHash);
  }

  /** Preimages that the application knows and LDK does not deliver, such as those of its own hold invoices. */
  learnPreimages(preimages: readonly Uint8Array[]): boolean {
    return this.#book.learn('learn_preimages', preimages) === null;
  }

  /** Headers and blocks, for a signer that takes the chain from its node. Before LDK is told of them. */
  feedChain(source: BlockSource): Promise<FeedOutcome> {
    return feedChain(this.#client, source);
  }

  /** In place of `handler.handle_event(event)`. */
  handleBump(event: BumpTransactionEvent, handler: BumpTransactionEventHandler): void {
    const keysId =
      event instanceof BumpTransactionEvent_HTLCResolution
        ? event.htlc_descriptors[0]?.get_channel_derivation_parameters().get_keys_id()
        : undefined;
    if (keysId === undefined) handler.handle_event(event);
    else this.#walletSigner.bumping(keysId, () => handler.handle_event(event));
  }

  // ── Refusals ──

  /** Every call that was not answered as LDK wanted, after it has returned. */
  onRefusal(listener: RefusalListener): void {
    this.#client.onRefusal(listener);
  }

  /** Whether LDK waits for a call that was refused. */
  get isDeferred(): boolean {
    return this.#isDeferred;
  }

  /** LDK makes the calls again that were refused. With each block, with an approval, and from time to time. */
  retry(manager: ChannelManager, monitor: ChainMonitor): void {
    if (!this.#isDeferred) return;
    this.#isDeferred = false;
    manager.signer_unblocked(Option_C2Tuple_PublicKeyChannelIdZZ.constructor_none());
    monitor.signer_unblocked(null);
  }

  /**
   * Another door to the same signer, in place of one that broke: what the signer could not take is asked there. `retry` afterwards.
   * The one before is the caller's to close.
   *
   * @throws {FormError} when there is no signer behind it, or another: then nothing has changed.
   */
  moveTo(door: SyncDoor): void {
    const { door: before } = this.#client;
    this.#client.moveTo(door);
    const info = this.#client.ask<'vls_node_info'>('moveTo', null, { name: 'vls_node_info' });
    if (info.ok && equalBytes(info.reply.nodeId, this.nodeId)) return;
    this.#client.moveTo(before);
    throw new FormError(
      info.ok
        ? 'the signer behind this door is another'
        : `no signer answers at this door: ${info.refusal.text}`,
    );
  }

  close(): Promise<void> {
    return this.#client.door.close();
  }
}

interface NodeIdentity {
  readonly nodeId: Uint8Array;
  readonly networkName: string;
  readonly bip32: Uint8Array;
  readonly walletFirst: readonly Uint8Array[];
  readonly inboundPaymentKey: Uint8Array;
}

function introduce(client: SignerClient, secp: Secp256k1): NodeIdentity {
  const info = client.ask<'vls_node_info'>('open', null, { name: 'vls_node_info' });
  if (!info.ok) throw new FormError(`the signer does not say who it is: ${info.refusal.text}`);
  const secret = client.ask<'hsmd_derive_secret'>('open', null, {
    name: 'hsmd_derive_secret',
    info: INBOUND_PAYMENT_KEY,
  });
  if (!secret.ok) throw new FormError(`the signer gives no key for inbound payments: ${secret.refusal.text}`);
  // None now, but whoever sends this promises to.
  client.ask<'countersign_preimages'>('open', null, { name: 'countersign_preimages', preimages: [] });
  const { nodeId, networkName, bip32 } = info.reply;
  const walletFirst = firstKeys(client, secp);
  return { nodeId, networkName, bip32, walletFirst, inboundPaymentKey: secret.reply.secret };
}

function put(list: Uint8Array[], value: Uint8Array): void {
  if (list.some((one) => toHex(one) === toHex(value))) return;
  list.push(value.slice());
  if (list.length > EXPECTED_MAX) list.shift();
}
