/**
 * One recording that is played over many deaths of its hsmd: kills, restarts on the same state, asks again what was in
 * flight and what each channel asked last. Every reply must be the first one given, and that the recorded one.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { equalBytes, toHex } from '@countersign/bitcoin';
import {
  type Answer,
  compare,
  createStateDirectory,
  HsmdProcess,
  type RecordedMessage,
  type Recording,
  removeStateDirectory,
  startsAsDeveloper,
} from '@countersign/cli';
import type { SeededRandom } from './random.ts';
import { checkStore, type StoreCheck } from './store-check.ts';

export interface RoundResult {
  readonly node: string;
  /** Messages answered for the first time in this round. */
  readonly advanced: number;
  readonly retried: number;
  /** Where it died: between two requests, or with one in flight. */
  readonly killedAt: 'idle' | 'in-flight';
  readonly store: StoreCheck;
  readonly failures: readonly string[];
}

const ANSWER_WAIT_MS = 20_000;
const ADVANCE_MAX = 120;
/** A request takes some milliseconds at most, so a kill this late is certainly after its reply. */
const KILL_DELAY_US_MAX = 4_000;
const RETRIED_PER_CHANNEL_MAX = 4;
const [CLIENT_HSMFD, INIT, DEV_PREINIT] = [9, 11, 99];
const [SIGN_REMOTE_COMMITMENT, SIGN_REMOTE_HTLC, VALIDATE_COMMITMENT] = [19, 20, 35];
const [VALIDATE_REVOCATION, REVOKE_COMMITMENT] = [36, 40];
/**
 * A commitment is revoked by the second message of this type that follows it: the first revokes its predecessor. No
 * node asks for a revoked commitment again, and a signer may refuse it.
 */
const ENDS_COMMITMENT: Readonly<Record<number, number>> = {
  [SIGN_REMOTE_COMMITMENT]: VALIDATE_REVOCATION,
  [SIGN_REMOTE_HTLC]: VALIDATE_REVOCATION,
  [VALIDATE_COMMITMENT]: REVOKE_COMMITMENT,
};

export class KillSubject {
  readonly recording: Recording;
  readonly #hsmdPath: string;
  readonly #run: readonly RecordedMessage[];
  readonly #directory: string;
  /** First message without an answer yet. */
  #position = 0;
  readonly #firstReplies = new Map<number, Uint8Array>();
  #lastStore: StoreCheck | undefined;
  #failures: string[] = [];

  constructor(recording: Recording, hsmdPath: string) {
    this.recording = recording;
    this.#hsmdPath = hsmdPath;
    this.#run = recording.runs[0] ?? [];
    this.#directory = createStateDirectory(recording);
  }

  get isFinished(): boolean {
    return this.#position >= this.#run.length;
  }

  get directory(): string {
    return this.#directory;
  }

  remove(): void {
    removeStateDirectory(this.#directory);
  }

  /** Start, ask again, go on for a while, die. */
  async round(random: SeededRandom): Promise<RoundResult> {
    this.#failures = [];
    const from = this.#position;
    const hsmd = new HsmdProcess({
      path: this.#hsmdPath,
      directory: this.#directory,
      args: startsAsDeveloper(this.#run) ? ['--developer'] : [],
      answerWaitMs: ANSWER_WAIT_MS,
    });
    await this.#greet(hsmd);
    await this.#reopenClients(hsmd);
    const retried = await this.#retry(hsmd);
    const killedAt = await this.#advanceAndKill(hsmd, random);
    await hsmd.stop();
    this.#lastStore = await checkStore(this.#directory, this.#lastStore);
    this.#failures.push(...this.#lastStore.problems.map((problem) => `store: ${problem}`));
    return {
      node: `${this.recording.scenario}/${this.recording.node}`,
      advanced: this.#position - from,
      retried,
      killedAt,
      store: this.#lastStore,
      failures: this.#failures,
    };
  }

  /** DEV_PREINIT and INIT, as at every start of lightningd. */
  async #greet(hsmd: HsmdProcess): Promise<void> {
    for (const [index, message] of this.#run.entries()) {
      if (message.type === DEV_PREINIT) await hsmd.send(message.request);
      else if (message.type === INIT) this.#check(index, await hsmd.request(0, message.request));
      else {
        this.#position = Math.max(this.#position, index);
        return;
      }
    }
  }

  /** The socket each channel had last, and those of clients without a channel that still have something to ask. */
  async #reopenClients(hsmd: HsmdProcess): Promise<void> {
    const holders = new Map<number, number>();
    for (let index = 0; index < this.#position; index++) {
      const client = this.#run[index]!.opensClient;
      if (client === null) continue;
      const dbid = this.#dbidOf(client);
      if (dbid !== 0) holders.set(dbid, index);
      else if (this.#hasMoreToAsk(client)) holders.set(-client, index);
    }
    for (const index of holders.values()) await this.#ask(hsmd, index);
  }

  #dbidOf(client: number): number {
    return this.#run.find((message) => message.client.id === client)?.client.dbid ?? 0;
  }

