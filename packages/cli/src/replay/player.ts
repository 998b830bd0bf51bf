/**
 * Plays one recording through a real hsmd process and judges every answer. Requests go out in recorded order, one at a
 * time; a change of process id is a restart on the same state; sockets open and close as in the session.
 */
import { type Answer, compare, readRefusal, type Verdict } from './compare.ts';
import { type HsmdExit, HsmdProcess } from './hsmd-process.ts';
import { type RecordedMessage, type Recording, startsAsDeveloper } from './recording.ts';
import type { StoreStatistics } from './status.ts';

export interface PlayOptions {
  readonly hsmdPath: string;
  readonly directory: string;
  readonly answerWaitMs: number;
  /** Called after each message, in recorded order. */
  readonly onPlayed?: (played: Played) => void;
}

export interface Played {
  readonly message: RecordedMessage;
  readonly verdict: Verdict;
  readonly answerUs: number;
}

export interface PlayResult {
  readonly recording: Recording;
  readonly played: readonly Played[];
  /** What went wrong beside the answers: a socket left open, a wrong exit status, a last word of the process. */
  readonly faults: readonly string[];
  /** Processes started, with what each said about its store at the end. */
  readonly statistics: readonly StoreStatistics[];
  /** From the first start to the last exit, in milliseconds. */
  readonly playedMs: number;
}

/** What a client's later messages are answered with when it never got its socket. */
const SOCKET_REFUSED = 'the descriptor of this client was refused';
/** How an hsmd ends when lightningd hangs up. */
const EXIT_ON_HANG_UP = 2;

function exitText(exit: HsmdExit): string {
  return exit.signal === null ? `exit status ${exit.code}` : `signal ${exit.signal}`;
}

class RunPlayer {
  readonly #run: readonly RecordedMessage[];
  readonly #hsmd: HsmdProcess;
  readonly #options: PlayOptions;
  readonly played: Played[] = [];
  readonly faults: string[] = [];
  /** Client that holds a channel's socket, by the channel's database number. */
  readonly #holders = new Map<number, number>();
  readonly #lastUse = new Map<number, number>();
  readonly #refusedClients = new Map<number, { tag: string; text: string }>();
  readonly #replaced: ReadonlySet<number>;
  /** Number of the message to which lightningd's own socket gave no answer. */
  #endedAt: number | undefined;

  constructor(run: readonly RecordedMessage[], hsmd: HsmdProcess, options: PlayOptions) {
    this.#run = run;
    this.#hsmd = hsmd;
    this.#options = options;
    run.forEach((message, index) => {
      this.#lastUse.set(message.client.id, index);
    });
    this.#replaced = replacedClients(run);
  }

  async playAll(): Promise<void> {
    for (const [index, message] of this.#run.entries()) {
      const started = process.hrtime.bigint();
      const answer = await this.#ask(message);
      const answerUs = Number(process.hrtime.bigint() - started) / 1000;
      const verdict = this.#judge(message, answer);
      await this.#afterAnswer(message, answer, index);
      const one = { message, verdict, answerUs };
      this.played.push(one);
      this.#options.onPlayed?.(one);
    }
  }

