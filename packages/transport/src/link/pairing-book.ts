/**
 * Pairings that wait for their signer, in one file that only the owner may read: the command that makes a token writes it, the
 * process that listens reads it. A pairing ends by being used, or with its time.
 */
import { fromHex, toHex } from '@countersign/bitcoin';
import type { LinkClock, RandomBytes } from './clock.ts';
import { LinkError } from './error.ts';
import { ticketOf } from './pairing-proof.ts';
import { SECRET_BYTES } from './pairing-token.ts';
import { readPrivateFile, withLock, writePrivateFile } from './private-file.ts';

export interface OpenPairing {
  /** The name under which the signer will be pinned. */
  readonly name: string;
  readonly secret: Uint8Array;
  readonly expiresAtSeconds: number;
  /** Pin of the key that used it. */
  readonly usedBy: string | null;
}

/** As the file has it. */
interface Row {
  readonly name: string;
  readonly secret: string;
  readonly expiresAtSeconds: number;
  readonly usedBy: string | null;
}

export const PAIRINGS_MAX = 8;
export const PAIRING_SECONDS_DEFAULT = 15 * 60;
export const PAIRING_SECONDS_MAX = 24 * 3600;

export class PairingBook {
  readonly #path: string;
  readonly #clock: LinkClock;
  readonly #random: RandomBytes;

  constructor(path: string, clock: LinkClock, random: RandomBytes) {
    this.#path = path;
    this.#clock = clock;
    this.#random = random;
  }

  /** A new pairing; an unused one of the same name ends. Throws `link-file`, `pairing-refused`. */
  begin(name: string, seconds = PAIRING_SECONDS_DEFAULT): OpenPairing {
    if (!Number.isInteger(seconds) || seconds < 1 || seconds > PAIRING_SECONDS_MAX)
      throw new LinkError('pairing-refused', `a pairing waits for 1 to ${PAIRING_SECONDS_MAX} seconds`, {
        seconds,
      });
    const secret = this.#random(SECRET_BYTES);
    const pairing = { name, secret, expiresAtSeconds: this.nowSeconds() + seconds, usedBy: null };
    this.#change((rows) => {
      const kept = rows.filter((row) => row.name !== name && !this.#isLongOver(row));
      if (kept.length >= PAIRINGS_MAX)
        throw new LinkError('pairing-refused', `at most ${PAIRINGS_MAX} pairings wait at a time`);
      return [...kept, { ...pairing, secret: toHex(secret) }];
    });
    return pairing;
  }

  /** The pairing a ticket belongs to, whether or not it is over. Throws `link-file`. */
  find(ticket: Uint8Array): OpenPairing | undefined {
    const wanted = toHex(ticket);
    const row = this.#read().find(({ secret }) => toHex(ticketOf(fromHex(secret))) === wanted);
    return row === undefined ? undefined : { ...row, secret: fromHex(row.secret) };
  }

  /** Those that still wait for their signer, without their secrets. Throws `link-file`. */
  waiting(): readonly Omit<OpenPairing, 'secret' | 'usedBy'>[] {
    return this.#read()
      .filter(({ usedBy, expiresAtSeconds }) => usedBy === null && this.nowSeconds() < expiresAtSeconds)
      .map(({ name, expiresAtSeconds }) => ({ name, expiresAtSeconds }));
  }

  /** The token for that name is worth nothing any more. False when none waits. Throws `link-file`. */
  withdraw(name: string): boolean {
    const isWaiting = (row: Row): boolean => row.name === name && row.usedBy === null;
    if (!this.#read().some(isWaiting)) return false;
    this.#change((rows) => rows.filter((row) => !isWaiting(row)));
    return true;
  }

  isExpired({ expiresAtSeconds }: OpenPairing): boolean {
    return this.nowSeconds() >= expiresAtSeconds;
  }

  /** It was used by this key, and by no other from now on. */
  use(pairing: OpenPairing, pin: string): void {
    const secret = toHex(pairing.secret);
    this.#change((rows) => rows.map((row) => (row.secret === secret ? { ...row, usedBy: pin } : row)));
  }

  nowSeconds(): number {
    return Math.floor(this.#clock.nowMs() / 1000);
  }

  /** Those that are over are remembered for a while, so that who comes late is told why. */
  #isLongOver({ expiresAtSeconds }: Row): boolean {
    return this.nowSeconds() > expiresAtSeconds + PAIRING_SECONDS_MAX;
  }

  #change(change: (rows: readonly Row[]) => readonly Row[]): void {
    withLock(
      this.#path,
      () => this.#clock.nowMs(),
      () => {
        const pairings = change(this.#read());
        writePrivateFile(this.#path, `${JSON.stringify({ version: 1, pairings }, null, 2)}\n`);
      },
    );
  }

  #read(): readonly Row[] {
    const text = readPrivateFile(this.#path);
    if (text === undefined) return [];
    try {
      const content: unknown = JSON.parse(text);
      if (isBook(content)) return content.pairings;
    } catch {
      // The parser's message could quote a secret.
    }
    throw new LinkError('link-file', `${this.#path} is no list of pairings`);
  }
}

function isBook(value: unknown): value is { readonly pairings: readonly Row[] } {
  if (typeof value !== 'object' || value === null || !('version' in value) || value.version !== 1)
    return false;
  return 'pairings' in value && Array.isArray(value.pairings) && value.pairings.every(isRow);
}

function isRow(value: unknown): value is Row {
  if (typeof value !== 'object' || value === null) return false;
  const { name, secret, expiresAtSeconds, usedBy } = value as Readonly<Record<string, unknown>>;
  return (
    typeof name === 'string' &&
    typeof secret === 'string' &&
    new RegExp(`^[0-9a-f]{${2 * SECRET_BYTES}}$`).test(secret) &&
    Number.isSafeInteger(expiresAtSeconds) &&
    (usedBy === null || typeof usedBy === 'string')
  );
}
