/**
 * A complete LDK node: channels, monitors, peers, gossip, sweeps, fee bumps, over the keys it is given. Everything LDK calls back
 * only takes notes; the node acts on them in `turn`, outside of every callback, because LDK must never be entered twice.
 */
import {
  BestBlock,
  BumpTransactionEventHandler,
  ChainMonitor,
  ChainParameters,
  ChangeDestinationSource,
  ChannelManager,
  type ChannelMonitor,
  type Event,
  EventHandler,
  IgnoringMessageHandler,
  Network,
  OnionMessenger,
  Option_FilterZ,
  Option_UtxoLookupZ,
  OutputSweeper,
  P2PGossipSync,
  PeerManager,
  Result_C2Tuple_ThirtyTwoBytesChannelManagerZDecodeErrorZ_OK,
  Result_C2Tuple_ThirtyTwoBytesChannelMonitorZDecodeErrorZ_OK,
  Result_CVec_u8ZNoneZ,
  Result_NoneReplayEventZ,
  Result_OutputSweeperDecodeErrorZ_OK,
  UtilMethods,
} from 'lightningdevkit';
import type { ConnectedBlock, EmbeddedChain } from '../chain/embedded-chain.ts';
import { EventDesk } from './event-desk.ts';
import type { NodeKeys } from './keys.ts';
import { FeeRates, NODE_SETTINGS, NodeLog, type NodeSettings, Outbox, routing, userConfig } from './parts.ts';
import { NodeDisk, persistTo, storeOn } from './records.ts';

export interface NodeOptions {
  readonly name: string;
  readonly keys: NodeKeys;
  readonly chain: EmbeddedChain;
  readonly settings?: Partial<NodeSettings>;
  /** With something on it, the node is started from it. */
  readonly disk?: NodeDisk;
  readonly fees?: FeeRates;
  /** 32 bytes for PeerManager. */
  readonly ephemeral: Uint8Array;
}

export class LightningNode {
  readonly name: string;
  readonly keys: NodeKeys;
  readonly chain: EmbeddedChain;
  readonly settings: NodeSettings;
  readonly disk: NodeDisk;
  readonly fees: FeeRates;
  readonly log = new NodeLog();
  readonly outbox = new Outbox();
  readonly manager: ChannelManager;
  readonly monitor: ChainMonitor;
  readonly peers: PeerManager;
  readonly messenger: OnionMessenger;
  readonly sweeper: OutputSweeper;
  readonly bumps: BumpTransactionEventHandler;
  readonly desk: EventDesk;
  /** What the chain would not take, with the reason. */
  readonly unwanted: string[] = [];
  readonly #events: Event[] = [];
  readonly #handler: EventHandler;
  readonly #logger;
  readonly #estimator;
  /** Kept so that the wrappers live as long as the node. */
  readonly #held: unknown[];
  #heightBlocks: number;

