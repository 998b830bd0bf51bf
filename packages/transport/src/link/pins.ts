/**
 * Whom a side of the link knows: names with the pins of their keys, in one small file. Commands of the operator change it
 * beside a running daemon, which looks at the file again before it lets anybody in, and tells live links of changes.
 */
import { PIN_PATTERN } from './certificate.ts';
import { every, type LinkClock, systemClock } from './clock.ts';
import { LinkError } from './error.ts';
import { fileStamp, readPrivateFile, withLock, writePrivateFile } from './private-file.ts';

export interface Pin {
  readonly name: string;
  /** SHA-256 of the SubjectPublicKeyInfo, in hex. */
  readonly pin: string;
  /** The key that the other side will change to: valid too, and the only one once it has been used. */
  readonly nextPin: string | null;
  readonly sinceSeconds: number;
}

/** What the file holds. */
interface Known {
  readonly pins: readonly Pin[];
  /** Of several signers, the one that has the place. */
  readonly active: string | null;
}

const NOBODY: Known = { pins: [], active: null };

export const PINS_MAX = 64;
const NAME_PATTERN = /^[a-z0-9][a-z0-9._-]{0,31}$/;
/** How soon a change by another process is noticed on live links. */
export const PINS_POLL_MS = 1_000;

export class PinStore {
  readonly path: string;
  readonly #clock: LinkClock;
  readonly #listeners = new Set<() => void>();
  #known: Known = NOBODY;
  #stamp = '';
  #endPolling: (() => void) | null = null;

  private constructor(path: string, clock: LinkClock) {
    this.path = path;
    this.#clock = clock;
  }

  /** An absent file is an empty list. Throws `link-file`. */
  static open(path: string, clock: LinkClock = systemClock): PinStore {
    const store = new PinStore(path, clock);
    store.#load();
    return store;
  }

  list(): readonly Pin[] {
    return this.#known.pins;
  }

  /** The one whose answers count, chosen by having served first or by the operator; null: nobody yet. */
  get active(): string | null {
    return this.#known.active;
  }

  /** Who has this key. */
  find(pin: string): Pin | undefined {
    return this.list().find((one) => one.pin === pin || one.nextPin === pin);
  }

  /** Pin a key. The same again changes nothing. Throws `pin-name`, `pin-taken`, `link-file`. */
  add(name: string, pin: string): void {
    checkPinName(name);
    this.#change((pins) => {
      const named = pins.find((one) => one.name === name);
      if (named?.pin === pin) return pins;
      if (named !== undefined) throw new LinkError('pin-taken', `${name} has another key: revoke it first`);
      checkFree(pins, pin, name);
      if (pins.length >= PINS_MAX) throw new LinkError('pin-taken', `at most ${PINS_MAX} keys are pinned`);
      return [...pins, { name, pin, nextPin: null, sinceSeconds: this.#nowSeconds() }];
    });
  }

