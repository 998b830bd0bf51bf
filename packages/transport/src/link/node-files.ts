/**
 * The files of the node side's end of a link, below its state directory: shared by lightningd's hsmd, an application's bridge and
 * the commands beside them.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

export interface NodeLinkFiles {
  /** Its key and certificate. */
  readonly identity: string;
  /** The signers it knows. */
  readonly pins: string;
  /** Pairings that wait for their signer. */
  readonly pairings: string;
  /** Where an application listens that has no countersign.toml. */
  readonly listen: string;
}

/** Makes the directory, for this user only, when there is none. */
export function nodeLinkFiles(stateDirectory: string): NodeLinkFiles {
  const directory = join(stateDirectory, 'link');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return {
    identity: join(directory, 'identity.pem'),
    pins: join(directory, 'signers.json'),
    pairings: join(directory, 'pairings.json'),
    listen: join(directory, 'listen.json'),
  };
}
