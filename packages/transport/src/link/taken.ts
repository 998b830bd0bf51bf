/**
 * Two processes with the key of one signer: a copy of its files runs elsewhere, or the one before has not ended. The first keeps
 * its place for as long as it answers. One after the other they would sign with records that do not know of each other's
 * signatures.
 */
import type { RefusalLog } from './log.ts';
import type { NodeConnection } from './node-connection.ts';

export class TakenPlaces {
  readonly #refusals: RefusalLog;
  /** Processes that were told of: they dial again and again. The newest of each signer. */
  readonly #told = new Map<string, string>();

  constructor(refusals: RefusalLog) {
    this.#refusals = refusals;
  }

  /** True when `connection` was sent away; a line that is dead without a word counts until its silence is long enough. */
  sendsAway(connection: NodeConnection, before: NodeConnection | undefined): boolean {
    const { name, address, instance } = connection;
    if (before === undefined || !before.isOpen || before.instance === instance) return false;
    connection.bye('taken');
    if (this.#told.get(name) === instance) return true;
    this.#told.set(name, instance);
    this.#refusals.refused(
      'link-taken',
      `a second process with the key of ${name} came from ${address} and waits, as the one from ${before.address} answers: ` +
        'end one of them, and never run a copy of a signer; a signer of its own is paired by "countersign pair"',
      { signer: name, address, address_before: before.address },
    );
    return true;
  }
}
