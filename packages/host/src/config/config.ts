/**
 * `countersign.toml`: read, checked completely, and turned into values. An unknown key, a wrong type or a preset
 * that does not exist is an error that names the line and the nearest name; nothing is ignored. What depends on the
 * network is checked when it is known (`policy.ts`), before the first signature.
 */
import {
  type ApprovalPolicy,
  allRules,
  type Limits,
  type Override,
  type Preset,
  type Rule,
  type Severity,
} from '@countersign/core';
import { parse, TomlError } from 'smol-toml';
import type { InferOutput } from 'valibot';
import { type ChainConfig, readChain } from './chain.ts';
import { ConfigError } from './error.ts';
import { linesOf } from './lines.ts';
import { CHANNELS, PEERS, type Places, readLimits, readOverrides, velocityOf } from './overrides.ts';
import { check, type Source } from './reader.ts';
import { type Place, readPlace } from './remote.ts';
import { readRules } from './rules.ts';
import { document } from './schema.ts';

export const MESSAGE_BYTES_MAX_DEFAULT = 4 * 1024 * 1024;

/** Where the newest heartbeat is kept, and how often it is replaced. */
export interface HeartbeatConfig {
  readonly everySeconds: number;
  /** A relative path begins at the state directory. */
  readonly file: string;
}

export const HEARTBEAT_DEFAULT: HeartbeatConfig = { everySeconds: 30, file: 'heartbeat.json' };

/** An entry of [allowlist], not yet checked against the network. */
export interface ConfiguredEntry {
  readonly list: 'destinations' | 'payees';
  readonly text: string;
  readonly line: number;
}

export interface Config extends Place {
  readonly clnVersion: string | undefined;
  readonly stateDirectory: string;
  /** Undefined: a rollback of the state is told by no file. */
  readonly witnessFile: string | undefined;
  readonly messageBytesMax: number;
  /** Undefined: the network decides. */
  readonly preset: Preset | undefined;
  readonly permissiveOnMainnet: boolean;
  readonly limits: Partial<Limits>;
  readonly severities: ReadonlyMap<string, Severity>;
  readonly peers: ReadonlyMap<string, Override>;
  readonly channels: ReadonlyMap<string, Override>;
  readonly approvals: Partial<ApprovalPolicy>;
  readonly allowlist: readonly ConfiguredEntry[];
  readonly chain: ChainConfig;
  readonly heartbeat: HeartbeatConfig;
  /** The file all of this was read from, as an error or an origin names it. */
  readonly file: string;
  /** The line of every value of [policy] and [approvals] that the file sets, by its dotted key. */
  readonly places: ReadonlyMap<string, number>;
}

export const DEFAULT_CONFIG: Config = {
  mode: 'inplace',
  remote: null,
  clnVersion: undefined,
  stateDirectory: 'countersign',
  witnessFile: undefined,
  messageBytesMax: MESSAGE_BYTES_MAX_DEFAULT,
  preset: undefined,
  permissiveOnMainnet: false,
  limits: {},
  severities: new Map(),
  peers: new Map(),
  channels: new Map(),
  approvals: {},
  allowlist: [],
  chain: { source: 'none' },
  heartbeat: HEARTBEAT_DEFAULT,
  file: 'countersign.toml',
  places: new Map(),
};

/** Throws `ConfigError` with file, line and what to write instead. */
export function parseConfig(text: string, file: string, rules: readonly Rule[] = allRules()): Config {
  const parsed = parseToml(text, file);
  const source: Source = { file, lineOf: linesOf(text) };
  const top = check(source, document, parsed);
  const places: Places = new Map();
  const chain = readChain(source, top.chain ?? { source: 'none' });
  return {
    ...DEFAULT_CONFIG,
    ...readPlace(source, top, chain),
    clnVersion: top.cln_version,
    stateDirectory: top.state_directory ?? DEFAULT_CONFIG.stateDirectory,
    witnessFile: top.witness_file,
    messageBytesMax: top.message_bytes_max ?? DEFAULT_CONFIG.messageBytesMax,
    ...readPolicy(source, top.policy ?? {}, rules, places),
    approvals: readApprovals(source, top.approvals ?? {}, places),
    allowlist: readAllowlist(source, top.allowlist ?? {}),
    chain,
    heartbeat: {
      everySeconds: top.heartbeat?.every_seconds ?? HEARTBEAT_DEFAULT.everySeconds,
      file: top.heartbeat?.file ?? HEARTBEAT_DEFAULT.file,
    },
    file,
    places,
  };
}

/** By the parser's reason: what was probably forgotten. */
const TOML_HINTS: Readonly<Record<string, string>> = {
  'invalid value': '; text needs quotes: key = "value"',
  'illegal character in key': '; a key with * or : needs quotes: "policy-onchain-*" = "warn"',
};

/** Throws `ConfigError` with the line of what is no TOML. */
export function parseToml(text: string, file: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const { line } = error;
    const reason = (error.message.split('\n', 1)[0] ?? '').replace('Invalid TOML document: ', '');
    throw new ConfigError(`${file}:${line}: not valid TOML: ${reason}${TOML_HINTS[reason] ?? ''}`, {
      file,
      line,
    });
  }
}

type Document = InferOutput<typeof document>;

function readPolicy(
  source: Source,
  table: NonNullable<Document['policy']>,
  rules: readonly Rule[],
  places: Places,
): Pick<Config, 'preset' | 'permissiveOnMainnet' | 'limits' | 'severities' | 'peers' | 'channels'> {
  const set = readRules(source, ['policy', 'rules'], table.rules ?? {}, rules);
  for (const [tag, line] of set.places) places.set(`policy.rules.${tag}`, line);
  if (table.preset !== undefined) places.set('policy.preset', source.lineOf(['policy', 'preset']));
  return {
    preset: table.preset,
    permissiveOnMainnet: table.permissive_on_mainnet !== undefined,
    limits: readLimits(source, ['policy'], table, places),
    severities: set.severities,
    peers: readOverrides(source, PEERS, table.peer ?? {}, rules, places),
    channels: readOverrides(source, CHANNELS, table.channel ?? {}, rules, places),
  };
}

const SECONDS_PER_HOUR = 3600;

function readApprovals(
  source: Source,
  table: NonNullable<Document['approvals']>,
  places: Places,
): Partial<ApprovalPolicy> {
  for (const key of Object.keys(table)) {
    places.set(`approvals.${key}`, source.lineOf(['approvals', key]));
  }
  const { auto, auto_payment_velocity, expiry_hours } = table;
  return {
    ...(auto !== undefined && { auto }),
    ...(auto_payment_velocity !== undefined && { autoPaymentVelocity: velocityOf(auto_payment_velocity) }),
    ...(expiry_hours !== undefined && { expirySeconds: expiry_hours * SECONDS_PER_HOUR }),
  };
}

function readAllowlist(
  source: Source,
  table: NonNullable<Document['allowlist']>,
): readonly ConfiguredEntry[] {
  return (['destinations', 'payees'] as const).flatMap((list) =>
    (table[list] ?? []).map((text, i) => ({ list, text, line: source.lineOf(['allowlist', list, i]) })),
  );
}
