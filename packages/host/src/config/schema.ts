/**
 * The form of `countersign.toml`: every key with its type and range. The message of each part is what an error
 * tells the operator to write there.
 */
import type { AutoApproval, Limits, Preset, Severity, VelocityLimit } from '@countersign/core';
import * as v from 'valibot';
import { LIMIT_FORMS, LIMIT_NAMES, type LimitForm, tomlKey } from './limits.ts';

export const PRESETS = ['permissive', 'wallet', 'merchant', 'hub'] as const satisfies readonly Preset[];
export const AUTO_APPROVALS = [
  'none',
  'allowlist',
  'velocity',
  'all',
] as const satisfies readonly AutoApproval[];
export const CHAIN_SOURCES = ['none', 'node', 'bitcoind', 'esplora'] as const;
const MODES = ['inplace', 'remote'] as const;
const TRANSPORTS = ['link', 'vls-grpc'] as const;
export const SEVERITIES = ['error', 'warn', 'off'] as const satisfies readonly Severity[];
const WINDOWS = ['hour', 'day', 'week'] as const satisfies readonly VelocityLimit['per'][];

/** What the operator writes to run `permissive`, or to approve everything, with real money; the sentence is the risk. */
export const MAINNET_OVERRIDE = 'a-compromised-node-can-take-all-funds';

const MESSAGE_BYTES_MIN = 65_536;
const MESSAGE_BYTES_LIMIT = 67_108_864;
const EXPIRY_HOURS_MAX = 8760;
/** BIP 65: from here on a locktime is a time. */
const HEIGHT_MAX = 499_999_999;
const POLL_SECONDS_MAX = 3600;
const HEARTBEAT_SECONDS_MIN = 1;
const HEARTBEAT_SECONDS_MAX = 3600;
const PATIENCE_SECONDS_MAX = 604_800;
const GREETING_SECONDS_MAX = 600;
const RETRY_SECONDS_MAX = 120;

export const quoted = (names: readonly string[]): string => names.map((name) => `"${name}"`).join(', ');

/** The message of each part is what an error tells the operator to write there. */
export const oneOf = <const T extends readonly string[]>(names: T) =>
  v.picklist(names, `one of ${quoted(names)}`);

/** Numbers of a file are exact: the parser refuses what a double can't hold. */
export function whole(min: number | bigint, max: number | bigint, unit = '') {
  const expected = `a whole number from ${min} to ${max}${unit === '' ? '' : ` (${unit})`}`;
  return v.pipe(
    v.number(expected),
    v.integer(expected),
    v.minValue(Number(min), expected),
    v.maxValue(Number(max), expected),
  );
}

const yesOrNo = v.boolean('true or false, without quotes');

const velocity = v.strictObject(
  { amount_sat: whole(0, 2_100_000_000_000_000n, 'sat'), per: oneOf(WINDOWS) },
  'an amount and a window: { amount_sat = 100_000, per = "day" }',
);

function limitSchema({ form, unit }: LimitForm) {
  return v.optional(form.kind === 'velocity' ? velocity : whole(form.min, form.max, unit));
}

function limitSchemas(names: readonly (keyof Limits)[]): Record<string, ReturnType<typeof limitSchema>> {
  return Object.fromEntries(names.map((name) => [tomlKey(name), limitSchema(LIMIT_FORMS[name])]));
}

/** One line, so that an error or a log that repeats it stays one. */
export function line(expected: string) {
  return v.pipe(v.string(expected), v.regex(/^[^\p{Cc}]{1,1024}$/u, expected));
}

/** Tables whose keys the operator chooses are read one by one (`rules.ts`, `overrides.ts`). */
const free = (expected: string) => v.optional(v.custom<Record<string, unknown>>(isTable, expected));

function isTable(input: unknown): boolean {
  return typeof input === 'object' && input !== null && !Array.isArray(input) && !(input instanceof Date);
}

const rules = free('a table: rule tags with "error", "warn" or "off"');
export const severity = oneOf(SEVERITIES);
const texts = v.optional(
  v.array(v.pipe(v.string('a text in quotes'), v.minLength(1, 'a text in quotes')), 'a list: ["…", "…"]'),
);

const pathOf = (what: string) => v.optional(v.pipe(v.string(what), v.minLength(1, what)));
const directory = pathOf('the path of a directory, in quotes');
const path = pathOf('the path of a file, in quotes');

export const override = v.strictObject(
  {
    ...limitSchemas(LIMIT_NAMES.filter((name) => LIMIT_FORMS[name].scope === 'channel')),
    zero_conf: v.optional(yesOrNo),
    shared_allowlist: v.optional(yesOrNo),
    rules,
  },
  'a table of limits and rules',
);

const PINS = 'a list of pins in quotes, each 64 digits of hex';
const pin = v.pipe(v.string(PINS), v.regex(/^[0-9a-f]{64}$/, PINS));

