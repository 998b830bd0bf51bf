/**
 * `signer.toml`: the nodes that one signer process serves, each with its own seed, state, policy and link. Read as
 * `countersign.toml` is: a key that is unknown or cannot be meant is an error with its line, and nothing is ignored.
 */
import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type KeyStyle, type NetworkName, networkByName } from '@countersign/core';
import {
  type Config,
  ConfigError,
  check,
  DEFAULT_CONFIG,
  faultAt,
  linesOf,
  type NodeLogin,
  parseConfig,
  parseToml,
  type Source,
} from '@countersign/host';
import type { InferOutput } from 'valibot';
import type { PassphraseSource } from '../seed/passphrase.ts';
import { document, FORM, type LOG_LEVELS, NETWORK_NAMES, node } from './schema.ts';

export type LogLevel = (typeof LOG_LEVELS)[number];

/** Where something listens or is dialled. */
export type Address =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** How a node's requests come. */
export type LinkConfig =
  /** Countersign's own link; the address may come from pairing. */
  | { readonly transport: 'link'; readonly dial: Address | null }
  /** `pin` of the proxy's key, for TLS; null: without TLS, as VLS has it. */
  | { readonly transport: 'vls-grpc'; readonly url: URL; readonly pin: string | null };

export interface NodeConfig {
  readonly name: string;
  readonly network: NetworkName;
  /** How its keys follow from its seed. */
  readonly keyStyle: KeyStyle;
  /** Everything of this node lies below it, and nothing of another. */
  readonly directory: string;
  /** The journal and the sockets beside it: never to be copied back. */
  readonly stateDirectory: string;
  readonly seedFile: string;
  /** Its [policy], [approvals], [allowlist], [chain] and [heartbeat]; null: the defaults. */
  readonly policyFile: string | null;
  readonly passphrase: PassphraseSource;
  readonly link: LinkConfig;
}

export interface SignerConfig {
  readonly file: string;
  readonly logLevel: LogLevel;
  /** Threads for signatures of large commitments. */
  readonly workers: number;
  /** Null: nothing listens. */
  readonly health: Address | null;
  readonly nodes: readonly NodeConfig[];
}

/** One process, one operator; what each node needs is small. */
const NODES_MAX = 64;
const WORKERS_DEFAULT = 0;
const NAME = /^[a-z0-9][a-z0-9-]{0,31}$/;

type NodeForm = InferOutput<typeof node>;

/** Paths come out absolute: relative ones begin where the file is. Throws `ConfigError` with its line and what to write instead. */
export function parseSignerConfig(text: string, file: string): SignerConfig {
  const source: Source = { file, lineOf: linesOf(text), form: FORM };
  const top = check(source, document, parseToml(text, file));
  const names = Object.keys(top.node ?? {});
  if (names.length === 0) throw faultAt(source, [], 'no node: write [node.NAME] and its keys below');
  if (names.length > NODES_MAX) throw faultAt(source, ['node'], `more than ${NODES_MAX} nodes`);
  const nodes = names.map((name) => readNode(source, name, top.node?.[name]));
  refuseShared(source, nodes);
  const { listen } = top.health ?? {};
  return {
    file,
    logLevel: top.log_level ?? 'info',
    workers: top.workers ?? WORKERS_DEFAULT,
    health: listen === undefined ? null : ownAddress(source, listen),
    nodes,
  };
}

/** Throws `ConfigError`. */
export function readSignerConfig(file: string): SignerConfig {
  return parseSignerConfig(readText(file), file);
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigError(`cannot read ${file}: ${reason}`, { file });
  }
}

function readNode(source: Source, name: string, value: unknown): NodeConfig {
  const place = ['node', name];
  if (!NAME.test(name)) {
    const message = `"${name}" is no name of a node, expected up to 32 of a-z, 0-9 and "-", as in [node.alice]`;
    throw faultAt(source, place, message);
  }
  const form = check(source, node, value, place);
  const { network } = form;
  if (network === undefined) {
    const names = NETWORK_NAMES.map((one) => `"${one}"`).join(', ');
    throw faultAt(source, place, `"node.${name}.network" is missing, expected one of ${names}`);
  }
  const directory = pathIn(source, form.directory ?? name);
  return {
    name,
    network,
    keyStyle: form.key_style ?? 'cln',
    directory,
    stateDirectory: join(directory, 'state'),
    seedFile: form.seed_file === undefined ? join(directory, 'seed') : pathIn(source, form.seed_file),
    policyFile: form.policy_file === undefined ? null : pathIn(source, form.policy_file),
    passphrase: passphraseOf(source, place, form),
    link: linkOf(source, place, form.link ?? {}),
  };
}

const pathIn = ({ file }: Source, path: string): string => resolve(dirname(file), path);

const PASSPHRASES = ['passphrase_credential', 'passphrase_file', 'passphrase_fd'] as const;

function passphraseOf(source: Source, place: readonly string[], form: NodeForm): PassphraseSource {
  const [first, second] = PASSPHRASES.filter((key) => form[key] !== undefined);
  if (first !== undefined && second !== undefined) {
    throw faultAt(source, [...place, second], `"${second}" beside "${first}": keep one of them`);
  }
  if (form.passphrase_credential !== undefined)
    return { kind: 'credential', name: form.passphrase_credential };
  if (form.passphrase_file !== undefined) {
    return { kind: 'file', path: pathIn(source, form.passphrase_file) };
  }
  if (form.passphrase_fd !== undefined) return { kind: 'descriptor', descriptor: form.passphrase_fd };
  return { kind: 'terminal' };
}

