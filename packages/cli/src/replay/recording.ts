/**
 * Recordings of lightningd talking to its hsmd: one directory per scenario with `meta.json` and, per node, one JSON
 * line per message (`<node>.jsonl`, or `.jsonl.gz`). Loading checks the form, so a player may trust what it gets.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { fromHex } from '@countersign/bitcoin';
import { CommandError } from '../command-error.ts';
import { type Fields, fieldsOf } from './json-fields.ts';

/** Who asked: 0 is lightningd itself, every other id a descriptor the hsmd handed out during the same run. */
export interface RecordedClient {
  readonly id: number;
  /** Database number of the channel; 0 for clients that belong to none. */
  readonly dbid: number;
}

/** What Core Lightning's own hsmd did. */
export type Expectation =
  | { readonly kind: 'reply'; readonly body: Uint8Array }
  /** The message has no reply (DEV_PREINIT). */
  | { readonly kind: 'nothing' }
  /** A bad request of a subdaemon: its socket is closed, the others go on. */
  | { readonly kind: 'client-closed' }
  /** A bad request of lightningd itself: the hsmd gives up. */
  | { readonly kind: 'fatal' };

export interface RecordedMessage {
  readonly seq: number;
  readonly client: RecordedClient;
  readonly type: number;
  readonly typeName: string;
  readonly request: Uint8Array;
  readonly expected: Expectation;
  /** The descriptor that follows the reply becomes this client; null for other messages. */
  readonly opensClient: number | null;
  /** How long Core Lightning's own hsmd took when this was recorded, in microseconds. */
  readonly recordedUs: number;
}

export interface Recording {
  readonly scenario: string;
  readonly node: string;
  readonly description: string;
  /** Content of the file `hsm_secret` before the first run: a test secret. */
  readonly hsmSecret: Uint8Array;
  /** One list per hsmd process: a new process id in the recording is a restart on the same state. */
  readonly runs: readonly (readonly RecordedMessage[])[];
  /** How the last process of Core Lightning ended; null where the recording doesn't say. */
  readonly exitStatus: number | null;
}

const CLIENT_HSMFD = 9;
const INIT = 11;
const DEV_PREINIT = 99;
/** INIT: type, two BIP 32 versions, then the genesis block hash. */
const INIT_CHAIN_HASH_AT = 2 + 4 + 4;
/** The optional encryption key and four developer overrides follow the chain hash, each with a leading flag. */
const INIT_OPTIONALS_AT = INIT_CHAIN_HASH_AT + 32;
const INIT_OPTIONALS = 5;
const REGTEST_CHAIN_HASH_START = 0x06226e46;

export function loadJsonLines(path: string): readonly Fields[] {
  const bytes = readFileSync(path);
  const text = (path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.map((line, index) => fieldsOf(parseJson(line, path), `${path}:${index + 1}`));
}

export function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new CommandError('recording-malformed', `${where} is not JSON`, 'Restore the file.', {}, { cause });
  }
}

/** Path of `<directory>/<name>.jsonl`, compressed or not; undefined when there is neither. */
export function findJsonLines(directory: string, name: string): string | undefined {
  return [join(directory, `${name}.jsonl.gz`), join(directory, `${name}.jsonl`)].find((path) =>
    existsSync(path),
  );
}

function expectationOf(line: Fields, type: number, clientId: number): Expectation {
  const reply = line.textOrNull('reply');
  if (reply !== null) return { kind: 'reply', body: fromHex(reply) };
  if (type === DEV_PREINIT) return { kind: 'nothing' };
  return clientId === 0 ? { kind: 'fatal' } : { kind: 'client-closed' };
}

function messageOf(line: Fields): RecordedMessage {
  const client = line.fields('client');
  const id = client.count('id');
  const type = line.count('type_num');
  const opens = /becomes client id (\d+)/.exec(line.has('note') ? line.text('note') : '')?.[1];
  if ((type === CLIENT_HSMFD && line.textOrNull('reply') !== null) !== (opens !== undefined)) {
    line.fail('a reply to CLIENT_HSMFD and the note that a descriptor follows must come together');
  }
  return {
    seq: line.count('seq'),
    client: { id, dbid: client.count('dbid') },
    type,
    typeName: line.text('type').replace(/^WIRE_HSMD_/, ''),
    request: fromHex(line.text('request')),
    expected: expectationOf(line, type, id),
    opensClient: opens === undefined ? null : Number(opens),
    recordedUs: line.count('dt_us'),
  };
}

/** Split at every change of process id. */
export function runsOf(lines: readonly Fields[]): RecordedMessage[][] {
  const runs: RecordedMessage[][] = [];
  let pid: number | undefined;
  for (const line of lines) {
    const linePid = line.count('pid');
    if (linePid !== pid) runs.push([]);
    pid = linePid;
    runs.at(-1)!.push(messageOf(line));
  }
  return runs;
}

/** All nodes of one scenario directory, in the order of their names. */
export function loadScenario(directory: string): Recording[] {
  const path = join(directory, 'meta.json');
  const meta = fieldsOf(parseJson(readFileSync(path, 'utf8'), path), path);
  const nodes = meta.fields('nodes');
  return nodes.names().map((node) => {
    const lines = findJsonLines(directory, node);
    if (lines === undefined) {
      throw new CommandError(
        'recording-not-found',
        `${path} names node ${node}, but its recording is missing`,
        `Add ${node}.jsonl.gz beside it.`,
      );
    }
    return {
      scenario: meta.text('scenario'),
      node,
      description: meta.text('description'),
      hsmSecret: fromHex(nodes.fields(node).text('hsm_secret_hex')),
      runs: runsOf(loadJsonLines(lines)),
      exitStatus: 2,
    };
  });
}

/** Directories below `root` that hold recordings. */
export function scenarioDirectories(root: string): string[] {
  if (!existsSync(root) || !statSync(root).isDirectory()) return [];
  return readdirSync(root)
    .filter((name) => isScenario(join(root, name)))
    .sort((a, b) => a.localeCompare(b, 'en'))
    .map((name) => join(root, name));
}

/** True for a directory with recorded sessions (`meta.json`) or with single cases (`cases.json`). */
export function isScenario(directory: string): boolean {
  return existsSync(join(directory, 'meta.json')) || existsSync(join(directory, 'cases.json'));
}

export function scenarioName(directory: string): string {
  return basename(directory);
}

/** lightningd passes `--developer` when it is going to send DEV_PREINIT, or keys of its own in INIT. */
export function startsAsDeveloper(run: readonly RecordedMessage[]): boolean {
  const first = run[0];
  if (first?.type !== INIT) return first?.type === DEV_PREINIT;
  const flags = first.request.subarray(INIT_OPTIONALS_AT, INIT_OPTIONALS_AT + INIT_OPTIONALS);
  return flags.some((flag) => flag !== 0);
}

/** Whether the recording's INIT names the regtest chain; false for every other chain. */
export function isRegtest(recording: Recording): boolean {
  const init = recording.runs.flat().find((message) => message.type === INIT);
  if (init === undefined || init.request.length < INIT_CHAIN_HASH_AT + 4) return true;
  const view = new DataView(init.request.buffer, init.request.byteOffset);
  return view.getUint32(INIT_CHAIN_HASH_AT) === REGTEST_CHAIN_HASH_START;
}

export function messageCount(recording: Recording): number {
  return recording.runs.reduce((sum, run) => sum + run.length, 0);
}