export const document = v.strictObject({
  mode: v.optional(oneOf(MODES)),
  // A control character would reach lightningd's log, and a second line could never be lightningd's version.
  cln_version: v.optional(
    v.pipe(
      v.string('one line of 1 to 128 printable characters, as "lightningd --version" prints it'),
      v.regex(
        /^[\x20-\x7e]{1,128}$/,
        'one line of 1 to 128 printable characters, as "lightningd --version" prints it',
      ),
    ),
  ),
  state_directory: directory,
  witness_file: path,
  message_bytes_max: v.optional(whole(MESSAGE_BYTES_MIN, MESSAGE_BYTES_LIMIT)),
  policy: v.optional(
    v.strictObject(
      {
        preset: v.optional(oneOf(PRESETS)),
        permissive_on_mainnet: v.optional(
          v.literal(MAINNET_OVERRIDE, `"${MAINNET_OVERRIDE}" or no such line`),
        ),
        ...limitSchemas(LIMIT_NAMES),
        rules,
        peer: free('tables: [policy.peer."<node id>"]'),
        channel: free('tables: [policy.channel."<funding txid>:<output>"]'),
      },
      'a table: [policy] on a line of its own, its keys below',
    ),
  ),
  approvals: v.optional(
    v.strictObject(
      {
        auto: v.optional(oneOf(AUTO_APPROVALS)),
        auto_payment_velocity: v.optional(velocity),
        expiry_hours: v.optional(whole(1, EXPIRY_HOURS_MAX, 'hours')),
      },
      'a table: [approvals] on a line of its own, its keys below',
    ),
  ),
  allowlist: v.optional(
    v.strictObject(
      { destinations: texts, payees: texts },
      'a table: [allowlist] on a line of its own, its keys below',
    ),
  ),
  chain: v.optional(
    v.strictObject(
      {
        source: v.optional(oneOf(CHAIN_SOURCES)),
        url: v.optional(line('an address in quotes: "http://…" or "https://…"')),
        cookie_file: v.optional(line('the path of a file, in quotes')),
        user: v.optional(
          v.pipe(
            line('a name in quotes'),
            v.excludes(':', 'a name without ":", which separates it from the password'),
          ),
        ),
        password_file: v.optional(line('the path of a file, in quotes')),
        birthday_height: v.optional(whole(0, HEIGHT_MAX, 'a height of the chain')),
        poll_seconds: v.optional(whole(1, POLL_SECONDS_MAX, 'seconds')),
        publish: v.optional(yesOrNo),
      },
      'a table: [chain] on a line of its own, its keys below',
    ),
  ),
  remote: v.optional(
    v.strictObject(
      {
        transport: v.optional(oneOf(TRANSPORTS)),
        listen: v.optional(line('an address in quotes: "address:port" or "unix:/path"')),
        pins: v.optional(v.pipe(v.array(pin, PINS), v.minLength(1, PINS))),
        start_patience_seconds: v.optional(whole(1, PATIENCE_SECONDS_MAX, 'seconds')),
        link_patience_seconds: v.optional(whole(1, PATIENCE_SECONDS_MAX, 'seconds')),
        greeting_seconds: v.optional(whole(1, GREETING_SECONDS_MAX, 'seconds')),
        retry_seconds: v.optional(whole(0, RETRY_SECONDS_MAX, 'seconds')),
      },
      'a table: [remote] on a line of its own, its keys below',
    ),
  ),
  heartbeat: v.optional(
    v.strictObject(
      {
        every_seconds: v.optional(whole(HEARTBEAT_SECONDS_MIN, HEARTBEAT_SECONDS_MAX, 'seconds')),
        file: path,
      },
      'a table: [heartbeat] on a line of its own, its keys below',
    ),
  ),
});

/** A part of a schema, as far as an error needs to look into it. */
interface Part {
  readonly type: string;
  readonly wrapped?: unknown;
  readonly entries?: unknown;
  readonly options?: unknown;
  readonly literal?: unknown;
}

function isPart(value: unknown): value is Part {
  return typeof value === 'object' && value !== null && 'type' in value;
}

function partAt(schema: unknown, path: readonly string[]): Part | null {
  if (!isPart(schema)) return null;
  if (schema.wrapped !== undefined) return partAt(schema.wrapped, path);
  const [first, ...rest] = path;
  if (first === undefined) return schema;
  const { entries } = schema;
  if (typeof entries !== 'object' || entries === null || !Object.hasOwn(entries, first)) return null;
  return partAt(Reflect.get(entries, first), rest);
}

/** The keys that a table of the schema may have. */
export function keysAt(schema: unknown, path: readonly string[]): readonly string[] {
  const entries = partAt(schema, path)?.entries;
  return typeof entries === 'object' && entries !== null ? Object.keys(entries) : [];
}

/** The texts that may stand at a place where only some may. */
export function choicesAt(schema: unknown, path: readonly string[]): readonly string[] {
  const part = partAt(schema, path);
  if (typeof part?.literal === 'string') return [part.literal];
  return Array.isArray(part?.options) ? part.options.filter((one) => typeof one === 'string') : [];
}
