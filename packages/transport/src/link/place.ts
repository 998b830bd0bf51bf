/**
 * Which of several signers is asked. The first that serves keeps the place, across lost connections and restarts of this side, until
 * the operator gives it to another or revokes its key. Nobody takes it by himself: a signer with records of its own does not know
 * what the one before has signed and revoked, and would sign against it.
 */
import { LinkError } from './error.ts';
import type { LinkLog } from './log.ts';
import type { PinStore } from './pins.ts';

export class Place {
  /** Null on a Unix socket: there is one signer, and nothing to remember. */
  readonly #pins: PinStore | null;
  readonly #log: LinkLog;
  /** Asked, or being greeted; stays when its connection is lost. */
  #active: string | null;
  /** It has served this node, or the operator chose it. */
  #keeper: string | null;

  constructor(pins: PinStore | null, log: LinkLog) {
    this.#pins = pins;
    this.#log = log;
    this.#keeper = pins?.active ?? null;
    this.#active = this.#keeper;
  }

  get active(): string | null {
    return this.#active;
  }

  /** Somebody came: whether the place is its own. */
  claim(name: string): boolean {
    this.#active ??= name;
    return this.#active === name;
  }

  /** The operator's choice. */
  give(name: string): void {
    this.#active = name;
    this.#keeper = name;
    if (this.#pins !== null && this.#pins.active !== name) this.#keep((pins) => pins.activate(name));
  }

  /** It knows of this node, and is asked from now on. */
  serves(name: string): void {
    if (this.#keeper === name) return;
    this.#keeper = name;
    this.#keep((pins) => pins.activateFirst(name));
  }

  /** It cannot serve: the next takes the place, unless it has served before. False: it keeps it. */
  giveWay(name: string, [next]: readonly string[]): boolean {
    if (this.#keeper === name || this.#active !== name) return false;
    this.#active = next ?? null;
    return true;
  }

  /** Other pins, or another choice, by this process or by the operator's command. */
  pinsChanged(pins: PinStore, [next]: readonly string[]): void {
    this.#keeper = pins.active;
    if (pins.active !== null) this.#active = pins.active;
    // Whoever revokes the active signer wants another one.
    else if (!pins.list().some(({ name }) => name === this.#active)) this.#active = next ?? null;
  }

  /** The file can fail; signing need not wait for it. */
  #keep(write: (pins: PinStore) => void): void {
    if (this.#pins === null) return;
    try {
      write(this.#pins);
    } catch (error) {
      if (!(error instanceof LinkError)) throw error;
      const text = `after a restart, any paired signer may take the place: ${error.message}`;
      this.#log({ level: 'warn', event: 'link-place-not-kept', text, facts: { code: error.code } });
    }
  }
}
