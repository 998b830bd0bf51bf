/**
 * What a node of this world needs of whoever holds its keys: LDK's signer interfaces, and a wallet for fundings and fees. LDK's
 * own KeysManager fills it (a peer, the yardstick), and so does a Countersign signer.
 */
import type {
  BumpTransactionEvent,
  BumpTransactionEventHandler,
  ChainMonitor,
  ChannelManager,
  CoinSelectionSource,
  EntropySource,
  Logger,
  NodeSigner,
  OutputSpender,
  SignerProvider,
} from 'lightningdevkit';
import type { ConnectedBlock } from '../chain/embedded-chain.ts';

export interface UnsignedFunding {
  /** Internal byte order. */
  readonly txid: Uint8Array;
  readonly vout: number;
}

export interface FundingOrder {
  readonly script: Uint8Array;
  readonly valueSat: bigint;
  readonly feeratePerKw: number;
}

export interface NodeWallet {
  /** Where coins may come in. */
  receiveScript(): Uint8Array;
  /** Where LDK sweeps to. */
  changeScript(): Uint8Array;
  /** Confirmed and not reserved. */
  balanceSat(): bigint;
  /** Null when there are no coins for it. */
  buildFunding(order: FundingOrder): UnsignedFunding | null;
  /** What `buildFunding` made, signed; null when the signer will not. */
  signFunding(txid: Uint8Array): Uint8Array | null;
  coinSelection(logger: Logger): CoinSelectionSource;
}

export interface NodeKeys {
  readonly entropySource: EntropySource;
  readonly nodeSigner: NodeSigner;
  readonly signerProvider: SignerProvider;
  readonly outputSpender: OutputSpender;
  readonly wallet: NodeWallet;
  /** Static outputs go to the wallet already and need no sweep. */
  readonly staticOutputsAreWallet: boolean;
  /** Before the node hears of it. */
  blockConnected(block: ConnectedBlock): Promise<void>;
  /** May the node pay this? */
  preapproveInvoice(invoice: string): boolean;
  /** What LDK's `Bolt12Invoice.write()` gives. */
  preapproveBolt12Invoice(invoice: Uint8Array): boolean;
  preapproveKeysend(destination: Uint8Array, paymentHash: Uint8Array, amountMsat: bigint): boolean;
  /** Terms the signer is not told by LDK, before the channel is set up. */
  announceChannel(userChannelId: bigint, pushMsat: bigint): void;
  /** Calls that the signer could not answer are made again. */
  retry(manager: ChannelManager, monitor: ChainMonitor): void;
  handleBump(event: BumpTransactionEvent, handler: BumpTransactionEventHandler): void;
  close(): Promise<void>;
}
