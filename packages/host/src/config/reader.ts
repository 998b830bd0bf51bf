/**
 * Checks one part of the file against its schema and tells the first fault: where it stands, what is wrong with it, what
 * to write instead.
 */
import * as v from 'valibot';
import { ConfigError } from './error.ts';
import type { LineOf, Path } from './lines.ts';
import { describeValue, nearest, shorten } from './nearest.ts';
import { choicesAt, document, keysAt, override } from './schema.ts';

/** The file an error speaks of. */
export interface Source {
  readonly file: string;
  readonly lineOf: LineOf;
  /** Where a misplaced key may belong; that of countersign.toml unless given. */
  readonly form?: FileForm;
}

/** The form of a whole file, and its tables: '' for what stands above the first. */
export interface FileForm {
  readonly document: unknown;
  readonly tables: readonly string[];
}

/** An error at a place of the file. */
export function faultAt(source: Source, path: Path, message: string): ConfigError {
  const line = source.lineOf(path);
  return new ConfigError(`${source.file}:${line}: ${message}`, { file: source.file, line });
}

/** The value in its schema's form; `place` is where in the file it stands. Throws `ConfigError`. */
export function check<S extends v.GenericSchema>(
  source: Source,
  schema: S,
  value: unknown,
  place: Path = [],
): v.InferOutput<S> {
  const parsed = v.safeParse(schema, value, { abortEarly: true });
  if (parsed.success) return parsed.output;
  throw issueFault(source, schema, parsed.issues[0], place);
}

function issueFault(source: Source, schema: unknown, issue: v.BaseIssue<unknown>, place: Path): ConfigError {
  const items = issue.path ?? [];
  // [[policy]] makes a list of tables, whose places valibot takes for unknown keys.
  const list = items.findIndex((item) => Array.isArray(item.input) && typeof item.key !== 'number');
  const inner = items.slice(0, list === -1 ? items.length : list).map((item) => keyOf(item.key));
  const path = [...place, ...inner];
  const isObject = list === -1 && issue.type === 'strict_object';
  if (isObject && issue.expected === 'never')
    return faultAt(source, path, unknownKey(source, schema, place, inner.map(String)));
  if (isObject && issue.input === undefined) {
    return faultAt(source, path, `"${dotted(path)}" is missing, expected ${issue.message}`);
  }
  const input = list === -1 ? issue.input : [];
  return faultAt(source, path, wrongValue(schema, path, inner.map(String), input, issue.message));
}

const keyOf = (key: unknown): string | number => (typeof key === 'number' ? key : String(key));

/** As a name in an error: `policy.peer.02ab….zero_conf`. */
export const dotted = (path: Path): string => path.map((part) => shorten(String(part))).join('.');

function wrongValue(
  schema: unknown,
  path: Path,
  inner: readonly string[],
  input: unknown,
  expected: string,
): string {
  const near = typeof input === 'string' ? nearest(input.toLowerCase(), choicesAt(schema, inner)) : null;
  const hint = near === null ? '' : `; did you mean "${near}"?`;
  return `"${dotted(path)}" is ${describeValue(input)}, expected ${expected}${hint}`;
}

function unknownKey(source: Source, schema: unknown, place: Path, inner: readonly string[]): string {
  const name = inner.at(-1) ?? '';
  const table = inner.slice(0, -1);
  const full = [...place.map(String), ...table];
  return `unknown key "${dotted([...full, name])}"; ${advice(source, name, full, keysAt(schema, table))}`;
}

/** A list of more names than this is no help in a line of a log. */
const NAMES_LISTED_MAX = 12;

function advice(
  { form = COUNTERSIGN_TOML }: Source,
  name: string,
  table: readonly string[],
  known: readonly string[],
): string {
  const near = nearest(name, known);
  if (near !== null) return `did you mean "${near}"?`;
  const home = homeOf(form, name, table.join('.'));
  if (home !== null) return home;
  if (known.length > NAMES_LISTED_MAX)
    return `docs/configuration.md lists the keys of [${shorten(table.join('.'))}]`;
  return `known ${table.length === 0 ? 'keys' : `keys of [${table.join('.')}]`}: ${known.join(', ')}`;
}

const TABLES = ['', 'policy', 'approvals', 'allowlist', 'chain', 'remote', 'heartbeat'] as const;

const COUNTERSIGN_TOML: FileForm = { document, tables: TABLES };

function homeOf(form: FileForm, name: string, table: string): string | null {
  const home = form.tables.find((other) => {
    return other !== table && keysAt(form.document, other === '' ? [] : [other]).includes(name);
  });
  if (home === '') return `"${name}" belongs above the first [table]`;
  if (home !== undefined) return `"${name}" belongs below [${home}]`;
  if (form !== COUNTERSIGN_TOML || !keysAt(override, []).includes(name)) return null;
  return `"${name}" belongs below [policy.peer."<node id>"] or [policy.channel."<funding txid>:<output>"]`;
}
