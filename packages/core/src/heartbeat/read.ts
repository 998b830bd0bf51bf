/**
 * From the signed text of a heartbeat to its values. Strict: every member there, none more, every one of its form and
 * within its bounds, and the text the canonical one. `FormError` else.
 */
import { FormError } from '@countersign/bitcoin';
import { type CanonicalValue, canonicalJson } from './canonical.ts';
import {
  HEARTBEAT_ALARMS_MAX,
  HEARTBEAT_DEADLINES_MAX,
  HEARTBEAT_FACT_CHARS_MAX,
  HEARTBEAT_FACTS_MAX,
  HEARTBEAT_MESSAGE_CHARS_MAX,
  HEARTBEAT_REFUSAL_TAGS_MAX,
  HEARTBEAT_VERSION,
  HEARTBEAT_WEAKENED_MAX,
  type Heartbeat,
  type HeartbeatAlarm,
  type HeartbeatDeadline,
} from './heartbeat.ts';

type Read<T> = (value: CanonicalValue, what: string) => T;

function wrong(what: string): never {
  throw new FormError('a heartbeat of another form', { member: what });
}

const whole =
  (min: number): Read<number> =>
  (value, what) =>
    typeof value === 'number' && Number.isSafeInteger(value) && value >= min ? value : wrong(what);

const count = whole(0);

const text =
  (form: RegExp, charsMax: number): Read<string> =>
  (value, what) =>
    typeof value === 'string' && [...value].length <= charsMax && form.test(value) ? value : wrong(what);

const free = (charsMax: number): Read<string> => text(/^/, charsMax);
const word = text(/^[a-z][a-z0-9-]*$/, HEARTBEAT_FACT_CHARS_MAX);
const short = free(HEARTBEAT_FACT_CHARS_MAX);
const hash = text(/^[0-9a-f]{64}$/, 64);
const nodeId = text(/^0[23][0-9a-f]{64}$/, 66);
const channel = text(/^0[023][0-9a-f]{64}\/(0|[1-9]\d*)$/, 66 + 1 + 20);
/** 64 bits. */
const amount = text(/^(0|[1-9]\d*)$/, 20);

const nullable =
  <T>(read: Read<T>): Read<T | null> =>
  (value, what) =>
    value === null ? null : read(value, what);

const oneOf =
  <const T extends string>(names: readonly T[]): Read<T> =>
  (value, what) =>
    names.find((name) => name === value) ?? wrong(what);

const list =
  <T>(read: Read<T>, itemsMax: number): Read<readonly T[]> =>
  (value, what) => {
    if (!Array.isArray(value) || value.length > itemsMax) wrong(what);
    return value.map((item: CanonicalValue) => read(item, what));
  };

type Fields<T> = { readonly [K in keyof T]: Read<T[K]> };

const isObject = (value: CanonicalValue): value is { readonly [key: string]: CanonicalValue } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Exactly these members. */
const struct =
  <T>(fields: Fields<T>): Read<T> =>
  (value, what) => {
    const names = Object.keys(fields) as (keyof T & string)[];
    if (!isObject(value) || Object.keys(value).length !== names.length) wrong(what);
    const members = names.map((name) => {
      const where = `${what}.${name}`;
      return [name, Object.hasOwn(value, name) ? fields[name](value[name]!, where) : wrong(where)] as const;
    });
    return Object.fromEntries(members) as T;
  };

const table =
  <T>(read: Read<T>, membersMax: number): Read<Readonly<Record<string, T>>> =>
  (value, what) => {
    if (!isObject(value) || Object.keys(value).length > membersMax) wrong(what);
    return Object.fromEntries(
      Object.entries(value).map(([name, member]) => [short(name, what), read(member, what)]),
    );
  };

const fact: Read<string | number | boolean> = (value, what) => {
  if (typeof value === 'boolean') return value;
  return typeof value === 'number' ? whole(Number.MIN_SAFE_INTEGER)(value, what) : short(value, what);
};

const deadline: Read<HeartbeatDeadline> = struct<HeartbeatDeadline>({
  channel,
  heightBlocks: count,
  blocksLeft: whole(Number.MIN_SAFE_INTEGER),
  level: oneOf(['warn', 'urgent', 'critical', 'passed']),
  what: word,
  amountMsat: (value, what) => BigInt(amount(value, what)),
});

const alarm: Read<HeartbeatAlarm> = struct<HeartbeatAlarm>({
  code: word,
  severity: oneOf(['warn', 'critical']),
  channel: nullable(channel),
  sinceHeightBlocks: nullable(count),
  message: free(HEARTBEAT_MESSAGE_CHARS_MAX),
  facts: table(fact, HEARTBEAT_FACTS_MAX),
});

const heartbeat: Read<Heartbeat> = struct<Heartbeat>({
  version: (value, what) => (value === HEARTBEAT_VERSION ? value : wrong(what)),
  chainHash: hash,
  nodeId,
  sequence: struct({ start: count, count }),
  timeSeconds: count,
  startedAtSeconds: count,
  chain: nullable(
    struct({
      tipHeightBlocks: count,
      tipHash: hash,
      provenHeightBlocks: count,
      medianTimeSeconds: count,
      lagBlocks: count,
    }),
  ),
  deadlines: list(deadline, HEARTBEAT_DEADLINES_MAX),
  alarms: list(alarm, HEARTBEAT_ALARMS_MAX),
  cut: struct({ deadlines: count, alarms: count }),
  counters: struct({
    channelsLive: nullable(count),
    channels: nullable(struct({ opening: count, open: count, closing: count, closed: count })),
    pendingApprovals: nullable(count),
    commits: count,
    refusals: struct({ total: count, byTag: table(count, HEARTBEAT_REFUSAL_TAGS_MAX) }),
  }),
  policy: struct({
    preset: short,
    promise: oneOf(['kept', 'limited', 'void']),
    weakened: list(short, HEARTBEAT_WEAKENED_MAX),
    weakenedCut: count,
  }),
});

/** Whatever JSON it is; `FormError` if it is none. */
export function parseJson(payload: string): CanonicalValue {
  try {
    return JSON.parse(payload);
  } catch {
    return wrong('JSON');
  }
}

/** A heartbeat from the text that was signed. Throws where its form is not that of one. */
export function readHeartbeat(payload: string): Heartbeat {
  const value = parseJson(payload);
  const read = heartbeat(value, 'heartbeat');
  // Of known form, so of known depth.
  if (canonicalJson(value) !== payload) wrong('text');
  return read;
}