function linkOf(source: Source, place: readonly string[], form: NonNullable<NodeForm['link']>): LinkConfig {
  const { transport = 'link', dial, url, pin } = form;
  const at = (key: string): readonly string[] => [...place, 'link', key];
  if (transport === 'link') {
    if (url !== undefined) throw faultAt(source, at('url'), '"url" is for transport = "vls-grpc"');
    if (pin !== undefined)
      throw faultAt(source, at('pin'), '"pin" is for transport = "vls-grpc"; pairing brings it');
    return { transport, dial: dial === undefined ? null : addressAt(source, at('dial'), dial) };
  }
  if (dial !== undefined) throw faultAt(source, at('dial'), '"dial" is for transport = "link"; write url');
  const parsed = url === undefined ? null : URL.parse(url);
  if (parsed === null || !['http:', 'https:'].includes(parsed.protocol)) {
    const message = 'transport = "vls-grpc" needs url, the address of the node\'s proxy: "http://host:port"';
    throw faultAt(source, at(url === undefined ? 'transport' : 'url'), message);
  }
  if (!isAddressAlone(parsed)) {
    const message = `"${at('url').join('.')}" takes a host and a port and nothing else: "http://host:port"`;
    throw faultAt(source, at('url'), message);
  }
  const isTls = parsed.protocol === 'https:';
  if (isTls && pin === undefined)
    throw faultAt(source, at('url'), 'https needs pin, the SHA-256 of the key of the proxy');
  if (!isTls && pin !== undefined) throw faultAt(source, at('pin'), '"pin" is for an https url');
  return { transport, url: parsed, pin: pin ?? null };
}

/** What else a URL may hold would be without effect. */
function isAddressAlone({ username, password, pathname, search, hash, port }: URL): boolean {
  return `${username}${password}${search}${hash}` === '' && pathname === '/' && port !== '0';
}

const UNIX_PREFIX = 'unix:';
const TCP = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+)):(\d{1,5})$/;
const PORT_MAX = 65_535;

/** Null for what is no address. */
export function parseAddress(text: string): Address | null {
  if (text.startsWith(UNIX_PREFIX)) {
    const path = text.slice(UNIX_PREFIX.length);
    return path === '' ? null : { kind: 'unix', path };
  }
  const [, six, other, digits] = TCP.exec(text) ?? [];
  const host = six ?? other;
  const port = Number(digits);
  return host !== undefined && port >= 1 && port <= PORT_MAX ? { kind: 'tcp', host, port } : null;
}

function addressAt(source: Source, path: readonly string[], text: string): Address {
  const address = parseAddress(text);
  if (address?.kind === 'unix') return { kind: 'unix', path: pathIn(source, address.path) };
  if (address !== null) return address;
  throw faultAt(source, path, `"${text}" is no address, expected "host:port" or "unix:/path/of/a/socket"`);
}

const LOOPBACK = /^(?:127(?:\.\d{1,3}){3}|::1|localhost)$/;

/** A signer has no port that others can reach. */
function ownAddress(source: Source, text: string): Address {
  const path = ['health', 'listen'];
  const address = addressAt(source, path, text);
  if (address.kind === 'unix' || LOOPBACK.test(address.host)) return address;
  throw faultAt(
    source,
    path,
    `"${address.host}" is no address of this machine alone: use 127.0.0.1 or a Unix socket`,
  );
}

/** Two nodes on one state or one seed would break law 1 for both. */
function refuseShared(source: Source, nodes: readonly NodeConfig[]): void {
  const owners = new Map<string, string>();
  for (const { name, directory, seedFile } of nodes) {
    for (const [key, path] of [
      ['directory', directory],
      ['seed_file', seedFile],
    ] as const) {
      const owner = owners.get(`${key} ${path}`);
      if (owner !== undefined)
        throw faultAt(source, ['node', name, key], `node ${owner} has the same ${key}: ${path}`);
      owners.set(`${key} ${path}`, name);
    }
  }
}

/** What belongs to lightningd's machine, or to `signer.toml`. */
const FOREIGN = ['mode', 'remote', 'cln_version', 'state_directory'] as const;

/** A node's policy as a signer reads it. Throws `ConfigError`. */
export function readNodePolicy(config: NodeConfig): Config {
  const { policyFile, stateDirectory, network } = config;
  const known = networkByName(network);
  if (known === undefined) throw new ConfigError(`unknown network ${network}`, { network });
  if (policyFile === null) return { ...DEFAULT_CONFIG, stateDirectory };
  const text = readText(policyFile);
  const parsed = parseToml(text, policyFile);
  const foreign = FOREIGN.find((key) => typeof parsed === 'object' && parsed !== null && key in parsed);
  if (foreign !== undefined) {
    const source: Source = { file: policyFile, lineOf: linesOf(text) };
    throw faultAt(source, [foreign], `"${foreign}" has no place in a signer's policy file: see signer.toml`);
  }
  return { ...withPathsFrom(dirname(policyFile), parseConfig(text, policyFile)), stateDirectory };
}

/** Relative paths begin where the policy file is: the process may have any working directory. */
function withPathsFrom(home: string, config: Config): Config {
  const { chain, witnessFile } = config;
  const at = (path: string): string => resolve(home, path);
  return {
    ...config,
    witnessFile: witnessFile === undefined ? undefined : at(witnessFile),
    chain: chain.source === 'bitcoind' ? { ...chain, login: loginFrom(at, chain.login) } : chain,
  };
}

function loginFrom(at: (path: string) => string, login: NodeLogin): NodeLogin {
  return login.kind === 'cookie'
    ? { ...login, file: at(login.file) }
    : { ...login, passwordFile: at(login.passwordFile) };
}
