/**
 * Connections that have not yet shown what they are for: so many and for so long. When it is full the oldest of the address that
 * has most has to go, so that a flood of strangers keeps nobody out for good, and from one address nobody of another at all.
 */
import type { Socket } from 'node:net';
import type { LinkClock } from '../link/clock.ts';
import { networkOf } from '../link/doorman.ts';

interface Waiting {
  readonly address: string;
  readonly cancel: () => void;
}

export class Room {
  readonly #clock: LinkClock;
  readonly #connectionsMax: number;
  readonly #stayMs: number;
  /** Oldest first. */
  readonly #waiting = new Map<Socket, Waiting>();

  constructor(clock: LinkClock, connectionsMax: number, stayMs: number) {
    this.#clock = clock;
    this.#connectionsMax = connectionsMax;
    this.#stayMs = stayMs;
  }

  get size(): number {
    return this.#waiting.size;
  }

  enter(connection: Socket): void {
    if (this.#waiting.size >= this.#connectionsMax) this.#makeRoom();
    const address = networkOf(connection.remoteAddress ?? 'unknown');
    const cancel = this.#clock.after(this.#stayMs, () => this.#drop(connection));
    this.#waiting.set(connection, { address, cancel });
    connection.once('close', () => this.leave(connection));
  }

  /** It has shown what it is for, or is gone. */
  leave(connection: Socket): void {
    this.#waiting.get(connection)?.cancel();
    this.#waiting.delete(connection);
  }

  clear(): void {
    for (const connection of [...this.#waiting.keys()]) this.#drop(connection);
  }

  #makeRoom(): void {
    const oldest = new Map<string, { readonly connection: Socket; count: number }>();
    for (const [connection, { address }] of this.#waiting) {
      const known = oldest.get(address);
      if (known === undefined) oldest.set(address, { connection, count: 1 });
      else known.count += 1;
    }
    const [busiest] = [...oldest.values()].sort((one, other) => other.count - one.count);
    if (busiest !== undefined) this.#drop(busiest.connection);
  }

  #drop(connection: Socket): void {
    this.leave(connection);
    connection.destroy();
  }
}
