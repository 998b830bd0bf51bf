/** The signer daemon: nodes elsewhere, their keys here. */
export {
  type Address,
  type NodeConfig,
  parseAddress,
  parseSignerConfig,
  readNodePolicy,
  readSignerConfig,
  type SignerConfig,
} from './config/config.ts';
export { Daemon, type DaemonOptions } from './daemon.ts';
export { DaemonError, type DaemonErrorCode } from './error.ts';
export type { Door, DoorOptions, OpenDoor } from './link/door.ts';
export { type LinkFiles, linkFiles, NODE_PIN_NAME, readAddress, writeAddress } from './link/files.ts';
export { openDoor } from './link/open-door.ts';
export { permissionArguments, prepareDirectories } from './process/permissions.ts';
export { runSigner } from './run.ts';
export { readSeedFile } from './seed/file.ts';
export {
  openSeed,
  readSeedFacts,
  SEED_COST,
  type SeedCost,
  type SeedSecret,
  wipeSeed,
} from './seed/format.ts';
export {
  changePassphrase,
  kindOf,
  needsPassphrase,
  newSeed,
  type SeedPlace,
  writeSeed,
} from './seed/new-seed.ts';
export {
  askHidden,
  type PassphrasePlace,
  type PassphraseSource,
  readPassphrase,
  terminalAsk,
} from './seed/passphrase.ts';
