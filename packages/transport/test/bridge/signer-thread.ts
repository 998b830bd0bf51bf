/** Starts and ends played signers, and what else the tests of the bridge share. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { openRemoteDoor, type RemoteDoor, type RemoteDoorOptions } from '../../src/bridge/remote-door.ts';
import { type SyncDoor, SyncDoorError } from '../../src/sync-door.ts';

export interface PlayedOptions {
  readonly path: string;
  /** Of its node id. */
  readonly fill: number;
  readonly refusesInit?: boolean;
}

export const NODE = { peerId: null, dbid: 0n, permissions: 31n };
export const bytes = (words: string): Uint8Array => new TextEncoder().encode(words);
export const text = (body: Uint8Array): string => new TextDecoder().decode(body);

export function ask(door: SyncDoor, words: string): string {
  return text(door.ask(NODE, bytes(words)));
}

/** Of a door with little patience, which a busy machine may use up: asked again then, which is the same request for the signer. */
export async function answered(door: SyncDoor, words: string): Promise<string> {
  for (;;) {
    try {
      return ask(door, words);
    } catch (error) {
      if (!(error instanceof SyncDoorError) || error.code !== 'sync-door-unreachable') throw error;
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}

export class PlayedSigner {
  readonly #worker: Worker;
  readonly asked: string[] = [];

  constructor(options: PlayedOptions) {
    this.#worker = new Worker(new URL('./played-signer.ts', import.meta.url), {
      workerData: options,
      execArgv: ['--conditions=source', '--disable-warning=ExperimentalWarning'],
    });
    this.#worker.on('message', ({ asked }: { asked?: string }) => {
      if (asked !== undefined) this.asked.push(asked);
    });
  }

  /** As a crash: no last words. */
  async kill(): Promise<void> {
    await this.#worker.terminate();
  }
}

/** A directory with a signer's socket in it, and everything that a test opened, closed at its end. */
export class Place {
  readonly directory = mkdtempSync(join(tmpdir(), 'bridge-'));
  readonly path = join(this.directory, 'link', 'signer.sock');
  readonly lines: string[] = [];
  readonly #actions: (() => Promise<void>)[] = [];

  signer(changed: Partial<PlayedOptions> = {}): PlayedSigner {
    const signer = new PlayedSigner({ path: this.path, fill: 1, ...changed });
    this.#actions.push(() => signer.kill());
    return signer;
  }

  async open(changed: Partial<RemoteDoorOptions> = {}): Promise<RemoteDoor> {
    const door = await openRemoteDoor({
      directory: this.directory,
      listen: { path: this.path },
      network: 'regtest',
      log: (level, line) => void this.lines.push(`${level} ${line}`),
      ...changed,
    });
    this.#actions.push(() => door.close());
    return door;
  }

  async close(): Promise<void> {
    for (const action of this.#actions.splice(0).reverse()) await action();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
