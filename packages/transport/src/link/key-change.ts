/**
 * Changing the key of a side while the link lives: the new one is announced over the authenticated link, both count until the
 * new one was used. The same on both sides: ours is taken once everybody who has us pinned knows it; theirs is
 * pinned beside the old one.
 */
import { every, type LinkClock } from './clock.ts';
import { LinkError } from './error.ts';
import { adoptStaged, type LinkIdentity, stagedIdentity } from './identity.ts';
import type { LinkLog } from './log.ts';
import { PINS_POLL_MS, type PinStore } from './pins.ts';

/** Somebody authenticated, by the name of its pin. */
export interface KeyPeer {
  readonly name: string;
  sayKey(kind: 'next-key' | 'next-key-known', pin: string): void;
}

export interface KeyChangeOptions {
  readonly identityPath: string;
  readonly pins: PinStore;
  readonly clock: LinkClock;
  readonly log: LinkLog;
  /** Who is connected. */
  readonly connections: () => readonly KeyPeer[];
  /** Who must know our next key before it is taken. */
  readonly names: () => readonly string[];
  /** Our key is another: connections made from now on must show it. */
  readonly adopted: (identity: LinkIdentity) => void;
}

/** Keys that one connection may announce; one is meant. */
const ANNOUNCEMENTS_MAX = 4;

export class KeyChange {
  readonly #options: KeyChangeOptions;
  readonly #endPolling: () => void;
  readonly #announcements = new WeakMap<KeyPeer, number>();
  #told = new WeakSet<KeyPeer>();
  #knownBy = new Set<string>();
  #staged: LinkIdentity | undefined;

  constructor(options: KeyChangeOptions) {
    this.#options = options;
    this.#endPolling = every(options.clock, PINS_POLL_MS, () => this.#poll());
    this.#poll();
  }

  close(): void {
    this.#endPolling();
  }

  /** A connection has come. */
  announceTo(peer: KeyPeer): void {
    if (this.#staged === undefined || this.#told.has(peer)) return;
    this.#told.add(peer);
    peer.sayKey('next-key', this.#staged.pin);
  }

  /** The other side will change its key. Throws `link-protocol` when it cannot stop. */
  theirs(peer: KeyPeer, pin: string): void {
    const count = (this.#announcements.get(peer) ?? 0) + 1;
    if (count > ANNOUNCEMENTS_MAX) throw new LinkError('link-protocol', 'too many new keys', { count });
    this.#announcements.set(peer, count);
    const { pins, log } = this.#options;
    try {
      pins.announce(peer.name, pin);
    } catch (error) {
      if (!(error instanceof LinkError)) throw error;
      const { name } = peer;
      log({
        level: 'warn',
        event: 'link-refused',
        text: `a new key of ${name} was refused: ${error.message}`,
        facts: { name },
      });
      return;
    }
    log({
      level: 'info',
      event: 'link-key-announced',
      text: `${peer.name} will have another key; both count until it is used`,
      facts: { name: peer.name, pin },
    });
    peer.sayKey('next-key-known', pin);
  }

  /** The other side has our next key on file. */
  known(peer: KeyPeer, pin: string): void {
    if (this.#staged?.pin !== pin) return;
    this.#knownBy.add(peer.name);
    this.#adoptWhenKnown();
  }

  /** Throws `link-file`. */
  #adoptWhenKnown(): void {
    if (this.#staged === undefined || this.#knownBy.size === 0) return;
    const { names, identityPath, adopted, log } = this.#options;
    if (!names().every((name) => this.#knownBy.has(name))) return;
    const identity = adoptStaged(identityPath);
    this.#forget();
    log({
      level: 'info',
      event: 'link-key-changed',
      text: 'the key of this side is a new one',
      facts: { pin: identity.pin },
    });
    adopted(identity);
  }

  #poll(): void {
    const { identityPath, connections } = this.#options;
    const staged = this.#read(identityPath);
    if (staged?.pin !== this.#staged?.pin) {
      this.#forget();
      this.#staged = staged;
    }
    for (const peer of connections()) this.announceTo(peer);
    try {
      // Those who did not know it may have been revoked meanwhile.
      this.#adoptWhenKnown();
    } catch (error) {
      // A file that cannot be moved now is tried again.
      if (!(error instanceof LinkError)) throw error;
    }
  }

  /** A half-written or damaged file is no reason to stop: the old key counts. */
  #read(path: string): LinkIdentity | undefined {
    try {
      return stagedIdentity(path);
    } catch {
      return undefined;
    }
  }

  #forget(): void {
    this.#staged = undefined;
    this.#told = new WeakSet();
    this.#knownBy = new Set();
  }
}
