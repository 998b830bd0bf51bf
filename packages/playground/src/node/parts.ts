/** The parts of LDK that a node of this world is put together from, each with the settings of the world. */
import {
  BroadcasterInterface,
  type ChannelHandshakeConfig,
  ConfirmationTarget,
  DefaultMessageRouter,
  DefaultRouter,
  type EntropySource,
  FeeEstimator,
  Level,
  Logger,
  MaxDustHTLCExposure,
  MultiThreadedLockableScore,
  Network,
  NetworkGraph,
  ProbabilisticScorer,
  ProbabilisticScoringDecayParameters,
  ProbabilisticScoringFeeParameters,
  UserConfig,
} from 'lightningdevkit';

export type ChannelKind = 'anchors' | 'static_remotekey';

export interface NodeSettings {
  readonly channels: ChannelKind;
  readonly announce: boolean;
  /** Of our own outputs, in blocks: what we ask of the peer. */
  readonly toSelfDelayBlocks: number;
  readonly depthBlocks: number;
  readonly maxAcceptedHtlcs: number;
  readonly cltvExpiryDelta: number;
}

export const NODE_SETTINGS: NodeSettings = {
  channels: 'anchors',
  announce: false,
  toSelfDelayBlocks: 144,
  depthBlocks: 3,
  maxAcceptedHtlcs: 50,
  cltvExpiryDelta: 72,
};

/** What LDK is told of fee rates; a test changes it to see them change. */
export class FeeRates {
  perKw = 1000;

  estimator(): FeeEstimator {
    return FeeEstimator.new_impl({
      get_est_sat_per_1000_weight: (target) => this.#of(target),
    });
  }

  #of(target: ConfirmationTarget): number {
    switch (target) {
      case ConfirmationTarget.LDKConfirmationTarget_MinAllowedAnchorChannelRemoteFee:
      case ConfirmationTarget.LDKConfirmationTarget_MinAllowedNonAnchorChannelRemoteFee:
        return 253;
      case ConfirmationTarget.LDKConfirmationTarget_MaximumFeeEstimate:
        return 20 * this.perKw;
      default:
        return Math.max(253, this.perKw);
    }
  }
}

const LOG_LINES_MAX = 4000;

/** The newest lines of LDK's log, for whoever wants to know what happened. */
export class NodeLog {
  readonly lines: string[] = [];

  logger(): Logger {
    return Logger.new_impl({
      log: (record) => {
        if (record.get_level() < Level.LDKLevel_Debug) return;
        this.lines.push(
          `${Level[record.get_level()]?.slice(9)} ${record.get_module_path()}: ${record.get_args()}`,
        );
        if (this.lines.length > LOG_LINES_MAX) this.lines.splice(0, LOG_LINES_MAX / 2);
      },
    });
  }
}

/** Transactions LDK wants on the chain: kept until no callback runs. */
export class Outbox {
  readonly packages: Uint8Array[][] = [];

  broadcaster(): BroadcasterInterface {
    return BroadcasterInterface.new_impl({
      broadcast_transactions: (txs) => {
        this.packages.push(txs.map((tx) => tx.slice()));
      },
    });
  }
}

export function userConfig(settings: NodeSettings): UserConfig {
  const config = UserConfig.constructor_default();
  const handshake: ChannelHandshakeConfig = config.get_channel_handshake_config();
  handshake.set_minimum_depth(settings.depthBlocks);
  handshake.set_our_to_self_delay(settings.toSelfDelayBlocks);
  handshake.set_announce_for_forwarding(settings.announce);
  handshake.set_negotiate_anchors_zero_fee_htlc_tx(settings.channels === 'anchors');
  handshake.set_our_max_accepted_htlcs(settings.maxAcceptedHtlcs);
  handshake.set_max_inbound_htlc_value_in_flight_percent_of_channel(100);
  config.set_channel_handshake_config(handshake);
  const limits = config.get_channel_handshake_limits();
  limits.set_force_announced_channel_preference(false);
  config.set_channel_handshake_limits(limits);
  const channel = config.get_channel_config();
  channel.set_cltv_expiry_delta(settings.cltvExpiryDelta);
  channel.set_max_dust_htlc_exposure(MaxDustHTLCExposure.constructor_fixed_limit_msat(50_000_000n));
  config.set_channel_config(channel);
  // An inbound channel gets a number of ours: LDK's own random one can't pass through the bindings.
  config.set_manually_accept_inbound_channels(true);
  config.set_accept_forwards_to_priv_channels(true);
  // The signer is asked before one is paid.
  config.set_manually_handle_bolt12_invoices(true);
  return config;
}

export function routing(entropySource: EntropySource, logger: Logger) {
  const graph = NetworkGraph.constructor_new(Network.LDKNetwork_Regtest, logger);
  const decay = ProbabilisticScoringDecayParameters.constructor_default();
  const scorer = ProbabilisticScorer.constructor_new(decay, graph, logger);
  const score = MultiThreadedLockableScore.constructor_new(scorer.as_Score());
  const fees = ProbabilisticScoringFeeParameters.constructor_default();
  const router = DefaultRouter.constructor_new(graph, logger, entropySource, score.as_LockableScore(), fees);
  const messageRouter = DefaultMessageRouter.constructor_new(graph, entropySource);
  return { graph, score, router, messageRouter };
}