  /** Forget a key; its live connections end. Throws `pin-unknown`, `link-file`. */
  revoke(name: string): void {
    this.#change((pins) => {
      if (!pins.some((one) => one.name === name)) throw unknown(name);
      return pins.filter((one) => one.name !== name);
    });
  }

  /** Give the place to another. Throws `pin-unknown`, `link-file`. */
  activate(name: string): void {
    this.#changeAll(({ pins }) => {
      if (!pins.some((one) => one.name === name)) throw unknown(name);
      return { pins, active: name };
    });
  }

  /** It serves: the place is its own unless somebody has it. Throws as `activate`. */
  activateFirst(name: string): void {
    this.#changeAll((known) => {
      if (!known.pins.some((one) => one.name === name)) throw unknown(name);
      return known.active === null ? { ...known, active: name } : known;
    });
  }

  /** The key under this name will be another: both count until the new one is used. Throws as `add`. */
  announce(name: string, nextPin: string): void {
    this.#change((pins) => {
      const named = pins.find((one) => one.name === name);
      if (named === undefined) throw unknown(name);
      if (named.pin === nextPin || named.nextPin === nextPin) return pins;
      checkFree(pins, nextPin, name);
      return pins.map((one) => (one.name === name ? { ...one, nextPin } : one));
    });
  }

  /** The new key was used: the old one no longer counts. Nothing to do for any other. */
  confirm(pin: string): void {
    if (!this.list().some((one) => one.nextPin === pin)) return;
    this.#change((pins) =>
      pins.map((one) =>
        one.nextPin === pin ? { ...one, pin, nextPin: null, sinceSeconds: this.#nowSeconds() } : one,
      ),
    );
  }

  /** Read the file again if it changed. Throws `link-file`: then nobody is to be let in. */
  refresh(): void {
    if (fileStamp(this.path) === this.#stamp) return;
    this.#load();
    this.#tell();
  }

  /** Called after every change, also one by another process. Returns how to stop it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    this.#endPolling ??= every(this.#clock, PINS_POLL_MS, () => this.#poll());
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      this.#endPolling?.();
      this.#endPolling = null;
    };
  }

  #poll(): void {
    try {
      this.refresh();
    } catch {
      // A file nobody can read trusts nobody.
      this.#known = NOBODY;
      this.#stamp = 'unreadable';
      this.#tell();
    }
  }

  #change(change: (pins: readonly Pin[]) => readonly Pin[]): void {
    this.#changeAll((known) => {
      const pins = change(known.pins);
      if (pins === known.pins) return known;
      const isHere = pins.some(({ name }) => name === known.active);
      return { pins, active: isHere ? known.active : null };
    });
  }

  #changeAll(change: (known: Known) => Known): void {
    withLock(
      this.path,
      () => this.#clock.nowMs(),
      () => {
        this.#load();
        const changed = change(this.#known);
        if (changed === this.#known) return;
        writePrivateFile(this.path, `${JSON.stringify({ version: 1, ...changed }, null, 2)}\n`);
        this.#known = changed;
        this.#stamp = fileStamp(this.path);
      },
    );
    this.#tell();
  }

  #load(): void {
    // The stamp first: a change in between is then seen at the next look.
    const stamp = fileStamp(this.path);
    const text = readPrivateFile(this.path);
    this.#known = text === undefined ? NOBODY : parsePins(this.path, text);
    this.#stamp = stamp;
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  #nowSeconds(): number {
    return Math.floor(this.#clock.nowMs() / 1000);
  }
}

/** Throws `pin-name`. */
export function checkPinName(name: string): void {
  if (NAME_PATTERN.test(name)) return;
  throw new LinkError(
    'pin-name',
    'a name has up to 32 lower case letters, digits, dots, hyphens and underscores',
  );
}

function checkFree(pins: readonly Pin[], pin: string, name: string): void {
  const holder = pins.find((one) => one.pin === pin || one.nextPin === pin);
  if (holder !== undefined && holder.name !== name)
    throw new LinkError('pin-taken', `the key is pinned as ${holder.name} already`);
}

function unknown(name: string): LinkError {
  return new LinkError('pin-unknown', `no key is pinned as ${name}`);
}

function parsePins(path: string, text: string): Known {
  const damaged = (): LinkError => new LinkError('link-file', `${path} is no list of pins`);
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    throw damaged();
  }
  if (typeof content !== 'object' || content === null || !('version' in content) || !('pins' in content))
    throw damaged();
  if (content.version !== 1) throw new LinkError('link-file', `${path} is of a newer version`);
  const { pins } = content;
  const active = 'active' in content ? content.active : null;
  if (!Array.isArray(pins) || pins.length > PINS_MAX || !pins.every(isPin)) throw damaged();
  const keys = pins.flatMap(({ pin, nextPin }) => (nextPin === null ? [pin] : [pin, nextPin]));
  const names = new Set(pins.map(({ name }) => name));
  if (new Set(keys).size !== keys.length || names.size !== pins.length) throw damaged();
  if (active !== null && (typeof active !== 'string' || !names.has(active))) throw damaged();
  return { pins, active };
}

function isPin(value: unknown): value is Pin {
  if (typeof value !== 'object' || value === null) return false;
  const { name, pin, nextPin, sinceSeconds } = value as Readonly<Record<string, unknown>>;
  return (
    typeof name === 'string' &&
    NAME_PATTERN.test(name) &&
    isPinText(pin) &&
    (nextPin === null || isPinText(nextPin)) &&
    Number.isSafeInteger(sinceSeconds)
  );
}

function isPinText(value: unknown): value is string {
  return typeof value === 'string' && PIN_PATTERN.test(value);
}
