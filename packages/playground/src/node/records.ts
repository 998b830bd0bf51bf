/** What a node of this world keeps over a restart: the bytes LDK asks to be written, as a disk would. */
import {
  ChannelMonitorUpdateStatus,
  IOError,
  KVStore,
  Persist,
  Result_CVec_StrZIOErrorZ,
  Result_CVec_u8ZIOErrorZ,
  Result_NoneIOErrorZ,
} from 'lightningdevkit';

export class NodeDisk {
  manager: Uint8Array | null = null;
  /** By funding outpoint as LDK writes it. */
  readonly monitors = new Map<string, Uint8Array>();
  readonly values = new Map<string, Uint8Array>();
  /** False for a run that never restarts: a monitor is written whole with each update, which with hundreds of HTLCs takes long. */
  keepsMonitors = true;

  /** A copy that no longer changes: what a thief, or a backup, has. */
  snapshot(): NodeDisk {
    const copy = new NodeDisk();
    copy.manager = this.manager?.slice() ?? null;
    for (const [key, bytes] of this.monitors) copy.monitors.set(key, bytes.slice());
    for (const [key, bytes] of this.values) copy.values.set(key, bytes.slice());
    return copy;
  }
}

export function persistTo(disk: NodeDisk): Persist {
  return Persist.new_impl({
    persist_new_channel(outpoint, monitor) {
      disk.monitors.set(outpoint.to_str(), monitor.write());
      return ChannelMonitorUpdateStatus.LDKChannelMonitorUpdateStatus_Completed;
    },
    update_persisted_channel(outpoint, _update, monitor) {
      if (disk.keepsMonitors) disk.monitors.set(outpoint.to_str(), monitor.write());
      return ChannelMonitorUpdateStatus.LDKChannelMonitorUpdateStatus_Completed;
    },
    archive_persisted_channel(outpoint) {
      disk.monitors.delete(outpoint.to_str());
    },
  });
}

export function storeOn(disk: NodeDisk): KVStore {
  const nameOf = (...parts: readonly string[]): string => parts.join('/');
  return KVStore.new_impl({
    read(primary, secondary, key) {
      const found = disk.values.get(nameOf(primary, secondary, key));
      return found === undefined
        ? Result_CVec_u8ZIOErrorZ.constructor_err(IOError.LDKIOError_NotFound)
        : Result_CVec_u8ZIOErrorZ.constructor_ok(found);
    },
    write(primary, secondary, key, bytes) {
      disk.values.set(nameOf(primary, secondary, key), bytes);
      return Result_NoneIOErrorZ.constructor_ok();
    },
    remove(primary, secondary, key) {
      disk.values.delete(nameOf(primary, secondary, key));
      return Result_NoneIOErrorZ.constructor_ok();
    },
    list(primary, secondary) {
      const prefix = nameOf(primary, secondary, '');
      const names = [...disk.values.keys()].filter((name) => name.startsWith(prefix));
      return Result_CVec_StrZIOErrorZ.constructor_ok(names.map((name) => name.slice(prefix.length)));
    },
  });
}
