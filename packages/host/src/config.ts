/**
 * `countersign.toml`: read, checked completely, and turned into values. An unknown key, a wrong type or a preset
 * that does not exist is an error that names the line and the nearest name; nothing is ignored.
 */
import { CountersignError } from '@countersign/bitcoin';
import { type Network, type Policy, type Preset, policyOf } from '@countersign/core';
import { parse, TomlError } from 'smol-toml';
import * as v from 'valibot';

export const PRESETS = ['permissive', 'wallet', 'merchant', 'hub'] as const satisfies readonly Preset[];

/** What the operator writes to run `permissive` with real money; the sentence is the risk. */
export const MAINNET_OVERRIDE = 'a-compromised-node-can-take-all-funds';

export const MESSAGE_BYTES_MAX_DEFAULT = 4 * 1024 * 1024;

const MESSAGE_BYTES_MIN = 65_536;
const MESSAGE_BYTES_LIMIT = 67_108_864;

const schema = v.strictObject({
  mode: v.optional(v.picklist(['inplace'])),
  // A control character would reach lightningd's log, and a second line could never be lightningd's version.
  cln_version: v.optional(v.pipe(v.string(), v.regex(/^[\x20-\x7e]{1,128}$/))),
  state_directory: v.optional(v.pipe(v.string(), v.minLength(1))),
  message_bytes_max: v.optional(
    v.pipe(v.number(), v.integer(), v.minValue(MESSAGE_BYTES_MIN), v.maxValue(MESSAGE_BYTES_LIMIT)),
  ),
  policy: v.optional(
    v.strictObject({
      preset: v.optional(v.picklist(PRESETS)),
      permissive_on_mainnet: v.optional(v.literal(MAINNET_OVERRIDE)),
    }),
  ),
});

/** What to write, for whoever wrote something else. */
const EXPECTED: Readonly<Record<string, string>> = {
  mode: '"inplace"',
  cln_version: 'one line of 1 to 128 printable characters, as "lightningd --version" prints it',
  state_directory: 'the path of a directory, in quotes',
  message_bytes_max: `a whole number from ${MESSAGE_BYTES_MIN} to ${MESSAGE_BYTES_LIMIT}`,
  policy: 'a table: [policy] on a line of its own, its keys below',
  'policy.preset': `one of ${PRESETS.map((preset) => `"${preset}"`).join(', ')}`,
  'policy.permissive_on_mainnet': `"${MAINNET_OVERRIDE}" or no such line`,
};

export interface Config {
  readonly mode: 'inplace';
  readonly clnVersion: string | undefined;
  readonly stateDirectory: string;
  readonly messageBytesMax: number;
  /** Undefined: the network decides. */
  readonly preset: Preset | undefined;
  readonly permissiveOnMainnet: boolean;
}

export class ConfigError extends CountersignError {
  constructor(message: string, facts: Record<string, string | number>) {
    super('config-invalid', message, facts);
    this.name = 'ConfigError';
  }
}

export const DEFAULT_CONFIG: Config = {
  mode: 'inplace',
  clnVersion: undefined,
  stateDirectory: 'countersign',
  messageBytesMax: MESSAGE_BYTES_MAX_DEFAULT,
  preset: undefined,
  permissiveOnMainnet: false,
};

/** Throws `ConfigError` with file, line and what to write instead. */
export function parseConfig(text: string, file: string): Config {
  const parsed = v.safeParse(schema, parseToml(text, file));
  if (!parsed.success) throw issueError(parsed.issues[0], text, file);
  const { policy, ...top } = parsed.output;
  return {
    ...DEFAULT_CONFIG,
    clnVersion: top.cln_version,
    stateDirectory: top.state_directory ?? DEFAULT_CONFIG.stateDirectory,
    messageBytesMax: top.message_bytes_max ?? DEFAULT_CONFIG.messageBytesMax,
    preset: policy?.preset,
    permissiveOnMainnet: policy?.permissive_on_mainnet !== undefined,
  };
}

function parseToml(text: string, file: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const { line } = error;
    const reason = (error.message.split('\n', 1)[0] ?? '').replace('Invalid TOML document: ', '');
    const hint = reason === 'invalid value' ? '; text needs quotes: key = "value"' : '';
    throw new ConfigError(`${file}:${line}: not valid TOML: ${reason}${hint}`, { file, line });
  }
}

type Issue = v.BaseIssue<unknown>;

function issueError(issue: Issue, text: string, file: string): ConfigError {
  const items = issue.path ?? [];
  // [[policy]] makes a list of tables, whose places valibot takes for unknown keys.
  const list = items.findIndex((item) => Array.isArray(item.input));
  const path = items.slice(0, list === -1 ? items.length : list).map((item) => String(item.key));
  const line = lineOf(text, path);
  const where = `${file}:${line}`;
  const isUnknown = list === -1 && issue.type === 'strict_object' && issue.expected === 'never';
  const message = isUnknown ? unknownKey(path) : wrongValue(path, list === -1 ? issue.input : []);
  return new ConfigError(`${where}: ${message}`, { file, line });
}