  constructor(options: NodeOptions) {
    const { keys, chain } = options;
    this.name = options.name;
    this.keys = keys;
    this.chain = chain;
    this.settings = { ...NODE_SETTINGS, ...options.settings };
    this.disk = options.disk ?? new NodeDisk();
    this.fees = options.fees ?? new FeeRates();
    const logger = this.log.logger();
    const broadcaster = this.outbox.broadcaster();
    const estimator = this.fees.estimator();
    this.#logger = logger;
    this.#estimator = estimator;
    const persister = persistTo(this.disk);
    this.monitor = ChainMonitor.constructor_new(
      Option_FilterZ.constructor_none(),
      broadcaster,
      logger,
      estimator,
      persister,
    );
    const parts = routing(keys.entropySource, logger);
    const monitors = this.#readMonitors();
    const config = userConfig(this.settings);
    const watch = this.monitor.as_Watch();
    this.manager = this.#openManager(watch, broadcaster, parts, config, monitors);
    for (const monitor of monitors) watch.watch_channel(monitor.get_funding_txo().get_a(), monitor);
    this.sweeper = this.#openSweeper(broadcaster);
    const coins = keys.wallet.coinSelection(logger);
    this.bumps = BumpTransactionEventHandler.constructor_new(broadcaster, coins, keys.signerProvider, logger);
    const gossip = P2PGossipSync.constructor_new(parts.graph, Option_UtxoLookupZ.constructor_none(), logger);
    const ignore = IgnoringMessageHandler.constructor_new();
    this.messenger = OnionMessenger.constructor_new(
      keys.entropySource,
      keys.nodeSigner,
      logger,
      this.manager.as_NodeIdLookUp(),
      parts.messageRouter.as_MessageRouter(),
      this.manager.as_OffersMessageHandler(),
      this.manager.as_AsyncPaymentsMessageHandler(),
      this.manager.as_DNSResolverMessageHandler(),
      ignore.as_CustomOnionMessageHandler(),
    );
    this.peers = PeerManager.constructor_new(
      this.manager.as_ChannelMessageHandler(),
      gossip.as_RoutingMessageHandler(),
      this.messenger.as_OnionMessageHandler(),
      ignore.as_CustomMessageHandler(),
      chain.nowSeconds,
      options.ephemeral,
      logger,
      keys.nodeSigner,
    );
    this.#handler = EventHandler.new_impl({
      handle_event: (event) => {
        this.#events.push(event.clone());
        return Result_NoneReplayEventZ.constructor_ok();
      },
    });
    this.#held = [parts, broadcaster, persister, coins, gossip, ignore, watch, config];
    this.desk = new EventDesk(this);
    this.#heightBlocks = this.manager.current_best_block().get_height();
  }

  get nodeId(): Uint8Array {
    return this.manager.get_our_node_id();
  }

  #readMonitors(): ChannelMonitor[] {
    const { entropySource, signerProvider } = this.keys;
    return [...this.disk.monitors.values()].map((bytes) => {
      const read = UtilMethods.constructor_C2Tuple_ThirtyTwoBytesChannelMonitorZ_read(
        bytes,
        entropySource,
        signerProvider,
      );
      if (!(read instanceof Result_C2Tuple_ThirtyTwoBytesChannelMonitorZDecodeErrorZ_OK))
        throw new Error(`${this.name}: a monitor cannot be read`);
      return read.res.get_b();
    });
  }

  #openManager(
    watch: ReturnType<ChainMonitor['as_Watch']>,
    broadcaster: ReturnType<Outbox['broadcaster']>,
    { router, messageRouter }: ReturnType<typeof routing>,
    config: ReturnType<typeof userConfig>,
    monitors: ChannelMonitor[],
  ): ChannelManager {
    const { entropySource, nodeSigner, signerProvider } = this.keys;
    if (this.disk.manager === null) {
      const { hash, height } = this.chain.tip;
      const best = BestBlock.constructor_new(hash, height);
      return ChannelManager.constructor_new(
        this.#estimator,
        watch,
        broadcaster,
        router.as_Router(),
        messageRouter.as_MessageRouter(),
        this.#logger,
        entropySource,
        nodeSigner,
        signerProvider,
        config,
        ChainParameters.constructor_new(Network.LDKNetwork_Regtest, best),
        this.chain.nowSeconds,
      );
    }
    const read = UtilMethods.constructor_C2Tuple_ThirtyTwoBytesChannelManagerZ_read(
      this.disk.manager,
      entropySource,
      nodeSigner,
      signerProvider,
      this.#estimator,
      watch,
      broadcaster,
      router.as_Router(),
      messageRouter.as_MessageRouter(),
      this.#logger,
      config,
      monitors,
    );
    if (!(read instanceof Result_C2Tuple_ThirtyTwoBytesChannelManagerZDecodeErrorZ_OK))
      throw new Error(`${this.name}: the channel manager cannot be read`);
    return read.res.get_b();
  }

  #openSweeper(broadcaster: ReturnType<Outbox['broadcaster']>): OutputSweeper {
    const { outputSpender, wallet } = this.keys;
    const change = ChangeDestinationSource.new_impl({
      get_change_destination_script: () => Result_CVec_u8ZNoneZ.constructor_ok(wallet.changeScript()),
    });
    const store = storeOn(this.disk);
    const none = Option_FilterZ.constructor_none();
    for (const [name, bytes] of this.disk.values) {
      if (!name.endsWith('output_sweeper')) continue;
      const read = OutputSweeper.constructor_read(
        bytes,
        broadcaster,
        this.#estimator,
        none,
        outputSpender,
        change,
        store,
        this.#logger,
      );
      if (!(read instanceof Result_OutputSweeperDecodeErrorZ_OK))
        throw new Error(`${this.name}: the sweeper cannot be read`);
      return read.res;
    }
    const best = this.manager.current_best_block();
    return OutputSweeper.constructor_new(
      best,
      broadcaster,
      this.#estimator,
      none,
      outputSpender,
      change,
      store,
      this.#logger,
    );
  }

  /** The signer hears of a block first, then LDK. */
  async blockConnected(block: ConnectedBlock): Promise<void> {
    await this.keys.blockConnected(block);
    if (block.heightBlocks > this.#heightBlocks) this.tellLdk(block);
    this.keys.retry(this.manager, this.monitor);
  }

  /** Blocks that came while the node was down. */
  tellLdk({ raw, heightBlocks }: ConnectedBlock): void {
    this.#heightBlocks = heightBlocks;
    this.manager.as_Listen().block_connected(raw, heightBlocks);
    this.monitor.as_Listen().block_connected(raw, heightBlocks);
    this.sweeper.as_Listen().block_connected(raw, heightBlocks);
  }

  /** One round of what waits; false when nothing did. */
  async turn(): Promise<boolean> {
    this.manager.as_EventsProvider().process_pending_events(this.#handler);
    this.monitor.as_EventsProvider().process_pending_events(this.#handler);
    this.messenger.as_EventsProvider().process_pending_events(this.#handler);
    const events = this.#events.splice(0);
    for (const event of events) await this.desk.handle(event);
    const packages = this.outbox.packages.splice(0);
    for (const txs of packages) this.#submit(txs);
    if (this.manager.get_and_clear_needs_persistence()) this.disk.manager = this.manager.write();
    return events.length > 0 || packages.length > 0;
  }

  #submit(txs: readonly Uint8Array[]): void {
    for (const result of this.chain.submitAll(txs))
      if (!result.accepted && result.refusal.reason !== 'known')
        this.unwanted.push(`${result.refusal.reason}: ${result.refusal.detail}`);
  }

  /** What a clean shutdown writes. */
  save(): NodeDisk {
    this.disk.manager = this.manager.write();
    return this.disk;
  }

  /** Nothing may be collected while the node runs. */
  get heldParts(): number {
    return this.#held.length;
  }
}
