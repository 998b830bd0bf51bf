/**
 * A match: one signer, one player, one referee. Moves are played one after the other; the referee is asked after every
 * request and every block, and the first theft or false refusal ends it.
 */

import type { Request } from '@countersign/wire';
import { transactionsOf } from '../chain/read-block.ts';
import type { Move } from '../player/moves.ts';
import { playMove } from '../player/run.ts';
import type { FalseRefusal } from '../player/step-log.ts';
import type { ChainChange, Witness } from '../player/witness.ts';
import { World, type WorldConfig } from '../player/world.ts';
import { Referee, type Theft } from '../referee/referee.ts';
import type { OwnerTerms } from '../referee/terms.ts';
import type { Client, Outcome, OwnerAct, Subject } from '../subject.ts';

export interface Setup {
  /** A new signer with nothing on record. */
  readonly subject: () => Promise<Subject>;
  readonly terms: OwnerTerms;
  readonly config: Partial<WorldConfig>;
}

/** W over the run, for the plot. */
export interface Reading {
  readonly step: number;
  readonly wealthSat: number;
  readonly highSat: number;
  readonly agreedSat: number;
}

export interface FoundTheft extends Theft {
  /** Requests until then. */
  readonly step: number;
  readonly move: number;
  readonly beforeSat: number;
  readonly afterSat: number;
  /** What happened when W fell: the request's name, or `block`. */
  readonly cause: string;
}

/** Readings kept for the plot; beyond it every second one is dropped. */
const READINGS_MAX = 2000;

export class Match implements Witness {
  readonly referee: Referee;
  readonly moves: Move[] = [];
  theft: FoundTheft | null = null;
  /** The deepest that W ever was below its highest, in satoshi, whether allowed or not. */
  deepestSat = 0;
  #world: World | null = null;
  #subject: Subject | null = null;
  #readings: Reading[] = [];
  #readEvery = 1;
  #lastSat = 0;

  private constructor(setup: Setup) {
    this.referee = new Referee(setup.terms);
  }

  static async begin(setup: Setup): Promise<Match> {
    const match = new Match(setup);
    match.#subject = await setup.subject();
    match.#world = await World.begin(match.#subject, setup.config, match);
    return match;
  }

  get world(): World {
    return this.#world!;
  }

  get readings(): readonly Reading[] {
    return this.#readings;
  }

  get steps(): number {
    return this.#world?.log.count ?? 0;
  }

  get falseRefusals(): readonly FalseRefusal[] {
    return this.world.config.isHonest ? this.world.log.falseRefusals : [];
  }

  get isOver(): boolean {
    return this.theft !== null || (this.#world !== null && this.falseRefusals.length > 0);
  }

  async play(move: Move): Promise<void> {
    this.moves.push(move);
    await playMove(this.world, move);
  }

  async close(): Promise<void> {
    await this.#subject?.close();
  }

  observed(client: Client, request: Request, outcome: Outcome): void {
    this.referee.observed(client, request, outcome);
    if (outcome.kind === 'reply') this.#judge(request.name);
  }

  /** A reorganisation is one event: what lies between its blocks is no state of the world. */
  chainChanged({ disconnectedBlocks, connected }: ChainChange): void {
    for (let i = 0; i < disconnectedBlocks; i++) this.referee.blockDisconnected();
    for (const raw of connected) this.referee.blockConnected(transactionsOf(raw));
    this.#judge('block');
  }

  ownerActed(act: OwnerAct, failure: string | null): void {
    this.referee.ownerActed(act, failure);
  }

  restarted(): void {}

  #judge(cause: string): void {
    if (this.theft !== null) return;
    if (this.#world !== null) this.referee.clock(this.#world.nowSeconds);
    const verdict = this.referee.verdict();
    const { wealthSat, highSat, agreedSat, theft } = verdict;
    this.deepestSat = Math.max(this.deepestSat, highSat - wealthSat);
    const step = this.steps;
    if (step % this.#readEvery === 0) this.#read({ step, wealthSat, highSat, agreedSat });
    if (theft !== null) {
      const move = this.#world?.move ?? -1;
      this.theft = { ...theft, step, move, beforeSat: this.#lastSat, afterSat: wealthSat, cause };
    }
    this.#lastSat = wealthSat;
  }

  #read(reading: Reading): void {
    this.#readings.push(reading);
    if (this.#readings.length < READINGS_MAX) return;
    this.#readings = this.#readings.filter((_, i) => i % 2 === 0);
    this.#readEvery *= 2;
  }
}
