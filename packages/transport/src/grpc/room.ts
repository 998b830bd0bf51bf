/**
 * Connections that have not yet shown what they are for: so many and for so long. When it is full the oldest has to go, so that
 * a flood of strangers keeps nobody out for good.
 */
import type { Duplex } from 'node:stream';
import type { LinkClock } from '../link/clock.ts';

export class Room {
  readonly #clock: LinkClock;
  readonly #connectionsMax: number;
  readonly #stayMs: number;
  /** How each one's time is ended, oldest first. */
  readonly #waiting = new Map<Duplex, () => void>();

  constructor(clock: LinkClock, connectionsMax: number, stayMs: number) {
    this.#clock = clock;
    this.#connectionsMax = connectionsMax;
    this.#stayMs = stayMs;
  }

  get size(): number {
    return this.#waiting.size;
  }

  enter(connection: Duplex): void {
    if (this.#waiting.size >= this.#connectionsMax) {
      const [oldest] = this.#waiting.keys();
      if (oldest !== undefined) this.#drop(oldest);
    }
    this.#waiting.set(
      connection,
      this.#clock.after(this.#stayMs, () => this.#drop(connection)),
    );
    connection.once('close', () => this.leave(connection));
  }

  /** It has shown what it is for, or is gone. */
  leave(connection: Duplex): void {
    this.#waiting.get(connection)?.();
    this.#waiting.delete(connection);
  }

  clear(): void {
    for (const connection of [...this.#waiting.keys()]) this.#drop(connection);
  }

  #drop(connection: Duplex): void {
    this.leave(connection);
    connection.destroy();
  }
}
