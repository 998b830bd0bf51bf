/**
 * `countersign.toml`: read, checked completely, and turned into values. An unknown key, a wrong type or a preset
 * that does not exist is an error that names the line and the nearest name; nothing is ignored.
 */
import { CountersignError } from '@countersign/bitcoin';
import type { Network, Policy, Preset } from '@countersign/core';
import { parse, TomlError } from 'smol-toml';
import * as v from 'valibot';

export const PRESETS = ['permissive', 'wallet', 'merchant', 'hub'] as const satisfies readonly Preset[];

/** What the operator writes to run `permissive` with real money; the sentence is the risk. */
export const MAINNET_OVERRIDE = 'a-compromised-node-can-take-all-funds';

export const MESSAGE_BYTES_MAX_DEFAULT = 4 * 1024 * 1024;

const schema = v.strictObject({
  mode: v.optional(v.picklist(['inplace'])),
  cln_version: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(128))),
  state_directory: v.optional(v.pipe(v.string(), v.minLength(1))),
  message_bytes_max: v.optional(v.pipe(v.number(), v.integer(), v.minValue(65_536), v.maxValue(67_108_864))),
  policy: v.optional(
    v.strictObject({
      preset: v.optional(v.picklist(PRESETS)),
      permissive_on_mainnet: v.optional(v.literal(MAINNET_OVERRIDE)),
    }),
  ),
});

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
    const reason = error.message.split('\n', 1)[0] ?? 'not valid TOML';
    throw new ConfigError(`${file}:${error.line}: ${reason}`, { file, line: error.line });
  }
}

type Issue = v.BaseIssue<unknown>;

function issueError(issue: Issue, text: string, file: string): ConfigError {
  const path = (issue.path ?? []).map((item) => String(item.key));
  const key = path.join('.');
  const line = lineOf(text, path);
  const where = `${file}:${line}`;
  if (issue.type === 'strict_object' && issue.expected === 'never') {
    const near = nearest(path.at(-1) ?? '', knownKeys(path.slice(0, -1)));
    return new ConfigError(
      `${where}: unknown key "${key}"${near === null ? '' : `; did you mean "${near}"?`}`,
      {
        file,
        line,
      },
    );
  }
  const given = typeof issue.input === 'string' ? `"${issue.input}"` : String(issue.input);
  const near = typeof issue.input === 'string' ? nearest(issue.input, options(issue.expected)) : null;
  const hint = near === null ? '' : `; did you mean "${near}"?`;
  return new ConfigError(`${where}: "${key}" is ${given}, expected ${issue.expected}${hint}`, { file, line });
}

const TABLES: Readonly<Record<string, readonly string[]>> = {
  '': Object.keys(schema.entries),
  policy: Object.keys(schema.entries.policy.wrapped.entries),
};

function knownKeys(table: readonly string[]): readonly string[] {
  return TABLES[table.join('.')] ?? [];
}

/** valibot's `("a" | "b")` as a list. */
function options(expected: string | null): readonly string[] {
  return [...(expected ?? '').matchAll(/"([^"]+)"/g)].map((match) => match[1]!);
}

/** The line that sets a key: the last one that begins with its name, inside its table if it has one. */
function lineOf(text: string, path: readonly string[]): number {
  const name = path.at(-1) ?? '';
  const table = path.slice(0, -1).join('.');
  let current = '';
  let found = 1;
  text.split('\n').forEach((line, i) => {
    const header = /^\s*\[+\s*([^\]]+?)\s*\]+/.exec(line)?.[1];
    if (header !== undefined) current = header;
    const isHeader = header === path.join('.');
    const sets = current === table && line.trimStart().replace(/["']/g, '').startsWith(name);
    if (isHeader || sets) found = i + 1;
  });
  return found;
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
  return { network, preset };
}
