/**
 * A real countersign-hsmd in the middle of a recorded session, for tests that ask it what no recording asks.
 */
import { join } from 'node:path';
import { concat, fromHex, toHex } from '@countersign/bitcoin';
import {
  type Answer,
  BlockingLink,
  BUNDLED_RECORDINGS,
  createStateDirectory,
  HsmdProcess,
  hsmdPath,
  loadScenario,
  type RecordedMessage,
  readRefusal,
  recordingsOf,
  removeStateDirectory,
  scenariosAt,
  startsAsDeveloper,
} from '@countersign/cli';

const ANSWER_WAIT_MS = 20_000;
const CLIENT_HSMFD = 9;
/** Where the channel has made some payments and is not closing yet. */
const WARM_MESSAGES = 120;
/** A public key of nobody, for clients the recorded session does not have. */
const STRANGER = '02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5';
const STRANGER_DBIDS_FROM = 1_000_000;

function u64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return bytes;
}

export class WarmHsmd {
  readonly process: HsmdProcess;
  readonly #directory: string;
  readonly #run: readonly RecordedMessage[];
  #strangers = 0;

  private constructor(process: HsmdProcess, directory: string, run: readonly RecordedMessage[]) {
    this.process = process;
    this.#directory = directory;
    this.#run = run;
  }

  /** Plays the first part of a session of payments; throws at the first answer that is not a reply. */
  static async start(): Promise<WarmHsmd> {
    const recording = loadScenario(join(BUNDLED_RECORDINGS, 'open-pay-close'))[0]!;
    const run = recording.runs[0]!;
    const directory = createStateDirectory(recording);
    const process = new HsmdProcess({
      path: hsmdPath(undefined),
      directory,
      args: startsAsDeveloper(run) ? ['--developer'] : [],
      answerWaitMs: ANSWER_WAIT_MS,
    });
    const warm = new WarmHsmd(process, directory, run);
    for (const message of run.slice(0, WARM_MESSAGES)) await warm.#play(message);
    return warm;
  }

  async #play(message: RecordedMessage): Promise<void> {
    if (message.expected.kind === 'nothing') {
      await this.process.send(message.request);
      return;
    }
    const answer = await this.process.request(message.client.id, message.request);
    if (answer.kind !== 'reply' || readRefusal(answer.body) !== undefined) {
      throw new Error(`message ${message.seq} ${message.typeName} got ${describe(answer)}`);
    }
    if (message.opensClient !== null) this.process.acceptClient(message.opensClient);
  }

  /** The messages of the session that were not played, oldest first. */
  get rest(): readonly RecordedMessage[] {
    return this.#run.slice(WARM_MESSAGES);
  }

  /** A socket for a client with these permission bits, of a channel that never was. */
  async openClient(permissions: number): Promise<BlockingLink> {
    this.#strangers += 1;
    const dbid = u64(STRANGER_DBIDS_FROM + this.#strangers);
    const request = concat(Uint8Array.of(0, CLIENT_HSMFD), fromHex(STRANGER), dbid, u64(permissions));
    const answer = await this.process.request(0, request);
    if (answer.kind !== 'reply' || toHex(answer.body) !== '006d') {
      throw new Error(`a new client got ${describe(answer)}`);
    }
    const descriptor = this.process.master.receiveDescriptor();
    if (descriptor === undefined) throw new Error('no descriptor followed');
    return new BlockingLink(descriptor);
  }

  /** lightningd and the channel's own client are still served. */
  async isServing(): Promise<boolean> {
    const master = await this.process.request(0, fromHex('001b000161'));
    const point = this.#run.find((message) => message.typeName === 'GET_PER_COMMITMENT_POINT')!;
    const channel = this.#run.findLast(
      (message) => message.client.dbid !== 0 && message.seq < WARM_MESSAGES,
    )!;
    const client = await this.process.request(channel.client.id, point.request);
    return [master, client].every(
      (answer) => answer.kind === 'reply' && readRefusal(answer.body) === undefined,
    );
  }

  /** Client bad requests told to lightningd so far. */
  badRequests(): number {
    return this.process.statusMessages.filter((message) => message.kind === 'bad-request').length;
  }

  async stop(): Promise<number | null> {
    const exit = await this.process.stop();
    removeStateDirectory(this.#directory);
    return exit.code;
  }
}

export function describe(answer: Answer): string {
  return answer.kind === 'reply' ? `the reply ${toHex(answer.body.subarray(0, 200))}` : answer.kind;
}

/** Number and tag of a typed refusal; throws for everything else. */
export function refusalOf(answer: Answer): { code: number; tag: string } {
  const refusal = answer.kind === 'reply' ? readRefusal(answer.body) : undefined;
  if (answer.kind !== 'reply' || refusal === undefined) throw new Error(`not a refusal: ${describe(answer)}`);
  return { code: (answer.body[2]! << 8) | answer.body[3]!, tag: refusal.tag };
}

/** One well-formed request of every type that was recorded, by its number. */
export function samples(): ReadonlyMap<number, RecordedMessage> {
  const found = new Map<number, RecordedMessage>();
  for (const recording of scenariosAt(undefined).flatMap((directory) => recordingsOf(directory, undefined))) {
    for (const message of recording.runs.flat()) {
      const isWellFormed = message.expected.kind === 'reply' || message.expected.kind === 'nothing';
      if (isWellFormed && !found.has(message.type)) found.set(message.type, message);
    }
  }
  return found;
}
