/** How a node's requests come in: over Countersign's link, or VLS's stream. Whatever it is, it brings them to one handler. */
import type { RequestHandler } from '@countersign/transport';
import type { NodeConfig } from '../config/config.ts';
import type { Log } from '../observe/log.ts';
import type { LinkStanding } from '../observe/standing.ts';

/** For the answers that are due when the daemon ends. */
export const LAST_ANSWERS_MS = 500;
export const LAST_ANSWERS_LOOK_MS = 5;

export interface DoorOptions {
  readonly config: NodeConfig;
  readonly handler: RequestHandler;
  readonly messageBytesMax: number;
  /** What the signer knows of the chain; null: nothing. */
  readonly chainTip: () => { readonly heightBlocks: number; readonly hash: Uint8Array } | null;
  readonly log: Log;
  /** A bug of ours: the process must end. */
  readonly onBug: (error: unknown) => void;
}

export interface Door {
  readonly state: LinkStanding;
  /** Answers that are due leave first, within a bounded time. */
  close(): Promise<void>;
}

/** Rejects with `CountersignError`. */
export type OpenDoor = (options: DoorOptions) => Promise<Door>;
