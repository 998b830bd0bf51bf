/** Limits as the file sets them, for the node, for one peer (its node id) or for one channel (its funding outpoint). */
import type { Limits, Override, Rule, VelocityLimit } from '@countersign/core';
import { LIMIT_FORMS, LIMIT_NAMES, tomlKey } from './limits.ts';
import type { Path } from './lines.ts';
import { check, dotted, faultAt, type Source } from './reader.ts';
import { readRules } from './rules.ts';
import { override as overrideSchema } from './schema.ts';

/** A value as the schema passed it, in the form the policy has it. */
type Given = number | { readonly amount_sat: number; readonly per: VelocityLimit['per'] } | undefined;

/** Where a value stands, by its dotted key. */
export type Places = Map<string, number>;

export const velocityOf = (given: {
  readonly amount_sat: number;
  readonly per: VelocityLimit['per'];
}): VelocityLimit => ({
  amountSat: BigInt(given.amount_sat),
  per: given.per,
});

/** The limits among a table's keys. */
export function readLimits(
  source: Source,
  place: Path,
  table: Readonly<Record<string, unknown>>,
  places: Places,
): Partial<Limits> {
  const limits: Partial<Record<keyof Limits, number | bigint | VelocityLimit>> = {};
  for (const name of LIMIT_NAMES) {
    const key = tomlKey(name);
    const given = table[key] as Given;
    if (given === undefined) continue;
    const path = [...place, key];
    places.set(path.join('.'), source.lineOf(path));
    if (typeof given === 'object') limits[name] = velocityOf(given);
    else limits[name] = LIMIT_FORMS[name].form.kind === 'amount' ? BigInt(given) : given;
  }
  return limits as Partial<Limits>;
}

/** Whose an override is: the id's form, and what an error calls it. */
interface Owner {
  readonly table: 'peer' | 'channel';
  readonly form: RegExp;
  readonly expected: string;
}

export const PEERS: Owner = {
  table: 'peer',
  form: /^0[23][0-9a-f]{64}$/,
  expected: 'a node id: 66 hex digits in lower case that begin with 02 or 03',
};

export const CHANNELS: Owner = {
  table: 'channel',
  form: /^[0-9a-f]{64}:(?:0|[1-9][0-9]{0,9})$/,
  expected:
    'a funding: its txid as explorers show it, 64 hex digits in lower case, a colon, the number of the output',
};

export function readOverrides(
  source: Source,
  owner: Owner,
  tables: Readonly<Record<string, unknown>>,
  rules: readonly Rule[],
  places: Places,
): ReadonlyMap<string, Override> {
  const overrides = new Map<string, Override>();
  for (const [id, value] of Object.entries(tables)) {
    const place = ['policy', owner.table, id];
    if (!owner.form.test(id)) {
      throw faultAt(
        source,
        place,
        `"${dotted(place)}" does not name a ${owner.table}, expected ${owner.expected}`,
      );
    }
    overrides.set(id, readOverride(source, place, value, rules, places));
  }
  return overrides;
}

function readOverride(
  source: Source,
  place: Path,
  value: unknown,
  rules: readonly Rule[],
  places: Places,
): Override {
  requireChannelKeys(source, place, value);
  const table = check(source, overrideSchema, value, place);
  const rulePath = [...place, 'rules'];
  const set = readRules(source, rulePath, table.rules ?? {}, rules);
  for (const [tag, line] of set.places) places.set([...rulePath, tag].join('.'), line);
  for (const key of ['zero_conf', 'shared_allowlist']) {
    if (table[key as 'zero_conf'] !== undefined)
      places.set([...place, key].join('.'), source.lineOf([...place, key]));
  }
  return {
    limits: readLimits(source, place, table, places),
    severities: set.severities,
    zeroConf: table.zero_conf ?? false,
    sharedAllowlist: table.shared_allowlist ?? false,
  };
}

/** A limit that is one for the whole node would do nothing in an override. */
function requireChannelKeys(source: Source, place: Path, value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  for (const name of LIMIT_NAMES) {
    const key = tomlKey(name);
    if (LIMIT_FORMS[name].scope !== 'node' || !Object.hasOwn(value, key)) continue;
    const why = 'is one for the whole node: it belongs below [policy]';
    throw faultAt(source, [...place, key], `"${dotted([...place, key])}": "${key}" ${why}`);
  }
}
