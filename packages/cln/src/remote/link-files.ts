/** The files of the node side's end of a link, below its state directory: shared by the hsmd and the commands beside it. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

export interface LinkFiles {
  /** Its key and certificate. */
  readonly identity: string;
  /** The signers it knows. */
  readonly pins: string;
  /** Pairings that wait for their signer. */
  readonly pairings: string;
}

/** Makes the directory, for this user only, when there is none. */
export function linkFiles(stateDirectory: string): LinkFiles {
  const directory = join(stateDirectory, 'link');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return {
    identity: join(directory, 'identity.pem'),
    pins: join(directory, 'signers.json'),
    pairings: join(directory, 'pairings.json'),
  };
}
