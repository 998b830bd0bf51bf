/** The door that a node's configuration asks for. */
import { DaemonError } from '../error.ts';
import type { Door, DoorOptions } from './door.ts';

export async function openDoor({ config }: DoorOptions): Promise<Door> {
  throw new DaemonError('node-start-failed', `node ${config.name}: no link`);
}