  async #ask(message: RecordedMessage): Promise<Answer> {
    if (this.#endedAt !== undefined) {
      return { kind: 'unsent', why: `the hsmd ended at message ${this.#endedAt}` };
    }
    if (message.expected.kind === 'nothing') return this.#hsmd.send(message.request);
    return this.#hsmd.request(message.client.id, message.request);
  }

  #judge(message: RecordedMessage, answer: Answer): Verdict {
    const refused = this.#refusedClients.get(message.client.id);
    if (answer.kind === 'unsent' && refused !== undefined) {
      return { kind: 'refused', tag: refused.tag, text: SOCKET_REFUSED };
    }
    return compare(message.expected, answer);
  }

  async #afterAnswer(message: RecordedMessage, answer: Answer, index: number): Promise<void> {
    const { opensClient } = message;
    if (opensClient !== null && answer.kind === 'reply') {
      const refusal = readRefusal(answer.body);
      if (refusal !== undefined) this.#refusedClients.set(opensClient, refusal);
      else if (this.#hsmd.acceptClient(opensClient)) await this.#takeOver(message, opensClient);
      else this.faults.push(`no descriptor followed the reply to CLIENT_HSMFD, message ${message.seq}`);
    }
    const { id } = message.client;
    if (id === 0 && answer.kind !== 'reply' && answer.kind !== 'nothing') this.#endedAt ??= message.seq;
    if (id !== 0 && this.#lastUse.get(id) === index && !this.#replaced.has(id)) this.#hsmd.closeClient(id);
  }

  /** A channel has one socket: handing out a new one closes the old one. */
  async #takeOver(message: RecordedMessage, opened: number): Promise<void> {
    const dbid = requestedDbid(message.request);
    if (dbid === 0n) return;
    const key = Number(dbid);
    const previous = this.#holders.get(key);
    this.#holders.set(key, opened);
    if (previous === undefined || !this.#replaced.has(previous)) return;
    // lightningd closed the old socket's other end long before: as long as an answer may take means that the hsmd forgot it.
    if (!(await this.#hsmd.closesClient(previous, this.#options.answerWaitMs))) {
      this.faults.push(`client ${previous} was replaced by client ${opened}, but its socket stayed open`);
    }
    this.#hsmd.closeClient(previous);
  }
}

/** CLIENT_HSMFD: type, 33-byte node id, u64 database number, u64 permissions. */
function requestedDbid(request: Uint8Array): bigint {
  return new DataView(request.buffer, request.byteOffset).getBigUint64(2 + 33);
}

/** Clients whose channel gets another socket later in the same run: they stay open until then. */
function replacedClients(run: readonly RecordedMessage[]): Set<number> {
  const replaced = new Set<number>();
  const holders = new Map<bigint, number>();
  for (const message of run) {
    if (message.opensClient === null) continue;
    const dbid = requestedDbid(message.request);
    const previous = holders.get(dbid);
    if (dbid !== 0n && previous !== undefined) replaced.add(previous);
    holders.set(dbid, message.opensClient);
  }
  return replaced;
}

/** What the end of a process should have been; a refusal instead of a fatal end lets it live until we hang up. */
function exitFault(exit: HsmdExit, expected: number | null, survivedFatal: boolean): string | undefined {
  const wanted = survivedFatal ? EXIT_ON_HANG_UP : expected;
  if (wanted === null || exit.code === wanted) return undefined;
  return `ended with ${exitText(exit)}, expected exit status ${wanted}`;
}

function survivedFatal(played: readonly Played[]): boolean {
  return played.some((one) => one.message.expected.kind === 'fatal' && one.verdict.kind === 'refused');
}

export async function playRecording(recording: Recording, options: PlayOptions): Promise<PlayResult> {
  const played: Played[] = [];
  const faults: string[] = [];
  const statistics: StoreStatistics[] = [];
  const started = performance.now();
  for (const [index, run] of recording.runs.entries()) {
    const hsmd = new HsmdProcess({
      path: options.hsmdPath,
      directory: options.directory,
      args: startsAsDeveloper(run) ? ['--developer'] : [],
      answerWaitMs: options.answerWaitMs,
    });
    const player = new RunPlayer(run, hsmd, options);
    try {
      await player.playAll();
    } finally {
      await hsmd.stop();
    }
    const exit = await hsmd.whenExited;
    const isLast = index === recording.runs.length - 1;
    const fault = exitFault(
      exit,
      isLast ? recording.exitStatus : EXIT_ON_HANG_UP,
      survivedFatal(player.played),
    );
    if (fault !== undefined) player.faults.push(lastWords(fault, hsmd));
    played.push(...player.played);
    faults.push(...player.faults);
    if (hsmd.statistics !== undefined) statistics.push(hsmd.statistics);
  }
  return { recording, played, faults, statistics, playedMs: performance.now() - started };
}

/** The fault with whatever the process said about it. */
function lastWords(fault: string, hsmd: HsmdProcess): string {
  const failed = hsmd.statusMessages.findLast((message) => message.kind === 'fail');
  const output = hsmd.errorOutput.trim().split('\n').slice(0, 5).join('\n');
  return [fault, failed?.text, output].filter((part) => part !== undefined && part !== '').join('; ');
}
