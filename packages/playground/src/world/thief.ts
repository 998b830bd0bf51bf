/** A peer that publishes a commitment it has revoked: from what its disk had then, with keys that sign whatever they are asked. */
import {
  BumpTransactionEvent_ChannelClose,
  Event_BumpTransaction,
  EventHandler,
  Result_C2Tuple_ThirtyTwoBytesChannelMonitorZDecodeErrorZ_OK,
  Result_NoneReplayEventZ,
  UtilMethods,
} from 'lightningdevkit';
import type { LightningNode } from '../node/lightning-node.ts';
import { FeeRates, NodeLog, Outbox } from '../node/parts.ts';
import type { NodeDisk } from '../node/records.ts';

/** Every commitment that the monitors of `disk` can publish, given to the chain. How many it took. */
export function publishOldStates(node: LightningNode, disk: NodeDisk): number {
  const { entropySource, signerProvider } = node.keys;
  const outbox = new Outbox();
  const broadcaster = outbox.broadcaster();
  const logger = new NodeLog().logger();
  const estimator = new FeeRates().estimator();
  const found: Uint8Array[] = [];
  const handler = EventHandler.new_impl({
    handle_event: (event) => {
      if (
        event instanceof Event_BumpTransaction &&
        event.bump_transaction instanceof BumpTransactionEvent_ChannelClose
      )
        found.push(event.bump_transaction.commitment_tx.slice());
      return Result_NoneReplayEventZ.constructor_ok();
    },
  });
  for (const bytes of disk.monitors.values()) {
    const read = UtilMethods.constructor_C2Tuple_ThirtyTwoBytesChannelMonitorZ_read(
      bytes,
      entropySource,
      signerProvider,
    );
    if (!(read instanceof Result_C2Tuple_ThirtyTwoBytesChannelMonitorZDecodeErrorZ_OK)) continue;
    const monitor = read.res.get_b();
    monitor.broadcast_latest_holder_commitment_txn(broadcaster, estimator, logger);
    monitor.process_pending_events(handler, logger);
  }
  const raws = [...outbox.packages.flat(), ...found];
  return node.chain.submitAll(raws).filter(({ accepted }) => accepted).length;
}