function unknownKey(path: readonly string[]): string {
  const name = path.at(-1) ?? '';
  const table = path.slice(0, -1).join('.');
  const known = TABLES[table] ?? [];
  return `unknown key "${shorten(path.join('.'))}"; ${advice(name, table, known)}`;
}

function advice(name: string, table: string, known: readonly string[]): string {
  const near = nearest(name, known);
  if (near !== null) return `did you mean "${near}"?`;
  const home = Object.keys(TABLES).find((other) => other !== table && TABLES[other]?.includes(name) === true);
  if (home === '') return `"${name}" belongs above the first [table]`;
  if (home !== undefined) return `"${name}" belongs below [${home}]`;
  return `known ${table === '' ? 'keys' : `keys of [${table}]`}: ${known.join(', ')}`;
}

function wrongValue(path: readonly string[], input: unknown): string {
  const key = path.join('.');
  const near = typeof input === 'string' ? nearest(input.toLowerCase(), CHOICES[key] ?? []) : null;
  const hint = near === null ? '' : `; did you mean "${near}"?`;
  return `"${key}" is ${describe(input)}, expected ${EXPECTED[key] ?? 'something else'}${hint}`;
}

function describe(input: unknown): string {
  if (typeof input === 'string') return JSON.stringify(shorten(input));
  if (Array.isArray(input)) return 'a list';
  if (input instanceof Date) return 'a date';
  return typeof input === 'object' ? 'a table' : String(input);
}

const SHOWN_CHARS_MAX = 80;

function shorten(text: string): string {
  return text.length <= SHOWN_CHARS_MAX ? text : `${text.slice(0, SHOWN_CHARS_MAX)}…`;
}

const TABLES: Readonly<Record<string, readonly string[]>> = {
  '': Object.keys(schema.entries),
  policy: Object.keys(schema.entries.policy.wrapped.entries),
};

const CHOICES: Readonly<Record<string, readonly string[]>> = {
  mode: schema.entries.mode.wrapped.options,
  'policy.preset': PRESETS,
  'policy.permissive_on_mainnet': [MAINNET_OVERRIDE],
};

/** The line that sets a key, however it is written: in its table, dotted, or in an inline table. Else line 1. */
function lineOf(text: string, path: readonly string[]): number {
  const whole = path.join('.');
  let table = '';
  let enclosing = 1;
  for (const [i, line] of text.split('\n').entries()) {
    const header = /^\s*\[+([^\]]+)\]+/.exec(line)?.[1];
    const key = /^\s*([^=#[]+?)\s*=/.exec(line)?.[1];
    if (header !== undefined) table = plainKey(header);
    else if (key === undefined) continue;
    const set =
      header !== undefined ? table : [table, plainKey(key ?? '')].filter((part) => part !== '').join('.');
    if (set === whole) return i + 1;
    // `policy = { preset = … }`, or [policy.more] for a table that is not known.
    if (whole.startsWith(`${set}.`) || set.startsWith(`${whole}.`)) enclosing = i + 1;
  }
  return enclosing;
}

/** `"a" . b` as `a.b`. */
function plainKey(key: string): string {
  return key
    .split('.')
    .map((part) => part.trim().replace(/^["']|["']$/g, ''))
    .join('.');
}

/** The known name with the fewest edits, if it is near enough to be meant. */
export function nearest(name: string, known: readonly string[]): string | null {
  let best: string | null = null;
  let bestEdits = Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const candidate of known) {
    const edits = editDistance(name, candidate);
    if (edits < bestEdits) {
      best = candidate;
      bestEdits = edits;
    }
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(change, previous[j]! + 1, row[j - 1]! + 1));
    }
    previous = row;
  }
  return previous[b.length]!;
}

/**
 * The policy for a network. Without a preset in the file, regtest is `permissive` (money of no value, tests) and
 * every other network `hub`. Throws `ConfigError` for `permissive` on mainnet without the override.
 */
export function policyFor(config: Config, network: Network): Policy {
  const preset = config.preset ?? (network.name === 'regtest' ? 'permissive' : 'hub');
  if (preset === 'permissive' && network.isMainnet && !config.permissiveOnMainnet) {
    throw new ConfigError(
      'preset = "permissive" approves everything and is refused on mainnet. If you accept that a compromised node can take all funds, ' +
        `write permissive_on_mainnet = "${MAINNET_OVERRIDE}" under [policy]`,
      { preset, network: network.name },
    );
  }
  return policyOf(network, preset);
}