  #hasMoreToAsk(client: number): boolean {
    return this.#run.findLastIndex((message) => message.client.id === client) >= this.#position;
  }

  /** What each open client asked last, in the order it was asked. */
  async #retry(hsmd: HsmdProcess): Promise<number> {
    const perClient = new Map<number, number[]>();
    for (let index = this.#position - 1; index >= 0; index--) {
      const { client, type } = this.#run[index]!;
      if ([CLIENT_HSMFD, INIT, DEV_PREINIT].includes(type) || !hsmd.hasClient(client.id)) continue;
      if (this.#isRevoked(index)) continue;
      const indices = perClient.get(client.id) ?? [];
      if (indices.length < RETRIED_PER_CHANNEL_MAX) indices.unshift(index);
      perClient.set(client.id, indices);
    }
    const retried = [...perClient.values()].flat();
    for (const index of retried) await this.#ask(hsmd, index);
    return retried.length;
  }

  #isRevoked(index: number): boolean {
    const { client, type } = this.#run[index]!;
    const ends = ENDS_COMMITMENT[type];
    // The one in flight counts: it may have been done, and only its reply lost.
    const later = this.#run.slice(index + 1, this.#position + 1);
    return later.filter((message) => message.client.id === client.id && message.type === ends).length >= 2;
  }

  async #advanceAndKill(hsmd: HsmdProcess, random: SeededRandom): Promise<'idle' | 'in-flight'> {
    const last = Math.min(this.#run.length, this.#position + random.between(0, ADVANCE_MAX));
    while (this.#position < last) {
      await this.#ask(hsmd, this.#position);
      this.#position += 1;
    }
    if (this.isFinished || random.next() < 0.2) {
      hsmd.kill();
      return 'idle';
    }
    const message = this.#run[this.#position]!;
    const answering = hsmd.request(message.client.id, message.request);
    await waitMicroseconds(random.between(0, KILL_DELAY_US_MAX));
    hsmd.kill();
    const answer = await answering;
    if (answer.kind === 'reply') {
      this.#check(this.#position, answer);
      // Its descriptor died with the process, so this one has to be asked again.
      if (message.opensClient === null) this.#position += 1;
    }
    return 'in-flight';
  }

  async #ask(hsmd: HsmdProcess, index: number): Promise<void> {
    const message = this.#run[index]!;
    const answer = await hsmd.request(message.client.id, message.request);
    this.#check(index, answer);
    if (message.opensClient !== null && answer.kind === 'reply') hsmd.acceptClient(message.opensClient);
  }

  #check(index: number, answer: Answer): void {
    const message = this.#run[index]!;
    const verdict = compare(message.expected, answer);
    const where = `message ${message.seq} ${message.typeName}`;
    if (verdict.kind !== 'identical') {
      const what = verdict.kind === 'refused' ? `refused: ${verdict.text}` : verdict.what;
      this.#failures.push(`${where}${this.#firstReplies.has(index) ? ' asked again' : ''}: ${what}`);
    }
    if (answer.kind !== 'reply') return;
    const first = this.#firstReplies.get(index);
    if (first === undefined) this.#firstReplies.set(index, answer.body);
    else if (!equalBytes(first, answer.body)) {
      this.#failures.push(`${where}: first ${toHex(first)}, now ${toHex(answer.body)}`);
    }
  }
}

/** Timers have a resolution of a millisecond; the rest is waited for busily. */
async function waitMicroseconds(us: number): Promise<void> {
  const end = process.hrtime.bigint() + BigInt(us) * 1000n;
  await sleep(Math.floor(us / 1000));
  while (process.hrtime.bigint() < end);
}
