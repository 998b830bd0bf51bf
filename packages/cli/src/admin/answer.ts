/**
 * A value the signer answered with, read with its form checked: the other end may be of another version, and its texts
 * may be an attacker's.
 */
import type { Json } from '@countersign/host';
import { CommandError } from '../command-error.ts';
import { printable } from '../terminal.ts';

export class SignerAnswer {
  readonly json: Json;
  readonly #what: string;

  constructor(json: Json, what: string) {
    this.json = json;
    this.#what = what;
  }

  #member(name: string): Json | undefined {
    const { json } = this;
    if (typeof json !== 'object' || json === null || Array.isArray(json)) return undefined;
    return Object.hasOwn(json, name) ? (json as { readonly [key: string]: Json })[name] : undefined;
  }

  has(name: string): boolean {
    const value = this.#member(name);
    return value !== undefined && value !== null;
  }

  at(name: string): SignerAnswer {
    return new SignerAnswer(this.#member(name) ?? null, `${this.#what}, ${name}`);
  }

  /** Fit for a terminal. */
  text(name: string): string {
    return printable(this.raw(name));
  }

  /** As it came: not for a terminal. */
  raw(name: string): string {
    const value = this.#member(name);
    if (typeof value !== 'string') throw this.#unexpected(name);
    return value;
  }

  textOrNull(name: string): string | null {
    return this.has(name) ? this.text(name) : null;
  }

  number(name: string): number {
    const value = this.#member(name);
    if (typeof value !== 'number') throw this.#unexpected(name);
    return value;
  }

  numberOrNull(name: string): number | null {
    const value = this.#member(name);
    return typeof value === 'number' ? value : null;
  }

  flag(name: string): boolean {
    return this.#member(name) === true;
  }

  list(name: string): SignerAnswer[] {
    const value = this.#member(name);
    if (!Array.isArray(value)) throw this.#unexpected(name);
    return value.map((item: Json) => new SignerAnswer(item, `${this.#what}, ${name}`));
  }

  /** Names and values, each value fit for a terminal; empty when there is no such object. */
  object(name: string): Readonly<Record<string, string>> {
    const value = this.#member(name);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return {};
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [
        printable(key),
        printable(typeof item === 'string' ? item : JSON.stringify(item)),
      ]),
    );
  }

  /** The value itself as text. */
  get plain(): string {
    return printable(typeof this.json === 'string' ? this.json : JSON.stringify(this.json));
  }

  #unexpected(name: string): CommandError {
    return new CommandError(
      'signer-answer',
      `${this.#what} has no ${name} of the expected form`,
      'Use the countersign command that came with the running signer.',
    );
  }
}
